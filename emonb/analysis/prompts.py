"""Tuned prompts: how well they learned their task, and what the activations they give are like."""

import warnings

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from emonb.analysis.rdm import ROUNDING
from emonb.analysis.statistics import Estimate, from_sample

CHANCE = 0.5


def mean_accuracy(accuracy: xr.DataArray) -> Estimate:
    """Mean accuracy (seed, emotion) with intervals over emotions (t); seeds share comments and are averaged first."""
    return from_sample(accuracy.mean("seed"))


def not_learned(accuracy: xr.DataArray) -> xr.DataArray:
    """Tell which prompts lie nearer to chance than to the median of their emotion's seeds.

    >>> a = xr.DataArray([[0.9, 0.6], [0.9, 0.6], [0.6, 0.54]], {"seed": [1, 3, 5], "emotion": ["joy", "awe"]})
    >>> not_learned(a).values.tolist()
    [[False, False], [False, False], [True, True]]
    """
    return accuracy < (accuracy.median("seed") + CHANCE) / 2


GELU_FLOOR = float(minimize_scalar(lambda x: x * norm.cdf(x), bounds=(-2, 0), method="bounded").fun)
"""The lowest value GELU(x) = x * Phi(x) takes (about -0.17; Hendrycks & Gimpel 2016)."""


def variance_carried(activations: xr.DataArray) -> pd.Series:
    """Share of each neuron in the variance between emotions of the seed means; indexed by layer and neuron, sum 1.

    Shares are in raw units, on which a Euclidean distance depends; NaN where no neuron differs.
    """
    variance = activations.mean("seed").var("emotion")
    return (variance / variance.sum()).transpose("layer", "neuron").to_series().rename("share")


def vector_reliability(activations: xr.DataArray) -> xr.Dataset:
    """How alike an emotion's vectors of different seeds are, against vectors of other emotions.

    Each neuron is centred over emotions within its seed first, since most of a pattern is common to all emotions.

    Gives ``same`` (emotion): mean Pearson r between this emotion's vectors of two different seeds; ``other`` (emotion):
    the same with every other emotion's vectors of a different seed. Vectors that are the same throughout have no
    correlation and are left out; NaN where none is left.
    """
    values = activations.transpose("emotion", "seed", "layer", "neuron").to_numpy()
    n_emotions, n_seeds = values.shape[:2]
    values = values.reshape(n_emotions, n_seeds, -1).astype(np.float64)
    scale = np.linalg.norm(values, axis=-1).max()
    values -= values.mean(0)
    values -= values.mean(-1, keepdims=True)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    values /= np.where(length > ROUNDING * scale, length, np.nan)
    flat = values.reshape(n_emotions * n_seeds, -1)
    r = (flat @ flat.T).reshape(n_emotions, n_seeds, n_emotions, n_seeds)
    different_seed = ~np.eye(n_seeds, dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        between = np.nanmean(r.transpose(0, 2, 1, 3)[:, :, different_seed], -1)  # [emotion, emotion]
        same = np.diag(between).copy()
        np.fill_diagonal(between, np.nan)
        other = np.nanmean(between, 1)
    return xr.Dataset(
        {"same": ("emotion", same), "other": ("emotion", other)}, coords={"emotion": activations.emotion.values}
    )
