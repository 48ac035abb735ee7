"""Specifications of the claims about lesions: N, seeds, comparison, measure, what a loss is counted from, and the test."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.estimates import Estimate
from emonb.analysis.importance import draw_importance, name_subsets, test_loss
from emonb.analysis.multiverse import Plan, known, named
from emonb.analysis.populations import ALL, compare_masks, is_matched, mask_means, relate_masks
from emonb.analysis.profile import stand_out, test_profile
from emonb.analysis.rdm import halve

PERMUTATIONS = 999
INTACT = "intact"


def plan_lesions(
    lesions: xr.Dataset,
    sets: xr.DataArray,
    rdms: xr.Dataset,
    score: xr.DataArray,
    sizes: Sequence[int],
    seed: int,
) -> dict[str, Plan]:
    """Choices and analysis of *lesions*, *profile* and *importance*.

    Parameters
    ----------
    lesions : Dataset
    sets : DataArray of bool, dims (attribute, size, layer, neuron)
        The neurons silenced (:func:`emonb.analysis.populations.rank_masks`).
    rdms : Dataset
        ``human`` (pair), ``attribute_rdm`` (attribute, pair).
    score : DataArray, dims (emotion, attribute)
    sizes : sequence of int
    seed : int
    """
    masks = _Masks(lesions, sizes)
    return {
        "lesions": _lesions(masks, sets),
        "profile": _profile(masks, rdms, seed),
        "importance": _importance(masks, rdms, score, seed),
    }


def _lesions(masks: "_Masks", sets: xr.DataArray) -> Plan:
    """Loss under attributes' masks as a share of that under each kind of random mask."""
    related = {matched: relate_masks(sets, matched) for matched in {is_matched(k) for k in masks.choices["comparison"]}}

    @cache
    def compare(comparison: str, measure: str, seeds_: str) -> pd.DataFrame:
        selective, random = masks.pair(seeds_, measure, comparison)
        matched, intact = is_matched(comparison), masks.intact(seeds_, measure)
        return compare_masks(selective, random, related[matched], intact, matched)

    def analyse(comparison: str, measure: str, seeds_: str, N: Any) -> Estimate | None:
        return _row(compare(comparison, measure, seeds_), N)

    return named(masks.choices, analyse)


def _profile(masks: "_Masks", rdms: xr.Dataset, seed: int) -> Plan:
    """Loss against the intact network, or against each kind of random mask; as a share of what the latter cost."""
    standing, kinds = stand_out(rdms.attribute_rdm), masks.choices["comparison"]

    def analyse(measure: str, seeds_: str, N: Any, baseline: str) -> Estimate | None:
        loss = masks.loss(seeds_, measure, baseline, N, by_emotion=True).mean("size")
        if loss.sizes["attribute"] < 3:
            return None
        random = masks.pair(seeds_, measure, kinds[0] if baseline == INTACT else baseline, N)[1]
        cost = masks.intact(seeds_, measure) - float(random.mean())
        return known(test_profile(loss, standing.sel(attribute=loss.attribute), PERMUTATIONS, seed, cost).slope)

    return named(_baselines(masks.choices), analyse)


def _importance(masks: "_Masks", rdms: xr.Dataset, score: xr.DataArray, seed: int) -> Plan:
    """Loss as for the profile; all attributes, or without the two that are most alike; attributes or emotions permuted."""
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

        def intact(seeds_: str, measure: str) -> float:
            baseline = data["baseline" if measure == "accuracy" else f"baseline_{measure}"]
            return float(baseline.sel(seed=seeds[seeds_]).mean())

        self._read, self.intact = read, intact

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
    row = table.loc[name]
    return known(Estimate(*(float(row.get(field, np.nan)) for field in Estimate._fields)))
