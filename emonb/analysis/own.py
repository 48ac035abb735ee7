"""Neurons of an attribute's *own*: those that follow it more than any attribute which the others predict as well.

An attribute that no neuron carries but that correlates with one that is carried is "found" by any test of one attribute at
a time. Partial correlations of RDMs do not mend it: with |a_i - a_j| taken out, what is left of two RDMs still has the sign
of a_i - a_j in common, which a permutation of residuals destroys, so that such a test fires far too often (and Kendall's
partial tau is not even zero where two variables depend on a third only; Korn 1984, Commun Stat A 13:1489). So the
attribute's *scores* are tested: their part that the other attributes' scores predict is kept, and what is left is rotated.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from tqdm import tqdm

from emonb.analysis.neurons import (
    CHUNK,
    Found,
    Side,
    Tail,
    correlate_ranks,
    count_higher,
    find_peaks,
    flatten,
    label_neurons,
    normal_scores,
    take_side,
    unit_rows,
)
from emonb.analysis.rdm import centred_ranks, match_pairs, pair_index, pair_labels
from emonb.analysis.statistics import TIE, Estimate
from emonb.errors import LabelError

SETS = 5
"""Sets of rotations by each of which the attributes are counted, beside all together: no count should hang on the draw."""
ENOUGH = 50
"""Rotations of a set that must be as good as an attribute, for no more to be drawn."""
Draw = Callable[[int], tuple[np.ndarray, float]]
"""Gives so many more surrogates, as :func:`rotate_scores`."""
_ROWS, _RANKED, _COLUMNS = 4096, 512, 2800  # neurons, and surrogates ranked and searched for, at a time: bounds the memory


def find_own_neurons(
    ranks: xr.DataArray,
    humans: xr.Dataset,
    rotations: int,
    seed: int,
    progress: bool = False,
    null: xr.Dataset | None = None,
    enough: int = ENOUGH,
    rotated: xr.Dataset | None = None,
) -> xr.Dataset:
    """Test every neuron's RDM against each attribute's, given the scores of all other attributes (Spearman, one-sided).

    A rotation test (Langsrud 2005, Stat Comput 15:53): the attribute's scores are regressed on the others'; the residuals
    are turned in a random direction orthogonal to the others, their length kept, and added to the fitted scores; each
    gives an RDM. It asks whether neurons follow the attribute more than surrogates to which the others relate in just the
    same way.

    Unit of inference: the emotion, with as many degrees of freedom as there are emotions less attributes. Population:
    scores that the emotions could have had; neurons and the other attributes are these ones. Assumed under the null: given
    the other attributes' scores the attribute's are linear in them plus independent normal errors of one variance, and
    tell nothing of the neurons; then the test is exact, whatever the statistic.

    A neuron's rho is a sum over pairs, so its mean and standard deviation follow from those of the rotated ranks and their
    covariances, for all neurons at once. Its skewness does not, and one from as many rotations would be noise that the
    best of thousands of neurons picks up: scores are standard ones.

    Rotations are drawn until ``enough`` are as good as the attribute (Besag & Clifford 1991, Biometrika 78:301): of a
    large p little is to be known, and a small one gets all that were asked for. So p hang little on the seed: their
    standard error is a sixteenth of p where all sets end early, and with 10,000 a set a tenth at .05 over fourteen
    attributes.

    Parameters
    ----------
    ranks : DataArray, dims (layer, neuron, pair)
        From :func:`emonb.analysis.rdm.rank_neuron_rdms`.
    humans : Dataset
        ``score`` (emotion, attribute), at least two attributes; ``attribute_rdm`` (attribute, pair), of which only the
        names of the pairs are read.
    rotations : int
        At most, in each of SETS sets, which :func:`draw_p` takes apart (p are of all); means and standard deviations are of
        as many again as all sets may have.
    seed : int
    progress : bool
    null : Dataset, optional
        Result of a test like this one, of these neurons or more, whose moments are used in their place.
    enough : int
        Rotations of a set that are as good as the attribute, with which it ends.
    rotated : Dataset, optional
        Result of :func:`describe_rotations` for these scores, rotations and seed; computed here if it is not given.

    Returns
    -------
    Dataset
        As :func:`emonb.analysis.neurons.find_neurons`, with a ``peak`` of NaN where no rotation was drawn any more; and
        over (attribute) ``predicted``: the share of the scores' variance that the others account for. Where that is all of
        it (as with no more emotions than attributes), or nothing varies, nothing is defined.

    Raises
    ------
    LabelError
        The two are about different emotions, or scores and RDMs about different attributes.
    """
    match_pairs(ranks, humans.attribute_rdm)
    names = humans.attribute_rdm.attribute.values
    if set(humans.score.attribute.values) != set(names):
        raise LabelError("scores and RDMs are of different attributes; both must come from one study")
    values = _scores(humans)
    sides, streams = _sides(values), _streams(seed, len(names))
    predicted = np.array([rotate_scores(*side, 0, seed)[1] for side in sides])
    x, y = flatten(ranks), rank_distances(values)
    y[~(predicted < 1)] = 0  # but for rounding, all surrogates are the scores
    if null is None:
        rotated = describe_rotations(humans, rotations, seed) if rotated is None else rotated
        match_pairs(humans.attribute_rdm, rotated["centre"])
        mine = rotated.sel(attribute=names)
        tail = _moments(x, mine["centre"].to_numpy(), mine["covariance"].to_numpy())
    else:
        tail = read_tail(null, ranks, names)
    rho, side = correlate_ranks(x, y), take_side(x)
    score, peak = normal_scores(rho, *tail), np.full((SETS * rotations, len(names)), np.nan)
    kind = np.repeat(np.arange(len(names)), SETS)
    # each set goes on where it stopped, and none is drawn further than is asked for
    sets: list[Draw] = [
        partial(rotate_scores, *sides[k], seed=np.random.default_rng(stream))
        for k, own in enumerate(streams)
        for stream in own[1:]
    ]
    drawn = _draw_peaks(side, sets, rotations, kind, tail, score.max(0) - TIE, enough, progress)
    for number, (k, some) in enumerate(zip(kind, drawn, strict=True)):
        start = number % SETS * rotations
        peak[start : start + len(some), k] = some
    found = Found(rho, score, count_higher(peak, score), peak)
    labelled = label_neurons(found, tail, ranks, humans.attribute_rdm.attribute)
    return labelled.assign(predicted=("attribute", predicted)).assign_attrs(n_rotations=SETS * rotations)


def describe_rotations(humans: xr.Dataset, rotations: int, seed: int) -> xr.Dataset:
    """Mean and covariance over pairs of the rotated scores' ranked RDMs, at length 1: the same whatever the network.

    Parameters
    ----------
    humans : Dataset
        As :func:`find_own_neurons` is given it.
    rotations : int
        As many as all SETS sets may have are drawn for each attribute, beside those of the sets.
    seed : int

    Returns
    -------
    Dataset
        ``centre`` (attribute, pair), ``covariance`` (attribute, pair, other).
    """
    values, pair = _scores(humans), humans.attribute_rdm.pair.values
    streams = _streams(seed, len(values))
    sides = zip(_sides(values), streams, strict=True)
    turned = (rotate_scores(*side, SETS * rotations, stream[0])[0] for side, stream in sides)
    centre, covariance = _describe(map(rank_distances, turned))
    return xr.Dataset(
        {"centre": (("attribute", "pair"), centre), "covariance": (("attribute", "pair", "other"), covariance)},
        {"attribute": humans.attribute_rdm.attribute.values, "pair": pair, "other": pair},
    )


def _scores(humans: xr.Dataset) -> np.ndarray:
    """Scores [attribute, emotion] in the order of the attributes' RDMs and of the emotions behind their pairs."""
    rdm = humans.attribute_rdm
    chosen = humans.score.sel(emotion=pair_labels(rdm), attribute=rdm.attribute.values)
    return np.asarray(chosen.transpose("attribute", "emotion").to_numpy())


