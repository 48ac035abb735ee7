"""Bayes factors for a difference and for a correlation, with the standard default priors.

A Bayes factor of 3 says that the data are three times as likely under an effect as under none; 1 says that they tell
nothing. ``greater`` tests the claimed direction: the prior is cut at zero.
"""

from functools import lru_cache

import numpy as np
import scipy.special
import scipy.stats

PRIOR_SCALE = np.sqrt(0.5)  # of the Cauchy prior on Cohen's d, the "medium" scale of Morey & Rouder's BayesFactor


def bayes_t(t: float, n: float, df: float, side: str = "two-sided", scale: float = PRIOR_SCALE) -> float:
    """JZS Bayes factor of a t test (Rouder, Speckman, Sun, Morey & Iverson 2009, Psychon Bull Rev 16:225).

    Cohen's d has a Cauchy prior; t given d is noncentral t with noncentrality d sqrt(n). Unit of inference and population
    are those of the t test; what is assumed is its normal sample.

    Parameters
    ----------
    t, df : float
    n : float
        Observations in a one-sample test; n_x n_y / (n_x + n_y) in a two-sample test.
    side : {'two-sided', 'greater'}
    scale : float
        Of the Cauchy prior.

    Returns
    -------
    float
        Evidence for an effect over none; NaN where t is not a number.

    >>> round(bayes_t(3.5, n=10, df=38), 2)  # two samples of 20
    26.74
    """
    if not np.isfinite(t):
        return float("nan")
    angles, weights = _nodes(side, np.pi / 2)  # the Cauchy prior is flat in the arc tangent of d / scale
    shift = np.sqrt(n) * scale * np.tan(angles)
    return float(weights @ _noncentral(t, df, shift))


def bayes_r(r: float, n: int, side: str = "two-sided") -> float:
    """Bayes factor of a Pearson correlation, every true value equally likely before (Ly, Verhagen & Wagenmakers 2016).

    J Math Psychol 72:19, eq. 22 to 25 with a flat prior (kappa = 1). Unit of inference: the pair of observations; what is
    assumed is a sample from a bivariate normal.

    Parameters
    ----------
    r : float
    n : int
        Pairs.
    side : {'two-sided', 'greater'}

    >>> round(bayes_r(0.6, 20), 2)
    10.63
    """
    if not abs(r) < 1 or n < 3:
        return float("nan")

    rho, weights = _nodes(side, 1.0)
    bent = scipy.special.hyp2f1(0.5, 0.5, n - 0.5, (1 + rho * r) / 2) / scipy.special.hyp2f1(0.5, 0.5, n - 0.5, 0.5)
    return float(weights @ ((1 - rho**2) ** ((n - 1) / 2) * (1 - rho * r) ** (1.5 - n) * bent))  # Hotelling 1953


def _noncentral(t: float, df: float, shift: np.ndarray) -> np.ndarray:
    """Density of noncentral t over that of t (Johnson, Kotz & Balakrishnan 1995, ch. 31), without overflow.

    >>> expected = scipy.stats.nct.pdf(2.0, 13, 1.5) / scipy.stats.t.pdf(2.0, 13)
    >>> bool(np.isclose(_noncentral(2.0, 13, np.array([1.5]))[0], expected))
    True
    """
    reached = shift**2 * df / (df + t**2) < 1400  # beyond, the density is zero in double precision
    shift = shift[reached]
    x = shift * t / np.sqrt(df + t**2)
    z, gamma = x**2 / 2, scipy.special.gammaln
    even = scipy.special.hyp1f1(-df / 2, 0.5, -z)  # Kummer's transformation takes exp(z) out of both
    odd = np.exp(gamma(df / 2 + 1) - gamma((df + 1) / 2)) * scipy.special.hyp1f1((1 - df) / 2, 1.5, -z)
    ratio = np.zeros(len(reached))
    ratio[reached] = np.exp(z - shift**2 / 2) * (even + np.sqrt(2) * x * odd)
    return ratio


@lru_cache
def _nodes(side: str, end: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes in (0, end), or in (-end, end) split at zero, and weights that average over them."""
    if side not in ("two-sided", "greater"):
        raise ValueError(f"a Bayes factor's side is 'two-sided' or 'greater', got '{side}'")
    x, w = np.polynomial.legendre.leggauss(n)
    x, w = end * (x + 1) / 2, w / 2
    return (x, w) if side == "greater" else (np.r_[-x, x], np.r_[w, w] / 2)
