"""Bayes factor for a correlation, every true value equally likely before.

A Bayes factor of 3 says that the data are three times as likely under an effect as under none; 1 says that they tell
nothing. ``greater`` tests the claimed direction: the prior is cut at zero.
"""

from functools import lru_cache

import numpy as np
import scipy.special
import scipy.stats


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


@lru_cache
def _nodes(side: str, end: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes in (0, end), or in (-end, end) split at zero, and weights that average over them."""
    if side not in ("two-sided", "greater"):
        raise ValueError(f"a Bayes factor's side is 'two-sided' or 'greater', got '{side}'")
    x, w = np.polynomial.legendre.leggauss(n)
    x, w = end * (x + 1) / 2, w / 2
    return (x, w) if side == "greater" else (np.r_[-x, x], np.r_[w, w] / 2)
