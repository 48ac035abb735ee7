"""A cell of prose says what was recorded, and an error says on which line something else was asked for."""

import booksite
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonb.book import saying
from emonb.book.saying import render
from emonb.errors import ClaimError
from emonb.run import notebooks

RECORDED = {
    "lesions.p": 0.04,
    "lesions.random.1000.anger-face": 0.79,
    "lesions.zero": -1e-9,
    "lesions.fixed.value": -0.25,
    "lesions.fixed.low": -0.5,
    "lesions.fixed.high": 0.1,
    "lesions.loss.low": -0.3,
    "lesions.loss.high": -0.1,
    "odd.value": float("nan"),
    "structure.n": 27.0,
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\np = {lesions.p:.2f}, n = {structure.n}\n", "p = 0.04, n = 27"),
        ("{lesions.random.1000.anger-face:.1%}", "79.0 %"),
        ("{% set here = lesions.random[1000] %}{here['anger-face']:.2f}", "0.79"),
        ("{lesions.zero:.3f} {lesions.zero:.0%} {lesions.zero:p}", "0.000 0 % < 0.0001"),
        ("p {lesions.p:p}", "p = 0.0400"),
        ("{{ interval(lesions.fixed) }}; {{ interval(lesions.fixed, 1, '+') }}", "−0.25 [−0.50, 0.10]; −0.2 [−0.5, +0.1]"),
        ("{{ interval(odd) }}, {odd.value:.0%}", "undefined, undefined"),
        ("{lesions.fixed.value|abs:.2f} {lesions.p|hundred:.0f} {{ (1 - lesions.p)|write('.2f') }}", "0.25 4 0.96"),
        ("{size:,} {what}s: {{ names|join(', ') }}", "4,000 masks: joy, awe"),
        ("{{ smallest('x')|write('.1f') }}", "0.1"),
    ],
)
def test_numbers_and_words_are_filled_in(text: str, said: str) -> None:
    words = {"size": 4000, "what": "mask", "names": ["joy", "awe"], "model": object()}
    assert render(text, RECORDED, words, smallest=lambda claim: 0.1) == said


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("lesions.p < .05", True),
        ("lesions.p<5e-2 and structure.n == 27", True),
        ("'.05' == '0.05'", False),
        ("odd.value < 1 or odd.value >= 1", False),
        ("odd is known", False),
        ("lesions.fixed is known and lesions.fixed is decided", True),
        ("lesions.p is known and lesions.random is known", True),
        ("nobody.recorded.this is known", False),
        ("lesions.nothing is decided", False),
        ("lesions.fixed is positive or lesions.fixed is negative", False),
        ("lesions.loss is negative and lesions.loss is not positive", True),
        ("verdict('lesions') == 'undecided'", True),
    ],
)
def test_a_condition_decides_what_is_said(condition: str, holds: bool) -> None:
    said = render(f"{{% if {condition} %}}said{{% endif %}}", RECORDED, verdict=lambda claim: "undecided")
    assert said == ("said" if holds else "")


@pytest.mark.parametrize(
    "text",
    [
        "{term}`RDM <rdm>` and {cite:p}`nili2014`, {numref}`a-b`",
        ":::{dropdown} More\nText.\n:::",
        "```{note}\nText.\n```",
        r"$x_{ a }$, \{lesions.p}",
        "{1}, {}, { }",
    ],
)
def test_roles_directives_and_escaped_braces_stay(text: str) -> None:
    assert render(text, RECORDED) == text


def test_a_quantity_in_backticks_is_filled() -> None:
    assert render("`{lesions.p:.2f}`, {term}`mask`", RECORDED) == "`0.04`, {term}`mask`"


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_a_number_in_a_sentence_is_its_number_rounded(value: float, digits: int) -> None:
    text = render(f"{{a.b:.{digits}f}}", {"a.b": value}).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=0.501 * 10.0**-digits)
    assert not (text.startswith("-") and float(text) == 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{lesion.p:.2f}", "line 2 of the cell: no quantity 'lesion.p' was recorded; did you mean 'lesions.p'?"),
        (
            "one\ntwo\n{lesions.q:.2f}",
            "line 4 of the cell: no quantity 'lesions.q' was recorded; did you mean 'lesions.p'?",
        ),
        ("{% if xyz.p < .05 %}{% endif %}", "no quantity 'xyz.p' was recorded; record it before it is said"),
        ("{lesions.p}", "give 'lesions.p' a format"),
        ("{lesions.fixed}", "'lesions.fixed' is no quantity but the beginning of several: lesions.fixed.high,"),
        ("{lesions.p:.3q}", "cannot be written as '.3q'"),
        ("\n{share:.0%}", "line 3 of the cell: 'share' is a fraction and no quantity: record it"),
        ("{{ shares.a|write('.1f') }}", "'shares' is neither a quantity nor a word"),
        ("{{ 0.5|write('.1f') }}", "0.5 is a fraction and no quantity"),
        ("{model}", "'model' is neither a quantity nor a word (object)"),
        ("\n{% if lesions.p < %}", "line 3 of the cell:"),
        ("{% if lesions.p < .05 %}", "line 2 of the cell:"),
        ("{{ verdict('nothing') }}", "unknown claim"),
    ],
)
def test_what_cannot_be_said_is_an_error_that_says_where(text: str, message: str) -> None:
    def verdict(claim: str) -> str:
        raise ClaimError(f"unknown claim '{claim}'")

    with pytest.raises(ClaimError) as error:
        render(text, RECORDED, {"share": 0.5, "shares": {"a": 0.5}, "model": object()}, verdict=verdict)
    assert message in str(error.value)


CELLS = (
    "import emonb.book.saying as saying\n\nname = 'joy'\n"
    "saying.register(lambda text, words: saying.render(text, {'a.b': 0.5}, words))",
    "%%say\n*{name}* lies at {a.b:.2f}.",
    "%%say\n{% if a.b > 1 %}never{% endif %}",
)


def test_the_magic_runs_under_papermill_and_says_nothing_where_nothing_is_true() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    _, said, nothing = notebooks.execute(notebook, {}).cells
    assert said.outputs[0].data["text/markdown"] == "*joy* lies at 0.50."
    assert nothing.outputs == []


def test_a_page_shows_the_prose_and_not_its_template() -> None:
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    code, said, _ = booksite.prepare_cells({"cells": cells}, "book/published/structure")["cells"]
    assert "remove-input" in said["metadata"]["tags"] and "remove-input" not in code["metadata"].get("tags", [])


def test_a_cell_of_prose_is_told_from_one_that_computes() -> None:
    assert saying.read_cell("%%say\ntext") == "text" and saying.read_cell("# %%say\ntext") is None
