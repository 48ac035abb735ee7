"""What a bag of words knows: RDMs of the training comments that do not measure how many comments a class has.

The mean of n tf-idf vectors lies the farther from others the smaller n is, and co-occurrence of labels the nearer to 1
the rarer they are. Here noise is kept out by halves that share no comment, and every emotion's task is balanced. An emotion
whose training comments have no word that counts (none at all, only emoji, or words of one comment only), and one that all
or none of them have, is at no defined distance (NaN) from any other.
"""

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from emonb.analysis.fits import rank_correlation
from emonb.analysis.rdm import pair_coords, pair_index, pair_labels, pattern_rdm, to_square

DRAWS, SPLITS = 5, 20  # sets of negatives, and halves of the comments, of the book's RDMs
HALVINGS = 3
"""How often comments are halved to learn how much noise there is in the RDMs of their words."""


def word_rdms(comments: pd.DataFrame, humans: xr.Dataset, seed: int) -> xr.Dataset:
    """RDMs made from the training comments alone, on the human RDM's pairs (dims: pair).

    Parameters
    ----------
    comments, humans, seed
        As for :func:`classifier_rdms`.

    Returns
    -------
    Dataset
        ``classifier`` and ``profiles``: weights and scores of :func:`classifier_rdms`; ``tfidf`` and, where comments have
        several emotions, ``cooccurrence``: of :func:`label_rdms`.
    """
    trained, counted = classifier_rdms(comments, humans, DRAWS, seed), label_rdms(comments, humans, SPLITS, seed)
    return xr.Dataset({"classifier": trained.weights, "profiles": trained.profiles, **counted.data_vars})


def halve_words(comments: pd.DataFrame, humans: xr.Dataset, seed: int) -> xr.Dataset:
    """RDMs as of :func:`word_rdms` from half of the training comments each, which have twice the noise.

    Parameters
    ----------
    comments, humans, seed
        As for :func:`classifier_rdms`.

    Returns
    -------
    Dataset
        As of :func:`word_rdms`, over (half, pair); halves 0 and 1, 2 and 3, ... share no comment.
    """
    rng, train = np.random.default_rng(seed), comments[comments["split"] == "train"]
    made = []
    for number in range(HALVINGS):
        first = rng.permutation(len(train)) % 2 == 0
        made += [word_rdms(train[side], humans, seed + number) for side in (first, ~first)]
    return xr.concat(made, pd.RangeIndex(len(made), name="half"))


def measure_reliability(halves: xr.Dataset) -> dict[str, float]:
    """Share of each RDM's rank variance, made from all comments, that is not noise of the comments.

    Split-half Spearman, stepped up (Spearman 1910; Brown 1910), mean over the halvings of :func:`halve_words`. NaN where
    an RDM is undefined in too many emotions to be correlated.
    """
    found = {}
    for name, rdms in halves.items():
        both = rdms.transpose("half", "pair").to_numpy().reshape(-1, 2, rdms.sizes["pair"])
        r = np.array([_correlate_defined(*pair) for pair in both])
        found[str(name)] = float(np.mean(2 * r / (1 + r)))
    return found


def undefined_emotions(rdms: xr.Dataset) -> list[str]:
    """Emotions that are at no defined distance from any other in one of these RDMs."""
    names, missing = pair_labels(rdms), rdms.to_dataarray("rdm").isnull().any("rdm")
    return [e for e in names if bool(missing.where((rdms["first"] == e) | (rdms["second"] == e), True).all())]


def classifier_rdms(comments: pd.DataFrame, humans: xr.Dataset, draws: int, seed: int) -> xr.Dataset:
    """RDMs of one-against-rest logistic regressions on bags of words: the study's tasks with no language model.

    For each emotion all its training comments against as many that lack it, drawn anew in every draw (L2 penalty, C = 1;
    tf-idf with logarithmic counts of words in at least two comments).

    Parameters
    ----------
    comments : DataFrame
        Columns ``split``, ``text``, and one boolean column an emotion.
    humans : Dataset
        Of which only the names of the pairs are read.
    draws, seed : int
        Sets of negatives.

    Returns
    -------
    Dataset
        ``weights`` (pair): 1 - correlation of the emotions' weight vectors, mean of the draws; ``profiles`` (pair): the
        same of their mean scores on the comments of every emotion; ``weights_draw`` and ``profiles_draw`` (draw, pair),
        of single draws.
    """
    emotions, words, labels = _train(comments, humans)
    usable = _have_words(words, labels)
    tasks = labels[:, usable]  # [comment, classifier]
    mean = tasks.T / tasks.sum(0)[:, None]  # of the comments of every emotion
    rng = np.random.default_rng(seed)
    weights, profiles = [], []
    for _ in range(draws):
        models = [_fit_balanced(words, own, rng) for own in tasks.T]
        weights.append(np.array([model.coef_[0] for model in models]))
        scores = np.array([model.decision_function(words) for model in models]).reshape(len(models), len(labels))
        profiles.append(scores @ mean.T)
    rdms: dict[str, tuple[str | tuple[str, str], np.ndarray]] = {}
    for name, vectors in (("weights", weights), ("profiles", profiles)):
        rdms[name] = ("pair", _spread_rdm(np.mean(vectors, axis=0), usable))
        rdms[f"{name}_draw"] = (("draw", "pair"), np.array([_spread_rdm(one, usable) for one in vectors]))
    return xr.Dataset(rdms, coords=pair_coords(emotions))


