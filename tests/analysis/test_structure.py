"""Fits with both p values and intervals, within groups, corrected for noise; RDMs centred and cross-validated."""

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau, spearmanr

from emonb.analysis import rdm, structure
from emonb.analysis.rdm import pair_coords, pair_index
from emonb.errors import LabelError

NAMES = [f"e{k}" for k in range(10)]


def _rdm(points: np.ndarray, names: list[str] = NAMES) -> xr.DataArray:
    return xr.DataArray(pdist(points), dims="pair", coords=pair_coords(names))


def _activations(values: np.ndarray) -> xr.DataArray:
    """Values [seed, emotion, neuron] as one layer, emotions in another order than the pairs'."""
    array = xr.DataArray(values[:, :, None], dims=("seed", "emotion", "layer", "neuron"), coords={"emotion": NAMES})
    return array.isel(emotion=np.random.default_rng(0).permutation(len(NAMES)))


def test_fit_is_scipy_s_and_both_p_approach_those_of_all_permutations() -> None:
    rng = np.random.default_rng(1)
    x, y = pdist(rng.normal(size=(5, 2))), pdist(rng.normal(size=(5, 2)))
    fit = structure.fit_rdms(x, y, 4000, 0)
    assert fit.value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    square = np.zeros((5, 5))
    i, j = pair_index(5)
    square[i, j] = square[j, i] = x
    every = [square[np.ix_(o, o)][i, j] for o in map(list, itertools.permutations(range(5)))]
    null = np.array([scipy.stats.spearmanr(z, y).statistic for z in every])
    assert fit.p_greater == pytest.approx((null >= fit.value - 1e-9).mean(), abs=0.03)
    assert fit.p == pytest.approx((abs(null) >= abs(fit.value) - 1e-9).mean(), abs=0.03)


def test_p_of_a_fit_is_calibrated_and_intervals_cover_zero_where_nothing_is_shared() -> None:
    rng = np.random.default_rng(2)
    p, covered = [], 0
    for _ in range(300):
        points = rng.normal(size=(2, 14, 2))
        points[:, :, 0] += 2 * rng.choice([-1, 1], (2, 14))  # families of emotions
        fit = structure.fit_rdms(pdist(points[0]), pdist(points[1]), 99, int(rng.integers(1 << 30)))
        p.append((fit.p_greater, fit.p))
        covered += fit.low <= 0 <= fit.high
    for side in np.array(p).T:
        assert scipy.stats.binomtest(int((side <= 0.05).sum()), 300, 0.05).pvalue > 0.001
    assert covered > 270


def test_two_groups_alone_fit_over_all_pairs_and_within_neither() -> None:
    rng = np.random.default_rng(3)
    names = [f"e{k}" for k in range(24)]
    side = np.repeat([0.0, 1.0], 12)
    model, human = (_rdm(np.c_[6 * side, rng.normal(size=(24, 3))], names) for _ in range(2))
    groups = structure.split_at_middle(xr.DataArray(side, {"emotion": names}, ["emotion"]))
    assert structure.fit_rdms(model, human, 199, 0).value > 0.7
    within = structure.fit_within(model, human, groups, 199, 0)
    for name, some in groups.items():
        i, j = pair_index(24)
        kept = np.isin(np.array(names)[i], some) & np.isin(np.array(names)[j], some)
        assert within[name].value == pytest.approx(scipy.stats.spearmanr(model[kept], human[kept]).statistic)
        assert within[name].p_greater > 0.01


def test_a_table_of_fits_has_the_two_sided_p() -> None:
    rng = np.random.default_rng(11)
    fit = structure.fit_rdms(pdist(rng.normal(size=(8, 2))), pdist(rng.normal(size=(8, 2))), 99, 0)
    table = structure.to_table({"raw": fit})
    assert table.loc["raw"].to_dict() == {"rho": fit.value, "low": fit.low, "high": fit.high, "p": fit.p}


def test_groups_that_the_rdm_has_not_are_refused() -> None:
    with pytest.raises(LabelError, match="has no awe"):
        structure.select_pairs(_rdm(np.eye(10)), ["e0", "e1", "e2", "awe"])
    with pytest.raises(LabelError, match="3 emotions have too few pairs"):
        structure.select_pairs(_rdm(np.eye(10)), NAMES[:3])


