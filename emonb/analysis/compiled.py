"""numba's ``njit``, cached where a folder can be written, and in the way of no import where none can.

numba renews a cached function when the file that defines it changes, not when a function it inlined from another file does:
compiled functions call only those of their own file.
"""

from collections.abc import Callable
from typing import Any

import numba


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as :func:`numba.njit` does, with its options, such as ``parallel=True``."""

    def compile_function(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for a cache can be written: it is compiled in every process
            return numba.njit(**options)(function)

    return compile_function
