import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from emonb.analysis import prompts, rdm
from emonb.errors import LabelError


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_vector_and_square_are_inverse(n: int, seed: int) -> None:
    vector = np.random.default_rng(seed).random(n * (n - 1) // 2)
    square = rdm.to_square(vector)
    np.testing.assert_array_equal(square, square.T)
    np.testing.assert_array_equal(squareform(square), vector)
    lower = [square[i, j] for j in range(n) for i in range(j + 1, n)]  # lower triangle, column by column
    np.testing.assert_array_equal(lower, vector)


def test_pairs_carry_both_names() -> None:
    coords = rdm.pair_coords(["a", "b", "c"])
    assert list(coords["pair"][1]) == ["a|b", "a|c", "b|c"]


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_pattern_distances_equal_their_formulas(distance: str) -> None:
    x = np.random.default_rng(0).normal(size=(6, 40))
    i, j = np.triu_indices(6, 1)
    expected = {"correlation": (1 - np.corrcoef(x))[i, j], "euclidean": np.linalg.norm(x[i] - x[j], axis=1)}
    np.testing.assert_allclose(rdm.pattern_rdm(x, distance), expected[distance], atol=1e-12)


def test_unusable_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="constant"):
        rdm.pattern_rdm(np.array([[0.1] * 7, [*range(7)]]))  # 0.1 has no exact mean
    with pytest.raises(ValueError, match="unknown distance"):
        rdm.pattern_rdm(np.eye(3), "cosine")
    with pytest.raises(ValueError, match="not a number of pairs"):
        rdm.to_square(np.ones(4))


def test_an_order_is_read_from_the_names_of_the_pairs_or_refused() -> None:
    data = xr.Dataset(coords=rdm.pair_coords(["joy", "awe", "fear", "calm"]))
    assert rdm.pair_labels(data) == ["joy", "awe", "fear", "calm"]
    with pytest.raises(LabelError, match="not those of one triangle"):
        rdm.pair_labels(data.isel(pair=[1, 0, 2, 3, 4, 5]))
    with pytest.raises(LabelError, match="not those of one triangle"):
        rdm.pair_labels(data.isel(pair=slice(5)))
    with pytest.raises(LabelError, match="without names"):
        rdm.pair_labels(data.drop_vars("first"))


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
    made = rdm.compute_rdms(a.to_dataset(name="activation"), human)
    mean = a.mean("seed")
    expected = np.linalg.norm((mean.sel(emotion="e") - mean.sel(emotion="b")).values.ravel())
    assert float(made.model.sel(distance="euclidean", pair="e|b")) == pytest.approx(expected)
    with pytest.raises(LabelError, match="different emotions"):
        rdm.compute_rdms(a.assign_coords(emotion=list("vwxyz")).to_dataset(name="activation"), human)


def test_scaling_recovers_a_flat_configuration() -> None:
    points = np.random.default_rng(5).normal(size=(9, 2))
    found = rdm.map_emotions(pdist(points))
    np.testing.assert_allclose(pdist(found), pdist(points), atol=1e-9)
    np.testing.assert_allclose(rdm.align_map(found, points), points - points.mean(0), atol=1e-9)


def test_seed_reliability_is_high_for_signal_and_zero_for_noise() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1, 8, 2, 300))
    coords = {"seed": range(8), "emotion": list("abcdefgh"), "layer": [1, 2], "neuron": range(300)}
    make = lambda scale: xr.DataArray(  # noqa: E731
        scale * signal + rng.normal(size=(8, 8, 2, 300)), dims=("seed", "emotion", "layer", "neuron"), coords=coords
    )
    strong, none = prompts.vector_reliability(make(2.0)), prompts.vector_reliability(make(0.0))
    assert float(strong.same.min()) > 0.7
    assert abs(float(none.same.mean())) < 0.02
