"""The searchlight: every neuron's RDM against every attribute's RDM, by Kendall's tau-b (Li et al., searchlight RSA)."""

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.inference import paper_q, parametric_tau_p
from emonb.analysis.kendall import tau_b
from emonb.analysis.rdm import pair_values


def search_neurons(ranks: xr.DataArray, humans: xr.Dataset) -> xr.Dataset:
    """Kendall tau-b of every neuron with every attribute, the neurons' ranks, and the paper's p.

    Parameters
    ----------
    ranks : DataArray, dims (layer, neuron, pair)
        From :func:`emonb.analysis.rdm.rank_neuron_rdms`; tau-b of ranks is that of the distances.
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron). ``tau``; ``rank``: 1 is the highest tau of an attribute, ties share their mean
        rank, and a neuron that never varies has tau NaN and ranks last; ``p_parametric`` (one-sided normal approximation,
        pairs as independent) and ``q_paper`` (p * N / rank over all tests), as the study has them.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    attribute_rdm = humans.attribute_rdm.transpose("attribute", "pair")
    neurons, attributes = pair_values(ranks.stack(unit=("layer", "neuron")).transpose("unit", "pair"), attribute_rdm)
    tau = tau_b(neurons, attributes)
    parametric = parametric_tau_p(tau, neurons, attributes)
    arrays = {"tau": tau.T, "rank": rank_neurons(tau.T), "p_parametric": parametric.T, "q_paper": paper_q(parametric).T}
    coords = {"attribute": humans.attribute.values, **{name: ranks[name].values for name in ("layer", "neuron")}}
    shape = [len(values) for values in coords.values()]
    return xr.Dataset({name: (tuple(coords), array.reshape(shape)) for name, array in arrays.items()}, coords)


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
