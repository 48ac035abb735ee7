"""Artifacts: labelled results on disk, keyed by everything that made them, written atomically, with a checksum.

The key of an artifact is a hash of the arguments its stage is given (study fields, contents of files and checkpoints, keys
of other artifacts) and of the source code it runs. A changed key is another file, so nothing stale can be read; a file
whose content no longer fits its checksum is never used.
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

import numpy as np
import xarray as xr

from emonb.errors import ArtifactError, StoreError

DECLARATIONS = ("emonb.errors", "emonb.paths", "emonb.study")
"""Modules that change no result by themselves: messages, folders, and fields whose values are in the keys."""


def make_key(**parts: Any) -> str:
    """Hash JSON-able parts into a key (20 hex digits).

    >>> make_key(seeds=[1, 3], size=4000) == make_key(size=4000, seeds=[1, 3])
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def code_digest(module: str) -> str:
    """sha256 of a module's source with every ``emonb`` module it imports, directly or not, at its top or in a function."""
    return hashlib.sha256("".join(f"{name} {source_digest(name)}\n" for name in code_modules(module)).encode()).hexdigest()


@cache
def code_modules(module: str) -> tuple[str, ...]:
    """Names of the ``emonb`` modules whose source :func:`code_digest` hashes, sorted."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen and name not in DECLARATIONS:
            seen.add(name)
            waiting += _imports(name)
    return tuple(sorted(seen))


@cache
def source_digest(module: str) -> str:
    """sha256 of one module's source."""
    return hashlib.sha256(_source(module)).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's content (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, which takes its place when the block ends well and is removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write(dataset: xr.Dataset, path: Path) -> Path:
    """Write a labelled dataset to netCDF4 so that ``path``, which is returned, either holds all of it or does not exist.

    Boolean variables (masks) are compressed; the folder is made if needed.
    """
    packed = {name: {"zlib": True, "complevel": 1} for name, v in dataset.data_vars.items() if v.dtype == bool}
    marked = dataset.assign_attrs(checksum=checksum(dataset))
    content = marked.to_netcdf(engine="h5netcdf", encoding=packed)  # in memory: HDF5 does not survive a disk that is full
    return write_bytes(content, path)


def read(path: Path) -> xr.Dataset:
    """Read a whole artifact into memory.

    HDF5 reads from a file that Python opened: it asks for no lock then, which a file system may not have and another
    process may hold, and it keeps no second copy.

    Raises
    ------
    FileNotFoundError
        There is none.
    StoreError
        The file system does not give it.
    ArtifactError
        The file is cut short, or its content is not what was written.
    """
    try:
        with path.open("rb") as opened, xr.open_dataset(opened, engine="h5netcdf") as file:
            dataset = file.load()
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        # the operating system's errors have a number, those of HDF5 about a file have none
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(f"{path} cannot be read now ({error.strerror}); it is not made anew") from None
        raise ArtifactError(
            f"{path} cannot be read ({str(error).splitlines()[0]}); likely a write that was cut short"
        ) from None
    found = checksum(dataset)
    if dataset.attrs.get("checksum") != found:
        raise ArtifactError(f"{path} was changed after it was written: checksum {found[:12]} is not the one it carries")
    return dataset


def read_checksum(path: Path) -> str:
    """Checksum of an artifact, whole as :func:`read` finds it; the same file is read once in a process."""
    status = path.stat()
    return _read_checksum(path, status.st_ino, status.st_mtime_ns, status.st_size)


@cache
def _read_checksum(path: Path, *state: int) -> str:
    return str(read(path).attrs["checksum"])


def checksum(dataset: xr.Dataset) -> str:
    """sha256 of names, dimensions and values of a dataset; attributes are left out (hex)."""
    total = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        total.update(f"{name} {variable.dims} {variable.shape}".encode())
        if variable.dtype.kind in "OUST":
            total.update("\0".join(map(str, variable.values.ravel())).encode())
        else:
            total.update(np.ascontiguousarray(variable.values).data)
    return total.hexdigest()


def write_text(text: str, path: Path) -> Path:
    """Write text (UTF-8, line ends as they are) atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return path


def write_bytes(content: bytes | memoryview, path: Path) -> Path:
    """Write bytes atomically."""
    with replacing(path) as part:
        part.write_bytes(content)
    return path


def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin).read_bytes()


def _imports(module: str) -> list[str]:
    """Modules of ours that a module imports; ``from a.b import c`` is ``a.b.c`` where that is a module, else ``a.b``."""
    found = []
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("emonb.")]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "emonb":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append(inner if _is_module(inner) else node.module)
    return [name for name in found if name != "emonb"]


def _is_module(name: str) -> bool:
    """Tell a module from what a module defines, and import neither: some of ours import PyTorch."""
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    is_package = parent is not None and parent.submodule_search_locations is not None
    return is_package and importlib.util.find_spec(name) is not None
