"""The claims ledger: what each claim says, when it counts as reproduced, when it holds, and what was measured.

``data/claims.yml`` declares every claim with its criteria. Chapters record *quantities* (a name and a number) and ask
for the verdict of a claim; a verdict is computed from the criteria and the quantities, never typed.
"""

import fnmatch
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import xarray as xr
import yaml
from pydantic import Field, ValidationError

from emonb.artifacts import write_text
from emonb.book.criteria import Criterion, Quantities, Strict, describe, judge, known, shown
from emonb.book.tables import Table, name_cells
from emonb.book.truth import Grade, grade
from emonb.errors import ClaimError
from emonb.world.world import Truth


class Claim(Strict):
    """One claim of the paper, or what it becomes in the control."""

    id: str = Field(pattern=r"^[a-z-]+$")
    studies: tuple[str, ...] = Field(("*",), description="patterns of the studies whose chapters judge it")
    truth: dict[str, Literal["yes", "no"]] = Field({}, description="study -> what is true in its planted world")
    title: str
    sentence: str
    measured: str
    unit: str
    chapter: str
    headline: tuple[str, ...] = Field(min_length=1, description="quantities the claim's line shows")
    n: str = Field(description="quantity: how many units of inference")
    paper_p: str = Field(description="quantity: p of the study's own kind of test")
    valid_p: str = Field(description="quantity: p with the claim's unit of inference")
    reproduced: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    holds: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    discussion: dict[Literal["yes", "no"], str] = Field(description="how the verdict reads, for either outcome")


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
    """A sentence of the paper's abstract and the claims it makes."""

    text: str
    claims: tuple[str, ...]


class Declarations(Strict):
    """The whole of ``data/claims.yml``."""

    abstract: tuple[Sentence, ...]
    claims: tuple[Claim, ...]
    tolerances: tuple[Tolerance, ...]
    undefined: tuple[Undefined, ...] = ()

    def of_study(self, study: str) -> list[Claim]:
        """Claims judged in a study's chapters; where two have one id, the later one."""
        mine = [c for c in self.claims if any(fnmatch.fnmatchcase(study, pattern) for pattern in c.studies)]
        return list({c.id: c for c in mine}.values())

    def claim(self, name: str, study: str = "published") -> Claim:
        """Claim of a study by id."""
        for claim in self.of_study(study):
            if claim.id == name:
                return claim
        raise ClaimError(f"the ledger knows no claim '{name}'; known: {', '.join(c.id for c in self.of_study(study))}")

    def tolerance(self, quantity: str, committed: float, study: str = "published") -> float:
        """Allowed difference for a quantity of a study; the first matching rule counts."""
        for rule in self.tolerances:
            if fnmatch.fnmatchcase(study, rule.study) and fnmatch.fnmatchcase(quantity, rule.match):
                return rule.absolute + rule.relative * abs(committed)
        raise ClaimError(f"data/claims.yml has no tolerance for '{quantity}'; end the list with match: '*'")

    def reason(self, quantity: str) -> str | None:
        """Why a quantity may be undefined; the first matching rule counts. None where it may not."""
        return next((rule.because for rule in self.undefined if fnmatch.fnmatchcase(quantity, rule.match)), None)

    def is_near(self, name: str, kind: str, quantities: Quantities, study: str) -> bool:
        """Tell whether a verdict rests on a quantity so near its bound that a tolerated difference can turn it."""
        claim = self.claim(name, study)
        for criterion in claim.reproduced if kind == "reproduced" else claim.holds:
            value, above, below = criterion.resolve(quantities)
            room = self.tolerance(criterion.quantity, value or 0.0, study)
            bounds = [b for b in (above, below) if b is not None]
            if criterion.equals is not None:
                bounds += [criterion.equals - criterion.within, criterion.equals + criterion.within]
            if value is not None and any(abs(value - bound) <= room for bound in bounds):
                return True
        return False


def read_declarations(path: Path) -> Declarations:
    """Read and validate the ledger file."""
    try:
        return Declarations.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ClaimError(f"{path}: {error}") from None


