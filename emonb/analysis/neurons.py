"""The searchlight: which neurons' RDMs are an attribute's, by tau-b (Li et al.) and by exact, family-wise tests of rho.

A maximum of raw correlations is ruled by the neurons and attributes whose null distributions are widest. So every
neuron's correlation becomes a normal score by the mean, standard deviation and skewness of its own null distribution (a
Pearson type III tail by Wilson & Hilferty 1931; Winkler et al. 2016, NeuroImage 141:502), and the highest of a surrogate is
kept (max-T, Westfall & Young 1993). Whatever function of a neuron the moments give, it is the same for what was observed
and for each surrogate: the family-wise p is exact, and the tail's form decides only how evenly its error is spread.

The moments are exact. The expectation of a product of two (three) entries of a relabelled RDM depends only on how their
pairs share items: three kinds of two pairs (the same, one item shared, none; Mantel 1967), eight of three (Siemiatycki
1978, J Math Biol 6:1). Every kind's sum is a closed form in sums of w, w^2 and w^3, row sums r, r'Wr and the trace of W^3.

Spearman's correlations of ranked RDMs are products of matrices. In float32 these say which neurons may be highest in a
surrogate; how high each of those is comes from sums of whole numbers, which no processor rounds.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr
from numba import prange
from tqdm import tqdm

from emonb.analysis.compiled import njit
from emonb.analysis.rdm import centred_ranks, match_pairs, pair_labels, to_square
from emonb.analysis.statistics import TIE, benjamini_hochberg, draw_permutations, paper_q, parametric_tau_p, permute_rdm
from emonb.analysis.tau import tau_b

_ROWS_SUMMED = 2048
"""RDMs at a time; bounds the memory."""


class Sums(NamedTuple):
    """Of RDMs: sums over ordered twos and threes of pairs, by how the pairs share items."""

    two: np.ndarray
    """[n_rdms, 3]"""
    three: np.ndarray
    """[n_rdms, 8]"""


def relabelling_moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation and skewness of ``x @ y.T`` over all relabellings of the items of ``y``; the mean is 0.

    ``x``, ``y`` (n_x, n_pairs) and (n_y, n_pairs): RDM vectors whose entries have mean 0; if their length is 1 as well,
    ``x @ y.T`` is a correlation. Gives ``sd``, ``skew`` (n_x, n_y); 0 where an RDM does not vary.
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
    blocks = (rdms[start : start + _ROWS_SUMMED] for start in range(0, len(rdms), _ROWS_SUMMED))
    parts = [_sum_kinds(block.astype(np.float64)) for block in blocks]
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


_ROWS, _STRIPS = 4096, 16
"""Neurons whose correlations are made at a time, and strips of them that processors share."""
_HIGH = 2.5
"""Normal score below which no neuron is looked at as the highest, but where all are below."""
_UNIT = 2.0**-24
"""Largest relative error of rounding to float32."""


class Tail(NamedTuple):
    """Moments of null distributions of correlations, each [n_x, n_y]: mean, standard deviation, skewness."""

    mean: np.ndarray
    sd: np.ndarray
    skew: np.ndarray


class Side(NamedTuple):
    """What surrogates are searched for: rows of centred ranks, the same at length 1 in float32, and their lengths."""

    ranks: np.ndarray
    units: np.ndarray
    length: np.ndarray


class Found(NamedTuple):
    """Result of a search of all x for each y; p is one-sided (greater)."""

    rho: np.ndarray
    """Spearman's correlation [n_x, n_y]; NaN where a side does not vary."""
    score: np.ndarray
    """Its normal score [n_x, n_y]; minus infinity where none is defined."""
    p_fwe: np.ndarray
    """[n_x, n_y], over all x within one y."""
    peak: np.ndarray
    """[n_surrogates, n_y]: highest normal score of each surrogate, over x."""


def count_higher(peak: np.ndarray, score: np.ndarray) -> np.ndarray:
    """One-sided p [n_x, n_y] of scores [n_x, n_y] among the peaks [n, n_y] of surrogates; NaN: not drawn."""
    p = np.empty(score.shape)
    for k, column in enumerate(peak.T):
        ordered = np.sort(column[~np.isnan(column)])
        p[:, k] = (len(ordered) - np.searchsorted(ordered, score[:, k] - TIE) + 1) / (len(ordered) + 1)
    return p


def take_side(ranks: np.ndarray) -> Side:
    """Rows of centred ranks [n_x, n_pairs] as :func:`find_peaks` takes them."""
    return Side(ranks, unit_rows(ranks, np.float32), _length(ranks))


