"""Tuned prompts: how accurate they are over emotions, and which of them did not learn their task."""

import xarray as xr

from emonb.analysis.estimates import Estimate, from_t

CHANCE = 0.5


def mean_accuracy(accuracy: xr.DataArray) -> Estimate:
    """Mean accuracy with intervals over emotions (t); seeds share comments and are averaged first.

    Parameters
    ----------
    accuracy : DataArray, dims (seed, emotion)
    """
    by_emotion = accuracy.mean("seed")
    n = by_emotion.sizes["emotion"]
    return from_t(float(by_emotion.mean()), float(by_emotion.std(ddof=1)) / n**0.5, n - 1)


def not_learned(accuracy: xr.DataArray) -> xr.DataArray:
    """Tell which prompts lie nearer to chance than to the median of their emotion's seeds.

    Parameters
    ----------
    accuracy : DataArray, dims (seed, emotion)

    Returns
    -------
    DataArray of bool, dims (seed, emotion)

    >>> a = xr.DataArray([[0.9, 0.6], [0.9, 0.6], [0.6, 0.54]], {"seed": [1, 3, 5], "emotion": ["joy", "awe"]})
    >>> not_learned(a).values.tolist()
    [[False, False], [False, False], [True, True]]
    """
    return accuracy < (accuracy.median("seed") + CHANCE) / 2
