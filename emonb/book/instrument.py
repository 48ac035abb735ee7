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
        not run), ``wrong`` (yes where no is true, no where yes is; none where there is no truth). Of a claim judged by
        attribute every attribute counts; those of one world depend on each other.
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
            wrong = counts[{"yes": "no", "no": "yes"}[truth]] if truth and verdicts else None
            table[row.title, world] = {**counts, "truth": truth, "n": len(verdicts), "wrong": wrong}
    return pd.DataFrame(table).T.rename_axis(["claim", "world"])


def _verdicts(claims: dict[str, Any], row: Row) -> list[str]:
    entry = claims.get(row.claim)
    if entry is None:
        return ["not tested"]
    if not row.kind:
        return [entry["holds"]]
    each = list(entry.get("each", {}).values())
    return [verdict for verdict, truth in each if truth == row.kind or (truth is None and row.kind == "yes")]


def confuse(table: pd.DataFrame) -> pd.DataFrame:
    """Confusion table of each claim over all worlds: what was said where it is true and where it is false; blanks.

    Parameters
    ----------
    table : DataFrame
        From :func:`tally`.

    Returns
    -------
    DataFrame
        One row a claim, as text: verdicts "yes, undecided, no" by truth, "k of n [exact 95 % interval of the rate]" of
        *yes* where true (found) and where false (false alarms), and how many have no truth, were not tested, not run.
    """
    rows = {}
    for claim, mine in table.groupby(level="claim", sort=False):
        row: dict[str, str | int] = {}
        for truth, name, rate in (("yes", "true", "found"), ("no", "false", "false alarms")):
            counts = [int(mine.loc[mine["truth"] == truth, verdict].sum()) for verdict in VERDICTS[:3]]
            row[f"{name}: yes, undecided, no"] = ", ".join(map(str, counts)) if sum(counts) else "–"
            row[rate] = say_rate(counts[0], sum(counts))
        row["no truth"] = int(mine.loc[mine["truth"] == "", list(VERDICTS[:3])].sum().sum())
        rows[claim] = row | {name: int(mine[name].sum()) for name in ("not tested", "not run")}
    return pd.DataFrame(rows).T


def say_rate(k: int, n: int) -> str:
    """A count of verdicts, with the exact 95 % interval of its rate.

    >>> say_rate(1, 10), say_rate(0, 0)
    ('1 of 10 [0.00, 0.45]', '–')
    """
    if not n:
        return "–"
    interval = scipy.stats.binomtest(k, n).proportion_ci()
    return f"{k} of {n} [{interval.low:.2f}, {interval.high:.2f}]"


_GRADES = {
    f"{o}{m}": m.replace("auc", "AUC") + ", own" * bool(o) for o in ("", "own.") for m in ("precision", "recall", "auc")
}


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
        rows[name] = {"worlds": len(mine)}
        for measure, title in _GRADES.items():
            values = [q[f"truth.{measure}"] for q in mine if f"truth.{measure}" in q]
            rows[name][title] = _say_range(values)
        rows[name]["silent attributes found"] = f"{sum(q['truth.silent_found'] > 0 for q in mine)} of {len(mine)}"
    return pd.DataFrame(rows).T


def name_misplaced(trials: Sequence[Trial], worlds: Mapping[str, str], bound: float = 0.1) -> dict[str, Any]:
    """Worlds in which attributes have neurons, but not the wired ones: mean precision below the bound; and how many.

    Also ``unwired``: the mean share of the neurons found that are wired to no attribute, and ``where`` it was counted.
    """
    named: list[str] = []
    unwired: dict[str, list[float]] = {}
    for world, name in worlds.items():
        mine = [t["quantities"] for t in trials if t["study"] == world and "truth.precision" in t["quantities"]]
        found, precision = (np.mean([q[f"truth.{k}"] for q in mine] or [0.0]) for k in ("voiced_found", "precision"))
        if found >= 1 and precision < bound:
            named.append(f"*{name}*")
            unwired[f"*{name}*"] = [q["truth.unwired"] for q in mine if "truth.unwired" in q and q["truth.voiced_found"]]
    shares = [share for mine in unwired.values() for share in mine]
    where = ", ".join(name for name, mine in unwired.items() if mine)
    return {
        "worlds": ", ".join(named), "n": float(len(named)),
        "unwired": float(np.mean(shares or [0.0])), "where": where, "counted": float(len(shares)),
    }  # fmt: skip


def _say_range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):.2f}" + (f" [{min(values):.2f}, {max(values):.2f}]" if len(values) > 1 else "")


def count_verdicts(table: pd.DataFrame, done: int) -> dict[str, float]:
    """Numbers for sentences: verdicts with a truth to compare with, wrong ones, and how many runs are ``done`` of all."""
    known = table[table["wrong"].notna()]
    judged = known[["yes", "no", "undecided"]].sum(axis=1).groupby(known["truth"]).sum()
    said = known.groupby("truth")[["yes", "no"]].sum()
    worlds = table.groupby(level="world")[["n", "not run"]].first()
    resembling = table.loc[(slice(None), "control-correlated"), :] if "control-correlated" in worlds.index else known[:0]
    silent = resembling[
        (resembling["truth"] == "no") & resembling.index.get_level_values("claim").str.endswith("not carried")
    ]
    return {
        "judged": float(judged.sum()), "true": float(judged.get("yes", 0)), "untrue": float(judged.get("no", 0)),
        "false_yes": float(said["yes"].get("no", 0)), "false_no": float(said["no"].get("yes", 0)),
        "found": float(said["yes"].get("yes", 0)), "resembling": float(silent["yes"].sum()),
        "done": float(done), "all": float(done + worlds["not run"].sum()),
    }  # fmt: skip


