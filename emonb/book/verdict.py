"""The rule: one function that makes a verdict of a test, the same for every claim and every edition.

A verdict rests on a two-sided p, the 95 % and the 90 % interval of an effect, and the smallest
effect that would matter. It knows neither the claim nor the study nor, in a planted world, what is
true. Only an interval that rules out an effect worth having says no; a test that was not passed
says nothing by itself (Altman & Bland 1995, BMJ 311:485).
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from emonb.errors import ClaimError

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
        """Decide whether an effect is there, and whether it matters.

        ``not tested`` where a number is missing or undefined. ``yes`` where two-sided p < .05 and
        the 95 % interval lies on the claimed side of zero; ``yes, too small to matter`` where
        besides the 90 % interval lies below the smallest effect of interest. Else ``no`` where the
        90 % interval lies below it (a one-sided equivalence test at .05; Schuirmann 1987; Lakens
        2017, Soc Psychol Personal Sci 8:355). Else ``undecided``.

        Parameters
        ----------
        smallest : float
            Smallest effect of interest, positive, in the effect's unit.
        side : {'greater', 'less'}
            The claimed side of zero.

        Raises
        ------
        ClaimError
            A p outside 0..1, an interval whose ends are in the wrong order or that does not hold
            the narrower one, or a smallest effect that is not positive: no verdict is made of
            numbers that cannot be.

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

    def is_near(self, smallest: float, room: "Evidence", side: Side = "greater") -> bool:
        """Tell whether differences as large as ``room`` could carry p, the interval or its end over a bound."""
        mine, allowed = self._towards(side), room._towards("greater")
        bounds = ((5, ALPHA), (1, 0.0), (4, smallest))
        return any(abs(mine[k] - bound) <= allowed[k] for k, bound in bounds)

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
    """Decide of a count that is shown to be at least so large (95 %): yes where it is at least one.

    Such a count comes from closed testing: the largest k for which every hypothesis "fewer than k"
    is rejected (Goeman & Solari 2011, Stat Sci 26:584). It bounds the number from below only, so
    that a count of none is *undecided*: there is no interval that could say *no*.

    Parameters
    ----------
    count : float or None
    p : float or None
        Of "there are none".

    >>> decide_count(2, 0.004), decide_count(0, 0.07), decide_count(None, None)
    ('yes', 'undecided', 'not tested')
    """
    if count is None or p is None or math.isnan(count) or math.isnan(p):
        return "not tested"
    # a p of permutations can be the level itself, at which closed testing rejects
    return "yes" if count >= 1 and p <= ALPHA * (1 + 1e-9) else "undecided"
