"""What lies in the store, which studies refer to it, and the removal of what none refers to.

A study refers to what its keys name as they are now. Studies are those that ship with the package,
and those of which a run folder holds a note: who deletes a run folder lets go of its results.
"""

import contextlib
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from emonb import store
from emonb.errors import EmonbError, StoreError
from emonb.paths import runs_dir, store_dir
from emonb.run.runs import NOTE, Run
from emonb.run.stages import LIVE, STAGES, planted_files, stages_of
from emonb.study import Study, list_studies, load_study
from emonb.world import files

FRESH = 24 * 3600
"""Seconds for which what is unfinished may be in the making: parts are made without a lock."""


class Entry(NamedTuple):
    """A result, the parts of one, or a world: what it is, who refers to it, why it stays if nobody does."""

    path: Path
    what: str
    bytes: int
    studies: tuple[str, ...]
    kept: str

    @property
    def stays(self) -> bool:
        """Whether clearing leaves it."""
        return bool(self.studies or self.kept)


def list_entries() -> list[Entry]:
    """List all that is in the store; say why it stays."""
    referred, untold = _read_references()
    root = store_dir()
    found = [("{}", path) for path in root.glob("*") if path.is_file()]
    found += [("parts of {}", path) for path in root.glob("work/*")]
    found += [("world: {}", path) for path in root.glob("worlds/*")]
    entries = []
    for what, path in sorted(found, key=lambda each: each[1]):
        stage = _stem(path).rpartition("-")[0]
        unfinished = path.name.startswith(".")
        needless = unfinished or (root / f"{path.name}.nc").exists()  # such as parts of what is whole
        studies = () if needless else tuple(referred.get(_stem(path), ()))
        kept = untold.get(stage, "") or _tell_making(path)
        entries.append(Entry(path, what.format("unfinished" if unfinished else stage), _count_bytes(path), studies, kept))
    return entries


def describe(entries: list[Entry]) -> Iterator[str]:
    """Sizes by stage and by the studies that refer to it, and why the rest stays; a line each."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        first, *more = entry.studies or ("no study",)
        groups[entry.what, f"{first} and {len(more)} more" if more else first].append(entry)
    yield f"{'what':28} {'of':44} {'n':>5} {'MB':>10}"
    for (what, studies), group in sorted(groups.items()):
        megabytes = sum(entry.bytes for entry in group) / 1e6
        yield f"{what:28} {studies:44} {len(group):5} {megabytes:10.2f}"
    for entry in entries:
        if entry.kept and not entry.studies:
            yield f"{entry.path.name} stays: {entry.kept}"


def clear(entries: list[Entry]) -> list[Entry]:
    """Remove what no study refers to and nobody makes; return what was removed."""
    removed = []
    for entry in entries:
        if entry.stays:
            continue
        # somebody began to make it meanwhile
        with contextlib.suppress(StoreError), store.locked(_stem(entry.path), wait=False):
            if entry.path.is_dir():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink(missing_ok=True)
            removed.append(entry)
    return removed


def _read_references() -> tuple[dict[str, dict[str, None]], dict[str, str]]:
    """Names of studies by what their keys name; and by stage why a key cannot be told, so that all stays."""
    referred: dict[str, dict[str, None]] = defaultdict(dict)
    untold: dict[str, str] = {}
    for study in _list_studies(untold):
        for run in _list_runs(study):
            for name, stage in stages_of(run.study).items():
                if not stage.stored:
                    continue
                try:
                    referred[f"{name}-{run.key(name)}"][run.name] = None
                except (EmonbError, OSError) as error:
                    untold[name] = f"the key of {run.name} cannot be told: {error}"
            for name in planted_files(run.study):
                referred[files.folder_of(run.study, name).name][run.name] = None
    return referred, untold


def _list_studies(untold: dict[str, str]) -> Iterator[Study]:
    """Studies that ship with the package, then those of run folders."""
    yield from map(load_study, list_studies())
    for path in sorted(runs_dir().glob(f"*/{NOTE}")):
        try:
            yield Study.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            reason = f"{path} is no study of this version; delete its folder if it is not needed"
            untold |= dict.fromkeys([*STAGES, *LIVE], reason)


def _list_runs(study: Study) -> Iterator[Run]:
    """The study itself, and on networks with random weights."""
    yield Run(study, progress=False)
    for baseline in study.baselines if study.untrained_baseline else ():
        yield Run(study, progress=False).untrained(baseline)


def _tell_making(path: Path) -> str:
    """Say why something may be in the making, or return an empty string."""
    if store.is_locked(_stem(path)):
        return "it is being made"
    inner = list(path.rglob("*")) if path.is_dir() else []
    whole = path.suffix == ".nc" or (path.is_dir() and path.parent.name == "worlds")
    if whole and not path.name.startswith("."):
        return ""
    latest = max(each.stat().st_mtime for each in (path, *inner))
    return "it was written less than a day ago and is not finished" if time.time() - latest < FRESH else ""


def _stem(path: Path) -> str:
    """Name and key of what a file or folder is, or was to become."""
    return path.name.removeprefix(".").partition(".")[0]


def _count_bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
