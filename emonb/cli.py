"""The command line: fetch data, run, check and update editions, build the book, read the ledger, find artifacts."""

import errno
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emonb import paths
from emonb.errors import EmonbError, StudyError

if TYPE_CHECKING:
    from emonb.run.runs import Run


def _use_mirror(mirror: Path | None) -> Path | None:
    """Search this folder before the network."""
    if mirror is not None:
        os.environ["EMONB_MIRROR"] = str(mirror.expanduser().resolve())
    return mirror


StudyName = Annotated[str, typer.Argument(help="Name of a study, or path of a study's .yml file.", metavar="STUDY")]
Mirror = Annotated[
    Path | None,
    typer.Option(help="Folder that repeats the URL paths; searched before the network.", callback=_use_mirror),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="KEY=VALUE", help='Change a study field, e.g. -p seeds="[1,3]"; repeatable.'),
]
Stage = Annotated[str, typer.Argument(help="prompts, lesions, wordless, bijections or dose.", metavar="STAGE")]
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
    source: Annotated[
        str | None, typer.Option("--from", help="Take it from this research object (folder, .zip or URL of either).")
    ] = None,
) -> None:
    """Print the path of a labelled netCDF file of a study, computing first what is missing.

    `activations`: activation (seed, emotion, layer, neuron). `searchlight`: tau and rank (attribute, layer, neuron).
    `masks`: silenced (mask, layer, neuron). `lesions`: accuracy (kind, attribute, size, seed, emotion).
    `rdms`: all RDMs over one pair axis. Read it with xarray.open_dataset(path).
    """
    from emonb.run.editions import check_stage
    from emonb.run.export import pull
    from emonb.run.parts import join_parts

    if source is not None and from_parts:
        raise StudyError("a result comes --from a research object or --from-parts, not from both")
    if allow_mixed and not from_parts:
        raise StudyError("--allow-mixed is for --from-parts")
    run = _open(study, parameter, baseline)
    if source is not None:
        typer.echo(pull(run, name, source))
    else:
        if not from_parts:
            check_stage(run, name, log=_progress)
        typer.echo(join_parts(run, name, allow_mixed) if from_parts else run.path(name))


def part(
    study: StudyName,
    stage: Stage,
    which: Annotated[
        str | None, typer.Argument(help="The I-th of N shares of the stage's units, I from 1.", metavar="[I/N]")
    ] = None,
    parameter: Parameters = None,
    mirror: Mirror = None,
    baseline: Baseline = None,
) -> None:
    """Make one share of a stage's units, as one job of many; what is there is kept. Without I/N: say what is missing.

    What the stage is made from must be there. When all shares are made: emonb artifact STUDY STAGE --from-parts
    """
    from emonb.run.editions import check_stage
    from emonb.run.parts import count_parts, make_part

    number, slash, of = (which or "").partition("/")
    if which is not None and not (slash and number.isdecimal() and of.isdecimal()):
        raise StudyError(f"share '{which}' is not I/N, such as 1/4")
    run = _open(study, parameter, baseline)
    if which is not None:
        check_stage(run, stage, log=_progress)
        made = make_part(run, stage, int(number), int(of))
        typer.echo(f"{stage} {which}: {len(made)} units made")
        return
    units, missing, whole = count_parts(run, stage)
    typer.echo(f"{stage}: {units - len(missing)} of {units} units made{'; the whole is there' if whole else ''}")
    if missing:
        typer.echo(f"missing: {' '.join(missing)}")


def export(
    study: StudyName,
    parameter: Parameters = None,
    out: Annotated[Path | None, typer.Option(help="New folder or .zip; default: crate in the run directory.")] = None,
) -> None:
    """Write an executed study as a research object (RO-Crate 1.1): chapters, ledger, results, environment, keys.

    A repository such as Zenodo takes it; emonb artifact STUDY NAME --from OUT takes results from it.
    """
    from emonb.run.export import export_study

    given = shlex.join([study, *(word for pair in parameter or [] for word in ("-p", pair))])
    typer.echo(export_study(_open(study, parameter), out, given))


