"""Numerators of Kendall's tau-b as :mod:`emonb.analysis.kendall` counts them, eight rows at a time."""

import numpy as np
from numba import prange

from emonb.analysis.compiled import njit, popcount
from emonb.analysis.kendall import Signs, count_scores

_BLOCKS = 64


def count_fast(x: Signs, y: Signs) -> np.ndarray:
    """As :func:`emonb.analysis.kendall.count_scores`, eight untied rows and two columns at a time.

    Half of the comparisons are counted first: eight rows of them stay in the cache nearest to the processor while the
    columns pass, and every word of a column that comes from the next cache serves eight rows.
    """
    total = x.n_values * (x.n_values - 1) // 2
    tied = np.flatnonzero(x.n_untied < total)
    out = np.empty((len(x.greater), len(y.greater)), np.int32)
    out[:] = y.n_untied
    _subtract_discordant(x.greater, y.greater, y.untied, out)
    if len(tied):
        out[tied] = count_scores(x.take(tied), y)
    return out


@njit()
def _tile(xg, r, yg, yu, c, a, b):  # type: ignore[no-untyped-def]
    """Discordant comparisons, of words a to b, of rows r .. r+7 with columns c, c+1; the last is repeated."""
    last, end = xg.shape[0] - 1, yg.shape[0] - 1
    x0, x1 = xg[min(r, last), a:b], xg[min(r + 1, last), a:b]
    x2, x3 = xg[min(r + 2, last), a:b], xg[min(r + 3, last), a:b]
    x4, x5 = xg[min(r + 4, last), a:b], xg[min(r + 5, last), a:b]
    x6, x7 = xg[min(r + 6, last), a:b], xg[min(r + 7, last), a:b]
    g, u, h, v = yg[c, a:b], yu[c, a:b], yg[min(c + 1, end), a:b], yu[min(c + 1, end), a:b]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = 0
    for w in range(x0.shape[0]):
        s0 += popcount((x0[w] ^ g[w]) & u[w])
        s1 += popcount((x1[w] ^ g[w]) & u[w])
        s2 += popcount((x2[w] ^ g[w]) & u[w])
        s3 += popcount((x3[w] ^ g[w]) & u[w])
        s4 += popcount((x4[w] ^ g[w]) & u[w])
        s5 += popcount((x5[w] ^ g[w]) & u[w])
        s6 += popcount((x6[w] ^ g[w]) & u[w])
        s7 += popcount((x7[w] ^ g[w]) & u[w])
        t0 += popcount((x0[w] ^ h[w]) & v[w])
        t1 += popcount((x1[w] ^ h[w]) & v[w])
        t2 += popcount((x2[w] ^ h[w]) & v[w])
        t3 += popcount((x3[w] ^ h[w]) & v[w])
        t4 += popcount((x4[w] ^ h[w]) & v[w])
        t5 += popcount((x5[w] ^ h[w]) & v[w])
        t6 += popcount((x6[w] ^ h[w]) & v[w])
        t7 += popcount((x7[w] ^ h[w]) & v[w])
    return ((s0, s1, s2, s3, s4, s5, s6, s7), (t0, t1, t2, t3, t4, t5, t6, t7))


@njit(parallel=True)
def _subtract_discordant(xg, yg, yu, out):  # type: ignore[no-untyped-def]
    """Take twice the discordant comparisons off; strips of columns stay in the cache while the rows pass."""
    rows, columns = out.shape
    words, strip, octets = xg.shape[1], 28, (rows + 7) // 8
    half = max(8 * ((words + 15) // 16), 1)
    for block in prange(_BLOCKS):
        for start in range(0, columns, strip):
            for octet in range(block, octets, _BLOCKS):
                r = 8 * octet
                for a in range(0, words, half):
                    for c in range(start, min(start + strip, columns), 2):
                        counts = _tile(xg, r, yg, yu, c, a, min(a + half, words))
                        for j in range(min(2, columns - c)):
                            for i in range(min(8, rows - r)):
                                out[r + i, c + j] -= 2 * counts[j][i]
