"""Can we trust the instrument? Each claim's own test against what is true, simulated and in planted worlds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from emonb.book.claims import Claim, Declarations
from emonb.book.truth import Truths, find_truth
from emonb.book.verdict import ALPHA
from emonb.paths import book_dir

YES = ("yes", "yes, too small to matter")
JUDGED = (*YES, "undecided", "no")
VERDICTS = (*JUDGED, "not tested", "not run")
NOMINAL = ALPHA / 2
"""How often a *yes*, which needs a two-sided p below .05 on the claimed side, may be said of nothing."""
NULLS = {
    "": "nothing planted",
    "lot": "neurons by lot",
    "silent": "only close attributes carried",
}
"""What is hard in a simulated null, by the kind of a row of ``book/instrument.json``."""
Trial = dict[str, Any]


def read_rates() -> pd.DataFrame:
    """Read the simulated cells (``book/instrument.json``, written by ``emonb instrument``); empty where there are none.

    Returns
    -------
    DataFrame
        One row a claim and cell: ``claim``, ``kind`` ("" of what is planted, "bound" where the
        effect is the claim's smallest effect of interest, else one of NULLS), ``strength``,
        ``correlation``, ``draws``, a count for each of JUDGED and ``not tested``, ``n``, mean ``effect``.
    """
    path = book_dir() / "instrument.json"
    counts = [*JUDGED, "not tested"]
    columns = ["claim", "kind", "strength", "correlation", "draws", *counts, "n", "effect"]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    return pd.DataFrame(cells, columns=columns)


def tally(
    trials: Iterable[Trial], declared: Declarations, worlds: Sequence[str], truths: Truths, n: int = 10
) -> pd.DataFrame:
    """Count verdicts of every claim in every world.

    Parameters
    ----------
    trials : iterable of dict
        From :func:`emonb.run.worlds.read_trials`.
    declared : Declarations
    worlds : sequence of str
    truths : dict
        From :func:`emonb.book.truth.read_truths`.
    n : int
        World seeds that are to be run; those that are missing count as ``not run``.

    Returns
    -------
    DataFrame
        Index (claim, world); a column for each of VERDICTS, ``truth`` (as the verdicts, or blank), ``true``
        (of a count, how many there truly are; else missing) and ``beyond``, verdicts of *yes* where
        no is true or, of a count, that count more than there are.
    """
    table = {}
    trials = list(trials)
    for claim in declared.claims:
        for world in worlds:
            mine = [trial["claims"].get(claim.id, {}) for trial in trials if trial["study"] == world]
            said = [entry.get("holds", "not tested") for entry in mine]
            counts = {verdict: said.count(verdict) for verdict in VERDICTS[:-1]}
            counts["not run"] = max(0, n - len(mine))
            truth = find_truth(claim, world, truths) or ""
            table[claim.id, world] = {
                **counts,
                "truth": truth,
                "true": next((entry["true_count"] for entry in mine if "true_count" in entry), None),
                "beyond": sum(_is_false_alarm(entry, truth) for entry in mine),
            }
    return pd.DataFrame(table).T.rename_axis(["claim", "world"])


def _is_false_alarm(entry: Mapping[str, Any], truth: str) -> bool:
    if entry.get("holds") not in YES:
        return False
    return truth == "no" or ("true_count" in entry and entry["value"] > entry["true_count"])


def count_errors(table: pd.DataFrame, rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """How often each claim's own test errs, in every simulated cell and planted world whose truth is known.

    Parameters
    ----------
    table : DataFrame
        From :func:`tally`.
    rates : DataFrame
        From :func:`read_rates`.
    declared : Declarations

    Returns
    -------
    DataFrame
        A row an error, claim and place: ``claim``; ``error``, one of *false alarm* (*yes* where
        nothing is there), *miss* (no *yes* of an effect as large as the bound, or larger in a
        planted world) and *false no* (*no* of such an effect); ``source`` (simulated, planted);
        ``place``, what the null or world is like; how often, ``k`` of ``n``, with the exact 95 %
        interval ``low`` to ``high`` of the rate.
    """
    planted = [row for claim in declared.claims for row in _count_planted(table.loc[claim.id], claim)]
    return pd.concat([count_simulated(rates, declared), _make_errors(planted)], ignore_index=True)


def count_simulated(rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """The rows of :func:`count_errors` that are of simulated studies."""
    return _make_errors(
        [row for claim in declared.claims for row in _count_simulated(rates[rates["claim"] == claim.id], claim)]
    )


def _make_errors(rows: list[list[Any]]) -> pd.DataFrame:
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


def _count_planted(mine: pd.DataFrame, claim: Claim) -> list[list[Any]]:
    rows = []
    for world, cell in mine.iterrows():
        said_yes, n = int(cell[list(YES)].sum()), int(cell[list(JUDGED)].sum())
        place = str(world).removeprefix("control-").replace("control", "causal")
        if cell["truth"] == "no" or pd.notna(cell["true"]):
            rows.append([claim.id, "false alarm", "planted", place, int(cell["beyond"]), n])
        if cell["truth"] == "yes":
            rows.append([claim.id, "miss", "planted", place, n - said_yes, n])
            rows.append([claim.id, "false no", "planted", place, int(cell["no"]), n])
    return rows


def find_unsound(errors: pd.DataFrame) -> dict[str, str]:
    """Claims whose test says *yes* of nothing more often than .05, beyond chance, somewhere: claim -> the worst place.

    Such a claim prints no *yes*: its ``no_yes`` in ``data/claims.yml`` says why, and a test holds
    every committed ledger to it.
    """
    alarms = errors[(errors["error"] == "false alarm") & (errors["low"] > ALPHA)]
    worst = alarms.sort_values("low").groupby("claim").tail(1)
    return {row.claim: f"{row.place}: {say_rate(row.k, row.n)}" for row in worst.itertuples()}


def tabulate_errors(errors: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """The errors of each claim's own test, as text: where it is worst of all simulated nulls, and over all planted worlds.

    Parameters
    ----------
    errors : DataFrame
        From :func:`count_errors`.
    declared : Declarations

    Returns
    -------
    DataFrame
        A row a claim, a column an error and source, "k of n [exact 95 % interval]".
    """
    rows = {}
    for claim in declared.claims:
        row = {}
        for error in ("false alarm", "miss", "false no"):
            for source in ("simulated", "planted"):
                mine = errors[(errors["claim"] == claim.id) & (errors["error"] == error) & (errors["source"] == source)]
                row[f"{error}, {source}"] = _say_worst(mine) if source == "simulated" else _say_all(mine)
        rows[claim.title] = row
    return pd.DataFrame(rows).T


def _say_worst(errors: pd.DataFrame) -> str:
    if errors.empty:
        return "–"
    worst = errors.assign(rate=errors["k"] / errors["n"]).nlargest(1, "rate").iloc[0]
    return f"{say_rate(worst['k'], worst['n'])} ({worst['place']})"


def _say_all(errors: pd.DataFrame) -> str:
    return say_rate(int(errors["k"].sum()), int(errors["n"].sum()))


def say_rate(k: int, n: int) -> str:
    """A count of verdicts, with the exact 95 % interval of its rate.

    >>> say_rate(1, 10), say_rate(0, 0)
    ('1 of 10 [0.00, 0.45]', '–')
    """
    if not n:
        return "–"
    interval = scipy.stats.binomtest(k, n).proportion_ci()
    return f"{k} of {n} [{interval.low:.2f}, {interval.high:.2f}]"


def tabulate_truths(declared: Declarations, worlds: Mapping[str, str], truths: Truths) -> pd.DataFrame:
    """What is true of each claim in each world, and how that is known.

    Parameters
    ----------
    declared : Declarations
    worlds : dict of str to str
        World -> what it is called.
    truths : dict
        From :func:`emonb.book.truth.read_truths`.

    Returns
    -------
    DataFrame
        Rows: claims; columns: worlds, and ``why``, the reasons. *Yes* or *no*; where it was
        measured, the effect with its standard error; a dash where nothing settles it.
    """
    rows: dict[str, dict[str, str]] = {}
    for claim in declared.claims:
        row = {name: _say_truth(claim, world, truths) for world, name in worlds.items()}
        groups = {
            known.because: ", ".join(worlds[world] for world in known.worlds if world in worlds) for known in claim.truth
        }
        rows[claim.title] = row | {"why": "; ".join(f"{names}: {why}" for why, names in groups.items())}
    return pd.DataFrame(rows).T


def _say_truth(claim: Claim, world: str, truths: Truths) -> str:
    known, found = claim.known_in(world), truths.get(world, {}).get(claim.id)
    truth = find_truth(claim, world, truths) or "–"
    if known is None or known.holds != "measured" or found is None:
        return truth
    return f"{truth}: {found['effect']:.2f} ± {found['se']:.2f}"


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


def _say_range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):.2f}" + (f" [{min(values):.2f}, {max(values):.2f}]" if len(values) > 1 else "")
