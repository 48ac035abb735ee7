"""Specifications of the claims about the map of emotions: distance, centring, layers, seeds, what is given."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.estimates import Estimate
from emonb.analysis.fits import fit_rdms
from emonb.analysis.importance import name_subsets
from emonb.analysis.multiverse import EVERY, Plan, known, named, specify, thirds
from emonb.analysis.partial import estimate_given, permute_residuals
from emonb.analysis.rdm import halve, order_emotions, pattern_rdm
from emonb.analysis.reliance import compare_profiles
from emonb.analysis.resampling import resample_factors

PERMUTATIONS, BOOTSTRAPS = 499, 499
Read = Callable[[str, str, str, str], xr.DataArray | None]


def plan_maps(
    activation: xr.DataArray, rdms: xr.Dataset, words: xr.Dataset, score: xr.DataArray, seed: int
) -> dict[str, Plan]:
    """Choices and analysis of *structure*, *words* and *reliance*.

    Parameters
    ----------
    activation : DataArray, dims (seed, emotion, layer, neuron)
    rdms : Dataset
        ``human`` (pair), ``attribute_rdm`` (attribute, pair).
    words : Dataset
        RDMs (pair) of the comments' words and labels.
    score : DataArray, dims (emotion, attribute)
    seed : int
    """
    choices, read = _read_maps(activation, rdms.human)
    given = {str(name): words[name] for name in words.data_vars} | {EVERY: words.to_dataarray("given")}
    kept = name_subsets(score)

    def structure(distance: str, centred: str, layers: str, seeds: str) -> Estimate | None:
        model = read(distance, centred, layers, seeds)
        if model is None:
            return None
        fit = fit_rdms(model, rdms.human, PERMUTATIONS, seed)
        return known(Estimate(fit.rho, fit.low, fit.high, np.nan, np.nan, fit.p_two_sided))

    def beyond_words(distance: str, centred: str, layers: str, seeds: str, given_: str) -> Estimate | None:
        model = read(distance, centred, layers, seeds)
        if model is None:
            return None
        left = estimate_given(model, rdms.human, given[given_])
        return known(left._replace(p=permute_residuals(model, rdms.human, given[given_], PERMUTATIONS, seed).p_two_sided))

    def reliance(distance: str, centred: str, layers: str, seeds: str, attributes: str) -> Estimate | None:
        model = read(distance, centred, layers, seeds)
        if model is None:
            return None
        some = rdms.attribute_rdm.sel(attribute=kept[attributes])
        return known(compare_profiles(model, rdms.human, some, PERMUTATIONS, seed))

    return {
        "structure": (choices, structure),
        "words": named({**choices, "given_": list(given)}, beyond_words),
        "reliance": ({**choices, "attributes": list(kept)}, reliance),
    }


def specify_knowledge(
    activations: xr.Dataset, untrained: xr.Dataset, human: xr.DataArray, judgments: xr.DataArray, seed: int
) -> pd.DataFrame:
    """Run *knowledge* under every combination of choices: the trained network's fit with people, less the untrained one's.

    Parameters
    ----------
    activations, untrained : Dataset
        ``activation`` (seed, emotion, layer, neuron) of prompts tuned on either network.
    human : DataArray, dims (pair,)
    judgments : DataArray, dims (judge, pair)
    seed : int

    Returns
    -------
    DataFrame
        As :func:`emonb.analysis.multiverse.specify`, with ``claim``; ``sampled`` is what a draw of the bootstrap draws.
    """
    choices, first = _read_maps(activations.activation, human)
    _, second = _read_maps(untrained.activation, human)

    @cache
    def gain(distance: str, centred: str, layers: str, seeds: str) -> dict[str, Estimate]:
        one, other = (read(distance, centred, layers, seeds) for read in (first, second))
        return {} if one is None or other is None else resample_factors(one, judgments, BOOTSTRAPS, seed, other)

    def analyse(sampled: str, **chosen: str) -> Estimate | None:
        found = gain(**chosen).get(sampled)
        return None if found is None else known(found)

    return specify({**choices, "sampled": ["emotions", "both"]}, analyse).assign(claim="knowledge")


def _read_maps(activation: xr.DataArray, human: xr.DataArray) -> tuple[Mapping[str, list[Any]], Read]:
    """Choices that every claim on the map has, and the network's RDM under them: None where they make no sense together."""
    ordered = order_emotions(activation, human).transpose("seed", "emotion", "layer", "neuron")
    seeds, layers = halve(activation.seed.values), thirds(activation.layer.values)

    @cache
    def average(layers_: str, seeds_: str) -> np.ndarray:
        values = ordered.sel(seed=seeds[seeds_], layer=layers[layers_]).mean("seed").to_numpy()
        return values.reshape(len(values), -1).astype(float)  # [emotion, layer * neuron]

    @cache
    def read(distance: str, centred: str, layers_: str, seeds_: str) -> xr.DataArray | None:
        if distance == "euclidean" and centred == "yes":  # the distance is the same
            return None
        patterns = average(layers_, seeds_)
        if centred == "yes":
            patterns = patterns - patterns.mean(0)
        if distance == "correlation" and not np.ptp(patterns, axis=1).all():
            return None
        return human.copy(data=pattern_rdm(patterns, distance))

    choices = {"distance": ["correlation", "euclidean"], "centred": ["no", "yes"]}
    return {**choices, "layers": list(layers), "seeds": list(seeds)}, read
