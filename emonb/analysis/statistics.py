"""Correlations and effects with intervals and p, whose unit is named: permutations, bootstraps, Bayes factors, power.

RDM entries share emotions and prompts share masks, so neither is a sample. Every p of a permutation is (b + 1) / (n + 1)
with b the permutations at least as extreme as what was observed (Phipson & Smyth 2010), or exact. What is not defined,
because one side does not vary, is NaN.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.special
import scipy.stats
import xarray as xr
from numpy.typing import ArrayLike

from emonb.analysis.rdm import Rdm, centred_ranks, pair_index, pair_values, to_square, varies
from emonb.analysis.tau import tau_b


class Estimate(NamedTuple):
    """An effect with what a verdict is made of; NaN where it cannot be estimated, or was not."""

    value: float = np.nan
    low: float = np.nan
    """95 % interval."""
    high: float = np.nan
    low90: float = np.nan
    """90 % interval."""
    high90: float = np.nan
    p: float = np.nan
    """Two-sided."""
    p_greater: float = np.nan
    """One-sided: the effect is above zero."""
    t: float = np.nan
    df: float = np.nan

    def evidence(self) -> dict[str, float]:
        """What a verdict is made of (:class:`emonb.book.claims.Evidence`): value, both intervals, and two-sided p."""
        return {name: getattr(self, name) for name in ("value", "low", "high", "low90", "high90", "p")}

    def within(self, most: float = 1.0) -> "Estimate":
        """The same with intervals cut where the scale ends, as that of a correlation does at -1 and 1."""
        ends = {name: float(np.clip(getattr(self, name), -most, most)) for name in ("low", "high", "low90", "high90")}
        return self._replace(**ends)


def from_interval(value: float, interval: Callable[[float], tuple[float, float]], p: float) -> Estimate:
    """Estimate whose intervals come from a function of their level, and whose two-sided p from a test of its own.

    >>> from_interval(0.5, lambda level: (0.5 - level, 0.5 + level), p=0.02).low90
    -0.4
    """
    (low, high), (low90, high90) = interval(0.95), interval(0.90)
    return Estimate(*(float(number) for number in (value, low, high, low90, high90, p)))


def from_t(value: float, error: float, df: float) -> Estimate:
    """Estimate with t intervals and t test against zero.

    ``error``: standard error of the effect, with ``df`` degrees of freedom. All but the value is NaN where it is no
    positive number.

    >>> effect = from_t(2.0, 1.0, 10)
    >>> [round(x, 2) for x in (effect.low, effect.high, effect.p, effect.p_greater)]
    [-0.23, 4.23, 0.07, 0.04]
    """
    if not (error > 0 and df > 0 and np.isfinite([value, error]).all()):
        return Estimate(float(value))
    t = value / error
    (low, high), (low90, high90) = (value + error * np.array(scipy.stats.t.interval(c, df)) for c in (0.95, 0.90))
    tail = scipy.stats.t.sf(t, df)
    numbers = (value, low, high, low90, high90, 2 * scipy.stats.t.sf(abs(t), df), tail, t, df)
    return Estimate(*(float(number) for number in numbers))


def from_sample(values: ArrayLike) -> Estimate:
    """Estimate of a mean from independent values: t interval and test against zero; what is not defined is left out."""
    known = np.asarray(values)
    known = known[np.isfinite(known)]
    return from_t(float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known))), len(known) - 1)


def from_r(r: float, n: int) -> Estimate:
    """Estimate of a Pearson correlation of n independent pairs: Fisher z intervals (Fisher 1921), t test of r = 0.

    >>> [round(x, 3) for x in from_r(0.5, 14)[:3]]
    [0.5, -0.042, 0.815]
    """
    if n < 4 or not abs(r) < 1:
        return Estimate(float(r))
    z, error = np.arctanh(r), 1 / np.sqrt(n - 3)
    ends = [np.tanh(z + sign * scipy.stats.norm.isf(tail) * error) for tail in (0.025, 0.05) for sign in (-1, 1)]
    t = r * np.sqrt((n - 2) / (1 - r**2))
    p = (2 * scipy.stats.t.sf(abs(t), n - 2), scipy.stats.t.sf(t, n - 2), t, n - 2)
    return Estimate(*(float(number) for number in (r, *ends, *p)))


def pool_errors(variances: np.ndarray, dfs: np.ndarray) -> tuple[float, float]:
    """Standard error of a sum of independent terms and its degrees of freedom (Satterthwaite 1946, Biometrics 2:110).

    >>> error, df = pool_errors(np.array([1.0, 1.0]), np.array([5, 5]))
    >>> round(error, 3), round(df, 3)
    (1.414, 10.0)
    """
    variances, dfs = np.asarray(variances, float), np.asarray(dfs, float)
    total = variances.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(total)), float(total**2 / (variances**2 / dfs).sum())


def to_table(estimates: Mapping[Any, Estimate], name: str) -> pd.DataFrame:
    """Estimates as a table: one row an estimate, in the order given."""
    return pd.DataFrame(estimates.values(), pd.Index(list(estimates), name=name), Estimate._fields)


def correlate(a: xr.DataArray, b: xr.DataArray, dim: str = "attribute") -> xr.DataArray:
    """Pearson r over the labels of a dimension that both have."""
    both = (a + b).notnull()
    a, b = a.where(both), b.where(both)
    vary = [xr.apply_ufunc(varies, side, input_core_dims=[[dim]], vectorize=True, output_dtypes=[bool]) for side in (a, b)]
    return xr.corr(a, b, dim=dim).where(vary[0] & vary[1]).rename("r")


def correlation_test(x: ArrayLike, y: ArrayLike) -> dict[str, float]:
    """Pearson correlation with its two-sided p and 95 % interval, assuming normal independent units.

    ``r``, ``p``, ``low``, ``high``, ``n``; all but ``n`` NaN where one side does not vary but for rounding.

    >>> found = correlation_test([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
    >>> round(found["r"], 3), round(found["p"], 3)
    (0.8, 0.2)
    >>> correlation_test([0.3, 0.3, 0.1 + 0.2], [1.0, 3.0, 2.0])["p"]
    nan
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 3 or not varies(x) or not varies(y):
        return {**dict.fromkeys(("r", "p", "low", "high"), float("nan")), "n": len(x)}
    test = scipy.stats.pearsonr(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):  # three units have no interval
        low, high = test.confidence_interval()
    return {"r": float(test.statistic), "p": float(test.pvalue), "low": float(low), "high": float(high), "n": len(x)}


def correlate_rows(rows: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Kendall's tau-b or Spearman's rho of each row [n, n_pairs] with the target [n_pairs], where the row is not NaN.

    NaN where one of both does not vary there.
    """
    seen = ~np.isnan(rows)
    if not seen.all():
        return np.array([correlate_rows(r[None, s], target[s], measure)[0] for r, s in zip(rows, seen, strict=True)])
    if measure in ("tau", "rho") and len(target) < 2:
        return np.full(len(rows), np.nan)
    if measure == "tau":
        return tau_b(rows, target[None])[:, 0]
    if measure == "rho":
        return standard_ranks(rows) @ standard_ranks(target[None])[0] / len(target)
    raise ValueError(f"unknown measure '{measure}'; use 'tau' (Kendall's tau-b) or 'rho' (Spearman)")


def standard_ranks(rows: np.ndarray) -> np.ndarray:
    """Ranks [n, n_pairs] with mean 0 and standard deviation 1; NaN where a row has NaN, or one value only."""
    ranks = centred_ranks(rows).astype(np.float64)
    spread = np.sqrt((ranks**2).mean(1, keepdims=True))
    defined = (spread > 0) & ~np.isnan(rows).any(1, keepdims=True)
    return np.divide(ranks, spread, out=np.full_like(ranks, np.nan), where=defined)


def mean_of_defined(values: ArrayLike) -> float:
    """Mean of what is defined; NaN where nothing is."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def step_up(reliability: Any, times: float) -> Any:
    """Reliability with so many times as much data (Spearman 1910; Brown 1910); a number, or an array of them.

    >>> round(step_up(0.5, 2), 3)
    0.667
    """
    return times * reliability / (1 + (times - 1) * reliability)


TIE = 1e-12  # two statistics closer than this are equal: the same sums in another order
AT_ONCE = 500  # relabelled RDMs; bounds the memory


def permutation_p(null: np.ndarray, observed: float) -> tuple[float, float]:
    """One-sided (greater) and two-sided p of a statistic, (b + 1) / (n + 1) (Phipson & Smyth 2010).

    The two-sided p counts permutations at least as far from zero.

    >>> permutation_p(np.array([-0.9, -0.1, 0.2, 0.4]), 0.5)
    (0.2, 0.4)
    """
    greater = (null >= observed - TIE).sum() + 1
    far = (np.abs(null) >= abs(observed) - TIE).sum() + 1
    return float(greater / (len(null) + 1)), float(far / (len(null) + 1))


def relabelled_tau(rdm: np.ndarray, orders: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Tau-b [permutation, row] of rows [n_rows, n_pairs] with an RDM [n_pairs] whose items are relabelled."""
    parts = [orders[start : start + AT_ONCE] for start in range(0, len(orders), AT_ONCE)]
    return np.concatenate([tau_b(permute_rdm(rdm, part), rows) for part in parts])


class Mantel(NamedTuple):
    """Result of :func:`mantel_test`, arrays [n_x, n_y]."""

    statistic: np.ndarray
    p: np.ndarray
    """Of one comparison by itself."""
    p_fwe: np.ndarray
    """Corrected over all x within one y by the maximum statistic."""


def draw_permutations(n_items: int, n_permutations: int, seed: int) -> np.ndarray:
    """Random permutations of ``range(n_items)``, shape (n_permutations, n_items), from an explicit seed."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(n_items), (n_permutations, 1)), axis=1)


def permute_rdm(rdm: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """RDM vector(s) [..., n_pairs] with items relabelled, shape (n_permutations, ..., n_pairs).

    >>> permute_rdm(np.array([1.0, 2.0, 3.0]), np.array([[0, 1, 2], [2, 1, 0]])).tolist()
    [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]
    """
    square = to_square(rdm)
    i, j = pair_index(square.shape[-1])
    return np.moveaxis(square[..., permutations[:, i], permutations[:, j]], -2, 0)


def mantel_test(x: Rdm, y: Rdm, n_permutations: int, seed: int) -> Mantel:
    """Mantel permutation test (Mantel 1967) of every RDM of ``x`` with every RDM of ``y``, by tau-b, one-sided (greater).

    The same permutation of the emotion labels is applied to all of ``y``, so dependence among the RDMs of ``y`` and among
    those of ``x`` is kept. Exchangeability assumed: under the null, the emotions' labels in ``y`` carry no information
    about ``x``, so every relabelling is equally likely. Unit of inference: the emotion.

    ``x``, ``y`` (n_x, n_pairs) and (n_y, n_pairs), or of one RDM (n_pairs,); LabelError where labelled ones have different
    pairs. A constant RDM has no correlation: its statistic is NaN, and its p are 1 so that it never counts among many.
    Where a single test is reported its p is undefined too (:func:`emonb.analysis.structure.fit_tests`).

    >>> x = np.array([1.0, 2, 4, 1, 3, 2])  # |a - b| of four items at 0, 1, 2 and 4
    >>> result = mantel_test(x, x**2, 999, seed=0)
    >>> result.statistic.round(9).item(), result.p.round(2).item()  # of 24 orders, one gives the same distances
    (1.0, 0.04)
    """
    x, y = (np.atleast_2d(values) for values in pair_values(x, y))
    observed, permutations = tau_b(x, y), draw_permutations(to_square(y[0]).shape[0], n_permutations, seed)
    exceeded, maxima = np.zeros((len(x), len(y)), np.int64), []
    for start in range(0, n_permutations, AT_ONCE):
        moved = permute_rdm(y, permutations[start : start + AT_ONCE])  # [batch, n_y, n_pairs]
        null = tau_b(moved.reshape(-1, moved.shape[-1]), x).reshape(*moved.shape[:2], len(x))
        exceeded += (~(null < observed.T - TIE)).sum(0).T  # what is not defined exceeds nothing and counts as if it did
        maxima.append(np.nan_to_num(null, nan=-np.inf).max(2))
    reached = [(highest >= observed[:, [k]] - TIE).sum(1) for k, highest in enumerate(np.concatenate(maxima).T)]
    p_fwe = np.where(np.isnan(observed), 1.0, (np.stack(reached, axis=1) + 1) / (n_permutations + 1))
    return Mantel(observed, (exceeded + 1) / (n_permutations + 1), p_fwe)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p values of Benjamini & Hochberg (1995), over all entries, with the monotone step."""
    return scipy.stats.false_discovery_control(np.asarray(p).ravel(), method="bh").reshape(np.shape(p))


def paper_q(p: np.ndarray) -> np.ndarray:
    """The study's correction, p * N / rank(p): Benjamini-Hochberg without the monotone step.

    >>> paper_q(np.array([0.01, 0.04, 0.03])).round(9).tolist()
    [0.03, 0.04, 0.045]
    """
    flat = np.asarray(p).ravel()
    return (flat * len(flat) / scipy.stats.rankdata(flat)).reshape(np.shape(p))


def parametric_tau_p(tau: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One-sided normal-approximation p of Kendall's tau-b with tie-corrected variance (Kendall 1970), as in R and scipy.

    Treats the pairs as independent observations; given so that the study's numbers can be reproduced.

    ``tau`` (n_x, n_y); ``x``, ``y`` (n_x, n_pairs) and (n_y, n_pairs).
    """
    n = x.shape[1]
    total = n * (n - 1) / 2
    tx, ty = _tie_sums(x), _tie_sums(y)
    scores = tau * np.sqrt(total - tx[0])[:, None] * np.sqrt(total - ty[0])[None]
    variance = (
        (n * (n - 1) * (2 * n + 5) - np.add.outer(tx[1], ty[1])) / 18
        + np.multiply.outer(tx[2], ty[2]) / (9 * n * (n - 1) * (n - 2))
        + np.multiply.outer(2 * tx[0], 2 * ty[0]) / (2 * n * (n - 1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant RDM has no variance; its p is 1
        return np.where(np.isnan(tau), 1.0, scipy.stats.norm.sf(np.nan_to_num(scores) / np.sqrt(variance)))


def _tie_sums(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row, over groups of t tied values: sums of t(t-1)/2, t(t-1)(2t+5), t(t-1)(t-2)."""
    out = np.zeros((3, len(rows)))
    for r, row in enumerate(rows):
        t = np.unique(row, return_counts=True)[1].astype(np.float64)
        t = t[t > 1]
        out[:, r] = (t * (t - 1) / 2).sum(), (t * (t - 1) * (2 * t + 5)).sum(), (t * (t - 1) * (t - 2)).sum()
    return out[0], out[1], out[2]


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
        Estimate by population: emotions, judges, both. NaN where an RDM does not vary, or too few draws have enough
        different emotions.
    """
    *models, rows = (np.atleast_2d(r) for r in pair_values(model, *([] if minus is None else [minus]), judgments))
    weights = np.concatenate([sign / len(some) * np.ones(len(some)) for some, sign in zip(models, (1, -1), strict=False)])
    stack, n_judges = np.vstack(models), len(rows)
    n, rng = to_square(stack).shape[-1], np.random.default_rng(seed)
    draws = {}
    for over in ("emotions", "judges", "both"):
        fits = np.array([weights @ fit for fit in draw_fits(stack, rows, over, n_bootstraps, rng)])
        draws[over] = fits[np.isfinite(fits)]
    variance = {over: float(np.var(some, ddof=1)) if len(some) > 1 else np.nan for over, some in draws.items()}
    value, most = float(weights @ correlate_rows(stack, np.nanmean(rows, 0), "rho")), float(len(models))
    error = {
        "emotions": np.sqrt(variance["emotions"] * n / (n - 1)),
        "both": np.sqrt(two_factor_variance(variance["both"], variance["judges"], variance["emotions"], n_judges, n)),
    }
    found: dict[str, Estimate] = {
        over: from_t(value, error[over], df) for over, df in (("emotions", n - 1), ("both", min(n, n_judges) - 1))
    }
    nothing = (np.nan, np.nan)
    wide, narrow = (basic_interval(value, draws["judges"], c) if len(draws["judges"]) else nothing for c in (0.95, 0.9))
    found["judges"] = Estimate(value, *wide, *narrow)
    return {over: estimate.within(most) for over, estimate in found.items()}


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


def draw_fits(
    rdms: np.ndarray, judgments: np.ndarray, over: str, n_bootstraps: int, rng: np.random.Generator, measure: str = "rho"
) -> np.ndarray:
    """Fits [draw, rdm] of RDMs [n_rdms, n_pairs] with the mean of judges [n_judges, n_pairs], drawn with replacement.

    ``over``: what is drawn, 'emotions', 'judges' or 'both'. Pairs of an emotion with itself are left out, as in rsatoolbox.
    NaN where a draw has too few different emotions.
    """
    if over not in ("emotions", "judges", "both"):
        raise ValueError(f"over must be 'emotions', 'judges' or 'both', got '{over}'")
    n, n_judges = to_square(rdms).shape[-1], len(judgments)
    first, second = pair_index(n)
    pair_of = to_square(np.arange(rdms.shape[1]))  # [emotion, emotion] -> pair
    given, judged = np.nan_to_num(judgments), (~np.isnan(judgments)).astype(np.float64)
    fits = np.empty((n_bootstraps, len(rdms)))
    for b in range(n_bootstraps):
        emotions = np.array(rng.integers(n, size=n) if over != "judges" else range(n))
        judges = np.array(rng.integers(n_judges, size=n_judges) if over != "emotions" else range(n_judges))
        i, j = emotions[first], emotions[second]
        times = np.bincount(judges, minlength=n_judges).astype(np.float64)  # each judge was drawn
        count, total = times @ judged, times @ given
        pairs = pair_of[i[i != j], j[i != j]]
        pairs = pairs[count[pairs] > 0]
        fits[b] = correlate_rows(rdms[:, pairs], total[pairs] / count[pairs], measure)
    return fits


def bayes_r(r: float, n: int, side: str = "two-sided") -> float:
    """Bayes factor of a Pearson correlation, every true value equally likely before (Ly, Verhagen & Wagenmakers 2016).

    J Math Psychol 72:19, eq. 22 to 25 with a flat prior (kappa = 1). Unit of inference: the pair of observations, of which
    there are ``n``; what is assumed is a sample from a bivariate normal. ``side`` {'two-sided', 'greater'}.

    >>> round(bayes_r(0.6, 20), 2)
    10.63
    """
    if not abs(r) < 1 or n < 3:
        return float("nan")

    rho, weights = _nodes(side)
    bent = scipy.special.hyp2f1(0.5, 0.5, n - 0.5, (1 + rho * r) / 2) / scipy.special.hyp2f1(0.5, 0.5, n - 0.5, 0.5)
    return float(weights @ ((1 - rho**2) ** ((n - 1) / 2) * (1 - rho * r) ** (1.5 - n) * bent))  # Hotelling 1953


@lru_cache
def _nodes(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes in (0, 1), or in (-1, 1) split at zero, and weights that average over them."""
    if side not in ("two-sided", "greater"):
        raise ValueError(f"a Bayes factor's side is 'two-sided' or 'greater', got '{side}'")
    x, w = np.polynomial.legendre.leggauss(400)
    x, w = (x + 1) / 2, w / 2
    return (x, w) if side == "greater" else (np.r_[-x, x], np.r_[w, w] / 2)


def detectable_difference(error: float, df: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true difference that a two-sided t test finds with this probability (noncentral t).

    Unit of inference, population and assumptions are those of the test whose standard error is given.

    ``error``: standard error of the difference, with ``df`` degrees of freedom.

    >>> round(detectable_difference(1.0, 1e6), 3)  # 1.960 + 0.842
    2.802
    """
    if not (error > 0 and df > 0):
        return float("nan")
    bound = scipy.stats.t.isf(alpha / 2, df)

    def missing(shift: float) -> float:
        return float(scipy.stats.nct.sf(bound, df, shift) - power)

    return float(error * scipy.optimize.brentq(missing, 0, 10 * (bound + 1)))


def detectable_r(n: int) -> float:
    """Smallest true correlation that a two-sided test (at .05) of Pearson's r over n pairs finds four times in five.

    Unit of inference: the pair (an attribute). Assumed: a bivariate normal sample; Fisher's z with its bias r / 2(n - 1).

    >>> round(detectable_r(14), 2)
    0.68
    """
    t = scipy.stats.t.isf(0.025, n - 2)
    bound = np.arctanh(t / np.sqrt(n - 2 + t**2))

    def missing(r: float) -> float:
        return float(scipy.stats.norm.sf((bound - np.arctanh(r) - r / (2 * (n - 1))) * np.sqrt(n - 3)) - 0.8)

    return float(scipy.optimize.brentq(missing, 0, 1 - 1e-9))
