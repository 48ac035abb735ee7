"""More than words: whether the structure is more than what counting the comments' words shows.

Other RDMs are regressed out of both sides of a fit (partial rank RSA). RDMs of words must not measure how many comments a
class has: the mean of n tf-idf vectors lies the farther from others the smaller n is, and co-occurrence of labels the
nearer to 1 the rarer they are. So noise is kept out by halves that share no comment, and every emotion's task is balanced.
An emotion whose training comments have no word that counts (none at all, only emoji, or words of one comment only), and one
that all or none of them have, is at no defined distance (NaN) from any other.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from emonb.analysis.rdm import (
    Rdm,
    centred_ranks,
    pair_coords,
    pair_index,
    pair_labels,
    pair_values,
    pattern_rdm,
    stack_dim,
    to_square,
    varies,
)
from emonb.analysis.statistics import Estimate, draw_permutations, from_t, permutation_p, permute_rdm, step_up
from emonb.analysis.structure import leave_one_out, rank_correlation, to_table

_DEGREE = 3  # a line leaves what is curved in the relation of two rank-transformed RDMs, and finds it on both sides


def estimate_given(model: Rdm, human: Rdm, covariates: Rdm, halves: Rdm | None = None) -> Estimate:
    """Partial rank RSA of model and human given other RDMs, with what the jackknife over emotions says of it.

    All RDMs are rank-transformed, and the covariates' ranks, their squares and cubes are regressed out of both sides. The
    jackknife leaves out one emotion at a time, with all its pairs, and compares the correlation over its standard error
    with t on n - 1 degrees of freedom (Efron & Stein 1981). It assumes no exchangeability, and simulations find it at or
    below its nominal rate also where covariates nearly determine both sides.

    Covariates that are measured with noise explain too little, and what they leave passes for something beyond them
    (Westfall & Yarkoni 2016, PLoS ONE 11:e0152719). Their noise falls as one over the data they are made from. So with
    covariates from half of the data the variances and the covariance of what is left are too large by twice as much, and
    ``2 whole - mean(halves)`` of each is right but for what is curved in it; their ratio is the estimate (extrapolated as
    by SIMEX; Cook & Stefanski 1994, J Am Stat Assoc 89:1314; with the noise that data have in place of an assumed one).
    The jackknife leaves an emotion out of all of them.

    Unit: the emotion; population: emotions of which these are a sample.

    Parameters
    ----------
    model, human : array or DataArray, shape (n_pairs,)
    covariates : array or DataArray, shape (n_covariates, n_pairs) or (n_pairs,)
        Labelled RDMs must have the same pairs.
    halves : array of shape (n_halves, n_covariates, n_pairs) or DataArray with dims half and pair, optional
        The covariates in the same order, each from half of the data; the estimate is then corrected for their noise.
        Halves in which a covariate is not defined for all the emotions that the whole has are left out.

    Returns
    -------
    Estimate
        A correlation of 0 of which nothing else is known (NaN) where the covariates leave nothing of a side; all NaN where
        a side does not vary, fewer than four emotions are left, or no half is. Emotions on which a covariate is not
        defined (NaN) are left out.
    """
    kept, noisier = _are_defined(covariates), []
    if halves is not None:
        some = halves.transpose("half", ..., "pair") if isinstance(halves, xr.DataArray) else np.asarray(halves)
        expected = np.atleast_2d(pair_values(covariates)[0]).shape
        if some.shape[1:] != expected:
            raise ValueError(f"halves must have shape (n_halves, {expected[0]}, {expected[1]}), got {some.shape}")
        noisier = [half[:, kept] for half in pair_values(model, some)[1] if not np.isnan(half[:, kept]).any()]
    model, human, covariates = _defined(model, human, covariates)
    n = to_square(model).shape[0]
    if n < 4 or not varies(model) or not varies(human) or (halves is not None and not noisier):
        return Estimate()

    def measure(some: np.ndarray) -> float:
        sides = np.vstack([_ranks(model[some]), _ranks(human[some])])
        whole, *parts = (_left_over(sides, rows[:, some]) for rows in (covariates, *noisier))
        return _correlation(2 * whole - np.mean(parts, axis=0) if parts else whole)

    without = [measure(kept) for kept in leave_one_out(n)]
    return from_t(measure(np.ones(len(model), bool)), float(np.sqrt((n - 1) * np.var(without))), n - 1).within()


def permute_residuals(model: Rdm, human: Rdm, covariates: Rdm, n_permutations: int, seed: int) -> Estimate:
    """Partial rank RSA tested by double semi-partialing (MRQAP; Dekker, Krackhardt & Snijders 2007, Psychometrika 72:563).

    What covariates leave of the *model* RDM is relabelled, and the covariates are taken out of both sides anew (of
    permuted residuals too), so the statistic is the partial correlation, as :func:`estimate_given` has it. Unlike a
    permutation of the model itself this keeps the covariates' relation to the human RDM out of the null distribution.

    Unit: the emotion. Population: none, the relabellings of these emotions. Exchangeability assumed: the emotions of the
    model's residuals, once the covariates' ranks, squares and cubes are taken out; this holds approximately, and
    simulations find the test between .05 and .09 at a nominal .05, the higher the closer covariates are to both sides.

    ``model``, ``human`` (n_pairs,); ``covariates`` (n_covariates, n_pairs) or (n_pairs,). Gives no interval; a correlation
    of 0 with p = 1 where the covariates leave nothing of a side, and all NaN where a side does not vary, or fewer than
    four emotions are left. Emotions on which a covariate is not defined (NaN) are left out.
    """
    model, human, covariates = _defined(model, human, covariates)
    if to_square(model).shape[0] < 4 or not varies(model) or not varies(human):
        return Estimate()
    given = _powers(covariates)
    ranks, target = _ranks(model), _ranks(human)
    rho = float(_correlate_given(ranks[None], target, given)[0])
    left = _residuals(ranks[None], given)[0]
    if np.linalg.norm(left) <= 1e-9 * np.linalg.norm(ranks - ranks.mean()):
        return Estimate(0.0, p=1.0, p_greater=1.0)
    orders = draw_permutations(len(to_square(model)), n_permutations, seed)
    null = _correlate_given(permute_rdm(left, orders), target, given)
    p_greater, p = permutation_p(null, rho)
    return Estimate(rho, p=p, p_greater=p_greater)


def estimate_each(model: Rdm, human: Rdm, covariates: xr.DataArray, halves: xr.DataArray | None = None) -> pd.DataFrame:
    """Compare model and human given each covariate by itself, and given all of them (:func:`estimate_given`).

    ``model``, ``human`` (n_pairs,); ``covariates`` (label, pair); ``halves`` (half, label, pair). Gives one row a
    covariate, and ``all``; columns ``rho``, ``low``, ``high``, ``p`` (two-sided).
    """
    label = stack_dim(covariates)
    names = covariates[label].values.tolist()
    found = {}
    for row, chosen in [*((str(name), [name]) for name in names), ("all", names)]:
        noisier = None if halves is None else halves.sel({label: chosen})
        found[row] = estimate_given(model, human, covariates.sel({label: chosen}), noisier)
    return to_table(found, label)


def unique_variance(model: Rdm, human: Rdm, covariates: Rdm, explainable: float) -> dict[str, float]:
    """Variance of the ranked human RDM: with covariates, with the model added, and the model's unique share.

    ``explainable``: share of the human RDM's variance that is not noise
    (:func:`emonb.analysis.structure.mean_reliability`). Gives ``covariates``, ``both``: R squared; ``unique``: their
    difference as a share of ``explainable``. NaN where the human RDM does not vary, or nothing of it is explainable.
    """
    model, human, covariates = _defined(model, human, covariates)
    if not varies(human) or not explainable > 0:
        return dict.fromkeys(("covariates", "both", "unique"), float("nan"))
    y, given = _ranks(human), _powers(covariates)
    without = _r_squared(given, y)
    with_model = _r_squared(np.vstack([given, _ranks(model)]), y)
    return {"covariates": without, "both": with_model, "unique": (with_model - without) / explainable}


def _left_over(sides: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Variances and covariance [2, 2] of what covariates [k, m] leave of two sides [2, m], as shares of their variances."""
    basis = _span(covariates.tobytes(), covariates.shape)
    left, spread = sides - (sides @ basis) @ basis.T, sides.std(1)
    return left @ left.T / left.shape[1] / np.outer(spread, spread)


