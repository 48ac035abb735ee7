import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from emonb.analysis import rdm, structure
from emonb.errors import LabelError


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_vector_and_square_are_inverse(n: int, seed: int) -> None:
    vector = np.random.default_rng(seed).random(n * (n - 1) // 2)
    square = rdm.to_square(vector)
    np.testing.assert_array_equal(square, square.T)
    np.testing.assert_array_equal(rdm.to_vector(square), vector)
    lower = [square[i, j] for j in range(n) for i in range(j + 1, n)]  # lower triangle, column by column
    np.testing.assert_array_equal(lower, vector)


def test_pairs_carry_both_names() -> None:
    coords = rdm.pair_coords(["a", "b", "c"])
    assert list(coords["pair"][1]) == ["a|b", "a|c", "b|c"]


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_pattern_distances_equal_scipy(distance: str) -> None:
    x = np.random.default_rng(0).normal(size=(6, 40))
    np.testing.assert_allclose(rdm.pattern_rdm(x, distance), pdist(x, distance), atol=1e-12)


def test_unusable_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="constant"):
        rdm.pattern_rdm(np.ones((3, 4)))
    with pytest.raises(ValueError, match="unknown distance"):
        rdm.pattern_rdm(np.eye(3), "cosine")
    with pytest.raises(ValueError, match="not a number of pairs"):
        rdm.to_square(np.ones(4))
    with pytest.raises(ValueError, match="symmetric"):
        rdm.to_vector(np.arange(9.0).reshape(3, 3))


def _activations(seed: int = 0, seeds: int = 4, emotions: int = 5) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(seeds, emotions, 2, 7))
    coords = {"seed": range(seeds), "emotion": list("abcdefgh"[:emotions]), "layer": [1, 2], "neuron": range(7)}
    return xr.DataArray(values, dims=("seed", "emotion", "layer", "neuron"), coords=coords)


def test_neuron_rdms_equal_the_plain_expression() -> None:
    values = np.random.default_rng(1).normal(size=(4, 5, 2, 67))  # two blocks of neurons and a remainder
    for dtype in (np.float64, np.float32):
        a = xr.DataArray(values.astype(dtype), dims=("seed", "emotion", "layer", "neuron"))
        v = a.values.reshape(4, 5, 134).astype(np.float64)
        i, j = np.triu_indices(5, 1)
        np.testing.assert_allclose(rdm.average_neuron_rdms(a), np.abs(v[:, i] - v[:, j]).mean(0).T, rtol=1e-14)


def test_rdms_follow_names_not_positions() -> None:
    a = _activations()
    order = ["c", "a", "e", "b", "d"]
    human = xr.Dataset(
        {"dissimilarity": ("pair", np.arange(10.0)), "judgment": (("judge", "pair"), np.ones((2, 10))),
         "attribute_rdm": (("attribute", "pair"), np.ones((1, 10)))},
        coords={"emotion": order, "attribute": ["x"], "judge": [1, 2], **rdm.pair_coords(order)},
    )  # fmt: skip
    made = rdm.compute_rdms(a, human)
    mean = a.mean("seed")
    expected = np.linalg.norm((mean.sel(emotion="e") - mean.sel(emotion="b")).values.ravel())
    assert float(made.model.sel(distance="euclidean", pair="e|b")) == pytest.approx(expected)
    with pytest.raises(LabelError, match="different emotions"):
        rdm.compute_rdms(a.assign_coords(emotion=list("vwxyz")), human)


def test_noise_ceiling_equals_rsatoolbox_leave_one_out() -> None:
    judgments = np.random.default_rng(3).normal(size=(6, 45)) + np.linspace(0, 3, 45)
    lower, upper = structure.noise_ceiling(judgments)
    brute = [structure.compare(judgments[k], np.delete(judgments, k, 0).mean(0), "rho") for k in range(6)]
    assert lower == pytest.approx(np.mean(brute), abs=1e-12)
    assert lower < upper
    with pytest.raises(ValueError, match="two judges"):
        structure.noise_ceiling(judgments[:1])


def test_judge_fits_and_mean_reliability() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=45)
    judgments = truth + rng.normal(size=(20, 45))
    models = xr.DataArray(np.stack([truth, -truth]), dims=("model", "pair"))
    got = structure.fit_judges(models, judgments)
    expected = np.mean([structure.compare(truth, judge, "rho") for judge in judgments])
    assert float(got[0]) == pytest.approx(expected, abs=1e-12)
    assert float(got[1]) == pytest.approx(-expected, abs=1e-12)
    assert structure.mean_reliability(judgments, 50, 0) == pytest.approx(20 / 21, abs=0.04)  # signal 1, noise 1 / 20
    assert abs(structure.mean_reliability(rng.normal(size=(20, 45)), 200, 0)) < 0.6


def test_scaling_recovers_a_flat_configuration() -> None:
    points = np.random.default_rng(5).normal(size=(9, 2))
    found = structure.map_emotions(pdist(points))
    np.testing.assert_allclose(pdist(found), pdist(points), atol=1e-9)
    np.testing.assert_allclose(structure.align_map(found, points), points - points.mean(0), atol=1e-9)


def test_seed_reliability_is_high_for_signal_and_zero_for_noise() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1, 8, 2, 300))
    coords = {"seed": range(8), "emotion": list("abcdefgh"), "layer": [1, 2], "neuron": range(300)}
    make = lambda scale: xr.DataArray(  # noqa: E731
        scale * signal + rng.normal(size=(8, 8, 2, 300)), dims=("seed", "emotion", "layer", "neuron"), coords=coords
    )
    strong, none = structure.vector_reliability(make(2.0)), structure.vector_reliability(make(0.0))
    assert float(strong.same.min()) > 0.7
    assert abs(float(none.same.mean())) < 0.02
    human = rdm.pattern_rdm(signal[0].reshape(8, -1))
    curve = structure.reliability_by_seeds(make(1.0), human, 20, 0)
    assert list(curve.n_seeds.values) == [1, 2, 3, 4]
    assert float(curve.fit.sel(n_seeds=4)) > float(curve.fit.sel(n_seeds=1))


def test_group_mean_rdm_by_gram_matrix_equals_the_direct_one() -> None:
    a = _activations(seeds=4, emotions=6)
    human = np.random.default_rng(0).random(15)
    curve = structure.reliability_by_seeds(a, human, 1, 7)
    draw = np.random.default_rng(7).permutation(4)[:2]
    fits = [structure.compare(rdm.pattern_rdm(a.values[[s]].mean(0).reshape(6, -1)), human, "rho") for s in draw]
    assert float(curve.fit.sel(n_seeds=1)) == pytest.approx(np.mean(fits), abs=1e-12)
