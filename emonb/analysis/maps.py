"""Where the emotions lie among each other: maps and trees of an RDM."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import orthogonal_procrustes
from sklearn.manifold import ClassicalMDS

from emonb.analysis.rdm import to_square


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


def cluster(rdm: np.ndarray) -> np.ndarray:
    """Average-linkage clustering of an RDM vector; scipy's linkage matrix [n - 1, 4], optimally ordered."""
    return linkage(rdm, "average", optimal_ordering=True)


def cut_clusters(rdm: np.ndarray, n_clusters: int) -> np.ndarray:
    """Cluster number (1, 2, ...) of each item when the tree of :func:`cluster` is cut into ``n_clusters``.

    >>> cut_clusters(np.array([1.0, 9, 9, 9, 9, 1]), 2).tolist()
    [1, 1, 2, 2]
    """
    return fcluster(cluster(rdm), n_clusters, "maxclust")
