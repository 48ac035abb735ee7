"""Where the emotions lie among each other: maps and trees of an RDM."""

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import linkage
from scipy.linalg import orthogonal_procrustes
from scipy.stats import rankdata
from sklearn.manifold import ClassicalMDS

from emonb.analysis.rdm import pair_labels, to_square


def map_emotions(rdm: np.ndarray) -> np.ndarray:
    """Classical multidimensional scaling (Torgerson 1952) of an RDM vector to two dimensions, shape (n, 2).

    The sign of each axis is fixed so that the largest coordinate is positive.
    """
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
