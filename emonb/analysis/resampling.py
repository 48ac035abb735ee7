"""Bootstrap intervals that are neither biased nor too wide: two factors at once (Schütt et al. 2023), and basic."""

import numpy as np

from emonb.analysis.correlation import correlate_rows
from emonb.analysis.estimates import Estimate, from_t
from emonb.analysis.rdm import Rdm, pair_index, pair_values, to_square


def resample_factors(
    model: Rdm, judgments: Rdm, n_bootstraps: int, seed: int, minus: Rdm | None = None
) -> dict[str, Estimate]:
    """Intervals of the Spearman fit with the mean human RDM, for each population it may be meant for.

    *Emotions* and *both*: a bootstrap counts the noise of single judgments once for every factor it resamples, and of both
    factors a third time. The corrected variance of both is, but for small samples, 2 (judges + emotions) - both
    (Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566), between that of one factor and that of the plain
    bootstrap; interval and p are t on the smaller number less one. *Judges*: the basic interval, because the mean of judges
    drawn with replacement is noisier than the mean of all, so that most draws lie below the estimate, by about as much as
    that one lies below the fit with all conceivable judges; it has no p. In simulations of 15 or 61 judges basic intervals
    held that fit in 91 to 98 % of data sets, BCa in 1 to 37 % and percentiles in 0 to 27 %.

    Units: the emotion, the judge. Populations: emotions (with these judges), judges (with these emotions), or both.
    Exchangeability assumed: emotions (judges) are independent draws from their population. Pairs of an emotion with itself
    are left out.

    Parameters
    ----------
    model : array or DataArray, shape (n_pairs,) or (n_rdms, n_pairs)
        Of several RDMs the mean fit.
    judgments : array or DataArray, shape (n_judges, n_pairs)
        NaN where missing.
    n_bootstraps, seed : int
    minus : array or DataArray, shape (n_pairs,) or (n_rdms, n_pairs), optional
        Another model; the estimate is then by how much the first one fits better, both with the same draws.

    Returns
    -------
    dict
        ``emonb.analysis.estimates.Estimate`` by population: emotions, judges, both. NaN where an RDM does not vary, or
        too few draws have enough different emotions.
    """
    *models, rows = (np.atleast_2d(r) for r in pair_values(model, *([] if minus is None else [minus]), judgments))
    weights = np.concatenate([sign / len(some) * np.ones(len(some)) for some, sign in zip(models, (1, -1), strict=False)])
    stack, n_judges = np.vstack(models), len(rows)
    n, rng = to_square(stack).shape[-1], np.random.default_rng(seed)
    draws = {over: _draw(stack, weights, rows, over, n_bootstraps, rng) for over in ("emotions", "judges", "both")}
    variance = {over: float(np.var(some, ddof=1)) if len(some) > 1 else np.nan for over, some in draws.items()}
    value, most = _fit(stack, weights, np.nanmean(rows, 0)), float(len(models))
    error = {
        "emotions": np.sqrt(variance["emotions"] * n / (n - 1)),
        "both": np.sqrt(two_factor_variance(variance["both"], variance["judges"], variance["emotions"], n_judges, n)),
    }
    found: dict[str, Estimate] = {
        over: from_t(value, error[over], df) for over, df in (("emotions", n - 1), ("both", min(n, n_judges) - 1))
    }
    nothing = (np.nan, np.nan)
    wide, narrow = (basic_interval(value, draws["judges"], c) if len(draws["judges"]) else nothing for c in (0.95, 0.9))
    found["judges"] = Estimate(value, *wide, *narrow, float("nan"))
    ends = ("low", "high", "low90", "high90")
    return {k: e._replace(**{end: float(np.clip(getattr(e, end), -most, most)) for end in ends}) for k, e in found.items()}


def two_factor_variance(both: float, judges: float, emotions: float, n_judges: int, n_emotions: int) -> float:
    """Variance over two random factors, from bootstrap variances (Schütt et al. 2023, with factors for small samples).

    Never more than the plain bootstrap of both, and above all never less than what one factor gives: who draws other
    judges too cannot know more than who keeps them.

    >>> round(two_factor_variance(0.7, 0.2, 0.3, 10**9, 10**9), 6)  # 2 * (0.2 + 0.3) - 0.7
    0.3
    >>> two_factor_variance(0.2, 0.1, 0.3, 10**9, 10**9) >= 0.3
    True
    """
    a, b = n_judges / (n_judges - 1), n_emotions / (n_emotions - 1)
    corrected = a * judges + b * emotions - a * b * (both - judges - emotions)
    return float(max(min(corrected, both * max(a, b)), a * judges, b * emotions))


def basic_interval(value: float, draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Basic bootstrap interval (Davison & Hinkley 1997, 5.2): the draws' distances from the estimate, turned round.

    >>> basic_interval(1.0, np.array([0.0, 0.5, 1.0]), level=1.0)
    (1.0, 2.0)
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(2 * value - high), float(2 * value - low)


def _fit(rdms: np.ndarray, weights: np.ndarray, human: np.ndarray) -> float:
    """Weighted sum of the RDMs' Spearman correlations with the human one."""
    return float(weights @ correlate_rows(rdms, human, "rho"))


def _draw(
    rdms: np.ndarray, weights: np.ndarray, rows: np.ndarray, over: str, n_bootstraps: int, rng: np.random.Generator
) -> np.ndarray:
    """Fits of the draws in which there is one."""
    square, judged = to_square(rdms), to_square(rows)
    n, n_judges = square.shape[-1], len(rows)
    first, second = pair_index(n)
    fits = np.empty(n_bootstraps)
    for b in range(n_bootstraps):
        emotions = np.array(rng.integers(n, size=n) if over != "judges" else range(n))
        judges = np.array(rng.integers(n_judges, size=n_judges) if over != "emotions" else range(n_judges))
        i, j = emotions[first], emotions[second]
        i, j = i[i != j], j[i != j]
        human = judged[judges[:, None], i, j]
        seen = ~np.isnan(human).all(0)
        fits[b] = _fit(square[:, i[seen], j[seen]], weights, np.nanmean(human[:, seen], 0))
    return fits[np.isfinite(fits)]
