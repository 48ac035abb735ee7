"""What is left of a fit once other RDMs are taken into account: partial rank RSA, unique variance, joint regression."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.stats

from emonb.analysis.inference import TIE, draw_permutations, permute_rdm
from emonb.analysis.rdm import pair_index, to_square

_DEGREE = 3  # a line leaves what is curved in the relation of two rank-transformed RDMs, and finds it on both sides


class Partial(NamedTuple):
    """Partial rank correlation of two RDMs; unit of inference: the emotion."""

    rho: float
    low: float
    """95 % interval of the jackknife over emotions."""
    high: float
    p: float
    """One-sided (greater), jackknife over emotions."""
    mantel_p: float
    """One-sided (greater), the model's labels permuted; approximate."""
    n_permutations: int


def compare_given(
    model: np.ndarray, human: np.ndarray, covariates: np.ndarray, n_permutations: int, seed: int, degree: int = _DEGREE
) -> Partial:
    """Partial rank RSA of model and human given other RDMs, with two tests.

    All RDMs are rank-transformed, and polynomials of the covariates' ranks are regressed out of both sides.

    The *jackknife* leaves out one emotion at a time, with all its pairs, and compares the correlation over its standard
    error with t on n - 1 degrees of freedom (Efron & Stein 1981). It assumes no exchangeability, and simulations find it
    at or below its nominal rate also where covariates nearly determine both sides.

    The *partial Mantel test* (Smouse, Long & Sokal 1986) permutes the model's emotion labels and takes its residuals anew.
    The permuted model loses its relation to the covariates: the test is exact only when the two are unrelated, and fires
    too often otherwise, the more so the closer both sides are to the covariates.

    Parameters
    ----------
    model, human : array, shape (n_pairs,)
    covariates : array, shape (n_covariates, n_pairs) or (n_pairs,)
    n_permutations, seed : int
    degree : int
        Of the polynomials; 1 gives the partial Spearman correlation of textbooks.

    Returns
    -------
    Partial
        A correlation of 0 with p = 1 where the covariates leave nothing of a side.
    """
    covariates = np.atleast_2d(covariates)
    n = to_square(model).shape[0]
    rho = _partial_rho(model, human, covariates, degree)
    error = _jackknife_error(model, human, covariates, degree, n)
    half = float(scipy.stats.t.isf(0.025, n - 1)) * error
    p = float(scipy.stats.t.sf(rho / error, n - 1)) if error > 0 else 1.0

    residualise = _residual_maker(_design(covariates, degree))
    target, ranks = residualise(scipy.stats.rankdata(human)[None])[0], scipy.stats.rankdata(model)
    null = _correlate(residualise(permute_rdm(ranks, draw_permutations(n, n_permutations, seed))), target)
    mantel_p = float(((null >= rho - TIE).sum() + 1) / (n_permutations + 1)) if error > 0 else 1.0
    return Partial(rho, rho - half, rho + half, p, mantel_p, n_permutations)


def partial_correlation(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """Pearson correlation of ``a`` and ``b`` given one covariate."""
    rab, rac, rbc = (np.corrcoef(u, v)[0, 1] for u, v in ((a, b), (a, given), (b, given)))
    return float((rab - rac * rbc) / np.sqrt((1 - rac**2) * (1 - rbc**2)))


def unique_variance(model: np.ndarray, human: np.ndarray, covariates: np.ndarray, explainable: float) -> dict[str, float]:
    """Variance of the ranked human RDM: with covariates, with the model added, and the model's unique share.

    Returns
    -------
    dict
        ``covariates``, ``both``: R squared; ``unique``: their difference as a share of ``explainable``, the share of
        the human RDM's variance that is not noise (:func:`emonb.analysis.structure.mean_reliability`).
    """
    y = scipy.stats.rankdata(human)
    given = _design(np.atleast_2d(covariates), _DEGREE)
    without = _r_squared(given, y)
    with_model = _r_squared(np.column_stack([given, _design(model[None], 1)]), y)
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


def _partial_rho(model: np.ndarray, human: np.ndarray, covariates: np.ndarray, degree: int) -> float:
    sides = _residual_maker(_design(covariates, degree))(scipy.stats.rankdata([model, human], axis=1))
    return float(_correlate(sides[:1], sides[1])[0])


def _jackknife_error(model: np.ndarray, human: np.ndarray, covariates: np.ndarray, degree: int, n: int) -> float:
    """Standard error of the partial correlation over n emotions; 0 where it cannot be estimated."""
    i, j = pair_index(n)
    kept = [(i != k) & (j != k) for k in range(n)]
    without = [_partial_rho(model[some], human[some], covariates[:, some], degree) for some in kept]
    return float(np.sqrt((n - 1) * np.var(without)))


def _design(covariates: np.ndarray, degree: int) -> np.ndarray:
    """Columns [n_pairs, 1 + n_covariates * degree]: a constant and the powers of each covariate's ranks in [-1, 1]."""
    ranks = scipy.stats.rankdata(covariates, axis=1)
    ranks = 2 * (ranks - 1) / max(1, ranks.shape[1] - 1) - 1
    return np.vstack([np.ones(ranks.shape[1]), *(ranks**k for k in range(1, degree + 1))]).T


def _residual_maker(design: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What rows [n, n_pairs] have beyond the design's columns, of which some may depend on others."""
    basis, size, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, size > 1e-10 * size[0]]
    return lambda rows: rows - (rows @ basis) @ basis.T


def _correlate(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson correlation of each row with the target; 0 where there is nothing but rounding left of either."""
    rows = rows - rows.mean(1, keepdims=True)
    target = target - target.mean()
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(target)
    return np.divide(rows @ target, norms, out=np.zeros(len(rows)), where=norms > 1e-10 * rows.shape[1] ** 3)


def _r_squared(design: np.ndarray, y: np.ndarray) -> float:
    return float(1 - _residual_maker(design)(y[None])[0].var() / y.var())
