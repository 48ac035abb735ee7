"""A stage in parts: its units as files, made by as many processes or machines as one likes, and joined.

A part is a safetensors file in the stage's work folder. It says what it is a part of (a hash of the stage's key, of the
results it was made from, and of its name) and how it was made (device, PyTorch or NumPy, threads, positions): the same
units made in the same way are the same bits, so the whole is what one machine would have given. Parts that were made in
different ways are not joined unless one asks for it, and the result says so.
"""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emonb import artifacts
from emonb.errors import PartError, StudyError
from emonb.run.stages import LIVE, stage_of
from emonb.units import Arrays, Make

if TYPE_CHECKING:
    from emonb.run.runs import Run

log = logging.getLogger("emonb")
_ABOUT = ("device", "processor", "torch", "numpy", "threads", "budget")


class Made(Exception):
    """The parts that were asked for are made; there is no whole to return."""


class Parts:
    """The parts of one stage; a :class:`emonb.units.Work`.

    Parameters
    ----------
    stage : str
    names : sequence of str
        Names of all units, in order.
    origin : dict
        What all parts are made from: the stage's key, checksums of the results it needs.
    folder : Path
    only : sequence of str, optional
        Make these and stop. If not given, make what is missing and return everything.
    join : bool
        Make nothing.
    mixed : bool
        Join also parts that were made in different ways.
    so_far : bool
        Join the parts there are, up to the first that is missing.
    """

    def __init__(
        self,
        stage: str,
        names: Sequence[str],
        origin: Mapping[str, Any],
        folder: Path,
        only: Sequence[str] | None = None,
        join: bool = False,
        mixed: bool = False,
        so_far: bool = False,
    ) -> None:
        self.stage, self.names, self.folder, self.only = stage, list(names), folder, only
        self.join, self.mixed, self.halve, self.so_far = join, mixed, only is None, so_far
        self.seconds, self.attributes = 0.0, dict[str, Any](parts=len(self.names))
        self._origin = dict(origin)

    def path(self, name: str) -> Path:
        """File of a part."""
        return self.folder / f"{name}.safetensors"

    def missing(self) -> list[str]:
        """Names of units whose part is not there, or is of something else."""
        return [name for name in self.names if self._about(name).get("unit") != self._hash(name)]

    def each(self, units: Mapping[str, Any], begin: Callable[[], Make], progress: bool = False) -> list[Arrays]:
        """Make what is to be made here; return the arrays of every unit.

        Raises
        ------
        Made
            Only some parts were to be made.
        PartError
            A part is missing or damaged, parts were made in different ways, memory ran out in a part.
        """
        from tqdm import tqdm

        if list(units) != self.names:
            raise PartError(f"{self.stage} has {len(units)} parts, the study says {len(self.names)}")
        missing = [] if self.join else [n for n in self.missing() if self.only is None or n in self.only]
        make = begin() if missing else None
        for name in tqdm(missing, unit="part", desc=self.stage, disable=not progress):
            assert make is not None
            self._make(name, units[name], make)
        if self.only is not None:
            raise Made
        return self._join()

    def _make(self, name: str, unit: Any, make: Make) -> None:
        from safetensors.numpy import save_file

        checkpoint, start = self.folder / f"{name}.unfinished", time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            arrays, about = make(unit, checkpoint)
        except Exception as error:
            if self.halve or type(error).__name__ != "OutOfMemoryError":  # PyTorch's, or ours where it would halve
                raise
            raise PartError(
                f"{self.stage}, part {name}: memory ran out. Batches of a part are not halved, which would change bits; "
                "set a smaller tuning.tokens_per_batch for the study, and make all parts with it"
            ) from None
        about |= {"unit": self._hash(name), "content": _digest(arrays), "key": self._origin["key"]}
        with artifacts.replacing(self.path(name)) as file:
            save_file(arrays, file, about | {"seconds": f"{time.perf_counter() - start:.3f}"})
        checkpoint.unlink(missing_ok=True)

    def _join(self) -> list[Arrays]:
        missing, names = self.missing(), self.names
        if self.so_far and missing:
            names = names[: names.index(missing[0])]
            missing = [] if names else missing
        if missing:
            raise PartError(f"{self.stage}: {len(missing)} of {len(self.names)} parts are missing: {_list(missing)}")
        about = {name: self._about(name) for name in names}
        self.seconds = sum(float(a["seconds"]) for a in about.values())
        ways: dict[tuple[str, ...], list[str]] = {}
        compared = [field for field in _ABOUT if self.join or field != "budget"]  # one machine may have halved
        for name, a in about.items():
            ways.setdefault(tuple(a[field] for field in compared if field in a), []).append(name)
        if len(ways) > 1 and not self.mixed:
            listed = "; ".join(f"{_list(names)} with {', '.join(way)}" for way, names in ways.items())
            raise PartError(
                f"{self.stage}: parts were made in different ways, whose rounding differs: {listed}. Delete what should be "
                f"made anew from {self.folder}, or join them with --allow-mixed, which the result will say"
            )
        first = about[names[0]]
        self.attributes |= {field: first[field] for field in _ABOUT if field in first and len(ways) == 1}
        self.attributes |= {"seconds": self.seconds, "mixed": int(len(ways) > 1)}
        self.attributes["halved"] = int(any(a.get("halved") == "1" for a in about.values()))
        if len(ways) > 1:
            self.attributes["device"] = " and ".join(dict.fromkeys(a.get("device", "any") for a in about.values()))
        return [self._read(name) for name in names]

    def _about(self, name: str) -> dict[str, str]:
        """What a part says of itself; nothing if it is not there or cannot be read."""
        from safetensors import SafetensorError, safe_open

        if not self.path(name).is_file():
            return {}
        try:
            with safe_open(self.path(name), framework="numpy") as file:
                return dict(file.metadata() or {})
        except SafetensorError as error:
            log.warning("%s cannot be read (%s)", self.path(name), error)
            return {}

    def _read(self, name: str) -> Arrays:
        from safetensors.numpy import load_file

        arrays: Arrays = load_file(self.path(name))
        if _digest(arrays) != self._about(name)["content"]:
            raise PartError(f"{self.path(name)} was changed after it was written; delete it, and it is made anew")
        return arrays

    def _hash(self, name: str) -> str:
        return artifacts.make_key(stage=self.stage, name=name, parts=len(self.names), **self._origin)


