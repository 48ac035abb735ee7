"""Bootstrap intervals against scipy, against rsatoolbox's formula, and by how often they hold the truth."""

import numpy as np
import pytest
import scipy.stats
from rsatoolbox.util.inference_util import _dual_bootstrap
from scipy.spatial.distance import pdist

from emonb.analysis import statistics


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
