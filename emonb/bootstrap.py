"""Bootstrap intervals of RSA fits over emotions, over judges, or over both, with the noise ceiling in the same draws."""

from typing import NamedTuple

import numpy as np
import scipy.stats

from emonb.rdm import pair_index, to_square


class Interval(NamedTuple):
    """An estimate with its percentile interval."""

    value: float
    low: float
    high: float


def bootstrap_fit(
    models: np.ndarray,
    judgments: np.ndarray,
    n_bootstraps: int,
    seed: int,
    over: str = "both",
    measure: str = "rho",
    level: float = 0.95,
) -> dict[str, list[Interval]]:
    """Bootstrap the fit of model RDMs with the mean human RDM.

    Emotions are drawn with replacement; pairs of an emotion with itself are left out (as in rsatoolbox). Every draw
    serves all models and the ceiling, so differences between models are paired.

    Exchangeability assumed: the emotions (judges) are independent draws from a population of emotions (judges).

    Parameters
    ----------
    models : array, shape (n_models, n_pairs)
    judgments : array, shape (n_judges, n_pairs)
    n_bootstraps, seed : int
    over : {'emotions', 'judges', 'both'}
    measure : {'rho', 'tau'}
    level : float

    Returns
    -------
    dict
        ``fit``: one :class:`Interval` a model. ``difference``: first model minus each model. ``ceiling``: upper
        noise ceiling (mean judge against the mean of all; Spearman).
    """
    if over not in ("emotions", "judges", "both"):
        raise ValueError(f"over must be 'emotions', 'judges' or 'both', got '{over}'")
    rng = np.random.default_rng(seed)
    models, judgments = np.atleast_2d(models), np.asarray(judgments, np.float64)
    squares, judge_squares = to_square(models), to_square(judgments)
    n = squares.shape[-1]
    first, second = pair_index(n)
    fits, ceilings = np.empty((n_bootstraps, len(models))), np.empty(n_bootstraps)
    for b in range(n_bootstraps):
        emotions = np.array(rng.choice(n, n) if over != "judges" else range(n))
        n_judges = len(judgments)
        judges = np.array(rng.choice(n_judges, n_judges) if over != "emotions" else range(n_judges))
        i, j = emotions[first], emotions[second]
        i, j = i[i != j], j[i != j]
        human = judge_squares[judges][:, i, j]
        mean = human.mean(0)
        fits[b] = _correlate(squares[:, i, j], mean, measure)
        ceilings[b] = _correlate(human, mean, "rho").mean()
    observed = _correlate(models, judgments.mean(0), measure)
    upper = _correlate(judgments, judgments.mean(0), "rho").mean()
    return {
        "fit": [_interval(observed[k], fits[:, k], level) for k in range(len(models))],
        "difference": [_interval(observed[0] - observed[k], fits[:, 0] - fits[:, k], level) for k in range(len(models))],
        "ceiling": [_interval(upper, ceilings, level)],
    }


def _correlate(rows: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    if measure == "tau":
        return np.array([scipy.stats.kendalltau(row, target).statistic for row in rows])
    ranks = scipy.stats.zscore(scipy.stats.rankdata(rows, axis=1), axis=1)
    return ranks @ scipy.stats.zscore(scipy.stats.rankdata(target)) / len(target)


def _interval(value: float, draws: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))
