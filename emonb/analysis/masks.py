"""Which neurons to silence: each attribute's top N, and random controls of three kinds drawn from an explicit seed."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from emonb.analysis.attributes import select_neurons

CONTROLS = ("random", "random_layer", "random_matched")


def plan_masks(
    rank: xr.DataArray,
    sizes: Sequence[int],
    controls: Sequence[str],
    draws: int,
    seed: int,
    mean_absolute: xr.DataArray | None = None,
) -> xr.DataArray:
    """All masks of a lesion study.

    Parameters
    ----------
    rank : DataArray, dims (attribute, layer, neuron)
        Searchlight ranks.
    sizes : sequence of int
        Numbers N of silenced neurons.
    controls : sequence of {'random', 'random_layer', 'random_matched'}
        Same N; same N in each layer as the attribute's mask; the same and matched, neuron by neuron, on mean absolute
        activation.
    draws : int
        Masks of each kind for every attribute and size.
    seed : int
    mean_absolute : DataArray, dims (layer, neuron), optional
        Needed for ``random_matched``.

    Returns
    -------
    DataArray of bool, dims (mask, layer, neuron)
        True where a neuron is silenced; coordinates ``kind``, ``attribute``, ``size``, ``draw`` along ``mask``.
    """
    if "random_matched" in controls and mean_absolute is None:
        raise ValueError("control 'random_matched' needs the mean absolute activation of every neuron: give mean_absolute")
    rng = np.random.default_rng(seed)
    masks, labels = [], []
    for size in sizes:
        selective = select_neurons(rank, size)
        for attribute in rank.attribute.values:
            chosen = selective.sel(attribute=attribute).transpose("layer", "neuron").to_numpy()
            masks.append(chosen)
            labels.append(("selective", str(attribute), size, 0))
            for kind in controls:
                for draw in range(draws):
                    masks.append(_draw(kind, chosen, rng, mean_absolute))
                    labels.append((kind, str(attribute), size, draw))
    kinds, attributes, all_sizes, numbers = zip(*labels, strict=True)
    return xr.DataArray(
        np.stack(masks),
        dims=("mask", "layer", "neuron"),
        coords={
            "kind": ("mask", np.array(kinds)),
            "attribute": ("mask", np.array(attributes)),
            "size": ("mask", np.array(all_sizes)),
            "draw": ("mask", np.array(numbers)),
            "layer": rank.layer.values,
            "neuron": rank.neuron.values,
        },
        name="silenced",
    )


def _draw(kind: str, chosen: np.ndarray, rng: np.random.Generator, mean_absolute: xr.DataArray | None) -> np.ndarray:
    out = np.zeros(chosen.shape, bool)
    if kind == "random":
        out.flat[rng.choice(chosen.size, int(chosen.sum()), replace=False)] = True
    elif kind == "random_layer":
        for layer, n in enumerate(chosen.sum(1)):
            out[layer, rng.choice(chosen.shape[1], n, replace=False)] = True
    elif kind == "random_matched":
        assert mean_absolute is not None
        level = mean_absolute.transpose("layer", "neuron").to_numpy()
        for layer in range(len(chosen)):
            out[layer, _match(np.flatnonzero(chosen[layer]), level[layer], rng)] = True
    else:
        raise ValueError(f"unknown control '{kind}'; use one of {', '.join(CONTROLS)}")
    return out


def _match(chosen: np.ndarray, level: np.ndarray, rng: np.random.Generator, near: int = 8) -> np.ndarray:
    """For each chosen neuron one other of the layer with nearly its level, without repeats.

    Candidates are neurons that are not chosen themselves; where the layer has too few, chosen ones are allowed.
    """
    free = np.ones(len(level), bool)
    if 2 * len(chosen) <= len(level):
        free[chosen] = False
    found = []
    for neuron in rng.permutation(chosen):
        candidates = np.flatnonzero(free)
        distance = np.abs(level[candidates] - level[neuron])
        pick = rng.choice(candidates[np.argsort(distance, kind="stable")[:near]])
        free[pick] = False
        found.append(pick)
    return np.array(found, int)