def test_correction_for_noise_finds_the_correlation_without_it() -> None:
    rng = np.random.default_rng(4)
    clean = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 50_000).T
    noisy = clean + rng.normal(size=clean.shape) * np.array([[1.0], [0.5]])
    r = np.corrcoef(noisy)[0, 1]
    assert structure.correct_for_noise(r, 1 / 2, 1 / 1.25) == pytest.approx(0.6, abs=0.02)
    assert np.isnan(structure.correct_for_noise(0.3, -0.1, 1))


def test_a_pattern_common_to_all_emotions_hides_what_centring_shows() -> None:
    rng = np.random.default_rng(5)
    signal, common = rng.normal(size=(10, 300)), 20 * rng.normal(size=300)
    centred = structure.centred_rdm(_activations((signal + common)[None]), _rdm(np.eye(10)))
    expected = 1 - np.corrcoef(signal - signal.mean(0))[pair_index(10)]
    np.testing.assert_allclose(centred, expected, atol=1e-10)


def test_crossvalidated_distances_are_those_of_every_two_seeds() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(size=(3, 10, 20)) + 2 * rng.normal(size=(10, 20))
    made = structure.crossvalidated_rdms(_activations(values), _rdm(np.eye(10)))
    i, j = pair_index(10)
    for p in range(len(i)):
        d = values[:, i[p]] - values[:, j[p]]
        expected = np.mean([d[a] @ d[b] for a, b in itertools.permutations(range(3), 2)])
        assert float(made.euclidean[p]) == pytest.approx(expected)


def test_crossvalidated_distances_of_noise_alone_are_zero_on_average_and_plain_ones_are_not() -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(12, 10, 4000))
    human = _rdm(np.eye(10))
    alone = structure.crossvalidated_rdms(_activations(noise), human)
    assert alone.euclidean.notnull().all() and alone.correlation.isnull().any()  # patterns that do not agree over seeds
    signal = rng.normal(size=(2, 4000))[[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]]  # two groups, nothing within
    made = structure.crossvalidated_rdms(_activations(signal + noise), human)
    same = pdist(signal) == 0
    for name in ("euclidean", "crossnobis"):
        size = made[name].values[~same].mean()
        assert abs(made[name].values[same].mean()) < 0.02 * size
    assert made.correlation.values[same].mean() == pytest.approx(0, abs=0.02)
    plain = pdist((signal + noise).mean(0), "sqeuclidean")
    assert plain[same].mean() > 0.05 * plain[~same].mean()


def test_a_single_seed_and_a_network_that_reads_nothing_have_no_such_rdms() -> None:
    rng, human = np.random.default_rng(9), _rdm(np.eye(10))
    one = _activations(rng.normal(size=(1, 10, 30)))
    assert structure.crossvalidated_rdms(one, human).to_array().isnull().all()
    assert np.isnan(structure.seed_reliability(one, human, 5, 0))
    nothing = _activations(np.zeros((3, 10, 30)))
    assert structure.centred_rdm(nothing, human).isnull().all()
    assert np.isnan(structure.seed_reliability(nothing, human, 5, 0))
    fit = structure.fit_rdms(structure.centred_rdm(nothing, human), human, 99, 0)
    assert np.isnan(fit).all()
    few = structure.fit_within(human, human, {"pleasant": NAMES[:3]}, 99, 0)["pleasant"]
    assert np.isnan(few).all()


def test_fit_without_noise_is_near_that_of_the_clean_patterns_or_above() -> None:
    rng, rows = np.random.default_rng(10), []
    for _ in range(20):
        signal = rng.normal(size=(10, 3)) @ rng.normal(size=(3, 200))
        people = _activations((signal + 2 * rng.normal(size=signal.shape))[None])
        human = structure.centred_rdm(people, _rdm(np.eye(10)))
        noisy = _activations(signal + 9 * rng.normal(size=(8, 10, 200)))
        centred, clean = (structure.centred_rdm(a, human) for a in (noisy, _activations(signal[None])))
        rdms = xr.Dataset({"human": human, "model": centred.expand_dims(distance=["correlation"])})
        found = structure.fit_without_noise(rdms, noisy, 1.0, 20, 0)
        fit = [structure.rank_correlation(rdm.values, human.values) for rdm in (clean, centred)]
        rows.append([*fit, found["centred.without_noise"]])
    true, seen, corrected = np.mean(rows, axis=0)
    assert seen < true - 0.1
    assert true - 0.02 < corrected < true + 0.12  # it takes noise to be additive, and corrects a little too much


