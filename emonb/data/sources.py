"""Upstream files: listed in ``data/registry.txt``, fetched by hash, never part of this repository.

A file is looked for in the mirror folder (``EMONB_MIRROR``), then in the cache, then on the network; wherever it comes
from, its sha256 must be the registry's. Finished files are never fetched again, so an interrupted fetch resumes.
"""

import functools
import logging
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import pooch
import requests
from requests.exceptions import RequestException, TooManyRedirects
from tqdm import tqdm

from emonb.artifacts import file_digest
from emonb.errors import SourceError, UnreachableError
from emonb.paths import cache_dir, data_dir, mirror_dir

BASE_URL = "https://raw.githubusercontent.com/"
HUB_URL = "https://huggingface.co/"  # of a model's files
RETRIES, WORKERS = 2, 8  # further tries of a file whose download fails; downloads at a time
BUSY, PATIENCE = (429, 503), 120.0  # answers of servers that are waited for; seconds in all
MIRROR_HINT = "give a folder that repeats these paths with EMONB_MIRROR=DIR (or `emonb fetch STUDY --mirror DIR`)"
_LOGIN = "Ask who runs this network whether a login or a proxy stands between"


class Entry(NamedTuple):
    """One line of the registry: sha256 (hex), size in bytes, and the wheel or archive that also holds the file, if any."""

    sha256: str
    bytes: int
    wheel: str = ""


class _WrongContent(SourceError, ValueError):
    """A download that is not what the registry says; pooch tries again on a ValueError."""


@functools.cache
def registry(path: Path | None = None) -> dict[str, Entry]:
    """Read the registry: URL path -> sha256, size, and wheel or archive.

    A SourceError names file and line of what is not a path, a sha256, a number of bytes and perhaps a wheel.
    """
    entries, path = {}, path or data_dir() / "registry.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="backslashreplace").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            found = re.fullmatch(r"(\S+)\s+([0-9a-f]{64})\s+(\d+)(?:\s+((?:wheel|pieces):\S+))?", line.strip())
            if found is None:
                raise SourceError(f"{path}, line {number}: expected a URL path, a sha256 and bytes, got '{line}'")
            entries[found[1]] = Entry(found[2], int(found[3]), found[4] or "")
    return entries


def is_local(name: str) -> bool:
    """Tell a file of your own (``local:PATH`` in a study), or one committed beside the studies, from an upstream one.

    >>> is_local("local:/home/me/scores.csv"), is_local("google-research/google-research/master/README.md")
    (True, False)
    """
    return name.startswith(("local:", "committed:"))


def is_weights(name: str) -> bool:
    """Tell a file of a model (``OWNER/NAME/resolve/COMMIT/FILE``) from any other."""
    return "/resolve/" in name and not is_local(name)


def is_known(name: str) -> bool:
    """Tell whether there is such a file: listed in the registry, or on your disk."""
    return Path(name.removeprefix("local:")).is_file() if is_local(name) else name in registry()


def find(name: str) -> Path | None:
    """Where a file lies already, unverified; None if it has to be fetched first."""
    paths = [Path(name.removeprefix("local:"))] if is_local(name) else [place.abspath / name for place in _places()]
    return next((path for path in paths if path.is_file()), None)


def fingerprint(name: str) -> str:
    """sha256 of a file a study names: the registry's, or the local file's as it is now ("" where none is committed)."""
    if name.startswith("committed:") and not (data_dir() / name.removeprefix("committed:")).is_file():
        return ""
    return file_digest(_local(name)) if is_local(name) else _entry(name).sha256


def available(names: Iterable[str]) -> str:
    """Say why the files cannot be had, or return an empty string when they can; files of your own are taken to be there.

    The upstream host is asked only where files are neither in the mirror nor in the cache.
    """
    missing = find_missing([name for name in names if not is_local(name)])
    if not missing:
        return ""
    try:
        answer = requests.head(_url(missing[0]), timeout=3.0, allow_redirects=True)
        if answer.status_code not in BUSY:
            answer.raise_for_status()
    except RequestException as error:
        return _cannot_be_had(missing, error)
    return ""


