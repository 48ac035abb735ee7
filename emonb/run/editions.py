"""Editions: the chapters of the book executed for one study, from one MyST source each, resumable and checkable.

Before any kernel it is asked what can be known: whether a study's files, world and network are there and fit it.

A run never touches what is committed. It executes into the run directory and compares: where all quantities and verdicts
are the same within tolerance, the committed edition stands, whatever the processor; where not, the fresh edition lies
beside it with the list of differences, and only ``accept`` puts it in the other's place.
"""

import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import nbformat
import pandas as pd

from emonb import __version__, artifacts
from emonb.analysis.people import constant_attributes
from emonb.book.ledger import (
    compare_ledgers,
    declarations,
    describe_row,
    group_undefined,
    merge_records,
    read_ledgers,
    restrict,
)
from emonb.data import sources
from emonb.data.comments import check_comments, find_moved_labels, name_emotions
from emonb.data.released import name_files
from emonb.errors import StudyError
from emonb.paths import book_dir, chapters_dir, data_dir
from emonb.run import notebooks
from emonb.run.runs import RECORD, Run
from emonb.run.stages import LIVE, stage_of, stages_of, study_files
from emonb.study import Study, load_study
from emonb.world.world import World

if TYPE_CHECKING:
    from emonb.model.backbone import Backbone

Log = Callable[[str], None]


def check_study(run: Run, chapters: Collection[str], log: Log = lambda line: None) -> None:
    """Before any kernel: read what people said, the comments and what is committed, open a network that is yet to be tuned.

    ``log`` is told of :func:`find_oddities`.

    Raises an error with what the chapters would stumble on, in one line that names the file or the field to set.
    """
    study, stages = run.study, run.study.stages
    if len(study.emotions) < 4:
        raise StudyError(f"emotions: {len(study.emotions)} have too few pairs to compare maps by; give four or more")
    if study.world is not None:
        World(study.world, study.emotions, study.attributes)  # it has words for them
    flat = constant_attributes(run.load("humans").score)
    if len(study.attributes) - len(flat) < 2:
        raise StudyError(
            f"humans.scores: every emotion has the same score on {', '.join(flat)}; two attributes at least must tell "
            "emotions apart"
        )
    run.load("people")
    if set(chapters) <= {"people", "activations"}:
        return
    comments = run.load("comments")
    splits = ["train", "dev"] * (stages.prompts == "computed") + [study.lesions.split] * (stages.lesions == "computed")
    for split in dict.fromkeys(splits):
        check_comments(comments, study.emotions, split)
    for name in ("prompts", *(("masks", "lesions") if "lesions" in chapters else ())):
        if (getattr(stages, name) or stages.lesions) == "committed":
            run.load(name)
    if study.kind == "live" and stages.prompts == "computed" and not run.has("prompts"):
        from emonb.model.backbone import open_backbone  # takes seconds, and only who tunes needs it

        positions = 1 + study.prompt_length + study.tuning.max_length
        backbone = open_backbone(run.backbone(), study.layers, study.neurons, positions, study.device)
        for line in find_oddities(study, comments, backbone):
            log(line)


def check_stage(run: Run, name: str, log: Log = lambda line: None) -> None:
    """Before a stage is computed that is not there: as :func:`check_study`."""
    if name in LIVE and stage_of(name, run.study) is LIVE[name] and not run.has(name):
        check_study(run, {name}, log)


def find_oddities(study: Study, comments: pd.DataFrame, backbone: "Backbone") -> Iterator[str]:
    """What may be meant and may be a mistake, in a line each that begins with the field to look at."""
    from emonb.model.backbone import first_position

    if backbone.offset < (own := first_position(backbone.model)):
        yield (
            "backbone.position_offset: positions go from 0, as Li et al. have them; this network was trained with "
            f"positions from {own} (roberta)"
        )
    for emotion, other in find_moved_labels(comments, name_emotions(study.emotions)).items():
        yield (
            f"corpus.labels: comments labelled {other} name {emotion} more often than those labelled {emotion} do; is the "
            "list in the order of the files' ids?"
        )
    texts, longest = list(comments.loc[comments["split"] == "train", "text"]), study.tuning.max_length
    cut = sum(len(ids) > longest for ids in backbone.tokenizer.encode(texts, longest + 1))
    if cut > 0.05 * len(texts):
        yield (
            f"tuning.max_length: {cut:,} of {len(texts):,} training comments have more than {longest} tokens; what comes "
            "after these is not read"
        )


