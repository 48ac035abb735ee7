"""Whose loss: what is planted is found whatever the margins and the sign, and nothing where nothing is."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import profile
from emonb.analysis.rdm import pair_coords

ATTRIBUTES = [f"a{k}" for k in range(14)]


def _tables(rng: np.random.Generator, slope: float = 0.0) -> tuple[xr.DataArray, xr.DataArray]:
    """Losses and standing of 14 attributes and 20 emotions, families of which suffer together under any mask."""
    family = np.eye(4)[rng.integers(0, 4, 20)]
    standing = rng.normal(size=(14, 4)) @ family.T + 0.5 * rng.normal(size=(14, 20))
    noise = rng.normal(size=(14, 4)) @ family.T + 0.5 * rng.normal(size=(14, 20))
    loss = slope * scipy.stats.zscore(standing, axis=1) + 0.02 * noise + rng.normal(size=(14, 1)) + rng.normal(size=20)
    coords = {"attribute": ATTRIBUTES, "emotion": range(20)}
    return xr.DataArray(loss, coords, tuple(coords)), xr.DataArray(standing, coords, tuple(coords))


def test_an_emotion_stands_out_at_either_end() -> None:
    score = np.array([[-3.0, 0.0, 0.5, 1.0, 3.0]])
    i, j = np.triu_indices(5, 1)
    pairs = pair_coords(list("vwxyz"))
    rdm = xr.DataArray(np.abs(score[:, i] - score[:, j]), {"attribute": ["a0"], **pairs}, ("attribute", "pair"))
    found = profile.stand_out(rdm)
    expected = [np.abs(np.delete(score[0], k) - score[0, k]).mean() for k in range(5)]
    assert found.sel(emotion=list("vwxyz")).values[0] == pytest.approx(expected)
    flipped = profile.stand_out(rdm.copy(data=np.abs(-score[:, i] + score[:, j])))
    xr.testing.assert_allclose(found, flipped)


def test_a_planted_slope_is_found_whatever_the_margins() -> None:
    loss, standing = _tables(np.random.default_rng(16), slope=0.03)
    random = xr.DataArray(
        0.02 * np.random.default_rng(0).normal(size=(40, 20)), {"emotion": range(20)}, ("mask", "emotion")
    )
    found = profile.profile_test(loss, standing, 499, 0, random=random)
    assert found.slope.low < 0.03 < found.slope.high and found.slope.p < 0.01 and found.p_random < 0.01
    assert found.positive >= 12
    by_attribute = {"attribute": ATTRIBUTES}
    shifted = loss + xr.DataArray(5.0 * np.arange(14), by_attribute, ("attribute",))
    shifted = shifted + xr.DataArray(np.arange(20.0), {"emotion": range(20)}, ("emotion",))
    again = profile.profile_test(shifted, standing.isel(emotion=slice(None, None, -1)), 499, 0)
    assert again.slope == pytest.approx(found.slope) and np.isnan(again.p_random)
    share = profile.profile_test(loss, standing, 499, 0, cost=0.1)
    assert share.slope[:5] == pytest.approx([10 * number for number in found.slope[:5]]) and share.slope.p == found.slope.p
    dummies = pd.get_dummies(
        loss.to_series().reset_index()[["attribute", "emotion"]].astype(str), drop_first=True, dtype=float
    )
    x = np.column_stack([np.ones(280), scipy.stats.zscore(standing.values, axis=1).ravel(), dummies])
    assert found.slope.value == pytest.approx(np.linalg.lstsq(x, loss.values.ravel(), rcond=None)[0][1])
    with pytest.raises(ValueError, match="same emotions, got 20 and 5"):
        profile.profile_test(loss, standing.isel(emotion=slice(5)), 9, 0)
    with pytest.raises(ValueError, match="at least as many random masks"):
        profile.profile_test(loss, standing, 9, 0, random=random[:5])


def test_the_attribute_is_the_unit_and_not_the_emotion() -> None:
    rng = np.random.default_rng(17)
    found = [profile.profile_test(*_tables(rng), 199, k) for k in range(200)]
    assert 0.02 <= np.mean([f.slope.p < 0.05 for f in found]) <= 0.09
    assert np.mean([f.p_emotions < 0.05 for f in found]) > 0.12  # families of emotions suffer together
    assert np.mean([f.slope.low <= 0 <= f.slope.high for f in found]) >= 0.93
    assert np.mean([f.positive for f in found]) == pytest.approx(7, abs=0.5)
