"""The rule is exhaustive, monotone, symmetric and never says no without an interval below the smallest effect."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonb.book.claims import Evidence, decide_count
from emonb.errors import ClaimError

finite = st.floats(-10, 10)
widths = st.floats(0, 5)
smallest = st.floats(0.01, 3)
p_values = st.floats(0, 1)
RANK = {"no": 0, "undecided": 1, "yes, too small to matter": 2, "yes": 3}


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    low, a, b, c, d = draw(finite), draw(widths), draw(widths), draw(widths), draw(widths)
    return Evidence(low + a + b, low, low + a + b + c + d, low + a, low + a + b + c, draw(p_values))


def _move(found: Evidence, up: float = 0.0, factor: float = 1.0) -> Evidence:
    return Evidence(*(number + up for number in found[:5]), found.p * factor)


@given(evidence(), smallest)
def test_every_case_has_the_verdict_its_words_say(found: Evidence, least: float) -> None:
    shown, small = found.p < 0.05 and found.low > 0, found.high90 < least
    said = {(True, False): "yes", (True, True): "yes, too small to matter", (False, True): "no"}
    assert found.decide(least) == said.get((shown, small), "undecided")


@given(evidence(), smallest, st.floats(0, 10), st.floats(0, 1))
def test_a_larger_effect_or_smaller_p_never_moves_towards_no(
    found: Evidence, least: float, up: float, factor: float
) -> None:
    assert RANK[_move(found, up, factor).decide(least)] >= RANK[found.decide(least)]


@given(evidence(), smallest, st.floats(0.01, 10))
def test_a_larger_smallest_effect_makes_no_of_undecided_and_small_of_yes_and_no_more(
    found: Evidence, least: float, more: float
) -> None:
    before, after = found.decide(least), found.decide(least + more)
    turns = {"undecided": "no", "yes": "yes, too small to matter"}
    assert after in (before, turns.get(before))


@given(evidence())
def test_the_verdict_turns_where_it_is_said_to(found: Evidence) -> None:
    """Brute force: of many bounds, those on one side of the turn have one verdict, those on the other another."""
    bounds = [0.001 * 1.2**k for k in range(60)]
    verdicts = [found.decide(bound) for bound in bounds]
    end = found.turns_at()
    if end is None:
        assert len(set(verdicts)) == 1
    else:
        below = {v for bound, v in zip(bounds, verdicts, strict=True) if bound <= end}
        above = {v for bound, v in zip(bounds, verdicts, strict=True) if bound > end}
        assert len(below) <= 1 and len(above) <= 1 and not below & above


@given(evidence(), smallest)
def test_less_mirrors_greater(found: Evidence, least: float) -> None:
    value, low, high, low90, high90, p = found
    mirrored = Evidence(-value, -high, -low, -high90, -low90, p)
    assert mirrored.decide(least, side="less") == found.decide(least)
    assert mirrored.turns_at("less") == found.turns_at()
    assert list(mirrored.edges(least, "less")) == list(found.edges(least))


@given(evidence(), smallest, st.integers(1, 5), st.sampled_from([None, math.nan]))
def test_a_missing_number_is_not_tested(found: Evidence, least: float, gone: int, nothing: float | None) -> None:
    missing = Evidence(*(nothing if k == gone else number for k, number in enumerate(found)))
    assert missing.decide(least) == "not tested"
    assert missing.turns_at() is None and list(missing.edges(least)) == []


def test_failing_a_test_is_no_evidence_of_absence() -> None:
    endless = Evidence(0, -math.inf, math.inf, -math.inf, math.inf, 1.0)
    assert endless.decide(0.01) == "undecided" and endless.turns_at() is None
    assert Evidence(-2, -3, -1, -2.5, -1.5, 0.001).decide(0.01) == "no"  # shown on the other side
    assert Evidence(0.2, -0.01, 0.5, 0.01, 0.4, 0.04).decide(0.1) == "undecided"  # p and interval must agree
    assert Evidence(0.2, 0.0, 0.5, 0.01, 0.4, 0.05).decide(0.1) == "undecided"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Evidence(0.0, -0.3, 0.12, -0.2, 0.0985, 0.6), ["no for any bound above 0.0985"]),
        (Evidence(0.0, -0.3, 0.12, -0.2, 0.102, 0.6), ["no for any bound above 0.102"]),
        (
            Evidence(0.06, 0.02, 0.12, 0.03, 0.095, 0.01),
            ["yes, too small to matter for any bound above 0.095"],
        ),
        (Evidence(0.3, 0.001, 0.6, 0.05, 0.55, 0.0002), ["the 95 % interval hardly leaves zero out"]),
        (Evidence(0.3, 0.1, 0.6, 0.15, 0.55, 0.048), ["p 0.048 is hardly below 0.05"]),
        (Evidence(0.3, 0.1, 0.6, 0.15, 0.55, 0.001), []),
        (Evidence(0.3, -0.1, 0.6, 0.0, 0.55, 0.2), []),
    ],
)
def test_a_verdict_at_the_edge_says_so(found: Evidence, said: list[str]) -> None:
    assert list(found.edges(0.1)) == said


@given(evidence(), smallest)
def test_a_bound_that_a_tenth_turns_is_named_as_an_edge(found: Evidence, least: float) -> None:
    turned = found.decide(least) != found.decide(least * 1.099) or found.decide(least) != found.decide(least / 1.11)
    assert any("for any bound above" in edge for edge in found.edges(least)) or not turned


def test_a_count_is_yes_where_one_is_shown_and_never_no() -> None:
    assert decide_count(1, 0.049) == decide_count(1, 0.05) == "yes"
    assert decide_count(0, 0.9) == "undecided"
    assert decide_count(3, 0.2) == "undecided"  # count and p must agree
    assert decide_count(math.nan, 0.2) == decide_count(2, None) == "not tested"


@pytest.mark.parametrize(
    ("found", "least", "message"),
    [
        (Evidence(0.5, 0, 1, 0, 1, 1.2), 0.1, "p value lies in 0..1"),
        (Evidence(0.5, 0, 1, -1, 1, 0.2), 0.1, "does not hold the 90 % interval"),
        (Evidence(0.5, 1, 0, 0, 1, 0.2), 0.1, "does not hold"),
        (Evidence(0.5, 0, 1, 0, 1, 0.2), 0.0, "must be a positive number"),
        (Evidence(None, None, None, None, None, None), -1.0, "must be a positive number"),
    ],
)
def test_numbers_that_cannot_be_are_refused(found: Evidence, least: float, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        found.decide(least)