def fetch(names: Iterable[str], progress: bool = True) -> dict[str, Path]:
    """Return a verified local path for each upstream file, fetching in parallel what is missing.

    ``names`` are URL paths of the registry, or ``local:PATH`` for files of your own. Files of the mirror are used in place
    and never changed.

    Raises
    ------
    SourceError
        A name the registry does not list, no network and no mirror, an answer that is an error, or a file that is not
        what the registry says.
    """
    names = list(names)
    own = {name: _local(name) for name in names if is_local(name)}
    entries = {name: _entry(name) for name in names if name not in own}
    places = _places()
    pooch.get_logger().setLevel(logging.ERROR)  # one bar says it all
    total = sum(entry.bytes for entry in entries.values())
    bar = tqdm(total=total, unit="B", unit_scale=True, desc="data", disable=not (progress and total))
    with bar, ThreadPoolExecutor(WORKERS) as pool:

        def one(name: str) -> Path:
            path = _fetch(name, places)
            bar.update(entries[name].bytes)
            return path

        try:
            return own | dict(zip(entries, pool.map(one, entries), strict=True))
        except RequestException as error:
            raise UnreachableError(_cannot_be_had(find_missing(entries), error)) from None


def _places() -> list[pooch.Pooch]:
    """Where files are looked for: the mirror, which is never changed, if there is one; the cache, which fetches."""
    known, mirror = {name: entry.sha256 for name, entry in registry().items()}, mirror_dir()
    urls = {name: _url(name) for name in known if is_weights(name)}
    places = [pooch.Pooch(mirror, BASE_URL, known, urls, allow_updates=False)] if mirror else []
    return [*places, pooch.Pooch(cache_dir(), BASE_URL, known, urls, RETRIES)]


def _url(name: str) -> str:
    return (HUB_URL if is_weights(name) else BASE_URL) + name


def _fetch(name: str, places: list[pooch.Pooch]) -> Path:
    place = next((place for place in places if (place.abspath / name).exists()), places[-1])
    try:
        (place.abspath / name).parent.mkdir(parents=True, exist_ok=True)  # files of one folder are fetched side by side
        return Path(place.fetch(name, downloader=_download))
    except ValueError as error:
        if isinstance(error, SourceError):
            raise
        consequence = "it is yours, so it was left as it is: replace it, or unset EMONB_MIRROR"
        raise SourceError(differs(place.abspath / name, _entry(name), consequence)) from None


def _download(url: str, part: str, place: pooch.Pooch) -> None:
    """Download for pooch, which moves the file to its place; an answer that another try will not change is final."""
    name = url.removeprefix(HUB_URL).removeprefix(place.base_url)
    if (place.abspath / name).exists():
        logging.getLogger("emonb").warning(differs(place.abspath / name, _entry(name), "fetching it again"))
    try:
        download(url, Path(part))
    except (requests.HTTPError, TooManyRedirects) as error:
        if error.response is None or error.response.status_code < 500 or error.response.status_code in BUSY:
            raise UnreachableError(_cannot_be_had([name], error)) from None
        raise
    wrong = differs(Path(part), _entry(name), "file removed", url)
    if wrong:
        raise _WrongContent(wrong)


def download(url: str, path: Path) -> None:
    """Save what an address gives; a server that is busy is asked again when it wishes, within PATIENCE.

    A RequestException where there is no answer, an error, redirects in a circle; an UnreachableError for a web page, which
    no file of ours is.
    """
    left = PATIENCE
    while True:
        with requests.get(url, stream=True, timeout=20) as answer:
            wait = read_wait(answer.headers.get("Retry-After", ""))
            if answer.status_code not in BUSY or wait > left:
                answer.raise_for_status()
                with path.open("wb") as file:
                    for chunk in answer.iter_content(1 << 20):
                        file.write(chunk)
                break
        left -= wait
        time.sleep(wait)
    with path.open("rb") as file:
        if file.read(999).lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise UnreachableError(f"{url} gives a web page in place of a file (it came from {answer.url}). {_LOGIN}")


