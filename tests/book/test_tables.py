"""Tables: every cell reads as the number it was, and nothing is lost on the way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonb.book.tables import format_table


def test_numbers_read_as_a_person_would_write_them() -> None:
    table = pd.DataFrame(
        {"p": [0.00004, -0.00004, np.nan], "n": [1234567, 0, -3], "what": ["a", "b", "c"], "met": [True, False, True]},
        index=pd.Index([1, 2, 3], name="layer"),
    )
    shown = format_table(table, {"p": 4}, {"n": "neurons"})
    assert shown.columns.tolist() == ["p", "neurons", "what", "met"]
    assert shown["p"].tolist() == ["0.0000", "0.0000", "–"]
    assert shown["neurons"].tolist() == ["1,234,567", "0", "-3"]
    assert shown["what"].tolist() == ["a", "b", "c"]
    assert shown["met"].tolist() == ["True", "False", "True"]
    assert shown.columns.name == "layer" and shown.index.name is None
    assert shown.index.tolist() == [1, 2, 3]
    assert format_table(pd.DataFrame({"p": [0.00004, 0.00006, 1.0, np.nan]}), {"p": "p"})["p"].tolist() == [
        "<0.0001",
        "0.0001",
        "1.0000",
        "–",
    ]


def test_column_levels_and_row_levels_are_kept() -> None:
    rows = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
    table = pd.DataFrame({("human", "p"): [0.5, 0.25], ("model", "p"): [1.0, 2.0]}, index=rows)
    shown = format_table(table, 1)
    assert shown.columns.equals(table.columns) and shown.index.equals(rows)
    assert shown["model", "p"].tolist() == ["1.0", "2.0"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.integers(0, 6))
def test_a_cell_is_its_number_rounded(values: list[float], digits: int) -> None:
    shown = format_table(pd.DataFrame({"x": values}), digits)["x"]
    assert [float(text.replace("−", "-")) for text in shown] == pytest.approx(
        [round(v, digits) for v in values], abs=0.51 * 10.0**-digits
    )
    assert not any("-" in text or (text.startswith("−") and not text.strip("−0.")) for text in shown)
