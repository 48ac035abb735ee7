"""Worlds and seeds: the positive control and its companions run whole, chapter by chapter, on many world seeds.

Criteria were fixed on a few seeds; the claims' verdicts on fresh ones are collected as they come and never chosen from.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from emonb import artifacts, paths
from emonb.book import prose
from emonb.book.claims import Declarations
from emonb.book.tables import Text, format_number
from emonb.run import editions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORLDS = ("control", "control-encoded", "control-untrained", "control-null")
SHOWN = {
    "prompts.accuracy": "accuracy of prompts (dev)",
    "structure.correlation.rho": "structure: rho with judges",
    "truth.voiced_found": "voiced attributes found (of 8)",
    "truth.silent_found": "silent attributes found (of 6)",
    "truth.order": "found against planted: rho",
    "lesions.difference": "AUC lost against controls",
    "importance.attribute_r": "r of loss and importance",
}
"""Quantities of a trial the book shows, with their axis labels."""
_DIGITS = {"truth.voiced_found": 0, "truth.silent_found": 0, "lesions.difference": 4}  # all others: 2

_ALSO_KEPT = (
    "structure.correlation.mantel_p", "structure.untrained.rho", "structure.untrained.gain", "structure.untrained.gain.low",
    "truth.recall", "truth.precision", "truth.drop_r", "truth.drop_voiced", "truth.drop_silent",
    "lesions.mask_p", "lesions.paper_p", "importance.attribute_p", "importance.paper_p",
)  # fmt: skip


def run_trials(
    seeds: Sequence[int], worlds: Sequence[str] = WORLDS, log: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Run every world with every world seed, all chapters; finished runs are not repeated.

    Returns
    -------
    list of dict
        ``study``, ``seed``, ``claims`` (verdicts) and ``quantities`` of every run.
    """
    rows = []
    for seed in seeds:
        for world in worlds:
            folder = editions.run_edition(world, {"world.seed": seed})
            record = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
            quantities = {name: value for name, value in record["quantities"].items() if value is not None}
            rows.append({"study": world, "seed": seed, "claims": record["claims"], "quantities": quantities})
            verdicts = ", ".join(f"{name} {claim['holds']}" for name, claim in record["claims"].items())
            log(f"{world}, world seed {seed}: {verdicts}")
    return rows


