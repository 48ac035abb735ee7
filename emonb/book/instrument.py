"""Can we trust the instrument? Verdicts of planted worlds against what is true there, and rates in simulated studies."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from emonb.book import prose
from emonb.book.claims import Declarations
from emonb.book.tables import Text
from emonb.paths import book_dir

VERDICTS = ("yes", "undecided", "no", "not tested", "not run")
Trial = dict[str, Any]


class Row(NamedTuple):
    """A line of the tables: a claim, and of one judged by attribute, those the texts voice or those they do not."""

    claim: str
    title: str
    kind: str = ""


def rows_of(declared: Declarations) -> list[Row]:
    """Lines of the tables, in the order of the claims."""
    kinds = {False: [("", "")], True: [("yes", ", carried"), ("no", ", not carried")]}
    return [Row(c.id, c.title + text, kind) for c in declared.claims for kind, text in kinds[c.is_count]]


def tally(trials: Iterable[Trial], declared: Declarations, worlds: Sequence[str], n: int = 10) -> pd.DataFrame:
    """Count verdicts of every claim in every world.

    Parameters
    ----------
    trials : iterable of dict
        From :func:`emonb.run.worlds.read_trials`.
    declared : Declarations
    worlds : sequence of str
    n : int
        World seeds that are to be run; those that are missing count as ``not run``.

    Returns
    -------
    DataFrame
        Index (title, world); a column for each of VERDICTS, ``truth`` (yes, no or blank), ``n`` (verdicts, without those
        not run), ``wrong`` (yes where no is true, no where yes is) with the exact 95 % interval of its rate, ``low`` and
        ``high``. Of a claim judged by attribute every attribute counts; those of one world depend on each other.
    """
    table = {}
    mine = {world: [t["claims"] for t in trials if t["study"] == world] for world in worlds} if worlds else {}
    for row in rows_of(declared):
        for world in worlds:
            verdicts = [v for claims in mine[world] for v in _verdicts(claims, row)]
            counts = {name: verdicts.count(name) for name in VERDICTS}
            counts["not run"] = max(0, n - len(mine[world]))
            truth = declared.claim(row.claim).truth.get(world, "")
            truth = row.kind if truth == "attributes" else truth
            if row.kind == "yes" and truth == "no":  # no attribute is carried there: all are in the other row
                counts, truth = dict.fromkeys(VERDICTS, 0), ""
            wrong = counts[{"yes": "no", "no": "yes"}[truth]] if truth in ("yes", "no") else 0
            table[row.title, world] = {**counts, "truth": truth, "n": len(verdicts), **_exact(wrong, len(verdicts), truth)}
    return pd.DataFrame(table).T.rename_axis(["claim", "world"])


def _verdicts(claims: dict[str, Any], row: Row) -> list[str]:
    entry = claims.get(row.claim)
    if entry is None:
        return ["not tested"]
    if not row.kind:
        return [entry["holds"]]
    each = list(entry.get("each", {}).values())
    return [verdict for verdict, truth in each if truth == row.kind or (truth is None and row.kind == "yes")]


def _exact(wrong: int, n: int, truth: str) -> dict[str, Any]:
    if not truth or not n:
        return {"wrong": None, "low": None, "high": None}
    interval = scipy.stats.binomtest(wrong, n).proportion_ci()
    return {"wrong": wrong, "low": interval.low, "high": interval.high}


def show_errors(table: pd.DataFrame, worlds: Mapping[str, str]) -> pd.DataFrame:
    """Table of wrong verdicts: one row a claim, one column a world, "k of n [exact 95 % interval of the rate]"."""

    def say(row: pd.Series) -> str:
        if not row["n"]:
            return "not run yet"
        if row["wrong"] is None:
            return f"no truth; yes {row['yes']} of {row['n']}"
        return f"{row['wrong']} of {row['n']} [{row['low']:.2f}, {row['high']:.2f}]"

    claims = list(dict.fromkeys(table.index.get_level_values("claim")))
    return table.apply(say, axis=1).unstack().loc[claims, list(worlds)].rename(columns=worlds)


def grade_wiring(trials: Iterable[Trial], worlds: Mapping[str, str]) -> pd.DataFrame:
    """Neurons found against neurons wired, a world a row: means over world seeds with the lowest and highest.

    Of an attribute that is voiced: precision (of the neurons found, the share that is wired to it), recall (of the wired,
    the share found) and AUC (how often a wired neuron follows it more closely than another does); beside them how many
    silent attributes were given neurons, in how many of the seeds any was.
    """
    rows: dict[str, dict[str, Any]] = {}
    for world, name in worlds.items():
        mine = [trial["quantities"] for trial in trials if trial["study"] == world and "truth.auc" in trial["quantities"]]
        if not mine:
            continue
        rows[name] = {"n": len(mine)}
        for measure in ("precision", "recall", "auc", "own.precision", "own.recall", "own.auc"):
            values = [q[f"truth.{measure}"] for q in mine if f"truth.{measure}" in q]
            rows[name][measure] = f"{np.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]" if values else "–"
        rows[name]["silent"] = f"{sum(q['truth.silent_found'] > 0 for q in mine)} of {len(mine)}"
    return pd.DataFrame(rows).T.rename_axis("world")


def count_verdicts(table: pd.DataFrame) -> dict[str, float]:
    """Numbers for sentences: how many verdicts there are, with a truth to compare with, wrong, undecided, and blanks."""
    known = table[table["wrong"].notna()]
    counts = {name.replace(" ", "_"): float(table[name].sum()) for name in VERDICTS}
    judged = known[["yes", "no", "undecided"]].sum().sum()
    false_yes, false_no = (known.loc[known["truth"] == t, v].sum() for t, v in (("no", "yes"), ("yes", "no")))
    n_no, n_yes = (known.loc[known["truth"] == t, ["yes", "no", "undecided"]].sum().sum() for t in ("no", "yes"))
    blank = table.loc[table["wrong"].isna() & (table["n"] > 0), ["yes", "no", "undecided"]].sum().sum()
    return counts | {
        "judged": float(judged), "without_truth": float(blank), "true": float(n_yes), "untrue": float(n_no),
        "false_yes": float(false_yes), "false_no": float(false_no),
        "open": float(known["undecided"].sum()), "found": float(known.loc[known["truth"] == "yes", "yes"].sum()),
    }  # fmt: skip


def read_rates() -> pd.DataFrame:
    """Read the simulated rates (``book/instrument.json``, written by ``emonb instrument``); empty where there are none."""
    path = book_dir() / "instrument.json"
    columns = ["claim", "silent", "strength", "correlation", "draws", *VERDICTS[:4], "n", "effect"]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    table = pd.DataFrame(cells, columns=columns)
    for name in ("yes", "no", "undecided"):
        intervals = [scipy.stats.binomtest(k, n).proportion_ci() for k, n in zip(table[name], table["n"], strict=True)]
        table[f"{name}_rate"] = table[name] / table["n"]
        table[f"{name}_low"], table[f"{name}_high"] = [i.low for i in intervals], [i.high for i in intervals]
    return table


def false_alarms(rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """How often the rule says yes where nothing is planted, or of an attribute that no neuron carries.

    Returns
    -------
    DataFrame
        One row a claim (and what is hard in it), ``value`` with its exact interval ``low``, ``high``, and ``n``.
    """
    order = {claim.id: k for k, claim in enumerate(declared.claims)}
    null = rates[(rates["strength"] == 0) | rates["silent"]]
    null = null.assign(order=null["claim"].map(order)).sort_values(["order", "silent", "correlation", "draws", "strength"])
    titles = {claim.id: claim.title for claim in declared.claims}
    rows = {}
    for cell in null.itertuples():
        label = titles[cell.claim] + (f", none carries it; planted elsewhere {cell.strength:g}" if cell.silent else "")
        label += f"; r² {cell.correlation:g}"
        label += f", masks a cell: {cell.draws}" if cell.claim in ("lesions", "lesions-general", "majority") else ""
        rows[label] = {"value": cell.yes_rate, "low": cell.yes_low, "high": cell.yes_high, "n": cell.n}
    return pd.DataFrame(rows, ["value", "low", "high", "n"]).T


def say(text: str, numbers: dict[str, float], when: str | None = None) -> Text | None:
    """Fill a sentence from named numbers, where its condition holds."""
    filled = prose.fill(text, numbers, when)
    return None if filled is None else Text(filled)
