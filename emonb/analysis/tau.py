"""Kendall's tau-b: one kernel on packed signs, one by sorting.

Kendall's tau-b by sorting: few vectors against many, each counted once (Knight 1966, with a bit set for the tree).

Visit the values of x in ascending order. Those visited before are smaller; how many of them are also smaller in y is a
prefix count of the ranks of y seen so far. Ranks are kept as bits in 64-bit words with a running count a word, so that a
prefix count is one look-up and one popcount. Values tied in x are counted before any of them is entered; values tied in
y share a range of ranks that counts for neither side. All counts are integers, so the result is exact.

Kendall's tau-b between many vectors at once, exactly, by counting bits.

tau-b = (concordant - discordant) / sqrt(untied pairs in x * untied pairs in y) (Kendall 1945). For a vector of n
values, the sign of each of its n(n-1)/2 comparisons goes into two bit planes: *greater* and *untied*. Then

    discordant          = popcount((greater_x ^ greater_y) & untied_x & untied_y)
    concordant + disc.  = popcount(untied_x & untied_y)

Counts are integers, so the result is exact. Neuron RDMs are means of real numbers and almost never tied; rows of x
without ties take a path with one popcount per word instead of two, four rows and two columns at a time.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, prange

from emonb.analysis.compiled import njit, popcount


def score_by_sorting(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concordant minus discordant comparisons, and untied comparisons of every vector.

    Parameters
    ----------
    x, y : array, shape (n_x, n_values) and (n_y, n_values), float64
        Finite numbers.

    Returns
    -------
    score : array, shape (n_x, n_y), int64
    untied_x, untied_y : array, shape (n_x,) and (n_y,), int64
    """
    total = x.shape[1] * (x.shape[1] - 1) // 2
    ordered = np.sort(y, axis=1)
    low = np.stack([np.searchsorted(o, row, "left") for o, row in zip(ordered, y, strict=True)])
    high = np.stack([np.searchsorted(o, row, "right") for o, row in zip(ordered, y, strict=True)])
    place = np.argsort(np.argsort(y, axis=1, kind="stable"), axis=1, kind="stable")
    score, tied_x = np.empty((len(x), len(y)), np.int64), np.empty(len(x), np.int64)
    with ThreadPoolExecutor(get_num_threads()) as pool:  # numpy sorts with vector instructions, outside the lock
        order = np.concatenate(list(pool.map(_argsort, np.array_split(x, 8 * get_num_threads()))))
    _score(x, order, place, low, high, score, tied_x)
    untied_y = total - (high - low - 1).sum(1) // 2
    return score, total - tied_x, untied_y


def _argsort(rows: np.ndarray) -> np.ndarray:
    return np.argsort(rows, axis=1)


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
                    smaller = before[a >> 6] + popcount(bits[a >> 6] & ((one << np.uint64(a & 63)) - one))
                    upto = smaller
                    if b > a + 1:  # tied in y: a range of ranks that counts for neither side
                        upto = before[b >> 6] + popcount(bits[b >> 6] & ((one << np.uint64(b & 63)) - one))
                    total += smaller + upto - start
                for k in range(start, end):
                    p = place[c, visit[k]]
                    bits[p >> 6] |= one << np.uint64(p & 63)
                    for w in range(words):
                        before[w] += w > (p >> 6)
                start = end
            score[r, c] = total


class Signs(NamedTuple):
    """Packed comparison signs of ``n`` vectors: bit planes [n, words] and the number of untied comparisons [n]."""

    greater: np.ndarray
    untied: np.ndarray
    n_untied: np.ndarray
    n_values: int

    def take(self, rows: np.ndarray | slice) -> "Signs":
        """Select vectors."""
        return Signs(self.greater[rows], self.untied[rows], self.n_untied[rows], self.n_values)