def count_untrained(trials: Iterable[Trial], world: str = "control-untrained") -> dict[str, float]:
    """How many attributes are found to have neurons where the network is random: mean over worlds, and their number."""
    found = [t["claims"]["neurons"]["each"].values() for t in trials if t["study"] == world and "neurons" in t["claims"]]
    counts = [sum(holds == "yes" for holds, _ in each) for each in found]
    return {"attributes": float(np.mean(counts)) if counts else float("nan"), "n": float(len(counts))}


def compare_live(table: pd.DataFrame, rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """Shares of *yes* in planted worlds beside those in simulated studies, where all is planted and where nothing is.

    Returns
    -------
    DataFrame
        One row a claim, as text: "k of n [exact 95 % interval]" over planted worlds in which the claim is true, or
        false, and the range over simulated cells of strength 1, or 0 (neurons drawn by lot among them).
    """
    rows = {}
    for claim in declared.claims:
        mine = rates[(rates["claim"] == claim.id) & ~rates["silent"].astype(bool)]
        row = {}
        for truth, strength, name in (("yes", 1, "true"), ("no", 0, "false")):
            title = claim.title + ({"yes": ", carried", "no": ", not carried"}[truth] if claim.is_count else "")
            live = table.loc[title]
            live = live[live["truth"] == truth]
            row[f"{name}, planted worlds"] = say_rate(int(live["yes"].sum()), int(live[list(VERDICTS[:3])].sum().sum()))
            cells = mine.loc[mine["strength"] == strength, "yes_rate"]
            row[f"{name}, simulated"] = f"{cells.min():.2f} to {cells.max():.2f}" if len(cells) else "–"
        rows[claim.title] = row
    return pd.DataFrame(rows).T


def read_rates() -> pd.DataFrame:
    """Read the simulated rates (``book/instrument.json``, written by ``emonb instrument``); empty where there are none."""
    path = book_dir() / "instrument.json"
    columns = ["claim", "silent", "lot", "strength", "correlation", "draws", *VERDICTS[:4], "n", "effect"]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    table = pd.DataFrame(cells, columns=columns)
    for name in ("yes", "no", "undecided"):
        k, n = (table[column].to_numpy(float) for column in (name, "n"))
        table[f"{name}_rate"] = table[name] / table["n"]
        # Clopper and Pearson's; at either end there is nothing beyond
        table[f"{name}_low"] = np.where(k > 0, scipy.stats.beta.ppf(0.025, k, n - k + 1), 0.0)
        table[f"{name}_high"] = np.where(k < n, scipy.stats.beta.ppf(0.975, k + 1, n - k), 1.0)
    return table


def find_rate(claim: str, **cell: float | bool) -> float:
    """Share of *yes* in simulated studies of one kind; NaN where none was made.

    >>> 0 <= find_rate("lesions", lot=True, draws=1) <= 1
    True
    """
    mine = read_rates()
    mine = mine[mine["claim"] == claim]
    for name, value in cell.items():
        mine = mine[mine[name] == value]
    return float(mine["yes"].sum() / mine["n"].sum()) if len(mine) else float("nan")


NOMINAL = 0.025
"""How often a *yes*, which needs a two-sided p below .05 on the claimed side, may be said of nothing."""


def false_alarms(rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """How often the rule says yes where nothing is planted, of an attribute that no neuron carries, or of neurons by lot.

    Returns
    -------
    DataFrame
        One row a simulated cell, indexed by claim (and what is hard in it): ``value`` with its exact interval ``low``,
        ``high``, ``n``; ``cell``, what it is like; ``over``, whether the whole interval lies above NOMINAL.
    """
    rows = []
    for claim in declared.claims:
        mine = rates[rates["claim"] == claim.id].sort_values(["silent", "lot", "correlation", "draws", "strength"])
        for cell in mine[(mine["strength"] == 0) | mine["silent"]].itertuples():
            kind = ", only a close attribute carried" if cell.silent else ", neurons by lot" if cell.lot else ""
            like = "" if cell.lot else f"r² = {cell.correlation:g}"
            like += f", the rest of strength {cell.strength:g}" if cell.silent else ""
            like += f"{like and ', '}{cell.draws} masks" if "random masks" in claim.sampled else ""
            rows.append([claim.title + kind, cell.yes_rate, cell.yes_low, cell.yes_high, cell.n, like.strip()])
    table = pd.DataFrame(rows, columns=["row", "value", "low", "high", "n", "cell"]).set_index("row")
    return table.assign(over=table["low"] > NOMINAL)


def summarise_alarms(alarms: pd.DataFrame) -> dict[str, float | str]:
    """Numbers for a sentence: how many rates there are, how many lie wholly above NOMINAL, the three worst."""
    over = alarms[alarms["over"]]
    worst = over.sort_values("value").groupby(level=0, sort=False).tail(1)
    highest = worst.iloc[::-1].head(3).iterrows()
    names = "; ".join(f"{row} {100 * one.value:.0f} % ({one.cell})" for row, one in highest)
    return {"over": float(len(over)), "rates": float(len(alarms)), "names": names or "none"}


def say(text: str, numbers: Mapping[str, Any], when: str | None = None) -> Text | None:
    """Fill a sentence from named numbers, where its condition holds."""
    words = {name: value for name, value in numbers.items() if isinstance(value, str)}
    filled = prose.fill(text, {k: v for k, v in numbers.items() if k not in words}, when, **words)
    return None if filled is None else Text(filled)
