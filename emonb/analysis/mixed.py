"""Crossed mixed model of the lesions: masks, attributes, emotions and seeds are random at once.

Fitted by REML with the profiled criterion of lme4 (Bates, Maechler, Bolker & Walker 2015, J Stat Softw 67(1), eq. 41),
whose size is that of the random effects and not of the observations; degrees of freedom are Satterthwaite's as in
lmerTest (Kuznetsova, Brockhoff & Christensen 2017, J Stat Softw 82(13)). No library we know of fits crossed effects to
60,000 observations in Python.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.optimize
import scipy.sparse
import xarray as xr

from emonb.analysis.estimates import Estimate, from_t
from emonb.analysis.ties import varies

MOST = 10
"""Logarithm of the largest variance, in those of the residual, that a term may have: beyond, nothing is left to explain."""


class Mixed(NamedTuple):
    """A fitted model: fixed effects with their covariance, and standard deviations of the random terms."""

    effects: pd.Series
    covariance: np.ndarray
    sds: pd.Series
    """Standard deviation of each random term, and ``residual``."""
    test: Callable[[np.ndarray], Estimate]
    """Estimate and test of a contrast of the fixed effects."""


def fit_mixed(y: np.ndarray, fixed: pd.DataFrame, random: dict[str, scipy.sparse.spmatrix]) -> Mixed:
    """Fit a linear mixed model with independent random terms by REML.

    Parameters
    ----------
    y : array, shape (n,)
    fixed : DataFrame, shape (n, p)
        Columns of the fixed effects, of full rank.
    random : dict of str to sparse matrix (n, levels)
        Indicator matrix of each term.

    Returns
    -------
    Mixed
    """
    x, names = fixed.to_numpy(float), list(random)
    z = scipy.sparse.hstack(list(random.values())).tocsr()
    levels = np.repeat(np.arange(len(names)), [matrix.shape[1] for matrix in random.values()])
    shift = float(np.mean(y))  # smaller numbers, same model but for the intercept
    y = np.asarray(y, float) - shift
    zz, zx, zy, xx, xy, yy = (z.T @ z).toarray(), z.T @ x, z.T @ y, x.T @ x, x.T @ y, float(y @ y)
    n, p = x.shape

    def solve(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """REML deviance profiled over the residual variance, effects, inverse of X'V^-1X and penalised sum of squares."""
        scale = theta[levels]
        factor = scipy.linalg.cholesky(zz * np.outer(scale, scale) + np.eye(len(scale)), lower=True, check_finite=False)
        part = scipy.linalg.solve_triangular(
            factor, scale[:, None] * np.column_stack([zx, zy]), lower=True, check_finite=False
        )
        rx, ry = part[:, :p], part[:, p]
        left = xx - rx.T @ rx
        inverse = np.linalg.inv(left)
        beta = inverse @ (xy - rx.T @ ry)
        squares = yy - ry @ ry - beta @ left @ beta
        logs = 2 * np.log(np.diag(factor)).sum() + np.linalg.slogdet(left)[1]
        return float(logs), beta, inverse, float(squares)

    def profile(ratio: np.ndarray) -> tuple[float, np.ndarray]:
        """REML deviance, and its slope by each ratio of variances theta^2: trace of Z'PZ less the square of Z'Py."""
        scale = np.sqrt(ratio)[levels]
        logs, beta, inverse, squares = solve(np.sqrt(ratio))
        m = np.linalg.inv(zz * np.outer(scale, scale) + np.eye(len(scale)))
        rest = np.column_stack([zx, zy - zx @ beta])
        v = rest - (zz * scale) @ (m @ (scale[:, None] * rest))  # (levels, p + 1): Z'V^-1 of X and of the residuals
        each = np.diag(zz) - np.einsum("ij,ji->i", zz * scale, m @ (scale[:, None] * zz))  # diagonal of Z'V^-1Z
        each = each - np.einsum("ip,pq,iq->i", v[:, :p], inverse, v[:, :p]) - (n - p) * v[:, p] ** 2 / squares
        return logs + (n - p) * (1 + np.log(2 * np.pi * squares / (n - p))), np.bincount(levels, each)

    ratio = _minimise(profile, len(names))
    theta = np.sqrt(ratio)
    _, beta, inverse, squares = solve(theta)
    sigma = np.sqrt(squares / (n - p))

    def full(parameters: np.ndarray) -> float:
        """REML deviance of standard deviations (terms that are not 0, residual)."""
        logs, _, _, squares = solve(_put(theta, free, parameters[:-1] / parameters[-1]))
        return logs + (n - p) * 2 * np.log(parameters[-1]) + squares / parameters[-1] ** 2

    free = theta > 0
    at = np.r_[theta[free] * sigma, sigma]
    uncertainty = 2 * np.linalg.pinv(_hessian(full, at))

    def test(contrast: np.ndarray) -> Estimate:
        def variance(parameters: np.ndarray) -> float:
            other = solve(_put(theta, free, parameters[:-1] / parameters[-1]))[2]
            return float(contrast @ other @ contrast) * parameters[-1] ** 2

        change = scipy.optimize.approx_fprime(at, variance, 1e-4 * at)
        df = 2 * variance(at) ** 2 / float(change @ uncertainty @ change)
        return from_t(float(contrast @ beta), np.sqrt(variance(at)), df)

    effects = pd.Series(beta, fixed.columns)
    if "intercept" in effects:
        effects["intercept"] += shift
    return Mixed(effects, inverse * sigma**2, pd.Series([*(theta * sigma), sigma], [*names, "residual"]), test)


