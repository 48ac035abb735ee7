"""Lesions: what silencing neurons does to emotion inference, tested in the study's way and with the mask as the unit.

Every test says which unit it treats as independent. The study's own treat prompts (sharing a mask) or emotions (sharing
the 14 masks) as independent; those whose unit is the mask or the attribute are in :mod:`emonb.analysis.inference`.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.attributes import select_neurons
from emonb.analysis.correlation import correlate
from emonb.analysis.inference import compare_masks, correlate_attributes
from emonb.analysis.partial import partial_correlation
from emonb.analysis.ties import ROUNDING, varies


class TestResult(NamedTuple):
    """A t test's result: effect, t, degrees of freedom, two-sided p and 95 % interval, with its unit named."""

    value: float
    t: float
    df: int
    p: float
    low: float
    high: float
    unit: str


def measured(data: xr.Dataset, measure: str) -> tuple[xr.DataArray, float]:
    """Accuracy or AUC under every kind of mask (kind, attribute, size, seed, emotion), and its mean with none."""
    return data[measure], float(data["baseline" if measure == "accuracy" else f"baseline_{measure}"].mean())


def selective_drop(accuracy: xr.DataArray, comparison: str = "random") -> xr.DataArray:
    """Random-mask accuracy minus selective-mask accuracy (positive: the attribute's neurons hurt more than others).

    Parameters
    ----------
    accuracy : DataArray, dims (kind, attribute, size, seed, emotion)
        Or the same of another measure.
    comparison : str
        Kind of random mask.

    Returns
    -------
    DataArray, dims (attribute, size, seed, emotion)
        Sizes that both kinds have; 0 where the two differ only by rounding, NaN for an attribute without masks.

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


def masks_of(data: xr.Dataset, kind: str, size: int, measure: str = "accuracy") -> np.ndarray:
    """Mean accuracy (or ``auc``) of every mask of a kind and size over emotions and seeds: one number a mask.

    Live lesions have many masks of a kind for every attribute, released ones a single one.
    """
    if f"mask_{measure}" in data:
        mine = (data.mask_kind == kind) & (data.mask_size == size)
        values = data[f"mask_{measure}"].values[mine.values].mean((1, 2))
        return values[~np.isnan(values)]
    return data[measure].sel(kind=kind, size=size).mean(("seed", "emotion")).dropna("attribute").values


def mean_accuracy(accuracy: xr.DataArray) -> xr.DataArray:
    """Mean accuracy (kind, size) over attributes, emotions and seeds."""
    return accuracy.mean(("attribute", "seed", "emotion"))


def test_masks(
    data: xr.Dataset, sizes: Sequence[int], measure: str, comparison: str, permutations: int, seed: int
) -> pd.DataFrame:
    """Selective against random masks at every N, with the prompt and with the mask as the unit.

    Parameters
    ----------
    data : Dataset
        Lesions, released or live.
    sizes : sequence of int
    measure : {'accuracy', 'auc'}
    comparison : str
        Kind of random mask.
    permutations, seed : int
        Used where there are too many masks to count every split of them.

    Returns
    -------
    DataFrame
        One row an N: ``difference`` (random - selective), ``paper_t`` and ``paper_p`` (:func:`paper_test_drop`, unit: the
        prompt), ``mask_p`` (:func:`emonb.analysis.inference.compare_masks`, unit: the mask). ``paper_t`` and ``paper_p``
        are NaN where the difference is the same for all prompts.
    """
    drop, rows = selective_drop(data[measure], comparison), {}
    for size in sizes:
        paper = paper_test_drop(drop.sel(size=size))
        selective, random = (masks_of(data, kind, size, measure) for kind in ("selective", comparison))
        difference, p = compare_masks(selective, random, permutations, seed)
        rows[size] = {"difference": difference, "paper_t": paper.t, "paper_p": paper.p, "mask_p": p}
    return pd.DataFrame(rows).T.rename_axis("N")


def compare_kinds(data: xr.Dataset, size: int, permutations: int, seed: int) -> pd.DataFrame:
    """Selective masks against every kind of random mask, by accuracy and by AUC; the unit is the mask.

    Parameters
    ----------
    data : Dataset
        Lesions; only live ones have an AUC, of others nothing is compared.
    size, permutations, seed : int

    Returns
    -------
    DataFrame
        Index (comparison, measure); ``difference`` (random - selective), ``p`` (permutation of masks), ``masks``.
    """
    kinds = [str(kind) for kind in data.kind.values if kind != "selective"] if "mask_auc" in data else []
    index = pd.MultiIndex.from_product([kinds, ["accuracy", "auc"]], names=["comparison", "measure"])
    rows = []
    for kind, measure in index:
        selective, random = (masks_of(data, k, size, measure) for k in ("selective", kind))
        rows.append((*compare_masks(selective, random, permutations, seed), len(selective) + len(random)))
    return pd.DataFrame(rows, index, ["difference", "p", "masks"])


def correlate_with_importance(drop: xr.DataArray, importance: xr.DataArray) -> xr.DataArray:
    """Pearson r over attributes between drop and importance, for every other label of ``drop``.

    ``importance`` has the same attributes, in the same order.
    """
    return correlate(*xr.align(drop, importance, join="exact"))


def test_importance(drop: xr.DataArray, importance: xr.DataArray, permutations: int, seed: int) -> pd.DataFrame:
    """Drop against importance at every N, with the emotion and with the attribute as the unit.

    Parameters
    ----------
    drop : DataArray, dims (attribute, size, seed, emotion)
    importance : DataArray, dims (attribute,)
    permutations, seed : int

    Returns
    -------
    DataFrame
        One row an N: ``mean_r``, ``t`` and ``paper_p`` (:func:`paper_test_importance`, unit: the emotion);
        ``attribute_r`` of the mean drops, ``attribute_p`` and ``attribute_p_fwe``, corrected over N
        (:func:`emonb.analysis.inference.correlate_attributes`, unit: the attribute; ``attrs["n"]``). Attributes whose
        importance or drop is not defined are left out; NaN where what is left does not vary.
    """
    importance = importance.sel(attribute=drop.attribute)
    known = importance.notnull() & drop.notnull().all(("size", "seed", "emotion"))
    drop, importance = drop.sel(attribute=known.values), importance.sel(attribute=known.values)
    paper = [paper_test_importance(drop.sel(size=size), importance) for size in drop["size"].values]
    mean = drop.mean(("seed", "emotion")).transpose("size", "attribute")
    scale = float(abs(drop).max()) if drop.size else 0.0
    r, p, p_fwe = correlate_attributes(mean.values, importance.values, permutations, seed, scale)
    tests = pd.DataFrame([(test.value, test.t) for test in paper], pd.Index(drop["size"].values, name="N"), ["mean_r", "t"])
    tests = tests.assign(attribute_r=r, attribute_p=p, attribute_p_fwe=p_fwe, paper_p=[test.p for test in paper])
    tests.attrs["n"] = drop.sizes["attribute"]
    return tests


def paper_test_importance(drop: xr.DataArray, importance: xr.DataArray) -> TestResult:
    """The paper's test of claim 4 (Li et al., causal contribution against human weight).

    For each emotion (averaged over seeds) Pearson r over the attributes between drop and importance; Fisher z; one
    t test over emotions against 0. Its unit is the emotion, although all emotions share the same masks. ``drop`` is
    (attribute, seed, emotion) at one size, ``importance`` (attribute,).

    Returns
    -------
    TestResult
        ``value`` is tanh of the mean z; the interval is transformed back likewise. Emotions without a correlation are left
        out, and those where it is 1 or -1, as it always is over two attributes.
    """
    r = correlate_with_importance(drop.mean("seed"), importance).values
    z = np.arctanh(r[abs(r) < 1 - ROUNDING])
    z_test = _t_test(z, "emotion")
    value, low, high = (float(np.tanh(number)) for number in (z_test.value, z_test.low, z_test.high))
    return z_test._replace(value=value, low=low, high=high)


def paper_test_drop(drop: xr.DataArray) -> TestResult:
    """The paper's paired t test of selective against random masks over prompts (emotion x seed x attribute).

    Its unit is the prompt under one attribute's mask, although all prompts share that mask: every entry of ``drop``
    counts as independent.
    """
    return _t_test(drop.values.ravel(), "prompt")


def variance_components(accuracy: xr.DataArray) -> dict[str, float]:
    """Variance of accuracy over masks, emotions and seeds (crossed random effects, expected mean squares).

    With a, b, c levels and one value a cell, E(MS_ab) = s2 + c s2_ab and E(MS_a) = s2 + c s2_ab + b s2_ac + bc s2_a, where
    s2 is the residual (Searle, Casella & McCulloch 1992, Variance Components, chapter 4).

    Parameters
    ----------
    accuracy : DataArray, dims (attribute, seed, emotion)
        One mask per attribute, of one kind and size. A single observation per cell, so the three-way interaction and
        noise are one component (``residual``).

    Returns
    -------
    dict
        Share of the total variance of ``mask``, ``emotion``, ``seed``, the two-way interactions
        (``mask:emotion``, ``mask:seed``, ``emotion:seed``) and ``residual``. Negative estimates are set to 0. All are NaN
        where nothing varies, or there are fewer than two masks, emotions or seeds.
    """
    values = accuracy.transpose("attribute", "emotion", "seed").dropna("attribute").to_numpy()
    names, pairs = ("mask", "emotion", "seed"), list(combinations(range(3), 2))
    if min(values.shape) < 2 or not varies(values):
        return dict.fromkeys(["residual", *(f"{names[a]}:{names[b]}" for a, b in pairs), *names], float("nan"))
    square = {axes: _mean_square(values, axes) for axes in [(0,), (1,), (2,), *pairs, (0, 1, 2)]}
    residual = square[0, 1, 2]
    out = {"residual": residual}
    out |= {f"{names[a]}:{names[b]}": (square[a, b] - residual) / values.shape[3 - a - b] for a, b in pairs}
    for a in range(3):
        interactions = sum(square[pair] for pair in pairs if a in pair) - residual
        out[names[a]] = (square[(a,)] - interactions) * values.shape[a] / values.size
    positive = {name: max(float(value), 0.0) for name, value in out.items()}
    return {name: value / sum(positive.values()) for name, value in positive.items()}


def compare_components(accuracy: xr.DataArray) -> pd.DataFrame:
    """Variance components of each kind of mask; one row a component, one column a kind (:func:`variance_components`)."""
    return pd.DataFrame({str(kind): variance_components(accuracy.sel(kind=kind)) for kind in accuracy.kind.values})


def layer_profile(mask: xr.DataArray) -> xr.DataArray:
    """Share of each attribute's mask that lies in each layer; dims (attribute, layer). NaN for an empty mask."""
    total = mask.sum(("layer", "neuron"))
    return mask.sum("neuron") / total.where(total > 0)


