"""Sentences say what was recorded, in numbers, and nothing where their condition does not hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonb.book.prose import fill
from emonb.errors import ClaimError

RECORDED = {"lesions.p": 0.04, "lesions.random.1000.anger-face": 0.79, "lesions.zero": -1e-9, "structure.n": 27.0}


def test_a_sentence_is_filled_by_full_and_by_short_names() -> None:
    assert fill("\np = {lesions.p:.2f}, n = {structure.n:,.0f}\n", RECORDED) == "p = 0.04, n = 27"
    assert fill("{here.anger-face:.1%}", RECORDED, here="lesions.random.1000") == "79.0 %"
    assert fill("{p:.3f} of {share:.0%} {what}s", RECORDED, p="lesions.p", share=0.5, what="mask") == "0.040 of 50 % masks"
    assert fill("{lesions.zero:.3f} {lesions.zero:.0%}", RECORDED) == "0.000 0 %"
    assert fill("{{lesions.p}}", RECORDED) == "{lesions.p}"


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_a_number_in_a_sentence_is_its_number_rounded(value: float, digits: int) -> None:
    text = fill(f"{{a.b:.{digits}f}}", {"a.b": value}).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=0.501 * 10.0**-digits)
    assert not (text.startswith("-") and float(text) == 0)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("lesions.p < .05", True),
        ("lesions.p<5e-2", True),
        ("lesions.p > .05", False),
        ("lesions.zero >= -1", True),
        ("lesions.p < structure.n", True),
        ("structure.n == 27 and lesions.p <= 0.04", True),
        ("lesions.p > 1 or structure.n != 28", True),
        ("structure.n == 27 or lesions.p > 1 and lesions.p > 2", True),  # "and" binds closer
        ("lesions.p", True),
        ("not lesions.p", False),
        ("lesions.q", False),
        ("not lesions.q", True),
        ("lesions.q < 1", False),
        ("lesions.p < lesions.q", False),
        ("lesions.q < 1 or lesions.p < 1", True),
        ("short < .05", True),
        ("here.anger-face > .7", True),
        ("limit > lesions.p", True),
    ],
)
def test_a_condition_decides_whether_anything_is_said(when: str, holds: bool) -> None:
    said = fill("said", RECORDED, when, short="lesions.p", here="lesions.random.1000", limit=0.05)
    assert said == ("said" if holds else None)


@pytest.mark.parametrize(
    ("text", "when", "names", "message"),
    [
        ("{lesion.p}", None, {}, "no quantity 'lesion.p' was recorded; did you mean 'lesions.p'"),
        ("{a.q}", None, {"a": "lesions"}, "no quantity 'lesions.q' was recorded"),
        ("{a.p}", None, {"a": "lesion"}, "did you mean 'lesions.p'"),
        ("{xyz}", None, {}, "record it before it is said"),
        ("{}", None, {}, "no quantity '0'"),
        ("{lesions.p:.3q}", None, {}, "cannot be written as '.3q'"),
        ("x", "lesions.p <", {}, "is no condition"),
        ("x", "lesions.p < .05 and", {}, "is no condition"),
        ("x", "__import__('os')", {}, "is no condition"),
        ("x", "lesions.p < (1)", {}, "is no condition"),
    ],
)
def test_what_cannot_be_said_is_an_error_that_says_why(text: str, when: str | None, names: dict, message: str) -> None:
    with pytest.raises(ClaimError) as error:
        fill(text, RECORDED, when, **names)
    assert message in str(error.value)
