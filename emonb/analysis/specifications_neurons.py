"""Specifications of the claim about own neurons: seeds and layers."""

from functools import cache

import xarray as xr

from emonb.analysis.estimates import Estimate
from emonb.analysis.inference import TIE
from emonb.analysis.multiverse import EVERY, Plan, named, thirds
from emonb.analysis.own import best_p, count_attributes, find_own_neurons

ROTATIONS = 119
"""In each of five sets: of fourteen attributes one can be shown with 560 rotations or more."""


def plan_neurons(ranks: xr.DataArray, humans: xr.Dataset, own_null: xr.Dataset, seed: int) -> dict[str, Plan]:
    """Choices and analysis of *own*.

    The test is :func:`emonb.analysis.own.find_own_neurons` with few rotations and the moments of the claim's own test:
    these say how a verdict hangs on choices, and not what it is. A network's thirds are searched by themselves; the best
    of all layers is the best of the thirds, as their rotations are the same.

    Parameters
    ----------
    ranks : DataArray, dims (seeds, layer, neuron, pair)
        From :func:`emonb.analysis.rdm.rank_halves`.
    humans : Dataset
        ``attribute_rdm`` (attribute, pair), ``score`` (emotion, attribute).
    own_null : Dataset
        The claim's own test, of all seeds and layers.
    seed : int
    """
    layers = thirds(ranks.layer.values)

    @cache
    def search(seeds_: str, layers_: str) -> xr.Dataset:
        if layers_ == EVERY and len(layers) > 1:
            return _join([search(seeds_, third) for third in layers if third != EVERY])
        some = ranks.sel(seeds=seeds_, layer=layers[layers_])
        # seed + 1: rotations that gave no moments
        return find_own_neurons(some, humans, ROTATIONS, seed + 1, null=own_null)[["score", "peak", "p_fwe"]]

    def own(seeds_: str, layers_: str) -> Estimate:
        return count_attributes(best_p(search(seeds_, layers_)))

    return {"own": named({"seeds_": ranks.seeds.values.tolist(), "layers_": list(layers)}, own)}


def _join(parts: list[xr.Dataset]) -> xr.Dataset:
    """The same search in several layers, whose rotations are the same, as one search of all."""
    score = xr.concat([part.score for part in parts], "layer")
    peak = xr.concat([part.peak for part in parts], "part").max("part")
    reached = (peak >= score.max(("layer", "neuron")) - TIE).sum("permutation")
    p = (reached + 1) / (peak.sizes["permutation"] + 1)
    return xr.Dataset({"p_fwe": p.expand_dims(("layer", "neuron"))})