def write_trials(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write trials as JSON, with the quantities that claims and figures use."""
    wanted = {*SHOWN, *_ALSO_KEPT}
    kept = [{**r, "quantities": {k: v for k, v in r["quantities"].items() if k in wanted}} for r in rows]
    return artifacts.write_text(json.dumps({"trials": kept}, indent=1) + "\n", path)


def read_trials(path: Path | None = None) -> list[dict[str, Any]]:
    """Read the committed trials (``book/controls.json``)."""
    path = path or paths.book_dir() / "controls.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["trials"])


def verdict_table(trials: list[dict[str, Any]], declared: Declarations) -> pd.DataFrame:
    """In how many worlds of each kind each claim holds, beside what is true there.

    Returns
    -------
    DataFrame
        One row a claim, one column a world: "holds in k of n; true: yes/no", with the share and its 95 % interval.
    """
    cells: dict[tuple[str, str], str] = {}
    for study in dict.fromkeys(t["study"] for t in trials):
        for claim in declared.of_study(study):
            verdicts = [t["claims"][claim.id]["holds"] for t in trials if t["study"] == study and claim.id in t["claims"]]
            if not verdicts:
                continue
            k, n = verdicts.count("yes"), len(verdicts)
            low, high = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
            truth = claim.truth.get(study)
            cells[claim.title, study] = f"{k} of {n} [{low:.2f}, {high:.2f}]" + (f"; true: {truth}" if truth else "")
    table = pd.Series(cells).unstack()
    order = [s for s in WORLDS if s in table]
    titles = list(dict.fromkeys(c.title for s in order for c in declared.of_study(s)))
    return table.loc[[t for t in titles if t in table.index], order].fillna("not judged")


def seed_table(trials: list[dict[str, Any]], declared: Declarations) -> pd.DataFrame:
    """Every run: whether each claim holds and the quantities behind it, one row a world, one column a world seed."""
    seeds = sorted({t["seed"] for t in trials})
    of = {(t["study"], t["seed"]): t for t in trials}
    rows: dict[tuple[str, str], list[str]] = {}
    for world in [w for w in WORLDS if any(t["study"] == w for t in trials)]:
        runs = [of.get((world, seed), {"claims": {}, "quantities": {}}) for seed in seeds]
        for claim in declared.of_study(world):
            rows[f"{claim.title} holds", _unbroken(world)] = [r["claims"].get(claim.id, {}).get("holds", "–") for r in runs]
        for name, label in SHOWN.items():
            rows[label, _unbroken(world)] = [format_number(r["quantities"].get(name), _DIGITS.get(name, 2)) for r in runs]
    table = pd.DataFrame(rows, index=pd.Index(seeds, name="world seed")).T
    return table[(table != "–").any(axis=1)].loc[list(dict.fromkeys(what for what, _ in rows))]


def _unbroken(world: str) -> str:
    return world.replace("-", "\N{NON-BREAKING HYPHEN}")


def interval_table(trials: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean over world seeds of every shown quantity, with its 95 % t interval; the unit is the world.

    Returns
    -------
    DataFrame
        One row a quantity, one column a world; empty where a world does not have the quantity.
    """
    cells = {}
    for study in dict.fromkeys(t["study"] for t in trials):
        for name, label in SHOWN.items():
            values = np.array([t["quantities"][name] for t in trials if t["study"] == study and name in t["quantities"]])
            if len(values) > 1:
                mean, half = values.mean(), scipy.stats.t.isf(0.025, len(values) - 1) * scipy.stats.sem(values)
                digits = max(1, _DIGITS.get(name, 2))  # means of counts need one
                value, low, high = (format_number(v, digits) for v in (mean, mean - half, mean + half))
                cells[label, study] = f"{value} [{low}, {high}]"  # t.interval: NaN where all agree
    table = pd.Series(cells).unstack()
    labels, worlds = [label for label in SHOWN.values() if label in table.index], [w for w in WORLDS if w in table]
    return table.loc[labels, worlds].fillna("")


def draw_trials(trials: list[dict[str, Any]]) -> "Figure":
    """Draw every quantity of every trial: one panel a quantity, one row a world, one dot a seed."""
    from emonb.book import figures

    table = pd.DataFrame([{"world": t["study"], **t["quantities"]} for t in trials])
    return figures.draw_strips(table, "world", SHOWN)


def describe_trials(trials: list[dict[str, Any]], declared: Declarations) -> str:
    """Say how often the verdict agreed with the truth, and where it did not."""
    judged = [
        (t, c.title, t["claims"][c.id]["holds"] == c.truth[t["study"]])
        for t in trials
        for c in declared.of_study(t["study"])
        if t["study"] in c.truth and c.id in t["claims"]
    ]
    wrong = [f"{title.lower()} ({t['study']}, seed {t['seed']})" for t, title, right in judged if not right]
    text = f"Of {len(judged)} verdicts on claims whose truth is known, **{len(judged) - len(wrong)}** agree with it."
    return text + (f" These do not: {'; '.join(wrong)}." if wrong else "")


def summarise(trials: list[dict[str, Any]]) -> dict[str, float]:
    """Numbers for sentences, by name; worlds are called control, encoded, untrained and null.

    Returns
    -------
    dict
        ``WORLD.QUANTITY``: median over world seeds. ``WORLD.CLAIM``: the number of worlds in which the claim holds.
        ``WORLD.n``: the number of worlds.
    """
    table: dict[str, float] = {}
    for study in dict.fromkeys(t["study"] for t in trials):
        mine, world = [t for t in trials if t["study"] == study], study.removeprefix("control-")
        medians = pd.DataFrame([t["quantities"] for t in mine]).median()
        holds = pd.DataFrame([{name: c["holds"] == "yes" for name, c in t["claims"].items()} for t in mine]).sum()
        table |= {f"{world}.{name}": float(value) for name, value in {**medians, **holds, "n": len(mine)}.items()}
    return table


def say(text: str, numbers: dict[str, float], when: str | None = None) -> Text | None:
    """Fill a sentence from :func:`summarise`, where its condition holds."""
    filled = prose.fill(text, numbers, when)
    return None if filled is None else Text(filled)