def pack_signs(vectors: np.ndarray) -> Signs:
    """Pack the signs of all pairwise comparisons within each vector.

    Parameters
    ----------
    vectors : array, shape (n_vectors, n_values)
        Finite numbers.

    Returns
    -------
    Signs

    Raises
    ------
    ValueError
        Not two-dimensional, fewer than two values, or non-finite values.
    """
    vectors = check_vectors(vectors)
    words = (vectors.shape[1] * (vectors.shape[1] - 1) // 2 + 63) // 64
    greater = np.zeros((len(vectors), words), np.uint64)
    untied = np.zeros_like(greater)
    _pack(vectors, greater, untied)
    return Signs(greater, untied, np.bitwise_count(untied).sum(1, dtype=np.int64), vectors.shape[1])


def count_scores(x: Signs, y: Signs) -> np.ndarray:
    """Concordant minus discordant comparisons, shape (n_x, n_y), int32: the numerator of tau-b."""
    _check_lengths(x.n_values, y.n_values)
    out = np.empty((len(x.greater), len(y.greater)), np.int32)
    total = x.n_values * (x.n_values - 1) // 2
    tied = x.n_untied < total
    _score_untied(x.greater, y.greater, y.untied, y.n_untied, out)
    if tied.any():
        rows = np.flatnonzero(tied)
        out[rows] = _score_tied(x.greater[rows], x.untied[rows], y.greater, y.untied)
    return out


def count_exceeding(x: Signs, y: Signs, observed: np.ndarray, exceeded: np.ndarray) -> np.ndarray:
    """Compare the scores of relabelled vectors with the observed ones, without keeping them.

    Relabelling keeps a vector's ties, so the denominator of tau-b is that of the observed one and scores can be
    compared as integers.

    Parameters
    ----------
    x : Signs
        n_x vectors.
    y : Signs
        n_batch * n_y relabelled vectors, the n_y of one relabelling together.
    observed : array, shape (n_x, n_y), int32
        From :func:`count_scores`.
    exceeded : array, shape (n_x, n_y), int64
        Increased where a score is at least the observed one.

    Returns
    -------
    array, shape (n_batch, n_y)
        Highest tau-b over x of every relabelled vector; -inf where it is not defined.
    """
    columns, total = len(y.greater), x.n_values * (x.n_values - 1) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        top = np.full(columns, -np.inf)
        untied = np.flatnonzero(x.n_untied == total)
        if len(untied):
            first = slice(0, len(untied)) if untied[-1] == len(untied) - 1 else untied  # a view where possible
            part = exceeded[first]
            peaks = np.full((64, columns), -total - 1, np.int64)
            _exceed_untied(x.greater[first], y.greater, y.untied, y.n_untied, observed[first], part, peaks)
            exceeded[first] = part
            top = peaks.max(0) / np.sqrt(total * y.n_untied.astype(np.float64))
        tied = np.flatnonzero(x.n_untied < total)
        if len(tied):
            rest = x.take(tied)
            scores = _score_tied(rest.greater, rest.untied, y.greater, y.untied)
            by_batch = scores.reshape(len(tied), -1, observed.shape[1])
            exceeded[tied] += (by_batch >= observed[tied][:, None]).sum(1)
            top = np.fmax(top, np.nanmax(np.nan_to_num(scores / norms(rest.n_untied, y.n_untied), nan=-np.inf), axis=0))
    return top.reshape(-1, observed.shape[1])


def norms(untied_x: np.ndarray, untied_y: np.ndarray) -> np.ndarray:
    """Denominator of tau-b, shape (n_x, n_y), from numbers of untied comparisons; NaN where a vector is constant."""
    product = np.sqrt(untied_x.astype(np.float64))[:, None] * np.sqrt(untied_y.astype(np.float64))[None]
    return np.where(product > 0, product, np.nan)


def tau_b(x: np.ndarray | Signs, y: np.ndarray | Signs) -> np.ndarray:
    """Kendall's tau-b between every vector of ``x`` and every vector of ``y``.

    Parameters
    ----------
    x, y : array, shape (n_x, n_values) and (n_y, n_values), or Signs
        Vectors, which are sorted (fastest for a single comparison), or packed signs from :func:`pack_signs` (pack once,
        count often). The result is the same to the last bit.

    Returns
    -------
    array, shape (n_x, n_y)
        NaN where a vector is constant.

    >>> tau_b(np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 3, 2, 4], [5, 5, 5, 5]])).round(3)
    array([[0.667,   nan]])
    """
    if not isinstance(x, Signs) and not isinstance(y, Signs):
        x, y = check_vectors(x), check_vectors(y)
        _check_lengths(x.shape[1], y.shape[1])
        score, untied_x, untied_y = score_by_sorting(x, y)
        return score / norms(untied_x, untied_y)
    x = x if isinstance(x, Signs) else pack_signs(x)
    y = y if isinstance(y, Signs) else pack_signs(y)
    return count_scores(x, y) / norms(x.n_untied, y.n_untied)


def check_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [n_vectors, n_values] as contiguous float64; a ValueError unless two-dimensional and finite."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] < 2:
        raise ValueError(f"expected vectors as (n_vectors, n_values >= 2), got shape {vectors.shape}; reshape to 2-D")
    if not np.isfinite(vectors).all():
        raise ValueError("tau-b is not defined for NaN or infinite values; remove or impute them first")
    return vectors


def _check_lengths(n_x: int, n_y: int) -> None:
    if n_x != n_y:
        raise ValueError(f"x has vectors of {n_x} values, y of {n_y}; use the same pairs on both sides")


@njit(parallel=True)
def _pack(x, greater, untied):  # type: ignore[no-untyped-def]
    for r in prange(x.shape[0]):
        word = 0
        bit = 0
        g = np.uint64(0)
        u = np.uint64(0)
        for i in range(x.shape[1] - 1):
            for j in range(i + 1, x.shape[1]):
                g |= np.uint64(x[r, i] > x[r, j]) << np.uint64(bit)
                u |= np.uint64(x[r, i] != x[r, j]) << np.uint64(bit)
                bit += 1
                if bit == 64:
                    greater[r, word] = g
                    untied[r, word] = u
                    word += 1
                    bit = 0
                    g = np.uint64(0)
                    u = np.uint64(0)
        if bit:
            greater[r, word] = g
            untied[r, word] = u


@njit()
def _tile(xg, r, yg, yu, c):  # type: ignore[no-untyped-def]
    """Discordant counts of rows r .. r+3 of x (untied) with columns c, c+1 of y; indices beyond the end are clamped.

    Four rows share each load of y and two columns each load of x, so that counting and not memory is the limit.
    """
    last = xg.shape[0] - 1
    x0, x1, x2, x3 = xg[r], xg[min(r + 1, last)], xg[min(r + 2, last)], xg[min(r + 3, last)]
    d = min(c + 1, yg.shape[0] - 1)
    g, u, h, v = yg[c], yu[c], yg[d], yu[d]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0
    for w in range(xg.shape[1]):
        a0 += popcount((x0[w] ^ g[w]) & u[w])
        a1 += popcount((x1[w] ^ g[w]) & u[w])
        a2 += popcount((x2[w] ^ g[w]) & u[w])
        a3 += popcount((x3[w] ^ g[w]) & u[w])
        b0 += popcount((x0[w] ^ h[w]) & v[w])
        b1 += popcount((x1[w] ^ h[w]) & v[w])
        b2 += popcount((x2[w] ^ h[w]) & v[w])
        b3 += popcount((x3[w] ^ h[w]) & v[w])
    return ((a0, a1, a2, a3), (b0, b1, b2, b3))


@njit(parallel=True)
def _score_untied(xg, yg, yu, y_untied, out):  # type: ignore[no-untyped-def]
    rows, columns = out.shape
    for quad in prange((rows + 3) // 4):
        r = 4 * quad
        for c in range(0, columns, 2):
            counts = _tile(xg, r, yg, yu, c)
            for j in range(min(2, columns - c)):
                for i in range(min(4, rows - r)):
                    out[r + i, c + j] = y_untied[c + j] - 2 * counts[j][i]


@njit(parallel=True)
def _exceed_untied(xg, yg, yu, y_untied, observed, exceeded, peaks):  # type: ignore[no-untyped-def]
    """Add to ``exceeded`` where a score reaches the observed one; keep each column's highest score per block of rows.

    Column c of y belongs to column ``c % observed.shape[1]`` of the observed scores. Columns are taken in strips that
    stay in the cache while the rows of a block pass.
    """
    rows, columns, blocks, strip = xg.shape[0], yg.shape[0], peaks.shape[0], 28
    kinds = observed.shape[1]
    quads = (rows + 3) // 4
    per_block = (quads + blocks - 1) // blocks
    for block in prange(blocks):
        for start in range(0, columns, strip):
            for quad in range(block * per_block, min((block + 1) * per_block, quads)):
                r = 4 * quad
                for c in range(start, min(start + strip, columns), 2):
                    counts = _tile(xg, r, yg, yu, c)
                    for j in range(min(2, columns - c)):
                        kind = (c + j) % kinds
                        for i in range(min(4, rows - r)):
                            score = y_untied[c + j] - 2 * counts[j][i]
                            exceeded[r + i, kind] += score >= observed[r + i, kind]
                            peaks[block, c + j] = max(peaks[block, c + j], score)


@njit()
def _score_tied(xg, xu, yg, yu):  # type: ignore[no-untyped-def]
    out = np.empty((xg.shape[0], yg.shape[0]), np.int32)
    for r in range(xg.shape[0]):
        for c in range(yg.shape[0]):
            score = 0
            for w in range(xg.shape[1]):
                both = xu[r, w] & yu[c, w]
                score += popcount(both) - 2 * popcount((xg[r, w] ^ yg[c, w]) & both)
            out[r, c] = score
    return out
