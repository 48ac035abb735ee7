"""Do selective masks hurt more than random ones? Two answers, for two populations.

*These attributes*: the attributes, and with them the selective masks, are the ones the claim is about; only the random
masks are a sample, of all masks of their size. *Attributes in general*: the attributes are a sample too, and what
selective masks have in common must stand out from what they do not. Both are right, about different things (Clark 1973;
Judd, Westfall & Kenny 2012, J Pers Soc Psychol 103:54). Emotions and seeds are fixed in both: all prompts share a mask.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.bayes import bayes_t
from emonb.analysis.estimates import Estimate, from_t, pool_errors, to_table
from emonb.analysis.ties import ROUNDING, varies

ALL = "all"  # the row that speaks for all sizes N together


def mask_means(
    data: xr.Dataset, kind: str, sizes: Sequence[int], measure: str = "accuracy", by_emotion: bool = False
) -> xr.DataArray:
    """Mean accuracy (or ``auc``) over seeds and emotions of every mask of a kind; dims (attribute, size, draw).

    Parameters
    ----------
    data : Dataset
        Released lesions, with one mask a cell, or live ones, with many random draws.
    kind : str
    sizes : sequence of int
    measure : {'accuracy', 'auc'}
    by_emotion : bool
        Keep the emotions, as a fourth dimension.

    Returns
    -------
    DataArray
        Without the attributes that have no mask.
    """
    over = ["seed"] if by_emotion else ["seed", "emotion"]
    if f"mask_{measure}" not in data:
        mean = data[measure].sel(kind=kind, size=list(sizes)).mean(over).drop_vars("kind").expand_dims(draw=[0])
    else:
        mine = data[f"mask_{measure}"].isel(mask=(data.mask_kind == kind).values).mean(over)
        names = ("attribute", "size", "draw")
        index = pd.MultiIndex.from_arrays([mine[f"mask_{name}"].values for name in names], names=names)
        mine = mine.drop_vars([f"mask_{name}" for name in ("kind", *names) if f"mask_{name}" in mine.coords])
        mean = mine.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "mask")).unstack("mask")
        mean = mean.sel(attribute=data.attribute.values, size=list(sizes))
    return mean.transpose("attribute", "size", "draw", ...).dropna("attribute", how="any")


def weigh_sizes(sizes: Sequence[int], area: bool = False) -> np.ndarray:
    """Weight of each N in what is said of all: equal, or by the area under the curve over N (trapezoids); sum 1.

    >>> weigh_sizes([1, 2, 4], area=True).round(3).tolist()
    [0.167, 0.5, 0.333]
    """
    if not area or len(sizes) == 1:
        return np.full(len(sizes), 1 / len(sizes))
    steps = np.diff(np.asarray(sizes, float))
    return (np.r_[steps, 0] + np.r_[0, steps]) / 2 / steps.sum()


def compare_fixed(selective: xr.DataArray, random: xr.DataArray, area: bool = False) -> pd.DataFrame:
    """Test, with attributes fixed and random masks sampled, whether these selective masks cost more than random ones.

    Unit of inference: the random mask. Population: all random masks of the kind and size. Fixed: the attributes with their
    selective masks, emotions, seeds. Assumed: random masks of a size are independent draws, also over sizes, their means
    near normal; where an attribute has several draws, only among its own (they may be matched to its mask).

    Parameters
    ----------
    selective, random : DataArray, dims (attribute, size, draw)
        From :func:`mask_means`.
    area : bool
        Weigh the sizes as in :func:`weigh_sizes`.

    Returns
    -------
    DataFrame
        One row an N and one for all: ``value`` (random - selective) with intervals and p as
        :class:`~emonb.analysis.estimates.Estimate`, ``d`` (value over the random masks' standard deviation), ``bf`` and
        ``bf_greater`` (:func:`~emonb.analysis.bayes.bayes_t`). ``p_combined`` is one-sided: for all N the sizes' p values
        combined by Stouffer's method, else ``p_greater``.
    """
    random = random.sel(attribute=selective.attribute, size=selective["size"])
    gaps = (random.mean(("attribute", "draw")) - selective.mean(("attribute", "draw"))).values
    errors = [_error_of_mean(random.sel(size=n).transpose("attribute", "draw").values) for n in random["size"].values]
    variance, df = np.array([(error**2, df) for error, df in errors]).T
    per_size = random.sizes["attribute"] * random.sizes["draw"]
    sizes = selective["size"].values.tolist()
    tests: dict[Any, Estimate] = {n: from_t(*row) for n, *row in zip(sizes, gaps, variance**0.5, df, strict=True)}
    weights = weigh_sizes(sizes, area)
    p = np.array([test.p_greater for test in tests.values()])
    tests[ALL] = from_t(float(weights @ gaps), *pool_errors(weights**2 * variance, df))
    spread = np.sqrt(np.r_[variance, variance.mean()] * per_size)
    table = _with_evidence(tests, spread, per_size * np.r_[np.ones(len(gaps)), len(gaps)])
    z = weights @ scipy.stats.norm.isf(p) / np.sqrt((weights**2).sum())
    return table.assign(p_combined=[*p, float(scipy.stats.norm.sf(z))])


def compare_sampled(
    selective: xr.DataArray, random: xr.DataArray, matched: bool = False, area: bool = False
) -> pd.DataFrame:
    """Test, with attributes sampled, whether selective masks cost more than random ones.

    Unit of inference: the mask (an attribute's, at all N for all N together). Population: attributes like these, and
    random masks. Fixed: emotions, seeds. Assumed: attributes are exchangeable and independent (here they correlate),
    mask means near normal. Test: Welch's t of two samples of masks; where every attribute has random masks matched to
    its own, t of the attributes' differences.

    Parameters
    ----------
    selective, random, area
        As in :func:`compare_fixed`.
    matched : bool
        Random masks belong to the attribute they were drawn for.

    Returns
    -------
    DataFrame
        As of :func:`compare_fixed`, without ``p_combined``; ``d`` is over the pooled standard deviation of both kinds, or
        that of the differences.
    """
    random = random.sel(attribute=selective.attribute, size=selective["size"])
    sizes = selective["size"].values.tolist()
    weights = xr.DataArray(weigh_sizes(sizes, area), {"size": sizes}, ("size",))
    pairs: dict[Any, tuple[xr.DataArray, xr.DataArray]] = {n: (selective.sel(size=n), random.sel(size=n)) for n in sizes}
    pairs[ALL] = selective.dot(weights, "size"), random.dot(weights, "size")
    tests: dict[Any, Estimate] = {}
    spread, n_masks = [], []
    for name, (mine, others) in pairs.items():
        ours = mine.mean("draw").values
        samples = [others.mean("draw").values - ours] if matched else [others.values.ravel(), ours]
        variances = np.array([_variance(sample) for sample in samples])
        counts = np.array([sample.size for sample in samples])
        gap = samples[0].mean() - (0 if matched else samples[1].mean())
        tests[name] = from_t(float(gap), *pool_errors(variances / counts, counts - 1))
        spread.append(np.sqrt(variances @ (counts - 1) / (counts - 1).sum()))
        n_masks.append(1 / (1 / counts).sum())
    return _with_evidence(tests, np.array(spread), np.array(n_masks))


def find_outlying(selective: xr.DataArray, random: xr.DataArray) -> pd.DataFrame:
    """Find single attributes whose masks lie outside the random masks.

    Unit of inference: the random mask. Population: all random masks of the kind and size; what is tested is whether one
    attribute's mask is a further draw from it (predictive t: the distance over s sqrt(1 + 1/n)). Fixed: attributes,
    emotions, seeds. Assumed: random masks' means are normal with one variance; where an attribute has several draws, it is
    compared with its own, and only the variance is common to all.

    Parameters
    ----------
    selective, random : DataArray, dims (attribute, size, draw)

    Returns
    -------
    DataFrame
        Index (N, attribute): ``value`` (random - selective), ``t``, one-sided ``p`` and ``p_holm``, corrected over the
        attributes of a row's N (Holm 1979). Never over all N: an attribute's masks share neurons over N and random ones
        do not, so that by chance, too, a mean of the former lies farther out than means of the latter.
    """
    random = random.sel(attribute=selective.attribute, size=selective["size"])
    rows = {}
    for name in selective["size"].values.tolist():
        ours, others = (x.sel(size=name) for x in (selective.mean("draw"), random))
        drawn = others.transpose("attribute", "draw").values
        pool = drawn if drawn.shape[1] > 1 else drawn.reshape(1, -1)  # its own draws, or all masks of the size
        gap, n, df = pool.mean(1) - ours.values, pool.shape[1], pool.size - len(pool)
        spread = np.sqrt(np.mean([_variance(row) for row in pool]))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(spread > 0, gap / (spread * np.sqrt(1 + 1 / n)), np.nan)
        p = scipy.stats.t.sf(t, df)
        for a, holm in enumerate(_holm(p)):
            rows[name, str(ours.attribute.values[a])] = (gap[a], t[a], p[a], holm)
    index = pd.MultiIndex.from_tuples(rows, names=["N", "attribute"])
    return pd.DataFrame(list(rows.values()), index, ["value", "t", "p", "p_holm"])


def find_majority(selective: xr.DataArray, random: xr.DataArray, n_bootstraps: int, seed: int) -> Estimate:
    """Share of the emotions whose inference is worse under selective than under random masks, beyond one half.

    Unit of inference: the random mask. Population: random masks of these sizes. Fixed: attributes with their selective
    masks, emotions, seeds. Assumed: random masks of a size differ from their mean (an attribute's own where it has
    several draws) as independent draws from one distribution. What they differ by, over all emotions at once, is drawn
    again, and widened as t is against a normal distribution, since its spread is estimated; the intervals are
    percentiles, and p is twice the smaller tail, (b + 1) / (n + 1).

    Parameters
    ----------
    selective, random : DataArray, dims (attribute, size, draw, emotion)
        From :func:`mask_means`, by emotion.
    n_bootstraps, seed : int

    Returns
    -------
    Estimate
        ``value``: share of emotions minus .5, the mean difference of an emotion being over attributes and sizes. No t;
        NaN without two masks.
    """
    rng = np.random.default_rng(seed)
    random = random.sel({name: selective[name] for name in ("attribute", "size", "emotion")})
    masks = random.transpose("size", "attribute", "draw", "emotion").values
    gap = masks.mean((0, 1, 2)) - selective.mean(("size", "attribute", "draw")).values
    gap = np.where(abs(gap) > ROUNDING * np.abs(masks).max(initial=0), gap, 0.0)
    value, draws, n = float((gap > 0).mean() - 0.5), masks.shape[2], masks.shape[1] * masks.shape[2]
    if n < 2:
        return Estimate(value, *[float("nan")] * 8)
    middle = masks.mean((1, 2) if draws == 1 else 2, keepdims=True)
    residuals = (masks - middle) * np.sqrt(n / (n - 1) if draws == 1 else draws / (draws - 1))
    shift = np.zeros((n_bootstraps, masks.shape[3]))
    for rows in residuals.reshape(len(masks), n, -1):
        shift += rng.multinomial(n, np.full(n, 1 / n), n_bootstraps) @ rows / n / len(masks)
    df = len(masks) * (n - (1 if draws == 1 else masks.shape[1]))
    shift *= np.sqrt(df / rng.chisquare(df, (n_bootstraps, 1)))
    shares = (gap + shift > 0).mean(1) - 0.5
    low, low90, high90, high = (float(end) for end in np.quantile(shares, [0.025, 0.05, 0.95, 0.975]))
    below, above = (float((tail.sum() + 1) / (n_bootstraps + 1)) for tail in (shares <= 0, shares >= 0))
    return Estimate(value, low, high, low90, high90, min(1.0, 2 * min(below, above)), below)


def compare_kinds(data: xr.Dataset, sizes: Sequence[int], measures: Sequence[str] = ("accuracy", "auc")) -> pd.DataFrame:
    """Selective masks against every kind of random mask, by every measure there is, over all N, for both populations.

    Parameters
    ----------
    data : Dataset
        Released lesions have one kind, and no AUC.
    sizes : sequence of int
    measures : sequence of str

    Returns
    -------
    DataFrame
        Index (comparison, measure, population); ``value``, ``low``, ``high``, ``p`` (two-sided) of :func:`compare_fixed`
        and :func:`compare_sampled`.
    """
    kinds, rows = [str(name) for name in data.kind.values if name != "selective"], {}
    for kind, measure in product(kinds, [name for name in measures if name in data]):
        selective, random = (mask_means(data, name, sizes, measure) for name in ("selective", kind))
        rows[kind, measure, "fixed"] = compare_fixed(selective, random).loc[ALL]
        rows[kind, measure, "sampled"] = compare_sampled(selective, random, is_matched(kind)).loc[ALL]
    return pd.DataFrame(rows).T[["value", "low", "high", "p"]].rename_axis(["comparison", "measure", "population"])


def is_matched(kind: str) -> bool:
    """Tell whether random masks of a kind are matched to an attribute's own mask (:mod:`emonb.analysis.masks`)."""
    return kind != "random"


def _error_of_mean(masks: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of masks [attribute, draw] and its degrees of freedom."""
    n, draws = masks.shape
    if draws == 1:
        return float(np.sqrt(_variance(masks.ravel()) / n)), n - 1.0
    return pool_errors(np.array([_variance(row) for row in masks]) / draws / n**2, np.full(n, draws - 1))


def _variance(values: np.ndarray) -> float:
    """Variance of a sample; 0 where it varies by no more than rounding, NaN where it is no sample."""
    if len(values) < 2:
        return float("nan")
    return float(values.var(ddof=1)) if varies(values) else 0.0


def _with_evidence(tests: dict[Any, Estimate], spread: np.ndarray, n_masks: np.ndarray) -> pd.DataFrame:
    """Table of tests with standardised effect and Bayes factors."""
    table = to_table(tests, "N")
    for name, side in (("bf", "two-sided"), ("bf_greater", "greater")):
        rows = zip(table.t, n_masks, table.df, strict=True)
        table[name] = [bayes_t(t, n, df, side) for t, n, df in rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        return table.assign(d=np.where(spread > 0, table.value.values / spread, np.nan))


def _holm(p: np.ndarray) -> np.ndarray:
    """Correct p values by Holm's step-down method.

    >>> _holm(np.array([0.01, 0.04, 0.03])).round(9).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return np.minimum(stepped, 1)[np.argsort(order)]
