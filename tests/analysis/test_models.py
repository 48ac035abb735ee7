"""Bootstrap, partial RSA, regression of RDMs, lesions: against closed forms, statistics libraries and known truth."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kendalltau, pearsonr, ttest_1samp, ttest_rel

from emonb.analysis import neurons, rdm, reported, structure, words
from emonb.errors import LabelError


def _rdm_of(points: np.ndarray) -> np.ndarray:
    return rdm.pattern_rdm(points, "euclidean")


def test_bootstrap_interval_covers_the_estimate_and_widens_with_what_is_resampled() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3))
    truth = _rdm_of(points)
    judgments = truth + rng.normal(size=(20, len(truth)))
    model = _rdm_of(points + 0.5 * rng.normal(size=points.shape))
    widths = {}
    for over in ("judges", "emotions", "both"):
        result = structure.bootstrap_fit(np.stack([model, truth]), judgments, 300, 1, over)
        fit = result["fit"][0]
        assert fit.value == pytest.approx(structure.compare(model, judgments.mean(0), "rho"), abs=1e-9)
        assert fit.low < fit.value < fit.high
        assert result["difference"][0] == (0, 0, 0, 300)
        assert result["difference"][1].high < 0  # the truth fits better than the noisy model
        widths[over] = fit.high - fit.low
    assert widths["judges"] < widths["emotions"]
    with pytest.raises(ValueError, match="over must be"):
        structure.bootstrap_fit(model, judgments, 10, 0, "pairs")


def _labelled(rdms: np.ndarray, emotions: int, label: str) -> xr.DataArray:
    names = [f"{label}{k}" for k in range(len(rdms))]
    return xr.DataArray(rdms, dims=(label, "pair"),
                        coords={label: names, **rdm.pair_coords([f"e{k}" for k in range(emotions)])})  # fmt: skip


def _activations(rng: np.random.Generator, points: np.ndarray, seeds: int) -> xr.DataArray:
    """What a network's 40 neurons make of points [emotion, axis], with noise that differs between seeds."""
    read = points @ rng.normal(size=(points.shape[1], 40))
    values = read + 4 * rng.normal(size=(seeds, *read.shape))
    coords = {"seed": range(seeds), "emotion": [f"e{k}" for k in range(len(points))], "layer": [1], "neuron": range(40)}
    return xr.DataArray(values[:, :, None], coords, list(coords))


def test_what_training_adds_is_found_and_not_what_more_seeds_add() -> None:
    rng = np.random.default_rng(7)
    points = rng.normal(size=(16, 3))
    human = _labelled(_rdm_of(points)[None], 16, "rdm")[0]
    judges = human.expand_dims(judge=12) + 0.3 * rng.normal(size=(12, 120))
    many, few, nothing = (_activations(rng, p, n) for p, n in ((points, 12), (points, 3), (rng.normal(size=(16, 3)), 3)))
    found = structure.compare_networks(many, nothing, judges, "euclidean", 199, 3)
    assert found.seeds == 3 and found.gain.value == pytest.approx(found.trained - found.untrained)
    assert found.gain.low > 0 and found.gain.p < 0.05
    pattern = rdm.pattern_rdm(nothing.mean("seed")[:, 0].values, "euclidean")
    assert found.untrained == pytest.approx(structure.compare(pattern, judges.mean("judge").values, "rho"))
    same = structure.compare_networks(many, few, judges, "euclidean", 199, 3)  # the same network
    whole = structure.compare(
        rdm.pattern_rdm(many.mean("seed")[:, 0].values, "euclidean"), judges.mean("judge").values, "rho"
    )
    assert abs(same.gain.value) < 0.5 * (whole - same.untrained) and whole > same.trained
    assert structure.compare_networks(many[:3], many[:3], judges, "euclidean", 99, 3).gain.value == 0
    turned = structure.compare_networks(few[:, ::-1], nothing, judges, "euclidean", 99, 3)  # emotions are found by name
    assert turned.trained == pytest.approx(same.untrained)


