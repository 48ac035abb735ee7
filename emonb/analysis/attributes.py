"""The searchlight: every neuron's RDM against every attribute's RDM, by Kendall's tau-b (Li et al., searchlight RSA)."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.inference import benjamini_hochberg, mantel_test, paper_q, parametric_tau_p
from emonb.analysis.kendall import pack_signs, tau_b
from emonb.analysis.rdm import average_neuron_rdms, order_emotions, pair_index
from emonb.analysis.ties import varies
from emonb.units import Work


def search_neurons(activations: xr.Dataset, humans: xr.Dataset, seeds: Sequence[int] | None = None) -> xr.Dataset:
    """Kendall tau-b of every neuron with every attribute, and the neurons' ranks.

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron).
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    seeds : sequence of int, optional
        Seeds whose neuron RDMs are averaged; all if none are given.

    Returns
    -------
    Dataset
        ``tau`` and ``rank`` (attribute, layer, neuron). Rank 1 is the highest tau of an attribute; ties share their
        mean rank. A neuron that never varies has tau NaN and ranks last.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    activation = activations.activation.sel(seed=list(seeds)) if seeds else activations.activation
    neurons, attributes = _neurons_and_attributes(activation, humans.attribute_rdm)
    tau = tau_b(neurons, attributes).T
    return _by_neuron({"tau": tau, "rank": rank_neurons(tau)}, activation, humans.attribute_rdm)