def read_wait(header: str) -> float:
    """Seconds to wait by a ``Retry-After``, a number of them or a date; one at least, and five if it is neither.

    >>> read_wait("7"), read_wait(""), read_wait("Wed, 21 Oct 2015 07:28:00 GMT")
    (7.0, 5.0, 1.0)
    """
    try:
        wait = header if header.isdecimal() else (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        return max(1.0, float(wait))
    except (TypeError, ValueError):
        return 5.0


def explain(error: RequestException) -> str:
    """Say why an address gives nothing, and what to do."""
    if isinstance(error, TooManyRedirects):
        return f"{error.response.url if error.response is not None else 'the server'} redirects in a circle. {_LOGIN}"
    if error.response is None:
        return "the network does not answer. Go online"
    status, asked = error.response.status_code, error.response.headers.get("Retry-After")
    remedy = "Correct the address" if status in (404, 410) else _LOGIN
    if status in BUSY or status >= 500:
        remedy = f"Try again {f'in {read_wait(asked):,.0f} seconds' if asked else 'later'}"
    return f"the server answers {status} {error.response.reason} to {error.response.url}. {remedy}"


def differs(path: Path, entry: Entry, consequence: str, label: str = "") -> str:
    """Say how a file differs from its registry entry, or return an empty string."""
    size, got, what = path.stat().st_size, file_digest(path), label or path
    if size < entry.bytes:
        cause = "an interrupted copy or download"
        return f"{what} is truncated: expected {entry.bytes} bytes, got {size}; {consequence}. Likely cause: {cause}"
    if got != entry.sha256:
        cause = "the upstream file changed, or a proxy answered in its place"
        wrong = f"expected sha256 {entry.sha256}, got {got}"
        return f"{what} has the wrong content: {wrong}; {consequence}. Likely cause: {cause}"
    return ""


def _entry(name: str) -> Entry:
    if name not in registry():
        raise SourceError(
            f"data/registry.txt lists no file '{name}'; check the study's paths (local:PATH for a file of yours)"
        )
    return registry()[name]


def _local(name: str) -> Path:
    if name.startswith("committed:"):
        return committed_path(name)
    path = Path(name.removeprefix("local:")).expanduser()
    if not path.is_file():
        raise SourceError(f"the study's own file {path} does not exist; correct the path behind 'local:'")
    return path


def committed_path(name: str) -> Path:
    """Path of a result committed in the data folder (``committed:STUDY/FILE``); a SourceError if it is not there (yet)."""
    path = data_dir() / name.removeprefix("committed:")
    if not path.is_file():
        there = sorted(other.name for other in path.parent.glob(f"*{path.suffix}"))
        raise SourceError(
            f"data/{name.removeprefix('committed:')} is not committed (there: {', '.join(there) or 'nothing'}); compute it "
            "(-p stages.prompts=computed, stages.masks, stages.lesions), or use the seeds that there are (-p seeds)"
        )
    return path


def find_missing(names: Iterable[str]) -> list[str]:
    """Files that neither the mirror nor the cache has in full size."""
    files = {name: [place.abspath / name for place in _places()] for name in names}
    return [n for n, paths in files.items() if not any(p.is_file() and p.stat().st_size == _entry(n).bytes for p in paths)]


def _cannot_be_had(missing: list[str], error: RequestException) -> str:
    megabytes = sum(_entry(name).bytes for name in missing) / 1e6
    listed = ", ".join(missing[:2]) + (f" and {len(missing) - 2} more" if len(missing) > 2 else "")
    where = f"the mirror {mirror_dir()} has no such file and " if mirror_dir() else "no mirror was given and "
    return (
        f"{len(missing)} upstream file{'s' * (len(missing) > 1)} ({megabytes:.3g} MB) cannot be had "
        f"({listed}): {where}{explain(error)}, or {MIRROR_HINT}"
    )