def correlate_ranks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of all rows of centred ranks [n_x, n] and [n_y, n]; NaN where a row is constant.

    Sums of products of whole numbers are exact in float64, in whatever order a processor adds them.
    """
    y = y.astype(np.float64)
    size = _length(x)[:, None] * _length(y)[None]
    products = np.concatenate([x[k : k + _ROWS].astype(np.float64) @ y.T for k in range(0, len(x), _ROWS)])
    return np.divide(products, size, out=np.full_like(products, np.nan), where=size > 0)


def unit_rows(ranks: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Rows of length 1; 0 where a row is constant."""
    size = _length(ranks)[:, None]
    return np.divide(ranks, size, out=np.zeros(ranks.shape, dtype), where=size > 0, casting="same_kind")


def normal_scores(rho: np.ndarray, mean: np.ndarray, sd: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Normal scores of correlations by the moments of their null distributions, all [n_x, n_y]."""
    return np.asarray(_normal_scores(*np.broadcast_arrays(np.asarray(rho, np.float64), mean, sd, skew)))


def undo_score(score: float, mean: np.ndarray, sd: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Statistic that has a normal score, in the statistic's unit.

    >>> moments = [np.array([[0.1]]), np.array([[0.05]]), np.array([[0.4]])]
    >>> bool(np.isclose(undo_score(normal_scores(np.array([[0.31]]), *moments), *moments), 0.31))
    True
    """
    straight = np.abs(skew) < 1e-3
    bend = np.where(straight, 1.0, skew)
    upper = ((bend / 6 * (score - bend / 6) + 1) ** 3 - 1) * 2 / bend
    above = np.where(upper > 1, upper, np.minimum(score, 1))
    return np.asarray(mean + sd * np.where(straight, score, above))


def find_peaks(x: Side, surrogates: np.ndarray, kind: np.ndarray, tail: Tail) -> np.ndarray:
    """Highest normal score over x [n] of surrogates, centred ranks [n, n_pairs] of a kind each; minus infinity: none."""
    best = _find_highest(x, surrogates, kind, tail, undo_score(_HIGH, *tail))
    low = best < _HIGH  # of these some or all were not looked at
    if low.any():
        best[low] = _find_highest(x, surrogates[low], kind[low], tail, np.full_like(tail.sd, -np.inf))
    return best


def _find_highest(x: Side, ranks: np.ndarray, kind: np.ndarray, tail: Tail, least: np.ndarray) -> np.ndarray:
    """Highest normal score over x of each row of ranks, which is of one kind of y; only of correlations from ``least``.

    A product in float32 of rows of length 1 lies within ``slack`` of their correlation, in whatever order it is summed
    (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). What can be the highest within that is
    computed from whole numbers.
    """
    slack = (ranks.shape[1] + 4) * _UNIT
    columns, length = unit_rows(ranks, np.float32).T, _length(ranks)
    tops = np.full((_STRIPS, len(ranks)), -np.inf)
    for start in range(0, len(x.ranks), _ROWS):
        rows = slice(start, start + _ROWS)
        moments = (part[rows] for part in tail)
        near = x.units[rows] @ columns
        _take_highest(near, slack, x.ranks[rows], ranks, x.length[rows], length, kind, least[rows], *moments, tops)
    return np.asarray(tops.max(0))


def _length(rows: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.linalg.norm(rows[k : k + _ROWS].astype(np.float64), axis=1) for k in range(0, len(rows), _ROWS)]
    )


@njit()
def _normal_score(value, mean, sd, skew):  # type: ignore[no-untyped-def]
    """Normal score of a Pearson type III variable (Wilson & Hilferty 1931); up to 1 the standard score, for speed."""
    if not sd > 0:
        return -np.inf
    z = (value - mean) / sd
    if z <= 1 or abs(skew) < 1e-3:
        return z
    return max(1.0, (np.cbrt(0.5 * skew * z + 1) - 1) * 6 / skew + skew / 6)


@njit()
def _normal_scores(values, mean, sd, skew):  # type: ignore[no-untyped-def]
    out = np.empty(values.shape)
    for r in range(values.shape[0]):
        for k in range(values.shape[1]):
            z = _normal_score(values[r, k], mean[r, k], sd[r, k], skew[r, k])
            out[r, k] = -np.inf if np.isnan(z) else z
    return out