def mean_depth(rank: xr.DataArray, sizes: Sequence[int]) -> xr.DataArray:
    """Mean layer (1 = first) of each attribute's top-N neurons; dims (attribute, size)."""
    profiles = [layer_profile(select_neurons(rank, size)) for size in sizes]
    depth = xr.concat(
        [(profile * profile.layer).sum("layer", skipna=False) for profile in profiles], pd.Index(sizes, name="size")
    )
    return depth.transpose("attribute", "size")


def explain_by_depth(accuracy: xr.DataArray, depth: xr.DataArray) -> pd.DataFrame:
    """How well the depth of masks (:func:`mean_depth`) explains the mean accuracy under them, over attributes.

    Parameters
    ----------
    accuracy, depth : DataArray, dims (attribute, size)

    Returns
    -------
    DataFrame
        One row an N: ``shallowest`` and ``deepest`` mask's mean layer, ``r`` of accuracy and mean layer, ``explained``
        share of variance; no row where all masks are equally deep.
    """
    depth = depth.isel(size=((depth.max("attribute") - depth.min("attribute")) > 1e-9).values)
    r = correlate(accuracy.sel(size=depth["size"]), depth)
    columns = {"shallowest": depth.min("attribute"), "deepest": depth.max("attribute"), "r": r, "explained": r**2}
    return pd.DataFrame({name: c.values for name, c in columns.items()}, index=pd.Index(depth["size"].values, name="N"))


