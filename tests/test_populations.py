"""Lesions for two populations, depth, the mixed model, specificity, importance: oracles, known truth, calibration."""

import itertools

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import bayes, depth, estimates, importance, mixed, multiverse, populations, power, specificity
from emonb.analysis.rdm import pair_coords

ATTRIBUTES = [f"a{k}" for k in range(14)]


def _masks(values: np.ndarray, sizes: tuple[int, ...] = (10, 20)) -> xr.DataArray:
    """Mask means [attribute, size, draw]."""
    coords = {"attribute": ATTRIBUTES[: len(values)], "size": list(sizes), "draw": range(values.shape[2])}
    return xr.DataArray(values, coords, tuple(coords))


def _draw(rng: np.random.Generator, draws: int = 1, sizes: int = 2, own: float = 0.05) -> tuple[xr.DataArray, xr.DataArray]:
    """Selective masks that are nested over N, and random ones that are not; nothing to find."""
    selective = own * rng.normal(size=(14, 1, 1)) + 0.01 * rng.normal(size=(14, sizes, 1))
    labels = tuple(10 * (k + 1) for k in range(sizes))
    return _masks(selective, labels), _masks(0.05 * rng.normal(size=(14, sizes, draws)), labels)


def _rejects(tests: list[float], at_most: float = 0.08) -> None:
    rate = np.mean(np.array(tests) < 0.05)
    assert 0.02 <= rate <= at_most, rate


