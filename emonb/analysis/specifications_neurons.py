"""Specifications of the claims about neurons: the statistic, layers, seeds, and which other attributes are taken out."""

from functools import cache

import numpy as np
import xarray as xr

from emonb.analysis.beyond import beat_chance
from emonb.analysis.estimates import Estimate
from emonb.analysis.inference import TIE
from emonb.analysis.multiverse import EVERY, Plan, known, named, thirds
from emonb.analysis.neurons import find_neurons
from emonb.analysis.own import find_own_neurons

PERMUTATIONS = 199


def plan_neurons(ranks: xr.DataArray, humans: xr.Dataset, own_null: xr.Dataset, seed: int) -> dict[str, Plan]:
    """Choices and analysis of *neurons* and *own*, one specification an attribute and a combination of choices.

    The tests are :func:`emonb.analysis.neurons.find_neurons` and :func:`emonb.analysis.own.find_own_neurons`, with few
    relabellings and, for rotations, the moments of the claim's own test: these say how a verdict hangs on choices, and not
    what it is. A
    network's thirds are searched by themselves, so that what is the best neuron, and the best that chance finds, are of the
    same layers.

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
    # seed + 1: relabellings that gave no moments
    layers = thirds(ranks.layer.values)
    names = [str(name) for name in humans.attribute_rdm.attribute.values]
    nearest = _find_nearest(humans.score.sel(attribute=names))
    given = {
        EVERY: {name: [other for other in names if other != name] for name in names},
        "all but the nearest": {name: [other for other in names if other not in (name, nearest[name])] for name in names},
    }

    @cache
    def search(seeds_: str, layers_: str, given_: str | None) -> dict[str, Estimate]:
        if layers_ == EVERY and len(layers) > 1:
            return beat_chance(_join([part(seeds_, third, given_) for third in layers if third != EVERY]))
        return beat_chance(part(seeds_, layers_, given_))

    @cache
    def part(seeds_: str, layers_: str, given_: str | None) -> xr.Dataset:
        some = ranks.sel(seeds=seeds_, layer=layers[layers_])
        if given_ is None:
            return _keep(find_neurons(some, humans, PERMUTATIONS, seed + 1))
        return _keep(find_own_neurons(some, humans, PERMUTATIONS, seed + 1, given=given[given_], null=own_null))

    def neurons(seeds_: str, layers_: str, attribute: str) -> Estimate | None:
        return known(search(seeds_, layers_, None)[attribute])

    def own(seeds_: str, layers_: str, given_: str, attribute: str) -> Estimate | None:
        return known(search(seeds_, layers_, given_)[attribute])

    choices = {"seeds_": ranks.seeds.values.tolist(), "layers_": list(layers)}
    return {
        "neurons": named({**choices, "attribute": names}, neurons),
        "own": named({**choices, "given_": list(given), "attribute": names}, own),
    }


def _keep(found: xr.Dataset) -> xr.Dataset:
    """What the best neuron's distance from chance is made of."""
    return found[["score", "mean", "sd", "skew", "peak", "p_fwe"]]


def _join(parts: list[xr.Dataset]) -> xr.Dataset:
    """The same search in several layers, whose relabellings are the same, as one search of all."""
    tests = ["score", "mean", "sd", "skew"]
    joined = xr.concat([part[tests] for part in parts], "layer")
    peak = xr.concat([part.peak for part in parts], "part").max("part")  # the best of all neurons in each relabelling
    reached = (peak >= joined.score.max(("layer", "neuron")) - TIE).sum("permutation")
    return joined.assign(peak=peak, p_fwe=(reached + 1) / (peak.sizes["permutation"] + 1))


def _find_nearest(score: xr.DataArray) -> dict[str, str]:
    """The other attribute whose scores correlate most, in absolute value, with each one's; itself where nothing varies."""
    names = [str(name) for name in score.attribute.values]
    with np.errstate(invalid="ignore"):
        alike = np.nan_to_num(np.abs(np.corrcoef(score.transpose("attribute", "emotion").to_numpy())))
    np.fill_diagonal(alike := np.atleast_2d(alike), 0)
    return {name: names[row.argmax()] for name, row in zip(names, alike, strict=True)}
