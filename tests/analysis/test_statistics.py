import itertools

import numpy as np
import pingouin
import pytest
import scipy.stats
from rsatoolbox.util.inference_util import _dual_bootstrap
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau

from emonb.analysis import rdm, statistics


def _random_rdm(rng: np.random.Generator, n: int, k: int = 3) -> np.ndarray:
    return rdm.pattern_rdm(rng.normal(size=(n, k)), "euclidean")


def _two_groups(rng: np.random.Generator, n: int) -> np.ndarray:
    """RDM of items on one axis, in two groups (as emotions are pleasant or not)."""
    return rdm.pattern_rdm((rng.choice([-1, 1], n) + 0.5 * rng.normal(size=n))[:, None], "euclidean")


def test_mantel_approaches_the_exact_p_of_all_permutations() -> None:
    rng = np.random.default_rng(2)
    x, y = _random_rdm(rng, 5), np.round(_random_rdm(rng, 5), 1)
    every = statistics.permute_rdm(y, np.array(list(itertools.permutations(range(5)))))
    null = np.array([kendalltau(x, z).statistic for z in every])
    exact = (null >= kendalltau(x, y).statistic - 1e-12).mean()
    result = statistics.mantel_test(x, y, 4000, 0)
    assert result.statistic[0, 0] == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)
    assert result.p[0, 0] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000) + 1 / 4000)


def test_mantel_of_many_equals_one_by_one_and_maxima_are_the_maxima(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "AT_ONCE", 7)
    rng = np.random.default_rng(0)
    x = np.array([_random_rdm(rng, 7) for _ in range(6)])
    x[2] = np.round(x[2], 1)
    y = np.round(np.array([_random_rdm(rng, 7) for _ in range(3)]), 1)
    together = statistics.mantel_test(x, y, 60, 5)
    orders = statistics.draw_permutations(7, 60, 5)
    null = np.array([[[kendalltau(a, b).statistic for b in z] for a in x] for z in statistics.permute_rdm(y, orders)])
    observed = np.array([[kendalltau(a, b).statistic for b in y] for a in x])
    np.testing.assert_allclose(together.p, ((null >= observed - 1e-12).sum(0) + 1) / 61)
    np.testing.assert_allclose(together.p_fwe, ((null.max(1)[:, None] >= observed - 1e-12).sum(0) + 1) / 61)


def test_a_constant_rdm_is_never_significant() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([np.zeros(21), _random_rdm(rng, 7), np.zeros(21)])
    y = _random_rdm(rng, 7)
    result = statistics.mantel_test(x, y, 99, 0)
    assert np.isnan(result.statistic[[0, 2], 0]).all()
    for p in (result.p, result.p_fwe, statistics.parametric_tau_p(result.statistic, x, y[None])):
        np.testing.assert_array_equal(p[[0, 2], 0], 1)
        assert 0 < p[1, 0] < 1


def test_permuting_labels_of_both_rdms_together_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    x, y = _random_rdm(rng, 8), _random_rdm(rng, 8)
    order = rng.permutation(8)[None]
    moved = statistics.mantel_test(statistics.permute_rdm(x, order)[0], statistics.permute_rdm(y, order)[0], 99, 0)
    assert moved.statistic[0, 0] == pytest.approx(statistics.mantel_test(x, y, 99, 0).statistic[0, 0], abs=1e-12)


def test_same_seed_same_bits_and_other_seed_other_null() -> None:
    rng = np.random.default_rng(1)
    x, y = _random_rdm(rng, 8), _random_rdm(rng, 8)
    a, b, c = (statistics.mantel_test(x, y, 999, seed).p.item() for seed in (4, 4, 5))
    assert a == b != c


def test_p_values_are_uniform_under_the_null_and_parametric_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    p, parametric = [], []
    for _ in range(300):
        x, y = (_two_groups(rng, 27) for _ in range(2))
        p.append(statistics.mantel_test(x, y, 99, int(rng.integers(1 << 30))).p[0, 0])
        tau = kendalltau(x, y).statistic
        parametric.append(statistics.parametric_tau_p(np.array([[tau]]), x[None], y[None])[0, 0])
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001
    assert scipy.stats.binomtest(int((np.array(p) <= 0.05).sum()), 300, 0.05).pvalue > 0.001
    hits = int((np.array(parametric) <= 0.05).sum())
    assert scipy.stats.binomtest(hits, 300, 0.05, alternative="greater").pvalue < 0.01


def test_a_planted_relation_is_found() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(14, 3))
    noisy = rdm.pattern_rdm(points + 0.3 * rng.normal(size=points.shape), "euclidean")
    assert statistics.mantel_test(noisy, rdm.pattern_rdm(points, "euclidean"), 999, 0).p[0, 0] == 1 / 1000