def test_estimates_agree_with_scipy() -> None:
    x = np.random.default_rng(0).normal(0.3, 1, 12)
    test = scipy.stats.ttest_1samp(x, 0)
    mine = estimates.from_t(x.mean(), x.std(ddof=1) / np.sqrt(12), 11)
    assert (mine.low, mine.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert (mine.low90, mine.high90) == pytest.approx(tuple(test.confidence_interval(0.90)))
    assert mine.p == pytest.approx(test.pvalue)
    assert mine.p_greater == pytest.approx(scipy.stats.ttest_1samp(x, 0, alternative="greater").pvalue)
    y = x + np.random.default_rng(1).normal(0, 1, 12)
    r = scipy.stats.pearsonr(x, y)
    mine = estimates.from_r(r.statistic, 12)
    assert (mine.low, mine.high) == pytest.approx(tuple(r.confidence_interval(0.95)))
    assert (mine.low90, mine.high90) == pytest.approx(tuple(r.confidence_interval(0.90)))
    assert mine.p == pytest.approx(r.pvalue)
    for undefined in (
        estimates.from_t(1, 0, 5),
        estimates.from_t(1, np.nan, 5),
        estimates.from_r(1.0, 9),
        estimates.from_r(0.2, 3),
    ):
        assert np.isnan(undefined[1:]).all()


@pytest.mark.parametrize("t", [-1.3, 0.0, 0.7, 2.5, 6.0])
def test_bayes_factors_agree_with_pingouin(t: float) -> None:
    assert bayes.bayes_t(t, 14, 13) == pytest.approx(pingouin.bayesfactor_ttest(t, 14, r=np.sqrt(0.5)), rel=1e-5)
    assert bayes.bayes_t(t, 7, 26) == pytest.approx(pingouin.bayesfactor_ttest(t, 14, 14, r=np.sqrt(0.5)), rel=1e-5)
    both = bayes.bayes_t(t, 14, 13, "greater") + bayes.bayes_t(-t, 14, 13, "greater")
    assert both / 2 == pytest.approx(bayes.bayes_t(t, 14, 13), rel=1e-5)
    r = t / np.sqrt(t**2 + 12)
    assert bayes.bayes_r(r, 14) == pytest.approx(pingouin.bayesfactor_pearson(r, 14), rel=1e-5)
    both = bayes.bayes_r(r, 14, "greater") + bayes.bayes_r(-r, 14, "greater")
    assert both / 2 == pytest.approx(bayes.bayes_r(r, 14), rel=1e-5)
    assert bayes.bayes_r(0.6, 14, "greater") > bayes.bayes_r(0.6, 14) > 1


def test_bayes_factors_refuse_what_they_do_not_know() -> None:
    assert np.isnan(bayes.bayes_t(np.nan, 5, 4)) and np.isnan(bayes.bayes_r(1.0, 5))
    with pytest.raises(ValueError, match="side is 'two-sided' or 'greater'"):
        bayes.bayes_t(1, 5, 4, "less")


def test_both_populations_agree_with_scipy() -> None:
    selective, random = _draw(np.random.default_rng(3))
    fixed, sampled = populations.compare_fixed(selective, random), populations.compare_sampled(selective, random)
    matched = populations.compare_sampled(selective, random, matched=True)
    for n in (10, 20, "all"):
        s, r = ((x.mean("size") if n == "all" else x.sel(size=n)).values.ravel() for x in (selective, random))
        assert fixed.loc[n, "value"] == pytest.approx(r.mean() - s.mean()) == pytest.approx(sampled.loc[n, "value"])
        welch = scipy.stats.ttest_ind(r, s, equal_var=False)
        assert sampled.loc[n, "p"] == pytest.approx(welch.pvalue)
        assert sampled.loc[n, ["low", "high"]].tolist() == pytest.approx(list(welch.confidence_interval()))
        assert matched.loc[n, "p"] == pytest.approx(scipy.stats.ttest_rel(r, s).pvalue)
        assert sampled.loc[n, "d"] == pytest.approx(pingouin.compute_effsize(r, s, eftype="cohen"))
        if n != "all":
            assert fixed.loc[n, "p_greater"] == pytest.approx(
                scipy.stats.ttest_1samp(r, s.mean(), alternative="greater").pvalue
            )
    stouffer = scipy.stats.combine_pvalues(fixed.p_greater[[10, 20]], "stouffer")
    assert fixed.loc["all", "p_combined"] == pytest.approx(stouffer.pvalue)


def test_area_weighs_sizes_by_trapezoids() -> None:
    selective, random = _draw(np.random.default_rng(4), sizes=3)
    selective, random = (x.assign_coords(size=[10, 20, 60]) for x in (selective, random))
    for compare in (populations.compare_fixed, populations.compare_sampled):
        table = compare(selective, random, area=True)
        area = np.trapezoid(table.value.iloc[:3], [10, 20, 60]) / 50
        assert table.loc["all", "value"] == pytest.approx(area)


def test_the_two_populations_are_calibrated_each_under_its_own_null() -> None:
    rng, fixed, several, sampled = np.random.default_rng(5), [], [], []
    for _ in range(200):
        selective, random = _draw(rng)
        sampled.append(populations.compare_sampled(selective, random).loc["all", "p"])
        centred = selective - selective.mean("attribute")  # these attributes cost what a random mask does
        fixed.append(populations.compare_fixed(centred, random).loc["all", "p"])
        shift = xr.DataArray(
            0.1 * rng.normal(size=14), {"attribute": ATTRIBUTES}, ("attribute",)
        )  # matched to the attribute
        several.append(populations.compare_fixed(centred + shift, _draw(rng, draws=4)[1] + shift).loc["all", "p"])
    _rejects(fixed)
    _rejects(several)
    _rejects(sampled)


def test_fixed_attributes_are_found_where_attributes_in_general_are_not() -> None:
    selective, random = _draw(np.random.default_rng(6), own=0.2)
    selective = selective - selective.mean() - 0.06
    assert populations.compare_fixed(selective, random).loc["all", "p"] < 0.01
    assert populations.compare_sampled(selective, random).loc["all", "p"] > 0.05


def test_outlying_attributes_are_those_that_were_planted() -> None:
    rng = np.random.default_rng(7)
    selective, random = _draw(rng, own=0.01)
    selective.loc["a3"] -= 0.5
    found = populations.find_outlying(selective, random)
    assert found.index[found.p_holm < 0.05].tolist() == [(n, "a3") for n in (10, 20)]
    s, r = selective.sel(size=10, attribute="a5").item(), random.sel(size=10).values.ravel()
    t = (r.mean() - s) / (r.std(ddof=1) * np.sqrt(1 + 1 / 14))
    assert found.loc[(10, "a5"), "t"] == pytest.approx(t)
    corrected = pingouin.multicomp(found.loc[10, "p"].tolist(), method="holm")[1]
    assert found.loc[10, "p_holm"].tolist() == pytest.approx(corrected.tolist())
    assert (populations.find_outlying(selective, _draw(rng, draws=5)[1]).loc[20].p_holm < 0.05).sum() == 1


def _lesions(rng: np.random.Generator, effect: float = 0.0, sizes: tuple[int, ...] = (10, 20)) -> xr.DataArray:
    shape = (2, 6, len(sizes), 3, 5)
    y = 0.7 + 0.1 * rng.normal(size=5) + 0.05 * rng.normal(size=(3, 1)) + 0.05 * rng.normal(size=shape)
    y[0] += 0.05 * rng.normal(size=(6, 1, 1, 1)) - effect
    y += 0.04 * rng.normal(size=(2, 6, len(sizes), 1, 1)) + 0.02 * rng.normal(size=(2, 1, 1, 1, 5))
    coords = {
        "kind": ["selective", "random"],
        "attribute": ATTRIBUTES[:6],
        "size": list(sizes),
        "seed": [1, 3, 5],
        "emotion": list("vwxyz"),
    }
    return xr.DataArray(y, coords, tuple(coords))


def _by_emotion(accuracy: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    data = accuracy.to_dataset(name="accuracy")
    first, second = (populations.mask_means(data, kind, [10, 20], by_emotion=True) for kind in ("selective", "random"))
    return first, second


def test_majority_counts_emotions_and_draws_masks() -> None:
    found = populations.find_majority(*_by_emotion(_lesions(np.random.default_rng(8), effect=0.3)), 499, 0)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5) and found.p == pytest.approx(2 / 500)
    none = populations.find_majority(*_by_emotion(_lesions(np.random.default_rng(9), effect=-0.3)), 499, 0)
    assert none.value == -0.5 and none.p_greater == 1.0


@pytest.mark.parametrize("draws", [1, 4])
def test_majority_is_calibrated_whether_masks_are_one_sample_or_matched(draws: int) -> None:
    """Every mask moves all emotions together, so that by chance all of them are worse, or none."""
    rng, p = np.random.default_rng(30), []
    coords = {"attribute": ATTRIBUTES, "size": [10], "emotion": range(9)}
    for k in range(200):
        level = rng.normal(size=(14, 1, 1, 1)) * (draws > 1)  # of an attribute's masks, selective and matched alike
        masks = level + rng.normal(size=(14, 1, draws, 1)) + 0.3 * rng.normal(size=(14, 1, draws, 9))
        random = xr.DataArray(masks, {**coords, "draw": range(draws)}, ("attribute", "size", "draw", "emotion"))
        selective = xr.zeros_like(random.isel(draw=[0])) + level.mean()
        p.append(populations.find_majority(selective, random, 199, k).p)
    _rejects(p)


def test_every_kind_of_mask_is_compared_by_every_measure() -> None:
    accuracy = _lesions(np.random.default_rng(14))
    data = xr.Dataset({"accuracy": accuracy, "auc": accuracy**2})
    table = populations.compare_kinds(data, [10, 20])
    assert table.index.tolist() == list(itertools.product(["random"], ["accuracy", "auc"], ["fixed", "sampled"]))
    selective, random = (populations.mask_means(data, kind, [10, 20], "auc") for kind in ("selective", "random"))
    expected = populations.compare_sampled(selective, random).loc["all", ["value", "low", "high", "p"]]
    assert table.loc[("random", "auc", "sampled")].tolist() == pytest.approx(expected.tolist())
    assert populations.compare_kinds(data[["accuracy"]], [10]).index.tolist() == table.index.tolist()[:2]


def test_masks_of_live_and_released_lesions_are_laid_out_alike() -> None:
    accuracy = _lesions(np.random.default_rng(0))
    released = populations.mask_means(xr.Dataset({"accuracy": accuracy}), "random", [20, 10])
    xr.testing.assert_allclose(
        released.squeeze("draw", drop=True), accuracy.sel(kind="random", size=[20, 10], drop=True).mean(("seed", "emotion"))
    )
    rows = list(itertools.product(["random", "selective"], ATTRIBUTES[:6][::-1], [10, 20], [1, 0]))
    labels = {
        f"mask_{n}": ("mask", list(c))
        for n, c in zip(("kind", "attribute", "size", "draw"), zip(*rows, strict=True), strict=True)
    }
    value = [ATTRIBUTES.index(a) + n / 100 + d / 1000 for _, a, n, d in rows]
    live = xr.Dataset(
        {"accuracy": accuracy, "mask_accuracy": (("mask", "seed", "emotion"), np.tile(value, (3, 5, 1)).T.swapaxes(1, 2))},
        labels,
    )
    means = populations.mask_means(live, "random", [20, 10])
    assert means.sel(attribute="a4", size=20, draw=1).item() == pytest.approx(4.201)
    assert means.attribute.values.tolist() == ATTRIBUTES[:6] and means["size"].values.tolist() == [20, 10]


def test_depth_is_taken_out_exactly_and_agrees_with_a_regression() -> None:
    rng = np.random.default_rng(10)
    layer = xr.DataArray(rng.uniform(6, 9, (14, 2)), {"attribute": ATTRIBUTES, "size": [10, 20]}, ("attribute", "size"))
    selective, random = _draw(rng)
    deep = selective + 0.05 * (layer - 6.5) - 0.04
    table = depth.adjust_for_depth(deep, layer, random, 6.5)
    line = scipy.stats.linregress(layer.sel(size=10), deep.sel(size=10).squeeze())
    at = random.sel(size=10).mean().item() - line.intercept - 6.5 * line.slope
    assert table.loc[10, "value"] == pytest.approx(at) and table.loc[10, "slope"] == pytest.approx(line.slope)
    assert table.loc[10, "raw"] == pytest.approx(table.loc[10, "value"] + table.loc[10, "explained"])
    exact = depth.adjust_for_depth(0.05 * (layer - 6.5).expand_dims(draw=[0]) - 0.04, layer, random, 6.5)
    assert exact.loc["all", "value"] == pytest.approx(random.mean().item() + 0.04) and exact.loc["all", "explained"] < 0
    flat = depth.adjust_for_depth(selective, xr.full_like(layer, 1.0), random, 1.0)
    assert flat[["value", "p", "low", "high90"]].isna().all(axis=None) and flat.raw.notna().all()


def test_depth_adjusted_test_is_calibrated() -> None:
    rng, found = np.random.default_rng(11), []
    for _ in range(500):
        layer = xr.DataArray(
            7 + rng.normal(size=(14, 1)) @ np.ones((1, 2)),
            {"attribute": ATTRIBUTES, "size": [10, 20]},
            ("attribute", "size"),
        )
        selective, random = _draw(rng)
        found.append(depth.adjust_for_depth(selective + 0.05 * (layer - 6.5), layer, random, 6.5).loc["all", "p"])
    _rejects(found)


def test_depth_of_planned_masks_is_their_mean_layer() -> None:
    silenced = np.zeros((2, 3, 4), bool)
    silenced[0, 0, :2], silenced[1, 2, :2] = True, True
    labels = {
        "kind": ("mask", ["random"] * 2),
        "attribute": ("mask", ["a0"] * 2),
        "size": ("mask", [2, 2]),
        "draw": ("mask", [0, 1]),
    }
    masks = xr.Dataset({"silenced": (("mask", "layer", "neuron"), silenced)}, {**labels, "layer": [1, 2, 3]})
    assert depth.mask_depth(masks, "random", [2]).values.tolist() == [[[1.0, 3.0]]]


def test_mixed_model_agrees_with_statsmodels() -> None:
    smf = pytest.importorskip("statsmodels.formula.api")
    rng = np.random.default_rng(12)
    table = pd.DataFrame(list(itertools.product(range(8), range(6), range(2))), columns=["a", "b", "x"])
    table["y"] = 0.5 * table.x + rng.normal(size=8)[table.a] + 0.6 * rng.normal(size=6)[table.b] + 0.4 * rng.normal(size=96)
    parts = {"a": "0 + C(a)", "b": "0 + C(b)"}
    oracle = smf.mixedlm("y ~ x", table, groups=np.ones(96), vc_formula=parts).fit(reml=True)
    fixed = pd.DataFrame({"intercept": np.ones(96), "x": table.x.astype(float)})
    mine = mixed.fit_mixed(table.y.to_numpy(), fixed, {n: mixed._levels(table, [n]) for n in "ab"})
    test = mine.test(np.array([0.0, 1.0]))
    assert test.value == pytest.approx(oracle.params["x"], rel=1e-4)
    assert test.value / test.t == pytest.approx(oracle.bse["x"], rel=1e-3)
    assert mine.sds[["a", "b", "residual"]].tolist() == pytest.approx(
        [*np.sqrt(oracle.vcomp), np.sqrt(oracle.scale)], rel=0.01
    )
    assert mine.effects["intercept"] == pytest.approx(oracle.params["Intercept"], rel=1e-3)
    assert test.df == pytest.approx(96 - 8 - 6, abs=1.5)  # balanced: x is tested within both


def test_mixed_model_is_known_to_more_digits_than_are_compared() -> None:
    rng = np.random.default_rng(41)
    levels = {"a": rng.integers(12, size=400), "b": rng.integers(9, size=400), "none": rng.integers(10, size=400)}
    table = pd.DataFrame({**levels, "x": rng.normal(size=400)})
    table["y"] = (
        0.3 * table.x + 0.7 * rng.normal(size=12)[table.a] + 0.05 * rng.normal(size=9)[table.b] + rng.normal(size=400)
    )

    def fit(rows: pd.DataFrame) -> mixed.Mixed:
        fixed = pd.DataFrame({"intercept": np.ones(len(rows)), "x": rows.x.to_numpy()})
        return mixed.fit_mixed(rows.y.to_numpy(), fixed, {n: mixed._levels(rows, [n]) for n in levels})

    one = fit(table)
    assert one.sds["none"] == 0 and (one.sds[["a", "b"]] > 0).all()
    for k in range(3):  # other sums of the same numbers
        other = fit(table.sample(frac=1, random_state=k).reset_index(drop=True))
        pd.testing.assert_series_equal(other.sds, one.sds, rtol=1e-7)
        assert other.test(np.array([0.0, 1.0])) == pytest.approx(one.test(np.array([0.0, 1.0])), rel=1e-6)


def test_what_cannot_be_modelled_is_undefined_and_masks_that_are_missing_are_left_out() -> None:
    accuracy = _lesions(np.random.default_rng(31))
    assert np.isnan(mixed.test_lesions(xr.full_like(accuracy, 0.7), "random")).all()
    assert np.isnan(mixed.test_lesions(accuracy.isel(seed=[0]), "random")).all()
    gone = accuracy.where(accuracy.attribute != "a1")
    kept = mixed.test_lesions(accuracy.drop_sel(attribute="a1"), "random")
    assert mixed.test_lesions(gone, "random") == pytest.approx(kept)
    assert kept == pytest.approx(mixed.test_kind(mixed.model_lesions(accuracy.drop_sel(attribute="a1"), "random")))


def test_mixed_model_of_balanced_masks_is_a_t_test_of_masks() -> None:
    rng = np.random.default_rng(13)
    accuracy = _lesions(rng, sizes=(10,))
    accuracy = accuracy + xr.DataArray(
        0.3 * rng.normal(size=(2, 6)),
        coords={"kind": accuracy.kind, "attribute": accuracy.attribute},
        dims=("kind", "attribute"),
    )
    test = mixed.test_kind(mixed.model_lesions(accuracy, "random"))
    s, r = (accuracy.sel(kind=k).mean(("size", "seed", "emotion")).values for k in ("selective", "random"))
    welch = scipy.stats.ttest_ind(r, s, equal_var=False)
    assert test.value == pytest.approx(r.mean() - s.mean(), abs=1e-6)
    assert test.t == pytest.approx(welch.statistic, rel=0.02) and test.df == pytest.approx(welch.df, rel=0.1)


def test_mixed_model_tells_the_populations_apart_and_takes_depth() -> None:
    accuracy = _lesions(np.random.default_rng(14), effect=0.1)
    sampled, fixed = (mixed.test_kind(mixed.model_lesions(accuracy, "random", sampled=s)) for s in (True, False))
    assert sampled.value == pytest.approx(fixed.value) and fixed.high - fixed.low < sampled.high - sampled.low
    rng = np.random.default_rng(15)
    layer = xr.DataArray(rng.uniform(5, 9, (6, 2)), {"attribute": ATTRIBUTES[:6], "size": [10, 20]}, ("attribute", "size"))
    slope = xr.concat([0.1 * (layer - 6), 0 * layer], pd.Index(["selective", "random"], name="kind"))
    deep = mixed.model_lesions(_lesions(rng) + slope, "random", layer, 6.0)
    assert deep.effects["depth"] == pytest.approx(0.1, abs=0.04)
    with pytest.raises(ValueError, match="nothing is left for depth"):
        mixed.model_lesions(accuracy, "random", layer, 6.0, sampled=False)


def test_mixed_model_is_calibrated() -> None:
    found = [mixed.test_kind(mixed.model_lesions(_lesions(np.random.default_rng(100 + k)), "random")).p for k in range(60)]
    assert np.mean(np.array(found) < 0.05) <= 0.15


def _tables(rng: np.random.Generator, slope: float = 0.0) -> tuple[xr.DataArray, xr.DataArray]:
    """Levels and losses of 14 attributes and 20 emotions, families of which suffer together under any mask."""
    family = np.eye(4)[rng.integers(0, 4, 20)]
    level = rng.normal(size=(14, 4)) @ family.T + 0.5 * rng.normal(size=(14, 20))
    noise = rng.normal(size=(14, 4)) @ family.T + 0.5 * rng.normal(size=(14, 20))
    loss = slope * scipy.stats.zscore(level, axis=1) + 0.02 * noise + rng.normal(size=(14, 1)) + rng.normal(size=20)
    coords = {"attribute": ATTRIBUTES, "emotion": range(20)}
    return xr.DataArray(loss, coords, tuple(coords)), xr.DataArray(level, coords, tuple(coords))


def test_specificity_finds_a_planted_slope_whatever_the_margins() -> None:
    loss, level = _tables(np.random.default_rng(16), slope=0.03)
    random = xr.DataArray(
        0.02 * np.random.default_rng(0).normal(size=(40, 20)), {"emotion": range(20)}, ("mask", "emotion")
    )
    found = specificity.test_specificity(loss, level, 499, 0, random)
    assert found.slope.low < 0.03 < found.slope.high and found.slope.p < 0.01 and found.p_random < 0.01
    shifted = (
        loss
        + xr.DataArray(5.0 * np.arange(14), {"attribute": ATTRIBUTES}, ("attribute",))
        + xr.DataArray(np.arange(20.0), {"emotion": range(20)}, ("emotion",))
    )
    again = specificity.test_specificity(shifted, level.isel(emotion=slice(None, None, -1)), 499, 0)
    assert again.slope == pytest.approx(found.slope) and np.isnan(again.p_random)
    dummies = pd.get_dummies(
        loss.to_series().reset_index()[["attribute", "emotion"]].astype(str), drop_first=True, dtype=float
    )
    x = np.column_stack([np.ones(280), scipy.stats.zscore(level.values, axis=1).ravel(), dummies])
    assert found.slope.value == pytest.approx(np.linalg.lstsq(x, loss.values.ravel(), rcond=None)[0][1])
    with pytest.raises(ValueError, match="same emotions, got 20 and 5"):
        specificity.test_specificity(loss, level.isel(emotion=slice(5)), 9, 0)
    with pytest.raises(ValueError, match="at least as many random masks"):
        specificity.test_specificity(loss, level, 9, 0, random[:5])


def test_specificity_is_calibrated_by_attributes_and_not_by_emotions() -> None:
    rng = np.random.default_rng(17)
    found = [specificity.test_specificity(*_tables(rng), 199, k) for k in range(200)]
    _rejects([f.slope.p for f in found], 0.09)
    assert np.mean([f.p_emotions < 0.05 for f in found]) > 0.12  # why the emotion is not the unit
    assert np.mean([f.slope.low <= 0 <= f.slope.high for f in found]) >= 0.93


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
    table = importance.test_loss(loss, drawn, 1)
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
        tests.append(importance.test_loss(loss, drawn, k).loc[10, ["p", "p_emotions"]])
    table = pd.DataFrame(tests).astype(float)
    _rejects(table.p.tolist(), 0.09)
    _rejects(table.p_emotions.tolist(), 0.09)


def test_duplicates_are_found() -> None:
    level = np.random.default_rng(20).normal(size=(3, 200))
    level[2] = -level[0] + 0.1 * level[1]
    scores = xr.DataArray(level, {"attribute": ["x", "y", "z"]}, ("attribute", "emotion"))
    ((first, second, r),) = importance.find_duplicates(scores)
    assert (first, second) == ("x", "z") and r < -0.9


def test_detectable_effects_are_detected_as_often_as_they_say() -> None:
    rng = np.random.default_rng(21)
    x = rng.normal(power.detectable_difference(1 / np.sqrt(14), 13), 1, (20_000, 14))
    assert (scipy.stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)
    r = power.detectable_r(14)
    a = rng.normal(size=(20_000, 14))
    b = r * a + np.sqrt(1 - r**2) * rng.normal(size=a.shape)
    assert (scipy.stats.pearsonr(a, b, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)
    assert np.isnan(power.detectable_difference(0, 5))


def test_specification_curve_runs_each_sensible_combination_once() -> None:
    seen = []

    def analyse(size: int, subtract: bool) -> estimates.Estimate | None:
        seen.append((size, subtract))
        return None if size == 30 and subtract else estimates.from_t(size - 15 * subtract, 1, 20)

    curve = multiverse.specify({"size": [30, 10, 20], "subtract": [True, False]}, analyse)
    assert sorted(seen) == sorted(itertools.product([10, 20, 30], [False, True]))
    assert curve.value.tolist() == [-5, 5, 10, 20, 30] and curve["passes"].mean() == 0.8
    both = pd.concat([curve.assign(claim="a"), curve.assign(claim="b", passes=False, subtract="")])
    by = multiverse.share_by_option(both, ["size", "subtract"], "claim")
    assert by.loc["subtract: True", "a"] == 0.5 and np.isnan(by.loc["subtract: True", "b"])
    assert by.loc["size: 10"].tolist() == [curve[curve["size"] == 10].passes.mean(), 0]
    with pytest.raises(ValueError, match="makes sense"):
        multiverse.specify({"size": [1]}, lambda size: None)
