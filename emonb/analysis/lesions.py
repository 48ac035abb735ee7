"""Lesions: what silencing neurons does to emotion inference, and the paper's own statistics on it.

Every function says which unit it treats as independent. The study's tests treat prompts (sharing a mask) or emotions
(sharing the 14 masks) as independent; tests whose unit is the mask or the attribute are in :mod:`emonb.analysis.inference`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.inference import compare_masks


class Outcome(NamedTuple):
    """A test's result: effect, t, degrees of freedom, two-sided p and 95 % interval, with its unit named."""

    value: float
    t: float
    df: int
    p: float
    low: float
    high: float
    unit: str


def selective_drop(accuracy: xr.DataArray, comparison: str = "random") -> xr.DataArray:
    """Random-mask accuracy minus selective-mask accuracy (positive: the attribute's neurons hurt more than others).

    Parameters
    ----------
    accuracy : DataArray, dims (kind, attribute, size, seed, emotion)
        Or the same of another measure.
    comparison : str
        Kind of random mask.

    Returns
    -------
    DataArray, dims (attribute, size, seed, emotion)
        Sizes that both kinds have.
    """
    both = accuracy.dropna("size", how="any")
    return (both.sel(kind=comparison, drop=True) - both.sel(kind="selective", drop=True)).rename("drop")


def masks_of(data: xr.Dataset, kind: str, size: int, measure: str = "accuracy") -> np.ndarray:
    """Mean accuracy (or ``auc``) of every mask of a kind and size over emotions and seeds: one number a mask.

    Live lesions have many masks of a kind for every attribute, released ones a single one.
    """
    if f"mask_{measure}" in data:
        mine = (data.mask_kind == kind) & (data.mask_size == size)
        return data[f"mask_{measure}"].values[mine.values].mean((1, 2))
    return data[measure].sel(kind=kind, size=size).mean(("seed", "emotion")).values


def outcome(data: xr.Dataset, measure: str) -> tuple[xr.DataArray, float]:
    """Accuracy or AUC under every kind of mask (kind, attribute, size, seed, emotion), and its mean with none."""
    return data[measure], float(data["baseline" if measure == "accuracy" else f"baseline_{measure}"].mean())


def mean_accuracy(accuracy: xr.DataArray) -> xr.DataArray:
    """Mean accuracy (kind, size) over attributes, emotions and seeds."""
    return accuracy.mean(("attribute", "seed", "emotion"))


def compare_controls(data: xr.Dataset, size: int, n_permutations: int, seed: int) -> pd.DataFrame:
    """Selective masks against every kind of control, by accuracy and by AUC; the unit is the mask.

    Parameters
    ----------
    data : Dataset
        Live lesions (:func:`emonb.run.live.arrange`).
    size, n_permutations, seed : int

    Returns
    -------
    DataFrame
        Index (control, measure); ``difference`` (control - selective), ``p`` (permutation of masks), ``masks``.
    """
    rows = {}
    for kind in [k for k in data.kind.values if k != "selective"]:
        for measure in ("accuracy", "auc"):
            selective, random = (masks_of(data, k, size, measure) for k in ("selective", kind))
            difference, p = compare_masks(selective, random, n_permutations, seed)
            rows[str(kind), measure] = {"difference": difference, "p": p, "masks": len(selective) + len(random)}
    return pd.DataFrame(rows).T.astype({"masks": int}).rename_axis(["control", "measure"])


def correlate_with_importance(drop: xr.DataArray, importance: xr.DataArray) -> xr.DataArray:
    """Pearson r over attributes between drop and importance, for every other label of ``drop``.

    Parameters
    ----------
    drop : DataArray, dims (attribute, ...)
    importance : DataArray, dims (attribute,)
    """
    drop, importance = xr.align(drop, importance, join="exact")
    return xr.corr(drop, importance, dim="attribute").rename("r")


def paper_test_importance(drop: xr.DataArray, importance: xr.DataArray) -> Outcome:
    """The paper's test of claim 4 (Li et al., causal contribution against human weight).

    For each emotion (averaged over seeds) Pearson r over the attributes between drop and importance; Fisher z; one
    t test over emotions against 0. Its unit is the emotion, although all emotions share the same masks.

    Parameters
    ----------
    drop : DataArray, dims (attribute, seed, emotion)
        At one size.
    importance : DataArray, dims (attribute,)

    Returns
    -------
    Outcome
        ``value`` is tanh of the mean z; the interval is transformed back likewise.
    """
    r = correlate_with_importance(drop.mean("seed"), importance)
    z = np.arctanh(r.values)
    result = scipy.stats.ttest_1samp(z, 0)
    interval = result.confidence_interval()
    return Outcome(
        float(np.tanh(z.mean())),
        float(result.statistic),
        int(result.df),
        float(result.pvalue),
        float(np.tanh(interval.low)),
        float(np.tanh(interval.high)),
        "emotion",
    )


def paper_test_drop(drop: xr.DataArray) -> Outcome:
    """The paper's paired t test of selective against random masks over prompts (emotion x seed x attribute).

    Its unit is the prompt under one attribute's mask, although all prompts share that mask.

    Parameters
    ----------
    drop : DataArray
        Differences; every entry counts as independent.
    """
    values = drop.values.ravel()
    result = scipy.stats.ttest_1samp(values, 0)
    interval = result.confidence_interval()
    return Outcome(
        float(values.mean()),
        float(result.statistic),
        int(result.df),
        float(result.pvalue),
        float(interval.low),
        float(interval.high),
        "prompt",
    )


