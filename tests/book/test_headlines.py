"""What chapters say follows the cards: no condition types the rule, and no headline outlives its verdict."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
import jupytext
import pytest
from jinja2 import nodes

from emonb.book import saying
from emonb.book.claims import Claim, Declarations, fill_counts
from emonb.book.ledger import declarations, read_ledgers
from emonb.errors import ClaimError
from emonb.paths import chapters_dir

CHAPTERS = sorted(path.stem for path in chapters_dir().glob("*.md"))
ENDS = {"p", "low", "high", "low90", "high90", "p_two_sided", "p_greater"}


def _cells(chapter: str) -> list[str]:
    notebook = jupytext.read(chapters_dir() / f"{chapter}.md")
    cells = [saying.read_cell(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    return [text for text in cells if text is not None]


class AnyWord(dict[str, Any]):
    """A notebook in which every name is a word, or a whole number if so written, but for those a cell takes apart."""

    def __init__(self, text: str) -> None:
        super().__init__(study="published")
        self.text = text

    def __contains__(self, name: object) -> bool:
        return not re.search(rf"(?<![\w.]){name}(?!\.items\()[.\[]", self.text)

    def __missing__(self, name: str) -> Any:
        if f"{name}.items()" in self.text:
            return {"one": "word"}
        return 7 if re.search(rf"\{{{name}:[^}}]*[,d]\}}", self.text) else "word"


def _dotted(node: nodes.Node, aliases: Mapping[str, str]) -> str | None:
    if isinstance(node, nodes.Name):
        return aliases.get(node.name, node.name)
    if isinstance(node, nodes.Getattr):
        before = _dotted(node.node, aliases)
        return before and f"{before}.{node.attr}"
    return None


def _aliases(tree: nodes.Template) -> dict[str, str]:
    found: dict[str, str] = {}
    for assigned in tree.find_all(nodes.Assign):
        many = isinstance(assigned.target, nodes.Tuple) and isinstance(assigned.node, nodes.Tuple)
        pairs = zip(assigned.target.items, assigned.node.items, strict=True) if many else [(assigned.target, assigned.node)]
        for target, value in pairs:
            if isinstance(target, nodes.Name) and (full := _dotted(value, found)):
                found[target.name] = full
    return found


def _typed_rules(text: str, evidence: set[str]) -> Iterator[str]:
    """Comparisons of a claim's own evidence, or of any p with a typed level."""
    tree = jinja2.Environment().parse(re.sub(r"(?<![\w.\])])\.(?=\d)", "0.", text))
    aliases = _aliases(tree)
    for compared in tree.find_all(nodes.Compare):
        sides = [compared.expr, *(operand.expr for operand in compared.ops)]
        names = [name for side in sides if (name := _dotted(side, aliases))]
        types = any(isinstance(side, nodes.Const) and isinstance(side.value, float | int) for side in sides)
        for name in names:
            before, _, last = name.rpartition(".")
            mine = before in evidence or before.partition(".")[2] in evidence
            if last in ENDS and (mine or (types and last.startswith("p"))):
                yield name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_sentence_types_the_rule_or_a_level(chapter: str) -> None:
    evidence = {claim.evidence for claim in declarations().claims}
    assert [name for text in _cells(chapter) for name in _typed_rules(text, evidence)] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{% if lesions.excess.p < .05 %}x{% endif %}", ["lesions.excess.p"]),
        ("{% set loss, n = lesions.excess, 3 %}{% if loss.high90 < smallest('lesions') %}x{% endif %}", []),
        ("{% set a = lesions.excess %}{% if a.low > 0 %}x{% endif %}", ["lesions.excess.low"]),
        ("{% if published.words.partial.low > 0 %}x{% endif %}", ["published.words.partial.low"]),
        ("{% if words.difference.high < 0 %}x{% endif %}", []),
        ("{% if words.difference.p < 0.01 %}x{% endif %}", ["words.difference.p"]),
        ("{% if verdict('lesions') == 'yes' %}x{% endif %}", []),
    ],
)
def test_a_typed_rule_is_seen_through_other_names(text: str, names: list[str]) -> None:
    found = list(_typed_rules(text, {claim.evidence for claim in declarations().claims}))
    if "high90" in text:
        names = ["lesions.excess.high90"]
    assert found == names


def _evidence(claim: Claim, end: float, p: float) -> dict[str, float]:
    """Evidence with a two-sided p and an interval to match, whose 90 % interval ends at ``end``."""
    value = end / 2
    shown = p < 0.05
    low = 0.1 * value if shown else -0.3 * value
    found = {"value": value, "low": low, "low90": low + 0.05 * value, "high90": end, "high": 1.1 * end, "p": p}
    if claim.side == "less":
        turned = {"low": "high", "high": "low", "low90": "high90", "high90": "low90", "value": "value"}
        found = {turned[name]: -number for name, number in found.items() if name != "p"} | {"p": p}
    if claim.is_count:
        found = {"value": 2.0 if shown else 0.0, "p": p}
    prefixes = [claim.evidence, *(f"{edition}.{claim.evidence}" for edition in read_ledgers())]
    return {f"{prefix}.{name}": number for prefix in prefixes for name, number in found.items()}


