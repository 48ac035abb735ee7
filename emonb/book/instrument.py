"""How often the claims' tests erred, as measured by the folder `instrument`: what chapters and cards say of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from emonb.book.claims import Claim, Declarations
from emonb.paths import book_dir

YES = ("yes", "yes, too small to matter")
JUDGED = (*YES, "undecided", "no")
NULLS = {
    "": "nothing planted",
    "lot": "neurons by lot",
    "silent": "only close attributes carried",
}
"""What is hard in a simulated null, by the kind of a row of ``book/instrument.json``."""


def read_rates() -> pd.DataFrame:
    """Read the simulated cells (``book/instrument.json``); empty where there are none.

    One row a claim and cell: ``claim``, ``kind`` ("" of what is planted, "bound" where the effect is the claim's smallest
    effect of interest, else one of NULLS), ``strength``, ``correlation``, ``draws``, a count for each of JUDGED and ``not
    tested``, ``n``, mean ``effect``.
    """
    path = book_dir() / "instrument.json"
    counts = [*JUDGED, "not tested"]
    columns = ["claim", "kind", "strength", "correlation", "draws", *counts, "n", "effect"]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    return pd.DataFrame(cells, columns=columns)


def count_simulated(rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """Errors in simulated studies (columns as of ``instrument.page.count_errors``)."""
    return make_errors(
        [row for claim in declared.claims for row in _count_simulated(rates[rates["claim"] == claim.id], claim)]
    )


def make_errors(rows: list[list[Any]]) -> pd.DataFrame:
    """Rates of counted errors, with the exact 95 % intervals."""
    columns = ["claim", "error", "source", "place", "k", "n"]
    counted = pd.DataFrame([row for row in rows if row[-1]], columns=columns).astype({"k": int, "n": int})
    ends = [scipy.stats.binomtest(k, n).proportion_ci() for k, n in zip(counted["k"], counted["n"], strict=True)]
    return counted.assign(**{name: np.array([getattr(end, name) for end in ends], float) for name in ("low", "high")})


def _count_simulated(mine: pd.DataFrame, claim: Claim) -> list[list[Any]]:
    rows = []
    for _, cell in mine.sort_values(["kind", "correlation", "draws", "strength"]).iterrows():
        said_yes, n = int(cell[list(YES)].sum()), int(cell["n"])
        place = f"{NULLS.get(cell['kind'], cell['kind'])}, r² = {cell['correlation']:g}"
        if claim.chapter == "lesions":
            place += f", masks a cell: {cell['draws']:g}"
        if cell["kind"] == "bound":
            place = f"effect {cell['effect']:.2f}"
            rows.append([claim.id, "miss", "simulated", place, n - said_yes, n])
            rows.append([claim.id, "false no", "simulated", place, int(cell["no"]), n])
        elif bool(cell["kind"]) != (cell["strength"] == 0) or cell["kind"] == "lot":
            rows.append([claim.id, "false alarm", "simulated", place, said_yes, n])
    return rows


def count_alarms(rates: pd.DataFrame, declared: Declarations) -> dict[str, tuple[int, int]]:
    """How often each claim's own test said *yes* of nothing in the simulated null where it was worst: ``(k, n)``."""
    errors = count_simulated(rates, declared).query("error == 'false alarm'")
    worst = errors.assign(rate=errors["k"] / errors["n"]).sort_values("rate").groupby("claim").tail(1)
    return {row.claim: (int(row.k), int(row.n)) for row in worst.itertuples()}


def say_rate(k: int, n: int) -> str:
    """A count of verdicts, with the exact 95 % interval of its rate.

    >>> say_rate(1, 10), say_rate(0, 0)
    ('1 of 10 [0.00, 0.45]', '–')
    """
    if not n:
        return "–"
    interval = scipy.stats.binomtest(k, n).proportion_ci()
    return f"{k} of {n} [{interval.low:.2f}, {interval.high:.2f}]"


def read_trials(path: Path | None = None) -> list[dict[str, Any]]:
    """Read the committed trials (``book/trials.json``); none where there are none yet."""
    path = path or book_dir() / "trials.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["trials"]) if path.is_file() else []
