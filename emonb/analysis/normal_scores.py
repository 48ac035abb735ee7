"""Normal scores of many correlations, and a family-wise test of them by relabelling (min-P, Westfall & Young 1993).

A maximum of raw correlations is ruled by the neurons and attributes whose null distributions are widest, and a smallest p
from ranks among n permutations cannot be less than 1 / (n + 1), which with thousands of neurons some neuron reaches in
almost every permutation. So every neuron's correlation becomes a normal score by the mean, standard deviation and skewness
of its own null distribution (a Pearson type III tail by Wilson & Hilferty 1931; Winkler et al. 2016, NeuroImage 141:502).
The moments come from relabellings that the test does not use again. Whatever function of a neuron they give, it is the
same for the observed labels and for each of the test's relabellings: the family-wise p is exact, and the tail's form
decides only how evenly its error is spread over neurons.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numba import prange
from tqdm import tqdm

from emonb.analysis.compiled import njit
from emonb.analysis.inference import TIE

NORMAL_05 = 1.6448536269514722
"""Normal score above which a neuron counts: one-sided .05."""
N_MOMENTS = 500
"""Relabellings, beside those of a test, from which the moments of null distributions are taken."""
PERMUTATIONS_A_PART = 250
"""Changes no result, for permutations are counted in whole numbers."""
_BLOCKS = 64

Arrays = dict[str, np.ndarray]
Begin = Callable[[], Callable[[slice | None, Path | None], tuple[Arrays, dict[str, str]]]]
"""Takes the moments, and gives what makes the moments (None) or a block of permutations (a slice) with its provenance."""


class Work(Protocol):
    """Makes the parts of a test, or has had them made elsewhere."""

    def each(self, units: Mapping[str, Any], begin: Begin, progress: bool = False) -> list[Arrays]:
        """Arrays of every part, in order; ``begin`` is called only if a part is made here."""


class Tail(NamedTuple):
    """Moments of null distributions, each [n_x, n_y]: mean, standard deviation, skewness."""

    mean: np.ndarray
    sd: np.ndarray
    skew: np.ndarray


class Found(NamedTuple):
    """Result of :func:`permute_scores`; [n_x, n_y] unless noted. All p are one-sided (greater)."""

    score: np.ndarray
    """Normal score of the observed statistic."""
    mean: np.ndarray
    """Of the statistic over relabellings, as its standard deviation and skewness."""
    sd: np.ndarray
    skew: np.ndarray
    p: np.ndarray
    """Of one comparison by itself."""
    p_fwe: np.ndarray
    """Over all x within one y."""
    peak: np.ndarray
    """[n_permutations, n_y]: highest normal score of each relabelling, over x."""
    beyond: np.ndarray
    """[n_y]: x whose normal score exceeds NORMAL_05."""
    beyond_null: np.ndarray
    """[n_y]: mean of the same over relabellings."""
    beyond_p: np.ndarray
    """[n_y]: of the count."""


def name_permutations(n: int, size: int = PERMUTATIONS_A_PART) -> dict[str, slice | None]:
    """Parts of a test by relabelling: the moments of the null distributions, then blocks of permutations.

    >>> name_permutations(400)
    {'moments': None, '000000': slice(0, 250, None), '000250': slice(250, 400, None)}
    """
    blocks = {f"{start:06d}": slice(start, min(start + size, n)) for start in range(0, n, size)}
    return {"moments": None, **blocks}


def permute_scores(
    score: Callable[[np.ndarray], np.ndarray],
    observed: np.ndarray,
    orders: np.ndarray,
    chunk: int,
    progress: bool = False,
    work: Work | None = None,
    moments: int = N_MOMENTS,
    tail: Tail | None = None,
) -> Found:
    """Test statistics against those of relabellings, a chunk at a time.

    Parameters
    ----------
    score : function
        Of relabellings [n, n_items]: their statistics [n_x, n * n_y], the n_y of one relabelling together.
    observed : array, shape (n_x, n_y)
    orders : array, shape (moments + n_permutations, n_items)
        The first ones give the moments, the others the p values.
    chunk : int
    progress : bool
    work : Work, optional
        Where the moments and blocks of permutations are made and kept; here and in memory if not given. Who makes a block
        takes the moments first, once, which are the same wherever they are taken.
    moments : int
        Relabellings from which the moments are taken; few make normal scores coarse, and the test no less exact.
    tail : Tail, optional
        Moments taken elsewhere, of a test like this one; then all of ``orders`` give the p values.

    Returns
    -------
    Found
    """
    moments = 0 if tail else moments
    n_permutations = len(orders) - moments

    def begin() -> Callable[[slice | None, Path | None], tuple[Arrays, dict[str, str]]]:
        null = tail or _take_moments(score, observed, orders[:moments], chunk)

        def make(block: slice | None, checkpoint: Path | None) -> tuple[Arrays, dict[str, str]]:
            return (null._asdict() if block is None else _count(score, observed, orders[moments:][block], null, chunk)), {}

        return make

    units = name_permutations(n_permutations)
    if work is not None:
        parts = work.each(units, begin, progress)
    else:
        make = begin()
        parts = [make(unit, None)[0] for unit in tqdm(units.values(), unit="part", disable=not progress)]
    null, blocks = Tail(**parts[0]), parts[1:]
    exceeded = np.stack([block["exceeded"] for block in blocks]).sum(0, dtype=np.int64)
    peak, counts = (np.concatenate([block[name] for block in blocks]) for name in ("peak", "beyond"))
    normal = _normal_scores(observed.astype(np.float64), *null)
    ordered = np.sort(peak, axis=0)
    as_high = [n_permutations - np.searchsorted(ordered[:, k], normal[:, k] - TIE) for k in range(observed.shape[1])]
    beyond = (normal >= NORMAL_05).sum(0)
    return Found(
        normal,
        *null,
        (exceeded + 1) / (n_permutations + 1),
        (np.stack(as_high, axis=1) + 1) / (n_permutations + 1),
        peak,
        beyond,
        counts.mean(0),
        ((counts >= beyond).sum(0) + 1) / (n_permutations + 1),
    )


def undo_score(score: np.ndarray | float, mean: float, sd: float, skew: float) -> np.ndarray | float:
    """Statistic that has a normal score, in the statistic's unit.

    >>> moments = (0.1, 0.05, 0.4)
    >>> round(float(undo_score(_normal_score(0.31, *moments), *moments)), 9)
    0.31
    """
    if abs(skew) < 1e-3:
        return mean + sd * score
    upper = ((skew / 6 * (score - skew / 6) + 1) ** 3 - 1) * 2 / skew
    return mean + sd * np.where(upper > 1, upper, np.minimum(score, 1))


def _take_moments(score: Callable[[np.ndarray], np.ndarray], observed: np.ndarray, orders: np.ndarray, chunk: int) -> Tail:
    sums = np.zeros((3, *observed.shape))
    for start in range(0, len(orders), chunk):
        _add_powers(score(orders[start : start + chunk]), observed, sums)
    return _tail(sums / len(orders), observed)


def _count(
    score: Callable[[np.ndarray], np.ndarray], observed: np.ndarray, orders: np.ndarray, tail: Tail, chunk: int
) -> Arrays:
    """Of a block of relabellings: how often each statistic is reached, each one's highest score and scores that count."""
    kinds = observed.shape[1]
    exceeded, peaks, counts = np.zeros(observed.shape, np.int32), [], []
    for start in range(0, len(orders), chunk):
        scores = score(orders[start : start + chunk])
        top, beyond = np.full((_BLOCKS, scores.shape[1]), -np.inf), np.zeros((_BLOCKS, scores.shape[1]), np.int64)
        _digest(scores, observed, *tail, exceeded, top, beyond)
        peaks.append(top.max(0).reshape(-1, kinds))
        counts.append(beyond.sum(0).reshape(-1, kinds))
    return {"exceeded": exceeded, "peak": np.concatenate(peaks), "beyond": np.concatenate(counts)}


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
