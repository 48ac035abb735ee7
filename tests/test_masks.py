"""Masks are what they are called, and a study's plan chooses neurons by name and from the seeds it says."""

import numpy as np
import pytest
import xarray as xr

from emonb.analysis.attributes import search_neurons
from emonb.analysis.masks import COMPARISONS, draw_masks, plan_masks
from emonb.analysis.rdm import pair_coords


def _rank(layers: int = 3, neurons: int = 48) -> xr.DataArray:
    rng = np.random.default_rng(4)
    rank = np.stack([rng.permutation(layers * neurons) + 1.0 for _ in range(2)]).reshape(2, layers, neurons)
    coords = {"attribute": ["x", "y"], "layer": range(1, layers + 1), "neuron": range(neurons)}
    return xr.DataArray(rank, dims=("attribute", "layer", "neuron"), coords=coords)


def test_random_masks_are_what_they_are_called() -> None:
    level = xr.DataArray(np.random.default_rng(0).random((3, 48)), dims=("layer", "neuron"))
    masks = draw_masks(_rank(), [10, 30], COMPARISONS, 5, 0, level)
    assert masks.sizes["mask"] == 2 * 2 * (1 + 3 * 5)
    spread = {"random_layer": [], "random_matched": []}
    for size in (10, 30):
        for a in "xy":
            mine = masks[((masks["size"] == size) & (masks.attribute == a)).values]
            (selective,) = mine.values[mine.kind == "selective"]
            assert _rank().sel(attribute=a).values[selective].max() == size
            for row in mine[(mine.kind != "selective").values]:
                drawn, kind = row.values, str(row.kind.values)
                assert drawn.sum() == size
                if kind in spread:
                    np.testing.assert_array_equal(drawn.sum(1), selective.sum(1))
                    for k in range(3):
                        if drawn[k].sum():
                            gap = np.sort(level.values[k][drawn[k]]) - np.sort(level.values[k][selective[k]])
                            spread[kind].append(np.abs(gap).mean())
                            if kind == "random_matched" and size == 10:
                                assert not (drawn[k] & selective[k]).any()
    assert np.mean(spread["random_matched"]) < 0.6 * np.mean(spread["random_layer"])
    assert masks.identical(draw_masks(_rank(), [10, 30], COMPARISONS, 5, 0, level))
    assert not masks.identical(draw_masks(_rank(), [10, 30], COMPARISONS, 5, 1, level))
    with pytest.raises(ValueError, match="needs the mean absolute activation"):
        draw_masks(_rank(), [10], ["random_matched"], 1, 0)
    with pytest.raises(ValueError, match="unknown comparison 'matched'"):
        draw_masks(_rank(), [10], ["matched"], 1, 0, level)


def test_a_plan_selects_by_the_seeds_it_is_given_and_matches_on_all() -> None:
    rng = np.random.default_rng(1)
    emotions, coords = list("abcdefg"), {"seed": [1, 3, 5], "emotion": list("gfedcba"), "layer": [1, 2], "neuron": range(9)}
    acts = xr.DataArray(rng.normal(size=(3, 7, 2, 9)), dims=tuple(coords), coords=coords).to_dataset(name="activation")
    humans = xr.Dataset({"attribute_rdm": (("attribute", "pair"), rng.random((2, 21)))},
                        coords={"attribute": ["x", "y"], **pair_coords(emotions)})  # fmt: skip
    planned = plan_masks(acts, humans, [3, 1], [2, 4], ["random_matched"], 2, 7)
    assert planned.silenced.dims == ("mask", "layer", "neuron") and planned.silenced.dtype == bool
    rank = search_neurons(acts.sel(seed=[1, 3]), humans)["rank"]
    level = abs(acts.activation).mean(("seed", "emotion"))
    xr.testing.assert_identical(planned.silenced, draw_masks(rank, [2, 4], ["random_matched"], 2, 7, level))
    everyone = plan_masks(acts, humans, (), [4], ["random"], 1, 7)
    selective = everyone.silenced[(everyone.kind == "selective").values]
    best = search_neurons(acts, humans)["rank"].values
    for mask, ranks in zip(selective.values, best, strict=True):
        assert sorted(ranks[mask]) == [1, 2, 3, 4]