def assess_neurons(
    activations: xr.Dataset,
    humans: xr.Dataset,
    permutations: int,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
    work: Work | None = None,
) -> xr.Dataset:
    """Significance of every neuron for every attribute, in the study's way and by permuting emotion labels.

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron).
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    permutations, seed : int
    device : str
        ``cpu`` or a GPU (:func:`emonb.analysis.inference.mantel_test`).
    progress : bool
    work : Work, optional
        Where blocks of permutations are counted and kept.

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``p_parametric`` (normal approximation, pairs as independent), ``q_paper``
        (p * N / rank over all tests), ``p`` (label permutation), ``q`` (Benjamini-Hochberg on ``p`` over all tests),
        ``p_fwe`` (maximum over neurons within an attribute), ``p_fwe_all`` (over neurons and attributes).

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    neurons, attributes = _neurons_and_attributes(activations.activation, humans.attribute_rdm)
    result = mantel_test(neurons, attributes, permutations, seed, progress=progress, device=device, work=work)
    parametric = parametric_tau_p(result.statistic, neurons, attributes)
    arrays = {
        "p_parametric": parametric,
        "q_paper": paper_q(parametric),
        "p": result.p,
        "q": benjamini_hochberg(result.p),
        "p_fwe": result.p_fwe,
        "p_fwe_all": result.p_fwe_all,
    }
    labelled = _by_neuron({k: v.T for k, v in arrays.items()}, activations.activation, humans.attribute_rdm)
    return labelled.assign_attrs(n_permutations=permutations)


def _neurons_and_attributes(activation: xr.DataArray, attribute_rdm: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """RDMs [n_neurons, n_pairs] and [n_attributes, n_pairs] over the same pairs, whatever the order of the emotions."""
    neurons = average_neuron_rdms(order_emotions(activation, attribute_rdm))
    return neurons, attribute_rdm.transpose("attribute", "pair").to_numpy()


def _by_neuron(arrays: Mapping[str, np.ndarray], activation: xr.DataArray, attribute_rdm: xr.DataArray) -> xr.Dataset:
    """Label arrays [n_attributes, n_neurons] with attribute, layer and neuron."""
    coords = {
        "attribute": attribute_rdm.attribute.values,
        "layer": activation.layer.values,
        "neuron": activation.neuron.values,
    }
    shape = [len(values) for values in coords.values()]
    return xr.Dataset({name: (tuple(coords), array.reshape(shape)) for name, array in arrays.items()}, coords=coords)


def rank_neurons(tau: np.ndarray) -> np.ndarray:
    """Rank taus [n_attributes, n_neurons] within each attribute, highest first, ties averaged, NaN last.

    >>> rank_neurons(np.array([[0.1, 0.7, np.nan, 0.1]])).tolist()
    [[2.5, 1.0, 4.0, 2.5]]
    """
    return scipy.stats.rankdata(np.where(np.isnan(tau), np.inf, -tau), axis=1)


def rank_agreement(rank: xr.DataArray, published: xr.DataArray) -> dict[str, float]:
    """Share of ranks equal to the published ones, and the largest difference.

    Returns
    -------
    dict
        ``equal`` (fraction), ``largest`` (ranks), ``n`` (ranks compared).
    """
    difference = np.abs(np.subtract(*xr.align(rank, published, join="exact")))
    return {"equal": float((difference == 0).mean()), "largest": float(difference.max()), "n": int(difference.size)}


def select_neurons(rank: xr.DataArray, size: int) -> xr.DataArray:
    """Boolean mask (attribute, layer, neuron) of each attribute's ``size`` highest-ranked neurons.

    Ties at the border are broken by position, so that every mask has exactly ``size`` neurons. Where all neurons have one
    rank, as for an attribute that no tau is defined with, there are no highest: its mask is empty.

    >>> rank = xr.DataArray([[[2.0, 3.0], [1.0, 4.0]]], dims=("attribute", "layer", "neuron"))
    >>> select_neurons(rank, 2).values.tolist()
    [[[True, False], [True, False]]]
    """
    rank = rank.transpose("attribute", "layer", "neuron")
    flat = rank.to_numpy().reshape(rank.sizes["attribute"], -1)
    if not 0 < size <= flat.shape[1]:
        raise ValueError(f"size must be 1 to {flat.shape[1]} neurons, got {size}")
    top = np.argsort(flat, axis=1, kind="stable")[:, :size]
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, top, np.ptp(flat, axis=1, keepdims=True) > 0, axis=1)
    return rank.copy(data=mask.reshape(rank.shape)).rename("mask")


def overlap(mask: xr.DataArray) -> xr.DataArray:
    """Share of neurons that two attributes' masks have in common; dims (attribute, other). NaN for an empty mask.

    >>> masks = xr.DataArray([[True, True, False], [False, True, True]], {"attribute": ["a", "b"]}, ["attribute", "neuron"])
    >>> overlap(masks).sel(attribute="a", other="b").item()
    0.5
    """
    flat = mask.transpose("attribute", ...).to_numpy().reshape(mask.sizes["attribute"], -1).astype(np.float64)
    names, size = mask.attribute.values, flat.sum(1)
    size[size == 0] = np.nan
    shared = flat @ flat.T / size[:, None] * (size / size)
    return xr.DataArray(shared, dims=("attribute", "other"), coords={"attribute": names, "other": names})


def own_attribute_wins(tau: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """Share of each attribute's selected neurons whose highest tau is with that attribute; dims (attribute,).

    NaN where none is selected.
    """
    tau, mask = xr.align(tau, mask, join="exact")
    best = tau.fillna(-np.inf).argmax("attribute")
    own = xr.DataArray(np.arange(tau.sizes["attribute"]), dims="attribute", coords={"attribute": tau.attribute})
    return ((best == own) & mask).sum(("layer", "neuron")) / mask.sum(("layer", "neuron"))


def simulate_wins(score: xr.DataArray, target_tau: xr.DataArray, n: int, seed: int) -> xr.DataArray:
    """What :func:`own_attribute_wins` gives for neurons that carry exactly one attribute and noise.

    Attributes correlate, so a neuron that only knows valence also resembles happy-face. For every attribute ``n``
    surrogate neurons respond with that attribute's score plus normal noise; the noise is set so that their mean tau
    with their own attribute is that of the real selected neurons.

    Parameters
    ----------
    score : DataArray, dims (emotion, attribute)
    target_tau : DataArray, dims (attribute,)
        Mean tau of the selected neurons with their attribute.
    n, seed : int

    Returns
    -------
    DataArray, dims (attribute,)
        NaN for an attribute that does not vary.
    """
    rng = np.random.default_rng(seed)
    values = score.transpose("attribute", "emotion").to_numpy()
    i, j = pair_index(values.shape[1])
    attributes = pack_signs(np.abs(values[:, i] - values[:, j]))
    noise = rng.normal(size=(n, values.shape[1]))
    levels = np.geomspace(0.02, 5, 25)
    wins = []
    for k, name in enumerate(score.attribute.values):
        aim = float(target_tau.sel(attribute=name))
        if np.isnan(aim) or not varies(values[k]):
            wins.append(np.nan)
            continue
        taus = [tau_b(_noisy_rdms(values[k], level * noise, i, j), attributes) for level in levels]
        nearest = np.argmin([abs(t[:, k].mean() - aim) for t in taus])
        wins.append((np.nan_to_num(taus[nearest], nan=-np.inf).argmax(1) == k).mean())
    return xr.DataArray(wins, dims="attribute", coords={"attribute": score.attribute.values})


def _noisy_rdms(score: np.ndarray, noise: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    response = score / score.std() + noise
    return np.abs(response[:, i] - response[:, j])
