"""Editions: the chapters of the book executed for one study, from one MyST source each, resumable and checkable."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from emonb import __version__, artifacts
from emonb.book import claims, pages
from emonb.data import sources
from emonb.errors import StudyError
from emonb.paths import book_dir, chapters_dir, data_dir, runs_dir
from emonb.run import notebooks
from emonb.run.stages import Run, study_files
from emonb.study import load_study

CHAPTERS = ("prompts", "activations", "structure", "attributes", "lesions")
FRONT = ("index", "controls", "deviations", "calibration")
NEED_DATA = ("deviations",)  # front pages that read the published study's files
Log = Callable[[str], None]


def front_pages() -> list[str]:
    """Executed pages around the editions that have a source."""
    return [name for name in FRONT if (chapters_dir() / f"{name}.md").is_file()]


def read_source(chapter: str) -> nbformat.NotebookNode:
    """Read a chapter's MyST source as an unexecuted notebook with stable cell ids.

    Raises
    ------
    StudyError
        No such chapter.
    """
    path = chapters_dir() / f"{chapter}.md"
    if not path.is_file():
        raise StudyError(f"unknown chapter '{chapter}'; known: {', '.join(CHAPTERS)}")
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{chapter}-{number}"
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.pop("jupytext", None)
    return notebook


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
        Study fields to change. A changed study goes to its own folder under the run directory, so that the committed
        edition is never overwritten by it.
    chapters : tuple of str
    out : Path, optional
        Folder for the executed notebooks and ``claims.json``.
    force : bool
        Execute also what is unchanged.
    log : callable
        Receives one line per chapter.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StudyError
        Unknown study, chapter or parameter, or a wrong type; before anything runs.
    EmonbError
        A chapter failed; the others' results are kept.
    """
    parameters = parameters or {}
    configured = load_study(study, **parameters)
    changed = configured.run_name != configured.name or study != configured.name or not configured.edition
    run = Run(configured)
    out = out or (run.folder / "book" if changed else book_dir() / configured.name)
    injected = {"study": str(Path(study).resolve()) if study.endswith((".yml", ".yaml")) else study}
    for number, chapter in enumerate(chapters, 1):
        state = "unchanged"
        if force or not _is_current(run, chapter, injected, parameters, out):
            _execute(run, chapter, injected, parameters, out)
            state = "executed"
        log(f"[{number}/{len(chapters)}] {chapter}: {state} -> {out / f'{chapter}.ipynb'}")
    if set(chapters) == set(CHAPTERS):
        record = claims.merge_records([_record_path(run, chapter) for chapter in chapters])
        head = {"study": configured.name, "study_hash": configured.digest()[:12], "emonb": __version__}
        artifacts.write_text(json.dumps({**head, **record}, indent=1) + "\n", out / "claims.json")
    return out


def run_front(log: Log = lambda line: None) -> None:
    """Execute the pages around the editions (index, ...) where what they read has changed; only in a checkout."""
    if not (data_dir().parent / "book").is_dir():
        return
    for page in front_pages():
        path, stamp = book_dir() / f"{page}.ipynb", runs_dir() / "front" / f"{page}.json"
        key = artifacts.make_key(
            source=(chapters_dir() / f"{page}.md").read_text(encoding="utf-8"),
            ledger=(data_dir() / "claims.yml").read_text(encoding="utf-8"),
            editions=read_ledgers(),
            code=_package_digest(),
        )
        state = "unchanged"
        reason = "" if _stamped(stamp, key, path) or page not in NEED_DATA else _missing_data()
        if reason and path.is_file():
            state = f"kept as committed ({reason})"
        elif not _stamped(stamp, key, path):
            notebook = notebooks.execute(read_source(page), {})
            notebooks.write(notebook, path)
            if page == "index":
                notebooks.export_picture(notebook, book_dir() / "_static" / "main-result.png")
            _stamp(stamp, key, path)
            state = "executed"
        log(f"{page}: {state} -> {path}")
    declared = claims.read_declarations(data_dir() / "claims.yml")
    pages.refresh_readme(data_dir().parent / "README.md", declared, read_ledgers())


def _missing_data() -> str:
    return sources.available(study_files(load_study("published")))


