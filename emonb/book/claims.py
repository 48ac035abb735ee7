"""What is claimed, what counts as evidence, and the one rule that makes a verdict of it (``data/claims.yml``).

A verdict rests on a two-sided p, the 95 % and the 90 % interval of an effect, and the smallest effect that would matter. It
knows neither the claim nor the study nor, in a planted world, what is true. Only an interval that rules out an effect worth
having says no; a test that was not passed says nothing by itself (Altman & Bland 1995, BMJ 311:485).
"""

import fnmatch
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from emonb.errors import ClaimError
from emonb.study import Strict

Verdict = Literal["yes", "yes, too small to matter", "no", "undecided", "not tested"]
Side = Literal["greater", "less"]
ALPHA = 0.05
NEAR = 0.1
"""A verdict is at the edge where a bound, or the level of p, a tenth smaller or larger turns it."""


class Evidence(NamedTuple):
    """What a verdict is made of; None or NaN where it is not known."""

    value: float | None
    """Effect, in its own unit."""
    low: float | None
    """95 % interval."""
    high: float | None
    low90: float | None
    """90 % interval."""
    high90: float | None
    p: float | None
    """Two-sided."""

    def decide(self, smallest: float, side: Side = "greater") -> Verdict:
        """Decide whether an effect is there, on the claimed ``side`` of zero, and whether it matters.

        ``not tested`` where a number is missing or undefined. ``yes`` where two-sided p < .05 and the 95 % interval lies
        on the claimed side of zero; ``yes, too small to matter`` where besides the 90 % interval lies below the smallest
        effect of interest (positive, in the effect's unit). Else ``no`` where the 90 % interval lies below it (a one-sided
        equivalence test at .05; Schuirmann 1987; Lakens 2017, Soc Psychol Personal Sci 8:355). Else ``undecided``.

        Raises
        ------
        ClaimError
            A p outside 0..1, an interval whose ends are in the wrong order or that does not hold the narrower one, or a
            smallest effect that is not positive: no verdict is made of numbers that cannot be.

        >>> Evidence(0.3, 0.1, 0.5, 0.15, 0.45, p=0.01).decide(smallest=0.2)
        'yes'
        >>> Evidence(0.1, 0.02, 0.18, 0.03, 0.17, p=0.01).decide(smallest=0.2)
        'yes, too small to matter'
        >>> Evidence(0.0, -0.1, 0.15, -0.08, 0.13, p=0.6).decide(smallest=0.2)
        'no'
        >>> Evidence(0.2, -0.1, 0.5, -0.05, 0.45, p=0.2).decide(smallest=0.2)
        'undecided'
        """
        if not 0 < smallest < math.inf:
            raise ClaimError(f"the smallest effect of interest must be a positive number, got {smallest}")
        if not self.is_known:
            return "not tested"
        self._check()
        _, low, _, _, high90, p = self._towards(side)
        too_small = high90 < smallest
        if p < ALPHA and low > 0:
            return "yes, too small to matter" if too_small else "yes"
        return "no" if too_small else "undecided"

    @property
    def is_known(self) -> bool:
        """Whether every number that the rule needs is there; the effect itself is not one of them."""
        return not any(number is None or math.isnan(number) for number in self[1:])

    def turns_at(self, side: Side = "greater") -> float | None:
        """Bound below which the verdict is another one than above; None where it is the same for every bound.

        A smaller effect of interest makes *no* undecided, and *yes, too small to matter* a *yes*.

        >>> Evidence(0.0, -0.1, 0.15, -0.08, 0.13, p=0.6).turns_at()
        0.13
        """
        if not self.is_known:
            return None
        end = self._towards(side)[4]
        return end if 0 < end < math.inf else None

    def edges(self, smallest: float, side: Side = "greater") -> Iterator[str]:
        """What would turn the verdict, each as a phrase; nothing where it lies far from every edge.

        An edge is near where a bound, the level of p, or the end of the interval has to move by a
        tenth only (of itself; of the interval's half).

        >>> list(Evidence(0.0, -0.1, 0.21, -0.08, 0.199, p=0.6).edges(smallest=0.2))
        ['no for any bound above 0.199']
        """
        if not self.is_known:
            return
        verdict, end = self.decide(smallest, side), self.turns_at(side)
        value, low, _, _, _, p = self._towards(side)
        if end is not None and abs(end - smallest) <= NEAR * smallest:
            above = self.decide(2 * end, side)
            yield f"{above} for any bound above {end:.3g}"
        shown = verdict.startswith("yes")
        if abs(p - ALPHA) <= NEAR * ALPHA and (shown or low > 0):
            yield f"p {p:.3g} is hardly {'below' if p < ALPHA else 'above'} {ALPHA:g}"
        if abs(low) <= NEAR * (value - low) and (shown or p < ALPHA):
            yield f"the 95 % interval hardly {'leaves zero out' if low > 0 else 'holds zero'}"

    def _towards(self, side: Side) -> "tuple[float, float, float, float, float, float]":
        """The same numbers with the claimed side above zero; NaN where one is not known."""
        value, low, high, low90, high90, p = (math.nan if n is None else n for n in self)
        if side == "less":
            return -value, -high, -low, -high90, -low90, p
        return value, low, high, low90, high90, p

    def _check(self) -> None:
        _, low, high, low90, high90, p = self._towards("greater")
        if not 0 <= p <= 1:
            raise ClaimError(f"a p value lies in 0..1, got {p}")
        if not low <= low90 <= high90 <= high:
            raise ClaimError(f"the 95 % interval [{low}, {high}] does not hold the 90 % interval [{low90}, {high90}]")


