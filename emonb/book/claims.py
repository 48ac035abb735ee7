"""The claims as ``data/claims.yml`` declares them: once for every edition, with the evidence each is judged by."""

import fnmatch
import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from emonb.book.criteria import Quantities, Statement, Strict, known
from emonb.book.verdict import Evidence
from emonb.errors import ClaimError

Read = Literal["yes", "no", "undecided", "some", "none", "all"]


class Smallest(Strict):
    """Smallest effect that would matter, in the effect's unit, and why."""

    effect: float = Field(gt=0)
    because: str


class Mark(Strict):
    """What an effect can be held against: drawn on its scale."""

    quantity: str = Field(description="recorded quantity; may be a pattern")
    words: str


class Claim(Strict):
    """One claim of the study."""

    id: str = Field(pattern=r"^[a-z-]+$")
    title: str
    sentence: str
    chapter: str
    module: str = Field(description="module of emonb.analysis that tests it")
    estimand: str
    evidence: str = Field(description="prefix of the six quantities; with {attribute}, one verdict an attribute")
    scale: str = Field(description="unit of the effect")
    side: Literal["greater", "less"] = "greater"
    sampled: tuple[str, ...] = Field(min_length=1)
    fixed: tuple[str, ...] = ()
    unit: str = Field(description="unit of inference")
    n: str = Field(description="quantity: how many units")
    population: str
    test: str
    smallest: Smallest
    mark: Mark | None = None
    stated: tuple[Statement, ...] = ()
    truth: dict[str, Literal["yes", "no", "attributes"]] = Field({}, description="planted study -> what is true in it")
    reads: dict[Read, str] = Field(description="the verdict in words, for each outcome")

    @model_validator(mode="after")
    def _reads_every_outcome(self) -> "Claim":
        outcomes = {"some", "none", "all"} if self.is_count else {"yes", "no", "undecided"}
        if set(self.reads) != outcomes:
            raise ValueError(f"claim {self.id} needs words for {', '.join(sorted(outcomes))}")
        return self

    @property
    def is_count(self) -> bool:
        """Whether it is judged for each attribute, and counted."""
        return "{attribute}" in self.evidence

    def gather(self, quantities: Quantities) -> dict[str, Evidence]:
        """Evidence that was recorded, by attribute; under the name "" where the claim is judged once."""
        pattern = re.compile(re.escape(self.evidence).replace(r"\{attribute\}", "(?P<attribute>.+)") + r"\.value")
        matches = [match for name in quantities if (match := pattern.fullmatch(name))]
        return {
            match["attribute"] if self.is_count else "": Evidence(
                *(known(quantities, match[0].removesuffix("value") + field) for field in Evidence._fields)
            )
            for match in matches
        }


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