def test_each_covariate_by_itself_and_all_together() -> None:
    rng = np.random.default_rng(2)
    model, human, *given = _labelled(np.array([_rdm_of(rng.normal(size=(9, 2))) for _ in range(4)]), 9, "rdm")
    table = words.estimate_each(model, human, xr.concat(given, "rdm"))
    assert table.index.tolist() == ["rdm2", "rdm3", "all"]
    for name, some in (("rdm3", given[1]), ("all", np.stack(given))):
        one = words.estimate_given(model, human, some)
        assert table.loc[name, ["rho", "low", "high", "p"]].tolist() == [one.value, one.low, one.high, one.p]


def test_partial_rank_correlation_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(1)
    a, b, c = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(3))
    rab, rac, rbc = (structure.compare(u, v, "rho") for u, v in ((a, b), (a, c), (b, c)))
    expected = (rab - rac * rbc) / np.sqrt((1 - rac**2) * (1 - rbc**2))
    for scale in (1.0, 1e-6, 1e6):
        got = words.partial_correlation(*(scale * np.argsort(np.argsort(v)) for v in (a, b, c)))
        assert got == pytest.approx(expected, abs=1e-12)


def test_a_partial_correlation_given_many_is_the_inverse_covariance_s() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(5, 5)) @ rng.normal(size=(5, 40)) + 100
    precision = np.linalg.inv(np.cov(rows))
    expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert words.partial_correlation(rows[0], rows[1], rows[2:]) == pytest.approx(expected, abs=1e-9)
    assert words.partial_correlation(rows[0], 3 * rows[2] - rows[3], rows[2:]) == 0


def test_comparison_given_a_covariate_finds_what_is_beyond_it_and_nothing_else() -> None:
    fired = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shared, own = rng.normal(size=(16, 2)), rng.normal(size=(16, 2))
        covariate = _rdm_of(shared)
        human = _rdm_of(np.hstack([shared, own]))
        only = _rdm_of(shared + 0.05 * rng.normal(size=shared.shape))
        nothing = words.estimate_given(only, human, covariate)
        assert nothing.low < nothing.value < nothing.high
        fired += nothing.p_greater < 0.05
    assert fired <= 6  # of 40; 2 expected at the nominal rate
    beyond = _rdm_of(np.hstack([rng.normal(size=(16, 1)) * 0.2, own]))
    found = words.estimate_given(beyond, human, covariate)
    assert found.p < 0.02 and found.low > 0
    variance = words.unique_variance(beyond, human, covariate, 1.0)
    assert variance["both"] > variance["covariates"]
    assert variance["unique"] == pytest.approx(variance["both"] - variance["covariates"])


def test_jackknife_equals_leaving_out_emotions_by_hand() -> None:
    from scipy.stats import rankdata, t

    rng = np.random.default_rng(5)
    n, points = 11, rng.normal(size=(4, 11, 2))
    squares = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in points]

    def rho(kept: np.ndarray) -> float:
        upper = np.triu_indices(len(kept), 1)
        model, human, *given = (rankdata(square[np.ix_(kept, kept)][upper]) for square in squares)
        columns = np.vander(given[0] / 100, 4).tolist(), np.vander(given[1] / 100, 4).tolist()
        design = np.hstack([np.array(columns[0]), np.array(columns[1])])  # up to the cube; the constant is there twice
        a, b = (y - design @ np.linalg.lstsq(design, y, rcond=None)[0] for y in (model, human))
        return float(np.corrcoef(a, b)[0, 1])

    everyone = np.arange(n)
    without = np.array([rho(np.delete(everyone, k)) for k in everyone])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    model, human, first, second = (square[np.triu_indices(n, 1)] for square in squares)
    result = words.estimate_given(model, human, np.stack([first, second]))
    assert result.value == pytest.approx(rho(everyone), abs=1e-9)
    assert result.p_greater == pytest.approx(t.sf(rho(everyone) / error, n - 1), abs=1e-9)
    assert result.high - result.low == pytest.approx(2 * t.isf(0.025, n - 1) * error, abs=1e-9)


