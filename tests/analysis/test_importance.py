"""Importance: whether what matters more costs more, by both permutations, and corrected for unreliable scores."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import importance, people, structure
from emonb.analysis.importance import correct_importance
from emonb.analysis.rdm import pair_coords

ATTRIBUTES = [f"a{k}" for k in range(14)]


def _rejects(tests: list[float], at_most: float = 0.08) -> None:
    rate = np.mean(np.array(tests) < 0.05)
    assert 0.02 <= rate <= at_most, rate


def _people(rng: np.random.Generator, n: int = 8) -> tuple[xr.DataArray, xr.DataArray]:
    i, j = np.triu_indices(n, 1)
    score = rng.normal(size=(14, n))
    coords = pair_coords([f"e{k}" for k in range(n)])
    rdms = xr.DataArray(
        np.abs(score[:, i] - score[:, j]), dims=("attribute", "pair"), coords={"attribute": ATTRIBUTES, **coords}
    )
    human = xr.DataArray(np.sqrt((score[:4, i] - score[:4, j]) ** 2).sum(0), dims="pair", coords=coords)
    return rdms, human


def test_importance_is_tau_and_loss_is_tested_by_both_permutations() -> None:
    rdms, human = _people(np.random.default_rng(18))
    drawn = importance.draw_importance(rdms, human, 30, 0)
    weight = [scipy.stats.kendalltau(row, human.values).statistic for row in rdms.values]
    assert drawn[0].values == pytest.approx(weight) and drawn.shape == (31, 14)
    loss = xr.DataArray(
        np.outer(drawn[0], [1, 0]) + 0.0, {"attribute": ATTRIBUTES, "size": [10, 20]}, ("attribute", "size")
    )
    loss[:, 0] += 0.05 * np.random.default_rng(0).normal(size=14)
    drawn = importance.draw_importance(rdms.isel(attribute=slice(None, None, -1)), human, 299, 1)
    table = importance.loss_test(loss, drawn, 1)
    drawn = drawn.sel(attribute=ATTRIBUTES)
    r = scipy.stats.pearsonr(loss[:, 0], drawn[0]).statistic
    assert table.loc[10, "value"] == pytest.approx(r) and table.loc["all", "value"] == pytest.approx(r)
    assert table.loc[10, "p"] == pytest.approx(1 / 300) and table.loc[10, "p_emotions"] < 0.05
    assert table.loc[20].isna().all()  # a constant loss relates to nothing
    without = importance.leave_out(loss, drawn[0], ["a0", "a1"])
    assert without[10] == pytest.approx(np.corrcoef(loss[2:, 0], drawn[0][2:])[0, 1])


def test_importance_is_calibrated_in_both_ways() -> None:
    rng, tests = np.random.default_rng(19), []
    for k in range(200):
        rdms, human = _people(rng)
        loss = xr.DataArray(rng.normal(size=(14, 1)), {"attribute": ATTRIBUTES, "size": [10]}, ("attribute", "size"))
        drawn = importance.draw_importance(rdms, human, 199, k)
        tests.append(importance.loss_test(loss, drawn, k).loc[10, ["p", "p_emotions"]])
    table = pd.DataFrame(tests).astype(float)
    _rejects(table.p.tolist(), 0.09)
    _rejects(table.p_emotions.tolist(), 0.09)


def test_duplicates_are_found() -> None:
    level = np.random.default_rng(20).normal(size=(3, 200))
    level[2] = -level[0] + 0.1 * level[1]
    scores = xr.DataArray(level, {"attribute": ["x", "y", "z"]}, ("attribute", "emotion"))
    ((first, second, r),) = importance.find_duplicates(scores)
    assert (first, second) == ("x", "z") and r < -0.9


def test_importance_is_corrected_by_name() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=(9, 3))
    rating = level + rng.normal(size=(8, 9, 3)) * [0.4, 1.2, 1.0]
    rating[..., 2] = rng.normal(size=(8, 9))  # nothing but noise
    judgment = np.abs(level[:, None, 0] - level[None, :, 0])[np.triu_indices(9, 1)] + 0.3 * rng.normal(size=(10, 36))
    data = xr.Dataset(
        {"rating": (("rater", "emotion", "attribute"), rating), "judgment": (("judge", "pair"), judgment)},
        {"attribute": ["clear", "faint", "noise"]},
    )
    tau = xr.DataArray([0.1, 0.3, 0.2], {"attribute": ["noise", "faint", "clear"]})
    table = correct_importance(tau, data, seed=1)
    assert list(table.index) == ["noise", "faint", "clear"] and list(table["importance"]) == [0.1, 0.3, 0.2]
    icc = people.assess_reliability(data.rating)["icc"]
    judges = structure.mean_reliability(judgment, 200, 1)
    for name in ("faint", "clear"):
        expected = table["importance"][name] / people.rdm_validity(icc[name]) / np.sqrt(judges)
        assert table["corrected"][name] == pytest.approx(expected)
        assert table["low"][name] < table["corrected"][name]
    assert table["corrected"]["clear"] == pytest.approx(0.2, rel=0.1)
    with pytest.raises(KeyError):
        correct_importance(tau.assign_coords(attribute=["noise", "faint", "other"]), data, seed=1)