def _correlation(moments: np.ndarray) -> float:
    """Correlation of two sides; 0 where nothing but rounding is left of either."""
    variances = np.diag(moments)
    return float(np.clip(moments[0, 1] / np.sqrt(variances.prod()), -1, 1)) if variances.min() > 1e-9 else 0.0


def _ranks(rows: np.ndarray) -> np.ndarray:
    return centred_ranks(rows).reshape(rows.shape).astype(np.float64)


def _are_defined(covariates: Rdm) -> np.ndarray:
    """Pairs [n_pairs] of the emotions on which every covariate is defined."""
    missing = to_square(np.isnan(np.atleast_2d(pair_values(covariates)[0])).any(0))
    i, j = pair_index(len(missing))
    left_out = missing.sum(1) == len(missing) - 1
    return ~left_out[i] & ~left_out[j]


def _defined(model: Rdm, human: Rdm, covariates: Rdm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of all three over the emotions on which every covariate is defined; covariates as [n_covariates, n_pairs]."""
    model, human, covariates = pair_values(model, human, covariates)
    covariates, kept = np.atleast_2d(covariates), _are_defined(covariates)
    return model[kept], human[kept], covariates[:, kept]


def _powers(covariates: np.ndarray) -> np.ndarray:
    """Powers [n_covariates * degree, n_pairs] of each covariate's ranks in [-1, 1]."""
    ranks = _ranks(covariates) / max(1, covariates.shape[1] - 1)
    return np.vstack([ranks**k for k in range(1, _DEGREE + 1)])


@lru_cache(maxsize=2048)  # as many as a study's sets of covariates, each from halves and without every emotion
def _span(covariates: bytes, shape: tuple[int, int]) -> np.ndarray:
    return _basis(_powers(np.frombuffer(covariates).reshape(shape)))


def _residuals(rows: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What rows [n, m] have beyond a constant and the covariates [k, m], of which some may depend on others."""
    basis = _basis(given)
    return rows - (rows @ basis) @ basis.T


def _basis(given: np.ndarray) -> np.ndarray:
    """Orthonormal basis [m, rank] of a constant and covariates [k, m]."""
    largest = np.abs(given).max(1, keepdims=True)
    centred = (given - given.mean(1, keepdims=True)) / np.where(largest > 0, largest, 1)
    basis, size, _ = np.linalg.svd(np.vstack([np.ones(given.shape[1]), centred]).T, full_matrices=False)
    return np.asarray(basis[:, size > 1e-10 * size[0]])


def _correlate_given(rows: np.ndarray, target: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Partial correlation of each row with the target; 0 where there is nothing but rounding left of either."""
    sides = np.vstack([target, rows])
    left = _residuals(sides, given)
    left = left - left.mean(1, keepdims=True)
    norm, whole = (np.linalg.norm(side, axis=1) for side in (left, sides - sides.mean(1, keepdims=True)))
    norms, enough = norm[1:] * norm[0], norm[1:] * norm[0] > 1e-9 * whole[1:] * whole[0]
    return np.divide(left[1:] @ left[0], norms, out=np.zeros(len(rows)), where=enough)


def _r_squared(given: np.ndarray, y: np.ndarray) -> float:
    return float(1 - _residuals(y[None], given)[0].var() / y.var())


DRAWS, SPLITS = 5, 20  # sets of negatives, and halves of the comments, of the book's RDMs
HALVINGS = 3
"""How often comments are halved to learn how much noise there is in the RDMs of their words."""


def word_rdms(comments: pd.DataFrame, humans: xr.Dataset, seed: int) -> xr.Dataset:
    """RDMs made from the training comments alone, on the human RDM's pairs (dims: pair).

    Gives ``classifier`` and ``profiles`` (weights and scores of :func:`classifier_rdms`), ``tfidf`` and, where comments
    have several emotions, ``cooccurrence`` (:func:`label_rdms`).
    """
    trained, counted = classifier_rdms(comments, humans, DRAWS, seed), label_rdms(comments, humans, SPLITS, seed)
    return xr.Dataset({"classifier": trained.weights, "profiles": trained.profiles, **counted.data_vars})


def halve_words(comments: pd.DataFrame, humans: xr.Dataset, seed: int) -> xr.Dataset:
    """RDMs as of :func:`word_rdms` from half of the training comments each, which have twice the noise.

    Over (half, pair); halves 0 and 1, 2 and 3, ... share no comment.
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
        found[str(name)] = float(np.mean(step_up(r, 2)))
    return found


def undefined_emotions(rdms: xr.Dataset) -> list[str]:
    """Emotions that are at no defined distance from any other in one of these RDMs."""
    names, missing = pair_labels(rdms), rdms.to_dataarray("rdm").isnull().any("rdm")
    return [e for e in names if bool(missing.where((rdms["first"] == e) | (rdms["second"] == e), True).all())]


def classifier_rdms(comments: pd.DataFrame, humans: xr.Dataset, draws: int, seed: int) -> xr.Dataset:
    """RDMs of one-against-rest logistic regressions on bags of words: the study's tasks with no language model.

    For each emotion all its training comments against as many that lack it, drawn anew in every draw (L2 penalty, C = 1;
    tf-idf with logarithmic counts of words in at least two comments).

    ``comments``: columns ``split``, ``text``, and one boolean column an emotion; of ``humans`` only the names of the pairs
    are read; ``draws``, ``seed``: sets of negatives.

    Returns
    -------
    Dataset
        ``weights`` (pair): 1 - correlation of the emotions' weight vectors, mean of the draws; ``profiles`` (pair): the
        same of their mean scores on the comments of every emotion.
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
    means = {"weights": np.mean(weights, axis=0), "profiles": np.mean(profiles, axis=0)}
    rdms = {name: ("pair", _spread_rdm(vectors, usable)) for name, vectors in means.items()}
    return xr.Dataset(rdms, coords=pair_coords(emotions))


def label_rdms(comments: pd.DataFrame, humans: xr.Dataset, splits: int, seed: int) -> xr.Dataset:
    """RDMs of the training comments' words and of their labels, neither of which measures the size of a class.

    ``comments``, ``humans``: as for :func:`classifier_rdms`; ``splits``, ``seed``: random halves of the comments.

    Returns
    -------
    Dataset
        Over ``pair``. ``tfidf``: 1 - correlation of the emotions' mean tf-idf vectors, centred over emotions, from
        products of vectors of different halves, which share no noise; an emotion whose vectors do not agree between halves
        is at no defined distance. ``cooccurrence``, where comments have several emotions: minus the logarithm of how often
        two emotions are given to one comment, one added, over how often they would be if labels were independent.
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

    ``embedding`` (emotion, dimension): from :func:`emonb.model.reading.embed_emotions`; of ``humans`` only the names of
    the pairs are read. Gives, over ``pair``, 1 - correlation: ``plain``; ``centred``, of embeddings less their mean over
    emotions.
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
    from sklearn.feature_extraction.text import TfidfVectorizer  # half a second, and most who count no words need none

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


def _fit_balanced(words: scipy.sparse.csr_matrix, own: np.ndarray, rng: np.random.Generator) -> Any:
    has, lacks = np.flatnonzero(own), np.flatnonzero(own == 0)
    rows = np.r_[has, rng.choice(lacks, min(len(has), len(lacks)), replace=False)]
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(words[rows], own[rows])


def _centred_means(words: scipy.sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Mean vectors [emotion, word], centred over emotions."""
    means = np.asarray((words.T @ labels).T) / np.maximum(labels.sum(0), 1)[:, None]
    return np.asarray(means - means.mean(0)) if len(means) else means
