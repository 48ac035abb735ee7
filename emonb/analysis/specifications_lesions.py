"""Specifications of the claims about lesions: N, seeds, comparison, measure, what a loss is counted from, and the test."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.depth import adjust_for_depth
from emonb.analysis.estimates import Estimate
from emonb.analysis.importance import draw_importance, name_subsets, test_loss
from emonb.analysis.multiverse import Plan, known, named
from emonb.analysis.populations import ALL, compare_fixed, compare_sampled, find_majority, is_matched, mask_means
from emonb.analysis.rdm import halve
from emonb.analysis.specificity import test_specificity

PERMUTATIONS = 999
AREA, INTACT = "area", "intact"


def plan_lesions(
    lesions: xr.Dataset,
    depth: xr.DataArray,
    middle: float,
    rdms: xr.Dataset,
    score: xr.DataArray,
    sizes: Sequence[int],
    seed: int,
) -> dict[str, Plan]:
    """Choices and analysis of *lesions*, *lesions-general*, *majority*, *specificity* and *importance*.

    Parameters
    ----------
    lesions : Dataset
    depth : DataArray, dims (attribute, size)
        Mean layer of the neurons silenced (:func:`emonb.analysis.lesions.mean_depth`).
    middle : float
        Mean layer of the network.
    rdms : Dataset
        ``human`` (pair), ``attribute_rdm`` (attribute, pair).
    score : DataArray, dims (emotion, attribute)
    sizes : sequence of int
    seed : int
    """
    masks = _Masks(lesions, sizes)
    return {
        **_lesions(masks, depth, middle),
        "majority": _majority(masks, seed),
        "specificity": _specificity(masks, score, seed),
        "importance": _importance(masks, rdms, score, seed),
    }


def _lesions(masks: "_Masks", depth: xr.DataArray, middle: float) -> dict[str, Plan]:
    """Random minus selective masks, for these attributes and for attributes in general."""

    @cache
    def compare(population: str, comparison: str, measure: str, seeds_: str, area: bool) -> pd.DataFrame:
        selective, random = masks.pair(seeds_, measure, comparison)
        if population == "fixed":
            return compare_fixed(selective, random, area)
        return compare_sampled(selective, random, is_matched(comparison), area)

    @cache
    def adjust(comparison: str, measure: str, seeds_: str) -> pd.DataFrame:
        selective, random = masks.pair(seeds_, measure, comparison)
        return adjust_for_depth(selective, depth.sel(attribute=selective.attribute), random, middle)

    def fixed(comparison: str, measure: str, seeds_: str, N: Any) -> Estimate | None:
        return _row(compare("fixed", comparison, measure, seeds_, N == AREA), N)

    def sampled(comparison: str, measure: str, seeds_: str, N: Any, depth_: str) -> Estimate | None:
        if depth_ == "no":
            return _row(compare("sampled", comparison, measure, seeds_, N == AREA), N)
        return None if N == AREA or is_matched(comparison) else _row(adjust(comparison, measure, seeds_), N)

    choices = masks.choices if len(masks.sizes) == 1 else {**masks.choices, "N": [*masks.choices["N"], AREA]}
    return {
        "lesions": named(choices, fixed),
        "lesions-general": named({**choices, "depth_": ["no", "adjusted"]}, sampled),
    }


def _majority(masks: "_Masks", seed: int) -> Plan:
    def analyse(comparison: str, measure: str, seeds_: str, N: Any) -> Estimate | None:
        return known(find_majority(*masks.pair(seeds_, measure, comparison, N, by_emotion=True), PERMUTATIONS, seed))

    return named(masks.choices, analyse)


def _specificity(masks: "_Masks", score: xr.DataArray, seed: int) -> Plan:
    """Loss against the intact network, or against each kind of random mask."""

    def analyse(measure: str, seeds_: str, N: Any, baseline: str) -> Estimate | None:
        loss = masks.loss(seeds_, measure, baseline, N, by_emotion=True).mean("size")
        if loss.sizes["attribute"] < 3:
            return None
        level = score.transpose("attribute", "emotion").sel(attribute=loss.attribute)
        return known(test_specificity(loss, level, PERMUTATIONS, seed).slope)

    return named(_baselines(masks.choices), analyse)


def _importance(masks: "_Masks", rdms: xr.Dataset, score: xr.DataArray, seed: int) -> Plan:
    """Loss as for specificity; all attributes, or without the two that are most alike; attributes or emotions permuted."""
    drawn = draw_importance(rdms.attribute_rdm, rdms.human, PERMUTATIONS, seed)
    subsets = name_subsets(score)

    @cache
    def test(measure: str, seeds_: str, baseline: str, attributes: str) -> pd.DataFrame:
        loss = masks.loss(seeds_, measure, baseline)
        kept = [name for name in loss.attribute.values if name in subsets[attributes]]
        return test_loss(loss.sel(attribute=kept), drawn, seed)

    def analyse(measure: str, seeds_: str, N: Any, baseline: str, attributes: str, permuted: str) -> Estimate | None:
        table = test(measure, seeds_, baseline, attributes)
        return _row(table if permuted == "attributes" else table.assign(p=table["p_emotions"]), N)

    return named({**_baselines(masks.choices), "attributes": subsets, "permuted": ["attributes", "emotions"]}, analyse)


class _Masks:
    """Means of masks, each made once, and the choices that all claims about lesions have."""

    def __init__(self, data: xr.Dataset, sizes: Sequence[int]) -> None:
        self.sizes, seeds = list(sizes), halve(data.seed.values)
        self.choices: dict[str, list[Any]] = {
            "comparison": [str(kind) for kind in data.kind.values if kind != "selective"],
            "measure": [name for name in ("accuracy", "auc") if name in data],
            "seeds_": list(seeds),
            "N": [*sizes, ALL],
        }

        @cache
        def read(seeds_: str, measure: str, kind: str, by_emotion: bool) -> xr.DataArray:
            return mask_means(data.sel(seed=seeds[seeds_]), kind, self.sizes, measure, by_emotion)

        self._read = read

    def pair(
        self, seeds_: str, measure: str, comparison: str, N: Any = ALL, by_emotion: bool = False
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Selective masks and random ones."""
        sizes = self.sizes if N == ALL else [N]
        selective, random = (
            self._read(seeds_, measure, kind, by_emotion).sel(size=sizes) for kind in ("selective", comparison)
        )
        return selective, random

    def loss(self, seeds_: str, measure: str, baseline: str, N: Any = ALL, by_emotion: bool = False) -> xr.DataArray:
        """Loss against random masks, or against the intact network, whose accuracy is a constant and left out."""
        selective, other = self.pair(seeds_, measure, "selective" if baseline == INTACT else baseline, N, by_emotion)
        return -selective.mean("draw") if baseline == INTACT else other.mean("draw") - selective.mean("draw")


def _baselines(choices: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The same with what a loss is counted from in place of the comparison."""
    return {**{k: v for k, v in choices.items() if k != "comparison"}, "baseline": [INTACT, *choices["comparison"]]}


def _row(table: pd.DataFrame, name: Any) -> Estimate | None:
    row = table.loc[ALL if name == AREA else name]
    return known(Estimate(*(float(row.get(field, np.nan)) for field in Estimate._fields)))
