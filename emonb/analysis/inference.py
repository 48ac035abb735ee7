"""Permutation inference whose unit is named: emotions (Mantel), masks, attributes.

RDM entries share emotions and prompts share masks, so neither is a sample. Every p value here is (b + 1) / (n + 1)
with b the permutations at least as extreme as what was observed (Phipson & Smyth 2010), or exact.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats

from emonb.analysis.kendall import count_exceeding, count_scores, norms, pack_signs
from emonb.analysis.rdm import Rdm, pair_index, pair_values, to_square

TIE = 1e-12  # two statistics closer than this are equal: the same sums in another order


class Mantel(NamedTuple):
    """Result of :func:`mantel_test`, arrays [n_x, n_y] unless noted.

    ``p``: one comparison by itself. ``p_fwe``: corrected over all x within one y by the maximum statistic.
    ``p_fwe_all``: corrected over all x and all y. ``null_max`` [n_permutations, n_y]: the maxima over x.
    """

    statistic: np.ndarray
    p: np.ndarray
    p_fwe: np.ndarray
    p_fwe_all: np.ndarray
    null_max: np.ndarray
    n_permutations: int


def draw_permutations(n_items: int, n_permutations: int, seed: int) -> np.ndarray:
    """Random permutations of ``range(n_items)``, shape (n_permutations, n_items), from an explicit seed."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(n_items), (n_permutations, 1)), axis=1)


