"""Upstream files: listed in ``data/registry.txt``, fetched by hash, never part of this repository.

A file is looked for in the mirror folder (``EMONB_MIRROR``), then in the cache, then on the network; wherever it comes
from, its sha256 must be the registry's. Finished files are never fetched again, so an interrupted fetch resumes.
"""

import functools
import hashlib
import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import pooch
import requests
from requests.exceptions import RequestException
from tqdm import tqdm

from emonb.errors import SourceError
from emonb.paths import cache_dir, data_dir

BASE_URL = "https://raw.githubusercontent.com/"
MIRROR_HINT = "give a folder that repeats these paths with EMONB_MIRROR=DIR (or `emonb fetch STUDY --mirror DIR`)"


class Entry(NamedTuple):
    """One line of the registry: sha256 (hex) and size in bytes."""

    sha256: str
    bytes: int


@functools.cache
def registry(path: Path | None = None) -> dict[str, Entry]:
    """Read the registry: URL path -> sha256 and size."""
    entries = {}
    for line in (path or data_dir() / "registry.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, sha256, size = line.split()
            entries[name] = Entry(sha256, int(size))
    return entries


def is_local(name: str) -> bool:
    """Tell a file of your own (``local:PATH`` in a study) from an upstream one."""
    return name.startswith("local:")


def fingerprint(name: str) -> str:
    """sha256 of a file a study names: the registry's, or that of the local file as it is now."""
    if is_local(name):
        return _sha256(_local(name))
    return _entry(name).sha256


def available(names: Iterable[str], mirror: Path | None = None, timeout: float = 3.0) -> str:
    """Say why the files cannot be had, or return an empty string when they can.

    Parameters
    ----------
    names : iterable of str
        URL paths of the registry.
    mirror : Path, optional
        Mirror folder; default ``EMONB_MIRROR``.
    timeout : float
        Seconds to wait for the upstream host when files are neither in the mirror nor in the cache.

    Returns
    -------
    str
        Reason, or ``""``.
    """
    entries, mirror = registry(), _mirror(mirror)
    names = [name for name in names if not is_local(name)]
    missing = [name for name in names if not any(_complete(place, entries[name]) for place in _places(name, mirror))]
    if not missing:
        return ""
    try:
        requests.head(BASE_URL + missing[0], timeout=timeout, allow_redirects=True).raise_for_status()
    except RequestException:
        return _unreachable(missing, mirror)
    return ""


def fetch(
    names: Iterable[str],
    mirror: Path | None = None,
    cache: Path | None = None,
    base_url: str | None = None,
    workers: int = 8,
    retries: int = 2,
    progress: bool = True,
) -> dict[str, Path]:
    """Return a verified local path for each upstream file, fetching in parallel what is missing.

    Parameters
    ----------
    names : iterable of str
        URL paths of the registry.
    mirror : Path, optional
        Folder that repeats the URL paths; searched first; default ``EMONB_MIRROR``. Its files are used in place and
        never changed.
    cache : Path, optional
        Download folder; default :func:`cache_dir`.
    base_url : str, optional
        What the URL paths are appended to.
    workers, retries : int
        Parallel downloads; further tries per file.
    progress : bool
        Show one progress bar over all bytes.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    SourceError
        A name the registry does not list, no network and no mirror, or a file that is not what the registry says.
    """
    names = list(names)
    own = {name: _local(name) for name in names if is_local(name)}
    names = [name for name in names if name not in own]
    entries = {name: _entry(name) for name in names}
    mirror, cache = _mirror(mirror), cache or cache_dir()
    base_url = base_url or BASE_URL
    stop = threading.Event()
    with (
        tqdm(
            total=sum(entries[n].bytes for n in names), unit="B", unit_scale=True, desc="data", disable=not progress
        ) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):

        def one(name: str) -> Path:
            if stop.is_set():
                raise _Stopped
            path = _find(name, entries[name], mirror, cache) or _download(name, cache, base_url, retries)
            bar.update(entries[name].bytes)
            return path

        futures = {pool.submit(one, name): name for name in names}
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in done if future.exception()]
        if failed:
            stop.set()
            error = failed[0].exception()
            if isinstance(error, RequestException):
                missing = [n for n in names if not any(_complete(p, entries[n]) for p in _places(n, mirror, cache))]
                raise SourceError(_unreachable(missing or [futures[failed[0]]], mirror)) from None
            raise error  # type: ignore[misc]
    return {**own, **{futures[future]: future.result() for future in futures}}


