"""Masks are what they are called, and a study's plan chooses neurons by name and from the seeds it says."""

import numpy as np
import pytest
import xarray as xr

from emonb.analysis.masks import COMPARISONS, draw_masks, plan_masks
from emonb.analysis.neurons import search_neurons
from emonb.analysis.rdm import pair_coords, rank_neuron_rdms


def _rank(layers: int = 3, neurons: int = 48) -> xr.DataArray:
    rng = np.random.default_rng(4)
    rank = np.stack([rng.permutation(layers * neurons) + 1.0 for _ in range(2)]).reshape(2, layers, neurons)
    coords = {"attribute": ["x", "y"], "layer": range(1, layers + 1), "neuron": range(neurons)}
    return xr.DataArray(rank, dims=("attribute", "layer", "neuron"), coords=coords)


def test_random_masks_are_what_they_are_called() -> None:
    level, norm = (xr.DataArray(v, dims=("layer", "neuron")) for v in np.random.default_rng(0).random((2, 3, 48)))
    masks = draw_masks(_rank(), [10, 30], COMPARISONS, 5, 0, level, norm)
    assert masks.sizes["mask"] == 2 * 2 * (1 + 4 * 5)
    matched = ("random_matched", "random_norm")
    spread = {(kind, on): [] for kind in ("random_layer", *matched) for on in ("level", "norm")}
    for size in (10, 30):
        for a in "xy":
            mine = masks[((masks["size"] == size) & (masks.attribute == a)).values]
            (selective,) = mine.values[mine.kind == "selective"]
            assert _rank().sel(attribute=a).values[selective].max() == size
            for row in mine[(mine.kind != "selective").values]:
                drawn, kind = row.values, str(row.kind.values)
                assert drawn.sum() == size
                if kind != "random":
                    np.testing.assert_array_equal(drawn.sum(1), selective.sum(1))
                    for k in (k for k in range(3) if drawn[k].sum()):
                        for on, of in (("level", level), ("norm", norm)):
                            gap = np.sort(of.values[k][drawn[k]]) - np.sort(of.values[k][selective[k]])
                            spread[kind, on].append(np.abs(gap).mean())
                        if kind in matched and size == 10:
                            assert not (drawn[k] & selective[k]).any()
    gap = {key: np.mean(values) for key, values in spread.items()}
    assert gap["random_matched", "level"] < 0.6 * gap["random_layer", "level"]
    assert gap["random_norm", "norm"] < 0.6 * gap["random_layer", "norm"]
    assert gap["random_norm", "level"] > 0.8 * gap["random_layer", "level"]  # nothing is matched that was not asked for
    assert masks.identical(draw_masks(_rank(), [10, 30], COMPARISONS, 5, 0, level, norm))
    assert not masks.identical(draw_masks(_rank(), [10, 30], COMPARISONS, 5, 1, level, norm))
    for kind, what in (("random_matched", "mean absolute activation"), ("random_norm", "output norm")):
        with pytest.raises(ValueError, match=f"'{kind}' needs the {what} of every neuron"):
            draw_masks(_rank(), [10], [kind], 1, 0)
    with pytest.raises(ValueError, match="unknown comparison 'matched'"):
        draw_masks(_rank(), [10], ["matched"], 1, 0, level)


def test_a_larger_plan_holds_the_masks_of_a_smaller_one() -> None:
    small = draw_masks(_rank(), [10], ["random_layer"], 2, 0)
    large = draw_masks(_rank(), [30, 10], ["random", "random_layer"], 3, 0)
    labels = ("kind", "attribute", "size", "draw")
    held = {tuple(mask.coords[name].item() for name in labels): mask.values for mask in large}
    for mask in small:
        np.testing.assert_array_equal(held[tuple(mask.coords[name].item() for name in labels)], mask.values)
    assert len({mask.tobytes() for mask in large.values}) == large.sizes["mask"]  # no two draws are the same


def test_a_plan_selects_by_the_seeds_it_is_given_and_matches_on_all() -> None:
    rng = np.random.default_rng(1)
    emotions, coords = list("abcdefg"), {"seed": [1, 3, 5], "emotion": list("gfedcba"), "layer": [1, 2], "neuron": range(9)}
    acts = xr.DataArray(rng.normal(size=(3, 7, 2, 9)), dims=tuple(coords), coords=coords).to_dataset(name="activation")
    humans = xr.Dataset({"attribute_rdm": (("attribute", "pair"), rng.random((2, 21)))},
                        coords={"attribute": ["x", "y"], **pair_coords(emotions)})  # fmt: skip
    planned = plan_masks(acts, humans, [3, 1], [2, 4], ["random_matched"], 2, 7)
    assert planned.silenced.dims == ("mask", "layer", "neuron") and planned.silenced.dtype == bool
    rank = search_neurons(rank_neuron_rdms(acts.activation.sel(seed=[1, 3]), humans), humans)["rank"]
    level = abs(acts.activation).mean(("seed", "emotion"))
    xr.testing.assert_identical(planned.silenced, draw_masks(rank, [2, 4], ["random_matched"], 2, 7, level))
    norm = xr.DataArray(rng.random((2, 9)), dims=("layer", "neuron"), coords={"layer": [1, 2], "neuron": range(9)})
    by_norm = plan_masks(acts.assign(output_norm=norm), humans, [3, 1], [2], ["random_norm"], 2, 7)
    expected = draw_masks(rank, [2], ["random_norm"], 2, 7, level, level * norm)
    xr.testing.assert_identical(by_norm.silenced, expected)
    everyone = plan_masks(acts, humans, (), [4], ["random"], 1, 7)
    selective = everyone.silenced[(everyone.kind == "selective").values]
    best = search_neurons(rank_neuron_rdms(acts.activation, humans), humans)["rank"].values
    for mask, ranks in zip(selective.values, best, strict=True):
        assert sorted(ranks[mask]) == [1, 2, 3, 4]
