"""Bootstrap intervals that are neither biased nor too wide: two factors at once (Schütt et al. 2023), basic and BCa."""

import numpy as np
import pandas as pd
import scipy.stats

from emonb.analysis.fits import rank_correlation
from emonb.analysis.rdm import Rdm, pair_index, pair_values, to_square


def resample_factors(model: Rdm, judgments: Rdm, n_bootstraps: int, seed: int, level: float = 0.95) -> pd.DataFrame:
    """Intervals of the Spearman fit with the mean human RDM, for each population it may be meant for.

    *Emotions* and *both*: a bootstrap counts the noise of single judgments once for every factor it resamples, and of both
    factors a third time. The corrected variance of both is, but for small samples, 2 (judges + emotions) - both
    (Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566), between that of one factor and that of the plain
    bootstrap; the interval is t on the smaller number less one. *Judges*: the basic interval, because the mean of judges
    drawn with replacement is noisier than the mean of all, so that most draws lie below the estimate, by about as much as
    that one lies below the fit with all conceivable judges. In simulations of 15 or 61 judges basic intervals held that
    fit in 91 to 98 % of data sets, BCa in 1 to 37 % and percentiles in 0 to 27 %.

    Units: the emotion, the judge. Populations: emotions (with these judges), judges (with these emotions), or both.
    Exchangeability assumed: emotions (judges) are independent draws from their population. Pairs of an emotion with itself
    are left out.

    Parameters
    ----------
    model : array or DataArray, shape (n_pairs,)
    judgments : array or DataArray, shape (n_judges, n_pairs)
        NaN where missing.
    n_bootstraps, seed : int
    level : float

    Returns
    -------
    DataFrame
        Index ``over``: emotions, judges, both; columns ``rho``, ``sd``, ``low``, ``high``.
    """
    x, rows = pair_values(model, judgments)
    n, n_judges = len(to_square(x)), len(rows)
    rng = np.random.default_rng(seed)
    draws = {over: _draw(x, rows, over, n_bootstraps, rng) for over in ("emotions", "judges", "both")}
    variance = {over: float(np.var(values, ddof=1)) for over, values in draws.items()}
    rho = rank_correlation(x, np.nanmean(rows, 0))
    sd = {
        "emotions": np.sqrt(variance["emotions"] * n / (n - 1)),
        "judges": np.sqrt(variance["judges"] * n_judges / (n_judges - 1)),
        "both": np.sqrt(two_factor_variance(variance["both"], variance["judges"], variance["emotions"], n_judges, n)),
    }
    bounds = {"judges": basic_interval(rho, draws["judges"], level)}
    for over, df in (("emotions", n - 1), ("both", min(n, n_judges) - 1)):
        half = scipy.stats.t.isf((1 - level) / 2, df) * sd[over]
        bounds[over] = (max(rho - half, -1.0), min(rho + half, 1.0))
    table = {over: {"rho": rho, "sd": sd[over], "low": bounds[over][0], "high": bounds[over][1]} for over in draws}
    return pd.DataFrame(table).T.rename_axis("over")


def two_factor_variance(both: float, judges: float, emotions: float, n_judges: int, n_emotions: int) -> float:
    """Variance over two random factors, from bootstrap variances (Schütt et al. 2023, with factors for small samples).

    Never less than what one factor gives, never more than the plain bootstrap of both.

    >>> round(two_factor_variance(0.7, 0.2, 0.3, 10**9, 10**9), 6)  # 2 * (0.2 + 0.3) - 0.7
    0.3
    """
    a, b = n_judges / (n_judges - 1), n_emotions / (n_emotions - 1)
    corrected = a * judges + b * emotions - a * b * (both - judges - emotions)
    return float(min(max(corrected, a * judges, b * emotions), both * max(a, b)))


def basic_interval(value: float, draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Basic bootstrap interval (Davison & Hinkley 1997, 5.2): the draws' distances from the estimate, turned round.

    >>> basic_interval(1.0, np.array([0.0, 0.5, 1.0]), level=1.0)
    (1.0, 2.0)
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(2 * value - high), float(2 * value - low)


def bca_interval(value: float, draws: np.ndarray, without: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987, J Am Stat Assoc 82:171).

    Parameters
    ----------
    value : float
    draws : array, shape (n_bootstraps,)
    without : array, shape (n_units,)
        Estimates without each unit.
    level : float
    """
    below = ((draws < value).sum() + 0.5 * (draws == value).sum()) / len(draws)
    bias = scipy.stats.norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    far = without.mean() - without
    spread = (far**2).sum() ** 1.5
    pull = (far**3).sum() / (6 * spread) if spread > 0 else 0.0
    z = bias + scipy.stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(draws, scipy.stats.norm.cdf(bias + z / (1 - pull * z)))
    return float(low), float(high)


def _draw(x: np.ndarray, rows: np.ndarray, over: str, n_bootstraps: int, rng: np.random.Generator) -> np.ndarray:
    square, judged = to_square(x), to_square(rows)
    n, n_judges = len(square), len(rows)
    first, second = pair_index(n)
    fits = np.empty(n_bootstraps)
    for b in range(n_bootstraps):
        emotions = rng.integers(n, size=n) if over != "judges" else np.arange(n)
        judges = rng.integers(n_judges, size=n_judges) if over != "emotions" else np.arange(n_judges)
        i, j = emotions[first], emotions[second]
        i, j = i[i != j], j[i != j]
        human = judged[judges[:, None], i, j]
        seen = ~np.isnan(human).all(0)
        fits[b] = rank_correlation(square[i[seen], j[seen]], np.nanmean(human[:, seen], 0))
    return fits
