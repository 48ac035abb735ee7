"""The searchlight: every neuron's RDM against every attribute's RDM, by Kendall's tau-b (Li et al., searchlight RSA)."""

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.inference import benjamini_hochberg, mantel_test, paper_q, parametric_tau_p
from emonb.analysis.kendall import pack_signs, tau_b
from emonb.analysis.rdm import average_neuron_rdms, pair_index
from emonb.errors import LabelError


def search_neurons(activations: xr.DataArray, attribute_rdm: xr.DataArray, emotions: list[str]) -> xr.Dataset:
    """Kendall tau-b of every neuron with every attribute, and the neurons' ranks.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    attribute_rdm : DataArray, dims (attribute, pair)
    emotions : list of str
        Order of the emotions behind ``pair``.

    Returns
    -------
    Dataset
        ``tau`` and ``rank`` (attribute, layer, neuron). Rank 1 is the highest tau of an attribute; ties share their
        mean rank. A neuron that never varies has tau NaN and ranks last.
    """
    if set(emotions) != set(activations.emotion.values):
        raise LabelError("activations and attribute RDMs are about different emotions; both must come from one study")
    ordered = activations.sel(emotion=emotions)
    tau = tau_b(average_neuron_rdms(ordered), attribute_rdm.transpose("attribute", "pair").to_numpy()).T
    dims = ("attribute", "layer", "neuron")
    shape = (tau.shape[0], activations.sizes["layer"], activations.sizes["neuron"])
    return xr.Dataset(
        {"tau": (dims, tau.reshape(shape)), "rank": (dims, rank_neurons(tau).reshape(shape))},
        coords={
            "attribute": attribute_rdm.attribute.values,
            "layer": activations.layer.values,
            "neuron": activations.neuron.values,
        },
    )


def assess_neurons(
    activations: xr.DataArray,
    attribute_rdm: xr.DataArray,
    n_permutations: int,
    seed: int,
    progress: bool = False,
    device: str = "cpu",
) -> xr.Dataset:
    """Significance of every neuron for every attribute, in the study's way and by permuting emotion labels.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
        Emotions in the order behind ``attribute_rdm``'s pairs.
    attribute_rdm : DataArray, dims (attribute, pair)
    n_permutations, seed : int
    progress : bool
    device : str
        ``cpu`` or a GPU (:func:`emonb.analysis.inference.mantel_test`).

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``p_parametric`` (normal approximation, pairs as independent), ``q_paper``
        (p * N / rank over all tests), ``p`` (label permutation), ``q`` (Benjamini-Hochberg on ``p`` over all tests),
        ``p_fwe`` (maximum over neurons within an attribute), ``p_fwe_all`` (over neurons and attributes).
    """
    neurons = average_neuron_rdms(activations)
    attributes = attribute_rdm.transpose("attribute", "pair").to_numpy()
    result = mantel_test(neurons, attributes, n_permutations, seed, progress=progress, device=device)
    parametric = parametric_tau_p(result.statistic, neurons, attributes)
    dims = ("attribute", "layer", "neuron")
    shape = (len(attributes), activations.sizes["layer"], activations.sizes["neuron"])
    arrays = {
        "p_parametric": parametric,
        "q_paper": paper_q(parametric),
        "p": result.p,
        "q": benjamini_hochberg(result.p),
        "p_fwe": result.p_fwe,
        "p_fwe_all": result.p_fwe_all,
    }
    return xr.Dataset(
        {name: (dims, array.T.reshape(shape)) for name, array in arrays.items()},
        coords={
            "attribute": attribute_rdm.attribute.values,
            "layer": activations.layer.values,
            "neuron": activations.neuron.values,
        },
        attrs={"n_permutations": n_permutations},
    )


def rank_neurons(tau: np.ndarray) -> np.ndarray:
    """Rank taus [n_attributes, n_neurons] within each attribute, highest first, ties averaged, NaN last."""
    return scipy.stats.rankdata(np.where(np.isnan(tau), np.inf, -tau), axis=1)


def rank_agreement(rank: xr.DataArray, published: xr.DataArray) -> dict[str, float]:
    """Share of ranks equal to the published ones, and the largest difference.

    Returns
    -------
    dict
        ``equal`` (fraction), ``largest`` (ranks), ``n`` (ranks compared).
    """
    rank, published = xr.align(rank, published, join="exact")
    difference = np.abs(rank - published)
    return {"equal": float((difference == 0).mean()), "largest": float(difference.max()), "n": int(difference.size)}


def select_neurons(rank: xr.DataArray, size: int) -> xr.DataArray:
    """Boolean mask (attribute, layer, neuron) of each attribute's ``size`` highest-ranked neurons.

    Ties at the border are broken by position, so that every mask has exactly ``size`` neurons.
    """
    flat = rank.transpose("attribute", "layer", "neuron").to_numpy().reshape(rank.sizes["attribute"], -1)
    if not 0 < size <= flat.shape[1]:
        raise ValueError(f"size must be 1 to {flat.shape[1]} neurons, got {size}")
    top = np.argsort(flat, axis=1, kind="stable")[:, :size]
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, top, True, axis=1)
    return xr.DataArray(mask.reshape(rank.shape), dims=("attribute", "layer", "neuron"), coords=rank.coords, name="mask")


def overlap(mask: xr.DataArray) -> xr.DataArray:
    """Share of neurons that two attributes' masks have in common; dims (attribute, other)."""
    flat = mask.transpose("attribute", ...).to_numpy().reshape(mask.sizes["attribute"], -1).astype(np.float64)
    names = mask.attribute.values
    return xr.DataArray(
        flat @ flat.T / flat.sum(1)[:, None], dims=("attribute", "other"), coords={"attribute": names, "other": names}
    )


def own_attribute_wins(tau: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """Share of each attribute's selected neurons whose highest tau is with that attribute; dims (attribute,)."""
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
    """
    rng = np.random.default_rng(seed)
    values = score.transpose("attribute", "emotion").to_numpy()
    i, j = pair_index(values.shape[1])
    attributes = pack_signs(np.abs(values[:, i] - values[:, j]))
    noise = rng.normal(size=(n, values.shape[1]))
    levels = np.geomspace(0.02, 5, 25)
    wins = []
    for k, name in enumerate(score.attribute.values):
        taus = [tau_b(_noisy_rdms(values[k], level * noise, i, j), attributes) for level in levels]
        nearest = np.argmin([abs(t[:, k].mean() - float(target_tau.sel(attribute=name))) for t in taus])
        wins.append((taus[nearest].argmax(1) == k).mean())
    return xr.DataArray(wins, dims="attribute", coords={"attribute": score.attribute.values})


def _noisy_rdms(score: np.ndarray, noise: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    response = score / score.std() + noise
    return np.abs(response[:, i] - response[:, j])