def check_released(study: Study) -> None:
    """Before any work: files are released for every seed of a study, and have its layers and neurons; else a StudyError."""
    if study.released is None:
        return
    stages = {"activations": "activations", "lesions_selective": "lesions", "lesions_random": "lesions"}
    for field in (field for field, stage in stages.items() if getattr(study.stages, stage) == "released"):
        names = name_files(getattr(study.released, field), study.emotions, study.seeds)
        absent = sorted({seed for (_, seed), name in names.items() if not sources.is_known(name)})
        if absent:
            there = [seed for seed in study.seeds if seed not in absent]
            listed = f"; of the study's seeds there are {', '.join(map(str, there))}" if there else ""
            raise StudyError(
                f"no {field.replace('_', ', ')} were released for seed{'s' * (len(absent) > 1)} "
                f"{', '.join(map(str, absent))}{listed}"
            )
    if study.stages.activations == "released":
        first = next(iter(name_files(study.released.activations, study.emotions, study.seeds).values()))
        path = sources.find(first)
        if path is not None:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                n = file.readline().count(",") + 1
            if n != study.layers * study.neurons:
                raise StudyError(
                    f"the released activations have {n} neurons, the study {study.layers} layers of {study.neurons}; "
                    "correct layers and neurons"
                )


CHAPTERS = ("people", "prompts", "activations", "structure", "attributes", "lesions")


def run_edition(
    study: str,
    parameters: dict[str, Any] | None = None,
    chapters: tuple[str, ...] = CHAPTERS,
    out: Path | None = None,
    force: bool = False,
    log: Log = lambda line: None,
) -> Path:
    """Execute the chapters of a study with papermill; chapters already executed and unchanged are kept.

    Parameters
    ----------
    study : str
        Name or YAML path.
    parameters : dict, optional
        Study fields to change; a changed study has a run directory of its own.
    out : Path, optional
        Folder for the executed notebooks and ``claims.json``, which is returned; default in the run directory.
    force : bool
        Execute also what is unchanged.

    Raises
    ------
    StudyError
        Unknown study, chapter or parameter, or a wrong type; before anything runs.
    EmonbError
        A chapter failed; the others' results are kept.
    """
    parameters = parameters or {}
    run = Run(load_study(study, **parameters))
    paths = {chapter: chapters_dir() / f"{chapter}.md" for chapter in chapters}
    for chapter, path in paths.items():
        if chapter not in CHAPTERS:
            what = "is a page of the book and no" if path.is_file() else "is no"
            raise StudyError(f"'{chapter}' {what} chapter of a study; known: {', '.join(CHAPTERS)}")
        notebooks.read_source(path)  # one that cannot be read is an error before anything runs
    check_released(run.study)
    out = (out or run.folder / "book").expanduser()
    injected = {"study": str(Path(study).resolve()) if study.endswith((".yml", ".yaml")) else study, **parameters}
    if force or not all(_is_current(run, chapter, _key(run, chapter, injected), out) for chapter in chapters):
        _check_writable(out)
        check_study(run, chapters, log)
    run.note()
    for number, (chapter, path) in enumerate(paths.items(), 1):
        key, state = _key(run, chapter, injected), "unchanged"
        if force or not _is_current(run, chapter, key, out):
            # read after its key was made: what is edited in between is executed next time
            source = notebooks.keep_cells(notebooks.read_source(path), run.study)
            _execute(run, chapter, source, injected, key, out)
            state = "executed"
        log(f"[{number}/{len(chapters)}] {chapter}: {state} -> {out / f'{chapter}.ipynb'}")
        for line in group_undefined(read_record(run, chapter).get("undefined", {})):
            log(f"  undefined: {line}")
    if set(chapters) == set(CHAPTERS):
        head = {"study": run.study.name, "study_hash": run.study.digest()[:12], "emonb": __version__}
        record = merge_records(read_record(run, chapter) for chapter in chapters)
        artifacts.write_text(json.dumps({**head, **record}, indent=1) + "\n", out / "claims.json")
    return out


