"""What the pages around the editions say and show: claims as cards, the abstract's versions, all editions side by side."""

import html
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from emonb.book import saying
from emonb.book.cards import (
    ROLES,
    Entry,
    Ledgers,
    ask_claims,
    describe_effect,
    describe_estimate,
    describe_truth,
    kind_of,
    read_verdict,
    say_alarm,
    say_holds,
    say_sentence,
    write_card,
)
from emonb.book.claims import Claim, Declarations
from emonb.book.instrument import count_alarms, read_rates
from emonb.book.ledger import declarations, read_ledgers
from emonb.book.networks import NAMES
from emonb.book.parameters import check_injected
from emonb.book.saying import read_cell
from emonb.book.tables import Html, write_table
from emonb.errors import ClaimError
from emonb.paths import data_dir

PAPER = "10.1016/j.isci.2024.111401"
"""The paper's DOI."""
_PLACES = {"published": "in the paper's data", "control": "in the control", "minilm": "on MiniLM"}


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
        """Record what the page counted, under ``prefix + name``; a ClaimError where a name has another value already."""
        for name, value in values.items():
            full = f"{prefix}{name}"
            if self.quantities.setdefault(full, float(value)) != float(value):
                raise ClaimError(f"quantity '{full}' was recorded as {self.quantities[full]}, now as {value}")

    def fill(self, text: str, notebook: Mapping[str, Any]) -> str:
        """Fill a ``%%say`` cell (:func:`emonb.book.saying.render`)."""
        helpers = {**ask_claims(self._judge), "smallest": self.declared.smallest}
        return saying.render(text, self.quantities, notebook, **helpers)

    def _judge(self, name: str) -> tuple[Claim, Entry]:
        edition, _, claim = name.partition(".")
        if edition not in self.ledgers:
            raise ClaimError(f"no ledger of an edition '{edition}'; name a claim as published.structure")
        return self.declared.claim(claim), self.ledgers[edition]["claims"].get(claim, {})


def open_front() -> Front:
    """Read the committed ledgers, and let the notebook that runs this have cells that begin with ``%%say``.

    A StudyError where papermill gave the page a parameter: it takes none.
    """
    check_injected()
    front = Front()
    saying.register(front.fill)
    return front


def claim_cards(declared: Declarations, ledgers: Ledgers, edition: str, claims: Sequence[str]) -> Html:
    """Claims of an edition as cards, in this order, each linked to where it is judged, there and in other editions."""
    cards, alarms = [], count_alarms(read_rates(), declared)
    for claim in map(declared.claim, claims):
        entry = ledgers[edition]["claims"][claim.id]
        links = {"why": _cell(edition, claim)}
        links |= {name_place(other): _cell(other, claim) for other in ledgers if other != edition}
        foot = " · ".join(f'<a href="{target}">{text}</a>' for text, target in links.items())
        said = say_paper(claim, declared, ledgers[edition])
        cards.append(write_card(claim, entry, said, alarms.get(claim.id), f'<p class="claim-links">{foot}</p>'))
    return Html(f'<div class="claim-cards">{"".join(cards)}</div>')


def versions_table(declared: Declarations, ledgers: Ledgers) -> Html:
    """What each version of the abstract says, sentence by sentence, and what became of the claims it makes."""
    alarms, rows = count_alarms(read_rates(), declared), []
    for version in declared.versions:
        for number, sentence in enumerate(version.sentences):
            made = [
                f'<a class="holds-{kind_of(entry)}" href="{_cell("published", claim)}">{claim.title}</a>: '
                + say_holds(entry, alarms.get(claim.id))
                for claim in map(declared.claim, sentence.claims)
                if (entry := ledgers["published"]["claims"].get(claim.id))
            ]
            where = html.escape(version.where) if number == 0 else ""
            rows.append((where, html.escape(sentence.text), "; ".join(made)))
    return write_table(("version", "what its abstract says", "the claim, and its verdict on RoBERTa"), rows)


def verdict_table(declared: Declarations, ledgers: Ledgers) -> Html:
    """Every claim in every edition: effect with interval, verdict, and in planted worlds what is true."""
    alarms, rows = count_alarms(read_rates(), declared), []
    for claim in declared.claims:
        said = f"<b>{claim.title}</b>: {html.escape(_say_anywhere(claim, ledgers))} <i>({ROLES[claim.role]})</i>"
        cells = [said]
        for edition, ledger in ledgers.items():
            entry = ledger["claims"].get(claim.id)
            text = "not judged yet"
            if entry is not None:
                truth = f"<br>true: {describe_truth(entry)}" if "truth" in entry else ""
                late = "<br>exploratory" if entry["exploratory"] else ""
                effect = f"<br><small>{html.escape(describe_effect(claim, entry))}</small>"
                holds = say_holds(entry, alarms.get(claim.id))
                text = f'<a href="{_cell(edition, claim)}">{holds}</a>{late}{effect}{truth}'
            cells.append(text)
        rows.append(cells)
    columns = ("claim", *(NAMES.get(edition, edition) for edition in ledgers))
    return write_table(columns, rows, ids=[f"row-{claim.id}" for claim in declared.claims])


