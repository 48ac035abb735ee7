"""The command line: fetch data, run and check editions, read the ledger, find artifacts."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from emonb import paths
from emonb.errors import EmonbError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Re-run a published study of emotion knowledge in a language model, and check which of its claims survive.\n\n"
        "Studies are YAML files (data/studies); `published` is the paper's own numbers. Upstream data are fetched once by "
        "hash; set EMONB_MIRROR to a folder that repeats the URL paths to use that instead of the network. Artifacts "
        "are kept under EMONB_RUNS (default: runs/)."
    ),
)

StudyName = Annotated[str, typer.Argument(help="Name of a study, or path of a study's .yml file.", metavar="STUDY")]
Mirror = Annotated[Path | None, typer.Option(help="Folder that repeats the URL paths; searched before the network.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="KEY=VALUE", help='Change a study field, e.g. -p seeds="[1,3]"; repeatable.'),
]


@app.command()
def fetch(study: StudyName = "published", mirror: Mirror = None) -> None:
    """Fetch every upstream file a study needs, verify each by sha256, and say where they are."""
    from emonb.data import sources
    from emonb.run import stages
    from emonb.study import load_study

    _use_mirror(mirror)
    names = stages.study_files(load_study(study))
    names = [name for name in names if not sources.is_local(name)]
    paths = sources.fetch(names)
    megabytes = sum(sources.registry()[name].bytes for name in names) / 1e6
    folders = sorted({str(path)[: -len(name) - 1] for name, path in paths.items()})
    typer.echo(f"{len(paths)} files ({megabytes:.1f} MB) verified in {', '.join(folders) or 'no folder'}")


@app.command()
def run(
    study: StudyName,
    parameter: Parameters = None,
    chapter: Annotated[list[str] | None, typer.Option(help="Only this chapter; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the executed notebooks.")] = None,
    mirror: Mirror = None,
    force: Annotated[bool, typer.Option(help="Execute also chapters that are unchanged.")] = False,
) -> None:
    """Execute the chapters for a study with papermill; with -p, into a folder of its own.

    Example: emonb run published -p distance=euclidean -p seeds="[1, 3, 5]"
    """
    from emonb.run import editions

    _use_mirror(mirror)
    chapters = tuple(chapter) if chapter else editions.CHAPTERS
    folder = editions.run_edition(study, _parse(parameter or []), chapters, out, force, log=_progress)
    if folder == paths.book_dir() / study and (folder / "claims.json").is_file():
        editions.run_front(log=_progress)
    typer.echo(folder)


@app.command()
def check(
    study: StudyName,
    chapter: Annotated[list[str] | None, typer.Option(help="Only this chapter; repeatable.")] = None,
    mirror: Mirror = None,
) -> None:
    """Re-execute a committed edition in a clean run directory; say claim by claim what came out; exit 1 on a difference."""
    from emonb.run import editions

    _use_mirror(mirror)
    rows = editions.check_edition(study, tuple(chapter) if chapter else editions.CHAPTERS, log=_progress)
    typer.echo(f"{'quantity or verdict':58} {'committed':>12} {'recomputed':>12} {'tolerance':>10}  same")
    for row in rows:
        cells = [_cell(row[field]) for field in ("committed", "recomputed", "tolerance")]
        typer.echo(f"{row['name']:58} {cells[0]:>12} {cells[1]:>12} {cells[2]:>10}  {'yes' if row['same'] else 'NO'}")
    different = sum(not row["same"] for row in rows)
    typer.echo(f"{len(rows) - different} of {len(rows)} the same")
    raise typer.Exit(1 if different else 0)


@app.command()
def trials(
    seeds: Annotated[str, typer.Option(help="World seeds, e.g. 10-19 or 10,11.")] = "10-19",
    world: Annotated[list[str] | None, typer.Option(help="Only this world; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file; default book/controls.json.")] = None,
) -> None:
    """Run the positive control and its companion worlds on many world seeds and collect their verdicts."""
    from emonb.run import worlds as many

    rows = many.run_trials(_seeds(seeds), tuple(world or many.WORLDS), log=_progress)
    path = out or paths.book_dir() / "controls.json"
    many.write_trials(rows, path)
    typer.echo(path)


@app.command()
def claims(as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False) -> None:
    """Print the committed ledger: each claim's two verdicts in each edition; with --json also every quantity."""
    from emonb.run import editions

    ledgers = editions.read_ledgers()
    if as_json:
        typer.echo(json.dumps({"editions": ledgers}, indent=1))
        return
    for edition, ledger in ledgers.items():
        typer.echo(f"{edition} ({len(ledger['quantities'])} quantities)")
        for name, verdict in ledger["claims"].items():
            typer.echo(
                f"  {name:12} reproduced: {verdict['reproduced']:9} holds: {verdict['holds']:9} unit: {verdict['unit']}"
            )


@app.command()
def artifact(
    study: StudyName,
    name: Annotated[str, typer.Argument(help="activations, searchlight, lesions, rdms, humans, prompts, ...")],
    parameter: Parameters = None,
    mirror: Mirror = None,
) -> None:
    """Print the path of a labelled netCDF file of a study, computing first what is missing.

    `activations`: activation (seed, emotion, layer, neuron). `searchlight`: tau and rank (attribute, layer, neuron).
    `lesions`: accuracy (kind, attribute, size, seed, emotion). `rdms`: all RDMs over one pair axis.
    Read it with xarray.open_dataset(path).
    """
    from emonb.run.stages import open_run

    _use_mirror(mirror)
    typer.echo(open_run(study, **_parse(parameter or [])).path(name))


def main() -> None:
    """Run the command line; a known error is one line and exit status 2."""
    try:
        app(standalone_mode=True)
    except EmonbError as error:
        typer.echo(f"emonb: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("emonb: interrupted; finished parts are kept and the same command goes on from there", err=True)
        sys.exit(130)


def _parse(pairs: list[str]) -> dict[str, Any]:
    import yaml

    from emonb.errors import StudyError

    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise StudyError(f"parameter '{pair}' is not KEY=VALUE; for example -p size=4000")
        try:
            parameters[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise StudyError(f"parameter '{key}': '{value}' is not a valid value; quote lists like \"[1, 3]\"") from None
        if parameters[key] is None:
            raise StudyError(f"parameter '{key}' has no value")
    return parameters


def _seeds(text: str) -> list[int]:
    """Read "10-19" or "1,4,7"."""
    from emonb.errors import StudyError

    first, dash, last = text.partition("-")
    try:
        return list(range(int(first), int(last) + 1)) if dash else [int(part) for part in text.split(",")]
    except ValueError:
        raise StudyError(f"seeds '{text}' are not a range such as 10-19 or a list such as 10,11") from None


def _use_mirror(mirror: Path | None) -> None:
    if mirror is not None:
        os.environ["EMONB_MIRROR"] = str(mirror.expanduser().resolve())


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _cell(value: object) -> str:
    return "missing" if value is None else value if isinstance(value, str) else f"{value:.6g}"
