"""Representational dissimilarity matrices (RDMs): one vector entry per pair of emotions, in one fixed order.

A vector runs over the lower triangle column by column: (1,0), (2,0), ..., (2,1), ... Pairs carry the names of both
emotions, so that two RDMs are compared by label and never by luck of position.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numba import prange

from emonb.analysis.compiled import njit

from emonb.errors import LabelError

DISTANCES = ("correlation", "euclidean")


def pair_index(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (first, second) of the two items of every pair; lower triangle, column by column."""
    return np.triu_indices(n, 1)


def pair_coords(labels: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of the ``pair`` dimension: ``pair`` ("a|b"), ``first`` and ``second`` (names)."""
    first, second = pair_index(len(labels))
    names = np.asarray(labels)
    return {
        "pair": ("pair", np.array([f"{a}|{b}" for a, b in zip(names[first], names[second], strict=True)])),
        "first": ("pair", names[first]),
        "second": ("pair", names[second]),
    }


def to_square(vector: np.ndarray) -> np.ndarray:
    """Turn RDM vectors [..., n_pairs] into symmetric matrices [..., n, n] with a zero diagonal."""
    vector = np.asarray(vector)
    n = _n_items(vector.shape[-1])
    square = np.zeros((*vector.shape[:-1], n, n), vector.dtype)
    i, j = pair_index(n)
    square[..., i, j] = square[..., j, i] = vector
    return square


def to_vector(square: np.ndarray) -> np.ndarray:
    """Turn symmetric matrices [..., n, n] into RDM vectors [..., n_pairs]."""
    square = np.asarray(square)
    if square.ndim < 2 or square.shape[-1] != square.shape[-2] or not np.allclose(square, np.swapaxes(square, -1, -2)):
        raise ValueError(f"expected symmetric matrices [..., n, n], got shape {square.shape}; symmetrize them first")
    i, j = pair_index(square.shape[-1])
    return square[..., i, j]


def pattern_rdm(patterns: np.ndarray, distance: str = "correlation") -> np.ndarray:
    """RDM of activation patterns.

    Parameters
    ----------
    patterns : array, shape (n_items, n_features)
    distance : {'correlation', 'euclidean'}
        1 - Pearson r, or the Euclidean norm of the difference.

    Returns
    -------
    array, shape (n_pairs,)

    Raises
    ------
    ValueError
        Unknown distance, or a constant pattern, for which a correlation is not defined.
    """
    patterns = np.asarray(patterns, np.float64)
    i, j = pair_index(len(patterns))
    if distance == "correlation":
        centred = patterns - patterns.mean(1, keepdims=True)
        length = np.linalg.norm(centred, axis=1)
        if not length.all():
            raise ValueError("a pattern is constant, so its correlation with others is not defined; use 'euclidean'")
        return 1 - ((centred / length[:, None]) @ (centred / length[:, None]).T)[i, j]
    if distance == "euclidean":
        return np.array([np.linalg.norm(patterns[a] - patterns[b]) for a, b in zip(i, j, strict=True)])
    raise ValueError(f"unknown distance '{distance}'; use one of {', '.join(DISTANCES)}")


def average_neuron_rdms(activations: xr.DataArray) -> np.ndarray:
    """RDM of every single neuron: |a_i - a_j| over pairs, averaged over seeds (Li et al., searchlight).

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)

    Returns
    -------
    array, shape (n_layers * n_neurons, n_pairs), float64
        Neurons in order layer by layer.
    """
    values = activations.transpose("seed", "emotion", "layer", "neuron").to_numpy()
    values = values.reshape(*values.shape[:2], -1)  # [seed, emotion, layer * neuron]
    i, j = pair_index(values.shape[1])
    out = np.empty((values.shape[2], len(i)))
    _average_distances(values, i, j, out)
    return out


def compute_rdms(activations: xr.DataArray, humans: xr.Dataset) -> xr.Dataset:
    """All RDMs of a study on one ``pair`` axis.

    Parameters
    ----------
    activations : DataArray, dims (seed, emotion, layer, neuron)
    humans : Dataset
        From :func:`emonb.data.humans.read_humans`.

    Returns
    -------
    Dataset
        ``human`` (pair), ``judgment`` (judge, pair), ``attribute_rdm`` (attribute, pair), and of the model, for every
        distance: ``model`` (seed-mean pattern, all layers), ``model_layer`` (seed-mean pattern, one layer),
        ``model_seed`` (one seed, all layers), ``model_layer_seed``.
    """
    emotions = list(humans.emotion.values)
    if set(emotions) != set(activations.emotion.values):
        raise LabelError("activations and human data are about different emotions; both must come from one study")
    ordered = activations.sel(emotion=emotions).transpose("seed", "emotion", "layer", "neuron")
    values = ordered.to_numpy().astype(np.float64)
    mean = values.mean(0)  # [emotion, layer, neuron]
    flat = (len(emotions), -1)

    def each(stack: list[np.ndarray]) -> np.ndarray:
        return np.array([[pattern_rdm(p.reshape(flat), d) for p in stack] for d in DISTANCES])

    seeds, layers = range(values.shape[0]), range(values.shape[2])
    layer_seed = [each([values[s, :, k] for s in seeds]) for k in layers]
    return xr.Dataset(
        {
            "human": ("pair", humans.dissimilarity.values),
            "judgment": (("judge", "pair"), humans.judgment.values),
            "attribute_rdm": (("attribute", "pair"), humans.attribute_rdm.values),
            "model": (("distance", "pair"), each([mean])[:, 0]),
            "model_layer": (("distance", "layer", "pair"), each([mean[:, k] for k in layers])),
            "model_seed": (("distance", "seed", "pair"), each([values[s] for s in seeds])),
            "model_layer_seed": (("distance", "layer", "seed", "pair"), np.stack(layer_seed, 1)),
        },
        coords={
            "distance": list(DISTANCES),
            "layer": activations.layer.values,
            "seed": activations.seed.values,
            "attribute": humans.attribute.values,
            "judge": humans.judge.values,
            **pair_coords(emotions),
        },
    )


def _n_items(n_pairs: int) -> int:
    n = (1 + int(np.sqrt(1 + 8 * n_pairs))) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise ValueError(f"{n_pairs} is not a number of pairs n(n-1)/2; give the vector of one triangle of an RDM")
    return n


@njit(parallel=True)
def _average_distances(values, i, j, out):  # type: ignore[no-untyped-def]
    """Neurons are taken 64 at a time, side by side, so that the sums of a block stay in the cache."""
    seeds, _, neurons = values.shape
    for block in prange((neurons + 63) // 64):
        start = 64 * block
        n = min(64, neurons - start)
        total = np.zeros((len(i), n))
        for s in range(seeds):
            own = values[s, :, start : start + n].astype(np.float64)
            for p in range(len(i)):
                for k in range(n):
                    total[p, k] += abs(own[i[p], k] - own[j[p], k])
        for k in range(n):
            for p in range(len(i)):
                out[start + k, p] = total[p, k] / seeds
