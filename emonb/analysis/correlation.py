"""Correlations of many rows, over labels, and of two lists; not defined (NaN) where one side does not vary."""

import numpy as np
import scipy.stats
import xarray as xr
from numpy.typing import ArrayLike

from emonb.analysis.kendall import tau_b
from emonb.analysis.ties import varies


def correlate(a: xr.DataArray, b: xr.DataArray, dim: str = "attribute") -> xr.DataArray:
    """Pearson r over the labels of a dimension that both have."""
    both = (a + b).notnull()
    a, b = a.where(both), b.where(both)
    vary = [xr.apply_ufunc(varies, side, input_core_dims=[[dim]], vectorize=True, output_dtypes=[bool]) for side in (a, b)]
    return xr.corr(a, b, dim=dim).where(vary[0] & vary[1]).rename("r")


def test_correlation(x: ArrayLike, y: ArrayLike) -> dict[str, float]:
    """Pearson correlation with its two-sided p and 95 % interval, assuming normal independent units.

    Returns
    -------
    dict
        ``r``, ``p``, ``low``, ``high``, ``n``; all but ``n`` NaN where one side does not vary but for rounding.

    >>> found = test_correlation([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
    >>> round(found["r"], 3), round(found["p"], 3)
    (0.8, 0.2)
    >>> test_correlation([0.3, 0.3, 0.1 + 0.2], [1.0, 3.0, 2.0])["p"]
    nan
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 3 or not varies(x) or not varies(y):
        return {**dict.fromkeys(("r", "p", "low", "high"), float("nan")), "n": len(x)}
    test = scipy.stats.pearsonr(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):  # three units have no interval
        low, high = test.confidence_interval()
    return {"r": float(test.statistic), "p": float(test.pvalue), "low": float(low), "high": float(high), "n": len(x)}


def correlate_rows(rows: np.ndarray, target: np.ndarray, measure: str) -> np.ndarray:
    """Kendall's tau-b or Spearman's rho of each row [n, n_pairs] with the target [n_pairs], where the row is not NaN.

    NaN where one of both does not vary there.
    """
    seen = ~np.isnan(rows)
    if not seen.all():
        return np.array([correlate_rows(r[None, s], target[s], measure)[0] for r, s in zip(rows, seen, strict=True)])
    if measure in ("tau", "rho") and len(target) < 2:
        return np.full(len(rows), np.nan)
    if measure == "tau":
        return tau_b(rows, target[None])[:, 0]
    if measure == "rho":
        return standard_ranks(rows) @ standard_ranks(target[None])[0] / len(target)
    raise ValueError(f"unknown measure '{measure}'; use 'tau' (Kendall's tau-b) or 'rho' (Spearman)")


def standard_ranks(rows: np.ndarray) -> np.ndarray:
    """Ranks [n, n_pairs] with mean 0 and standard deviation 1; NaN where all values of a row are the same."""
    ranks = scipy.stats.rankdata(rows, axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    spread = ranks.std(1, keepdims=True)
    return np.divide(ranks, spread, out=np.full_like(ranks, np.nan), where=spread > 0)


def mean_of_defined(values: ArrayLike) -> float:
    """Mean of what is defined; NaN where nothing is."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
