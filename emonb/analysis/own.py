"""Neurons of an attribute's *own*: those that follow it more than any attribute which the others predict as well.

An attribute that no neuron carries but that correlates with one that is carried is "found" by any test of one attribute at
a time. Partial correlations of RDMs do not mend it: with |a_i - a_j| taken out, what is left of two RDMs still has the sign
of a_i - a_j in common, which a permutation of residuals destroys, so that such a test fires far too often (and Kendall's
partial tau is not even zero where two variables depend on a third only; Korn 1984, Commun Stat A 13:1489). So the
attribute's *scores* are tested: their part that the other attributes' scores predict is kept, and what is left is rotated.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.neurons import label_neurons, read_tail
from emonb.analysis.normal_scores import N_MOMENTS, Found, permute_scores
from emonb.analysis.rdm import average_neuron_rdms, order_emotions, pair_index, pair_labels
from emonb.errors import LabelError


def find_own_neurons(
    activations: xr.Dataset,
    humans: xr.Dataset,
    rotations: int,
    seed: int,
    chunk: int = 200,
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

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron).
    humans : Dataset
        ``score`` (emotion, attribute), at least two attributes; ``attribute_rdm`` (attribute, pair), of which only the
        names of the pairs are read.
    rotations, seed : int
    chunk : int
        Rotations at a time; bounds the memory.
    progress : bool
    given : mapping of str to sequence of str, optional
        The other attributes of every attribute; all others if not given.
    moments : int
        Rotations, beside those of the test, from which the null distributions' moments are taken.
    null : Dataset, optional
        Result of a test like this one whose moments are used in their place.

    Returns
    -------
    Dataset
        As :func:`emonb.analysis.neurons.find_neurons`, with ``rho`` in place of ``tau`` and nothing parametric, and over
        (attribute) ``predicted``: the share of the scores' variance that the others account for. Where that is all of it
        (as with no more emotions than attributes), or nothing varies, nothing is defined.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    activation = order_emotions(activations.activation, humans.attribute_rdm)
    emotions, names = pair_labels(humans.attribute_rdm), humans.attribute_rdm.attribute.values
    if set(humans.score.attribute.values) != set(names):
        raise LabelError("scores and RDMs are of different attributes; both must come from one study")
    scores = humans.score.sel(emotion=emotions, attribute=names).transpose("attribute", "emotion")
    x = _unit(_ranks(average_neuron_rdms(activation)))
    streams = np.random.SeedSequence(seed).spawn(len(names))
    rho, found, predicted = [], [], []
    for name, stream in zip(names, streams, strict=True):
        score = scores.sel(attribute=name).to_numpy()
        others = scores.sel(attribute=list(given[name]) if given else names[names != name]).to_numpy()
        turned, share = rotate_scores(score, others, rotations + (0 if null else moments), stream)
        observed = x @ _rdm_ranks(score[None]).T
        tail = None if null is None else read_tail(null, activation, humans.attribute_rdm.sel(attribute=[name]))
        result = permute_scores(
            lambda batch: x @ _rdm_ranks(batch).T, observed, turned, chunk, progress, moments=moments, tail=tail
        )
        if not share < 1:  # but for rounding, all surrogates are the scores
            result = result._replace(score=np.full_like(result.score, -np.inf), beyond=np.zeros_like(result.beyond))
        found.append(result)
        rho.append(np.where(np.isfinite(result.score), observed, np.nan))
        predicted.append(share)
    together = Found(*(np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)))
    arrays = {"rho": np.concatenate(rho, axis=1), "mean": together.mean, "sd": together.sd}
    labelled = label_neurons(arrays, together, activation, humans.attribute_rdm)
    return labelled.assign(predicted=("attribute", predicted)).assign_attrs(n_rotations=rotations)


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
    free = basis[:, rank:]  # directions orthogonal to the others and to a constant
    left = free @ (free.T @ score)
    length, spread = np.linalg.norm(left), np.linalg.norm(score - score.mean())
    if length <= 1e-9 * spread or spread == 0:
        return np.tile(score, (n, 1)), 1.0 if spread else float("nan")
    direction = np.random.default_rng(seed).normal(size=(n, free.shape[1]))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return score - left + length * direction @ free.T, float(1 - (length / spread) ** 2)


def _rdm_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks [n, n_pairs], centred and of length 1, of the RDMs of scores [n, n_emotions]."""
    i, j = pair_index(scores.shape[1])
    return _unit(_ranks(np.abs(scores[:, i] - scores[:, j])))


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Ranks of each row, centred, float32: whole and half numbers, so exact."""
    ranks = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), 4096):  # bounds the memory
        ranks[start : start + 4096] = scipy.stats.rankdata(rows[start : start + 4096], axis=1)
    return ranks - np.float32((rows.shape[1] + 1) / 2)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; 0 where a row is constant."""
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 0)