class Ledger:
    """Record of one chapter's quantities and claims.

    Parameters
    ----------
    declarations : Path
        ``data/claims.yml``.
    path : Path
        JSON file this chapter's record is written to; an older record there is replaced.
    chapter : str
    study : str
        Name of the study, which decides which claims and criteria apply.
    truth : Truth, optional
        What is true in the study's planted world; nobody but the ledger is told.
    used : dict of str to str, optional
        Checksums of the artifacts the chapter has loaded, which are kept with its record.
    """

    def __init__(
        self,
        declarations: Path,
        path: Path,
        chapter: str,
        study: str = "published",
        truth: Truth | None = None,
        used: dict[str, str] | None = None,
    ) -> None:
        self.declared = read_declarations(declarations)
        self.path, self.chapter, self.study, self._truth = path, chapter, study, truth
        self.used = {} if used is None else used
        self.quantities: dict[str, float] = {}
        self.undefined: dict[str, str] = {}  # quantities that are NaN, and why
        self.claims: dict[str, dict[str, Any]] = {}

    def record(
        self,
        values: Table | Mapping[Any, float],
        prefix: str = "",
        suffix: str = "",
        main: Any = None,
        undefined: str | None = None,
    ) -> None:
        """Record named numbers.

        A quantity that is not defined for these data is NaN; it is kept with the reason (null in the record), no claim is
        tested on it, and a sentence says "undefined" in its place.

        Parameters
        ----------
        values : mapping, Series, DataFrame, DataArray or Dataset
            The numbers of a mapping are called ``prefix + name + suffix``; the cells of a table as
            :func:`emonb.book.tables.name_cells` says.
        prefix, suffix : str
        main : optional
            Of a table: the row whose cells are also recorded without the row's name.
        undefined : str, optional
            Why values may be NaN; by default as ``data/claims.yml`` says for the quantity.

        Raises
        ------
        ClaimError
            A value that is infinite, or NaN without a reason; a name recorded before with another value.
        """
        if isinstance(values, Table):
            named = name_cells(values, prefix, suffix, main)
        else:
            named = {f"{prefix}{name}{suffix}": number for name, number in values.items()}
        for full, number in named.items():
            value = float("nan") if number is None else float(number)
            reason = (undefined or self.declared.reason(full)) if math.isnan(value) else None
            if not math.isfinite(value) and reason is None:
                raise ClaimError(
                    f"quantity '{full}' is {value}: only finite numbers are reported, and undefined ones with a reason"
                )
            before = self.quantities.get(full, value)
            if before != value and not (math.isnan(before) and math.isnan(value)):
                raise ClaimError(f"quantity '{full}' was recorded as {before}, now as {value}")
            self.quantities[full] = value
            if reason is not None:
                self.undefined[full] = reason
        self._save()

    def claim(self, name: str) -> "ClaimLine":
        """Judge a claim by what this chapter recorded, and keep the verdicts."""
        claim = self.declared.claim(name, self.study)
        if claim.chapter != self.chapter:
            raise ClaimError(f"claim '{name}' belongs to chapter '{claim.chapter}', not '{self.chapter}'")
        line = ClaimLine(claim, self.quantities, self.study)
        self.claims[name] = {"reproduced": line.reproduced, "holds": line.holds, "unit": line.unit}
        if line.truth:
            self.claims[name]["truth"] = line.truth
        self._save()
        return line

    def grade(self, subject: str, found: xr.DataArray) -> Grade:
        """Compare what was found with what is true in the study's world, and record how well it agrees.

        Parameters
        ----------
        subject : {'neurons', 'drops'}
            Neurons found for each attribute (bool; attribute, layer, neuron), or the loss under its mask (attribute,).
        found : DataArray

        Returns
        -------
        Grade
            Empty where nothing is known of the truth, as for any study of the real world.
        """
        result = grade(subject, found, self._truth)
        self.record(result.quantities)
        return result

    def _save(self) -> None:
        numbers = {name: known(self.quantities, name) for name in self.quantities}
        record = {"quantities": numbers, "claims": self.claims, "used": self.used, "undefined": self.undefined}
        write_text(json.dumps(record, indent=1) + "\n", self.path)


class ClaimLine:
    """A claim with its verdicts, shown as one stable line and the table of its criteria."""

    def __init__(self, claim: Claim, quantities: Quantities, study: str = "") -> None:
        self.claim = claim
        self.truth = claim.truth.get(study)
        n = known(quantities, claim.n)
        self.unit = claim.unit + ("" if n is None else f", n = {n:.0f}")
        self.quantities = {name: quantities[name] for name in claim.headline if name in quantities}
        self.reproduced = judge(claim.reproduced, quantities)
        self.holds = judge(claim.holds, quantities)
        self._rows = [
            (
                kind,
                criterion.describe(),
                describe(quantities, criterion.quantity),
                criterion.judge(quantities),
                criterion.because,
            )
            for kind, criteria in (("reproduced", claim.reproduced), ("holds", claim.holds))
            for criterion in criteria
        ]

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} = {describe(self.quantities, name)}" for name in self.quantities)
        return (
            f"claim {self.claim.id}: reproduced {shown(self.reproduced)}, holds {shown(self.holds)}{self._against_truth()} "
            f"({numbers}; unit of inference: {self.unit})"
        )

    def _against_truth(self) -> str:
        if self.truth is None or self.holds == "untested":
            return ""
        return f", true {self.truth} ({'agrees' if self.truth == self.holds else 'DOES NOT AGREE'})"

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        rows = "\n".join(
            f"| {kind} | `{text}` | {value} | **{shown(verdict)}** | {why} |"
            for kind, text, value, verdict, why in self._rows
        )
        head = "| verdict | criterion | measured | met | why this criterion |\n|---|---|---|---|---|"
        return (
            f"**{self.claim.title}**: reproduced **{shown(self.reproduced)}**, holds "
            f"**{shown(self.holds)}**{self._against_truth()} "
            f"(unit of inference: {self.unit}).\n\n{head}\n{rows}"
        )
