"""The rule is exhaustive, monotone, symmetric and never says no without an interval below the smallest effect."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonb.book.verdict import decide, is_small
from emonb.errors import ClaimError

finite = st.floats(-10, 10)
widths = st.floats(0, 5)
smallest = st.floats(0.01, 3)
p_values = st.floats(0, 1)
RANK = {"no": 0, "undecided": 1, "yes": 2}


@st.composite
def evidence(draw: st.DrawFn) -> tuple[float, tuple[float, float], tuple[float, float]]:
    low, a, b, c = draw(finite), draw(widths), draw(widths), draw(widths)
    return draw(p_values), (low, low + a + b + c), (low + a, low + a + b)


@given(evidence(), smallest)
def test_every_case_has_the_verdict_its_words_say(given_numbers: tuple, least: float) -> None:
    p, wide, narrow = given_numbers
    verdict = decide(p, wide, narrow, least)
    shown, excluded = p < 0.05 and wide[0] > 0, narrow[1] < least
    assert verdict == ("yes" if shown else "no" if excluded else "undecided")
    if verdict == "no":
        assert is_small(narrow, least)


@given(evidence(), smallest, st.floats(0, 10), st.floats(0, 1))
def test_a_larger_effect_or_smaller_p_never_moves_towards_no(
    given_numbers: tuple, least: float, up: float, factor: float
) -> None:
    p, wide, narrow = given_numbers
    higher = decide(p * factor, tuple(x + up for x in wide), tuple(x + up for x in narrow), least)
    assert RANK[higher] >= RANK[decide(p, wide, narrow, least)]


@given(evidence(), smallest, st.floats(0.01, 10))
def test_a_larger_smallest_effect_never_takes_a_no_away_nor_touches_a_yes(
    given_numbers: tuple, least: float, more: float
) -> None:
    before, after = decide(*given_numbers, least), decide(*given_numbers, least + more)
    assert (before == "yes") == (after == "yes") and (before != "no" or after == "no")


@given(evidence(), smallest)
def test_less_mirrors_greater(given_numbers: tuple, least: float) -> None:
    p, wide, narrow = given_numbers
    mirrored = [(-high, -low) for low, high in (wide, narrow)]
    assert decide(p, *mirrored, least, side="less") == decide(p, wide, narrow, least)
    assert is_small(mirrored[1], least, "less") == is_small(narrow, least)


@given(evidence(), smallest, st.integers(0, 4), st.sampled_from([None, math.nan]))
def test_a_missing_number_is_not_tested(given_numbers: tuple, least: float, gone: int, nothing: float | None) -> None:
    p, wide, narrow = given_numbers
    numbers = [p, *wide, *narrow]
    numbers[gone] = nothing
    assert decide(numbers[0], tuple(numbers[1:3]), tuple(numbers[3:]), least) == "not tested"


def test_failing_a_test_is_no_evidence_of_absence() -> None:
    assert decide(1.0, (-math.inf, math.inf), (-math.inf, math.inf), 0.01) == "undecided"
    assert decide(0.001, (-3, -1), (-2.5, -1.5), 0.01) == "no"  # shown on the other side
    assert decide(0.04, (-0.01, 0.5), (0.01, 0.4), 0.1) == "undecided"  # p and interval must agree
    assert decide(0.05, (0.0, 0.5), (0.01, 0.4), 0.1) == "undecided"
    assert decide(0.01, (0.01, 0.05), (0.02, 0.04), 0.1) == "yes" and is_small((0.02, 0.04), 0.1)


@pytest.mark.parametrize(
    ("numbers", "least", "message"),
    [
        ((1.2, (0, 1), (0, 1)), 0.1, "p value lies in 0..1"),
        ((0.2, (0, 1), (-1, 1)), 0.1, "does not hold the 90 % interval"),
        ((0.2, (1, 0), (0, 1)), 0.1, "does not hold"),
        ((0.2, (0, 1), (0, 1)), 0.0, "must be a positive number"),
        ((None, (0, 1), (0, 1)), -1.0, "must be a positive number"),
    ],
)
def test_numbers_that_cannot_be_are_refused(numbers: tuple, least: float, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        decide(*numbers, least)
