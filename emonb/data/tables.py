"""Labels over positions: every table read from outside is checked against the study's names before it is used.

Nothing of a file's content but its labels appears in a message: a cell may hold what somebody wrote.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.errors import LabelError
from emonb.paths import cache_dir, mirror_dir

Ends = tuple[float, float]
OFF_SCALE = "leave an answer that is missing empty, or say the scale on which people answered (humans.scale)"


def check_labels(found: Iterable[object], expected: Iterable[object], what: str, where: object) -> None:
    """Raise unless both sets of labels are the same (order is free, duplicates are not).

    The LabelError names what is missing, what is unknown and what occurs twice.

    >>> check_labels(["joy", "fear"], ["fear", "joy"], "emotions", "scores.csv")
    >>> check_labels(["joy", "love"], ["fear", "joy"], "emotions", "scores.csv")
    Traceback (most recent call last):
    emonb.errors.LabelError: scores.csv: emotions do not match the study: missing fear; unknown love (expected 2, ...
    """
    found, expected = list(found), list(expected)
    twice = sorted({str(label) for label in found if found.count(label) > 1})
    missing = [str(label) for label in expected if label not in found]
    unknown = [repr(n) if (n := str(label)) != n.strip() else n for label in found if label not in expected]
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


def advise(path: Path) -> str:
    """What to do about a file that cannot be used: a file of one's own is corrected, a fetched one fetched again."""
    fetched = any(folder is not None and path.is_relative_to(folder) for folder in (mirror_dir(), cache_dir()))
    return "fetch the file again" if fetched else "correct the file"


def read_text(path: Path) -> str:
    r"""Text of a file in UTF-8 (with or without a byte-order mark) or UTF-16 (with one); line ends become ``\n``.

    A LabelError names the line that is in another encoding, such as Latin-1.
    """
    content = path.read_bytes()
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")):
        raise LabelError(f"{path} is a spreadsheet or an archive; save it as text in UTF-8 (CSV, or tabs between columns)")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        wrong = f"byte 0x{content[error.start]:02x} is not {'UTF-16' if marked else 'UTF-8'}"
        raise LabelError(f"{path}, line {line}: {wrong}; {advise(path)} (save it as UTF-8)") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_csv_text(path: Path, columns: Sequence[str] | None = None) -> str:
    """Text of a CSV, as :func:`read_text` reads it.

    A LabelError where columns are not separated by commas, as in what spreadsheets save in many countries, one (of
    ``columns``, if given) stands twice, or a row has more cells than there are columns, of which the last ones would be
    lost, or fewer, as where a file was cut short.
    """
    text = read_text(path)
    heading = text.partition("\n")[0]
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if mark in heading and "," not in heading:
            raise LabelError(f"{path}: columns are separated by {name}; {advise(path)} (commas, and decimals with a point)")
    try:
        rows = csv.reader(io.StringIO(text), strict=True)
        names = next(rows, [])
        n, twice = len(names), [name for name in columns or names if name and names.count(name) > 1]
        if twice:
            raise LabelError(f"{path}: the heading has the column {twice[0]} twice; {advise(path)} (keep one)")
        for row in rows:
            if row and (len(row) < n or any(row[n:])):
                raise LabelError(
                    f"{path}, line {rows.line_num}: {len(row)} cells for {n} columns; {advise(path)} (decimals with a "
                    "point, text that holds a comma between quotation marks)"
                )
    except csv.Error as error:
        raise LabelError(f"{path}: not a readable CSV ({error}: a quotation mark?); {advise(path)}") from None
    return text


def read_table(path: Path, columns: Sequence[str] | None = None, blank: bool = False) -> pd.DataFrame:
    """Read a CSV, with exactly these columns (any order) if given; its index are the lines of the file.

    ``blank`` says that the file is padded with empty rows and columns, which are dropped. A LabelError: a file that is no
    CSV, a column that is missing or unknown.
    """
    text = read_csv_text(path)
    try:
        table = pd.read_csv(io.StringIO(text), index_col=False)
    except ValueError as error:
        raise LabelError(f"{path}: not a readable CSV ({error}); {advise(path)}") from None
    lines = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()][1:]
    if len(lines) == len(table):  # it is not where a cell holds a line end
        table.index = pd.Index(lines)
    if blank:
        table = table.dropna(axis=0, how="all").dropna(axis=1, how="all")
    for name in table.columns[table.columns.str.fullmatch(r"Unnamed: \d+")]:  # as pandas calls it
        raise LabelError(f"{path}: column {int(name[9:]) + 1} has no heading; {advise(path)} (name it, or leave it out)")
    if columns is not None:
        check_labels(table.columns, columns, "columns", path)
        table = table[list(columns)]
    return table