def label_rdms(comments: pd.DataFrame, humans: xr.Dataset, splits: int, seed: int) -> xr.Dataset:
    """RDMs of the training comments' words and of their labels, neither of which measures the size of a class.

    Parameters
    ----------
    comments, humans
        As for :func:`classifier_rdms`.
    splits, seed : int
        Random halves of the comments.

    Returns
    -------
    Dataset
        Over ``pair``. ``tfidf``: 1 - correlation of the emotions' mean tf-idf vectors, centred over emotions, from
        products of vectors of different halves, which share no noise; an emotion whose vectors do not agree between halves
        is at no defined distance. ``cooccurrence``, where comments have several
        emotions: minus the logarithm of how often two emotions are given to one comment, one added, over how often they
        would be if labels were independent.
    """
    emotions, words, labels = _train(comments, humans)
    usable = _have_words(words, labels)
    rng, products = np.random.default_rng(seed), np.full((len(emotions), len(emotions)), np.nan)
    products[np.ix_(usable, usable)] = 0
    for _ in range(splits):
        half = rng.permutation(len(labels)) % 2 == 0
        first, second = (_centred_means(words[side], labels[side][:, usable]) for side in (half, ~half))
        products[np.ix_(usable, usable)] += first @ second.T + second @ first.T
    own, (i, j) = np.diag(products), pair_index(len(emotions))
    own = np.where(own > 0, own, np.nan)
    rdms = {"tfidf": ("pair", 1 - products[i, j] / np.sqrt(own[i] * own[j]))}
    if (labels.sum(1) > 1).any():
        size, together = labels.sum(0), labels.T @ labels
        expected = size[i] * size[j] / len(labels)
        observed = np.where(usable[i] & usable[j], together[i, j], np.nan)
        rdms["cooccurrence"] = ("pair", -np.log((observed + 1) / (expected + 1)))
    return xr.Dataset(rdms, coords=pair_coords(emotions))


def centroid_rdms(embedding: xr.DataArray, humans: xr.Dataset) -> xr.Dataset:
    """RDMs of the emotions' mean sentence embeddings, with no prompt and no tuning.

    Parameters
    ----------
    embedding : DataArray, dims (emotion, dimension)
        From :func:`emonb.model.centroids.embed_emotions`.
    humans : Dataset
        Of which only the names of the pairs are read.

    Returns
    -------
    Dataset
        Over ``pair``, 1 - correlation: ``plain``; ``centred``, of embeddings less their mean over emotions.
    """
    names = pair_labels(humans)
    rows = embedding.sel(emotion=names).transpose("emotion", "dimension").to_numpy()
    rdms = {"plain": pattern_rdm(rows), "centred": pattern_rdm(rows - rows.mean(0))}
    return xr.Dataset({name: ("pair", rdm) for name, rdm in rdms.items()}, coords=pair_coords(names))


def _correlate_defined(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman over the pairs on which both are defined."""
    known = ~np.isnan(first) & ~np.isnan(second)
    return rank_correlation(first[known], second[known]) if known.sum() > 2 else float("nan")


def _train(comments: pd.DataFrame, humans: xr.Dataset) -> tuple[list[str], scipy.sparse.csr_matrix, np.ndarray]:
    """Emotions in the order of the pairs, tf-idf [comment, word], labels [comment, emotion] as numbers."""
    emotions = pair_labels(humans)
    train = comments[comments["split"] == "train"]
    try:
        words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(train["text"])
    except ValueError:  # no word is left in any comment
        words = scipy.sparse.csr_matrix((len(train), 1))
    return emotions, words, train[emotions].to_numpy(np.float64)


def _have_words(words: scipy.sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Tell for each emotion [emotion] whether some but not all comments have it, and whether any of them has a word."""
    size = labels.sum(0)
    return np.asarray((words.T @ labels).any(0) & (size > 0) & (size < len(labels)))


def _spread_rdm(vectors: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Correlation RDM of the usable emotions' vectors over the pairs of all; NaN for the others."""
    (i, j), at = pair_index(len(usable)), np.cumsum(usable) - 1
    rdm = np.full(len(i), np.nan)
    if usable.sum() > 1:
        both = usable[i] & usable[j]
        rdm[both] = to_square(pattern_rdm(vectors))[at[i[both]], at[j[both]]]
    return rdm


def _fit_balanced(words: scipy.sparse.csr_matrix, own: np.ndarray, rng: np.random.Generator) -> LogisticRegression:
    has, lacks = np.flatnonzero(own), np.flatnonzero(own == 0)
    rows = np.r_[has, rng.choice(lacks, min(len(has), len(lacks)), replace=False)]
    return LogisticRegression(max_iter=1000).fit(words[rows], own[rows])


def _centred_means(words: scipy.sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Mean vectors [emotion, word], centred over emotions."""
    means = np.asarray((words.T @ labels).T) / np.maximum(labels.sum(0), 1)[:, None]
    return np.asarray(means - means.mean(0)) if len(means) else means
