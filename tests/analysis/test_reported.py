"""The study's own tests of lesions, repeated."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import pearsonr, ttest_1samp, ttest_rel

from emonb.analysis import lesions, neurons, reported


def _lesions(seed: int = 0) -> tuple[xr.Dataset, xr.DataArray]:
    """Released lesions of six attributes in three emotions, selective masks of N = 5 left out; importance, other order."""
    rng = np.random.default_rng(seed)
    coords = {"kind": ["selective", "random"], "attribute": list("abcdef"), "size": [5, 10, 20], "seed": [1, 3],
              "emotion": ["joy", "fear", "awe"]}  # fmt: skip
    accuracy = xr.DataArray(rng.random([len(v) for v in coords.values()]), dims=tuple(coords), coords=coords)
    accuracy.loc[{"kind": "selective", "size": 5}] = np.nan
    importance = xr.DataArray(rng.random(6), dims="attribute", coords={"attribute": list("fbdaec")})
    return accuracy.to_dataset(name="accuracy"), importance


def test_prompts_are_compared_in_pairs() -> None:
    data, _ = _lesions()
    table = reported.prompts_test(reported.selective_drop(data.accuracy))
    for size in (10, 20):
        selective, random = (data.accuracy.sel(kind=kind, size=size) for kind in ("selective", "random"))
        paired = ttest_rel(random.values.ravel(), selective.values.ravel())
        assert table.loc[size, ["t", "p"]].tolist() == pytest.approx([paired.statistic, paired.pvalue])
        assert table.loc[size, "n"] == random.size


def test_importance_is_tested_by_emotion_whatever_the_order_of_attributes() -> None:
    data, importance = _lesions()
    drop = reported.selective_drop(data.accuracy)
    table = reported.importance_test(drop, importance)
    assert table.index.tolist() == [10, 20]
    weight = importance.sel(attribute=drop.attribute).values
    for size in (10, 20):
        z = [np.arctanh(pearsonr(drop.sel(size=size, emotion=e).mean("seed"), weight).statistic) for e in drop.emotion]
        assert table.loc[size, "t"] == pytest.approx(ttest_1samp(z, 0).statistic)
        assert table.loc[size, "mean_r"] == pytest.approx(np.tanh(np.mean(z)))
        assert table.loc[size, "paper_p"] == pytest.approx(ttest_1samp(z, 0).pvalue)
    moved = reported.importance_test(drop.isel(attribute=[3, 0, 5, 1, 4, 2]), importance)
    np.testing.assert_allclose(moved, table)


def test_depth_is_the_mean_layer_and_is_held_constant() -> None:
    _, rank = _light()
    depth = lesions.mean_layer(lesions.rank_masks(rank, [1, 5, 12]))
    for name in "ab":
        layers = np.repeat([1, 2], 6)[np.argsort(rank.sel(attribute=name).values.ravel())]
        np.testing.assert_allclose(depth.sel(attribute=name), [layers[:n].mean() for n in (1, 5, 12)])


def _light() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(6)
    coords = {"attribute": ["a", "b"], "layer": [1, 2], "neuron": range(6)}
    tau = xr.DataArray(rng.normal(size=(2, 2, 6)), dims=("attribute", "layer", "neuron"), coords=coords)
    rank = xr.DataArray(neurons.rank_neurons(tau.values.reshape(2, -1)).reshape(tau.shape), dims=tau.dims, coords=coords)
    return tau, rank


def test_masks_hold_the_highest_taus() -> None:
    tau, rank = _light()
    mask = neurons.select_neurons(rank, 5)
    assert (mask.sum(("layer", "neuron")) == 5).all()
    for a in "ab":
        mine, chosen = tau.sel(attribute=a), mask.sel(attribute=a)
        assert float(mine.where(chosen).min()) > float(mine.where(~chosen).max())
    assert float(neurons.overlap(mask).sel(attribute="a", other="a")) == 1
    assert float(neurons.layer_profile(mask).sum("layer").mean()) == pytest.approx(1)
    with pytest.raises(ValueError, match="size must be"):
        neurons.select_neurons(rank, 13)
