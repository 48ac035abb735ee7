"""Code compiled by numba: one ``njit`` for all of it, and a cache that never outlives the code it was made from.

numba renews a cached function when the file that defines it changes, not when a function it inlined from another file
does. So compiled code is kept in a folder named after a digest of every source here: other sources, other folder.
"""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import pooch
from numba.extending import intrinsic


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as :func:`numba.njit` does, cached where that is possible.

    ``**options``: as numba's, such as ``parallel=True``.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        config: Any = numba.config
        folder, given = cache_folder(), config.CACHE_DIR
        config.CACHE_DIR = str(folder or "")  # read where the function is decorated; other packages keep theirs
        try:
            return numba.njit(cache=folder is not None, **options)(function)
        finally:
            config.CACHE_DIR = given

    return compile_function


@functools.cache
def cache_folder() -> Path | None:
    """Folder for compiled code: below ``EMONB_CACHE``, the user's cache or a temporary one; None if none can be written."""
    for base in _candidates():
        folder = base / f"compiled-{source_digest(Path(__file__).parent)}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        if not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid():  # nobody else's code is ever run
            return folder
    return None


def source_digest(folder: Path) -> str:
    """Short sha256 of numba's version and of all modules in a folder: names and contents."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(folder.glob("*.py")):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@intrinsic
def popcount(typing_context, word):  # type: ignore[no-untyped-def]
    """Count the bits of a 64-bit word, inside compiled code."""
    return numba.types.int64(numba.types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


def _candidates() -> Iterator[Path]:
    if os.environ.get("EMONB_CACHE"):
        yield Path(os.environ["EMONB_CACHE"]).expanduser()
    yield Path(pooch.os_cache("emonb"))
    try:
        yield Path(tempfile.gettempdir(), f"emonb-{os.getuid() if hasattr(os, 'getuid') else 'cache'}")
    except OSError:  # no temporary folder can be written either
        return
