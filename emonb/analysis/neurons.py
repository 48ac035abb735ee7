"""Which attributes have neurons: label permutations of every neuron, family-wise by min-P, by rate, and by count.

A maximum of raw correlations is ruled by the neurons and attributes whose null distributions are widest, and a smallest p
from ranks among n permutations cannot be less than 1 / (n + 1), which with thousands of neurons some neuron reaches in
almost every permutation. So every neuron's correlation becomes a normal score by the mean, standard deviation and skewness
of its own null distribution (a Pearson type III tail by Wilson & Hilferty 1931; Winkler et al. 2016, NeuroImage 141:502).
The moments come from relabellings that the test does not use again. Whatever function of a neuron they give, it is the
same for the observed labels and for each of the test's relabellings: the family-wise p is exact, and the tail's form
decides only how evenly its error is spread over neurons.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numba import prange
from tqdm import tqdm

from emonb.analysis.compiled import njit, popcount
from emonb.analysis.inference import TIE, benjamini_hochberg, draw_permutations, permute_rdm
from emonb.analysis.kendall import Signs, count_scores, norms, pack_signs
from emonb.analysis.rdm import average_neuron_rdms, order_emotions

N_MOMENTS = 500
"""Relabellings, beside those of the test, from which the moments of the null distributions are taken."""
NORMAL_05 = 1.6448536269514722
"""Normal score above which a neuron counts: one-sided .05."""
_BLOCKS = 64


class Tail(NamedTuple):
    """Moments of null distributions, each [n_x, n_y]: mean, standard deviation, skewness."""

    mean: np.ndarray
    sd: np.ndarray
    skew: np.ndarray


class Found(NamedTuple):
    """Result of :func:`permute_scores`; [n_x, n_y] unless noted. All p are one-sided (greater)."""

    z: np.ndarray
    """Normal score of the observed statistic."""
    p: np.ndarray
    """Of one comparison by itself."""
    p_fwe: np.ndarray
    """Over all x within one y."""
    beyond: np.ndarray
    """[n_y]: x whose normal score exceeds NORMAL_05."""
    beyond_null: np.ndarray
    """[n_y]: mean of the same over relabellings."""
    beyond_p: np.ndarray
    """[n_y]: of the count."""


def find_neurons(
    activations: xr.Dataset,
    humans: xr.Dataset,
    permutations: int,
    seed: int,
    seeds: Sequence[int] | None = None,
    chunk: int = 50,
    progress: bool = False,
) -> xr.Dataset:
    """Test every neuron's RDM against every attribute's (tau-b, one-sided), by permuting emotions.

    Unit of inference: the emotion. Population: the relabellings of these emotions; neurons and attributes are these ones.
    Exchangeability assumed: under the null the attributes' labels carry no information about the neurons, so that every
    relabelling is equally likely (Mantel 1967); one relabelling serves all neurons and attributes, which keeps their
    dependence. An attribute that no neuron carries but that correlates with one that is carried is not under this null:
    see :func:`emonb.analysis.own.find_own_neurons`.

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron).
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    permutations, seed : int
    seeds : sequence of int, optional
        Of the prompts; all if none are given.
    chunk : int
        Permutations at a time; bounds the memory.
    progress : bool

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``tau``; ``p``; ``q`` (Benjamini & Hochberg 1995 within the attribute); ``p_fwe``
        (min-P over neurons within the attribute, Westfall & Young 1993). Over (attribute): ``beyond``, neurons beyond
        their own one-sided .05; ``beyond_null``, its mean over relabellings; ``beyond_p``, one-sided.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    activation = activations.activation.sel(seed=list(seeds)) if seeds else activations.activation
    x = pack_signs(average_neuron_rdms(order_emotions(activation, humans.attribute_rdm)))
    rdms = humans.attribute_rdm.transpose("attribute", "pair").to_numpy()
    y, n_emotions = pack_signs(rdms), humans.attribute_rdm.sizes["pair"]
    orders = draw_permutations(_n_items(n_emotions), permutations + N_MOMENTS, seed)

    def score(batch: np.ndarray) -> np.ndarray:
        return count_fast(x, pack_signs(permute_rdm(rdms, batch).reshape(-1, rdms.shape[1])))

    observed = count_scores(x, y)
    found = permute_scores(score, observed, orders, chunk, progress)
    tau = observed / norms(x.n_untied, y.n_untied)
    defined = ~np.isnan(tau)
    arrays = {"tau": tau, "p": np.where(defined, found.p, 1.0), "p_fwe": np.where(defined, found.p_fwe, 1.0)}
    arrays["q"] = np.stack([benjamini_hochberg(p) for p in arrays["p"].T], axis=1)
    return label_neurons(arrays, found, activation, humans.attribute_rdm).assign_attrs(n_permutations=permutations)