def numeric(table: pd.DataFrame, path: Path, missing: bool = False, scale: Ends | None = None) -> np.ndarray:
    """Values of a table as float64; an empty cell is NaN where some may be ``missing``.

    A LabelError names line and column of a cell that is text, not finite, empty where it may not be, or off the scale.
    """
    texts = table.apply(lambda cells: cells.astype(str) if cells.dtype in (bool, object) else cells)  # True is no number
    values = texts.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    empty = missing & table.isna().to_numpy()
    kinds = [("a finite number", ~np.isfinite(values), advise(path))]
    if scale is not None:
        remedy = OFF_SCALE if missing else f"{advise(path)}, or say its scale (humans.scale)"
        kinds.append((f"on the scale of {scale[0]:g} to {scale[1]:g}", is_off(values, scale), remedy))
    for what, wrong, remedy in kinds:
        bad = np.argwhere(wrong & ~empty)
        if len(bad):
            place = f"{path}, line {table.index[bad[0][0]]}, column {table.columns[bad[0][1]]}"
            raise LabelError(f"{place}: the cell is not {what} ({len(bad)} of {values.size} are not); {remedy}")
    return values


def find_scale(declared: Ends | Mapping[str, Ends] | None, kind: str) -> Ends:
    """Lowest and highest number of a kind of file (judgments, ratings, scores), as ``humans.scale`` declares it.

    >>> find_scale([1, 7], "ratings"), find_scale({"ratings": (0, 100)}, "judgments"), find_scale([1, 7], "scores")
    ([1, 7], (1, 9), (0, 1))
    """
    own = declared.get(kind) if isinstance(declared, Mapping) else None if kind == "scores" else declared
    return own or ((0, 1) if kind == "scores" else (1, 9))


def is_off(values: np.ndarray, scale: Ends) -> np.ndarray:
    """Which numbers lie off a scale by more than rounding; a missing one does not."""
    rounding = 1e-9 * (scale[1] - scale[0])
    return (values < scale[0] - rounding) | (values > scale[1] + rounding)


def name_pair(pair: Iterable[str], order: Sequence[str]) -> str:
    """Label of a pair of emotions, whichever is named first; one that is unknown stays as it is.

    >>> name_pair(("fear", " joy"), ["joy", "fear"])
    'joy|fear'
    """
    names = [name.strip() for name in pair]
    return "|".join(sorted(names, key=list(order).index) if set(names) <= set(order) else names)


def arrange(swept: xr.Dataset, attributes: Sequence[str], sizes: Sequence[int]) -> xr.Dataset:
    """Put a sweep in the form of the released lesions, and keep every mask.

    Returned are ``accuracy`` and ``auc`` (kind, attribute, size, seed, emotion), averaged over draws; ``mask_accuracy``
    and ``mask_auc`` (mask, seed, emotion); ``baseline`` and ``baseline_auc`` (seed, emotion).
    """
    labels = {"kind": list(dict.fromkeys(swept.kind.values.tolist())), "attribute": list(attributes), "size": list(sizes)}
    shape = tuple(len(v) for v in labels.values())
    out: dict[str, Any] = {}
    for name in ("accuracy", "auc"):
        values = np.full((*shape, swept.sizes["seed"], swept.sizes["emotion"]), np.nan)
        for at in np.ndindex(shape):
            kind, attribute, size = (names[k] for names, k in zip(labels.values(), at, strict=True))
            here = (swept.kind == kind) & (swept.attribute == attribute) & (swept["size"] == size)
            values[at] = swept[name].values[here.values].mean(0)
        out[name] = ((*labels, "seed", "emotion"), values)
        out[f"mask_{name}"] = (("mask", "seed", "emotion"), swept[name].values)
    renamed = {f"mask_{name}": ("mask", swept[name].values) for name in ("kind", "attribute", "size", "draw")}
    coords = {**labels, "seed": swept.seed.values, "emotion": swept.emotion.values, **renamed}
    return xr.Dataset({**out, "baseline": swept.baseline, "baseline_auc": swept.baseline_auc}, coords=coords)


def pick_masks(masks: xr.Dataset, size: int, comparison: str) -> xr.Dataset:
    """Attributes' masks of one size, and those of one kind that they are compared with."""
    mine = (masks["size"] == size) & masks.kind.isin(["selective", comparison])
    return masks.isel(mask=mine.values)
