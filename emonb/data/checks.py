"""Labels over positions: every table read from outside is checked against the study's names before it is used."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emonb.errors import LabelError


def check_labels(found: Iterable[object], expected: Iterable[object], what: str, where: object) -> None:
    """Raise unless both sets of labels are the same (order is free, duplicates are not).

    Raises
    ------
    LabelError
        Names what is missing, what is unknown and what occurs twice.
    """
    found, expected = list(found), list(expected)
    twice = sorted({str(label) for label in found if found.count(label) > 1})
    missing = [str(label) for label in expected if label not in found]
    unknown = [str(label) for label in found if label not in expected]
    problems = [
        f"{problem} {', '.join(labels[:5])}{' ...' * (len(labels) > 5)}"
        for problem, labels in (("missing", missing), ("unknown", unknown), ("twice", twice))
        if labels
    ]
    if problems:
        raise LabelError(
            f"{where}: {what} do not match the study: {'; '.join(problems)} "
            f"(expected {len(expected)}, found {len(found)}). Correct the file or the study's labels"
        )


def check_finite(values: np.ndarray, where: object) -> None:
    """Raise unless every value is a finite number."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise LabelError(f"{where}: {bad} of {values.size} values are not finite numbers; fetch the file again")


def read_table(path: Path, columns: Sequence[str] | None = None, blank: bool = False) -> pd.DataFrame:
    """Read a CSV, with exactly these columns (any order) if given, every number finite.

    ``blank`` says that the file is padded with empty rows and columns, which are dropped.
    """
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not a readable CSV ({error}); fetch the file again") from None
    if blank:
        table = table.dropna(axis=0, how="all").dropna(axis=1, how="all")
    if columns is not None:
        check_labels(table.columns, columns, "columns", path)
        table = table[list(columns)]
    for name in table.columns:
        if table[name].dtype.kind in "fiu":
            check_finite(table[name].to_numpy(np.float64), f"{path}, column {name}")
    return table


def numeric(table: pd.DataFrame, where: object) -> np.ndarray:
    """Values of a table as float64; a text cell is an error."""
    try:
        values = table.to_numpy(np.float64)
    except (ValueError, TypeError) as error:
        raise LabelError(f"{where}: a value is not a number ({error})") from None
    check_finite(values, where)
    return values