def _entry(name: str) -> Entry:
    if name not in registry():
        raise SourceError(
            f"data/registry.txt lists no file '{name}'; check the study's paths (local:PATH for a file of yours)"
        )
    return registry()[name]


def _local(name: str) -> Path:
    path = Path(name.removeprefix("local:")).expanduser()
    if not path.is_file():
        raise SourceError(f"the study's own file {path} does not exist; correct the path behind 'local:'")
    return path


class _Stopped(Exception):
    """Another file already failed."""


def _mirror(mirror: Path | None) -> Path | None:
    given = mirror or os.environ.get("EMONB_MIRROR")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise SourceError(f"the mirror {folder} is not a folder; unset EMONB_MIRROR or give an existing one")
    return folder


def _places(name: str, mirror: Path | None, cache: Path | None = None) -> list[Path]:
    return [folder / name for folder in (mirror, cache or cache_dir()) if folder is not None]


def _complete(path: Path, entry: Entry) -> bool:
    return path.is_file() and path.stat().st_size == entry.bytes


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(name: str, entry: Entry, mirror: Path | None, cache: Path) -> Path | None:
    """Return the verified file in the mirror or the cache; a bad mirror file is an error, a bad cached file is removed."""
    if mirror is not None and (mirror / name).exists():
        _verify(mirror / name, entry, "it is yours, so it was left as it is: replace it, or unset EMONB_MIRROR")
        return mirror / name
    cached = cache / name
    if not cached.exists():
        return None
    try:
        _verify(cached, entry, "file removed")
    except SourceError as error:
        cached.unlink()
        logging.getLogger("emonb").warning("%s; fetching it again", error)
        return None
    return cached


def _verify(path: Path, entry: Entry, consequence: str) -> None:
    size = path.stat().st_size
    if size < entry.bytes:
        raise SourceError(
            f"{path} is truncated: expected {entry.bytes} bytes, got {size}; {consequence}. "
            "Likely cause: an interrupted copy or download"
        )
    got = _sha256(path)
    if got != entry.sha256:
        raise SourceError(
            f"{path} has the wrong content: expected sha256 {entry.sha256}, got {got}; {consequence}. "
            "Likely cause: the upstream file changed, or a proxy answered in its place"
        )


def _download(name: str, cache: Path, base_url: str, retries: int) -> Path:
    entry, target = registry()[name], cache / name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    quiet = logging.getLogger("pooch")
    quiet.setLevel(logging.ERROR)
    for attempt in range(retries + 1):
        try:
            pooch.HTTPDownloader(timeout=20)(base_url + name, part, None)
            _verify(part, entry, "file removed")
            os.replace(part, target)
            return target
        except (RequestException, SourceError) as error:
            if attempt == retries or _hopeless(error):
                raise
        finally:
            part.unlink(missing_ok=True)
    raise AssertionError("unreachable")


def _hopeless(error: Exception) -> bool:
    """Tell an answer that another try will not change (a 4xx) from one that it may."""
    response = getattr(error, "response", None)
    return response is not None and 400 <= response.status_code < 500


def _unreachable(missing: list[str], mirror: Path | None) -> str:
    megabytes = sum(registry()[name].bytes for name in missing) / 1e6
    listed = ", ".join(missing[:2]) + (f" and {len(missing) - 2} more" if len(missing) > 2 else "")
    where = f"the mirror {mirror} has no such file and " if mirror else "no mirror was given and "
    return (
        f"{len(missing)} upstream file{'s' * (len(missing) > 1)} ({megabytes:.3g} MB) cannot be had: {where}"
        f"the network does not answer. Missing: {listed}. Go online, or {MIRROR_HINT}"
    )
