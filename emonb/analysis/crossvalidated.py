"""RDMs without the pattern that all emotions share and without noise: centred, and cross-validated over seeds."""

import numpy as np
import xarray as xr

from emonb.analysis.correlation import mean_of_defined
from emonb.analysis.fits import correct_for_noise, rank_correlation
from emonb.analysis.rdm import order_emotions, pair_coords, pair_index, pair_labels, pattern_rdm


def centred_rdm(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset, centre: bool = True) -> xr.DataArray:
    """Correlation distance of seed-mean patterns with every neuron centred over emotions; dims (pair,).

    A correlation of raw patterns is mostly that of the pattern all emotions share. All NaN where an emotion's neurons are
    all at their mean, as in a network that reads nothing.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    humans : DataArray or Dataset
        Of which only the names of the pairs are read.
    centre : bool
        Neurons as they are if false.
    """
    mean = (_centred if centre else _patterns)(activations, humans).mean(0)
    rdm = pattern_rdm(mean) if np.ptp(mean, axis=1).all() else np.full(len(pair_index(len(mean))[0]), np.nan)
    return xr.DataArray(rdm, dims="pair", coords=pair_coords(pair_labels(humans)))


def crossvalidated_rdms(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """RDMs from products of patterns of *different* seeds, in which independent noise of the seeds averages out.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    humans : DataArray or Dataset
        Of which only the names of the pairs are read.

    Returns
    -------
    Dataset
        Over ``pair``; NaN where there is a single seed. ``euclidean``: squared distance, whose expectation is 0 for
        patterns that do not differ (negative values are noise). ``crossnobis``: the same with every neuron divided by the
        standard deviation of its noise, that is of its residuals over seeds (Walther et al. 2016, NeuroImage 137:188; with
        more neurons than residuals only the diagonal of the noise's covariance is used). ``correlation``: 1 -
        cross-validated correlation of centred patterns; NaN for pairs with an emotion whose patterns agree so little
        between seeds that none is defined.
    """
    centred = _centred(activations, humans)
    noise = np.sqrt(((centred - centred.mean(0)) ** 2).sum((0, 1)))
    products = _between_seeds(centred)
    own, (i, j) = np.diag(products), pair_index(centred.shape[1])
    agreeing = np.where(own > 0, own, np.nan)
    scaled = _between_seeds(centred / np.where(noise > 0, noise / np.sqrt(centred[:, :, 0].size), 1))
    rdms = {
        "euclidean": (own[i] + own[j] - 2 * products[i, j]),
        "crossnobis": np.diag(scaled)[i] + np.diag(scaled)[j] - 2 * scaled[i, j],
        "correlation": 1 - products[i, j] / np.sqrt(agreeing[i] * agreeing[j]),
    }
    return xr.Dataset({k: ("pair", v) for k, v in rdms.items()}, coords=pair_coords(pair_labels(humans)))


def seed_reliability(
    activations: xr.DataArray, humans: xr.DataArray | xr.Dataset, n_splits: int, seed: int, centre: bool = False
) -> float:
    """Reliability of the correlation RDM of seed-mean patterns: Spearman between random halves of the seeds, stepped up.

    Stepped up to all seeds (Spearman 1910; Brown 1910), mean of the splits. Unit: the seed; population: seeds. NaN where
    there is a single seed, or halves have no RDM.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    humans : DataArray or Dataset
        Of which only the names of the pairs are read.
    n_splits, seed : int
    centre : bool
        Centre every neuron over emotions (:func:`centred_rdm`).
    """
    values = _centred(activations, humans) if centre else _patterns(activations, humans)
    rng = np.random.default_rng(seed)
    flat = values - values.mean(-1, keepdims=True)
    n_seeds, n = flat.shape[:2]
    if n_seeds < 2:
        return float("nan")
    products = (flat.reshape(n_seeds * n, -1) @ flat.reshape(n_seeds * n, -1).T).reshape(n_seeds, n, n_seeds, n)
    i, j = pair_index(n)
    found = []
    for _ in range(n_splits):
        order = rng.permutation(n_seeds)
        halves = []
        for half in (order[: n_seeds // 2], order[n_seeds // 2 : 2 * (n_seeds // 2)]):
            inner = products[half][:, :, half].sum((0, 2))
            length = np.sqrt(np.diag(inner))
            length[length == 0] = np.nan
            halves.append(1 - inner[i, j] / (length[i] * length[j]))
        found.append(rank_correlation(*halves))
    r, longer = mean_of_defined(found), n_seeds / (n_seeds // 2)
    return float(longer * r / (1 + (longer - 1) * r))


def fit_without_noise(
    rdms: xr.Dataset, activations: xr.DataArray, judges: float, n_splits: int, seed: int
) -> dict[str, float]:
    """Reliability of the correlation RDM over seeds, and its fit corrected for the noise of both sides.

    The correction takes the noise of ranked RDMs to be additive; in simulations it was too strong by .03 to .08.

    Parameters
    ----------
    rdms : Dataset
        ``human`` (pair) and ``model`` (distance, pair).
    activations : DataArray, dims (seed, emotion, layer, neuron)
    judges : float
        Reliability of the human RDM.
    n_splits, seed : int
        Of the reliability (:func:`seed_reliability`).

    Returns
    -------
    dict
        ``network`` and ``centred`` (every neuron centred over emotions): reliability; with ``.without_noise``: Spearman
        with the human RDM, corrected (:func:`emonb.analysis.fits.correct_for_noise`).
    """
    raw, human = rdms.model.sel(distance="correlation"), rdms.human.values
    found = {}
    for name, rdm in (("network", raw), ("centred", centred_rdm(activations, rdms))):
        found[name] = seed_reliability(activations, rdms, n_splits, seed, centre=name == "centred")
        found[f"{name}.without_noise"] = correct_for_noise(rank_correlation(rdm.values, human), found[name], judges)
    return found


def _patterns(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> np.ndarray:
    """Patterns [seed, emotion, neuron] in the order of the human pairs."""
    ordered = order_emotions(activations, humans).transpose("seed", "emotion", "layer", "neuron")
    values = ordered.to_numpy().astype(np.float64)
    return values.reshape(*values.shape[:2], -1)


def _centred(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> np.ndarray:
    values = _patterns(activations, humans)
    return values - values.mean(1, keepdims=True)


def _between_seeds(patterns: np.ndarray) -> np.ndarray:
    """Mean product [emotion, emotion] of patterns of two different seeds."""
    n = len(patterns)
    total = patterns.sum(0)
    if n < 2:
        return np.full((len(total), len(total)), np.nan)
    within = sum(own @ own.T for own in patterns)
    return np.asarray((total @ total.T - within) / (n * (n - 1)))