def test_parametric_p_equals_scipy_with_ties() -> None:
    rng = np.random.default_rng(4)
    x, y = np.round(rng.random((3, 60)), 1), np.round(rng.random((2, 60)), 1)
    tau = np.array([[kendalltau(a, b).statistic for b in y] for a in x])
    expected = [[kendalltau(a, b, alternative="greater", method="asymptotic").pvalue for b in y] for a in x]
    np.testing.assert_allclose(statistics.parametric_tau_p(tau, x, y), expected, rtol=1e-9)


def test_corrections_differ_by_the_monotone_step_only() -> None:
    p = np.array([[0.01, 0.02, 0.021], [0.5, 0.04, 0.9]])
    raw, adjusted = statistics.paper_q(p), statistics.benjamini_hochberg(p)
    assert (adjusted <= raw + 1e-15).all()
    assert adjusted[0, 0] == pytest.approx(0.042)
    assert raw[0, 0] == pytest.approx(0.06)


def test_estimates_agree_with_scipy() -> None:
    x = np.random.default_rng(0).normal(0.3, 1, 12)
    test = scipy.stats.ttest_1samp(x, 0)
    mine = statistics.from_t(x.mean(), x.std(ddof=1) / np.sqrt(12), 11)
    assert (mine.low, mine.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert (mine.low90, mine.high90) == pytest.approx(tuple(test.confidence_interval(0.90)))
    assert mine.p == pytest.approx(test.pvalue)
    assert mine.p_greater == pytest.approx(scipy.stats.ttest_1samp(x, 0, alternative="greater").pvalue)
    y = x + np.random.default_rng(1).normal(0, 1, 12)
    r = scipy.stats.pearsonr(x, y)
    mine = statistics.from_r(r.statistic, 12)
    assert (mine.low, mine.high) == pytest.approx(tuple(r.confidence_interval(0.95)))
    assert (mine.low90, mine.high90) == pytest.approx(tuple(r.confidence_interval(0.90)))
    assert mine.p == pytest.approx(r.pvalue)
    for undefined in (
        statistics.from_t(1, 0, 5),
        statistics.from_t(1, np.nan, 5),
        statistics.from_r(1.0, 9),
        statistics.from_r(0.2, 3),
    ):
        assert np.isnan(undefined[1:]).all()


@pytest.mark.parametrize("t", [-1.3, 0.0, 0.7, 2.5, 6.0])
def test_bayes_factors_agree_with_pingouin(t: float) -> None:
    r = t / np.sqrt(t**2 + 12)
    assert statistics.bayes_r(r, 14) == pytest.approx(pingouin.bayesfactor_pearson(r, 14), rel=1e-5)
    both = statistics.bayes_r(r, 14, "greater") + statistics.bayes_r(-r, 14, "greater")
    assert both / 2 == pytest.approx(statistics.bayes_r(r, 14), rel=1e-5)
    assert statistics.bayes_r(0.6, 14, "greater") > statistics.bayes_r(0.6, 14) > 1


def test_bayes_factors_refuse_what_they_do_not_know() -> None:
    assert np.isnan(statistics.bayes_r(1.0, 5))
    with pytest.raises(ValueError, match="side is 'two-sided' or 'greater'"):
        statistics.bayes_r(0.3, 9, "less")


def test_detectable_effects_are_detected_as_often_as_they_say() -> None:
    rng = np.random.default_rng(21)
    x = rng.normal(statistics.detectable_difference(1 / np.sqrt(14), 13), 1, (20_000, 14))
    assert (scipy.stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)
    r = statistics.detectable_r(14)
    a = rng.normal(size=(20_000, 14))
    b = r * a + np.sqrt(1 - r**2) * rng.normal(size=a.shape)
    assert (scipy.stats.pearsonr(a, b, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)
    assert np.isnan(statistics.detectable_difference(0, 5))


def test_the_basic_interval_is_scipy_s() -> None:
    rng = np.random.default_rng(0)
    data = rng.exponential(size=40)
    basic = scipy.stats.bootstrap((data,), np.mean, n_resamples=2000, method="basic", rng=rng)
    mine = statistics.basic_interval(data.mean(), basic.bootstrap_distribution)
    np.testing.assert_allclose(mine, basic.confidence_interval, rtol=0.01)


def test_two_factor_variance_is_rsatoolbox_s() -> None:
    for both, judges, emotions in ((0.03, 0.004, 0.02), (0.011, 0.005, 0.005), (0.05, 0.001, 0.003)):
        theirs = _dual_bootstrap(np.array([[both], [judges], [emotions]]), 20, 10)
        assert statistics.two_factor_variance(both, judges, emotions, 20, 10) == pytest.approx(float(theirs[0]), abs=1e-3)


def test_intervals_hold_the_truth_and_the_corrected_one_is_not_the_widest() -> None:
    """New judges and new emotions: the truth is the mean fit over many data sets."""
    rng = np.random.default_rng(1)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        points = rng.normal(size=(18, 3))
        clean = pdist(points)
        model = pdist(points + rng.normal(size=points.shape))
        return model, clean + 1.5 * rng.normal(size=(12, len(clean)))

    truth = np.mean([scipy.stats.spearmanr(m, j.mean(0)).statistic for m, j in (draw() for _ in range(2000))])
    tables = [statistics.resample_factors(*draw(), 60, k) for k in range(60)]
    inside = np.mean([t["both"].low <= truth <= t["both"].high for t in tables])
    assert 0.86 < inside <= 1
    spread = np.std([t["both"].value for t in tables])
    sd = np.mean([(t["both"].high90 - t["both"].low90) / 2 / scipy.stats.t.isf(0.05, 11) for t in tables])
    assert 0.8 < sd / spread < 1.35


def test_the_interval_over_judges_holds_the_fit_without_their_noise_and_percentiles_do_not() -> None:
    rng = np.random.default_rng(2)
    inside = below = 0
    for k in range(100):
        points = rng.normal(size=(12, 2))
        clean, model = pdist(points), pdist(points + 0.3 * rng.normal(size=points.shape))
        judges = clean + 1.5 * rng.normal(size=(15, len(clean)))
        table = statistics.resample_factors(model, judges, 150, k)
        low, high, rho = table["judges"].low, table["judges"].high, table["judges"].value
        truth = scipy.stats.spearmanr(model, clean).statistic
        inside += low <= truth <= high
        below += 2 * rho - low < truth  # the upper percentile
    assert inside > 82
    assert below > 25


def test_missing_judgments_are_left_out() -> None:
    rng = np.random.default_rng(3)
    clean = pdist(rng.normal(size=(10, 2)))
    judges = clean + 0.5 * rng.normal(size=(8, len(clean)))
    judges[0, :5] = np.nan
    found = statistics.resample_factors(clean, judges, 40, 0)
    assert all(np.isfinite([*estimate.evidence().values()][:5]).all() for estimate in found.values())


def test_interval_and_p_agree_and_a_fit_stays_within_one() -> None:
    rng = np.random.default_rng(4)
    clean = pdist(rng.normal(size=(10, 2)))
    judges = clean + 0.2 * rng.normal(size=(6, len(clean)))
    found = statistics.resample_factors(clean, judges, 60, 0)["both"]
    assert found.low < found.low90 < found.value <= found.high90 <= found.high <= 1
    noise = [statistics.resample_factors(rng.random(45), judges, 60, k)["both"] for k in range(30)]
    assert all((e.p < 0.05) == (not e.low <= 0 <= e.high) for e in noise)


def test_a_difference_of_fits_is_paired_and_turns_its_sign() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(16, 3))
    clean = pdist(points)
    judges = clean + rng.normal(size=(12, len(clean)))
    good, bad = pdist(points + 0.5 * rng.normal(size=points.shape)), rng.random(len(clean))
    found = statistics.resample_factors(good, judges, 200, 0, minus=bad)
    fits = [scipy.stats.spearmanr(x, judges.mean(0)).statistic for x in (good, bad)]
    assert found["both"].value == pytest.approx(fits[0] - fits[1])
    assert found["both"].low > 0 and found["both"].p < 0.05
    turned = statistics.resample_factors(bad, judges, 200, 0, minus=good)["both"]
    assert (turned.value, turned.low90) == (pytest.approx(-found["both"].value), pytest.approx(-found["both"].high90))
    same = statistics.resample_factors(good, judges, 50, 0, minus=good + 1)["both"]
    assert same.value == 0 and np.isnan(same.p)  # nothing varies
    near = pdist(points + 0.5 * rng.normal(size=points.shape))
    apart = [statistics.resample_factors(good, judges, 200, 1, minus=x)["both"] for x in (near, bad)]
    assert apart[0].high - apart[0].low < apart[1].high - apart[1].low


def test_nothing_is_estimated_where_nothing_varies() -> None:
    judges = np.random.default_rng(6).random((5, 21))
    for model in (np.ones(21), np.full(21, np.nan)):
        found = statistics.resample_factors(model, judges, 30, 0)
        assert all(np.isnan(estimate[:6]).all() for estimate in found.values())


def test_of_several_rdms_the_mean_fit_is_meant() -> None:
    rng = np.random.default_rng(8)
    judges, models = rng.random((9, 45)), rng.random((4, 45))
    human = judges.mean(0)
    found = statistics.resample_factors(models[:3], judges, 40, 0, minus=models[3])["both"]
    rho = [scipy.stats.spearmanr(model, human).statistic for model in models]
    assert found.value == pytest.approx(np.mean(rho[:3]) - rho[3])
    twice = statistics.resample_factors(models[[0, 0]], judges, 40, 0)["both"]
    np.testing.assert_allclose(twice, statistics.resample_factors(models[0], judges, 40, 0)["both"], rtol=1e-9)