def model_lesions(
    accuracy: xr.DataArray, comparison: str, depth: xr.DataArray | None = None, middle: float = 0.0, sampled: bool = True
) -> Mixed:
    """Model all accuracies under selective and random masks at once: kind x N, depth, masks, attributes, emotions, seeds.

    Unit of inference: set by the random terms. Sampled: attributes (what an attribute's selective masks share over N),
    selective and random masks (with variances of their own), emotions and seeds with their difference between the
    kinds, and prompts (emotion x seed). Fixed: kinds, sizes, depth. Assumed: all terms are normal and independent.

    Parameters
    ----------
    accuracy : DataArray, dims (kind, attribute, size, seed, emotion)
        Live lesions: averaged over draws.
    comparison : str
        Kind of random mask.
    depth : DataArray, dims (attribute, size), optional
        Mean layer of the selective masks; if given, the kinds are compared at layer ``middle``.
    middle : float
        Mean layer of the random masks.

    sampled : bool
        False: attributes are fixed, each selective mask having a mean of its own; such a model cannot hold depth.

    Returns
    -------
    Mixed
        ``kind`` is random - selective, averaged over N; ``kind:N`` its deviation at each N but the last; ``depth`` a layer.
    """
    if depth is not None and not sampled:
        raise ValueError("with attributes fixed every selective mask has its own mean, and nothing is left for depth")
    both = accuracy.dropna("size", how="any").sel(kind=["selective", comparison])
    table = both.rename("y").to_dataframe().reset_index()
    sizes = both["size"].values
    selective = (table["kind"] == "selective").to_numpy()
    kind = np.where(selective, -0.5, 0.5)
    fixed = {"intercept": np.ones(len(table)), "kind": kind}
    for n in sizes[:-1]:
        fixed[f"N:{n}"] = (table["size"] == n).to_numpy(float) - (table["size"] == sizes[-1]).to_numpy(float)
        fixed[f"kind:{n}"] = fixed[f"N:{n}"] * kind
    if depth is not None:
        layer = table[["attribute", "size"]].merge(depth.rename("layer").to_dataframe().reset_index(), how="left")["layer"]
        fixed["depth"] = np.where(selective, layer.to_numpy() - middle, 0.0)
    own = _levels(table, ["attribute", "size"], selective)
    random = {
        "attribute": _levels(table, ["attribute"], selective),
        "selective mask": own,
        "random mask": _levels(table, ["attribute", "size"], ~selective),
        "emotion": _levels(table, ["emotion"]),
        "emotion:kind": _levels(table, ["emotion", "kind"]),
        "seed": _levels(table, ["seed"]),
        "seed:kind": _levels(table, ["seed", "kind"]),
        "prompt": _levels(table, ["emotion", "seed"]),
    }
    if not sampled:  # deviations of the selective masks from their N's mean; with kind, N and kind x N their means are free
        codes, n = own.toarray().reshape(len(table), -1, len(sizes)), both.sizes["attribute"]
        deviations = (codes[:, :-1] - codes[:, -1:]).reshape(len(table), -1)
        fixed |= {f"mask:{k}": deviations[:, k] for k in range((n - 1) * len(sizes))}
    few = {"selective mask"} if len(sizes) == 1 else set()  # with one N an attribute is its mask
    few |= set() if sampled else {"attribute", "selective mask"}
    return fit_mixed(table["y"].to_numpy(), pd.DataFrame(fixed), {k: v for k, v in random.items() if k not in few})


