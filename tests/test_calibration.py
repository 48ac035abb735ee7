"""A small version of the calibration table: no valid test fires too often; the study's kind of test on masks does."""

import pytest
import scipy.stats

from emonb.analysis.calibration import TESTS, measure_rates

N = {
    "structure": 60,
    "neuron": 60,
    "searchlight": 25,
    "partial": 150,
    "partial_close": 150,
    "masks": 300,
    "importance": 300,
}


@pytest.mark.parametrize("name", TESTS)
def test_valid_tests_do_not_fire_too_often(name: str) -> None:
    rates = measure_rates(name, N[name], seed=7, levels=(0.05,)).set_index("kind")
    hits = round(rates.loc["valid", "rate"] * N[name])
    assert scipy.stats.binomtest(hits, N[name], 0.05, alternative="greater").pvalue > 0.001
    if name in ("masks", "importance", "searchlight", "partial", "partial_close"):
        assert rates.loc["study", "low"] > 0.05


def test_same_seed_same_rates() -> None:
    a, b = (measure_rates("masks", 20, seed=3) for _ in range(2))
    assert a.equals(b)