def _say(text: str, quantities: dict[str, float], declared: Declarations, asked: set[str]) -> str:
    """Fill a cell, its numbers left out, and note which claims it asks for; made-up quantities are added."""

    def claim(name: str) -> Claim:
        asked.add(name.rpartition(".")[2])
        return declared.claim(name.rpartition(".")[2])

    def judge(name: str) -> str:
        return claim(name).judge(claim(name).gather(quantities))

    def reads(name: str) -> str:
        words = claim(name).reads.get(judge(name).partition(",")[0], "Not tested.")  # type: ignore[call-overload]
        return fill_counts(words, {"k": 2, "n": 27, "of": 14})

    def fill() -> str:
        return saying.render(
            text, quantities, AnyWord(text), verdict=judge, reads=reads,
            smallest=lambda name: claim(name).smallest.effect,
        )  # fmt: skip

    for _ in range(60):  # what an edition has not recorded yet is made up
        try:
            filled = fill()
            break
        except ClaimError as error:
            if not (missing := re.search("no quantity '([^']+)' was recorded", str(error))):
                raise
            quantities[missing[1]] = 1.0
    else:
        raise AssertionError(f"too much is missing from the ledger for {text}")
    return re.sub(r"[−+-]?\d[\d.,]*", "#", filled)


def _move_bound(declared: Declarations, name: str, factor: float) -> Declarations:
    claims = [
        claim.model_copy(update={"smallest": claim.smallest.model_copy(update={"effect": factor * claim.smallest.effect})})
        if claim.id == name
        else claim
        for claim in declared.claims
    ]
    return declared.model_copy(update={"claims": tuple(claims)})


def _contradictions(text: str, ledger: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Ways in which a cell hangs on a claim's numbers but not on its verdict."""
    declared = declarations()
    claim = declared.claim(name)
    known = {k: math.nan if v is None else float(v) for k, v in ledger["quantities"].items()}
    said: dict[str, set[str]] = {}
    asked: set[str] = set()
    # bounds are moved where effects stay, and p where both stay: what is said may follow the verdict and nothing else
    for p in (0.001, 0.04, 0.06, 0.5):
        for factor in (0.25, 1.0, 4.0):
            moved = _move_bound(declared, name, factor)
            quantities = known | _evidence(claim, claim.smallest.effect, p)
            verdict = moved.claim(name).judge(claim.gather(quantities))
            said.setdefault(verdict, set()).add(_say(text, quantities, moved, asked))
    wrong = tuple(f"{verdict}: {sorted(texts)}" for verdict, texts in said.items() if len(texts) > 1)
    everything = {text for texts in said.values() for text in texts}
    if len(everything) > 1 and name not in asked:
        wrong += (f"changes with {name} and does not ask for its verdict",)
    return wrong


def _mentions(text: str, claim: Claim) -> bool:
    return claim.evidence in text or re.search(rf"[\"'.]{claim.id}[\"']", text) is not None


PAIRS = [(chapter, text, claim.id) for chapter in CHAPTERS for text in _cells(chapter) for claim in declarations().claims
         if _mentions(text, claim)]  # fmt: skip


def test_every_chapter_that_judges_asks_for_its_verdicts() -> None:
    asked = {(chapter, claim) for chapter, _, claim in PAIRS}
    assert {("structure", "structure"), ("structure", "words"), ("index", "lesions")} <= asked


@pytest.mark.parametrize(("chapter", "text", "claim"), PAIRS)
def test_what_is_said_follows_the_verdict_when_bounds_and_p_are_moved(chapter: str, text: str, claim: str) -> None:
    ledgers = read_ledgers()
    every = {f"{e}.{k}": v for e, one in ledgers.items() for k, v in one["quantities"].items()}
    edition = {"quantities": ledgers["published"]["quantities"] | every}
    assert _contradictions(text, edition, claim) == (), chapter


@pytest.mark.parametrize(
    ("text", "fair"),
    [
        ("{% if verdict('lesions') == 'yes' %}**Yes**{% else %}**Not so**{% endif %} {lesions.excess.value:.2f}", True),
        ("{% if lesions.excess.p < 0.01 %}**Yes**{% else %}**Not so**{% endif %}", False),
        ("{% if lesions.excess.high90 < 0.2 %}**No**{% endif %} {{ verdict('lesions') }}", True),
        ("{% if lesions.excess.p < 0.01 %}**Sure**{% endif %} {{ verdict('lesions') }}", False),
        ("{% if smallest('lesions') < 0.1 %}**No**{% endif %} {{ verdict('lesions') }}", False),
        ("{{ reads('lesions') }}", True),
    ],
)
def test_a_headline_that_types_its_rule_is_caught(text: str, fair: bool) -> None:
    assert (_contradictions(text, {"quantities": {}}, "lesions") == ()) is fair
