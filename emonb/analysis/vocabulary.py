"""What a bag of words knows: RDMs of the training comments that do not measure how many comments a class has.

The mean of n tf-idf vectors lies the farther from others the smaller n is, and co-occurrence of labels the nearer to 1
the rarer they are. Here noise is kept out by halves that share no comment, and every emotion's task is balanced.
"""

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from emonb.analysis.fits import rank_correlation
from emonb.analysis.rdm import pair_coords, pair_index, pair_labels, pattern_rdm


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

    Raises
    ------
    ValueError
        An emotion without training comments, or that all training comments have.
    """
    emotions, words, labels = _train(comments, humans)
    mean = labels.T / labels.sum(0)[:, None]  # of the comments of every emotion
    rng = np.random.default_rng(seed)
    weights, profiles = [], []
    for _ in range(draws):
        models = [_fit_balanced(words, own, rng) for own in labels.T]
        weights.append(np.array([model.coef_[0] for model in models]))
        scores = np.array([model.decision_function(words) for model in models])  # [classifier, comment]
        profiles.append(scores @ mean.T)
    rdms: dict[str, tuple[str | tuple[str, str], np.ndarray]] = {}
    for name, vectors in (("weights", weights), ("profiles", profiles)):
        rdms[name] = ("pair", pattern_rdm(np.mean(vectors, axis=0)))
        rdms[f"{name}_draw"] = (("draw", "pair"), np.array([pattern_rdm(one) for one in vectors]))
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
        products of vectors of different halves, which share no noise. ``cooccurrence``, where comments have several
        emotions: minus the logarithm of how often two emotions are given to one comment, one added, over how often they
        would be if labels were independent.

    Raises
    ------
    ValueError
        An emotion whose vectors do not agree between halves.
    """
    emotions, words, labels = _train(comments, humans)
    rng, products = np.random.default_rng(seed), np.zeros((len(emotions), len(emotions)))
    for _ in range(splits):
        half = rng.permutation(len(labels)) % 2 == 0
        first, second = (_centred_means(words[side], labels[side]) for side in (half, ~half))
        products += first @ second.T + second @ first.T
    own, (i, j) = np.diag(products), pair_index(len(emotions))
    if own.min() <= 0:
        low = emotions[int(own.argmin())]
        raise ValueError(f"words of {low} do not agree between halves of its comments; give more comments or splits")
    rdms = {"tfidf": ("pair", 1 - products[i, j] / np.sqrt(own[i] * own[j]))}
    if (labels.sum(1) > 1).any():
        size, together = labels.sum(0), labels.T @ labels
        expected = size[i] * size[j] / len(labels)
        rdms["cooccurrence"] = ("pair", -np.log((together[i, j] + 1) / (expected + 1)))
    return xr.Dataset(rdms, coords=pair_coords(emotions))


def size_dependence(rdms: xr.DataArray, comments: pd.DataFrame) -> xr.DataArray:
    """Spearman correlation of RDMs (label, pair) with 1 / n_i + 1 / n_j of the emotions' numbers n of training comments.

    Noise of means has this form; an RDM that has it too measures how many comments a class has.
    """
    size = comments.loc[comments["split"] == "train", pair_labels(rdms)].sum()
    noise = 1 / size[rdms["first"].values].to_numpy() + 1 / size[rdms["second"].values].to_numpy()
    label = next(str(dim) for dim in rdms.dims if dim != "pair")
    values = [rank_correlation(rdms.sel({label: name}).values, noise) for name in rdms[label].values]
    return xr.DataArray(values, {label: rdms[label].values}, [label])


def _train(comments: pd.DataFrame, humans: xr.Dataset) -> tuple[list[str], scipy.sparse.csr_matrix, np.ndarray]:
    """Emotions in the order of the pairs, tf-idf [comment, word], labels [comment, emotion] as numbers."""
    emotions = pair_labels(humans)
    train = comments[comments["split"] == "train"]
    labels = train[emotions].to_numpy(np.float64)
    useless = [e for e, n in zip(emotions, labels.sum(0), strict=True) if n in (0, len(labels))]
    if useless:
        raise ValueError(f"none or all of the training comments have {useless[0]}, so there is no task; drop the emotion")
    return emotions, TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(train["text"]), labels


def _fit_balanced(words: scipy.sparse.csr_matrix, own: np.ndarray, rng: np.random.Generator) -> LogisticRegression:
    has, lacks = np.flatnonzero(own), np.flatnonzero(own == 0)
    rows = np.r_[has, rng.choice(lacks, min(len(has), len(lacks)), replace=False)]
    return LogisticRegression(max_iter=1000).fit(words[rows], own[rows])


def _centred_means(words: scipy.sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Mean vectors [emotion, word], centred over emotions."""
    means = np.asarray((words.T @ labels).T) / np.maximum(labels.sum(0), 1)[:, None]
    return np.asarray(means - means.mean(0))