def store(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what no study refers to.")] = False,
) -> None:
    """Say what lies in the store of results, how large, and which studies refer to it.

    A study refers to what its keys name now: one of data/studies, or one with a folder under EMONB_RUNS; delete that
    folder to let go of its results. What is being made stays.
    """
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
        if key in parameters:
            raise StudyError(f"parameter '{key}' is given twice; give it once")
        try:
            parameters[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise StudyError(f"parameter '{key}': '{value}' is not a valid value; quote lists like \"[1, 3]\"") from None
        if parameters[key] is None:
            if not value.strip():
                raise StudyError(f"parameter '{key}' has no value")
            parameters[key] = "null"  # None would leave the study's own value
    return parameters


def read_seeds(text: str) -> list[int]:
    """Read "10-19" or "1,4,7": whole numbers, each once."""
    first, dash, last = text.partition("-")
    try:
        low, high = (int(first), int(last)) if dash else (0, -1)
        seeds = list(range(low, min(high, low + 10_000) + 1)) if dash else [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not 0 < len({*seeds}) == len(seeds) <= 10_000:
        raise StudyError(
            f"seeds '{text}' are not a range from low to high, such as 10-19, or a list such as 10,11, of at most 10,000"
        )
    return seeds


def _open(study: str, parameter: list[str] | None, baseline: str | None = None) -> "Run":
    from emonb.run.runs import open_run

    run = open_run(study, **parse(parameter))
    return run if baseline is None else run.untrained(baseline)


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Re-run a published study of emotion knowledge in a language model, and check which of its claims survive.\n\n"
        "Studies are YAML files (data/studies); `published` is the paper's own numbers. Upstream data are fetched once by "
        "hash; set EMONB_MIRROR to a folder that repeats the URL paths to use that instead of the network. Chapters "
        "go to EMONB_RUNS (default: runs/), results to EMONB_STORE (default: store/ in it). EMONB_DEBUG=1 shows the "
        "traceback of an error."
    ),
)

Chapters = Annotated[list[str] | None, typer.Option("--chapter", help="Only this chapter; repeatable.")]
Accept = Annotated[bool, typer.Option(help="Put what came out in the place of what is committed.")]
for command in (artifact, part, export, store):
    app.command()(command)


@app.command()
def fetch(
    study: StudyName = "published",
    parameter: Parameters = None,
    mirror: Mirror = None,
) -> None:
    """Fetch every upstream file a study needs, verify each by sha256, say what came from where; plant a world.

    Do this before many processes start on a study: what they need is then there, and none goes to the network.
    """
    from emonb.data import sources, weights
    from emonb.run.runs import open_run
    from emonb.run.stages import planted_files, study_files

    run = open_run(study, **parse(parameter))
    names = [name for name in study_files(run.study) if not sources.is_local(name)]
    found = weights.fetch(names, tell=typer.echo)
    megabytes = sum(sources.registry()[name].bytes for name in names) / 1e6
    folders = sorted({str(path)[: -len(name) - 1] for name, path in found.items()})
    typer.echo(f"{len(found)} files ({megabytes:.1f} MB) verified in {', '.join(folders) or 'no folder'}")
    for name, path in run.fetch(planted_files(run.study)).items():
        typer.echo(f"{name}: {path}")


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="New folder; its name is the study's.", metavar="NAME")]) -> None:
    """Write a small complete study, to run at once and then to change: study.yml, comments, ratings, judgments, README."""
    from emonb.study import write_example

    typer.echo(write_example(folder))
    typer.echo(f"Run it: emonb run {folder / 'study.yml'}", err=True)


@app.command()
def run(
    study: StudyName,
    parameter: Parameters = None,
    chapter: Chapters = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the executed notebooks.")] = None,
    mirror: Mirror = None,
    force: Annotated[bool, typer.Option(help="Execute also chapters that are unchanged.")] = False,
    accept: Accept = False,
) -> None:
    """Execute the chapters for a study; compare with the committed edition where there is one; exit 1 if they differ.

    Example: emonb run published -p distance=euclidean -p seeds="[1, 3, 5]"
    """
    from emonb.run import editions, front
    from emonb.run.runs import Run
    from emonb.study import load_study

    parameters, chapters = parse(parameter), tuple(chapter or editions.CHAPTERS)
    opened = Run(load_study(study, **parameters))
    edition = opened.pristine and opened.study.edition and set(chapters) == set(editions.CHAPTERS) and paths.in_checkout()
    if accept and not edition:
        raise StudyError("--accept is for a whole edition of a study of data/studies as it is, in a checkout")
    folder = editions.run_edition(study, parameters, chapters, out, force, log=_progress)
    same = editions.settle(opened.study.name, folder, accept, log=_progress) if edition else True
    if accept:
        front.run_front(accept, log=_progress)
    typer.echo(folder)
    raise typer.Exit(0 if same else 1)


@app.command()
def update(
    name: Annotated[list[str] | None, typer.Argument(help="Editions, or `pages` around them; default all.")] = None,
    accept: Accept = False,
    html: Annotated[bool, typer.Option("--html", help="Build the HTML first, from what is committed.")] = False,
) -> None:
    """Execute every edition and page whose sources changed, a core each, where data can be had; exit 1 on a difference."""
    from emonb.run import updating

    raise typer.Exit(updating.update(name or [], accept, html, log=typer.echo))


