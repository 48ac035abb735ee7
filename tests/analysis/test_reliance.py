"""Profiles over the attributes, min-P over labels, and double semi-partialing, against brute force and known truth."""

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import reliance
from emonb.analysis.rdm import pair_coords, pair_index
from emonb.analysis.words import estimate_given, permute_residuals
from emonb.errors import LabelError

NAMES = [f"e{k:02}" for k in range(27)]


FIRST, SECOND = pair_index(27)


def _rdm(vector: np.ndarray, names: list[str] = NAMES) -> xr.DataArray:
    return xr.DataArray(vector, dims="pair", coords=pair_coords(names))


def _attributes(scores: np.ndarray) -> xr.DataArray:
    """RDMs of scores [attribute, emotion]."""
    i, j = pair_index(scores.shape[1])
    names = [f"a{k}" for k in range(len(scores))]
    coords = {"attribute": names, **pair_coords([f"e{k:02}" for k in range(scores.shape[1])])}
    return xr.DataArray(np.abs(scores[:, i] - scores[:, j]), dims=("attribute", "pair"), coords=coords)


def _weighted(attributes: xr.DataArray, weights: np.ndarray, rng: np.random.Generator, noise: float = 1) -> xr.DataArray:
    own = rng.normal(size=(3, 27))
    return _rdm(weights @ attributes.values + noise * np.abs(own[:, FIRST] - own[:, SECOND]).mean(0))


def test_profile_correlation_and_its_p_are_those_of_every_relabelling() -> None:
    rng = np.random.default_rng(0)
    names = [f"e{k:02}" for k in range(5)]
    attributes = _attributes(rng.normal(size=(4, 5)))
    i, j = pair_index(5)
    model, human = rng.random((2, 10))
    found = reliance.compare_profiles(_rdm(model, names), _rdm(human, names), attributes, 4000, 0)

    def profile(rdm: np.ndarray) -> list[float]:
        return [scipy.stats.kendalltau(rdm, a).statistic for a in attributes.values]

    assert found.value == pytest.approx(np.corrcoef(profile(model), profile(human))[0, 1])
    square = np.zeros((5, 5))
    square[i, j] = square[j, i] = model
    every = [profile(square[np.ix_(o, o)][i, j]) for o in map(list, itertools.permutations(range(5)))]
    null = np.array([np.corrcoef(p, profile(human))[0, 1] for p in every])
    assert found.p_greater == pytest.approx((null >= found.value - 1e-9).mean(), abs=0.03)
    assert found.p == pytest.approx((abs(null) >= abs(found.value) - 1e-9).mean(), abs=0.03)


def test_same_reliance_is_found_and_the_opposite_is_not() -> None:
    rng = np.random.default_rng(1)
    attributes = _attributes(rng.normal(size=(14, 27)))
    weights = np.r_[np.ones(7), np.zeros(7)]
    human, alike, other = (_weighted(attributes, w, rng) for w in (weights, weights, weights[::-1]))
    same = reliance.compare_profiles(alike, human, attributes, 199, 0)
    opposite = reliance.compare_profiles(other, human, attributes, 199, 0)
    assert (same.value > 0.7, same.p_greater, same.p) == (True, 1 / 200, 1 / 200)
    assert -1 < opposite.low < opposite.low90 < opposite.value < opposite.high90 < opposite.high < 0
    assert opposite.p_greater > 0.5
    assert same.low < same.value < same.high < 1


def test_reliance_is_calibrated_with_dependent_attributes_and_families_of_emotions() -> None:
    rng = np.random.default_rng(2)
    p = []
    for _ in range(100):
        side = rng.choice([-1, 1], 27)
        scores = 1.5 * side * rng.random((14, 1)) + rng.normal(size=(14, 27))  # attributes up to about .8 correlated
        attributes = _attributes(scores)
        human = _weighted(attributes, rng.random(14), rng)
        model = np.r_[2 * rng.choice([-1, 1], 27)[None], rng.normal(size=(3, 27))]  # other families
        found = reliance.compare_profiles(
            _rdm(np.abs(model[:, FIRST] - model[:, SECOND]).mean(0)), human, attributes, 99, 5
        )
        p.append((found.p_greater, found.p))
    for side in np.array(p).T:
        assert scipy.stats.binomtest(int((side <= 0.05).sum()), 100, 0.05).pvalue > 0.001


def test_min_p_equals_its_definition_and_counts_what_is_followed() -> None:
    rng = np.random.default_rng(3)
    attributes = _attributes(np.round(rng.normal(size=(6, 27)), 1))
    target = _weighted(attributes, np.array([1, 1, 0.5, 0, 0, 0]), rng)
    found = reliance.step_down(attributes, target, 499, 7)
    assert (found["p_fwe"] >= found["p_greater"] - 1e-12).all()
    assert (found["p_fwe"].iloc[:2] < 0.01).all() and (found["p_fwe"].iloc[3:] > 0.05).all()
    from emonb.analysis.statistics import mantel_test

    single = mantel_test(attributes, target, 499, 7)
    assert found["tau"].tolist() == pytest.approx(single.statistic[:, 0].tolist())
    assert found["p_fwe"].iloc[found["p_greater"].argmax()] == pytest.approx(
        max(found["p_greater"].max(), found["p_fwe"].max())
    )


def test_min_p_keeps_the_family_wise_rate() -> None:
    rng = np.random.default_rng(4)
    smallest = []
    for _ in range(150):
        scores = np.r_[rng.normal(size=(4, 27)), rng.choice([0, 1], (3, 27)) + 0.1 * rng.normal(size=(3, 27))]
        points = rng.normal(size=(2, 27))
        target = _rdm(np.abs(points[:, FIRST] - points[:, SECOND]).mean(0))
        smallest.append(reliance.step_down(_attributes(scores), target, 299, 5)["p_fwe"].min())
    hits = int((np.array(smallest) <= 0.05).sum())
    assert scipy.stats.binomtest(hits, 150, 0.05, alternative="greater").pvalue > 0.001
    assert hits > 0


def test_rdms_of_other_pairs_are_refused() -> None:
    rng = np.random.default_rng(5)
    attributes = _attributes(rng.normal(size=(3, 27)))
    moved = _rdm(attributes.values[0], NAMES[::-1])
    with pytest.raises(LabelError, match="different pairs"):
        reliance.compare_profiles(moved, moved, attributes, 9, 0)


def test_semi_partialing_has_the_same_correlation_finds_what_is_left_and_nothing_where_all_is_explained() -> None:
    rng = np.random.default_rng(6)
    shared, own = rng.normal(size=(2, 27, 2))
    dist = lambda points: np.linalg.norm(points[FIRST] - points[SECOND], axis=1)  # noqa: E731
    covariate = dist(shared)
    model, human = (dist(np.c_[shared, own, rng.normal(size=27)]) for _ in range(2))
    found = permute_residuals(model, human, covariate, 499, 0)
    assert found.value == pytest.approx(estimate_given(model, human, covariate).value)
    assert found.p_greater == found.p == 1 / 500
    nothing = permute_residuals(covariate**2, human, covariate, 99, 0)
    assert (nothing.value, nothing.p_greater, nothing.p) == (0, 1, 1)
    against = permute_residuals(-model, human, -covariate, 499, 0)
    assert (against.p_greater > 0.9, against.p) == (True, 1 / 500)