def _sides(values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each attribute's scores [emotion], and those of all others [attribute, emotion]."""
    return [(one, np.delete(values, k, axis=0)) for k, one in enumerate(values)]


def _streams(seed: int, n: int) -> list[list[np.random.SeedSequence]]:
    """Of each attribute: a stream for the moments, and one for each set."""
    return [stream.spawn(1 + SETS) for stream in np.random.SeedSequence(seed).spawn(n)]


def count_attributes(p: ArrayLike) -> Estimate:
    """How many hypotheses are false at least, by closed testing with Simes' test (Goeman & Solari 2011, Stat Sci 26:584).

    An intersection of i hypotheses is rejected where the j-th smallest of its p is at most j / i of the level, for any j;
    of all intersections of i the one with the i largest p is rejected last. As many hypotheses may be true as the largest
    one that is not rejected has. Simes' test keeps its level for p that depend on each other positively, as those of
    attributes that share neurons do.

    Parameters
    ----------
    p : array
        Two-sided, one a hypothesis; NaN counts as 1.

    Returns
    -------
    Estimate
        ``value`` and ``low``: shown at the level of a 95 % interval; ``low90``: at that of a 90 % one; ``high``: all, for
        a count is bounded from below only; ``p``: of "there are none".

    >>> found = count_attributes([0.001, 0.02, 0.6])
    >>> found.value, round(found.p, 3)
    (2.0, 0.003)
    """
    p = np.sort(np.nan_to_num(np.asarray(p, np.float64), nan=1.0))
    n = len(p)
    # of the i largest, i = n ... 1
    simes = np.array([np.min(p[n - i :] * i / np.arange(1, i + 1)) for i in range(n, 0, -1)])
    shown, shown90 = (float(np.cumprod(simes <= level + TIE).sum()) for level in (0.05, 0.10))
    return Estimate(shown, shown, float(n), shown90, float(n), float(min(1.0, simes[0])))


def best_p(found: xr.Dataset) -> np.ndarray:
    """Two-sided family-wise p of each attribute's best neuron, of a search."""
    return np.minimum(1, 2 * found.p_fwe.min(("layer", "neuron")).to_numpy())


def draw_p(found: xr.Dataset) -> np.ndarray:
    """The same [set, attribute] by each of the SETS sets of the search's rotations alone."""
    best = found.score.max(("layer", "neuron")).to_numpy()[None]
    parts = np.array_split(found.peak.transpose("permutation", "attribute").to_numpy(), SETS)
    return np.minimum(1, 2 * np.concatenate([count_higher(part, best) for part in parts]))


def find_again(ranks: xr.DataArray, humans: xr.Dataset, size: int) -> xr.DataArray:
    """Share of each attribute's best neurons by one half of the seeds that are among its best by the other half.

    ``ranks`` (seeds, layer, neuron, pair): from :func:`emonb.analysis.rdm.rank_halves`; ``humans``: ``attribute_rdm``
    (attribute, pair); ``size``: how many are the best. Gives (attribute,); NaN where there is one seed only, or an
    attribute does not vary. By chance: ``size`` of all neurons.
    """
    attribute_rdm = humans.attribute_rdm.transpose("attribute", "pair")
    y, shares = centred_ranks(attribute_rdm.to_numpy()), np.full(attribute_rdm.sizes["attribute"], np.nan)
    if "second half" in ranks.seeds:
        halves = (ranks.sel(seeds=half) for half in ("first half", "second half"))
        rho = [np.nan_to_num(correlate_ranks(flatten(half), y), nan=-2) for half in halves]
        first, second = (np.argsort(-half, axis=0, kind="stable")[:size] for half in rho)
        shares[:] = [len(np.intersect1d(a, b)) / size for a, b in zip(first.T, second.T, strict=True)]
        shares[~y.any(1)] = np.nan
    return xr.DataArray(shares, {"attribute": attribute_rdm.attribute.values}, ("attribute",))


def read_tail(null: xr.Dataset, ranks: xr.DataArray, names: np.ndarray) -> Tail:
    """Moments [n_neurons, n_attributes] that a result has for these neurons and attributes."""
    chosen = {"attribute": names, "layer": ranks.layer.values, "neuron": ranks.neuron.values}
    some = null[list(Tail._fields)].sel(chosen).transpose("layer", "neuron", "attribute")
    return Tail(*(some[name].to_numpy().reshape(-1, len(names)) for name in Tail._fields))


def rotate_scores(
    score: np.ndarray, others: np.ndarray, n: int, seed: int | np.random.SeedSequence | np.random.Generator
) -> tuple[np.ndarray, float]:
    """Surrogates of scores to which other scores relate in the same way.

    ``score`` (n_emotions,); ``others`` (n_others, n_emotions). Gives ``surrogates`` (n, n_emotions), with the same mean,
    variance and linear regression on the others, and the share of the variance that the others account for; where it is 1,
    or the scores do not vary (NaN), all surrogates are the scores themselves.
    """
    design = np.vstack([np.ones(len(score)), others]).T
    basis, size, _ = np.linalg.svd(design / np.maximum(np.abs(design).max(0), 1e-300), full_matrices=True)
    rank = int((size > 1e-10 * size[0]).sum())
    taken = basis[:, :rank]  # directions of a constant and of the others

    def leave(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows - rows @ taken @ taken.T)  # the same whatever basis a processor finds

    left = leave(score)
    length, spread = np.linalg.norm(left), np.linalg.norm(score - score.mean())
    if length <= 1e-9 * spread or spread == 0:
        return np.tile(score, (n, 1)), 1.0 if spread else float("nan")
    direction = leave(np.random.default_rng(seed).normal(size=(n, len(score))))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return score - left + length * direction, float(1 - (length / spread) ** 2)


def rank_distances(scores: np.ndarray) -> np.ndarray:
    """Centred ranks [n, n_pairs] of the RDMs of scores [n, n_emotions]."""
    first, second = pair_index(scores.shape[1])
    some = (scores[start : start + _RANKED] for start in range(0, len(scores), _RANKED))  # fits the processor's cache
    return np.concatenate([centred_ranks(np.abs(np.take(s, first, 1) - np.take(s, second, 1))) for s in some])


def _draw_peaks(
    x: Side, sets: list[Draw], most: int, kind: np.ndarray, tail: Tail, best: np.ndarray, enough: int, progress: bool
) -> list[np.ndarray]:
    """Highest normal scores over x of each set's surrogates, until so many are as good as the best of the set's kind.

    A set draws surrogates of one kind of y, at most so many. All are drawn from side by side, which makes large products.
    """
    peaks, size, waiting = [np.empty(0)] * len(sets), enough, np.arange(len(sets))
    bar = tqdm(total=len(sets), unit="set", disable=not progress)
    while len(waiting):
        each = min(size, max(1, _COLUMNS // len(waiting)))
        blocks = [sets[s](min(each, most - len(peaks[s])))[0] for s in waiting]
        ends = np.cumsum([len(block) for block in blocks])
        kinds = np.repeat(kind[waiting], [len(block) for block in blocks])
        found = find_peaks(x, rank_distances(np.concatenate(blocks)), kinds, tail)
        for s, some in zip(waiting, np.split(found, ends[:-1]), strict=True):
            peaks[s] = np.append(peaks[s], some)
        good = [np.flatnonzero(drawn >= best[k])[:enough] for drawn, k in zip(peaks, kind, strict=True)]
        over = [len(good[s]) == enough or len(peaks[s]) == most for s in waiting]
        size, waiting = min(2 * size, CHUNK), waiting[~np.array(over)]
        bar.update(sum(over))
    bar.close()
    return [drawn[: at[-1] + 1] if len(at) == enough else drawn for drawn, at in zip(peaks, good, strict=True)]


def _describe(surrogates: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean [n_y, n_pairs] and covariance [n_y, n_pairs, n_pairs] of the surrogates [n, n_pairs] of every y, at length 1."""
    centres, covariances = [], []
    for ranks in surrogates:
        blocks = [ranks[start : start + _ROWS] for start in range(0, len(ranks), _ROWS)]
        centre = sum(unit_rows(block).sum(0) for block in blocks) / len(ranks)
        apart = (unit_rows(block) - centre for block in blocks)
        centres.append(centre)
        covariances.append(sum(rows.T @ rows for rows in apart) / len(ranks))
    return np.stack(centres), np.stack(covariances)


def _moments(x: np.ndarray, centres: np.ndarray, covariances: np.ndarray) -> Tail:
    """Mean and standard deviation [n_x, n_y] of every x's correlation with surrogates so described."""
    mean, variance = np.empty((2, len(x), len(centres)))
    for start in range(0, len(x), _ROWS):
        rows, at = unit_rows(x[start : start + _ROWS]), slice(start, start + _ROWS)
        mean[at] = rows @ centres.T
        variance[at] = np.stack([((rows @ one) * rows).sum(1) for one in covariances], axis=1)
    # what never varies has a variance of rounding only
    return Tail(mean, np.sqrt(np.where(variance > 1e-18, variance, 0)), np.zeros_like(mean))
