"""The ledger as the reader sees it: the abstract sentence by sentence, and each claim weighed against its verdict."""

import html
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from emonb.book.claims import Declarations
from emonb.book.criteria import known, shown
from emonb.book.tables import Html
from emonb.paths import book_dir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = {"yes": "✔ yes", "no": "✘ no", "untested": "– not tested", None: "–"}


def abstract_table(declared: Declarations, ledgers: dict[str, dict[str, Any]]) -> Html:
    """Table of the abstract's sentences with both verdicts of each claim in every edition, linked to its cell.

    Parameters
    ----------
    declared : Declarations
    ledgers : dict of edition to ledger
        From :func:`emonb.book.ledgers.read_ledgers`.
    """
    names = "".join(f'<th colspan="2">{edition}</th>' for edition in ledgers)
    kinds = "<th>repro&shy;duced</th><th>holds</th>" * len(ledgers)
    rows = []
    for sentence in declared.abstract:
        for name in sentence.claims:
            claim = declared.claim(name)
            cells = "".join(
                f'<td data-label="{edition}, {kind}"><a href="{edition}/{claim.chapter}.html#claim-{name}">'
                f"{MARKS[_verdict(ledger, name, kind)]}</a>"
                f"{_truth(ledger, name) if kind == 'holds' else ''}</td>"
                for edition, ledger in ledgers.items()
                for kind in ("reproduced", "holds")
            )
            rows.append(
                f"<tr><td>“{html.escape(sentence.text)}”</td><td><b>{claim.title}</b>: {html.escape(claim.measured)} "
                f"(unit: {claim.unit})</td>{cells}</tr>"
            )
    return Html(
        '<table class="verdicts"><thead><tr><th rowspan="2">the abstract says</th><th rowspan="2">measured as</th>'
        f"{names}</tr><tr>{kinds}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def readme_table(declared: Declarations, ledgers: dict[str, dict[str, Any]]) -> str:
    """Each claim as a sentence, both verdicts in every committed edition, what is true where it is known; as Markdown."""
    kinds = [(edition, kind) for edition in ledgers for kind in ("reproduced", "holds")]
    head = ["claim", "what it says", *(f"{e}: {k}" for e, k in kinds), "true in the control", "chapter", "module"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    names = {name for ledger in ledgers.values() for name in ledger["claims"]}
    for claim in [c for c in declared.of_study("control") if c.id in names]:
        sentence = next((c.sentence for c in declared.of_study("published") if c.id == claim.id), claim.sentence)
        cells = [shown(_verdict(ledgers[edition], claim.id, kind) or "–") for edition, kind in kinds]
        truth = _verdict(ledgers.get("control", {"claims": {}}), claim.id, "truth") or "–"
        chapter = f"[{claim.chapter}.md](book/chapters/{claim.chapter}.md)"
        module = f"[{claim.chapter}.py](emonb/analysis/{claim.chapter}.py)"
        lines.append(f"| {claim.title} | {sentence} | {' | '.join([*cells, truth, chapter, module])} |")
    return "\n".join(lines) + "\n"


def refresh_readme(text: str, declared: Declarations, ledgers: dict[str, dict[str, Any]]) -> str:
    """Put the verdict table of the committed ledgers between the markers of the README's text."""
    start, end = "<!-- verdicts -->\n", "<!-- /verdicts -->\n"
    before, _, rest = text.partition(start)
    return f"{before}{start}{readme_table(declared, ledgers)}{end}{rest.partition(end)[2]}" if end in rest else text


def discuss(declared: Declarations, ledgers: dict[str, dict[str, Any]], edition: str) -> Html:
    """Each claim of an edition in words, chosen by its verdict, with the numbers it rests on."""
    ledger = ledgers[edition]
    parts = []
    for claim in declared.of_study(edition):
        verdict = _verdict(ledger, claim.id, "holds")
        if verdict not in ("yes", "no"):
            continue
        measured = {q: known(ledger["quantities"], q) for q in claim.headline}
        numbers = ", ".join(f"{q} = {value:.4g}" for q, value in measured.items() if value is not None)
        parts.append(
            f"<dt><b>{claim.title}</b>: {html.escape(claim.sentence)}</dt><dd>Reproduced: "
            f"{_verdict(ledger, claim.id, 'reproduced')}. Holds: {verdict}. {html.escape(claim.discussion[verdict])} "
            f"<small>({numbers})</small></dd>"
        )
    return Html(f"<dl>{''.join(parts)}</dl>")


def draw_tests(declared: Declarations, ledger: dict[str, Any]) -> "Figure":
    """Draw the p value of the study's kind of test and that of the valid one, for every claim of an edition."""
    from emonb.book import figures

    rows = {}
    for claim in declared.of_study(ledger["study"]):
        tests = [known(ledger["quantities"], q) for q in (claim.paper_p, claim.valid_p)]
        if claim.id in ledger["claims"] and None not in tests:
            rows[f"{claim.title}\n(unit: {claim.unit})"] = [float(p) for p in tests if p is not None]
    return figures.draw_p_values(rows)


def read_rates() -> pd.DataFrame:
    """Read the measured rejection rates (``book/calibration.json``, written by ``emonb calibrate``)."""
    path = book_dir() / "calibration.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["rates"])


def rate_table(rates: pd.DataFrame) -> pd.DataFrame:
    """Rejection rates as text, one row a test, one column a level."""
    text = [f"{r.rate:.3f} [{r.low:.3f}, {r.high:.3f}]" for r in rates.itertuples()]
    wide = rates.assign(text=text).pivot(index=["data", "method", "n"], columns="level", values="text")
    order = rates.drop_duplicates(["data", "method"]).set_index(["data", "method", "n"]).index
    return wide.loc[order, sorted(wide.columns, reverse=True)].reset_index(level="n").rename_axis(columns="rate at level")


def draw_rates(rates: pd.DataFrame, level: float) -> "Figure":
    """Draw the rejection rates at one level, valid and study tests side by side."""
    from emonb.book import figures

    names = {"valid": "valid unit", "study": "the study's kind of test", "mantel": "partial Mantel"}
    at = rates[rates["level"] == level].rename(columns={"rate": "value"}).set_index("data")
    tests = at.index.unique()  # not every one has every kind
    groups = {names[kind]: at.loc[at["kind"] == kind, ["value", "low", "high"]].reindex(tests) for kind in names}
    return figures.draw_intervals(groups, f"rejection rate under the null (nominal {level:g})", reference=level)


def describe_rates(rates: pd.DataFrame) -> Html:
    """Say which tests are calibrated: their interval holds the nominal rate or lies below it."""
    parts = []
    names = {
        "valid": "Tests with the valid unit",
        "study": "Tests of the study's kind",
        "mantel": "The partial Mantel test",
    }
    for kind, name in names.items():
        mine = rates[rates["kind"] == kind]
        over = mine[mine["low"] > mine["level"]]
        worst = mine.loc[(mine["rate"] / mine["level"]).idxmax()]
        parts.append(
            f"{name}: of {len(mine)} rates, {len(over)} lie above nominal with their whole interval, where chance alone "
            f"would put {0.025 * len(mine):.1f}; the largest, for its level, is {worst.rate:.3f} at {worst.level:g} "
            f"({worst.data})."
        )
    return Html(f"<p>{' '.join(parts)}</p>")


def _truth(ledger: dict[str, Any], claim: str) -> str:
    """What is true in a planted world, in brackets."""
    truth = _verdict(ledger, claim, "truth")
    return f" <small>(true: {truth})</small>" if truth else ""


def _verdict(ledger: dict[str, Any], claim: str, kind: str) -> Any:
    return ledger["claims"].get(claim, {}).get(kind)
