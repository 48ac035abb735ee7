"""Is the loss specific? An emotion should lose more under an attribute's mask the more it has of that attribute.

Losses and levels form two tables, attributes x emotions. Some masks cost more for all emotions and some emotions lose more
under all masks: both margins are taken out of both tables, and what is left, the interaction, is related.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.estimates import Estimate, from_t
from emonb.analysis.inference import TIE, draw_permutations
from emonb.analysis.ties import varies


class Specificity(NamedTuple):
    """Slope of loss on level, margins taken out, with its tests; every p two-sided but ``p_greater``."""

    slope: Estimate
    """Accuracy lost per standard deviation of level; interval of the jackknife, p with attributes permuted."""
    r: float
    """Correlation of the two interactions."""
    p_emotions: float
    """Emotions permuted."""
    p_random: float
    """Random masks in place of the selective ones; NaN without them."""


def test_specificity(
    loss: xr.DataArray, level: xr.DataArray, n_permutations: int, seed: int, random: xr.DataArray | None = None
) -> Specificity:
    """Test the attribute x emotion interaction of loss with the emotion's level on the silenced attribute.

    All permutations leave both margins of the losses as they are: the permuted levels have none.

    *Attributes permuted* (the slope's own p). Unit of inference: the attribute with its mask. Population: attributes
    like these and their masks. Fixed: emotions with all resemblance among them, seeds. Exchangeability assumed: under
    the null it does not matter which attribute's levels meet which mask; masks of close attributes that share neurons
    make it reject too often (simulated: 4 % without,
    14 % and 27 % with mask profiles correlated a fifth and half as much as levels; together with the jackknife interval
    3 % and 5 %, while that interval covers 94 % and 88 %).

    *Emotions permuted*: the emotion is the unit, attributes and masks are fixed. Assumes that emotions are exchangeable;
    families of emotions that suffer together under any mask make it reject too often (simulated: 26 % at .05).

    *Random masks*: the slope that random masks give when an attribute's levels are put to each; attributes, emotions
    and seeds are fixed, masks are sampled. Assumes that selective masks are no more alike than random ones, and losses
    at one N: random masks are independent over N, selective ones nested.

    Parameters
    ----------
    loss : DataArray, dims (attribute, emotion)
        Under selective masks; anything that is the same for all masks, such as accuracy without one, drops out.
    level : DataArray, dims (attribute, emotion)
        Scores of the emotions; standardised within each attribute.
    n_permutations, seed : int
    random : DataArray, dims (mask, emotion), optional
        Loss under random masks.

    Returns
    -------
    Specificity
        The interval is of the jackknife over attributes and over emotions, their variances added (conservative; Efron &
        Stein 1981), with t on attributes - 1 degrees of freedom.

    Raises
    ------
    ValueError
        Different attributes or emotions in the two tables.
    """
    for dim in ("attribute", "emotion"):
        if set(loss[dim].values.tolist()) != set(level[dim].values.tolist()):
            raise ValueError(f"losses and levels must be of the same {dim}s, got {loss.sizes[dim]} and {level.sizes[dim]}")
    level = level.sel(attribute=loss.attribute, emotion=loss.emotion)
    values, levels = (table.transpose("attribute", "emotion").to_numpy() for table in (loss, level))
    x = _interaction(scipy.stats.zscore(levels, axis=1))
    y = _interaction(values)
    y = y if varies(y, scale=np.abs(values).max()) else np.zeros_like(y)
    n, m = y.shape
    slope, scale = float((x * y).sum() / (x**2).sum()), (x**2).sum()
    products = x @ y.T / scale  # [attribute of the levels, mask]
    orders = draw_permutations(n, n_permutations, seed)
    by_attribute = products[orders, np.arange(n)].sum(1)
    crossed = np.einsum("ai,aj->ij", x, y) / scale  # [emotion of the levels, emotion]
    by_emotion = crossed[draw_permutations(m, n_permutations, seed), np.arange(m)].sum(1)
    left = [
        _slope(np.delete(values, k, axis), np.delete(levels, k, axis))
        for axis, size in enumerate((n, m))
        for k in range(size)
    ]
    variance = (n - 1) * np.var(left[:n]) + (m - 1) * np.var(left[n:])
    p, p_greater = _two_sided(by_attribute, slope)
    if not y.any() or not x.any():  # nothing that is lost, or nothing it could go with
        return Specificity(from_t(slope, 0.0, n - 1), *[float("nan")] * 3)
    estimate = from_t(slope, float(np.sqrt(variance)), n - 1)._replace(p=p, p_greater=p_greater)
    r = float(np.corrcoef(x.ravel(), y.ravel())[0, 1])
    p_random = np.nan
    if random is not None:
        p_random = _two_sided(_slopes_of_random(x, random.sel(emotion=loss.emotion), n_permutations, seed), slope)[0]
    return Specificity(estimate, r, _two_sided(by_emotion, slope)[0], float(p_random))


def _slopes_of_random(x: np.ndarray, random: xr.DataArray, n_permutations: int, seed: int) -> np.ndarray:
    """Slopes of random masks, as many as attributes drawn without replacement each time."""
    masks = random.transpose("mask", "emotion").to_numpy()
    if len(masks) < len(x):
        raise ValueError(f"{len(x)} attributes need at least as many random masks, got {len(masks)}")
    products = x @ masks.T / (x**2).sum()  # the levels' margins are zero, so the masks' margins drop out
    chosen = draw_permutations(len(masks), n_permutations, seed)[:, : len(x)]
    return products[np.arange(len(x)), chosen].sum(1)


def _interaction(table: np.ndarray) -> np.ndarray:
    """Table without its margins.

    >>> _interaction(np.array([[1.0, 2.0], [3.0, 6.0]])).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    return table - table.mean(0, keepdims=True) - table.mean(1, keepdims=True) + table.mean()


def _slope(loss: np.ndarray, level: np.ndarray) -> float:
    x = _interaction(scipy.stats.zscore(level, axis=1))
    return float((x * loss).sum() / (x**2).sum()) if len(x) > 1 else float("nan")


def _two_sided(null: np.ndarray, observed: float) -> tuple[float, float]:
    """Two-sided p (both tails of the absolute value) and one-sided (greater), each (b + 1) / (n + 1)."""
    tails = (np.abs(null) >= abs(observed) - TIE).sum(), (null >= observed - TIE).sum()
    p, p_greater = ((int(tail) + 1) / (len(null) + 1) for tail in tails)
    return p, p_greater