def _check_writable(out: Path) -> None:
    """Raise unless a folder can be made and files written in it; nothing is."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "a folder in which you may not write" if there.is_dir() else "a file"
        raise StudyError(f"chapters cannot be written to {out}: {there} is {what}; give another folder (--out)")


def is_current(study: str) -> bool:
    """Tell whether every chapter of an edition is executed, and would come out the same now."""
    run = Run(load_study(study))
    injected = {"study": study}
    return all(_is_current(run, c, _key(run, c, injected), run.folder / "book") for c in CHAPTERS)


def settle(study: str, folder: Path, accept: bool = False, log: Log = lambda line: None) -> bool:
    """Compare a fresh edition, all chapters, with the committed one; put it in its place only if told to ``accept``.

    Returns whether the committed edition is (now) the same as the fresh one.
    """
    fresh = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    committed, target = read_ledgers().get(study), book_dir() / study
    changed = [f"no committed edition at {target}"] if committed is None else _differences(committed, fresh, folder, target)
    if not changed:
        n = len(fresh["quantities"])
        log(f"{study}: {n} of {n} quantities the same; the committed edition stands")
        return True
    if accept:
        for chapter in CHAPTERS:
            notebooks.write(nbformat.read(folder / f"{chapter}.ipynb", 4), target / f"{chapter}.ipynb")
        artifacts.write_bytes((folder / "claims.json").read_bytes(), target / "claims.json")
        log(f"{study}: accepted, {len(changed)} differences from what was committed -> {target}")
        return True
    report = artifacts.write_text("\n".join(changed) + "\n", folder / "differences.txt")
    log(
        f"{study}: {len(changed)} differences from the committed edition, which is left as it is (first: {changed[0]}). "
        f"All: {report}. To commit the fresh edition: emonb run {study} --accept"
    )
    return False


def check_edition(study: str, chapters: tuple[str, ...] = CHAPTERS, log: Log = lambda line: None) -> list[dict[str, Any]]:
    """Re-execute a committed edition with an empty store and compare every quantity and verdict.

    Returns the rows of :func:`emonb.book.ledger.compare_ledgers`; a StudyError where nothing is committed.
    """
    committed = read_ledgers().get(load_study(study).name)
    if committed is None:
        raise StudyError(f"no committed edition '{study}': {book_dir() / study / 'claims.json'} is missing; run it first")
    with (
        tempfile.TemporaryDirectory(prefix="emonb-check-") as folder,
        patch.dict(os.environ, EMONB_RUNS=folder, EMONB_STORE=""),
    ):
        run_edition(study, chapters=chapters, log=log)
        fresh = merge_records(read_record(Run(load_study(study)), chapter) for chapter in chapters)
    if set(chapters) != set(CHAPTERS):
        committed = restrict(committed, fresh)
    return compare_ledgers(committed, fresh, declarations())


def read_record(run: Run, chapter: str) -> dict[str, Any]:
    """What a chapter recorded when the edition executed it; a StudyError if it was not, or its record was changed since."""
    record = notebooks.read_stamp(_stamp_path(run, chapter))
    if record is None:
        raise StudyError(f"{run.name} has no valid record of chapter '{chapter}'; execute it: emonb run {run.study.name}")
    return record


def package_digest() -> list[str]:
    """Hashes of all modules of the package but the command line; a chapter may use any of them."""
    package = Path(artifacts.__file__).parent
    return [artifacts.file_digest(path) for path in sorted(package.rglob("*.py")) if path.name != "cli.py"]


def _differences(committed: dict[str, Any], fresh: dict[str, Any], folder: Path, target: Path) -> list[str]:
    """What a fresh edition has otherwise than the committed one, a line each; the chapters' own text included."""
    lines = [describe_row(row) for row in compare_ledgers(committed, fresh, declarations()) if not row["same"]]
    if committed.get("study_hash") != fresh["study_hash"]:
        lines.append(f"the study's settings changed: {committed.get('study_hash')} -> {fresh['study_hash']}")
    for chapter in CHAPTERS:
        path = target / f"{chapter}.ipynb"
        what = "it is not there"
        if path.is_file():
            what = notebooks.differs(nbformat.read(folder / path.name, 4), nbformat.read(path, 4), outputs=False)
        lines += [f"{chapter}: {what}"] if what else []
    return lines


def hash_chapters(run: Run, chapters: tuple[str, ...] = CHAPTERS) -> str:
    """One hash of all that the outputs of some chapters hang on: it tells whether they are what they would be now."""
    return artifacts.make_key(**{chapter: _key(run, chapter, {}) for chapter in chapters})


def _key(run: Run, chapter: str, injected: dict[str, Any]) -> str:
    """Hash of all that a chapter's outputs depend on: sources, code, parameters, files and stages by content."""
    return artifacts.make_key(
        source=artifacts.file_digest(chapters_dir() / f"{chapter}.md"),
        ledger=artifacts.file_digest(data_dir() / "claims.yml"),
        trials=artifacts.file_digest(trials) if (trials := book_dir() / "trials.json").is_file() else "",
        study=run.study.digest(),
        parameters=sorted((key, repr(value)) for key, value in injected.items()),
        code=package_digest(),
        files={name: run.fingerprint(name) for name in study_files(run.study)},
        stages={name: run.key(name) for name in stages_of(run.study)},
    )


def _stamp_path(run: Run, chapter: str) -> Path:
    return run.folder / "executed" / f"{chapter}.json"


def _is_current(run: Run, chapter: str, key: str, out: Path) -> bool:
    """Tell whether the notebook is the very one made by what the key hashes, from artifacts that are as they were."""
    record = notebooks.read_stamp(_stamp_path(run, chapter), key, out / f"{chapter}.ipynb")
    return record is not None and all(run.is_as_used(name, checksum) for name, checksum in record["used"].items())


def _execute(run: Run, chapter: str, source: nbformat.NotebookNode, given: dict[str, Any], key: str, out: Path) -> None:
    """Execute a chapter, and note notebook and record together under the key that made them."""
    with tempfile.TemporaryDirectory(prefix="emonb-record-") as folder:
        record = Path(folder) / f"{chapter}.json"
        with patch.dict(os.environ, {RECORD: str(record)}):
            executed = notebooks.execute(source, given, chapter, run.folder / "failed" / f"{chapter}.ipynb")
        noted = json.loads(record.read_text(encoding="utf-8"))
    path = out / f"{chapter}.ipynb"
    notebooks.write(executed, path)
    notebooks.write_stamp(_stamp_path(run, chapter), key, path, noted)