@njit(parallel=True)
def _take_highest(near, slack, x, y, x_length, y_length, kind, least, mean, sd, skew, tops):  # type: ignore[no-untyped-def]
    """Raise ``tops`` [strip, column] to the highest normal score of the strip's rows."""
    rows, columns = near.shape
    strips = tops.shape[0]
    size = (rows + strips - 1) // strips
    for strip in prange(strips):
        for r in range(strip * size, min((strip + 1) * size, rows)):
            for c in range(columns):
                k, most = kind[c], float(near[r, c]) + slack
                if most >= least[r, k] and _normal_score(most, mean[r, k], sd[r, k], skew[r, k]) > tops[strip, c]:
                    product = 0
                    for p in range(x.shape[1]):
                        product += np.int64(x[r, p]) * np.int64(y[c, p])
                    rho = product / (x_length[r] * y_length[c])
                    tops[strip, c] = max(tops[strip, c], _normal_score(rho, mean[r, k], sd[r, k], skew[r, k]))


CHUNK = 200
"""Relabellings, or rotations, at a time; bounds the memory and changes no result."""


def find_neurons(
    ranks: xr.DataArray, humans: xr.Dataset, permutations: int, seed: int, progress: bool = False
) -> xr.Dataset:
    """Test every neuron's RDM against every attribute's (Spearman's rho, one-sided), by permuting emotions.

    Unit of inference: the emotion. Population: the relabellings of these emotions; neurons and attributes are these ones.
    Exchangeability assumed: under the null the attributes' labels carry no information about the neurons, so that every
    relabelling is equally likely (Mantel 1967); one relabelling serves all neurons and attributes, which keeps their
    dependence. The moments of the null distributions are exact, so that a neuron's normal score hangs on no draw. An
    attribute that no neuron carries but that correlates with one that is carried is not under this null: see
    :func:`emonb.analysis.own.find_own_neurons`.

    ``ranks`` (layer, neuron, pair): from :func:`emonb.analysis.rdm.rank_neuron_rdms`; ``humans``: ``attribute_rdm``
    (attribute, pair); LabelError where they are about different emotions.

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``rho``; ``score``, its normal score; ``mean`` (0), ``sd`` and ``skew`` over all
        relabellings; ``p_fwe`` (max-T over neurons within the attribute, Westfall & Young 1993); ``q`` (Benjamini &
        Hochberg 1995 within the attribute, of the normal scores' tails) and ``q_pooled`` (the same over all attributes
        together). Over (permutation, attribute): ``peak``, the highest normal score. What is not defined (a neuron or
        attribute that never varies) has a rho of NaN and a score of minus infinity, and its p and q are 1.
    """
    attribute_rdm = humans.attribute_rdm.transpose("attribute", "pair")
    match_pairs(ranks, attribute_rdm)
    x, y = flatten(ranks), centred_ranks(attribute_rdm.to_numpy())
    sd, skew = relabelling_moments(x, y)
    size = _length(x)[:, None] * _length(y)[None]
    sd = np.divide(sd, size, out=np.zeros_like(sd), where=size > 0)  # of correlations
    orders = draw_permutations(len(pair_labels(attribute_rdm)), permutations, seed)
    tail, side, rho = Tail(np.zeros_like(sd), sd, skew), take_side(x), correlate_ranks(x, y)
    parts = tqdm(
        [orders[start : start + CHUNK] for start in range(0, permutations, CHUNK)], unit="part", disable=not progress
    )
    kinds = np.arange(len(y))  # a relabelling is one of every attribute
    peaks = [find_peaks(side, np.concatenate(permute_rdm(y, part)), np.tile(kinds, len(part)), tail) for part in parts]
    peak, score = np.concatenate(peaks).reshape(-1, len(y)), normal_scores(rho, *tail)
    found = Found(rho, score, count_higher(peak, score), peak)
    return label_neurons(found, tail, ranks, attribute_rdm.attribute).assign_attrs(n_permutations=permutations)


def flatten(ranks: xr.DataArray) -> np.ndarray:
    """Ranks [n_layers * n_neurons, n_pairs], layer by layer."""
    return ranks.transpose("layer", "neuron", "pair").to_numpy().reshape(-1, ranks.sizes["pair"])


def label_neurons(found: Found, tail: Tail, ranks: xr.DataArray, attribute: xr.DataArray) -> xr.Dataset:
    """Label a search as :func:`find_neurons` returns it."""
    coords = {"attribute": attribute.values, "layer": ranks.layer.values, "neuron": ranks.neuron.values}
    shape = [len(values) for values in coords.values()]
    p = scipy.stats.norm.sf(found.score)
    arrays = {
        **{name: getattr(found, name) for name in ("rho", "score", "p_fwe")},
        **tail._asdict(),
        "q": np.stack([benjamini_hochberg(column) for column in p.T], axis=1),
        "q_pooled": benjamini_hochberg(p),
    }
    named = {name: (tuple(coords), array.T.reshape(shape)) for name, array in arrays.items()}
    return xr.Dataset({**named, "peak": (("permutation", "attribute"), found.peak)}, coords)