def test_kind(model: Mixed) -> Estimate:
    """Random - selective, averaged over N, and at one depth where the model holds depth (:func:`model_lesions`)."""
    return model.test((model.effects.index == "kind").astype(float))


def test_lesions(
    accuracy: xr.DataArray, comparison: str, depth: xr.DataArray | None = None, middle: float = 0.0, sampled: bool = True
) -> Estimate:
    """Fit the model of :func:`model_lesions` to the attributes that have masks, and test the kinds (:func:`test_kind`).

    Returns
    -------
    Estimate
        NaN where nothing varies, there are fewer than two attributes, emotions or seeds, or too few for one degree of
        freedom.
    """
    known = accuracy.sel(kind=["selective", comparison]).dropna("size", how="all").dropna("attribute", how="any")
    if min(known.sizes[name] for name in ("attribute", "emotion", "seed")) < 2 or not varies(known.values):
        return Estimate(*[float("nan")] * 9)
    test = test_kind(model_lesions(known, comparison, depth, middle, sampled))
    return test if test.df >= 1 else Estimate(test.value, *[float("nan")] * 8)


def _levels(table: pd.DataFrame, columns: Sequence[str], rows: np.ndarray | None = None) -> scipy.sparse.spmatrix:
    """Indicator matrix of the combinations of these columns; zero in other rows."""
    rows = np.ones(len(table), bool) if rows is None else rows
    code = table.loc[rows, list(columns)].groupby(list(columns), observed=True).ngroup().to_numpy()
    at = (np.flatnonzero(rows), code)
    return scipy.sparse.csr_matrix((np.ones(len(code)), at), shape=(len(table), code.max() + 1))


def _minimise(profile: Callable[[np.ndarray], tuple[float, np.ndarray]], k: int) -> np.ndarray:
    """Ratios of variances, zero or more, at which a deviance is least; to eight digits, whatever the number of cores."""

    def in_logs(log: np.ndarray) -> tuple[float, np.ndarray]:
        found, slope = profile(np.exp(log))
        return found, slope * np.exp(log)

    def in_units(x: np.ndarray) -> tuple[float, np.ndarray]:
        found, slope = profile(x * unit)
        return found, slope * unit

    near = scipy.optimize.minimize(in_logs, np.full(k, -2.0), jac=True, method="L-BFGS-B", bounds=[(-14, MOST)] * k).x
    unit = np.exp(np.maximum(near, -9))  # so scaled, the minimum is round and may lie at zero
    start, inside = np.exp(near) / unit, [(0, np.exp(MOST) / one) for one in unit]
    best = scipy.optimize.minimize(in_units, start, jac=True, method="L-BFGS-B", bounds=inside, options={"ftol": 1e-13}).x
    ratio = np.where(best * unit > 1e-5, best * unit, 0.0)  # a term this small is none
    free = ratio > 0
    if free.any() and ratio.max() < np.exp(MOST - 1):
        # a minimum is flat to the last digits; where its slope is zero is not
        root = scipy.optimize.root(lambda x: profile(_put(ratio, free, np.abs(x)))[1][free], ratio[free], tol=1e-12).x
        if np.abs(root / ratio[free] - 1).max() < 0.1:
            ratio[free] = root
    return ratio


def _put(values: np.ndarray, where: np.ndarray, new: np.ndarray) -> np.ndarray:
    out = values.copy()
    out[where] = new
    return out


def _hessian(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 0.01) -> np.ndarray:
    """Second derivatives by central differences, with steps in proportion to the values."""
    h = step * at
    out = np.empty((len(at), len(at)))
    for i in range(len(at)):
        for j in range(i + 1):
            ei, ej = np.eye(len(at))[i] * h, np.eye(len(at))[j] * h
            second = function(at + ei + ej) - function(at + ei - ej) - function(at - ei + ej) + function(at - ei - ej)
            out[i, j] = out[j, i] = second / (4 * h[i] * h[j])
    return out
