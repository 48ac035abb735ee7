"""Power of the tests whose unit is the mask or the attribute: the smallest effect they would find.

Power at the effect that was found says no more than its p value (Hoenig & Heisey 2001, Am Stat 55:19).
"""

import numpy as np
import scipy.optimize
import scipy.stats


def power_of_masks(
    effect: float,
    sd_selective: float,
    sd_random: float,
    n_selective: int,
    n_random: list[int],
    seed: int,
    n: int = 100_000,
) -> dict[int, float]:
    """Power of a one-sided two-sample test at .05 whose unit is the mask, for several numbers of random masks.

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), in accuracy.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    n_selective : int
    n_random : list of int
    seed, n : int
        Simulations of normal masks, tested by Welch's t (the permutation test's power to within simulation error). Means
        and variances are drawn, not masks; every number of random masks meets the same selective ones.

    Returns
    -------
    dict of int to float
        NaN where the effect is not known, or masks of a kind do not differ: there is no noise to see it against.
    """
    if not np.isfinite(effect) or not sd_selective > 0 or not sd_random > 0:
        return dict.fromkeys(n_random, float("nan"))
    rng = np.random.default_rng(seed)

    def draw(mean: float, sd: float, m: int) -> tuple[np.ndarray, np.ndarray, int]:
        return rng.normal(mean, sd / np.sqrt(m), n), sd * np.sqrt(rng.chisquare(m - 1, n) / (m - 1)), m

    selective = draw(-effect, sd_selective, n_selective)
    power = {}
    for m in n_random:
        test = scipy.stats.ttest_ind_from_stats(*selective, *draw(0, sd_random, m), equal_var=False, alternative="less")
        power[m] = float((test.pvalue < 0.05).mean())
    return power


def masks_needed(
    effect: float, sd_selective: float, sd_random: float, power: float = 0.8, level: float = 0.05
) -> int | float:
    """Masks of *each* kind that a one-sided two-sample test needs to see an effect (normal approximation).

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), positive.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    power, level : float

    Returns
    -------
    int, or NaN where masks do not differ

    >>> masks_needed(effect=0.03, sd_selective=0.05, sd_random=0.05)
    35
    """
    if effect <= 0:
        raise ValueError(f"an effect of {effect:.3g} is not in the claim's direction: no number of masks would show it")
    if not np.isfinite(effect) or not sd_selective > 0 or not sd_random > 0:
        return float("nan")
    z = scipy.stats.norm.isf(level) + scipy.stats.norm.ppf(power)
    return int(np.ceil(z**2 * (sd_selective**2 + sd_random**2) / effect**2))


def power_of_attributes(r: float, n_attributes: list[int], seed: int, n: int = 20_000) -> dict[int, float]:
    """Power of a one-sided test of a Pearson r at .05 whose unit is the attribute; NaN where r is not defined."""
    if not np.isfinite(r):
        return dict.fromkeys(n_attributes, float("nan"))
    rng = np.random.default_rng(seed)
    power = {}
    for m in n_attributes:
        x = rng.normal(size=(n, m))
        y = r * x + np.sqrt(max(0.0, 1 - r**2)) * rng.normal(size=(n, m))
        z = np.arctanh(scipy.stats.pearsonr(x, y, axis=1).statistic) * np.sqrt(m - 3)
        power[m] = float((z > scipy.stats.norm.isf(0.05)).mean())
    return power


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