def search_neurons(ranks: xr.DataArray, humans: xr.Dataset) -> xr.Dataset:
    """Kendall tau-b of every neuron with every attribute, the neurons' ranks, and the paper's p.

    ``ranks`` (layer, neuron, pair): from :func:`emonb.analysis.rdm.rank_neuron_rdms`, as tau-b of ranks is that of the
    distances; ``humans``: ``attribute_rdm`` (attribute, pair); LabelError where they are about different emotions.

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron). ``tau``; ``rank``: 1 is the highest tau of an attribute, ties share their mean
        rank, and a neuron that never varies has tau NaN and ranks last; ``p_parametric`` (one-sided normal approximation,
        pairs as independent) and ``q_paper`` (p * N / rank over all tests), as the study has them.
    """
    attribute_rdm = humans.attribute_rdm.transpose("attribute", "pair")
    match_pairs(ranks, attribute_rdm)
    neurons, attributes = (rows.astype(np.float64) for rows in (flatten(ranks), attribute_rdm.to_numpy()))
    tau = tau_b(neurons, attributes)
    parametric = parametric_tau_p(tau, neurons, attributes)
    arrays = {"tau": tau.T, "rank": rank_neurons(tau.T), "p_parametric": parametric.T, "q_paper": paper_q(parametric).T}
    coords = {"attribute": humans.attribute.values, **{name: ranks[name].values for name in ("layer", "neuron")}}
    shape = [len(values) for values in coords.values()]
    return xr.Dataset({name: (tuple(coords), array.reshape(shape)) for name, array in arrays.items()}, coords)


def rank_neurons(tau: np.ndarray) -> np.ndarray:
    """Rank taus [n_attributes, n_neurons] within each attribute, highest first, ties averaged, NaN last.

    >>> rank_neurons(np.array([[0.1, 0.7, np.nan, 0.1]])).tolist()
    [[2.5, 1.0, 4.0, 2.5]]
    """
    return scipy.stats.rankdata(np.where(np.isnan(tau), np.inf, -tau), axis=1)


def rank_agreement(rank: xr.DataArray, published: xr.DataArray) -> dict[str, float]:
    """Share of ranks ``equal`` to the published ones, the ``largest`` difference, and how many (``n``) were compared."""
    difference = np.abs(np.subtract(*xr.align(rank, published, join="exact")))
    return {"equal": float((difference == 0).mean()), "largest": float(difference.max()), "n": int(difference.size)}


def select_neurons(rank: xr.DataArray, size: int) -> xr.DataArray:
    """Boolean mask (attribute, layer, neuron) of each attribute's ``size`` highest-ranked neurons.

    Ties at the border are broken by position, so that every mask has exactly ``size`` neurons. Where all neurons have one
    rank, as for an attribute that no tau is defined with, there are no highest: its mask is empty.

    >>> rank = xr.DataArray([[[2.0, 3.0], [1.0, 4.0]]], dims=("attribute", "layer", "neuron"))
    >>> select_neurons(rank, 2).values.tolist()
    [[[True, False], [True, False]]]
    """
    rank = rank.transpose("attribute", "layer", "neuron")
    flat = rank.to_numpy().reshape(rank.sizes["attribute"], -1)
    if not 0 < size <= flat.shape[1]:
        raise ValueError(f"size must be 1 to {flat.shape[1]} neurons, got {size}")
    top = np.argsort(flat, axis=1, kind="stable")[:, :size]
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, top, np.ptp(flat, axis=1, keepdims=True) > 0, axis=1)
    return rank.copy(data=mask.reshape(rank.shape)).rename("mask")


def layer_profile(mask: xr.DataArray) -> xr.DataArray:
    """Share of each mask [..., layer, neuron] that lies in each layer; NaN for an empty mask."""
    total = mask.sum(("layer", "neuron"))
    return mask.sum("neuron") / total.where(total > 0)


def overlap(mask: xr.DataArray) -> xr.DataArray:
    """Share of neurons that two attributes' masks have in common; dims (attribute, other). NaN for an empty mask.

    >>> masks = xr.DataArray([[True, True, False], [False, True, True]], {"attribute": ["a", "b"]}, ["attribute", "neuron"])
    >>> overlap(masks).sel(attribute="a", other="b").item()
    0.5
    """
    flat = mask.transpose("attribute", ...).to_numpy().reshape(mask.sizes["attribute"], -1).astype(np.float64)
    names, size = mask.attribute.values, flat.sum(1)
    size[size == 0] = np.nan
    shared = flat @ flat.T / size[:, None] * (size / size)
    return xr.DataArray(shared, dims=("attribute", "other"), coords={"attribute": names, "other": names})
