import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from emonb.analysis.tau import tau_b


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 14).flatmap(
        lambda n: st.tuples(
            arrays(np.float64, st.tuples(st.integers(1, 6), st.just(n)), elements=st.integers(0, 4)),
            arrays(np.float64, st.tuples(st.integers(1, 5), st.just(n)), elements=st.integers(0, 4)),
        )
    )
)
def test_equals_scipy_with_any_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    expected = np.array([[kendalltau(a, b).statistic for b in y] for a in x])
    np.testing.assert_allclose(tau_b(x, y), expected, atol=1e-12)


def test_equals_scipy_across_word_borders() -> None:
    rng = np.random.default_rng(3)
    for n in (2, 63, 64, 65, 127, 128, 129):
        x, y = np.round(rng.random((5, n)), 2), np.round(rng.random((4, n)), 1)
        np.testing.assert_allclose(tau_b(x, y), [[kendalltau(a, b).statistic for b in y] for a in x], atol=1e-12)


def test_equals_scipy_and_rsatoolbox_at_the_study_s_size() -> None:
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm.compare import compare_kendall_tau

    rng = np.random.default_rng(1)
    x, y = rng.random((9, 351)), np.round(rng.random((5, 351)), 1)
    x[4] = np.round(x[4], 1)  # one row with ties among rows without
    got = tau_b(x, y)
    np.testing.assert_allclose(got, [[kendalltau(a, b).statistic for b in y] for a in x], atol=1e-12)
    np.testing.assert_allclose(got, compare_kendall_tau(RDMs(x), RDMs(y)), atol=1e-12)


def test_constant_vectors_have_no_tau() -> None:
    assert np.isnan(tau_b(np.ones((1, 5)), np.arange(5.0)[None])).all()


@pytest.mark.parametrize(
    ("x", "message"), [(np.ones(4), "n_vectors"), (np.array([[1.0, np.nan]]), "NaN"), (np.ones((2, 1)), ">= 2")]
)
def test_bad_input_names_the_fix(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tau_b(x, x)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same pairs"):
        tau_b(np.ones((1, 4)), np.ones((1, 5)))
