import itertools

import numpy as np
import pytest
import scipy.stats
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


def test_mantel_of_many_equals_one_by_one_and_maxima_are_the_maxima() -> None:
    rng = np.random.default_rng(0)
    x = np.array([_random_rdm(rng, 7) for _ in range(6)])
    x[2] = np.round(x[2], 1)
    y = np.round(np.array([_random_rdm(rng, 7) for _ in range(3)]), 1)
    together = statistics.mantel_test(x, y, 60, 5, chunk=7)
    orders = statistics.draw_permutations(7, 60, 5)
    null = np.array([[[kendalltau(a, b).statistic for b in z] for a in x] for z in statistics.permute_rdm(y, orders)])
    np.testing.assert_allclose(together.null_max, null.max(1), atol=1e-12)
    observed = np.array([[kendalltau(a, b).statistic for b in y] for a in x])
    np.testing.assert_allclose(together.p, ((null >= observed - 1e-12).sum(0) + 1) / 61)
    np.testing.assert_allclose(together.p_fwe, ((null.max(1)[:, None] >= observed - 1e-12).sum(0) + 1) / 61)
    np.testing.assert_allclose(together.p_fwe_all, ((null.max((1, 2))[:, None, None] >= observed - 1e-12).sum(0) + 1) / 61)


def test_a_constant_rdm_is_never_significant() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([np.zeros(21), _random_rdm(rng, 7), np.zeros(21)])
    y = _random_rdm(rng, 7)
    result = statistics.mantel_test(x, y, 99, 0)
    assert np.isnan(result.statistic[[0, 2], 0]).all()
    for p in (result.p, result.p_fwe, result.p_fwe_all, statistics.parametric_tau_p(result.statistic, x, y[None])):
        np.testing.assert_array_equal(p[[0, 2], 0], 1)
        assert 0 < p[1, 0] < 1
    assert np.isfinite(result.null_max).all()


def test_permuting_labels_of_both_rdms_together_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    x, y = _random_rdm(rng, 8), _random_rdm(rng, 8)
    order = rng.permutation(8)[None]
    moved = statistics.mantel_test(statistics.permute_rdm(x, order)[0], statistics.permute_rdm(y, order)[0], 99, 0)
    assert moved.statistic[0, 0] == pytest.approx(statistics.mantel_test(x, y, 99, 0).statistic[0, 0], abs=1e-12)


def test_same_seed_same_bits_and_other_seed_other_null() -> None:
    rng = np.random.default_rng(1)
    x, y = _random_rdm(rng, 8), _random_rdm(rng, 8)
    a, b, c = (statistics.mantel_test(x, y, 99, seed).null_max for seed in (4, 4, 5))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


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
