"""What the pages around the editions say and show: claims as cards, the abstract's versions, all editions side by side."""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emonb.book import saying
from emonb.book.cards import (
    HOLDS,
    REPRODUCED,
    ROLES,
    Card,
    describe_effect,
    describe_truth,
    kind_of,
    read_verdict,
    say_sentence,
)
from emonb.book.claims import Claim, Declarations, Evidence, Side
from emonb.book.ledger import declarations, read_ledgers
from emonb.book.networks import NAMES
from emonb.book.parameters import check_injected
from emonb.book.saying import read_cell
from emonb.book.tables import Html
from emonb.errors import ClaimError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Front:
    """Numbers and verdicts of a page around the editions, for its ``%%say`` cells.

    A quantity is called by its edition and name, ``published.structure.fit.value``; what the page
    counts itself is recorded first (:meth:`record`). Verdicts are those of the ledgers:
    ``verdict("published.lesions")``, ``reads("minilm.words")``, ``smallest("lesions")``.
    """

    def __init__(self) -> None:
        self.declared, self.ledgers = declarations(), read_ledgers()
        self.quantities = {
            f"{edition}.{name}": math.nan if value is None else float(value)
            for edition, ledger in self.ledgers.items()
            for name, value in ledger["quantities"].items()
        }

    def record(self, values: Mapping[str, float], prefix: str = "") -> None:
        """Record what the page counted, under ``prefix + name``.

        Raises
        ------
        ClaimError
            A name recorded before with another value.
        """
        for name, value in values.items():
            full = f"{prefix}{name}"
            if self.quantities.setdefault(full, float(value)) != float(value):
                raise ClaimError(f"quantity '{full}' was recorded as {self.quantities[full]}, now as {value}")

    def fill(self, text: str, notebook: Mapping[str, Any]) -> str:
        """Fill a ``%%say`` cell (:func:`emonb.book.saying.render`)."""
        return saying.render(
            text,
            self.quantities,
            notebook,
            verdict=lambda name: self._entry(name).get("holds", "not tested"),
            reads=self._read,
            smallest=lambda name: self.declared.claim(name).smallest.effect,
        )

    def _entry(self, name: str) -> Mapping[str, Any]:
        edition, _, claim = name.partition(".")
        if edition not in self.ledgers:
            raise ClaimError(f"no ledger of an edition '{edition}'; name a claim as published.structure")
        entry: Mapping[str, Any] = self.ledgers[edition]["claims"].get(self.declared.claim(claim).id, {})
        return entry

    def _read(self, name: str) -> str:
        entry = self._entry(name)
        claim = self.declared.claim(name.partition(".")[2])
        return (read_verdict(claim, entry) if entry else "") or "Not tested."


def open_front() -> Front:
    """Read the committed ledgers, and let the notebook that runs this have cells that begin with ``%%say``.

    Raises
    ------
    StudyError
        Papermill gave the page a parameter: it takes none.
    """
    check_injected()
    front = Front()
    saying.register(front.fill)
    return front


Ledgers = Mapping[str, Mapping[str, Any]]
_PLACES = {"published": "in the paper's data", "control": "in the control", "minilm": "on MiniLM"}


def claim_cards(declared: Declarations, ledgers: Ledgers, edition: str, claims: Sequence[str] | None = None) -> Html:
    """Claims of an edition as cards, each linked to where it is judged and to the same claim in other editions.

    Parameters
    ----------
    declared : Declarations
    ledgers : dict of edition to ledger
        From :func:`emonb.book.ledger.read_ledgers`.
    edition : str
    claims : sequence of str, optional
        Ids, in order; default all that the edition has.
    """
    cards = []
    for claim in declared.claims if claims is None else map(declared.claim, claims):
        if claim.id in ledgers[edition]["claims"]:
            links = {"why": _cell(edition, claim)}
            links |= {name_place(other): _cell(other, claim) for other in ledgers if other != edition}
            cards.append(Card(claim, ledgers[edition]["claims"][claim.id], links)._repr_html_())
    return Html(f'<div class="claim-cards">{"".join(cards)}</div>')


