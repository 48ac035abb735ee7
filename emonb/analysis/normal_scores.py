"""Normal scores of many rank correlations, and the highest of them in surrogates (max-T, Westfall & Young 1993).

A maximum of raw correlations is ruled by the neurons and attributes whose null distributions are widest. So every
neuron's correlation becomes a normal score by the mean, standard deviation and skewness of its own null distribution (a
Pearson type III tail by Wilson & Hilferty 1931; Winkler et al. 2016, NeuroImage 141:502). Whatever function of a neuron the
moments give, it is the same for what was observed and for each surrogate: the family-wise p is exact, and the tail's form
decides only how evenly its error is spread over neurons.

Spearman's correlations of ranked RDMs are products of matrices. Which neuron is highest in a surrogate is found in float32,
whose last digits hang on the processor; how high it is comes from sums of whole numbers, which do not.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import prange
from tqdm import tqdm

from emonb.analysis.compiled import njit
from emonb.analysis.inference import TIE

_ROWS, _STRIPS = 4096, 16
"""Neurons whose correlations are made at a time, and strips of them that processors share."""
_HIGH = 2.5
"""Normal score below which no neuron is looked at as the highest, but where all are below."""


class Tail(NamedTuple):
    """Moments of null distributions of correlations, each [n_x, n_y]: mean, standard deviation, skewness."""

    mean: np.ndarray
    sd: np.ndarray
    skew: np.ndarray


class Found(NamedTuple):
    """Result of :func:`search_ranks`; p is one-sided (greater)."""

    rho: np.ndarray
    """Spearman's correlation [n_x, n_y]; NaN where a side does not vary."""
    score: np.ndarray
    """Its normal score [n_x, n_y]; minus infinity where none is defined."""
    p_fwe: np.ndarray
    """[n_x, n_y], over all x within one y."""
    peak: np.ndarray
    """[n_surrogates, n_y]: highest normal score of each surrogate, over x."""


def search_ranks(
    x: np.ndarray, y: np.ndarray, surrogates: Iterable[np.ndarray], tail: Tail, progress: bool = False
) -> Found:
    """Correlate every x with every y, and find the best of all x in each surrogate of y.

    Parameters
    ----------
    x : array of int16, shape (n_x, n_pairs)
        From :func:`emonb.analysis.rdm.centred_ranks`.
    y : array of int16, shape (n_y, n_pairs)
        The same.
    surrogates : iterable of array of int16, shape (n, n_y, n_pairs)
        The same of surrogates of y, some at a time; these bound the memory.
    tail : Tail
    progress : bool

    Returns
    -------
    Found
    """
    rho = correlate_ranks(x, y)
    score = normal_scores(rho, *tail)
    units, high = unit_rows(x, np.float32), undo_score(_HIGH, *tail)
    peaks = [_find_peaks(x, units, some, tail, high) for some in tqdm(surrogates, unit="part", disable=not progress)]
    peak = np.concatenate(peaks)
    ordered = np.sort(peak, axis=0)
    as_high = [len(peak) - np.searchsorted(ordered[:, k], score[:, k] - TIE) for k in range(len(y))]
    return Found(rho, score, (np.stack(as_high, axis=1) + 1) / (len(peak) + 1), peak)


def correlate_ranks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of all rows of centred ranks [n_x, n] and [n_y, n]; NaN where a row is constant.

    Sums of products of whole numbers are exact in float64, in whatever order a processor adds them.
    """
    y = y.astype(np.float64)
    size = _length(x)[:, None] * _length(y)[None]
    products = np.concatenate([x[k : k + _ROWS].astype(np.float64) @ y.T for k in range(0, len(x), _ROWS)])
    return np.divide(products, size, out=np.full_like(products, np.nan), where=size > 0)


def unit_rows(ranks: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Rows of length 1; 0 where a row is constant."""
    size = _length(ranks)[:, None]
    return np.divide(ranks, size, out=np.zeros(ranks.shape, dtype), where=size > 0, casting="same_kind")


