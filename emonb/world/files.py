"""Files of a planted world on disk: made when a study that names them (``planted:NAME``) first asks, and kept by key.

The corpus and human files take a second, the backbone half a minute; all are under ``worlds/`` in
the store, where studies that share a world find them.
"""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from emonb import artifacts, store
from emonb.errors import StudyError
from emonb.paths import data_dir, store_dir
from emonb.study import Study
from emonb.world.world import FILES, Truth, World, write_world

PREFIX = "planted:"
BACKBONE = "planted:backbone"
_FOR_BACKBONE = ("seed", "training_seed", "wiring", "voiced", "names", "depth", "steps", "batch", "learning_rate")


def is_planted(name: str) -> bool:
    """Tell a file of the study's planted world from any other."""
    return name.startswith(PREFIX)


def fingerprint(study: Study, name: str) -> str:
    """Hash of all that makes a planted file: the world's plan, its labels, the code; StudyError for an unknown file."""
    assert study.world is not None
    if name != BACKBONE and name.removeprefix(PREFIX) not in FILES:
        raise StudyError(f"the planted world has no file '{name}'; known: {PREFIX}{f', {PREFIX}'.join(FILES)}, {BACKBONE}")
    plan = study.world.model_dump(mode="json")
    if name == BACKBONE:
        levels = ("correlation",) if study.world.names else ()  # of the emotions, which only then it has met
        plan = {field: plan[field] for field in (*_FOR_BACKBONE, *levels)}
    module = "emonb.world.network" if name == BACKBONE else "emonb.world.world"
    return artifacts.make_key(
        plan=plan,
        words=artifacts.file_digest(data_dir() / "world.yml"),
        attributes=list(study.attributes),
        emotions=list(study.emotions),
        code=artifacts.code_digest(module),
    )


def folder_of(study: Study, name: str) -> Path:
    """Folder of a planted file, or of the backbone, by its fingerprint."""
    kind = "backbone" if name == BACKBONE else "files"
    return store_dir() / "worlds" / f"{kind}-{fingerprint(study, name)}"


def plant(study: Study, name: str, progress: bool = True) -> Path:
    """Return the path of a planted file or of the backbone's folder, made first if it is not there."""
    folder = folder_of(study, name)
    if name == BACKBONE:
        from emonb.model.batches import limit_threads
        from emonb.world.network import train_backbone

        checkpoint = folder.with_name(f"{folder.name}.safetensors")  # its name holds the hash of all that matters
        with limit_threads(study.threads):
            _make(folder, lambda part: train_backbone(_world(study), part, progress, checkpoint))
        checkpoint.unlink(missing_ok=True)
        return folder
    return _make(folder, lambda part: write_world(_world(study), part)) / name.removeprefix(PREFIX)


def read_truth(study: Study) -> Truth | None:
    """What is true in a study's world, for the ledger; None for a study of the real world."""
    return None if study.world is None else _world(study).truth()


def _world(study: Study) -> World:
    assert study.world is not None
    return World(study.world, study.emotions, study.attributes)


def _make(folder: Path, write: Callable[[Path], None]) -> Path:
    """Fill a folder so that it either holds everything or does not exist; other processes wait."""
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    with store.locked(folder.name):
        if folder.is_dir():  # another process was first
            return folder
        part.mkdir(parents=True)
        try:
            write(part)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder
