"""Which attributes have neurons: every neuron's RDM against every attribute's, emotions relabelled, family-wise."""

from collections.abc import Iterator

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.inference import benjamini_hochberg, draw_permutations, permute_rdm
from emonb.analysis.moments import relabelling_moments
from emonb.analysis.normal_scores import Found, Tail, search_ranks, unit_rows
from emonb.analysis.rdm import centred_ranks, pair_labels, pair_values

CHUNK = 200
"""Relabellings, or rotations, at a time; bounds the memory and changes no result."""


def find_neurons(
    ranks: xr.DataArray, humans: xr.Dataset, permutations: int, seed: int, progress: bool = False
) -> xr.Dataset:
    """Test every neuron's RDM against every attribute's (Spearman's rho, one-sided), by permuting emotions.

    Unit of inference: the emotion. Population: the relabellings of these emotions; neurons and attributes are these ones.
    Exchangeability assumed: under the null the attributes' labels carry no information about the neurons, so that every
    relabelling is equally likely (Mantel 1967); one relabelling serves all neurons and attributes, which keeps their
    dependence. The moments of the null distributions are exact, so that a neuron's normal score hangs on no draw. An
    attribute that no neuron carries but that correlates with one that is carried is not under this null: see
    :func:`emonb.analysis.own.find_own_neurons`.

    Parameters
    ----------
    ranks : DataArray, dims (layer, neuron, pair)
        From :func:`emonb.analysis.rdm.rank_neuron_rdms`.
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    permutations, seed : int
    progress : bool

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``rho``; ``score``, its normal score; ``mean`` (0), ``sd`` and ``skew`` over all
        relabellings; ``p_fwe`` (max-T over neurons within the attribute, Westfall & Young 1993); ``q`` (Benjamini &
        Hochberg 1995 within the attribute, of the normal scores' tails) and ``q_pooled`` (the same over all attributes
        together). Over (permutation, attribute): ``peak``, the highest normal score. What is not defined (a neuron or
        attribute that never varies) has a rho of NaN and a score of minus infinity, and its p and q are 1.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    attribute_rdm = humans.attribute_rdm.transpose("attribute", "pair")
    pair_values(ranks, attribute_rdm)
    x, y = flatten(ranks), centred_ranks(attribute_rdm.to_numpy())
    sd, skew = relabelling_moments(unit_rows(x), unit_rows(y))
    orders = draw_permutations(len(pair_labels(attribute_rdm)), permutations, seed)
    tail = Tail(np.zeros_like(sd), sd, skew)
    found = search_ranks(x, y, _relabel(y, orders), tail, progress)
    return label_neurons(found, tail, ranks, attribute_rdm.attribute).assign_attrs(n_permutations=permutations)


def flatten(ranks: xr.DataArray) -> np.ndarray:
    """Ranks [n_layers * n_neurons, n_pairs], layer by layer."""
    return ranks.transpose("layer", "neuron", "pair").to_numpy().reshape(-1, ranks.sizes["pair"])


def label_neurons(found: Found, tail: Tail, ranks: xr.DataArray, attribute: xr.DataArray) -> xr.Dataset:
    """Label a search as :func:`find_neurons` returns it."""
    coords = {"attribute": attribute.values, "layer": ranks.layer.values, "neuron": ranks.neuron.values}
    shape = [len(values) for values in coords.values()]
    p = scipy.stats.norm.sf(found.score)
    arrays = {
        **{name: getattr(found, name) for name in ("rho", "score", "p_fwe")},
        **tail._asdict(),
        "q": np.stack([benjamini_hochberg(column) for column in p.T], axis=1),
        "q_pooled": benjamini_hochberg(p),
    }
    named = {name: (tuple(coords), array.T.reshape(shape)) for name, array in arrays.items()}
    return xr.Dataset({**named, "peak": (("permutation", "attribute"), found.peak)}, coords)


def _relabel(ranks: np.ndarray, orders: np.ndarray) -> Iterator[np.ndarray]:
    """Ranks [n_y, n_pairs] under relabellings [n, n_items], some at a time."""
    for start in range(0, len(orders), CHUNK):
        yield permute_rdm(ranks, orders[start : start + CHUNK])
