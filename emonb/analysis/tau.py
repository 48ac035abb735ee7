"""Kendall's tau-b by sorting: few vectors against many, exactly (Knight 1966, with a bit set for the tree).

Visit the values of x in ascending order. Those visited before are smaller; how many of them are also smaller in y is a
prefix count of the ranks of y seen so far. Ranks are kept as bits in 64-bit words with a running count a word, so that a
prefix count is one look-up and one popcount. Values tied in x are counted before any of them is entered; values tied in
y share a range of ranks that counts for neither side. All counts are integers, so the result is exact.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numba import get_num_threads, prange, types
from numba.extending import intrinsic

from emonb.analysis.compiled import njit


def score_by_sorting(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concordant minus discordant comparisons, and untied comparisons of every vector.

    ``x``, ``y`` (n_x, n_values) and (n_y, n_values), float64: finite numbers. Gives ``score`` (n_x, n_y), int64;
    ``untied_x``, ``untied_y`` (n_x,) and (n_y,), int64.
    """
    total = x.shape[1] * (x.shape[1] - 1) // 2
    ordered = np.sort(y, axis=1)
    low = np.stack([np.searchsorted(o, row, "left") for o, row in zip(ordered, y, strict=True)])
    high = np.stack([np.searchsorted(o, row, "right") for o, row in zip(ordered, y, strict=True)])
    place = np.argsort(np.argsort(y, axis=1, kind="stable"), axis=1, kind="stable")
    score, tied_x = np.empty((len(x), len(y)), np.int64), np.empty(len(x), np.int64)
    _score(x, _argsort(x), place, low, high, score, tied_x)
    untied_y = total - (high - low - 1).sum(1) // 2
    return score, total - tied_x, untied_y


def _argsort(rows: np.ndarray) -> np.ndarray:
    """Order within each row; numpy sorts with vector instructions, outside the lock, so that threads share many rows."""
    threads = get_num_threads()
    if threads == 1 or len(rows) < 1000:
        return np.argsort(rows, axis=1)
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(partial(np.argsort, axis=1), np.array_split(rows, 8 * threads))
        return np.concatenate(list(parts))


@intrinsic
def _popcount(typing_context, word):  # type: ignore[no-untyped-def]
    """Count the bits of a 64-bit word, inside compiled code."""
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


@njit(parallel=True)
def _score(x, order, place, low, high, score, tied_x):  # type: ignore[no-untyped-def]
    n, words, one = x.shape[1], (x.shape[1] + 64) // 64, np.uint64(1)
    for r in prange(x.shape[0]):
        visit = order[r]
        last = np.empty(n, np.int64)  # end of the run of equal values that starts here
        ties = 0
        start = 0
        while start < n:
            end = start + 1
            while end < n and x[r, visit[end]] == x[r, visit[start]]:
                end += 1
            last[start] = end
            ties += (end - start) * (end - start - 1) // 2
            start = end
        tied_x[r] = ties
        bits = np.empty(words, np.uint64)
        before = np.empty(words, np.int64)  # ranks seen in the words before this one
        for c in range(place.shape[0]):
            bits[:] = 0
            before[:] = 0
            total = 0
            start = 0
            while start < n:
                end = last[start]
                for k in range(start, end):
                    a, b = low[c, visit[k]], high[c, visit[k]]
                    smaller = before[a >> 6] + _popcount(bits[a >> 6] & ((one << np.uint64(a & 63)) - one))
                    upto = smaller
                    if b > a + 1:  # tied in y: a range of ranks that counts for neither side
                        upto = before[b >> 6] + _popcount(bits[b >> 6] & ((one << np.uint64(b & 63)) - one))
                    total += smaller + upto - start
                for k in range(start, end):
                    p = place[c, visit[k]]
                    bits[p >> 6] |= one << np.uint64(p & 63)
                    for w in range(words):
                        before[w] += w > (p >> 6)
                start = end
            score[r, c] = total


def tau_b(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b (Kendall 1945) between every vector of ``x`` and every vector of ``y``.

    Parameters
    ----------
    x, y : array, shape (n_x, n_values) and (n_y, n_values)
        Finite numbers; the many in ``x``, which are sorted once each.

    Returns
    -------
    array, shape (n_x, n_y)
        NaN where a vector is constant.

    Raises
    ------
    ValueError
        Vectors of different lengths, of one value, or with values that are not finite.

    >>> tau_b(np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 3, 2, 4], [5, 5, 5, 5]])).round(3)
    array([[0.667,   nan]])
    """
    x, y = _check_vectors(x), _check_vectors(y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has vectors of {x.shape[1]} values, y of {y.shape[1]}; use the same pairs on both sides")
    score, untied_x, untied_y = score_by_sorting(x, y)
    product = np.sqrt(untied_x.astype(np.float64))[:, None] * np.sqrt(untied_y.astype(np.float64))[None]
    return score / np.where(product > 0, product, np.nan)


def _check_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [n_vectors, n_values] as contiguous float64; a ValueError unless two-dimensional and finite."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] < 2:
        raise ValueError(f"expected vectors as (n_vectors, n_values >= 2), got shape {vectors.shape}; reshape to 2-D")
    if not np.isfinite(vectors).all():
        raise ValueError("tau-b is not defined for NaN or infinite values; remove or impute them first")
    return vectors