def _say_anywhere(claim: Claim, ledgers: Ledgers) -> str:
    """What is claimed, with the counts that all editions share."""
    entries = [ledger["claims"].get(claim.id, {}) for ledger in ledgers.values()]
    same = {name: {entry.get(name) for entry in entries} for name in ("n", "of")}
    return say_sentence(claim, {name: counts.pop() for name, counts in same.items() if len(counts) == 1})


def readme_table(declared: Declarations, ledgers: Ledgers) -> str:
    """The primary claims on RoBERTa: what the paper says, what comes out again, what stands; Markdown."""
    ledger, alarms = ledgers["published"], count_alarms(read_rates(), declared)
    lines = ["| | the paper | what stands when counted anew |", "|---|---|---|"]
    for claim in map(declared.claim, declared.primary):
        entry = ledger["claims"][claim.id]
        effect = "" if claim.is_count else f": {describe_estimate(claim, entry)}"
        stands = f"**{say_holds(entry, alarms.get(claim.id))}**{effect}. "
        stands += f"{read_verdict(claim, entry)} {say_alarm(alarms.get(claim.id))}"
        said = say_paper(claim, declared, ledger).removeprefix("The paper: ")
        lines.append(f"| [{claim.title}](book/chapters/{claim.chapter}.md) | {said} | {stands} |")
    return "\n".join(lines) + "\n"


def refresh_readme(text: str, declared: Declarations, ledgers: Ledgers) -> str:
    """Put the table of the committed ledgers between the markers of the README."""
    start, end = "<!-- verdicts -->\n", "<!-- /verdicts -->\n"
    before, _, rest = text.partition(start)
    if end not in rest or "published" not in ledgers:
        return text
    return f"{before}{start}{readme_table(declared, ledgers)}{end}{rest.partition(end)[2]}"


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


def say_paper(claim: Claim, declared: Declarations, ledger: Mapping[str, Any]) -> str:
    """What the paper says and where, its number with what it counts, and whether its files give that number again."""
    where, text = declared.quote(claim.id)
    if not where:
        return ""
    dropped = "" if where == declared.versions[-1].name else "; not in the journal's version"
    if not claim.paper:
        return f"The paper: {text} ({where}{dropped}). Its abstract has no number."
    number = saying.render(claim.paper, ledger["quantities"])
    printed = {"yes": "; its files give that number again", "no": "; its files do not give that number"}.get(
        ledger["claims"][claim.id]["reproduced"]
    )
    told = f"Its number: {number}{printed}." if printed else f"Its abstract has no number; its files have {number}."
    return f"The paper: {text} ({where}{dropped}). {told}"


def name_place(edition: str) -> str:
    """Where an edition's claims are judged, in words."""
    return _PLACES.get(edition, f"in {edition}")


@cache
def read_citation() -> dict[str, Any]:
    """Read title, authors, date and address of this book from ``CITATION.cff``, and the paper's title."""
    given = yaml.safe_load((data_dir().parent / "CITATION.cff").read_text(encoding="utf-8"))
    people = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in given["authors"]]
    return {
        "title": given["title"],
        "authors": people,
        "date": given["date-released"].replace("-", "/"),
        "version": given["version"],
        "repository": given.get("repository-code"),
        "paper": given["references"][0]["title"],
    }


def write_byline() -> str:
    """Authors, version and date of this book, for its first page."""
    cite = read_citation()
    parts = [", ".join(cite["authors"]), f"version {cite['version']}", cite["date"].replace("/", "-")]
    return f'<p class="byline">{html.escape(" · ".join(parts))}</p>'


MANIFEST_HEAD = """---
# What a code checker reproduces (https://codecheck.org.uk); made from the ledgers by `emonb update --accept`.
# Who checks adds codechecker, certificate and report, and says in the summary what came out; REVIEW.md says how.
# An ORCID of an author is missing until a person is named as one. reference-other is the article whose claims are tested.
"""


def write_manifest(declared: Declarations, ledgers: dict[str, dict[str, Any]]) -> str:
    """Write the manifest (YAML): each chapter of each edition with the claims it judges, and each edition's ledger."""
    manifest = []
    for edition, ledger in ledgers.items():
        chapters: dict[str, list[str]] = {}
        for claim in declared.claims:
            if claim.id in ledger["claims"]:
                chapters.setdefault(claim.chapter, []).append(claim.title)
        for chapter, titles in chapters.items():
            manifest.append({"file": f"book/{edition}/{chapter}.ipynb", "comment": f"claims: {'; '.join(titles)}"})
        count = len(ledger["quantities"])
        comment = f"{count} quantities and every verdict; compared by: emonb check {edition}"
        manifest.append({"file": f"book/{edition}/claims.json", "comment": comment})
    cite, names = read_citation(), ", ".join(ledgers)
    given = {
        "version": "https://codecheck.org.uk/spec/config/2.0/",
        "summary": f"{len(declared.claims)} claims in {len(ledgers)} studies ({names}): emonb check STUDY executes a study "
        "anew and compares every number and verdict, in minutes on two cores.",
        "paper": {
            "title": cite["title"],
            "authors": [{"name": name} for name in cite["authors"]],
            "reference": cite["repository"] or "this repository, see CITATION.cff (it has no DOI yet)",
            "reference-other": [f"https://doi.org/{PAPER}"],
        },
        "manifest": manifest,
    }
    return MANIFEST_HEAD + yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=120)
