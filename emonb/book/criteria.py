"""Criteria: conditions on recorded quantities, and what follows where a quantity is missing or undefined."""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Verdict = Literal["yes", "no", "untested"]
Quantities = Mapping[str, float | None]


def known(quantities: Quantities, name: str) -> float | None:
    """Value of a quantity; None where it was not recorded, or as undefined (NaN here, null in a file)."""
    value = quantities.get(name)
    return None if value is None or math.isnan(value) else value


class Strict(BaseModel):
    """No unknown fields, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Criterion(Strict):
    """One condition on a quantity: equal within a tolerance, above, or below; a bound may name another quantity."""

    quantity: str
    equals: float | None = None
    within: float = Field(0.0, ge=0)
    above: float | str | None = None
    below: float | str | None = None
    because: str = ""

    @model_validator(mode="after")
    def _one_bound(self) -> "Criterion":
        if all(bound is None for bound in (self.equals, self.above, self.below)):
            raise ValueError(f"criterion on {self.quantity} needs equals, above or below")
        return self

    def resolve(self, quantities: Quantities) -> tuple[float | None, float | None, float | None]:
        """Value and both bounds as numbers, where they are known."""
        above, below = (known(quantities, b) if isinstance(b, str) else b for b in (self.above, self.below))
        return known(quantities, self.quantity), above, below

    def judge(self, quantities: Quantities) -> Verdict:
        """Judge the condition; 'untested' when a quantity it needs was not computed, or is not defined."""
        value, above, below = self.resolve(quantities)
        unknown = (above is None and self.above is not None) or (below is None and self.below is not None)
        if value is None or unknown:
            return "untested"
        met = (
            (self.equals is None or abs(value - self.equals) <= self.within)
            and (above is None or value > above)
            and (below is None or value < below)
        )
        return "yes" if met else "no"

    def describe(self) -> str:
        """Read the condition as text."""
        parts = [f"= {self.equals:g} ± {self.within:g}"] if self.equals is not None else []
        parts += [f"> {self.above}"] if self.above is not None else []
        parts += [f"< {self.below}"] if self.below is not None else []
        return f"{self.quantity} {' and '.join(parts)}"


def judge(criteria: tuple[Criterion, ...], quantities: Quantities) -> Verdict:
    """Judge all criteria together: 'no' if any fails, else 'untested' if any was not computed, else 'yes'."""
    verdicts = {criterion.judge(quantities) for criterion in criteria}
    return "no" if "no" in verdicts else "untested" if "untested" in verdicts else "yes"


def shown(verdict: str) -> str:
    """A verdict as it is read."""
    return "not tested" if verdict == "untested" else verdict


def describe(quantities: Quantities, name: str) -> str:
    """A quantity as text, which may not be there."""
    value = known(quantities, name)
    return f"{value:.4g}" if value is not None else "undefined" if name in quantities else "not computed"
