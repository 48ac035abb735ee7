"""An effect as every claim needs it: its value, a 95 % and a 90 % interval, and p with its side named."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats


class Estimate(NamedTuple):
    """An effect with what a verdict is made of; NaN where it cannot be estimated."""

    value: float
    low: float
    """95 % interval."""
    high: float
    low90: float
    """90 % interval."""
    high90: float
    p: float
    """Two-sided."""
    p_greater: float = float("nan")
    """One-sided: the effect is above zero."""
    t: float = float("nan")
    df: float = float("nan")

    def evidence(self) -> dict[str, float]:
        """What a verdict is made of (:func:`emonb.book.verdict.decide`): the value, both intervals, and the two-sided p."""
        return {name: getattr(self, name) for name in ("value", "low", "high", "low90", "high90", "p")}


def from_interval(value: float, interval: Callable[[float], tuple[float, float]], p: float) -> Estimate:
    """Estimate whose intervals come from a function of their level, and whose two-sided p from a test of its own.

    >>> from_interval(0.5, lambda level: (0.5 - level, 0.5 + level), p=0.02).low90
    -0.4
    """
    (low, high), (low90, high90) = interval(0.95), interval(0.90)
    return Estimate(*(float(number) for number in (value, low, high, low90, high90, p)))


def from_t(value: float, error: float, df: float) -> Estimate:
    """Estimate with t intervals and t test against zero.

    Parameters
    ----------
    value, error : float
        Effect and its standard error.
    df : float
        Degrees of freedom of the standard error.

    Returns
    -------
    Estimate
        All but the value NaN where the standard error is no positive number.

    >>> effect = from_t(2.0, 1.0, 10)
    >>> [round(x, 2) for x in (effect.low, effect.high, effect.p, effect.p_greater)]
    [-0.23, 4.23, 0.07, 0.04]
    """
    if not (error > 0 and df > 0 and np.isfinite([value, error]).all()):
        return Estimate(float(value), *[float("nan")] * 8)
    t = value / error
    (low, high), (low90, high90) = (value + error * np.array(scipy.stats.t.interval(c, df)) for c in (0.95, 0.90))
    tail = scipy.stats.t.sf(t, df)
    numbers = (value, low, high, low90, high90, 2 * scipy.stats.t.sf(abs(t), df), tail, t, df)
    return Estimate(*(float(number) for number in numbers))


def from_r(r: float, n: int) -> Estimate:
    """Estimate of a Pearson correlation of n independent pairs: Fisher z intervals (Fisher 1921), t test of r = 0.

    >>> [round(x, 3) for x in from_r(0.5, 14)[:3]]
    [0.5, -0.042, 0.815]
    """
    if n < 4 or not abs(r) < 1:
        return Estimate(float(r), *[float("nan")] * 8)
    z, error = np.arctanh(r), 1 / np.sqrt(n - 3)
    ends = [np.tanh(z + sign * scipy.stats.norm.isf(tail) * error) for tail in (0.025, 0.05) for sign in (-1, 1)]
    t = r * np.sqrt((n - 2) / (1 - r**2))
    p = (2 * scipy.stats.t.sf(abs(t), n - 2), scipy.stats.t.sf(t, n - 2), t, n - 2)
    return Estimate(*(float(number) for number in (r, *ends, *p)))


def pool_errors(variances: np.ndarray, dfs: np.ndarray) -> tuple[float, float]:
    """Standard error of a sum of independent terms and its degrees of freedom (Satterthwaite 1946, Biometrics 2:110).

    >>> error, df = pool_errors(np.array([1.0, 1.0]), np.array([5, 5]))
    >>> round(error, 3), round(df, 3)
    (1.414, 10.0)
    """
    variances, dfs = np.asarray(variances, float), np.asarray(dfs, float)
    total = variances.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(total)), float(total**2 / (variances**2 / dfs).sum())


def to_table(estimates: Mapping[Any, Estimate], name: str) -> pd.DataFrame:
    """Estimates as a table: one row an estimate, in the order given."""
    return pd.DataFrame(estimates.values(), pd.Index(list(estimates), name=name), Estimate._fields)
