"""A fit of two RDMs with its interval and both p values; fits within groups of emotions; fits corrected for noise."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.correlation import correlate_rows
from emonb.analysis.inference import TIE, draw_permutations, permute_rdm
from emonb.analysis.rdm import Rdm, pair_index, pair_labels, pair_values, to_square
from emonb.errors import LabelError

_NONE: tuple[float, float, float, float, float] = (float("nan"),) * 5


class Fit(NamedTuple):
    """A rank correlation of two RDMs; unit of inference: the emotion."""

    rho: float
    low: float
    """95 % interval, jackknife over emotions."""
    high: float
    p_greater: float
    """One-sided, emotions permuted."""
    p_two_sided: float
    """Both tails of the same permutations."""
    n: int
    """Emotions."""


def fit_rdms(model: Rdm, human: Rdm, n_permutations: int, seed: int) -> Fit:
    """Spearman correlation of two RDMs, by permuting emotions, with a jackknife interval.

    Unit: the emotion. Population of the interval: emotions of which these are a sample; of the p values: none, they
    speak of the relabellings of these emotions (Mantel 1967, Cancer Res 27:209). Exchangeability assumed: under the null
    the model's labels carry no information about the human RDM, so that every relabelling is equally likely. The
    jackknife leaves out one emotion with all its pairs and takes t on n - 1 degrees of freedom (Efron & Stein 1981, Ann
    Stat 9:586); it assumes no exchangeability.

    Parameters
    ----------
    model, human : array or DataArray, shape (n_pairs,)
    n_permutations, seed : int

    Returns
    -------
    Fit
        All but ``n`` NaN where a side does not vary, or is not defined for every pair.
    """
    x, y = pair_values(model, human)
    n = len(to_square(x))
    rho = rank_correlation(x, y)
    if np.isnan([rho, *x, *y]).any():
        return Fit(*_NONE, n)
    low, high = jackknife_interval(rho, [rank_correlation(x[kept], y[kept]) for kept in leave_one_out(n)])
    ranks = scipy.stats.zscore(scipy.stats.rankdata(x))
    target = scipy.stats.zscore(scipy.stats.rankdata(y)) / len(y)
    null = permute_rdm(ranks, draw_permutations(n, n_permutations, seed)) @ target
    return Fit(rho, low, high, *permutation_p(null, rho), n)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman correlation of two vectors where the first is defined; NaN where one of them does not vary there."""
    return float(correlate_rows(x[None], y, "rho")[0])


def permutation_p(null: np.ndarray, observed: float) -> tuple[float, float]:
    """One-sided (greater) and two-sided p of a statistic, (b + 1) / (n + 1) (Phipson & Smyth 2010).

    The two-sided p counts permutations at least as far from zero.

    >>> permutation_p(np.array([-0.9, -0.1, 0.2, 0.4]), 0.5)
    (0.2, 0.4)
    """
    greater = (null >= observed - TIE).sum() + 1
    far = (np.abs(null) >= abs(observed) - TIE).sum() + 1
    return float(greater / (len(null) + 1)), float(far / (len(null) + 1))


def leave_one_out(n: int) -> list[np.ndarray]:
    """For each of n emotions, the pairs [n_pairs] that are left without it."""
    i, j = pair_index(n)
    return [(i != k) & (j != k) for k in range(n)]


def jackknife_interval(value: float, without: list[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of an estimate from its values without each unit: t on n - 1 degrees of freedom (Efron & Stein 1981).

    >>> np.round(jackknife_interval(2.0, [2.5, 2.0, 1.5]), 3).tolist()  # of the mean of 1, 2 and 3
    [-0.484, 4.484]
    """
    n = len(without)
    error = np.sqrt((n - 1) * np.var(without))
    half = float(scipy.stats.t.isf((1 - level) / 2, n - 1) * error)
    return value - half, value + half


def split_at_middle(score: xr.DataArray) -> dict[str, list[str]]:
    """Emotions above and not above the middle of one attribute's scale, by name.

    A score is rescaled to run from 0 to 1, so the middle of its scale is 0.5. On valence, ``above`` are the pleasant
    emotions.

    Parameters
    ----------
    score : DataArray, dims (emotion,)

    Returns
    -------
    dict
        ``above`` and ``below``.

    >>> split_at_middle(xr.DataArray([0.0, 0.7, 1.0], {"emotion": ["fear", "awe", "joy"]}, ["emotion"]))
    {'above': ['awe', 'joy'], 'below': ['fear']}
    """
    above = score > (score.min() + score.max()) / 2
    return {"above": [str(e) for e in score.emotion[above].values], "below": [str(e) for e in score.emotion[~above].values]}


def select_pairs(rdm: xr.DataArray, emotions: list[str]) -> xr.DataArray:
    """Pairs of which both emotions are among those named.

    Raises
    ------
    LabelError
        An emotion the RDM does not have, or fewer than four of them.
    """
    unknown = set(emotions) - set(pair_labels(rdm))
    if unknown or len(emotions) < 4:
        what = f"the RDM has no {min(unknown)}" if unknown else f"{len(emotions)} emotions have too few pairs"
        raise LabelError(f"cannot compare RDMs within these emotions: {what}")
    return rdm.isel(pair=np.flatnonzero(rdm["first"].isin(emotions) & rdm["second"].isin(emotions)))


def fit_within(
    model: xr.DataArray, human: xr.DataArray, groups: dict[str, list[str]], n_permutations: int, seed: int
) -> dict[str, Fit]:
    """Fit of two RDMs within each group of emotions, over pairs inside it (:func:`fit_rdms`).

    Two RDMs that only share a division of the emotions in two fit over all pairs and within neither group. A group of
    fewer than four emotions has no fit (NaN).
    """
    return {
        name: Fit(*_NONE, len(some))
        if len(some) < 4
        else fit_rdms(select_pairs(model, some), select_pairs(human, some), n_permutations, seed)
        for name, some in groups.items()
    }


def to_table(found: Mapping[str, Fit], name: str = "way") -> pd.DataFrame:
    """Fits as a table: one row a fit; columns rho, low, high, and p (two-sided)."""
    table = pd.DataFrame(found.values(), pd.Index(list(found), name=name), Fit._fields)
    return table.rename(columns={"p_two_sided": "p"})[["rho", "low", "high", "p"]]


def correct_for_noise(rho: float, *reliabilities: float) -> float:
    """Correlation as it would be without noise on the sides whose reliabilities are given (Spearman 1904).

    Reliability is the share of an RDM's variance that is not noise. The result is at most 1 in size, and NaN where a
    reliability is not positive. It multiplies the estimate's own error by the same factor.

    >>> round(correct_for_noise(0.5, 0.64, 1.0), 3)
    0.625
    """
    product = np.prod(reliabilities)
    return float(np.clip(rho / np.sqrt(product), -1, 1)) if min(reliabilities) > 0 else float("nan")
