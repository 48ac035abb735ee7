"""Which neurons to silence: each attribute's top N, and random comparison masks of four kinds from an explicit seed."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from emonb.analysis.neurons import search_neurons, select_neurons
from emonb.analysis.rdm import rank_neuron_rdms

COMPARISONS = ("random", "random_layer", "random_matched", "random_norm")


def plan_masks(
    activations: xr.Dataset,
    humans: xr.Dataset,
    seeds: Sequence[int] | None,
    sizes: Sequence[int],
    comparisons: Sequence[str],
    draws: int,
    seed: int,
) -> xr.Dataset:
    """All masks of a lesion study.

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron); for ``random_norm`` also ``output_norm`` (layer, neuron), the norm
        of what a neuron adds to the residual stream by a unit of activation.
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    seeds : sequence of int, optional
        Seeds whose prompts choose the neurons; all if none are given.
    sizes, comparisons, draws, seed
        As in :func:`draw_masks`.

    Returns
    -------
    Dataset
        ``silenced`` (mask, layer, neuron), True where a neuron is silenced; coordinates ``kind``, ``attribute``, ``size``
        and ``draw`` along ``mask``.
    """
    level = abs(activations.activation).mean(("seed", "emotion"))
    chosen = activations.activation.sel(seed=list(seeds)) if seeds else activations.activation
    rank = search_neurons(rank_neuron_rdms(chosen, humans), humans)["rank"]
    norm = level * activations.output_norm if "output_norm" in activations else None
    return draw_masks(rank, sizes, comparisons, draws, seed, level, norm).to_dataset()


def draw_masks(
    rank: xr.DataArray,
    sizes: Sequence[int],
    comparisons: Sequence[str],
    draws: int,
    seed: int,
    mean_absolute: xr.DataArray | None = None,
    output_norm: xr.DataArray | None = None,
) -> xr.DataArray:
    """Each attribute's selective mask of every size, and random masks to compare it with.

    Parameters
    ----------
    rank : DataArray, dims (attribute, layer, neuron)
        Searchlight ranks.
    sizes : sequence of int
        Numbers N of silenced neurons.
    comparisons : sequence of {'random', 'random_layer', 'random_matched', 'random_norm'}
        Same N; same N in each layer as the attribute's mask; the same and matched, neuron by neuron, on mean absolute
        activation; the same and matched on the norm of what a neuron adds to the residual stream.
    draws : int
        Masks of each kind for every attribute and size. A mask depends on its own labels and the seed only, so that a
        plan with more draws, sizes or kinds holds the masks of a smaller one.
    seed : int
    mean_absolute, output_norm : DataArray, dims (layer, neuron), optional
        What ``random_matched`` and ``random_norm`` match on.

    Returns
    -------
    DataArray of bool, dims (mask, layer, neuron), name ``silenced``
        Coordinates ``kind``, ``attribute``, ``size``, ``draw`` along ``mask``. Masks of an
        attribute whose neurons all have the same rank are empty.

    Raises
    ------
    ValueError
        An unknown kind, or one without the level that it matches on.
    """
    unknown = [kind for kind in comparisons if kind not in COMPARISONS]
    if unknown:
        raise ValueError(f"unknown comparison '{unknown[0]}'; use one of {', '.join(COMPARISONS)}")
    levels = {"random_matched": mean_absolute, "random_norm": output_norm}
    for kind in comparisons:
        if kind in levels and levels[kind] is None:
            what = {"random_matched": "mean absolute activation", "random_norm": "output norm"}[kind]
            raise ValueError(f"comparison '{kind}' needs the {what} of every neuron: give {what.replace(' ', '_')}")
    masks, labels = [], []
    for size in sizes:
        selective = select_neurons(rank, size)
        for attribute in rank.attribute.values:
            chosen = selective.sel(attribute=attribute).transpose("layer", "neuron").to_numpy()
            masks.append(chosen)
            labels.append(("selective", str(attribute), size, 0))
            for kind in comparisons:
                given = levels.get(kind)
                level = None if given is None else given.transpose("layer", "neuron").to_numpy()
                for draw in range(draws):
                    rng = np.random.default_rng([seed, size, draw, *f"{kind} {attribute}".encode()])
                    masks.append(_draw(kind, chosen, rng, level))
                    labels.append((kind, str(attribute), size, draw))
    names = ("kind", "attribute", "size", "draw")
    along = {name: ("mask", np.array(column)) for name, column in zip(names, zip(*labels, strict=True), strict=True)}
    coords = {**along, "layer": rank.layer.values, "neuron": rank.neuron.values}
    return xr.DataArray(np.stack(masks), dims=("mask", "layer", "neuron"), coords=coords, name="silenced")


def _draw(kind: str, chosen: np.ndarray, rng: np.random.Generator, level: np.ndarray | None) -> np.ndarray:
    out = np.zeros(chosen.shape, bool)
    if kind == "random":
        out.flat[rng.choice(chosen.size, int(chosen.sum()), replace=False)] = True
        return out
    for layer, row in enumerate(chosen):
        if kind == "random_layer":
            out[layer, rng.choice(len(row), row.sum(), replace=False)] = True
        elif level is not None:
            out[layer, _match(np.flatnonzero(row), level[layer], rng)] = True
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
