"""The store: every result once, in one folder, by its key, whichever study asked for it first.

``NAME-KEY.nc`` is a result, ``work/NAME-KEY`` holds its unfinished parts, ``worlds`` what is
planted, ``locks`` says what is being made. All that makes a result is in its key, so studies,
processes and machines may share one store.
"""

import contextlib
import errno
import logging
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import filelock
import xarray as xr

from emonb import artifacts
from emonb.errors import ArtifactError, StoreError
from emonb.paths import store_dir

log = logging.getLogger("emonb")
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers to one who asks for a lock."""


def result(name: str, key: str) -> Path:
    """File of a result."""
    return store_dir() / f"{name}-{key}.nc"


def work(name: str, key: str) -> Path:
    """Folder of the parts of a result that is being made."""
    return store_dir() / "work" / f"{name}-{key}"


@contextlib.contextmanager
def locked(stem: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock of something that is made; where another process makes the same, wait for it, or raise a StoreError.

    The operating system takes the lock back when the process ends, however it ends. On a file system without locks a file
    stands for one, with a line that says so.
    """
    path = _lock(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock: filelock.BaseFileLock = filelock.FileLock(path)
    try:
        _acquire(lock, stem, wait)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        # of another name: the file of the lock that was refused is there, and would count as one
        lock = filelock.SoftFileLock(path.with_suffix(".held"))
        _tell_no_locks(path.parent, error.strerror)
        _acquire(lock, stem, wait)
    try:
        yield
    finally:
        lock.release()


def is_locked(stem: str) -> bool:
    """Tell whether something is being made."""
    if not _lock(stem).exists():
        return False
    try:
        with locked(stem, wait=False):
            return False
    except StoreError:
        return True


def _lock(stem: str) -> Path:
    return store_dir() / "locks" / f"{stem}.lock"


@cache
def _tell_no_locks(folder: Path, reason: str) -> None:
    log.warning("%s: %s. Files named .held stand for locks there", folder, reason)


def _acquire(lock: filelock.BaseFileLock, stem: str, wait: bool) -> None:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            raise StoreError(f"another process is making {stem} ({lock.lock_file})") from None
        log.warning("another process is making %s; waiting for it (%s)", stem, lock.lock_file)
        lock.acquire()


def check() -> None:
    """Find out, once a process and before hours of work, whether the store holds what is written; a StoreError if not."""
    _check(store_dir())


@cache
def _check(folder: Path) -> None:
    path, tiny = folder / f".check-{uuid.uuid4().hex[:8]}.part", xr.Dataset({"a": ("x", [1.0])})
    try:
        artifacts.read(artifacts.write(tiny, path))
    except (OSError, ArtifactError) as error:
        raise StoreError(
            f"results cannot be kept in {folder}: {error}. Nothing was made; mend the folder, or set EMONB_STORE to another"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
