"""Sentences whose every number is a recorded quantity, filled in by name, and said only where a condition holds."""

import difflib
import math
import operator
import re
import string
from collections.abc import Mapping
from typing import Any

from emonb.book.saying import write_number
from emonb.book.tables import Text
from emonb.errors import ClaimError

_NAME, _NUMBER = r"[A-Za-z][\w.:-]*", r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TERM = re.compile(rf"(?P<no>not\s+)?(?P<left>{_NAME})(?:\s*(?P<sign>[<>]=?|[=!]=)\s*(?P<right>{_NAME}|{_NUMBER}))?")
_SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


def fill(text: str, quantities: Mapping[str, float], when: str | None = None, **names: str | float) -> str | None:
    """Fill a sentence from quantities.

    Parameters
    ----------
    text : str
        With ``{quantity:format}``; the formats are Python's.
    quantities : mapping of str to float
        By full name, such as ``structure.correlation.tau``.
    when : str, optional
        Condition: ``quantity < number`` or ``quantity > other.quantity`` (also ``<= >= == !=``), or a quantity's name
        alone, which holds where it was recorded; with ``not``, and joined by ``and`` and ``or`` (``and`` binds closer).
        What compares a quantity that was not recorded does not hold; a condition on an undefined one (NaN) never does,
        and in a sentence its number is "undefined".
    **names : str or float
        Short names: for a quantity, or for the beginning of several (``chosen="structure.correlation"`` makes
        ``{chosen.tau}``); or words and numbers that are no quantities, inserted as they are.

    Returns
    -------
    str or None
        None where the condition does not hold.

    Raises
    ------
    ClaimError
        A name that is no recorded quantity, a format that does not fit, a condition that is none.

    >>> fill("tau-b = {a.tau:.2f} over {n} emotions", {"structure.tau": 0.351}, "a.tau > .3", a="structure", n=27)
    'tau-b = 0.35 over 27 emotions'
    >>> fill("tau-b = {a.tau:.2f}", {"structure.tau": float("nan")}, a="structure")
    'tau-b = undefined'
    >>> fill("nothing to see", {"structure.tau": 0.351}, "structure.tau < 0 or structure.rho > 0") is None
    True
    """
    if when is not None and not _holds(when, quantities, names):
        return None
    return _Filler(quantities, names).format(text.strip())


def say(text: str, quantities: Mapping[str, float], when: str | None = None, **names: str | float) -> Text | None:
    """Fill a sentence as :func:`fill` does, to be shown as Markdown; None where the condition does not hold."""
    filled = fill(text, quantities, when, **names)
    return None if filled is None else Text(filled)


class _Filler(string.Formatter):
    """Python's formatter with dotted names looked up as a whole."""

    def __init__(self, quantities: Mapping[str, float], names: Mapping[str, str | float]) -> None:
        self._quantities, self._names = quantities, names

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        value = _look_up(field_name, self._quantities, self._names)
        if value is None:
            full = _full_name(field_name, self._names)
            close = difflib.get_close_matches(full, self._quantities, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "record it before it is said"
            raise ClaimError(f"no quantity '{full}' was recorded; {hint}")
        return value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if _is_undefined(value):
            return "undefined"
        try:
            text = format(value, format_spec)
        except ValueError as error:
            raise ClaimError(f"{value!r} cannot be written as '{format_spec}': {error}") from None
        return text if isinstance(value, str) else write_number(text)


def _holds(when: str, quantities: Mapping[str, float], names: Mapping[str, str | float]) -> bool:
    """Evaluate a condition."""

    def is_met(term: str) -> bool:
        found = _TERM.fullmatch(term.strip())
        if found is None:
            raise ClaimError(f"'{term.strip()}' in '{when}' is no condition; write: quantity < number")
        left = _look_up(found["left"], quantities, names)
        if _is_undefined(left):
            return False
        if found["sign"] is None:
            return (left is not None) != bool(found["no"])
        right = found["right"]
        bound = float(right) if re.fullmatch(_NUMBER, right) else _look_up(right, quantities, names)
        if _is_undefined(bound):
            return False
        met = left is not None and bound is not None and bool(_SIGNS[found["sign"]](left, bound))
        return met != bool(found["no"])

    return any(all(is_met(term) for term in re.split(r"\sand\s", part)) for part in re.split(r"\sor\s", when))


def _is_undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _look_up(name: str, quantities: Mapping[str, float], names: Mapping[str, str | float]) -> Any:
    """Value of a name: a quantity, or a word or number given; None if it is neither."""
    full = _full_name(name, names)
    given = names.get(name)
    is_quantity = isinstance(given, str) and any(q == given or q.startswith(f"{given}.") for q in quantities)
    if given is not None and full not in quantities and not is_quantity:
        return given
    return quantities.get(full)


def _full_name(name: str, names: Mapping[str, str | float]) -> str:
    """Name of a quantity with a short name for its beginning written out."""
    first, dot, rest = name.partition(".")
    return f"{names[first]}{dot}{rest}" if first in names else name