def test_reliability_over_seeds_predicts_how_well_new_seeds_agree() -> None:
    rng = np.random.default_rng(8)
    signal = rng.normal(size=(10, 3)) @ rng.normal(size=(3, 200))
    human, draw = _rdm(np.eye(10)), lambda: _activations(signal + 6 * rng.normal(size=(8, 10, 200)))
    found, agreement = [], []
    for _ in range(20):
        first, second = draw(), draw()
        found.append(structure.seed_reliability(first, human, 20, 0, centre=True))
        rdms = [structure.centred_rdm(a, human) for a in (first, second)]
        agreement.append(scipy.stats.spearmanr(*rdms).statistic)
    assert np.mean(found) == pytest.approx(np.mean(agreement), abs=0.05)


def test_rdms_of_different_pairs_are_never_compared() -> None:
    make = lambda names: xr.DataArray(np.arange(6.0), dims="pair", coords=rdm.pair_coords(names))  # noqa: E731
    a, b = make(list("abcd")), make(list("abdc"))
    assert structure.compare(a, a) == structure.compare(a.values, a) == pytest.approx(1)
    for other in (b, a[:5], b.values[:5]):
        with pytest.raises(LabelError, match="one pair axis"):
            structure.compare(a, other)
    with pytest.raises(LabelError, match="one pair axis"):
        structure.compare_rdms(a.expand_dims("model"), b)


def _human(values: np.ndarray, emotions: str) -> xr.DataArray:
    return xr.DataArray(values, dims="pair", coords=rdm.pair_coords(list(emotions)))


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


def test_fits_are_those_of_scipy_and_of_single_tests() -> None:
    rng = np.random.default_rng(4)
    human = _human(np.round(rng.random(21), 1), "abcdefg")
    rdms = xr.DataArray(rng.random((2, 3, 21)), dims=("seed", "layer", "pair"), coords={"layer": [1, 2, 3], **human.coords})
    fit = structure.compare_rdms(rdms, human)
    for name, statistic in (("tau", kendalltau), ("rho", spearmanr)):
        expected = [[statistic(row, human).statistic for row in rows] for rows in rdms.values]
        np.testing.assert_allclose(fit[name].transpose("seed", "layer"), expected, atol=1e-12)
    tests = structure.fit_tests(rdms.isel(seed=0), human, 199, 5)
    assert tests.index.tolist() == [1, 2, 3] and tests.index.name == "layer"
    np.testing.assert_allclose(tests["tau"], fit.tau.isel(seed=0), atol=1e-12)
    alone = structure.fit_tests(rdms.isel(seed=0).sel(layer=[2]), human, 199, 5)
    assert tests.loc[2, "mantel_p"] == alone.loc[2, "mantel_p"] == alone.loc[2, "p_fwe"] <= tests.loc[2, "p_fwe"]
    expected = kendalltau(rdms[0, 1], human, alternative="greater", method="asymptotic").pvalue
    assert tests.loc[2, "parametric_p"] == pytest.approx(expected, rel=1e-9)


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
        fit = structure.bootstrap_fit(np.stack([model, truth]), judgments, 300, 1, over).loc[0]
        assert fit.value == pytest.approx(structure.compare(model, judgments.mean(0), "rho"), abs=1e-9)
        assert fit.low < fit.value < fit.high
        widths[over] = fit.high - fit.low
    assert widths["judges"] < widths["emotions"]
    with pytest.raises(ValueError, match="over must be"):
        structure.bootstrap_fit(model, judgments, 10, 0, "pairs")


def _labelled(rdms: np.ndarray, emotions: int, label: str) -> xr.DataArray:
    names = [f"{label}{k}" for k in range(len(rdms))]
    return xr.DataArray(rdms, dims=(label, "pair"),
                        coords={label: names, **rdm.pair_coords([f"e{k}" for k in range(emotions)])})  # fmt: skip


def _of_points(rng: np.random.Generator, points: np.ndarray, seeds: int) -> xr.DataArray:
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
    many, few, nothing = (_of_points(rng, p, n) for p, n in ((points, 12), (points, 3), (rng.normal(size=(16, 3)), 3)))
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
