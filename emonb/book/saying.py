r"""``%%say``: a cell of prose, filled from the ledger when it runs.

The cell is a Jinja template. ``{structure.fit.value:.2f}`` is a recorded quantity by its full name,
in Python's formats and one more, ``p``, which writes ``= 0.0123`` or ``< 0.0001``; a whole number
needs none. Words and whole numbers of the notebook can be named too. A fraction of the notebook
cannot, as nothing would compare it when the study is run again: record it. What is counted from
quantities alone, such as ``{{ (1 - a.rate)|write(".0%") }}``, is as good as they are.

An undefined quantity (NaN) prints "undefined", and no comparison with it holds, so that its
``{% else %}`` is said; where that matters ask ``{% if a is known %}``, true of what was recorded and
is defined, or ``is decided``, of an effect with its interval. ``is positive`` (``negative``) tells
whether an effect's 95 % interval lies above (below) zero. Roles and directives are written
plainly: ``{term}`RDM```, ``:::{dropdown}``. A brace that shall be printed, as in a formula, is
escaped, or a space follows it: ``\{a}``, ``_{ a }``.

>>> fit = {"fit.value": 0.351, "fit.low": -0.1, "fit.high": 0.58, "fit.p": 0.00001, "fit.n": 27.0}
>>> render("rho is {fit.value:.2f} (n = {fit.n}, p {fit.p:p}){% if fit.low > .05 %}, shown{% endif %}.", fit)
'rho is 0.35 (n = 27, p < 0.0001).'
>>> render("{% set f = fit %}{{ interval(f) }}, {f.value|hundred:.0f} of 100 {what}s", fit, {"what": "mask"})
'0.35 [−0.10, 0.58], 35 of 100 masks'
"""

import difflib
import math
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import jinja2
import jinja2.meta

from emonb.book.tables import Text, format_number
from emonb.errors import ClaimError

MAGIC = "%%say"
_NAME = r"[A-Za-z]\w*(?:\.[\w-]*\w|\[[^\]{}]+\])*"
_TAG = r"\{[{%#].*?[%}#]\}"
# a brace before a backtick is a role, unless it stands within backticks; one after three colons or backticks a directive
_FIELD = rf"(?<!\\)(?<!:::)(?<!```)(?:(?<=`)|(?!\{{[^{{}}]*\}}`))\{{({_NAME})(\|\w+)?(?::([^{{}}`]*))?\}}"
_TAG_OR_FIELD = re.compile(rf"({_TAG})|{_FIELD}", re.DOTALL)
_POINT = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![\w.\])])\.(?=\d)")


class Number(float):
    """A number of the ledger, or one counted from such numbers; other fractions are not printed."""


def _carry(name: str) -> None:
    """Let an operation of floats give a :class:`Number`."""
    operate = getattr(float, name)

    def count(self: float, *others: Any) -> Any:
        result = operate(self, *others)
        return result if result is NotImplemented else Number(result)

    setattr(Number, name, count)


for _sign in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "abs"):
    _carry(f"__{_sign}__")


class Branch:
    """Quantities whose names begin alike: ``structure.fit`` has ``.rho``."""

    def __init__(self, name: str, quantities: Mapping[str, float]) -> None:
        self._name, self._quantities = name, quantities

    def __getattr__(self, part: str) -> Any:
        if part.startswith("__"):
            raise AttributeError(part)
        return find(f"{self._name}.{part}", self._quantities)

    def __getitem__(self, part: Any) -> Any:
        return find(f"{self._name}.{part}", self._quantities)

    def __str__(self) -> str:
        raise ClaimError(f"'{self._name}' is no quantity but the beginning of several: {', '.join(self._ways())}")

    def _ways(self) -> list[str]:
        return sorted(name for name in self._quantities if name.startswith(f"{self._name}."))[:3]


class Missing(jinja2.StrictUndefined):
    """What nobody recorded: an error wherever it is used, but in ``is known``."""

    __slots__ = ()

    def __getattr__(self, part: str) -> Any:
        if part.startswith("__"):
            raise AttributeError(part)
        return self

    def __getitem__(self, part: Any) -> Any:
        return self