def normal_scores(rho: np.ndarray, mean: np.ndarray, sd: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Normal scores of correlations by the moments of their null distributions, all [n_x, n_y]."""
    return np.asarray(_normal_scores(*np.broadcast_arrays(np.asarray(rho, np.float64), mean, sd, skew)))


def undo_score(score: float, mean: np.ndarray, sd: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Statistic that has a normal score, in the statistic's unit.

    >>> moments = [np.array([[0.1]]), np.array([[0.05]]), np.array([[0.4]])]
    >>> bool(np.isclose(undo_score(normal_scores(np.array([[0.31]]), *moments), *moments), 0.31))
    True
    """
    straight = np.abs(skew) < 1e-3
    bend = np.where(straight, 1.0, skew)
    upper = ((bend / 6 * (score - bend / 6) + 1) ** 3 - 1) * 2 / bend
    above = np.where(upper > 1, upper, np.minimum(score, 1))
    return np.asarray(mean + sd * np.where(straight, score, above))


def _find_peaks(x: np.ndarray, units: np.ndarray, surrogates: np.ndarray, tail: Tail, high: np.ndarray) -> np.ndarray:
    """Highest normal score over x of each surrogate [n, n_y]; minus infinity where none is defined."""
    n, kinds, pairs = surrogates.shape
    flat = surrogates.reshape(-1, pairs)
    columns = unit_rows(flat, np.float32).T
    best, at = np.full(n * kinds, -np.inf), np.zeros(n * kinds, np.int64)
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        rho = units[rows] @ columns
        tops, where = np.full((_STRIPS, len(best)), -np.inf), np.zeros((_STRIPS, len(best)), np.int64)
        _take_highest(rho, *(part[rows] for part in tail), high[rows], tops, where)
        strip = tops.argmax(0)
        top, found = (np.take_along_axis(array, strip[None], 0)[0] for array in (tops, where))
        at, best = np.where(top > best, start + found, at), np.maximum(top, best)
    kind = np.tile(np.arange(kinds), n)
    products = np.einsum("ij,ij->i", x[at].astype(np.float64), flat.astype(np.float64))
    size = _length(x)[at] * _length(flat)
    rho = np.divide(products, size, out=np.zeros_like(products), where=size > 0)
    exact = normal_scores(rho[None], *(part[at, kind][None] for part in tail))[0]
    return np.where(np.isfinite(best), exact, -np.inf).reshape(n, kinds)


def _length(rows: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.linalg.norm(rows[k : k + _ROWS].astype(np.float64), axis=1) for k in range(0, len(rows), _ROWS)]
    )


@njit()
def _normal_score(value, mean, sd, skew):  # type: ignore[no-untyped-def]
    """Normal score of a Pearson type III variable (Wilson & Hilferty 1931); up to 1 the standard score, for speed."""
    if not sd > 0:
        return -np.inf
    z = (value - mean) / sd
    if z <= 1 or abs(skew) < 1e-3:
        return z
    return (np.cbrt(0.5 * skew * z + 1) - 1) * 6 / skew + skew / 6


@njit()
def _normal_scores(values, mean, sd, skew):  # type: ignore[no-untyped-def]
    out = np.empty(values.shape)
    for r in range(values.shape[0]):
        for k in range(values.shape[1]):
            z = _normal_score(values[r, k], mean[r, k], sd[r, k], skew[r, k])
            out[r, k] = -np.inf if np.isnan(z) else z
    return out


@njit(parallel=True)
def _take_highest(rho, mean, sd, skew, high, tops, where):  # type: ignore[no-untyped-def]
    """Per strip of rows and column, the highest normal score and its row; only of what is high, where anything is."""
    rows, columns = rho.shape
    kinds, strips = sd.shape[1], tops.shape[0]
    size = (rows + strips - 1) // strips
    for strip in prange(strips):
        first, last = strip * size, min((strip + 1) * size, rows)
        for r in range(first, last):
            for batch in range(0, columns, kinds):
                for k in range(kinds):
                    if rho[r, batch + k] >= high[r, k]:
                        z = _normal_score(float(rho[r, batch + k]), mean[r, k], sd[r, k], skew[r, k])
                        if z > tops[strip, batch + k]:
                            tops[strip, batch + k] = z
                            where[strip, batch + k] = r
        for c in range(columns):
            if tops[strip, c] == -np.inf:
                k = c % kinds
                for r in range(first, last):
                    z = _normal_score(float(rho[r, c]), mean[r, k], sd[r, k], skew[r, k])
                    if z > tops[strip, c]:
                        tops[strip, c] = z
                        where[strip, c] = r