def test_noise_of_covariates_is_taken_off() -> None:
    """What a covariate leaves is what the covariate without its noise would leave, over many data sets."""
    plain, corrected = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(20, 2))
        model, human = (_rdm_of(shared + 0.2 * rng.normal(size=shared.shape)) for _ in range(2))
        parts = shared + 0.6 * rng.normal(size=(4, *shared.shape))
        whole, pairs = _rdm_of(parts.mean(0)), ([0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2])
        halves = np.array([[_rdm_of(parts[two].mean(0))] for two in pairs])
        clean = words.estimate_given(model, human, _rdm_of(shared)).value
        plain.append(words.estimate_given(model, human, whole).value - clean)
        corrected.append(words.estimate_given(model, human, whole, halves).value - clean)
    assert np.mean(plain) > 0.1 and abs(np.mean(corrected)) < 0.4 * np.mean(plain)


def test_halves_that_are_the_whole_change_nothing_and_unusable_ones_are_left_out() -> None:
    rng = np.random.default_rng(3)
    model, human, *given = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(4))
    whole = np.array(given)
    plain = words.estimate_given(model, human, whole)
    np.testing.assert_allclose(words.estimate_given(model, human, whole, np.stack([whole, whole])), plain, atol=1e-9)
    other = np.array([_rdm_of(rng.normal(size=(9, 2))) for _ in range(2)])
    gap = np.where(np.arange(36) < 8, np.nan, other)  # the first emotion is undefined
    one, two = (words.estimate_given(model, human, whole, np.stack(some)) for some in ([other], [other, gap]))
    assert one == two
    labelled = xr.DataArray(np.stack([other, whole]).swapaxes(0, 1), dims=("given", "half", "pair"))
    assert words.estimate_given(model, human, whole, labelled) == words.estimate_given(
        model, human, whole, np.stack([other, whole])
    )
    with pytest.raises(ValueError, match=r"must have shape \(n_halves, 2, 36\), got \(2, 1, 36\)"):
        words.estimate_given(model, human, whole, np.stack([other, whole])[:, :1])

    def left(given: np.ndarray) -> np.ndarray:
        ranks = [np.argsort(np.argsort(rdm)) for rdm in (model, human, *given)]
        design = np.vstack([np.ones(36), *(rank**power for rank in np.array(ranks[2:]) / 35 for power in (1, 2, 3))]).T
        return np.cov([side - design @ np.linalg.lstsq(design, side, rcond=None)[0] for side in ranks[:2]])

    without = 2 * left(whole) - left(other)  # noise taken off variances and covariance
    assert one.value == pytest.approx(without[0, 1] / np.sqrt(without[0, 0] * without[1, 1]))
    assert np.isnan(words.estimate_given(model, human, whole, gap[None])).all()


def test_nothing_is_left_of_a_model_that_is_its_covariate() -> None:
    rng = np.random.default_rng(8)
    human, covariate = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(2))
    given = np.stack([covariate, np.ones_like(covariate)])
    found = words.estimate_given(covariate**2, human, given)
    assert found.value == 0 and np.isnan(found[1:]).all()  # no interval of no width, which would be certainty


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
    depth = reported.mean_depth(rank, [1, 5, 12])
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
    assert float(reported.layer_profile(mask).sum("layer").mean()) == pytest.approx(1)
    with pytest.raises(ValueError, match="size must be"):
        neurons.select_neurons(rank, 13)


def test_ties_share_their_mean_rank_and_missing_taus_rank_last() -> None:
    ranks = neurons.rank_neurons(np.array([[0.5, np.nan, 0.5, 0.9]]))
    np.testing.assert_array_equal(ranks, [[2.5, 4, 2.5, 1]])


