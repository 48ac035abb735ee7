"""Long work in units that share nothing while they are made, so that one machine and many give the same bits.

A unit is what a stage says: a seed's prompts, a few masks, a block of permutations. Who makes which unit, and where it is
kept, is not the stage's business: it hands its units to a :class:`Work` and gets the arrays of all of them back.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

if TYPE_CHECKING:
    import numpy as np

Arrays = dict[str, "np.ndarray"]
Make = Callable[[Any, Path | None], tuple[Arrays, dict[str, str]]]
"""Makes one unit. Gets the unit and a file for a checkpoint; gives arrays, and what must be the same for the same bits."""

MASKS_A_PART = 8
"""Changes no result, for a mask's batches are its own."""


class Work(Protocol):
    """Makes units, or has had them made elsewhere (:mod:`emonb.run.parts`)."""

    halve: bool
    """Whether batches may be halved when memory runs out, which changes bits."""
    seconds: float
    """Time that making all units took."""

    def each(self, units: Mapping[str, Any], begin: Callable[[], Make], progress: bool = False) -> list[Arrays]:
        """Arrays of every unit, in order; ``begin`` loads what making needs and is called only if a unit is made here."""


class InTurn:
    """The plainest :class:`Work`: one unit after the other, kept in memory."""

    def __init__(self) -> None:
        self.halve, self.seconds = True, 0.0

    def each(self, units: Mapping[str, Any], begin: Callable[[], Make], progress: bool = False) -> list[Arrays]:
        """Make every unit."""
        start, make = time.perf_counter(), begin()
        made = [make(unit, None)[0] for unit in tqdm(units.values(), unit="part", disable=not progress)]
        self.seconds = time.perf_counter() - start
        return made


def name_blocks(n: int, size: int) -> dict[str, slice]:
    """Units of things in a row, a few at a time.

    >>> name_blocks(20, 8)
    {'000000': slice(0, 8, None), '000008': slice(8, 16, None), '000016': slice(16, 20, None)}
    """
    return {f"{start:06d}": slice(start, min(start + size, n)) for start in range(0, n, size)}


def name_groups(masks: int, size: int = MASKS_A_PART) -> dict[str, slice | None]:
    """Units of a sweep: the network without a mask, then masks a few at a time.

    >>> name_groups(9)
    {'intact': None, '000000': slice(0, 8, None), '000008': slice(8, 9, None)}
    """
    return {"intact": None, **name_blocks(masks, size)}