def variance_components(accuracy: xr.DataArray) -> dict[str, float]:
    """Variance of accuracy over masks, emotions and seeds (crossed random effects, expected mean squares).

    Parameters
    ----------
    accuracy : DataArray, dims (attribute, seed, emotion)
        One mask per attribute, of one kind and size. A single observation per cell, so the three-way interaction and
        noise are one component (``residual``).

    Returns
    -------
    dict
        Share of the total variance of ``mask``, ``emotion``, ``seed``, the two-way interactions
        (``mask:emotion``, ``mask:seed``, ``emotion:seed``) and ``residual``. Negative estimates are set to 0.
    """
    dims = ("attribute", "emotion", "seed")
    values = accuracy.transpose(*dims).to_numpy()
    sizes = dict(zip(dims, values.shape, strict=True))
    squares = {key: _mean_square(values, key) for key in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))}
    names = {0: "mask", 1: "emotion", 2: "seed"}
    axes = list(sizes.values())
    out = {"residual": squares[0, 1, 2]}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        other = axes[3 - a - b]
        out[f"{names[a]}:{names[b]}"] = (squares[a, b] - squares[0, 1, 2]) / other
    for a in range(3):
        b, c = (k for k in range(3) if k != a)
        interactions = squares[min(a, b), max(a, b)] + squares[min(a, c), max(a, c)] - squares[0, 1, 2]
        out[names[a]] = (squares[(a,)] - interactions) / (axes[b] * axes[c])
    positive = {name: max(float(value), 0.0) for name, value in out.items()}
    total = sum(positive.values())
    return {name: value / total for name, value in positive.items()}


def layer_profile(mask: xr.DataArray) -> xr.DataArray:
    """Share of each attribute's mask that lies in each layer; dims (attribute, layer)."""
    return mask.sum("neuron") / mask.sum(("layer", "neuron"))


def mean_depth(mask: xr.DataArray) -> xr.DataArray:
    """Mean layer (1 = first) of each attribute's neurons; dims (attribute,)."""
    profile = layer_profile(mask)
    return (profile * profile.layer).sum("layer")


def leave_one_out(drop: xr.DataArray, importance: xr.DataArray) -> xr.DataArray:
    """Pearson r over attributes between drop and importance with each attribute left out; dims (attribute, ...)."""
    names = list(drop.attribute.values)
    parts = [xr.corr(drop.drop_sel(attribute=name), importance.drop_sel(attribute=name), dim="attribute") for name in names]
    return xr.concat(parts, dim=xr.DataArray(names, dims="attribute", name="attribute"))


def power_of_masks(
    effect: float,
    sd_selective: float,
    sd_random: float,
    n_selective: int,
    n_random: list[int],
    seed: int,
    n: int = 100_000,
) -> dict[int, float]:
    """Power of a one-sided two-sample test at .05 whose unit is the mask, for several numbers of random masks.

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), in accuracy.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    n_selective : int
    n_random : list of int
    seed, n : int
        Simulations of normal masks, tested by Welch's t (the permutation test's power to within simulation error). Means
        and variances are drawn, not masks; every number of random masks meets the same selective ones.

    Returns
    -------
    dict of int to float
    """
    rng = np.random.default_rng(seed)

    def draw(mean: float, sd: float, m: int) -> tuple[np.ndarray, np.ndarray, int]:
        return rng.normal(mean, sd / np.sqrt(m), n), sd * np.sqrt(rng.chisquare(m - 1, n) / (m - 1)), m

    selective = draw(-effect, sd_selective, n_selective)
    power = {}
    for m in n_random:
        test = scipy.stats.ttest_ind_from_stats(*selective, *draw(0, sd_random, m), equal_var=False, alternative="less")
        power[m] = float((test.pvalue < 0.05).mean())
    return power


def masks_needed(effect: float, sd_selective: float, sd_random: float, power: float = 0.8, level: float = 0.05) -> int:
    """Masks of *each* kind that a one-sided two-sample test needs to see an effect (normal approximation).

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), positive.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    power, level : float
    """
    if effect <= 0:
        raise ValueError(f"an effect of {effect:.3g} is not in the claim's direction: no number of masks would show it")
    z = scipy.stats.norm.isf(level) + scipy.stats.norm.ppf(power)
    return int(np.ceil(z**2 * (sd_selective**2 + sd_random**2) / effect**2))


def power_of_attributes(r: float, n_attributes: list[int], seed: int, n: int = 20_000) -> dict[int, float]:
    """Power of a one-sided test of a Pearson r at .05 whose unit is the attribute."""
    rng = np.random.default_rng(seed)
    power = {}
    for m in n_attributes:
        x = rng.normal(size=(n, m))
        y = r * x + np.sqrt(1 - r**2) * rng.normal(size=(n, m))
        z = np.arctanh(scipy.stats.pearsonr(x, y, axis=1).statistic) * np.sqrt(m - 3)
        power[m] = float((z > scipy.stats.norm.isf(0.05)).mean())
    return power


def _mean_square(values: np.ndarray, axes: tuple[int, ...]) -> float:
    """Mean square of the effect (interaction) of these axes in a full crossed layout with one value a cell."""
    effect = values
    for axis in range(3):
        if axis in axes:
            effect = effect - effect.mean(axis, keepdims=True)
        else:
            effect = effect.mean(axis, keepdims=True)
    repeats = np.prod([values.shape[k] for k in range(3) if k not in axes])
    df = np.prod([values.shape[k] - 1 for k in axes])
    return float((effect**2).sum() * repeats / df)
