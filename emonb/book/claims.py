"""The claims as ``data/claims.yml`` declares them: once for every edition, with the evidence each is judged by."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from emonb.book.criteria import Quantities, Statement, Strict, known
from emonb.book.verdict import ALPHA, Evidence, Side, Verdict, decide_count
from emonb.errors import ClaimError

Read = Literal["yes", "no", "undecided"]
Role = Literal["primary", "authors", "question"]


class Smallest(Strict):
    """Smallest effect that would matter, in the effect's unit, and why."""

    effect: float = Field(gt=0)
    because: str


class Mark(Strict):
    """What an effect can be held against: drawn on its scale."""

    quantity: str = Field(description="recorded quantity; may be a pattern")
    words: str


class Known(Strict):
    """What is true of a claim in some planted worlds, and how that is known."""

    worlds: tuple[str, ...] = Field(min_length=1)
    holds: Literal["yes", "no", "measured", "unknown"] = Field(
        description="measured: whether the effect there, with many more masks and seeds, reaches the bound"
    )
    because: str


class Claim(Strict):
    """One claim of the study."""

    id: str = Field(pattern=r"^[a-z-]+$")
    title: str
    role: Role
    exploratory: tuple[str, ...] = Field((), description="studies in which it was found after looking")
    sentence: str = Field(description="{n}: how many units; {of}: out of how many, of a count")
    chapter: str
    module: str = Field(description="module of emonb.analysis that tests it")
    estimand: str
    evidence: str = Field(description="prefix of the six quantities; of a count, of its value and p")
    of: str | None = Field(None, description="quantity: out of how many; makes the claim a count")
    scale: str = Field(description="unit of the effect")
    side: Side = "greater"
    sampled: tuple[str, ...] = Field(min_length=1)
    fixed: tuple[str, ...] = ()
    unit: str = Field(description="unit of inference")
    n: str = Field(description="quantity: how many units")
    population: str
    test: str
    smallest: Smallest
    mark: Mark | None = None
    stated: tuple[Statement, ...] = ()
    truth: tuple[Known, ...] = ()
    no_yes: str | None = Field(None, description="why its test may print no yes: it says so of nothing too often")
    reads: dict[Read, str] = Field(description="the verdict in words; {k}: the count")

    @model_validator(mode="after")
    def _reads_every_outcome(self) -> "Claim":
        outcomes = {"yes", "undecided"} if self.is_count else {"yes", "no", "undecided"}
        if set(self.reads) != outcomes:
            raise ValueError(f"claim {self.id} needs words for {', '.join(sorted(outcomes))}")
        return self

    @property
    def is_count(self) -> bool:
        """Whether it says how many there are at least, and never *no*."""
        return self.of is not None

    def gather(self, quantities: Quantities) -> Evidence:
        """Evidence that was recorded."""
        return Evidence(*(known(quantities, f"{self.evidence}.{name}") for name in Evidence._fields))

    def apply_rule(self, evidence: Evidence) -> Verdict:
        """What the rule says of evidence, whatever the test is worth."""
        if self.is_count:
            return decide_count(evidence.value, evidence.p)
        return evidence.decide(self.smallest.effect, self.side)

    def judge(self, evidence: Evidence) -> Verdict:
        """The verdict that is printed: the rule's, but undecided in place of a *yes* that its test is not good for."""
        verdict = self.apply_rule(evidence)
        return "undecided" if self.no_yes and verdict.startswith("yes") else verdict

    def known_in(self, world: str) -> Known | None:
        """What is declared of a planted world; None of any other study."""
        return next((known for known in self.truth if world in known.worlds), None)


def fill_counts(text: str, counts: Mapping[str, float | None]) -> str:
    """Put counts into a sentence; one that is not known is left out with its space.

    >>> fill_counts("Of {n} emotions, {k} are known.", {"n": None, "k": 3})
    'Of emotions, 3 are known.'
    """
    for name, count in counts.items():
        text = text.replace(f"{{{name}}} ", "" if count is None else f"{count:.0f} ")
    return text


class Tolerance(Strict):
    """How far a recomputed quantity may lie from the committed one: ``absolute + relative * |committed|``."""

    match: str
    study: str = Field("*", description="pattern of study names")
    absolute: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)


class Undefined(Strict):
    """Quantities that legitimate data can leave undefined, and why; any other that is not a number is an error."""

    match: str
    because: str


class Sentence(Strict):
    """What an abstract says, with its own words in quotation marks, and the claims it makes."""

    text: str
    claims: tuple[str, ...]


class Version(Strict):
    """One version of the abstract."""

    name: str
    where: str
    sentences: tuple[Sentence, ...]


class Declarations(Strict):
    """The whole of ``data/claims.yml``."""

    versions: tuple[Version, ...]
    claims: tuple[Claim, ...]
    tolerances: tuple[Tolerance, ...]
    undefined: tuple[Undefined, ...] = ()

    def claim(self, name: str) -> Claim:
        """Claim by id."""
        for claim in self.claims:
            if claim.id == name:
                return claim
        raise ClaimError(f"the ledger knows no claim '{name}'; known: {', '.join(c.id for c in self.claims)}")

    def tolerance(self, quantity: str, committed: float, study: str = "published") -> float:
        """Allowed difference for a quantity of a study; the first matching rule counts."""
        for rule in self.tolerances:
            if fnmatch.fnmatchcase(study, rule.study) and fnmatch.fnmatchcase(quantity, rule.match):
                return rule.absolute + rule.relative * abs(committed)
        raise ClaimError(f"data/claims.yml has no tolerance for '{quantity}'; end the list with match: '*'")

    def reason(self, quantity: str) -> str | None:
        """Why a quantity may be undefined; the first matching rule counts. None where it may not."""
        return next((rule.because for rule in self.undefined if fnmatch.fnmatchcase(quantity, rule.match)), None)

    def is_near(self, name: str, quantities: Quantities, study: str) -> bool:
        """Tell whether a verdict rests on evidence so near a bound that a tolerated difference can turn it."""
        claim = self.claim(name)
        evidence = claim.gather(quantities)
        room = Evidence(
            *(
                self.tolerance(f"{claim.evidence}.{field}", value or 0.0, study)
                for field, value in evidence._asdict().items()
            )
        )
        if claim.is_count:
            return evidence.p is not None and abs(evidence.p - ALPHA) <= (room.p or 0.0)
        return evidence.is_near(claim.smallest.effect, room, claim.side)

    @property
    def primary(self) -> list[str]:
        """Ids of the primary claims, whose p values are adjusted together."""
        return [claim.id for claim in self.claims if claim.role == "primary"]


def read_declarations(path: Path) -> Declarations:
    """Read and validate the ledger file."""
    try:
        declared = Declarations.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ClaimError(f"{path}: {error}") from None
    for version in declared.versions:
        for sentence in version.sentences:
            for name in sentence.claims:
                declared.claim(name)
    return declared