def decide_count(count: float | None, p: float | None) -> Verdict:
    """Decide of a count that is shown to be at least so large (95 %), and p of "there are none".

    It is *yes* where that is at least one. Such a count comes from closed testing: the largest k for which every
    hypothesis "fewer than k" is rejected (Goeman & Solari 2011, Stat Sci 26:584). It bounds the number from below only, so
    that a count of none is *undecided*: there is no interval that could say *no*.

    >>> decide_count(2, 0.004), decide_count(0, 0.07), decide_count(None, None)
    ('yes', 'undecided', 'not tested')
    """
    if count is None or p is None or math.isnan(count) or math.isnan(p):
        return "not tested"
    # a p of permutations can be the level itself, at which closed testing rejects
    return "yes" if count >= 1 and p <= ALPHA * (1 + 1e-9) else "undecided"


Quantities = Mapping[str, float | None]


def known(quantities: Quantities, name: str) -> float | None:
    """Value of a quantity; None where it was not recorded, or as undefined (NaN here, null in a file)."""
    value = quantities.get(name)
    return None if value is None or math.isnan(value) else value


class Statement(Strict):
    """One number that the study states: a quantity equals it, lies above or below it."""

    quantity: str
    equals: float | None = None
    within: float = Field(0.0, ge=0)
    above: float | None = None
    below: float | None = None
    source: Literal["printed", "released"] = Field(description="printed in an abstract, or only in the released files")
    where: str

    @model_validator(mode="after")
    def _one_bound(self) -> "Statement":
        if all(bound is None for bound in (self.equals, self.above, self.below)):
            raise ValueError(f"the statement on {self.quantity} needs equals, above or below")
        return self

    def judge(self, quantities: Quantities) -> Literal["yes", "no", "not tested"]:
        """Tell whether the quantity is as stated; 'not tested' when it was not computed, or is not defined."""
        value = known(quantities, self.quantity)
        if value is None:
            return "not tested"
        met = (
            (self.equals is None or abs(value - self.equals) <= self.within)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        return "yes" if met else "no"


def judge(statements: Iterable[Statement], quantities: Quantities) -> str:
    """Judge statements together: 'no' if any fails, else 'not tested' if any was not computed; 'not printed' if none is."""
    verdicts = {statement.judge(quantities) for statement in statements}
    if not verdicts:
        return "not printed"
    return "no" if "no" in verdicts else "not tested" if "not tested" in verdicts else "yes"


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
    role: Literal["primary", "authors", "question"]
    exploratory: tuple[str, ...] = Field((), description="studies in which it was found after looking")
    sentence: str = Field(description="{n}: how many units; {of}: out of how many, of a count")
    chapter: str
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
    paper: str = Field("", description="the study's own number, and what it counts; quantities by name")
    stated: tuple[Statement, ...] = ()
    truth: tuple[Known, ...] = ()
    no_yes: str | None = Field(None, description="why its test may print no yes: it says so of nothing too often")
    reads: dict[Literal["yes", "no", "undecided"], str] = Field(description="the verdict in words; {k}: the count")

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

    def quote(self, claim: str) -> tuple[str, str]:
        """The latest version of the abstract that makes a claim, and its sentence; empty where none does."""
        said = [(v.name, s.text) for v in self.versions for s in v.sentences if claim in s.claims]
        return said[-1] if said else ("", "")

    def claim(self, name: str) -> Claim:
        """Claim by id."""
        for claim in self.claims:
            if claim.id == name:
                return claim
        raise ClaimError(f"the ledger knows no claim '{name}'; known: {', '.join(c.id for c in self.claims)}")

    def smallest(self, name: str) -> float:
        """Smallest effect of a claim that would matter."""
        return self.claim(name).smallest.effect

    def tolerance(self, quantity: str, committed: float, study: str = "published") -> float:
        """Allowed difference for a quantity of a study; the first matching rule counts."""
        for rule in self.tolerances:
            if fnmatch.fnmatchcase(study, rule.study) and fnmatch.fnmatchcase(quantity, rule.match):
                return rule.absolute + rule.relative * abs(committed)
        raise ClaimError(f"data/claims.yml has no tolerance for '{quantity}'; end the list with match: '*'")

    def reason(self, quantity: str) -> str | None:
        """Why a quantity may be undefined; the first matching rule counts. None where it may not."""
        return next((rule.because for rule in self.undefined if fnmatch.fnmatchcase(quantity, rule.match)), None)

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
