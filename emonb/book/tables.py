"""Tables: for the page, every number with the same digits and one line of headings; for the ledger, a name a cell."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from emonb.errors import ClaimError

pd.set_option("display.max_colwidth", None)  # a reader sees every word of a table's cell

Table: TypeAlias = pd.Series | pd.DataFrame | xr.DataArray | xr.Dataset


HEADINGS = {
    "tau": "Kendall tau-b",
    "rho": "Spearman rho",
    "value": "estimate",
    "low": "2.5 %",
    "high": "97.5 %",
    "fit": "fit to humans (rho)",
    "mantel_p": "p (Mantel)",
    "p_fwe": "p, corrected",
    "parametric_p": "p (pairs as independent)",
    "n_permutations": "permutations",
    "paper_p": "paper: p",
    "r": "r (accuracy, mean layer)",
    "explained": "variance of accuracy depth explains",
    "mean_r": "mean r over emotions",
    "t": "t (emotions - 1)",
}
"""What a reader reads above columns that are called as in the ledger."""

P_VALUES: dict[str, Literal["p"]] = {name: "p" for name in ("p", "p_fwe", *HEADINGS) if name.split("_")[-1] in ("p", "fwe")}
"""Columns of p values, for :func:`format_table`."""


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


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", ids: Sequence[str] = ()) -> Html:
    """Cells of HTML as a table that stacks on a phone; the first cell of a row heads it, and ids name the rows."""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = ""
    for (first, *rest), name in zip_longest(rows, ids):
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        body += f'<tr id="{name}">' if name else "<tr>"
        body += f'<th scope="row">{first}</th>{cells}</tr>'
    named = f"<caption>{caption}</caption>" if caption else ""
    return Html(f'<table class="verdicts">{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def format_table(
    table: pd.DataFrame, digits: int | Mapping[str, int | Literal["p"]] = 3, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Write a table's numbers as text: whole numbers in groups of three, missing values as "–".

    Parameters
    ----------
    table : DataFrame
    digits : int, or dict of column to int or "p"
        Decimals of numbers that are not whole by type, or "p" for p values (4 decimals, and "<0.0001"); columns that a
        dict leaves out get 3.
    names : dict of column to str, optional
        Headings in place of column names.
    """
    places = digits if isinstance(digits, Mapping) else dict.fromkeys(table.columns, digits)
    texts = {column: [format_number(value, places.get(column, 3)) for value in table[column]] for column in table.columns}
    shown = pd.DataFrame(texts, index=table.index).rename(columns=dict(names or {}))
    if table.index.nlevels == 1:
        shown.columns.name, shown.index.name = table.index.name, None
    return shown


def format_number(value: object, digits: int | Literal["p"]) -> str:
    """Write one cell of a table: decimals with a minus sign and never "−0", or, for "p", 4 decimals and "<0.0001".

    >>> [format_number(*cell) for cell in ((-0.0004, 3), (-0.25, 2), (1_234_567, 3), (1e-9, "p"), (None, 3))]
    ['0.000', '−0.25', '1,234,567', '<0.0001', '–']
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
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def name_cells(table: Table, prefix: str, suffix: str = "", main: Any = None) -> dict[str, float]:
    """Name each cell of a table; a series and an array have no columns, a dataset's are its variables.

    Parameters
    ----------
    prefix : str
        Cells are called ``prefix.column.row``, with one part for each level or dimension of the rows; or as this says,
        where it has places for the labels: ``structure.{distance}.layer.{layer}.{column}``.
    suffix : str
        Put behind every name.
    main : optional
        Row whose cells are also called ``prefix.column``.

    Raises
    ------
    ClaimError
        A place for a label the table does not have, or no row ``main``.

    >>> table = pd.DataFrame({"t": [9.6, 12.9], "p": [0.2, 0.1]}, index=[1500, 4000])
    >>> list(name_cells(table[["p"]], "lesions", main=4000))
    ['lesions.p.1500', 'lesions.p.4000', 'lesions.p']
    """
    if isinstance(table, pd.Series | xr.DataArray):
        columns: dict[Any, pd.Series] = {None: table if isinstance(table, pd.Series) else table.to_series()}
    else:
        frame = table.reset_coords(drop=True).to_dataframe() if isinstance(table, xr.Dataset) else table
        columns = dict(frame.items())
    named = {}
    for column, cells in columns.items():
        for key, value in cells.items():
            row = key if isinstance(key, tuple) else (key,)
            labels = {"column": column, **dict(zip(map(str, cells.index.names), row, strict=True))}
            try:
                named[prefix.format(**labels) if "{" in prefix else _join(prefix, column, *row)] = value
            except KeyError as error:
                raise ClaimError(f"'{prefix}': the table has no {error}; it has {', '.join(labels)}") from None
        if main is not None:
            if main not in cells.index:
                raise ClaimError(f"the table has no row {main!r}; its rows: {', '.join(map(str, cells.index))}")
            named[_join(prefix, column)] = cells[main]
    return {name + suffix: value for name, value in named.items()}


def _join(prefix: str, *parts: Any) -> str:
    return ".".join(str(part) for part in (prefix.rstrip("."), *parts) if part not in (None, ""))
