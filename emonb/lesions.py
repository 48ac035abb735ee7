"""Lesions: what silencing neurons does to emotion inference, and the paper's own statistics on it.

Every function says which unit it treats as independent. The study's tests treat prompts (sharing a mask) or emotions
(sharing the 14 masks) as independent; tests whose unit is the mask or the attribute are in :mod:`emonb.inference`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.inference import compare_masks


class Outcome(NamedTuple):
    """A test's result: effect, t, degrees of freedom, two-sided p and 95 % interval, with its unit named."""

    value: float
    t: float
    df: int
    p: float
    low: float
    high: float
    unit: str


def selective_drop(accuracy: xr.DataArray, control: str = "random") -> xr.DataArray:
    """Random-mask accuracy minus selective-mask accuracy (positive: the attribute's neurons hurt more than others).

    Parameters
    ----------
    accuracy : DataArray, dims (kind, attribute, size, seed, emotion)
        Or the same of another measure.
    control : str
        Kind of random mask.

    Returns
    -------
    DataArray, dims (attribute, size, seed, emotion)
        Sizes that both kinds have.
    """
    both = accuracy.dropna("size", how="any")
    return (both.sel(kind=control, drop=True) - both.sel(kind="selective", drop=True)).rename("drop")


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
        Live lesions (:func:`emonb.live.arrange`).
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