def correlate_given_depth(drop: xr.DataArray, importance: xr.DataArray, depth: xr.DataArray) -> float:
    """Pearson r over attributes between drop and importance, given the masks' depth; each with dims (attribute,)."""
    table = np.array([array.sel(attribute=drop.attribute).values for array in (drop, importance, depth)])
    table = table[:, np.isfinite(table).all(0)]
    return partial_correlation(*table) if all(varies(row) for row in table) else float("nan")


def leave_one_out(drop: xr.DataArray, importance: xr.DataArray) -> xr.DataArray:
    """Pearson r over attributes between drop and importance with each attribute left out; dims (attribute, ...)."""
    names = list(drop.attribute.values)
    parts = [correlate(drop.drop_sel(attribute=name), importance.drop_sel(attribute=name)) for name in names]
    return xr.concat(parts, dim=xr.DataArray(names, dims="attribute", name="attribute"))


def _t_test(values: np.ndarray, unit: str) -> TestResult:
    """Two-sided t test of a mean against 0, of what is defined; NaN but for the mean where the values do not vary."""
    values = values[np.isfinite(values)]
    if not varies(values):
        value, none = float(values.mean()) if len(values) else float("nan"), float("nan")
        return TestResult(value, none, len(values) - 1, none, none, none, unit)
    result = scipy.stats.ttest_1samp(values, 0)
    low, high = result.confidence_interval()
    numbers = (float(result.statistic), int(result.df), float(result.pvalue), float(low), float(high))
    return TestResult(float(values.mean()), *numbers, unit)


def _mean_square(values: np.ndarray, axes: tuple[int, ...]) -> float:
    """Mean square of the effect (interaction) of these axes in a full crossed layout with one value a cell."""
    effect = values
    for axis in range(3):
        if axis in axes:
            effect = effect - effect.mean(axis, keepdims=True)
        else:
            effect = effect.mean(axis, keepdims=True)
    repeats = np.prod([values.shape[k] for k in range(3) if k not in axes])
    df = np.prod([values.shape[k] - 1 for k in axes])
    return float((effect**2).sum() * repeats / df)