def permute_scores(
    score: Callable[[np.ndarray], np.ndarray], observed: np.ndarray, orders: np.ndarray, chunk: int, progress: bool = False
) -> Found:
    """Test statistics against those of relabellings, a chunk at a time.

    Parameters
    ----------
    score : function
        Of relabellings [n, n_items]: their statistics [n_x, n * n_y], the n_y of one relabelling together.
    observed : array, shape (n_x, n_y)
    orders : array, shape (N_MOMENTS + n_permutations, n_items)
        The first N_MOMENTS give the moments, the others the p values.
    chunk : int
    progress : bool

    Returns
    -------
    Found
    """
    n_x, kinds = observed.shape
    n_permutations = len(orders) - N_MOMENTS
    exceeded, sums = np.zeros((n_x, kinds), np.int64), np.zeros((3, n_x, kinds))
    peaks, counts = np.empty((n_permutations, kinds)), np.empty((n_permutations, kinds), np.int64)
    with tqdm(total=len(orders), desc="permutations", disable=not progress) as bar:
        for start in range(0, N_MOMENTS, chunk):
            scores = score(orders[start : min(start + chunk, N_MOMENTS)])
            _add_powers(scores, observed, sums)
            bar.update(scores.shape[1] // kinds)
        tail = _tail(sums / N_MOMENTS, observed)
        for start in range(0, n_permutations, chunk):
            batch = orders[N_MOMENTS + start : N_MOMENTS + start + chunk]
            scores = score(batch)
            top, beyond = np.full((_BLOCKS, scores.shape[1]), -np.inf), np.zeros((_BLOCKS, scores.shape[1]), np.int64)
            _digest(scores, observed, *tail, exceeded, top, beyond)
            rows = slice(start, start + len(batch))
            peaks[rows], counts[rows] = top.max(0).reshape(-1, kinds), beyond.sum(0).reshape(-1, kinds)
            bar.update(len(batch))
    z = _normal_scores(observed.astype(np.float64), *tail)
    count = (z >= NORMAL_05).sum(0)
    sorted_peaks = np.sort(peaks, axis=0)
    as_high = [n_permutations - np.searchsorted(sorted_peaks[:, k], z[:, k] - TIE) for k in range(kinds)]
    return Found(
        z,
        (exceeded + 1) / (n_permutations + 1),
        (np.stack(as_high, axis=1) + 1) / (n_permutations + 1),
        count,
        counts.mean(0),
        ((counts >= count).sum(0) + 1) / (n_permutations + 1),
    )


def label_neurons(
    arrays: dict[str, np.ndarray], found: Found, activation: xr.DataArray, attribute_rdm: xr.DataArray
) -> xr.Dataset:
    """Label arrays [n_neurons, n_attributes], and the counts of a result, with attribute, layer and neuron."""
    coords = {
        "attribute": attribute_rdm.attribute.values,
        "layer": activation.layer.values,
        "neuron": activation.neuron.values,
    }
    shape = [len(values) for values in coords.values()]
    named: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        k: (tuple(coords), v.T.reshape(shape)) for k, v in arrays.items()
    }
    named |= {name: (("attribute",), getattr(found, name)) for name in ("beyond", "beyond_null", "beyond_p")}
    return xr.Dataset(named, coords=coords)


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


def _n_items(n_pairs: int) -> int:
    return (1 + int(np.sqrt(1 + 8 * n_pairs))) // 2


def _tail(powers: np.ndarray, observed: np.ndarray) -> Tail:
    """Moments from mean powers [3, n_x, n_y] of the differences from the observed statistics."""
    first, second, third = powers
    sd = np.sqrt(np.maximum(second - first**2, 0))
    centred = third - 3 * first * second + 2 * first**3
    skew = np.divide(centred, sd**3, out=np.zeros_like(sd), where=sd > 1e-9 * np.abs(observed).max(initial=1e-9))
    return Tail(observed + first, sd, skew)


@njit(parallel=True)
def _add_powers(scores, observed, sums):  # type: ignore[no-untyped-def]
    kinds = observed.shape[1]
    for r in prange(scores.shape[0]):
        for c in range(scores.shape[1]):
            k = c % kinds
            d = float(scores[r, c]) - float(observed[r, k])
            sums[0, r, k] += d
            sums[1, r, k] += d * d
            sums[2, r, k] += d * d * d


@njit()
def _normal_score(value, mean, sd, skew):  # type: ignore[no-untyped-def]
    """Normal score of a Pearson type III variable (Wilson & Hilferty 1931); up to 1 the standard score, for speed."""
    if sd <= 0:
        return -np.inf
    z = (value - mean) / sd
    if z <= 1 or abs(skew) < 1e-3:
        return z
    return (np.cbrt(0.5 * skew * z + 1) - 1) * 6 / skew + skew / 6


@njit()
def _normal_scores(values, mean, sd, skew):  # type: ignore[no-untyped-def]
    out = np.empty_like(values)
    for r in range(values.shape[0]):
        for k in range(values.shape[1]):
            out[r, k] = _normal_score(values[r, k], mean[r, k], sd[r, k], skew[r, k])
    return out


@njit(parallel=True)
def _digest(scores, observed, mean, sd, skew, exceeded, peaks, counts):  # type: ignore[no-untyped-def]
    """Count exceedances; per block of rows and column, keep the highest normal score and how many exceed NORMAL_05."""
    rows, columns = scores.shape
    kinds, blocks = observed.shape[1], peaks.shape[0]
    size = (rows + blocks - 1) // blocks
    for block in prange(blocks):
        for r in range(block * size, min((block + 1) * size, rows)):
            for c in range(columns):
                k = c % kinds
                exceeded[r, k] += scores[r, c] >= observed[r, k]
                z = _normal_score(float(scores[r, c]), mean[r, k], sd[r, k], skew[r, k])
                counts[block, c] += z >= NORMAL_05
                if z > peaks[block, c]:
                    peaks[block, c] = z


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
