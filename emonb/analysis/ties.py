"""What is equal but for rounding: a tolerance relative to the data, so that the unit of measurement decides nothing."""

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 1e-12  # of the size of the numbers: means of them that differ by less are equal
_STEPS, _BLOCK = 4, 128  # roundings a difference may be off by; rows at a time, which stay in the cache


def level(rdms: ArrayLike, size: np.ndarray) -> np.ndarray:
    """RDMs with differences that differ only by rounding made equal, so that they tie.

    0.3 - 0.1 is not quite 0.4 - 0.2 on a computer, while 3 - 1 is 4 - 2: ranks must not depend on the unit. How far a
    difference may be off depends on what was subtracted, so a small difference of small numbers stays what it is.

    Parameters
    ----------
    rdms : array, shape (n_rdms, n_pairs)
    size : array, shape (n_rdms, n_items)
        Mean absolute value of what was subtracted, by item.

    >>> level([[0.3 - 0.1, 0.4 - 0.2, 0.5]], np.array([[0.4, 0.1, 0.4]])).tolist()
    [[0.19999999999999998, 0.19999999999999998, 0.5]]
    """
    rdms, size = np.array(rdms, np.float64), np.asarray(size) * _STEPS * np.finfo(np.float64).eps
    first, second = np.triu_indices(size.shape[1], 1)
    for start in range(0, len(rdms), _BLOCK):
        block, sizes = rdms[start : start + _BLOCK], size[start : start + _BLOCK]  # views
        gap = np.diff(np.sort(block, axis=1), axis=1)
        for r in np.flatnonzero(((gap > 0) & (gap <= 4 * sizes.max(1, keepdims=True))).any(1)):
            order = np.argsort(block[r], kind="stable")
            ordered, off = block[r, order], (sizes[r, first] + sizes[r, second])[order]
            new = np.r_[True, np.diff(ordered) > off[1:] + off[:-1]]
            block[r, order] = ordered[new][np.cumsum(new) - 1]
    return rdms


def varies(values: ArrayLike, scale: float | None = None) -> bool:
    """Tell whether numbers differ by more than rounding; what is missing (NaN) does not count.

    Parameters
    ----------
    values : array
    scale : float, optional
        Size of the numbers that the values were computed from; their own where none is given.

    >>> varies([0.1 + 0.2, 0.3]), varies([0.1, 0.3]), varies([1e-17, 0.0], scale=0.7)
    (False, True, False)
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if known.size < 2:
        return False
    return bool(np.ptp(known) > ROUNDING * max(np.abs(known).max(), scale or 0.0))