def parts_of(run: "Run", name: str, need: bool = False, **how: Any) -> Parts:
    """Parts of a stage of a study.

    Parameters
    ----------
    run : Run
    name : str
        Stage.
    need : bool
        Refuse to make the results that the stage needs; they are made first otherwise.
    **how
        As of :class:`Parts`.

    Raises
    ------
    StudyError
        A stage that is not made in parts.
    PartError
        A result the stage needs is not there.
    """
    stage = stage_of(name, run.study)
    if stage.units is None:
        divided = ", ".join(name for name, live in LIVE.items() if live.units)
        raise StudyError(f"'{name}' is not made in parts; in parts: {divided}, where computed")
    origin: dict[str, Any] = {"key": run.key(name)}
    for given in stage.given.values():
        if given.stage and stage_of(given.stage, run.study).stored:
            if need and not run.has(given.stage):
                first = f"emonb artifact {run.study.name} {given.stage}"
                raise PartError(f"{name} is made from {given.stage}, which is not there; first: {first}")
            origin[given.stage] = artifacts.checksum(run.load(given.stage))
    return Parts(name, stage.units(run.study), origin, run.work(name), **how)


def make_part(run: "Run", name: str, number: int, of: int) -> list[str]:
    """Make units ``number``, ``number + of``, ... (from 1) of a stage that are missing; return their names."""
    if not 1 <= number <= of:
        raise StudyError(f"part {number}/{of}: give I/N with I from 1 to N")
    if run.has(name):
        return []
    parts = parts_of(run, name, need=True)
    mine = [unit for unit in parts.missing() if unit in parts.names[number - 1 :: of]]
    if mine:
        with contextlib.suppress(Made):
            run.make(name, parts_of(run, name, only=mine))
    return mine


def join_parts(run: "Run", name: str, mixed: bool = False) -> Path:
    """Make a result from its parts, without computing any; return its path."""
    with run.making(name):  # who else joins the same parts removes them
        if not run.has(name):
            parts = parts_of(run, name, need=True, join=True, mixed=mixed)
            missing = parts.missing()
            if missing:  # said before anything is read
                raise PartError(f"{name}: {len(missing)} of {len(parts.names)} parts are missing: {_list(missing)}")
            run.store(name, run.make(name, parts))
    return run.path(name)


def count_parts(run: "Run", name: str) -> dict[str, Any]:
    """State of a stage: ``key``, ``units``, ``done``, ``missing`` (names), ``whole`` (whether the result is there)."""
    stage = stage_of(name, run.study)
    needed = [g.stage for g in stage.given.values() if g.stage and stage_of(g.stage, run.study).stored]
    if stage.units is not None and all(run.has(n) for n in needed):
        parts = parts_of(run, name)
        names, missing = parts.names, parts.missing()
    else:
        names = missing = stage.units(run.study) if stage.units else [name]
    whole = run.has(name)
    missing = [] if whole else list(missing)
    return {
        "key": run.key(name),
        "units": len(names),
        "done": len(names) - len(missing),
        "missing": missing,
        "whole": whole,
    }


def _digest(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        total.update(arrays[name].tobytes())
    return total.hexdigest()


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
