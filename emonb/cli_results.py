"""Commands about single results: where one is, in which parts it is made, and what is there of it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emonb.errors import StudyError

if TYPE_CHECKING:
    from emonb.run.runs import Run

StudyName = Annotated[str, typer.Argument(help="Name of a study, or path of a study's .yml file.", metavar="STUDY")]
Mirror = Annotated[Path | None, typer.Option(help="Folder that repeats the URL paths; searched before the network.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="KEY=VALUE", help='Change a study field, e.g. -p seeds="[1,3]"; repeatable.'),
]
Stage = Annotated[str, typer.Argument(help="prompts, lesions, bijections or dose.", metavar="STAGE")]
Baseline = Annotated[
    str | None,
    typer.Option(help="Of the same study on a network with random weights, by the baseline's name: untrained, ..."),
]


def artifact(
    study: StudyName,
    name: Annotated[str, typer.Argument(help="activations, searchlight, masks, lesions, rdms, humans, prompts, ...")],
    parameter: Parameters = None,
    mirror: Mirror = None,
    baseline: Baseline = None,
    from_parts: Annotated[
        bool, typer.Option("--from-parts", help="Join the parts that are there; compute nothing.")
    ] = False,
    allow_mixed: Annotated[bool, typer.Option("--allow-mixed", help="Join parts made on different devices.")] = False,
    source: Annotated[str | None, typer.Option("--from", help="Take it from this research object (folder or URL).")] = None,
) -> None:
    """Print the path of a labelled netCDF file of a study, computing first what is missing.

    `activations`: activation (seed, emotion, layer, neuron). `searchlight`: tau and rank (attribute, layer, neuron).
    `masks`: silenced (mask, layer, neuron). `lesions`: accuracy (kind, attribute, size, seed, emotion).
    `rdms`: all RDMs over one pair axis. Read it with xarray.open_dataset(path).
    """
    from emonb.run.export import pull
    from emonb.run.parts import join_parts

    use_mirror(mirror)
    if source is not None and from_parts:
        raise StudyError("a result comes --from a research object or --from-parts, not from both")
    if allow_mixed and not from_parts:
        raise StudyError("--allow-mixed is for --from-parts")
    run = _open(study, parameter, baseline)
    if source is not None:
        typer.echo(pull(run, name, source))
    else:
        typer.echo(join_parts(run, name, allow_mixed) if from_parts else run.path(name))


def part(
    study: StudyName,
    stage: Stage,
    which: Annotated[str, typer.Argument(help="The I-th of N shares of the stage's units, I from 1.", metavar="I/N")],
    parameter: Parameters = None,
    mirror: Mirror = None,
    baseline: Baseline = None,
) -> None:
    """Make one share of a stage's units, as one job of many; what is there is kept.

    What the stage is made from must be there. When all shares are made: emonb artifact STUDY STAGE --from-parts
    """
    from emonb.run.parts import make_part

    use_mirror(mirror)
    number, slash, of = which.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise StudyError(f"share '{which}' is not I/N, such as 1/4")
    made = make_part(_open(study, parameter, baseline), stage, int(number), int(of))
    typer.echo(f"{stage} {which}: {len(made)} units made")


def parts(
    study: StudyName,
    stage: Stage,
    parameter: Parameters = None,
    baseline: Baseline = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False,
) -> None:
    """Say how many units a stage has, how many are made, and which are missing; nothing is computed."""
    from emonb.run.parts import count_parts

    found = count_parts(_open(study, parameter, baseline), stage)
    if as_json:
        typer.echo(json.dumps(found))
        return
    whole = "; the whole is there" if found["whole"] else ""
    typer.echo(f"{stage} ({found['key']}): {found['done']} of {found['units']} units made{whole}")
    if found["missing"]:
        typer.echo(f"missing: {' '.join(found['missing'])}")


def export(
    study: StudyName,
    parameter: Parameters = None,
    out: Annotated[Path | None, typer.Option(help="New folder or .zip; default: crate in the run directory.")] = None,
) -> None:
    """Write an executed study as a research object (RO-Crate 1.1): chapters, ledger, results, environment, keys.

    A repository such as Zenodo takes it; emonb artifact STUDY NAME --from FOLDER takes results from it.
    """
    from emonb.run.export import export_study

    typer.echo(export_study(_open(study, parameter), out))


def store(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what no study refers to.")] = False,
) -> None:
    """Say what lies in the store of results, how large, and which studies refer to it.

    A study refers to what its keys name now: one of data/studies, or one with a folder under EMONB_RUNS; delete that
    folder to let go of its results. What is being made stays.
    """
    from emonb import paths
    from emonb.run import clearing

    entries = clearing.list_entries()
    for line in clearing.describe(entries):
        typer.echo(line)
    loose = [entry for entry in entries if not entry.stays]
    if clear:
        loose = clearing.clear(entries)
    n = sum(entry.bytes for entry in loose)
    how = "removed" if clear else "that no study refers to; --clear removes them"
    typer.echo(f"{len(entries)} in {paths.store_dir()}; {len(loose)} ({n:,} bytes) {how}")


def parse(pairs: list[str] | None) -> dict[str, Any]:
    """Read KEY=VALUE pairs, values as YAML."""
    import yaml

    parameters: dict[str, Any] = {}
    for pair in pairs or []:
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


def read_seeds(text: str) -> list[int]:
    """Read "10-19" or "1,4,7"."""
    first, dash, last = text.partition("-")
    try:
        return list(range(int(first), int(last) + 1)) if dash else [int(part) for part in text.split(",")]
    except ValueError:
        raise StudyError(f"seeds '{text}' are not a range such as 10-19 or a list such as 10,11") from None


def use_mirror(mirror: Path | None) -> None:
    """Search this folder before the network."""
    if mirror is not None:
        os.environ["EMONB_MIRROR"] = str(mirror.expanduser().resolve())


def _open(study: str, parameter: list[str] | None, baseline: str | None = None) -> "Run":
    from emonb.run.runs import open_run

    run = open_run(study, **parse(parameter))
    return run if baseline is None else run.untrained(baseline)