def permute_rdm(rdm: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """RDM vector(s) [..., n_pairs] with items relabelled, shape (n_permutations, ..., n_pairs).

    >>> permute_rdm(np.array([1.0, 2.0, 3.0]), np.array([[0, 1, 2], [2, 1, 0]])).tolist()
    [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]
    """
    square = to_square(rdm)
    i, j = pair_index(square.shape[-1])
    return np.stack([square[..., order[i], order[j]] for order in permutations])


def mantel_test(
    x: Rdm,
    y: Rdm,
    n_permutations: int,
    seed: int,
    chunk: int = 50,
) -> Mantel:
    """Mantel permutation test (Mantel 1967) of every RDM of ``x`` with every RDM of ``y``, by tau-b, one-sided (greater).

    The same permutation of the emotion labels is applied to all of ``y``, so dependence among the RDMs of ``y`` and
    among those of ``x`` is kept.

    Exchangeability assumed: under the null, the emotions' labels in ``y`` carry no information about ``x``, so every
    relabelling is equally likely. Unit of inference: the emotion.

    Parameters
    ----------
    x : array or DataArray, shape (n_x, n_pairs) or (n_pairs,)
    y : array or DataArray, shape (n_y, n_pairs) or (n_pairs,)
        Labelled RDMs must have the same pairs.
    n_permutations, seed : int
    chunk : int
        Permutations handled at a time; bounds the memory.

    Returns
    -------
    Mantel
        A constant RDM has no correlation: its statistic is NaN, and its p values are 1 so that it never counts among
        many. Where a single test is reported its p is undefined too (:func:`emonb.analysis.structure.test_fit`).

    Raises
    ------
    LabelError
        RDMs of different pairs.

    >>> x = np.array([1.0, 2, 4, 1, 3, 2])  # |a - b| of four items at 0, 1, 2 and 4
    >>> result = mantel_test(x, x**2, 999, seed=0)
    >>> result.statistic.round(9).item(), result.p.round(2).item()  # of 24 orders, one gives the same distances
    (1.0, 0.04)
    """
    x, y = (np.atleast_2d(values) for values in pair_values(x, y))
    tied = np.array([len(np.unique(row)) < len(row) for row in x])
    order = np.argsort(tied, kind="stable")  # rows without ties first: they are counted together
    null = _Tau(x[order], y)
    permutations = draw_permutations(to_square(y[0]).shape[0], n_permutations, seed)

    exceeded = np.zeros((len(x), len(y)), np.int64)
    starts = range(0, n_permutations, chunk)
    null_max = np.concatenate([null.add(permute_rdm(y, permutations[s : s + chunk]), exceeded) for s in starts])
    back = np.argsort(order)
    observed, exceeded = null.observed[back], exceeded[back]
    sorted_max, sorted_all = np.sort(null_max, axis=0), np.sort(null_max.max(1))
    p_fwe = np.stack([_p_value(sorted_max[:, k], observed[:, k]) for k in range(len(y))], axis=1)
    return Mantel(
        observed,
        (exceeded + 1) / (n_permutations + 1),
        p_fwe,
        _p_value(sorted_all, observed),
        null_max,
        n_permutations,
    )


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p values of Benjamini & Hochberg (1995), over all entries, with the monotone step."""
    return scipy.stats.false_discovery_control(np.asarray(p).ravel(), method="bh").reshape(np.shape(p))


def paper_q(p: np.ndarray) -> np.ndarray:
    """The study's correction, p * N / rank(p): Benjamini-Hochberg without the monotone step.

    >>> paper_q(np.array([0.01, 0.04, 0.03])).round(9).tolist()
    [0.03, 0.04, 0.045]
    """
    flat = np.asarray(p).ravel()
    return (flat * len(flat) / scipy.stats.rankdata(flat)).reshape(np.shape(p))


def parametric_tau_p(tau: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One-sided normal-approximation p of Kendall's tau-b with tie-corrected variance (Kendall 1970), as in R and scipy.

    Treats the pairs as independent observations; given so that the study's numbers can be reproduced.

    Parameters
    ----------
    tau : array, shape (n_x, n_y)
    x, y : array, shape (n_x, n_pairs) and (n_y, n_pairs)
    """
    n = x.shape[1]
    total = n * (n - 1) / 2
    tx, ty = _tie_sums(x), _tie_sums(y)
    scores = tau * np.sqrt(total - tx[0])[:, None] * np.sqrt(total - ty[0])[None]
    variance = (
        (n * (n - 1) * (2 * n + 5) - np.add.outer(tx[1], ty[1])) / 18
        + np.multiply.outer(tx[2], ty[2]) / (9 * n * (n - 1) * (n - 2))
        + np.multiply.outer(2 * tx[0], 2 * ty[0]) / (2 * n * (n - 1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant RDM has no variance; its p is 1
        return np.where(np.isnan(tau), 1.0, scipy.stats.norm.sf(np.nan_to_num(scores) / np.sqrt(variance)))


class _Tau:
    """Null distribution of Kendall's tau-b, by integer scores."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self._x, packed = pack_signs(x), pack_signs(y)
        self._scores = count_scores(self._x, packed)
        self.observed = self._scores / norms(self._x.n_untied, packed.n_untied)

    def add(self, batch: np.ndarray, exceeded: np.ndarray) -> np.ndarray:
        """Count exceedances of a batch [n_batch, n_y, n_pairs]; return the maxima over x [n_batch, n_y]."""
        return count_exceeding(self._x, pack_signs(batch.reshape(-1, batch.shape[-1])), self._scores, exceeded)


def _p_value(sorted_null: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """(b + 1) / (n + 1) of observed values against one sorted null distribution; 1 where nothing was observed (NaN)."""
    b = len(sorted_null) - np.searchsorted(sorted_null, observed - TIE, side="left")
    return np.where(np.isnan(observed), 1.0, (b + 1) / (len(sorted_null) + 1))


def _tie_sums(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row, over groups of t tied values: sums of t(t-1)/2, t(t-1)(2t+5), t(t-1)(t-2)."""
    out = np.zeros((3, len(rows)))
    for r, row in enumerate(rows):
        t = np.unique(row, return_counts=True)[1].astype(np.float64)
        t = t[t > 1]
        out[:, r] = (t * (t - 1) / 2).sum(), (t * (t - 1) * (2 * t + 5)).sum(), (t * (t - 1) * (t - 2)).sum()
    return out[0], out[1], out[2]
