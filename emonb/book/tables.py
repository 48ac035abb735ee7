"""Tables for the page: every number with the same digits, a dash where there is none, one line of headings."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd


class Html(str):
    """A string that notebooks show as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


class Text(str):
    """A string that notebooks show as Markdown."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)

    __repr__ = str.__str__


def format_table(
    table: pd.DataFrame, digits: int | Mapping[str, int | Literal["p"]] = 3, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Write a table's numbers as text.

    Parameters
    ----------
    table : DataFrame
    digits : int, or dict of column to int or "p"
        Decimals of numbers that are not whole by type, or "p" for p values (4 decimals, and "<0.0001"); columns that a
        dict leaves out get 3.
    names : dict of column to str, optional
        Headings in place of column names.

    Returns
    -------
    DataFrame of str
        Whole numbers in groups of three, missing values as "–", no "-0.000"; the index's name heads its column.
    """
    places = digits if isinstance(digits, Mapping) else dict.fromkeys(table.columns, digits)
    texts = {column: [format_number(value, places.get(column, 3)) for value in table[column]] for column in table.columns}
    shown = pd.DataFrame(texts, index=table.index).rename(columns=dict(names or {}))
    if table.index.nlevels == 1:
        shown.columns.name, shown.index.name = table.index.name, None
    return shown


def wrap_table(table: pd.DataFrame) -> Html:
    """Show a table of texts with intervals and remarks on lines of their own, so that it fits the page."""
    return Html(table.to_html().replace(" [", "<br>[").replace("; ", "<br>"))


def format_number(value: object, digits: int | Literal["p"]) -> str:
    """Write one cell of a table.

    Parameters
    ----------
    value : object
        A float gets its decimals and is never "-0"; a whole number is written in groups of three, text as it is, and a
        missing value as "–".
    digits : int or "p"
        Decimals, or the way of p values: 4 decimals, and "<0.0001".
    """
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not isinstance(value, float | np.floating) or np.isnan(value):
        return "–" if pd.isna(value) else str(value)
    if digits == "p":
        return f"{value:.4f}" if value >= 0.00005 else "<0.0001"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text