class Quantity(Number, Branch):
    """A recorded number, and those whose names go on from its name."""

    def __new__(cls, name: str, quantities: Mapping[str, float]) -> "Quantity":
        """Make a float of it."""
        return super().__new__(cls, quantities[name])

    def __init__(self, name: str, quantities: Mapping[str, float]) -> None:
        Branch.__init__(self, name, quantities)

    __str__ = float.__repr__


def find(name: str, quantities: Mapping[str, float]) -> Any:
    """A quantity, the branch of those below a name, or :class:`Missing`, which says what was meant."""
    if name in quantities:
        return Quantity(name, quantities)
    if any(full.startswith(f"{name}.") for full in quantities):
        return Branch(name, quantities)
    close = difflib.get_close_matches(name, quantities, n=1)
    hint = f"did you mean '{close[0]}'?" if close else "record it before it is said"
    return Missing(f"no quantity '{name}' was recorded; {hint}")


def write(value: Any, form: str = "") -> str:
    """A number in a format, as :func:`write_number` says; a word as it is."""
    if isinstance(value, jinja2.Undefined | Branch) and not isinstance(value, float):
        str(value)  # raises, and says what is missing
    if isinstance(value, float) and not isinstance(value, Number):
        raise ClaimError(f"{value!r} is a fraction and no quantity: record it, and say it by its name")
    if isinstance(value, float) and math.isnan(value):
        return "undefined"
    if form == "p":
        text = format_number(float(value), "p")
        return text.replace("<", "< ") if text.startswith("<") else f"= {text}"
    if isinstance(value, float) and not form:
        if not value.is_integer():
            raise ClaimError(f"give {_name_of(value)} a format, such as {{name:.2f}}")
        form = ".0f"
    try:
        text = format(float(value) if isinstance(value, float) else value, form)
    except ValueError as error:
        raise ClaimError(f"{value!s} cannot be written as '{form}': {error}") from None
    return text if isinstance(value, str) else write_number(text)


def write_number(number: str) -> str:
    """A number as it is printed: no "-0.00", a minus sign, powers of ten, a space before "%".

    >>> [write_number(text) for text in ("-0.00", "-0.17", "7e-07", "83.2%")]
    ['0.00', '−0.17', '7 × 10⁻⁷', '83.2 %']
    """
    number = number.removeprefix("-") if not number.strip("-0.%") else number
    digits, e, power = number.partition("e")
    if e:
        digits += " × 10" + str(int(power)).translate(_SUPERSCRIPT)
    return digits.replace("-", "−").replace("%", " %")


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def interval(effect: Branch, digits: int = 2, sign: str = "") -> str:
    """An effect with its 95 % interval, ``0.35 [0.12, 0.58]``; sign ``"+"`` shows that of each number."""
    if not is_known(effect):
        return "undefined"
    value, low, high = (write(part, f"{sign}.{digits}f") for part in (effect.value, effect.low, effect.high))
    return f"{value} [{low}, {high}]"


def is_known(value: Any) -> bool:
    """Tell whether a quantity was recorded and is defined; of the beginning of several, its ``value`` if it has one."""
    if isinstance(value, Branch) and not isinstance(value, float):
        return isinstance(value.value, Missing) or is_known(value.value)
    return not isinstance(value, jinja2.Undefined) and not (isinstance(value, float) and math.isnan(value))


def is_decided(effect: Any) -> bool:
    """Tell whether an effect was recorded with its interval and all three are defined."""
    return not isinstance(effect, jinja2.Undefined) and all(map(is_known, (effect.value, effect.low, effect.high)))


_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=write)
_JINJA.filters |= {"write": write, "hundred": lambda share: 100 * share}
_JINJA.tests |= {"known": is_known, "decided": is_decided}
_JINJA.tests |= {"positive": lambda effect: effect.low > 0, "negative": lambda effect: effect.high < 0}
_JINJA.globals["interval"] = interval


