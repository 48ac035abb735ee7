"""Masks moved together keep what they are as sets, are lesioned like the others, and are committed as they come."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import xarray as xr

from emonb.analysis.lesions import relate_masks, take_masks
from emonb.data import committed
from emonb.errors import PartError
from emonb.model.backbone import Live
from emonb.model.silencing import lesion_prompts, move_masks
from emonb.run.parts import make_part, parts_of
from emonb.run.runs import Run


def _masks(n: int = 5) -> xr.DataArray:
    values = np.random.default_rng(2).random((n, 3, 40)) < np.array([0.1, 0.3, 0.6])[:, None]
    return xr.DataArray(values, {"layer": [1, 2, 3], "neuron": range(40)}, ("mask", "layer", "neuron"))


@pytest.mark.parametrize("within_layers", [False, True])
def test_moved_masks_keep_sizes_and_overlaps(within_layers: bool) -> None:
    masks = _masks()
    moved, other = (move_masks(masks, number, within_layers, 7) for number in (0, 1))
    flat, now = (each.values.reshape(5, -1).astype(int) for each in (masks, moved))
    np.testing.assert_array_equal(now @ now.T, flat @ flat.T)
    assert (moved.sum("neuron") == masks.sum("neuron")).all() == within_layers
    assert not moved.equals(masks) and not moved.equals(other)
    assert moved.equals(move_masks(masks, 0, within_layers, 7)) and not moved.equals(move_masks(masks, 0, within_layers, 8))


def test_every_place_is_as_likely_for_a_neuron() -> None:
    masks = xr.DataArray(np.eye(1, 12, dtype=bool).reshape(1, 3, 4), dims=("mask", "layer", "neuron"))
    for within_layers, places in ((False, 12), (True, 4)):
        drawn = np.mean([move_masks(masks, k, within_layers, 0).values.ravel() for k in range(3000)], axis=0)
        assert drawn[:places] == pytest.approx(1 / places, abs=0.035) and drawn.sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny.make_run(tmp_path_factory.mktemp("moved"), "lesions", **{"inference.bijections": 3})


def test_moved_masks_are_lesioned_like_others_and_those_that_are_made_can_be_committed(run: Run, tmp_path: Path) -> None:
    study, masks = run.study, run.load("masks")
    with pytest.raises(PartError, match="3 of 3 parts are missing"):
        run.make("bijections", parts_of(run, "bijections", join=True, so_far=True))
    make_part(run, "bijections", 1, 3)
    first = run.make("bijections", parts_of(run, "bijections", join=True, so_far=True))
    moved = run.load("bijections")
    assert moved.sizes["bijection"] == 3
    np.testing.assert_array_equal(first.accuracy, moved.accuracy[:1])
    chosen = ((masks.kind == "selective") & (masks["size"] == study.size)).values
    own = masks.isel(mask=chosen)
    again = own.assign(silenced=move_masks(own.silenced, 1, study.keeps_layers, study.lesions.seed))
    live = Live(run.backbone(), study.layers, study.neurons, run.load("comments"), study.tuning, "cpu")
    given = (study.lesioned_seeds, study.attributes, [study.size], study.lesions)
    found = lesion_prompts(live, run.load("prompts"), again, *given, progress=False)
    np.testing.assert_allclose(moved.accuracy.isel(bijection=1), found.mask_accuracy, atol=1e-9)
    log = {"device": "cpu", "seconds": 1.0}
    files = {"bijections": committed.write("bijections", first, run.recipe("bijections"), tmp_path, log, masks)}
    given = (study.attributes, study.size, 3, study.keeps_layers, files, run.recipe("bijections"))
    xr.testing.assert_equal(committed.read_bijections(masks, *given), first)
    some = committed.read_bijections(masks, study.attributes[:2], *given[1:])
    assert some.attribute.values.tolist() == list(study.attributes[:2])
    for change in ({1: 7}, {3: not study.keeps_layers}, {4: {}}):
        other = [change.get(k, value) for k, value in enumerate(given)]
        assert committed.read_bijections(masks, *other).sizes["bijection"] == 0
    flipped = masks.assign(silenced=masks.silenced[..., ::-1].assign_coords(neuron=masks.neuron.values))
    assert committed.read_bijections(flipped, *given).sizes["bijection"] == 0  # of other masks
    assert relate_masks(take_masks(masks, [study.size])).notnull().any()
