"""Representational dissimilarity matrices (RDMs): a vector with one entry per pair of emotions, in one fixed order.

A vector runs over the lower triangle column by column: (1,0), (2,0), ..., (2,1), ... Pairs carry the names of both
emotions, so that two RDMs are compared by label and never by luck of position. What differs only by rounding is made
equal, with a tolerance relative to the data, so that the unit of measurement decides nothing.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numba import prange
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import linkage
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from emonb.analysis.compiled import njit
from emonb.errors import LabelError

ROUNDING = 1e-12  # of the size of the numbers: means of them that differ by less are equal
_STEPS, _BLOCK = 4, 128  # roundings a difference may be off by; rows at a time, which stay in the cache


def level(rdms: ArrayLike, size: np.ndarray) -> np.ndarray:
    """RDMs with differences that differ only by rounding made equal, so that they tie.

    0.3 - 0.1 is not quite 0.4 - 0.2 on a computer, while 3 - 1 is 4 - 2: ranks must not depend on the unit. How far a
    difference may be off depends on what was subtracted, so a small difference of small numbers stays what it is.

    ``rdms`` (n_rdms, n_pairs); ``size`` (n_rdms, n_items): mean absolute value of what was subtracted, by item.

    >>> level([[0.3 - 0.1, 0.4 - 0.2, 0.5]], np.array([[0.4, 0.1, 0.4]])).tolist()
    [[0.19999999999999998, 0.19999999999999998, 0.5]]
    """
    rdms, size = np.array(rdms, np.float64), np.asarray(size) * _STEPS * np.finfo(np.float64).eps
    first, second = pair_index(size.shape[1])
    for start in range(0, len(rdms), _BLOCK):
        block, sizes = rdms[start : start + _BLOCK], size[start : start + _BLOCK]  # views
        gap = np.diff(np.sort(block, axis=1), axis=1)
        for r in np.flatnonzero(((gap > 0) & (gap <= 4 * sizes.max(1, keepdims=True))).any(1)):
            order = np.argsort(block[r], kind="stable")
            ordered, off = block[r, order], (sizes[r, first] + sizes[r, second])[order]
            new = np.r_[True, np.diff(ordered) > off[1:] + off[:-1]]
            block[r, order] = ordered[new][np.cumsum(new) - 1]
    return rdms


def varies(values: ArrayLike, scale: float | None = None) -> bool:
    """Tell whether numbers differ by more than rounding; what is missing (NaN) does not count.

    ``scale``: size of the numbers that the values were computed from; their own where none is given.

    >>> varies([0.1 + 0.2, 0.3]), varies([0.1, 0.3]), varies([1e-17, 0.0], scale=0.7)
    (False, True, False)
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if known.size < 2:
        return False
    return bool(np.ptp(known) > ROUNDING * max(np.abs(known).max(), scale or 0.0))


DISTANCES = ("correlation", "euclidean")
_RANKED = 4096  # rows ranked at a time; bounds the memory
Rdm = np.ndarray | xr.DataArray


