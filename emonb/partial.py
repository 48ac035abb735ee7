"""What is left of a fit once other RDMs are taken into account: partial rank RSA, unique variance, joint regression."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.stats

from emonb.inference import TIE, draw_permutations, permute_rdm
from emonb.rdm import pair_index, to_square


class Partial(NamedTuple):
    """Partial Spearman correlation with its Mantel p; unit of inference: the emotion."""

    rho: float
    p: float
    n_permutations: int


def partial_mantel(model: np.ndarray, human: np.ndarray, covariates: np.ndarray, n_permutations: int, seed: int) -> Partial:
    """Partial rank RSA of model and human given other RDMs (Smouse, Long & Sokal 1986), one-sided (greater).

    All RDMs are rank-transformed; covariates are regressed out of both sides; the *model's* emotion labels are
    permuted and its residuals taken anew each time.

    Exchangeability assumed: under the null, the model's labels carry nothing beyond the covariates. The human RDM
    keeps its relation to the covariates, and the permuted model loses its own: the test is exact only when model and
    covariates are unrelated, and approximate otherwise.

    Parameters
    ----------
    model, human : array, shape (n_pairs,)
    covariates : array, shape (n_covariates, n_pairs) or (n_pairs,)
    n_permutations, seed : int
    """
    residualise = _residual_maker(np.atleast_2d(covariates))
    target = residualise(scipy.stats.rankdata(human)[None])[0]
    observed = _correlate(residualise(scipy.stats.rankdata(model)[None]), target)[0]
    ranks = scipy.stats.rankdata(model)
    permutations = draw_permutations(to_square(model).shape[0], n_permutations, seed)
    null = _correlate(residualise(permute_rdm(ranks, permutations)), target)
    return Partial(float(observed), float(((null >= observed - TIE).sum() + 1) / (n_permutations + 1)), n_permutations)


def unique_variance(model: np.ndarray, human: np.ndarray, covariates: np.ndarray, explainable: float) -> dict[str, float]:
    """Variance of the ranked human RDM: with covariates, with the model added, and the model's unique share.

    Returns
    -------
    dict
        ``covariates``, ``both``: R squared; ``unique``: their difference as a share of ``explainable``, the share of
        the human RDM's variance that is not noise (:func:`emonb.rsa.mean_reliability`).
    """
    y = scipy.stats.rankdata(human)
    without = _r_squared(np.atleast_2d(covariates), y)
    with_model = _r_squared(np.vstack([np.atleast_2d(covariates), model]), y)
    return {"covariates": without, "both": with_model, "unique": (with_model - without) / explainable}


def fit_attributes(
    target: np.ndarray, attributes: np.ndarray, n_splits: int, seed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Joint reliance on attributes: non-negative regression of RDMs, cross-validated over emotions.

    In each split, weights are fitted on pairs within one random half of the emotions and the prediction is correlated
    with the target over pairs within the other half. No pair, and no emotion, is in both.

    Parameters
    ----------
    target : array, shape (n_pairs,)
    attributes : array, shape (n_attributes, n_pairs)
    n_splits, seed : int

    Returns
    -------
    weights : array, shape (n_attributes,)
        Of all emotions; target and attributes standardised.
    spread : array, shape (2, n_attributes)
        2.5 % and 97.5 % quantile of the weights over the halves.
    r : float
        Mean cross-validated Pearson r.
    """
    rng = np.random.default_rng(seed)
    y, x = scipy.stats.zscore(target), scipy.stats.zscore(attributes, axis=1)
    n = to_square(target).shape[0]
    i, j = pair_index(n)
    halves, scores = [], []
    for _ in range(n_splits):
        side = np.zeros(n, bool)
        side[rng.choice(n, n // 2, replace=False)] = True
        train, test = side[i] & side[j], ~side[i] & ~side[j]
        weights = _nnls(x[:, train], y[train])
        halves.append(weights)
        prediction = weights @ x[:, test]
        scores.append(np.corrcoef(prediction, y[test])[0, 1] if prediction.std() > 0 else 0.0)
    return _nnls(x, y), np.quantile(halves, [0.025, 0.975], axis=0), float(np.mean(scores))


def _nnls(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Non-negative weights; the intercept is free (centring)."""
    return scipy.optimize.nnls((x - x.mean(1, keepdims=True)).T, y - y.mean())[0]


def _residual_maker(covariates: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    ranks = scipy.stats.rankdata(covariates, axis=1)
    basis, _ = np.linalg.qr(np.vstack([np.ones(ranks.shape[1]), ranks]).T)
    return lambda rows: rows - (rows @ basis) @ basis.T


def _correlate(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(1, keepdims=True)
    target = target - target.mean()
    return rows @ target / (np.linalg.norm(rows, axis=1) * np.linalg.norm(target))


def _r_squared(rows: np.ndarray, y: np.ndarray) -> float:
    residual = _residual_maker(rows)(y[None])[0]
    return float(1 - residual.var() / y.var())
