"""The rule: one function that makes a verdict of a test, the same for every claim and every edition.

A verdict rests on a two-sided p, the 95 % and the 90 % interval of an effect, and the smallest effect that would matter. It
knows neither the claim nor the study nor, in a planted world, what is true. Only an interval that rules out an effect worth
having says no; a test that was not passed says nothing by itself (Altman & Bland 1995, BMJ 311:485).
"""

import math
from typing import Literal, NamedTuple

from emonb.errors import ClaimError

Verdict = Literal["yes", "no", "undecided", "not tested"]
Bounds = tuple[float | None, float | None]
Side = Literal["greater", "less"]
ALPHA = 0.05


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
        """Apply :func:`decide`."""
        return decide(self.p, (self.low, self.high), (self.low90, self.high90), smallest, side)


def decide(p: float | None, interval95: Bounds, interval90: Bounds, smallest: float, side: Side = "greater") -> Verdict:
    """Decide whether an effect is there.

    ``not tested`` where a number is missing or undefined (None, NaN). Else ``yes`` where two-sided p < .05 and the 95 %
    interval lies on the claimed side of zero. Else ``no`` where the 90 % interval lies below the smallest effect of
    interest (a one-sided equivalence test at .05; Schuirmann 1987; Lakens 2017, Soc Psychol Personal Sci 8:355).
    Else ``undecided``.

    An effect can be shown and yet be smaller than what matters: it is a ``yes``, and :func:`is_small` says so.

    Parameters
    ----------
    p : float or None
        Two-sided.
    interval95, interval90 : (low, high)
        Of the effect, in its own unit.
    smallest : float
        Smallest effect of interest, positive, in the effect's unit.
    side : {'greater', 'less'}
        The claimed side of zero.

    Returns
    -------
    {'yes', 'no', 'undecided', 'not tested'}

    Raises
    ------
    ClaimError
        A p outside 0..1, an interval whose ends are in the wrong order or that does not hold the narrower one, or a
        smallest effect that is not positive: no verdict is made of numbers that cannot be.

    >>> decide(0.01, (0.1, 0.5), (0.15, 0.45), smallest=0.2)
    'yes'
    >>> decide(0.6, (-0.1, 0.15), (-0.08, 0.13), smallest=0.2)
    'no'
    >>> decide(0.2, (-0.1, 0.5), (-0.05, 0.45), smallest=0.2)
    'undecided'
    >>> decide(None, (0.1, 0.5), (0.15, 0.45), smallest=0.2)
    'not tested'
    """
    if not 0 < smallest < math.inf:
        raise ClaimError(f"the smallest effect of interest must be a positive number, got {smallest}")
    numbers = [math.nan if number is None else number for number in (p, *interval95, *interval90)]
    if any(math.isnan(number) for number in numbers):
        return "not tested"
    chance, low, high, low90, high90 = numbers
    if not 0 <= chance <= 1:
        raise ClaimError(f"a p value lies in 0..1, got {chance}")
    if not low <= low90 <= high90 <= high:
        raise ClaimError(f"the 95 % interval [{low}, {high}] does not hold the 90 % interval [{low90}, {high90}]")
    if side == "less":
        low, high, low90, high90 = -high, -low, -high90, -low90
    if chance < ALPHA and low > 0:
        return "yes"
    return "no" if high90 < smallest else "undecided"


def is_small(interval90: Bounds, smallest: float, side: Side = "greater") -> bool:
    """Tell whether an effect, shown or not, is smaller than what would matter: its 90 % interval ends below it.

    >>> is_small((0.01, 0.1), smallest=0.2)
    True
    """
    end = interval90[1] if side == "greater" else interval90[0]
    return end is not None and (end if side == "greater" else -end) < smallest
