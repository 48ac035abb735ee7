"""Measure how often the claims' tests err: `python -m instrument rates|trials|truths` in a checkout."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emonb import cli, paths
from emonb.artifacts import write_text
from instrument import rates as simulated
from instrument import worlds

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
Worlds = Annotated[list[str] | None, typer.Option("--world", help="Only this world; repeatable.")]


def _tell(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def trials(
    seeds: Annotated[str, typer.Option(help="World seeds, e.g. 10-19 or 10,11.")] = "10-19",
    world: Worlds = None,
    out: Annotated[Path | None, typer.Option(help="JSON file, added to; default trials.json in the run directory.")] = None,
) -> None:
    """Run the positive control and its companion worlds on many world seeds and collect their verdicts."""
    path = out or paths.runs_dir() / "trials.json"
    for seed in cli.read_seeds(seeds):
        for name in world or worlds.WORLDS:  # written as they come
            worlds.write_trials(worlds.run_trials([seed], [name], log=_tell), path)
    typer.echo(path)


@app.command()
def truths(
    seeds: Annotated[str, typer.Option(help="World seeds that no trial has, e.g. 100-104.")] = "100-104",
    world: Worlds = None,
    out: Annotated[Path | None, typer.Option(help="JSON file; default truths.json in the run directory.")] = None,
) -> None:
    """Measure what is true in the planted worlds, with many more masks and seeds than a trial has."""
    found = worlds.measure_truths(cli.read_seeds(seeds), world or worlds.WORLDS, log=_tell)
    typer.echo(write_text(json.dumps(found, indent=1) + "\n", out or paths.runs_dir() / "truths.json"))


@app.command()
def rates(
    simulations: Annotated[int, typer.Option("-n", min=1, help="Simulated data sets a cell of the design.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file; default instrument.json in the run directory.")] = None,
) -> None:
    """Measure how often the rule says yes, no and undecided of simulated studies whose answer is known; resumable."""
    rows = simulated.simulate(simulations, seed, log=_tell)
    typer.echo(simulated.write_rates(rows, out or paths.runs_dir() / "instrument.json"))


if __name__ == "__main__":
    cli.main(app)
