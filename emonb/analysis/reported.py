"""Lesions: what silencing neurons does to emotion inference, and tests that count prompts or emotions.

Here are the tests whose unit is the prompt (prompts share a mask) or the emotion (emotions share the masks). Those whose
unit is the mask or the attribute are in :mod:`emonb.analysis.lesions` and :mod:`emonb.analysis.importance`.
"""

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.rdm import ROUNDING, varies
from emonb.analysis.statistics import Estimate, correlate


def measured(data: xr.Dataset, measure: str) -> tuple[xr.DataArray, float]:
    """Accuracy or AUC under every kind of mask (kind, attribute, size, seed, emotion), and its mean with none."""
    return data[measure], float(data["baseline" if measure == "accuracy" else f"baseline_{measure}"].mean())


def selective_drop(accuracy: xr.DataArray, comparison: str = "random") -> xr.DataArray:
    """Random-mask accuracy minus selective-mask accuracy (positive: the attribute's neurons hurt more than others).

    ``accuracy`` (kind, attribute, size, seed, emotion), or the same of another measure; ``comparison``: kind of random
    mask. Gives (attribute, size, seed, emotion) for sizes that both kinds have; 0 where the two differ only by rounding,
    NaN for an attribute without masks.

    >>> coords = {"kind": ["selective", "random"], "size": [10, 20]}
    >>> selective_drop(xr.DataArray([[0.5, np.nan], [0.75, 0.7]], coords, ["kind", "size"])).to_series().to_dict()
    {10: 0.25}
    """
    both = accuracy.sel(kind=["selective", comparison])
    both = both.sel(size=both.notnull().any(set(both.dims) - {"kind", "size"}).all("kind").values)
    drop = both.sel(kind=comparison, drop=True) - both.sel(kind="selective", drop=True)
    return drop.where(~(abs(drop) <= ROUNDING * abs(both).max()), 0.0).rename("drop")


def name_attributes(drop: xr.DataArray) -> tuple[list[str], list[str]]:
    """Attributes without a mask, and those whose masks cost no prompt more or less than random ones at any size."""
    others = [dim for dim in drop.dims if dim != "attribute"]
    names = drop.attribute.values.astype(str)
    return list(names[drop.isnull().all(others).values]), list(names[(drop == 0).all(others).values])


def prompts_test(drop: xr.DataArray) -> pd.DataFrame:
    """Paired t test of random against selective masks at every N, as if every prompt under a mask were a unit of its own.

    Prompts that share a mask are not independent; the valid tests are in :mod:`emonb.analysis.lesions`.

    ``drop`` (attribute, size, seed, emotion). Gives one row an N: ``t``, two-sided ``p`` and ``n``, the number of
    differences; t and p are NaN where all are the same.
    """
    tests = {n: _t_test(drop.sel(size=n).values.ravel()) for n in drop["size"].values}
    rows = [(test.t, test.p, test.df + 1) for test in tests.values()]
    return pd.DataFrame(rows, pd.Index(list(tests), name="N"), ["t", "p", "n"])


def importance_test(drop: xr.DataArray, importance: xr.DataArray) -> pd.DataFrame:
    """The paper's test of drop against importance at every N (:func:`paper_test_importance`); its unit is the emotion.

    ``drop`` (attribute, size, seed, emotion); ``importance`` (attribute,). Gives one row an N: ``mean_r``, ``t``,
    two-sided ``paper_p``. Attributes whose importance or drop is not defined are left out; NaN where what is left does not
    vary.
    """
    importance = importance.sel(attribute=drop.attribute)
    known = (importance.notnull() & drop.notnull().all(("size", "seed", "emotion"))).values
    drop, importance = drop.sel(attribute=known), importance.sel(attribute=known)
    tests = [paper_test_importance(drop.sel(size=size), importance) for size in drop["size"].values]
    rows = [(test.value, test.t, test.p) for test in tests]
    return pd.DataFrame(rows, pd.Index(drop["size"].values, name="N"), ["mean_r", "t", "paper_p"])


def paper_test_importance(drop: xr.DataArray, importance: xr.DataArray) -> Estimate:
    """The paper's test of claim 4 (Li et al., causal contribution against human weight).

    For each emotion (averaged over seeds) Pearson r over the attributes between drop and importance; Fisher z; one
    t test over emotions against 0. Its unit is the emotion, although all emotions share the same masks. ``drop`` is
    (attribute, seed, emotion) at one size, ``importance`` (attribute,).

    ``value`` is tanh of the mean z; the interval is transformed back likewise. Emotions without a correlation are left
    out, and those where it is 1 or -1, as it always is over two attributes.
    """
    r = correlate(*xr.align(drop.mean("seed"), importance, join="exact")).values
    z = np.arctanh(r[abs(r) < 1 - ROUNDING])
    z_test = _t_test(z)
    value, low, high = (float(np.tanh(number)) for number in (z_test.value, z_test.low, z_test.high))
    return z_test._replace(value=value, low=low, high=high)


def _t_test(values: np.ndarray) -> Estimate:
    """Two-sided t test of a mean against 0, of what is defined; but for mean and df NaN if they do not vary."""
    values = values[np.isfinite(values)]
    mean, df = float(values.mean()) if len(values) else np.nan, len(values) - 1
    if not varies(values):
        return Estimate(mean, df=df)
    result = scipy.stats.ttest_1samp(values, 0)
    low, high = result.confidence_interval()
    return Estimate(mean, float(low), float(high), p=float(result.pvalue), t=float(result.statistic), df=df)