def pair_index(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (first, second) of the two items of every pair; lower triangle, column by column."""
    return np.triu_indices(n, 1)


def pair_coords(labels: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of the ``pair`` dimension: ``pair`` ("a|b"), ``first`` and ``second`` (names).

    >>> pair_coords(["joy", "fear", "awe"])["pair"][1].tolist()
    ['joy|fear', 'joy|awe', 'fear|awe']
    """
    first, second = pair_index(len(labels))
    names = np.asarray(labels)
    return {
        "pair": ("pair", np.array([f"{a}|{b}" for a, b in zip(names[first], names[second], strict=True)])),
        "first": ("pair", names[first]),
        "second": ("pair", names[second]),
    }


def pair_labels(rdms: xr.DataArray | xr.Dataset) -> list[str]:
    """Emotions in the order behind a ``pair`` dimension, from the names its pairs carry.

    LabelError where pairs have no names, or lie in an order that no list of emotions has.

    >>> pair_labels(xr.Dataset(coords=pair_coords(["joy", "fear", "awe"])))
    ['joy', 'fear', 'awe']
    """
    if not {"first", "second"} <= set(rdms.coords):
        raise LabelError("RDMs without names: every pair needs the coordinates `first` and `second` (rdm.pair_coords)")
    labels = [str(name) for name in dict.fromkeys([*rdms["first"].values, *rdms["second"].values])]
    expected = pair_coords(labels)
    if any(list(rdms[name].values) != list(expected[name][1]) for name in ("first", "second")):
        raise LabelError("pairs are not those of one triangle, column by column: build them with rdm.pair_coords")
    return labels


def stack_dim(rdms: xr.DataArray) -> str:
    """Name of the dimension along which RDMs (label, pair) are stacked."""
    return next(str(dim) for dim in rdms.dims if dim != "pair")


def order_emotions(data: xr.DataArray, rdms: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Select the emotions of ``data`` by name, in the order behind the pairs of ``rdms``; LabelError if they differ."""
    labels = pair_labels(rdms)
    if set(labels) != set(data.emotion.values):
        raise LabelError("activations and RDMs are about different emotions; both must come from one study")
    return data.sel(emotion=labels)


def pair_values(*rdms: Rdm) -> tuple[np.ndarray, ...]:
    """Values [..., n_pairs] of RDMs to compare, float64; LabelError as :func:`match_pairs` raises it."""
    match_pairs(*rdms)
    rows = (rdm.transpose(..., "pair") if isinstance(rdm, xr.DataArray) else rdm for rdm in rdms)
    return tuple(np.asarray(row, np.float64) for row in rows)


def match_pairs(*rdms: Rdm) -> None:
    """Raise a LabelError unless RDMs have as many pairs, and labelled ones name the same in the same order."""
    sizes = {rdm.sizes["pair"] if isinstance(rdm, xr.DataArray) else np.shape(rdm)[-1] for rdm in rdms}
    named = [list(rdm["pair"].values) for rdm in rdms if isinstance(rdm, xr.DataArray) and "pair" in rdm.coords]
    if len(sizes) > 1 or any(names != named[0] for names in named):
        raise LabelError("RDMs of different pairs cannot be compared; put them on one pair axis")


def to_square(vector: np.ndarray) -> np.ndarray:
    """Turn RDM vectors [..., n_pairs] into symmetric matrices [..., n, n] with a zero diagonal.

    >>> to_square([1.0, 2.0, 3.0]).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
    """
    vector = np.asarray(vector)
    n = (1 + int(np.sqrt(1 + 8 * vector.shape[-1]))) // 2
    if n * (n - 1) // 2 != vector.shape[-1]:
        raise ValueError(f"{vector.shape[-1]} is not a number of pairs n(n-1)/2; give the vector of one triangle of an RDM")
    square = np.zeros((*vector.shape[:-1], n, n), vector.dtype)
    i, j = pair_index(n)
    square[..., i, j] = square[..., j, i] = vector
    return square


def pattern_rdm(patterns: np.ndarray, distance: str = "correlation") -> np.ndarray:
    """RDM of activation patterns (:func:`scipy.spatial.distance.pdist`, whose pairs have the same order).

    ``patterns`` (n_items, n_features); ``distance``: 'correlation' (1 - Pearson r; ValueError for a constant pattern,
    which has none), or 'euclidean'. Gives (n_pairs,).

    >>> pattern_rdm([[0.0, 0.0], [3.0, 4.0]], "euclidean").tolist()
    [5.0]
    """
    if distance not in DISTANCES:
        raise ValueError(f"unknown distance '{distance}'; use one of {', '.join(DISTANCES)}")
    patterns = np.asarray(patterns, np.float64)
    if distance == "correlation" and not np.ptp(patterns, axis=1).all():
        raise ValueError("a pattern is constant, so its correlation with others is not defined; use 'euclidean'")
    size = np.linalg.norm(patterns, axis=1) if distance == "euclidean" else np.ones(len(patterns))
    return level(pdist(patterns, distance)[None], size[None])[0]


def average_neuron_rdms(activations: xr.DataArray) -> np.ndarray:
    """RDM of every single neuron: |a_i - a_j| over pairs, averaged over seeds (Li et al., searchlight).

    ``activations`` (seed, emotion, layer, neuron). Gives (n_layers * n_neurons, n_pairs), float64, layer by layer;
    distances that differ only by rounding are equal.
    """
    values = activations.transpose("seed", "emotion", "layer", "neuron").to_numpy()
    values = values.reshape(*values.shape[:2], -1)  # [seed, emotion, layer * neuron]
    i, j = pair_index(values.shape[1])
    out = np.empty((values.shape[2], len(i)))
    _average_distances(values, i, j, out)
    return level(out, np.abs(values).mean(0, dtype=np.float64).T)


def rank_neuron_rdms(activations: xr.DataArray, rdms: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Ranks of every single neuron's RDM (:func:`average_neuron_rdms`), as :func:`centred_ranks` has them.

    Ranks are all that Kendall's and Spearman's correlations read, and take an eighth of the distances' room.

    ``activations`` (seed, emotion, layer, neuron); of ``rdms`` only the names of the pairs are read. Gives (layer, neuron,
    pair), int16.
    """
    layers = (activations.isel(layer=[k]) for k in range(activations.sizes["layer"]))  # which bounds the memory
    ranks = [centred_ranks(average_neuron_rdms(order_emotions(layer, rdms))) for layer in layers]
    coords = {name: activations[name].values for name in ("layer", "neuron")}
    return xr.DataArray(np.stack(ranks), {**coords, **pair_coords(pair_labels(rdms))}, (*coords, "pair"))


def rank_halves(activations: xr.Dataset, humans: xr.Dataset) -> xr.Dataset:
    """Rank the neurons' RDMs of all seeds and, where there are at least two, of either half (:func:`halve`).

    ``activations``: ``activation`` (seed, emotion, layer, neuron); of ``humans``' ``attribute_rdm`` only the names of the
    pairs are read. Gives ``rank`` (seeds, layer, neuron, pair), int16.
    """
    activation = activations.activation
    parts = {
        name: rank_neuron_rdms(activation.sel(seed=some), humans.attribute_rdm)
        for name, some in halve(activation.seed.values).items()
    }
    return xr.concat(list(parts.values()), "seeds").assign_coords(seeds=list(parts)).to_dataset(name="rank")


def halve(seeds: Sequence[int]) -> dict[str, list[int]]:
    """All seeds, and both halves of them where there are at least two.

    >>> halve([1, 3, 5])
    {'all': [1, 3, 5], 'first half': [1], 'second half': [3, 5]}
    """
    seeds = [int(number) for number in seeds]
    half = len(seeds) // 2
    return {"all": seeds} | ({"first half": seeds[:half], "second half": seeds[half:]} if half else {})


def centred_ranks(rows: np.ndarray) -> np.ndarray:
    """Twice the ranks within each row, ties averaged, less their mean: whole numbers, int16.

    >>> centred_ranks(np.array([[0.5, 0.1, 0.9], [2.0, 2.0, 1.0]])).tolist()
    [[0, -2, 2], [1, 1, -2]]
    """
    rows = np.atleast_2d(rows)
    n = rows.shape[1]
    ranks = np.empty(rows.shape, np.int16)
    for start in range(0, len(rows), _RANKED):
        block, out = rows[start : start + _RANKED], ranks[start : start + _RANKED]
        order = np.argsort(block, axis=1)
        np.put_along_axis(out, order, np.arange(1 - n, n, 2, dtype=np.int16)[None], axis=1)
        new = np.diff(np.take_along_axis(block, order, axis=1), axis=1) != 0  # than the value before
        tied, at = ~new.all(1), np.arange(n, dtype=np.int16)
        if tied.any():
            edge = np.ones((int(tied.sum()), 1), bool)
            first = np.maximum.accumulate(np.where(np.hstack([edge, new[tied]]), at, 0), axis=1)
            last = np.minimum.accumulate(np.where(np.hstack([new[tied], edge]), at, n)[:, ::-1], axis=1)[:, ::-1]
            tied_ranks = np.empty_like(first)
            np.put_along_axis(tied_ranks, order[tied], first + last + 1 - n, axis=1)
            out[tied] = tied_ranks
    return ranks


def compute_rdms(activations: xr.Dataset, humans: xr.Dataset) -> xr.Dataset:
    """All RDMs of a study on one ``pair`` axis.

    ``activations``: ``activation`` (seed, emotion, layer, neuron). ``humans``: ``dissimilarity`` (pair), ``judgment``
    (judge, pair), ``attribute_rdm`` (attribute, pair).

    Returns
    -------
    Dataset
        ``human`` (pair), ``judgment``, ``attribute_rdm``, and of the model, for every distance: ``model`` (seed-mean
        pattern, all layers), ``model_layer`` (seed-mean pattern, one layer), ``model_seed`` (one seed, all layers),
        ``model_layer_seed``.
    """
    ordered = order_emotions(activations.activation, humans).transpose("seed", "emotion", "layer", "neuron")
    values = ordered.to_numpy().astype(np.float64)
    mean = values.mean(0)  # [emotion, layer, neuron]
    flat = (values.shape[1], -1)

    def each(stack: list[np.ndarray]) -> np.ndarray:
        return np.array([[pattern_rdm(p.reshape(flat), d) for p in stack] for d in DISTANCES])

    seeds, layers = range(values.shape[0]), range(values.shape[2])
    layer_seed = [each([values[s, :, k] for s in seeds]) for k in layers]
    return xr.Dataset(
        {
            "human": ("pair", humans.dissimilarity.values),
            "judgment": (("judge", "pair"), humans.judgment.transpose("judge", "pair").values),
            "attribute_rdm": (("attribute", "pair"), humans.attribute_rdm.transpose("attribute", "pair").values),
            "model": (("distance", "pair"), each([mean])[:, 0]),
            "model_layer": (("distance", "layer", "pair"), each([mean[:, k] for k in layers])),
            "model_seed": (("distance", "seed", "pair"), each([values[s] for s in seeds])),
            "model_layer_seed": (("distance", "layer", "seed", "pair"), np.stack(layer_seed, 1)),
        },
        coords={
            "distance": list(DISTANCES),
            **{name: ordered[name].values for name in ("layer", "seed")},
            **{name: humans[name].values for name in ("attribute", "judge")},
            **pair_coords(list(ordered.emotion.values)),
        },
    )


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


def map_emotions(rdm: np.ndarray) -> np.ndarray:
    """Classical multidimensional scaling (Torgerson 1952) of an RDM vector to two dimensions, shape (n, 2).

    The sign of each axis is fixed so that the largest coordinate is positive.
    """
    from sklearn.manifold import ClassicalMDS  # half a second, for one figure

    points = ClassicalMDS(2, metric="precomputed").fit_transform(to_square(rdm))
    return points * np.sign(points[np.abs(points).argmax(0), [0, 1]])


def align_map(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotate, reflect and scale a map onto another (orthogonal Procrustes), so that the two can be read side by side."""
    points, target = points - points.mean(0), target - target.mean(0)
    rotation, scale = orthogonal_procrustes(points, target)
    size = (points**2).sum()
    return points @ rotation * (scale / size if size > 0 else 1.0)


def mean_distances(rdm: xr.DataArray) -> xr.DataArray:
    """How far each emotion lies from all others: mean percentile of its distances among all distances; dims (emotion,).

    >>> from emonb.analysis.rdm import pair_coords
    >>> near = xr.DataArray([1.0, 2.0, 3.0], dims="pair", coords=pair_coords(["joy", "love", "awe"]))
    >>> mean_distances(near).to_series().round(1).to_dict()
    {'joy': 33.3, 'love': 50.0, 'awe': 66.7}
    """
    square = to_square(100 * (rankdata(rdm) - 0.5) / rdm.size)
    return xr.DataArray(square.sum(1) / (len(square) - 1), {"emotion": pair_labels(rdm)}, ["emotion"])


def find_outlier(rdm: xr.DataArray, other: xr.DataArray) -> tuple[str, float, float]:
    """The emotion that one RDM sets furthest from all others, and how far both RDMs do (:func:`mean_distances`)."""
    far, there = mean_distances(rdm), mean_distances(other)
    name = str(far.emotion.values[far.values.argmax()])
    return name, float(far.max()), float(there.sel(emotion=name))


def cluster(rdm: np.ndarray) -> np.ndarray:
    """Average-linkage clustering of an RDM vector; scipy's linkage matrix [n - 1, 4], optimally ordered."""
    return linkage(rdm, "average", optimal_ordering=True)