@app.command()
def commit(
    study: StudyName,
    parameter: Parameters = None,
    so_far: Annotated[bool, typer.Option(help="Only lesions without words and moved masks, as far as made.")] = False,
    mirror: Mirror = None,
) -> None:
    """Compute what a study takes from results committed under data/, and put it there with its settings and log.

    Moved masks take hours and can be committed as they come: emonb part STUDY bijections 1/1 -p stages.lesions=computed
    makes parts until it is stopped, emonb commit STUDY --so-far writes those that are made.
    """
    from emonb.run.committing import commit_results, commit_so_far

    for path in (commit_so_far if so_far else commit_results)(study, parse(parameter)):
        typer.echo(path)


@app.command()
def html(clean: Annotated[bool, typer.Option(help="Build from a clean _build.")] = False) -> None:
    """Build the book's HTML from what is committed, with warnings as errors."""
    from emonb.book.html import build_html, describe

    typer.echo(describe(build_html(clean)))


@app.command()
def check(study: StudyName, chapter: Chapters = None, mirror: Mirror = None) -> None:
    """Re-execute a committed edition with an empty store; say claim by claim what came out; exit 1 on a difference."""
    from emonb.run import editions

    rows = editions.check_edition(study, tuple(chapter) if chapter else editions.CHAPTERS, log=_progress)
    _tell_rows(rows)


@app.command("spot-check")
def spot(
    study: StudyName,
    prompts: Annotated[int, typer.Option(min=0, help="Prompts to tune again, from their first vectors.")] = 2,
    masks: Annotated[int, typer.Option(min=0, help="Masks to silence again, under one seed's prompts.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Draws which.")] = 0,
    parameter: Parameters = None,
    mirror: Mirror = None,
) -> None:
    """Make a random few of a study's committed prompts and lesions again, from nothing; exit 1 where one is not the same.

    Another processor rounds otherwise: how far apart is near enough is said for each number (data/minilm/README.md).
    """
    from emonb.run.runs import Run
    from emonb.run.spot import spot_check
    from emonb.study import load_study

    run = Run(load_study(study, **parse(parameter)), progress=False)
    _tell_rows(spot_check(run, prompts, masks, seed, log=_progress))


@app.command()
def claims(as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False) -> None:
    """Print the committed ledger: each claim's verdicts and effect in each edition; with --json also every quantity."""
    from emonb.book.cards import describe_effect
    from emonb.book.ledger import declarations, group_undefined, read_ledgers

    ledgers, declared = read_ledgers(), declarations()
    known = {claim.id for claim in declared.claims}
    if not ledgers:
        raise EmonbError(f"no committed edition under {paths.book_dir()}; run one: emonb run control")
    if as_json:
        typer.echo(json.dumps({"editions": ledgers}, indent=1))
        return
    for edition, ledger in ledgers.items():
        typer.echo(f"{edition} ({len(ledger['quantities'])} quantities)")
        if changed := known ^ set(ledger["claims"]):
            names = ", ".join(sorted(changed))
            typer.echo(f"  older than data/claims.yml ({names}); execute it anew: emonb update {edition} --accept")
            continue
        for name, entry in ledger["claims"].items():
            effect = describe_effect(declared.claim(name), entry)
            typer.echo(f"  {name:16} holds: {entry['holds']:10} reproduced: {entry['reproduced']:11} {effect}")
        for line in group_undefined(ledger.get("undefined", {})):
            typer.echo(f"  undefined: {line}")


def main(command: typer.Typer = app) -> None:
    """Run the command line; an error that a user can mend is one line and exit status 2."""
    try:
        command(standalone_mode=True)
    except (EmonbError, OSError) as error:
        if os.environ.get("EMONB_DEBUG"):
            raise
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            where += (
                f" in {paths.store_dir()} or {paths.runs_dir()}; free some, or set EMONB_STORE and EMONB_RUNS to others"
            )
        what = f"{error.strerror or error}{where}" if isinstance(error, OSError) else error
        typer.echo(f"emonb: {what}", err=True)
        sys.exit(2)
    except Exception as error:
        if os.environ.get("EMONB_DEBUG"):
            raise
        reason = " ".join(str(error).split()) or "no message"
        typer.echo(f"emonb: unexpected {type(error).__name__}: {reason}; EMONB_DEBUG=1 shows the traceback", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("emonb: interrupted; finished parts are kept and the same command goes on from there", err=True)
        sys.exit(130)


def _tell_rows(rows: list[dict[str, Any]]) -> None:
    """Print a comparison; exit 1 where something differs."""
    from emonb.book.ledger import describe_row

    typer.echo(f"{'quantity or verdict':58} {'committed':>12} {'recomputed':>12} {'tolerance':>10}  same")
    for row in rows:
        typer.echo(describe_row(row))
    different = sum(not row["same"] for row in rows)
    typer.echo(f"{len(rows) - different} of {len(rows)} the same")
    raise typer.Exit(1 if different else 0)


def _progress(line: str) -> None:
    typer.echo(line, err=True)


if __name__ == "__main__":
    main()