def name_place(edition: str) -> str:
    """Where an edition's claims are judged, in words."""
    return _PLACES.get(edition, f"in {edition}")


def versions_table(declared: Declarations, ledgers: Ledgers, edition: str = "published") -> Html:
    """What each version of the abstract says, sentence by sentence, and what became of the claims it makes."""
    columns = []
    for version in declared.versions:
        sentences = []
        for sentence in version.sentences:
            verdicts = "; ".join(_linked(declared.claim(name), edition, ledgers[edition]) for name in sentence.claims)
            sentences.append(f"<p>{html.escape(sentence.text)}<br><small>{verdicts}</small></p>")
        columns.append(f'<td data-label="{html.escape(version.where)}">{"".join(sentences)}</td>')
    head = "".join(f"<th>{html.escape(version.where)}</th>" for version in declared.versions)
    return Html(f'<table class="verdicts"><thead><tr>{head}</tr></thead><tbody><tr>{"".join(columns)}</tr></tbody></table>')


def verdict_table(declared: Declarations, ledgers: Ledgers) -> Html:
    """Every claim in every edition: effect with interval, verdict, and in planted worlds what is true."""
    head = "".join(f"<th>{NAMES.get(edition, edition)}</th>" for edition in ledgers)
    rows = []
    for claim in declared.claims:
        cells = []
        for edition, ledger in ledgers.items():
            entry = ledger["claims"].get(claim.id)
            text = "not judged yet"
            if entry is not None:
                truth = f"<br>true: {describe_truth(entry)}" if "truth" in entry else ""
                late = "<br>exploratory" if entry["exploratory"] else ""
                effect = f"<br><small>{html.escape(describe_effect(claim, entry))}</small>"
                text = f'<a href="{_cell(edition, claim)}">{HOLDS[entry["holds"]]}</a>{late}{effect}{truth}'
            cells.append(f'<td data-label="{NAMES.get(edition, edition)}">{text}</td>')
        said = html.escape(_say_anywhere(claim, ledgers))
        rows.append(f"<tr><td><b>{claim.title}</b>: {said} <i>({ROLES[claim.role]})</i></td>{''.join(cells)}</tr>")
    return Html(
        f'<table class="verdicts"><thead><tr><th>claim</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _say_anywhere(claim: Claim, ledgers: Ledgers) -> str:
    """What is claimed, with the counts that all editions share."""
    entries = [ledger["claims"].get(claim.id, {}) for ledger in ledgers.values()]
    same = {name: {entry.get(name) for entry in entries} for name in ("n", "of")}
    return say_sentence(claim, {name: counts.pop() for name, counts in same.items() if len(counts) == 1})


def draw_claims(declared: Declarations, ledgers: Ledgers) -> "Figure":
    """Draw the claims that have one effect, in every edition, each in units of its smallest effect of interest."""
    from emonb.book import figures

    rows = {
        claim.title: {
            NAMES.get(edition, edition): {
                name: entry[name] / claim.smallest.effect for name in ("estimate", "low", "high", "low90", "high90")
            }
            for edition, ledger in ledgers.items()
            if (entry := ledger["claims"].get(claim.id, {})).get("low") is not None
        }
        for claim in declared.claims
        if not claim.is_count
    }
    return figures.draw_effects(
        {title: effects for title, effects in rows.items() if effects}, [NAMES.get(e, e) for e in ledgers]
    )


def draw_bounds(declared: Declarations, ledgers: Ledgers) -> "Figure":
    """Draw every edition's verdicts against their bounds; a count has none."""
    from emonb.book import figures

    rows: dict[str, dict[str, tuple[Evidence, float, Side]]] = {}
    for claim in declared.claims:
        for edition, ledger in ledgers.items():
            entry = ledger["claims"].get(claim.id, {})
            if not claim.is_count and entry.get("low") is not None:
                found = Evidence(entry["estimate"], *(entry[name] for name in Evidence._fields[1:]))
                mine = rows.setdefault(claim.title, {})
                mine[NAMES.get(edition, edition)] = (found, claim.smallest.effect, claim.side)
    return figures.draw_bounds(rows)


def readme_table(declared: Declarations, ledgers: Ledgers) -> str:
    """Each claim as a sentence, its verdicts in every committed edition and, where it is known, what is true; Markdown."""
    kinds = [(edition, kind) for edition in ledgers for kind in ("holds", "reproduced")]
    kinds = [(e, k) for e, k in kinds if k == "holds" or e == "published"]
    verdicts = [f"{edition}: {kind}" for edition, kind in kinds]
    head = ["claim", "whose", "what it says", *verdicts, "true in the control", "chapter", "module", "test"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for claim in declared.claims:
        entries = {edition: ledger["claims"].get(claim.id, {}) for edition, ledger in ledgers.items()}
        if not any(entries.values()):
            continue
        cells = [_say_verdict(claim, entries[edition], kind) for edition, kind in kinds]
        control = entries.get("control", {})
        truth = describe_truth(control) if "truth" in control else "–"
        chapter = f"[{claim.chapter}.md](book/chapters/{claim.chapter}.md)"
        module = f"[{claim.id}.py](emonb/analysis/{claim.id}.py)"
        test = f"[test_{claim.id}.py](tests/analysis/test_{claim.id}.py)"
        told = [claim.title, ROLES[claim.role], _say_anywhere(claim, ledgers), *cells, truth, chapter, module, test]
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def _say_verdict(claim: Claim, entry: Mapping[str, Any], kind: str) -> str:
    """A verdict as a cell of the README: of a count how many, and whether it was found after looking."""
    verdict = str(entry.get(kind, "–"))
    if kind == "holds" and claim.is_count and verdict == "yes":
        verdict = f"at least {entry['estimate']:.0f} of {entry['of']}"
    exploratory = kind == "holds" and entry.get("exploratory")
    return f"{verdict} (exploratory)" if exploratory and verdict.startswith("yes") else verdict


def summarise_claims(declared: Declarations, ledger: Mapping[str, Any]) -> str:
    """An edition's verdicts in sentences, claim by claim."""
    judged = [(claim, ledger["claims"][claim.id]) for claim in declared.claims if claim.id in ledger["claims"]]
    return " ".join(text for claim, entry in judged if (text := read_verdict(claim, entry)))


def refresh_readme(text: str, declared: Declarations, ledgers: Ledgers) -> str:
    """Put the published verdicts in words and the table of the committed ledgers between the markers of the README."""
    start, end = "<!-- verdicts -->\n", "<!-- /verdicts -->\n"
    before, _, rest = text.partition(start)
    if end not in rest:
        return text
    words = summarise_claims(declared, ledgers["published"]) + "\n\n" if "published" in ledgers else ""
    return f"{before}{start}{words}{readme_table(declared, ledgers)}{end}{rest.partition(end)[2]}"


def write_examples(path: Path) -> str:
    """Cells of an executed notebook that are tagged ``example``, as Markdown: text, and code with what it printed."""
    import nbformat

    notebook = nbformat.read(path, 4)
    parts = ["# Use one test alone\n\nMade from `book/chapters/use-one-test.md` by `emonb update pages --accept`."]
    for cell in (cell for cell in notebook.cells if "example" in cell.metadata.get("tags", [])):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        if read_cell(cell.source) is None:
            parts.append(f"```python\n{cell.source}\n```")
        parts += [f"```text\n{output['text'].strip()}\n```" for output in cell.outputs if "text" in output]
        parts += [output["data"]["text/markdown"] for output in cell.outputs if "data" in output]
    return "\n\n".join(parts) + "\n"


def _cell(edition: str, claim: Claim) -> str:
    return f"{edition}/{claim.chapter}.html#claim-{claim.id}"


def _linked(claim: Claim, edition: str, ledger: Mapping[str, Any]) -> str:
    """A claim's title with its verdicts, linked to the cell."""
    entry = ledger["claims"].get(claim.id)
    if entry is None:
        return f"<i>{claim.title}</i>"
    printed = "" if entry["reproduced"] == "not printed" else f", {REPRODUCED[entry['reproduced']]}"
    linked = f'<a class="holds-{kind_of(entry)}" href="{_cell(edition, claim)}">{claim.title}</a>'
    return f"{linked}: {HOLDS[entry['holds']]}{printed}"
