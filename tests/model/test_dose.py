"""Doses and sufficiency: dose 0 is silencing, dose 1 nothing, and all neurons alone are the whole network."""

import numpy as np
import pytest
import tiny
import xarray as xr

from emonb.model.backbone import Live
from emonb.model.silencing import DOSES, dose_prompts
from emonb.run.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny.make_run(tmp_path_factory.mktemp("dose"), "dose")


def test_dose_zero_is_the_lesion_and_dose_one_the_intact_network(run: Run) -> None:
    dose, lesions = run.load("dose"), run.load("lesions")
    assert dose.kind.values.tolist() == ["selective", run.study.lesions.comparison] * len(run.study.attributes)
    for name, intact in (("accuracy", "baseline"), ("auc", "baseline_auc")):
        np.testing.assert_allclose(
            dose[name].sel(dose=1.0), lesions[intact].expand_dims(mask=dose.sizes["mask"]), atol=1e-9
        )
        for kind in ("selective", run.study.lesions.comparison):
            mine = dose[name].sel(dose=0.0)[(dose.kind == kind).values]
            there = lesions[name].sel(kind=kind, size=8, attribute=dose.attribute.values[(dose.kind == kind).values])
            np.testing.assert_allclose(mine, there, atol=1e-9)


def test_all_neurons_alone_are_the_whole_network(run: Run) -> None:
    masks = run.load("masks")
    everything = masks.assign(silenced=xr.ones_like(masks.silenced))
    live = Live(run.backbone(), 2, 24, run.load("comments"), run.study.tuning, "cpu", 1)
    seeds, lesions = run.study.lesioned_seeds, run.study.lesions
    found = dose_prompts(live, run.load("prompts"), everything, seeds, 8, lesions, progress=False)
    np.testing.assert_allclose(found.only_accuracy, found.accuracy.sel(dose=1.0))
    np.testing.assert_allclose(found.only_auc, found.auc.sel(dose=1.0))
    assert found.dose.values.tolist() == list(DOSES)
