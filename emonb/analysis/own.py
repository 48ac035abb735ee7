"""Neurons of an attribute's *own*: those that follow it more than any attribute which the others predict as well.

An attribute that no neuron carries but that correlates with one that is carried is "found" by any test of one attribute at
a time. Partial correlations of RDMs do not mend it: with |a_i - a_j| taken out, what is left of two RDMs still has the sign
of a_i - a_j in common, which a permutation of residuals destroys, so that such a test fires far too often (and Kendall's
partial tau is not even zero where two variables depend on a third only; Korn 1984, Commun Stat A 13:1489). So the
attribute's *scores* are tested: their part that the other attributes' scores predict is kept, and what is left is rotated.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from emonb.analysis.neurons import CHUNK, flatten, label_neurons
from emonb.analysis.normal_scores import Tail, search_ranks, unit_rows
from emonb.analysis.rdm import centred_ranks, pair_index, pair_labels, pair_values
from emonb.errors import LabelError

N_MOMENTS = 1_000
_ROWS = 4096  # neurons at a time; bounds the memory


def find_own_neurons(
    ranks: xr.DataArray,
    humans: xr.Dataset,
    rotations: int,
    seed: int,
    progress: bool = False,
    given: Mapping[str, Sequence[str]] | None = None,
    moments: int = N_MOMENTS,
    null: xr.Dataset | None = None,
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

    Parameters
    ----------
    ranks : DataArray, dims (layer, neuron, pair)
        From :func:`emonb.analysis.rdm.rank_neuron_rdms`.
    humans : Dataset
        ``score`` (emotion, attribute), at least two attributes; ``attribute_rdm`` (attribute, pair), of which only the
        names of the pairs are read.
    rotations, seed : int
    progress : bool
    given : mapping of str to sequence of str, optional
        The other attributes of every attribute; all others if not given.
    moments : int
        Rotations, beside those of the test, from which means and standard deviations are taken.
    null : Dataset, optional
        Result of a test like this one, of these neurons or more, whose moments are used in their place.

    Returns
    -------
    Dataset
        As :func:`emonb.analysis.neurons.find_neurons`, and over (attribute) ``predicted``: the share of the scores'
        variance that the others account for. Where that is all of it (as with no more emotions than attributes), or
        nothing varies, nothing is defined.

    Raises
    ------
    LabelError
        The two are about different emotions, or scores and RDMs about different attributes.
    """
    pair_values(ranks, humans.attribute_rdm)
    names = humans.attribute_rdm.attribute.values
    if set(humans.score.attribute.values) != set(names):
        raise LabelError("scores and RDMs are of different attributes; both must come from one study")
    scores = humans.score.sel(emotion=pair_labels(humans.attribute_rdm), attribute=names).transpose("attribute", "emotion")
    turned, predicted = [], []
    for name, stream in zip(names, np.random.SeedSequence(seed).spawn(len(names)), strict=True):
        others = scores.sel(attribute=list(given[name]) if given else names[names != name]).to_numpy()
        n = rotations + (0 if null else moments)
        surrogates, share = rotate_scores(scores.sel(attribute=name).to_numpy(), others, n, stream)
        turned.append(surrogates)
        predicted.append(share)
    x, y = flatten(ranks), rank_distances(scores.to_numpy())
    y[~(np.array(predicted) < 1)] = 0  # but for rounding, all surrogates are the scores
    tail = read_tail(null, ranks, names) if null else _moments(x, [rank_distances(some[:moments]) for some in turned])
    found = search_ranks(x, y, _rank_chunks(np.stack(turned, axis=1)[-rotations:]), tail, progress)
    labelled = label_neurons(found, tail, ranks, humans.attribute_rdm.attribute)
    return labelled.assign(predicted=("attribute", predicted)).assign_attrs(n_rotations=rotations)


def read_tail(null: xr.Dataset, ranks: xr.DataArray, names: np.ndarray) -> Tail:
    """Moments [n_neurons, n_attributes] that a result has for these neurons and attributes."""
    chosen = {"attribute": names, "layer": ranks.layer.values, "neuron": ranks.neuron.values}
    some = null[list(Tail._fields)].sel(chosen).transpose("layer", "neuron", "attribute")
    return Tail(*(some[name].to_numpy().reshape(-1, len(names)) for name in Tail._fields))


def rotate_scores(
    score: np.ndarray, others: np.ndarray, n: int, seed: int | np.random.SeedSequence
) -> tuple[np.ndarray, float]:
    """Surrogates of scores to which other scores relate in the same way.

    Parameters
    ----------
    score : array, shape (n_emotions,)
    others : array, shape (n_others, n_emotions)
    n : int
    seed : int or SeedSequence

    Returns
    -------
    surrogates : array, shape (n, n_emotions)
        With the same mean, variance and linear regression on the others.
    predicted : float
        Share of the variance that the others account for; where it is 1, or the scores do not vary (NaN), all surrogates
        are the scores themselves.
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
    i, j = pair_index(scores.shape[1])
    return centred_ranks(np.abs(scores[:, i] - scores[:, j]))


def _moments(x: np.ndarray, surrogates: list[np.ndarray]) -> Tail:
    """Mean and standard deviation [n_x, n_y] of every x's correlation with the surrogates [n, n_pairs] of every y."""
    units = [unit_rows(some) for some in surrogates]
    centre = np.stack([unit.mean(0) for unit in units])
    covariance = [np.cov(unit, rowvar=False, bias=True) for unit in units]
    mean, variance = np.empty((2, len(x), len(units)))
    for start in range(0, len(x), _ROWS):
        rows, at = unit_rows(x[start : start + _ROWS]), slice(start, start + _ROWS)
        mean[at] = rows @ centre.T
        variance[at] = np.stack([((rows @ one) * rows).sum(1) for one in covariance], axis=1)
    # what never varies has a variance of rounding only
    return Tail(mean, np.sqrt(np.where(variance > 1e-18, variance, 0)), np.zeros_like(mean))


def _rank_chunks(turned: np.ndarray) -> Iterator[np.ndarray]:
    """Centred ranks [n, n_attributes, n_pairs] of the RDMs of scores [n_rotations, n_attributes, n_emotions], in chunks."""
    for start in range(0, len(turned), CHUNK):
        some = turned[start : start + CHUNK]
        yield rank_distances(some.reshape(-1, some.shape[-1])).reshape(*some.shape[:2], -1)
