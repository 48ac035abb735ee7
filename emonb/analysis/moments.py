"""Exact moments of the correlation of two RDMs when the items of one are relabelled at random.

The expectation of a product of two (three) entries of a relabelled RDM depends only on how their pairs share items: three
kinds of two pairs (the same, one item shared, none; Mantel 1967), eight of three (Siemiatycki 1978, J Math Biol 6:1). Every
kind's sum is a closed form in sums of w, w^2 and w^3, row sums r, r'Wr and the trace of W^3, so that moments of hundreds
of thousands of correlations take seconds and no relabelling.
"""

from typing import NamedTuple

import numpy as np

from emonb.analysis.rdm import to_square

_ROWS = 2048
"""RDMs at a time; bounds the memory."""


class Sums(NamedTuple):
    """Of RDMs: sums over ordered twos and threes of pairs, by how the pairs share items."""

    two: np.ndarray
    """[n_rdms, 3]"""
    three: np.ndarray
    """[n_rdms, 8]"""


def relabelling_moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation and skewness of ``x @ y.T`` over all relabellings of the items of ``y``; the mean is 0.

    Parameters
    ----------
    x, y : array, shape (n_x, n_pairs) and (n_y, n_pairs)
        RDM vectors whose entries have mean 0; if their length is 1 as well, ``x @ y.T`` is a correlation.

    Returns
    -------
    sd, skew : array, shape (n_x, n_y)
        0 where an RDM does not vary.
    """
    first, second = sum_kinds(x), sum_kinds(y)
    counts = count_kinds(to_square(y[:1]).shape[-1])
    variance = np.maximum(_divide(first.two, counts.two) @ second.two.T, 0)
    third = _divide(first.three, counts.three) @ second.three.T
    sd = np.sqrt(variance)
    return sd, np.divide(third, sd**3, out=np.zeros_like(sd), where=sd > 0)


def sum_kinds(rdms: np.ndarray) -> Sums:
    """Sums of products of two and three entries [n_rdms, n_pairs], with mean 0, by how their pairs share items.

    Kinds of two: the same; one item shared; none. Of three: all the same; two the same, sharing an item with the third;
    two the same, sharing none; a triangle; a star; a path; two that share an item, sharing none with the third; no item
    shared. The last of each follows from the others, for the sum over all is 0.
    """
    parts = [_sum_kinds(rdms[start : start + _ROWS]) for start in range(0, len(rdms), _ROWS)]
    return Sums(*(np.concatenate(kind) for kind in zip(*parts, strict=True)))


def count_kinds(n: int) -> Sums:
    """How many ordered twos and threes of the pairs of ``n`` items there are of each kind (:func:`sum_kinds`).

    >>> [int(kind.sum()) for kind in count_kinds(7)] == [21**2, 21**3]
    True
    """
    m = n * (n - 1) / 2
    apart = (n - 2) * (n - 3) / 2
    two = [m, 2 * m * (n - 2), m * apart]
    three = [
        m,
        6 * m * (n - 2),
        3 * m * apart,
        2 * m * (n - 2),
        2 * m * (n - 2) * (n - 3),
        6 * m * (n - 2) * (n - 3),
        3 * m * (n - 2) * (n - 3) * (n - 4),
        m * apart * (n - 4) * (n - 5) / 2,
    ]
    return Sums(np.array(two), np.array(three))


def _sum_kinds(rdms: np.ndarray) -> Sums:
    square = to_square(rdms)
    row, row_of_squares = square.sum(2), (square**2).sum(2)
    p2, p3 = (rdms**2).sum(1), (rdms**3).sum(1)
    r2, r3, rq = (row**2).sum(1), (row**3).sum(1), (row * row_of_squares).sum(1)
    along = (row * (square @ row[..., None])[..., 0]).sum(1)
    triangle = ((square @ square) * square).sum((1, 2))
    shared = r2 - 2 * p2
    two = np.stack([p2, shared, -shared - p2], axis=1)
    kinds = [
        p3,
        3 * (rq - 2 * p3),
        3 * (p3 - rq),
        triangle,
        r3 - 3 * rq + 4 * p3,
        3 * (along - 2 * rq + 2 * p3 - triangle),
        3 * (5 * rq - r3 - 2 * along - 4 * p3 + triangle),
    ]
    return Sums(two, np.stack([*kinds, -np.sum(kinds, axis=0)], axis=1))


def _divide(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means by kind; 0 for a kind that so few items do not have."""
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
