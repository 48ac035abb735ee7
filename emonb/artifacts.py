"""Artifacts: labelled results on disk, keyed by everything that made them, written atomically.

The key of an artifact is a hash of the study fields the stage reads, of the source code it runs, of the upstream files
(by sha256) and of the artifacts it was made from. A changed key is another file, so nothing stale can be read.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import xarray as xr


def make_key(**parts: Any) -> str:
    """Hash JSON-able parts into a key (20 hex digits)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


@cache
def code_digest(module: str) -> str:
    """sha256 of a module's source together with every ``emonb`` module it imports, directly or not."""
    seen: dict[str, bytes] = {}
    _collect(module, seen)
    return hashlib.sha256(b"".join(seen[name] for name in sorted(seen))).hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, which takes its place when the block ends well and is removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write(dataset: xr.Dataset, path: Path) -> Path:
    """Write a labelled dataset to netCDF4 so that ``path`` either holds all of it or does not exist.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : Path
        Final name; its folder is made if needed.

    Returns
    -------
    Path
        ``path``.
    """
    with replacing(path) as part:
        dataset.to_netcdf(part, engine="h5netcdf")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    return path


def read(path: Path) -> xr.Dataset:
    """Read a whole artifact into memory."""
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return dataset.load()


def write_text(text: str, path: Path) -> Path:
    """Write text atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _collect(module: str, seen: dict[str, bytes]) -> None:
    if module in seen:
        return
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    source = Path(spec.origin).read_bytes()
    seen[module] = source
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "emonb":
            names = [f"emonb.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.startswith("emonb.") and importlib.util.find_spec(name):
                _collect(name, seen)