def read_ledgers() -> dict[str, dict[str, Any]]:
    """Committed ledgers by edition, the published one first."""
    paths = sorted(book_dir().glob("*/claims.json"), key=lambda p: (p.parent.name != "published", p.parent.name))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def check_edition(study: str, chapters: tuple[str, ...] = CHAPTERS, log: Log = lambda line: None) -> list[dict[str, Any]]:
    """Re-execute a committed edition in a clean run directory and compare every quantity and verdict.

    Returns
    -------
    list of dict
        One row per quantity and verdict: ``name``, ``committed``, ``recomputed``, ``tolerance``, ``same``.

    Raises
    ------
    StudyError
        The edition has no committed ledger.
    """
    ledgers = read_ledgers()
    load_study(study)
    if study not in ledgers:
        raise StudyError(f"no committed edition '{study}': {book_dir() / study / 'claims.json'} is missing; run it first")
    declared = claims.read_declarations(data_dir() / "claims.yml")
    with tempfile.TemporaryDirectory(prefix="emonb-check-") as folder, _environment("EMONB_RUNS", folder):
        run_edition(study, chapters=chapters, out=Path(folder) / "book", log=log)
        records = [_record_path(Run(load_study(study)), chapter) for chapter in chapters]
        fresh = claims.merge_records(records)
    return compare_ledgers(ledgers[study], fresh, declared)


def compare_ledgers(
    committed: dict[str, Any], fresh: dict[str, Any], declared: claims.Declarations
) -> list[dict[str, Any]]:
    """Compare two ledgers, quantity by quantity within the declared tolerances.

    Verdicts must be the same, unless a quantity they rest on lies within its own tolerance of the criterion's bound.
    """
    study, rows = committed.get("study", "published"), []
    for name in sorted({*committed["quantities"], *fresh["quantities"]}):
        old, new = committed["quantities"].get(name), fresh["quantities"].get(name)
        tolerance = declared.tolerance(name, old, study) if old is not None else 0.0
        same = old is not None and new is not None and abs(new - old) <= tolerance
        rows.append({"name": name, "committed": old, "recomputed": new, "tolerance": tolerance, "same": same})
    for name in sorted({*committed["claims"], *fresh["claims"]}):
        for kind in ("reproduced", "holds"):
            old, new = (ledger["claims"].get(name, {}).get(kind) for ledger in (committed, fresh))
            near = old is not None and new is not None and declared.is_near(name, kind, committed["quantities"], study)
            row = {"name": f"{name}: {kind}", "committed": old, "recomputed": new, "tolerance": 0.0}
            rows.append({**row, "same": old == new or near})
    return rows


def _package_digest() -> list[str]:
    package = Path(__file__).resolve().parents[1]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(package.rglob("*.py")) if path.stem != "cli"]


def _stamp(stamp: Path, key: str, notebook: Path) -> None:
    """Note what made a notebook, and the notebook's hash."""
    artifacts.write_text(json.dumps({"key": key, "sha256": _sha256(notebook)}), stamp)


def _stamped(stamp: Path, key: str, notebook: Path) -> bool:
    """Tell whether the notebook is there, unchanged, and was made by what this key hashes."""
    if not (stamp.is_file() and notebook.is_file()):
        return False
    return bool(json.loads(stamp.read_text(encoding="utf-8")) == {"key": key, "sha256": _sha256(notebook)})


def _record_path(run: Run, chapter: str) -> Path:
    return run.folder / "claims" / f"{chapter}.json"


def _key(run: Run, chapter: str, injected: dict[str, Any], parameters: dict[str, Any]) -> str:
    return artifacts.make_key(
        source=(chapters_dir() / f"{chapter}.md").read_text(encoding="utf-8"),
        ledger=(data_dir() / "claims.yml").read_text(encoding="utf-8"),
        study=run.study.digest(),
        parameters=[{k: str(v) for k, v in {**injected, **parameters}.items()}],
        code=_package_digest(),
    )


def _is_current(run: Run, chapter: str, injected: dict[str, Any], parameters: dict[str, Any], out: Path) -> bool:
    stamp, key = run.folder / "executed" / f"{chapter}.json", _key(run, chapter, injected, parameters)
    return _record_path(run, chapter).is_file() and _stamped(stamp, key, out / f"{chapter}.ipynb")


def _execute(run: Run, chapter: str, injected: dict[str, Any], parameters: dict[str, Any], out: Path) -> None:
    notebook = read_source(chapter)
    given = {**injected, **_split_parameters(notebook, parameters)}
    notebooks.write(notebooks.execute(notebook, given), out / f"{chapter}.ipynb")
    stamp, key = run.folder / "executed" / f"{chapter}.json", _key(run, chapter, injected, parameters)
    _stamp(stamp, key, out / f"{chapter}.ipynb")


def _split_parameters(notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters the chapter's parameter cell names are injected as they are; all others go into ``overrides``."""
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    named = {line.split("=")[0].strip() for line in cell.source.splitlines() if "=" in line}
    split = {key: value for key, value in parameters.items() if key in named}
    rest = {key: value for key, value in parameters.items() if key not in named}
    return {**split, "overrides": rest} if rest else split


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


__all__ = ["CHAPTERS", "check_edition", "read_ledgers", "read_source", "run_edition", "run_front"]
