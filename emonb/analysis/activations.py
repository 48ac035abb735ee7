"""Activations: what the values of FFN neurons look like, and how reliable they are between seeds."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from emonb.analysis.rdm import order_emotions, pair_index
from emonb.analysis.structure import compare
from emonb.analysis.ties import ROUNDING

GELU_FLOOR = float(minimize_scalar(lambda x: x * norm.cdf(x), bounds=(-2, 0), method="bounded").fun)
"""The lowest value GELU(x) = x * Phi(x) takes (about -0.17; Hendrycks & Gimpel 2016)."""


def layer_quantiles(
    activations: xr.DataArray, levels: Sequence[float] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
) -> pd.DataFrame:
    """Quantiles of all activations of a layer; one row a layer, one column a level."""
    table = activations.quantile(levels, ("seed", "emotion", "neuron")).transpose("layer", "quantile").to_pandas()
    table.columns.name = None
    return table


def variance_carried(activations: xr.DataArray) -> pd.Series:
    """Share of each neuron in the variance between emotions of the seed means; indexed by layer and neuron, sum 1.

    Shares are in raw units, on which a Euclidean distance depends; NaN where no neuron differs.
    """
    variance = activations.mean("seed").var("emotion")
    return (variance / variance.sum()).transpose("layer", "neuron").to_series().rename("share")


def vector_reliability(activations: xr.DataArray) -> xr.Dataset:
    """How alike an emotion's vectors of different seeds are, against vectors of other emotions.

    Each neuron is centred over emotions within its seed first, since most of a pattern is common to all emotions.

    Returns
    -------
    Dataset
        ``same`` (emotion): mean Pearson r between this emotion's vectors of two different seeds;
        ``other`` (emotion): the same with every other emotion's vectors of a different seed. Vectors that are the same
        throughout have no correlation and are left out; NaN where none is left.
    """
    values = activations.transpose("emotion", "seed", "layer", "neuron").to_numpy()
    n_emotions, n_seeds = values.shape[:2]
    values = values.reshape(n_emotions, n_seeds, -1).astype(np.float64)
    scale = np.linalg.norm(values, axis=-1).max()
    values = values - values.mean(0)
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


def reliability_by_seeds(activations: xr.DataArray, human: xr.DataArray, n_splits: int, seed: int) -> xr.Dataset:
    """How reliable the model's correlation RDM is, and how well it fits, against the number of seeds averaged.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    human : DataArray, dims (pair,)
    n_splits, seed : int
        Random draws of disjoint groups of seeds, for every group size.

    Returns
    -------
    Dataset
        Over ``n_seeds`` (1 ... half of the seeds): ``reliability``, mean Spearman between the RDMs of two disjoint
        groups; ``fit`` and ``fit_sd``, mean and standard deviation over groups of the Spearman with ``human``. Groups for
        which a correlation is not defined are left out; NaN where none is left.
    """
    rng = np.random.default_rng(seed)
    values = order_emotions(activations, human).transpose("seed", "emotion", "layer", "neuron").to_numpy()
    n_seeds, n_emotions = values.shape[:2]
    flat = values.reshape(n_seeds * n_emotions, -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    gram = (flat @ flat.T).reshape(n_seeds, n_emotions, n_seeds, n_emotions)
    i, j = pair_index(n_emotions)

    def correlation_rdm(group: np.ndarray) -> np.ndarray:  # of the mean pattern, which is linear in the patterns
        inner = gram[group][:, :, group].sum((0, 2))
        length = np.sqrt(np.diag(inner))
        length[length == 0] = np.nan
        return (1 - inner / length / length[:, None])[i, j]

    rows = {}
    for size in range(1, n_seeds // 2 + 1):
        draws = [rng.permutation(n_seeds)[: 2 * size] for _ in range(n_splits)]
        rdms = [(correlation_rdm(draw[:size]), correlation_rdm(draw[size:])) for draw in draws]
        fits = [compare(rdm, human, "rho") for pair in rdms for rdm in pair]
        table = pd.Series(fits)
        reliability = pd.Series([compare(a, b, "rho") for a, b in rdms]).mean()
        rows[size] = {"reliability": reliability, "fit": table.mean(), "fit_sd": table.std(ddof=0)}
    return pd.DataFrame(rows).T.rename_axis("n_seeds").to_xarray()
