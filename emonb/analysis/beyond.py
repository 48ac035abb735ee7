"""How far an attribute's best neuron lies beyond the best that chance finds; apart from the tests that take long."""

import math

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.estimates import Estimate, from_interval
from emonb.analysis.normal_scores import undo_score


def beat_chance(found: xr.Dataset) -> dict[str, Estimate]:
    """How far each attribute's best neuron lies beyond what the best of all would reach by chance, in the test's unit.

    The best neuron is the one with the highest normal score, of all neurons and of all in each relabelling. The effect is
    its correlation less the one that would have given this neuron the median of the relabellings' highest scores.

    The interval's two ends answer two questions. The lower one takes a high quantile of the relabellings' highest scores in
    place of their median, so that it lies above zero just where the two-sided p, twice the smallest family-wise one, says
    so. The upper one says how good a neuron there could be: the score of the truly best neuron varies, with about the
    spread of its null distribution, and the best score that is seen is at least that one. So a neuron that good is ruled
    out as seldom as the level says, however many neurons were searched (normal quantiles of the score).

    Parameters
    ----------
    found : Dataset
        From :func:`emonb.analysis.neurons.find_neurons` or :func:`emonb.analysis.own.find_own_neurons`.

    Returns
    -------
    dict of str to Estimate
        By attribute; all NaN where no neuron's score is defined.
    """
    return {str(name): _beat_chance(found.sel(attribute=name)) for name in found.attribute.values}


def _beat_chance(found: xr.Dataset) -> Estimate:
    peaks = np.sort(found.peak.to_numpy())
    names = ["score", "mean", "sd", "skew"]
    best = found[names].stack(unit=("layer", "neuron")).isel(unit=int(np.argmax(found.score.to_numpy())))
    score, mean, sd, skew = (float(best[name]) for name in names)
    moments: tuple[float, float, float] = mean, sd, skew
    if not np.isfinite([score, *moments, peaks[0]]).all():
        return Estimate(*[float("nan")] * 6)

    def between(one: float, other: float) -> float:
        return float(min(1, undo_score(one, mean, sd, skew)) - undo_score(other, mean, sd, skew))

    def interval(level: float) -> tuple[float, float]:
        tail = (1 - level) / 2
        cut = max(math.ceil(round(tail * (len(peaks) + 1), 9)) - 2, 0)  # so many peaks may be higher: (b + 1) / (n + 1)
        better = score + float(scipy.stats.norm.isf(tail))
        return between(score, peaks[-1 - cut]), between(better, float(np.median(peaks)))

    return from_interval(between(score, float(np.median(peaks))), interval, min(1.0, 2 * float(found.p_fwe.min())))