def test_a_planted_neuron_is_found_where_it_was_planted() -> None:
    rng = np.random.default_rng(9)
    emotions = [f"e{k}" for k in range(14)]
    score = rng.random(14)
    values = rng.normal(size=(3, 14, 2, 20))
    values[:, :, 1, 7] = 5 * score + 0.2 * rng.normal(size=(3, 14))
    acts = xr.DataArray(values, dims=("seed", "emotion", "layer", "neuron"),
                        coords={"seed": [1, 2, 3], "emotion": emotions, "layer": [1, 2], "neuron": range(20)})  # fmt: skip
    humans, activations = _humans(score[:, None], emotions), acts.to_dataset(name="activation")
    ranks = rdm.rank_neuron_rdms(activations.activation, humans)
    light = neurons.search_neurons(ranks, humans)
    assert float(light["rank"].sel(attribute="x0", layer=2, neuron=7)) == 1
    test = neurons.find_neurons(ranks, humans, 199, 0)
    assert float(test.p_fwe.sel(attribute="x0", layer=2, neuron=7)) == 1 / 200
    assert int((test.p_fwe < 0.05).sum()) <= 2


def _humans(score: np.ndarray, emotions: list[str]) -> xr.Dataset:
    """Attribute RDMs of scores [emotion, attribute], emotions in the order given."""
    i, j = np.triu_indices(len(emotions), 1)
    coords = {"attribute": [f"x{k}" for k in range(score.shape[1])], **rdm.pair_coords(emotions)}
    return xr.Dataset({"attribute_rdm": (("pair", "attribute"), np.abs(score[i] - score[j]))}, coords=coords)


def test_search_and_assess_agree_whatever_the_order_of_the_emotions() -> None:
    rng = np.random.default_rng(12)
    emotions = np.array([f"e{k}" for k in range(9)])
    score, coords = rng.random((9, 2)), {"seed": [1, 2], "emotion": emotions, "layer": [1, 2], "neuron": range(4)}
    acts = xr.DataArray(rng.normal(size=(2, 9, 2, 4)), dims=tuple(coords), coords=coords).to_dataset(name="activation")
    humans = _humans(score, emotions)
    ranks = rdm.rank_neuron_rdms(acts.activation, humans)
    light, test = neurons.search_neurons(ranks, humans), neurons.find_neurons(ranks, humans, 199, 3)
    expected = [[kendalltau(_pairs(acts.activation.values, k), humans).statistic for k in np.ndindex(2, 4)]
                for humans in humans.attribute_rdm.values.T]  # fmt: skip
    np.testing.assert_allclose(light.tau.values.reshape(2, 8), expected, atol=1e-12)
    for _ in range(5):
        order, moved = rng.permutation(9), acts.isel(emotion=rng.permutation(9))
        humans = _humans(score[order], list(emotions[order]))
        xr.testing.assert_allclose(
            neurons.search_neurons(rdm.rank_neuron_rdms(moved.activation, humans), humans), light, atol=1e-12
        )
        humans = _humans(score, emotions)
        same_draws = neurons.find_neurons(rdm.rank_neuron_rdms(moved.activation, humans), humans, 199, 3)
        xr.testing.assert_identical(same_draws, test)
    with pytest.raises(LabelError, match="different emotions"):
        rdm.rank_neuron_rdms(acts.activation.isel(emotion=range(8)), humans)
    other = _humans(score, [f"f{k}" for k in range(9)])
    for function in (neurons.search_neurons, lambda r, h: neurons.find_neurons(r, h, 19, 0)):
        with pytest.raises(LabelError, match="different pairs"):
            function(ranks, other)


def _pairs(activation: np.ndarray, neuron: tuple[int, int]) -> np.ndarray:
    values = activation[:, :, *neuron]  # [seed, emotion]
    i, j = np.triu_indices(values.shape[1], 1)
    return np.abs(values[:, i] - values[:, j]).mean(0)
