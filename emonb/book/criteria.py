"""What a study states about its own data: numbers printed in it, or that only its released files give."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Quantities = Mapping[str, float | None]
Reproduced = Literal["yes", "no", "not tested", "not printed"]


def known(quantities: Quantities, name: str) -> float | None:
    """Value of a quantity; None where it was not recorded, or as undefined (NaN here, null in a file)."""
    value = quantities.get(name)
    return None if value is None or math.isnan(value) else value


class Strict(BaseModel):
    """No unknown fields, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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

    def describe(self) -> str:
        """Read the statement as text.

        >>> Statement(quantity="q", equals=14, source="printed", where="abstract").describe()
        '14'
        """
        parts = [f"{self.equals:g}" + (f" ± {self.within:g}" if self.within else "")] if self.equals is not None else []
        parts += [f"above {self.above:g}"] if self.above is not None else []
        parts += [f"below {self.below:g}"] if self.below is not None else []
        return " and ".join(parts)


def judge(statements: Iterable[Statement], quantities: Quantities) -> Reproduced:
    """Judge statements together: 'no' if any fails, else 'not tested' if any was not computed; 'not printed' if none is."""
    verdicts = {statement.judge(quantities) for statement in statements}
    if not verdicts:
        return "not printed"
    return "no" if "no" in verdicts else "not tested" if "not tested" in verdicts else "yes"


def describe(quantities: Quantities, name: str) -> str:
    """A quantity as text, which may not be there."""
    value = known(quantities, name)
    return f"{value:.4g}" if value is not None else "undefined" if name in quantities else "not computed"
