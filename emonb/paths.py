"""Where things are: the data, book and chapter folders of a checkout or an installed package, runs, and downloads."""

import os
from pathlib import Path

import pooch

from emonb.errors import SourceError, StudyError

_HERE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """Folder of studies, registry and ledger: the checkout's ``data/``, or the copy installed with the package."""
    for folder in (_HERE.parent / "data", _HERE / "_data"):
        if (folder / "studies").is_dir():
            return folder
    raise StudyError(f"no data folder beside the package at {_HERE}: reinstall emonb, or run from a checkout")


def chapters_dir() -> Path:
    """Folder of the MyST sources: the checkout's ``book/chapters``, or the copy installed with the package."""
    for folder in (_HERE.parent / "book" / "chapters", _HERE / "_chapters"):
        if folder.is_dir():
            return folder
    raise StudyError("no chapter sources beside the package: reinstall emonb, or run from a checkout")


def book_dir() -> Path:
    """Folder of the committed editions; where you are when the package is not in a checkout."""
    return _HERE.parent / "book" if in_checkout() else Path.cwd() / "book"


def runs_dir() -> Path:
    """Folder of runs: ``EMONB_RUNS`` if set, else ``runs/`` in the checkout, else ``runs/`` where you are."""
    if os.environ.get("EMONB_RUNS"):
        return Path(os.environ["EMONB_RUNS"]).expanduser()
    return (_HERE.parent if in_checkout() else Path.cwd()) / "runs"


def store_dir() -> Path:
    """Folder of results by key: ``EMONB_STORE`` if set, else ``store/`` in the folder of runs."""
    given = os.environ.get("EMONB_STORE")
    return Path(given).expanduser() if given else runs_dir() / "store"


def cache_dir() -> Path:
    """Where downloads land: ``EMONB_CACHE`` if set, else the user's cache directory."""
    return Path(os.environ.get("EMONB_CACHE") or pooch.os_cache("emonb")).expanduser()


def in_checkout() -> bool:
    """Tell a checkout, with its book, from an installed package."""
    return (_HERE.parent / "pyproject.toml").is_file() and (_HERE.parent / "book").is_dir()


def mirror_dir() -> Path | None:
    """Folder that repeats the upstream files' URL paths: ``EMONB_MIRROR`` if set; a SourceError if it is no folder."""
    given = os.environ.get("EMONB_MIRROR")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise SourceError(f"the mirror {folder} is not a folder; unset EMONB_MIRROR or give an existing one")
    return folder
