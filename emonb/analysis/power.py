"""What a test could have shown: the smallest effect it finds with a given probability.

Power at the effect that was found says no more than its p value (Hoenig & Heisey 2001, Am Stat 55:19).
"""

import numpy as np
import scipy.optimize
import scipy.stats


def detectable_difference(error: float, df: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true difference that a two-sided t test finds with this probability (noncentral t).

    Unit of inference, population and assumptions are those of the test whose standard error is given.

    Parameters
    ----------
    error : float
        Standard error of the difference, in its unit.
    df : float
    power, alpha : float

    >>> round(detectable_difference(1.0, 1e6), 3)  # 1.960 + 0.842
    2.802
    """
    if not (error > 0 and df > 0):
        return float("nan")
    bound = scipy.stats.t.isf(alpha / 2, df)

    def missing(shift: float) -> float:
        return float(scipy.stats.nct.sf(bound, df, shift) - power)

    return float(error * scipy.optimize.brentq(missing, 0, 10 * (bound + 1)))


def detectable_r(n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true correlation that a two-sided test of Pearson's r over n pairs finds with this probability.

    Unit of inference: the pair (an attribute). Assumed: a bivariate normal sample; Fisher's z with its bias r / 2(n - 1).

    >>> round(detectable_r(14), 2)
    0.68
    """
    t = scipy.stats.t.isf(alpha / 2, n - 2)
    bound = np.arctanh(t / np.sqrt(n - 2 + t**2))

    def missing(r: float) -> float:
        return float(scipy.stats.norm.sf((bound - np.arctanh(r) - r / (2 * (n - 1))) * np.sqrt(n - 3)) - power)

    return float(scipy.optimize.brentq(missing, 0, 1 - 1e-9))