def render(
    text: str, quantities: Mapping[str, float], notebook: Mapping[str, Any] | None = None, **helpers: Callable[..., Any]
) -> str:
    """Fill a template.

    Parameters
    ----------
    text : str
        Without the line ``%%say``, which counts as the cell's first.
    quantities : mapping of str to float
        By full name. A name that is also a word's means the quantity.
    notebook : mapping, optional
        The notebook's names and values; of these, words and whole numbers, and lists and dicts of them, can be said.
    **helpers
        Functions the template may call, such as ``verdict``; a float they return counts as a quantity.

    Raises
    ------
    ClaimError
        A name that nobody recorded, a fraction that is no quantity, a format that does not fit, or a template that is
        none; says the line of the cell.
    """
    words = notebook or {}

    def translate(found: re.Match[str]) -> str:
        tag, name, change, form = (part or "" for part in found.groups())
        if tag:
            return _POINT.sub(lambda part: "0." if part[0] == "." else part[0], tag)
        value = f"quantity({name!r})" if name in quantities else f"({name})"
        return f"{{{{ {value}{change}|write({form!r}) }}}}"

    def look_up(name: str) -> Any:
        if name in words and isinstance(find(name, quantities), Missing):
            return words[name] if _is_word(words[name]) else Missing(_refuse(name, words[name]))
        full = re.search(rf"(?<![\w.]){name}(\.\w+)*", text)
        return find(full[0] if full and isinstance(find(name, quantities), Missing) else name, quantities)

    source = _TAG_OR_FIELD.sub(translate, text)
    given = {name: _count(helper) for name, helper in helpers.items()} | {"quantity": lambda name: find(name, quantities)}
    try:
        asked = jinja2.meta.find_undeclared_variables(_JINJA.parse(source)) - given.keys() - _JINJA.globals.keys()
        return _JINJA.from_string(source).render({**{name: look_up(name) for name in asked}, **given}).strip()
    except (jinja2.TemplateError, ClaimError, ArithmeticError, TypeError, ValueError) as error:
        raise ClaimError(f"{MAGIC}, line {_line_of(error) + 1} of the cell: {error}") from None


def register(fill: Callable[[str, Mapping[str, Any]], str]) -> None:
    """Let the notebook that runs this, if one does, have cells that begin with ``%%say``.

    ``fill`` makes of a cell's text and the notebook's names what is shown; of nothing, nothing is.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return

    def say(line: str, cell: str) -> Text | None:
        if line.strip():
            raise ClaimError(f"the prose begins on the line after {MAGIC}, not with '{line.strip()}'")
        text = fill(cell, shell.user_ns)
        return Text(text) if text else None

    shell.register_magic_function(say, "cell", "say")


def read_cell(source: str) -> str | None:
    r"""Text of a ``%%say`` cell without the magic; None for any other cell.

    >>> read_cell("%%say\nrho is {a:.2f}"), read_cell("say = 1")
    ('rho is {a:.2f}', None)
    """
    first, _, rest = source.partition("\n")
    return rest if first.strip() == MAGIC else None


def _is_word(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_word, value)) and all(map(_is_word, value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(_is_word, value))
    return value is None or isinstance(value, str | Integral)


def _refuse(name: str, value: Any) -> str:
    """Why a name of the notebook cannot be said."""
    if isinstance(value, Real):
        return f"'{name}' is a fraction and no quantity: record it, and say it by its full name"
    return f"'{name}' is neither a quantity nor a word ({type(value).__name__})"


def _count(helper: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose floats may be printed."""

    def call(*given: Any) -> Any:
        value = helper(*given)
        return Number(value) if isinstance(value, float) else value

    return call


def _name_of(value: float) -> str:
    return f"'{value._name}'" if isinstance(value, Quantity) else repr(value)


def _line_of(error: Exception) -> int:
    """The template's line on which an error arose."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return lines[-1] or 0 if lines else 0
