"""Worlds and seeds: the positive control and its companions, live, on many world seeds, judged by the published rule.

A trial executes the chapters that judge claims and no other, and every verdict is kept. What is true in a world is
measured apart, on other world seeds with more masks and seeds of prompts.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emonb import artifacts
from emonb.book.claims import Claim
from emonb.book.instrument import read_trials
from emonb.book.ledger import declarations, merge_records
from emonb.run import editions
from emonb.run.runs import Run
from emonb.study import load_study

WORLDS = (
    "control", "control-correlated", "control-deep", "control-valence", "control-knowing", "control-encoded",
    "control-untrained", "control-null",
)  # fmt: skip
JUDGING = ("structure", "attributes", "lesions")
"""Chapters that judge claims."""
SPARED: dict[str, Any] = {"lesions.comparisons": ["random_matched"], "inference.bijections": 0}
"""What a trial leaves out: masks that no claim compares with, and moved ones. A mask depends on its own labels only."""
MORE: dict[str, Any] = {
    "seeds": list(range(1, 25, 2)),
    "lesions.selection_seeds": list(range(1, 13, 2)),
    "lesions.draws": 12,
    "untrained_baseline": False,
}
"""What is given where a world's truth is measured: twice the seeds of a trial, six times its masks."""
KEPT = ("prompts.accuracy", "structure.correlation.rho", "truth.")
"""Quantities of a trial that are kept, by the beginning of their name: how well it learned, grades against the wiring."""


def run_trials(
    seeds: Sequence[int], worlds: Sequence[str] = WORLDS, log: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Run every world with every world seed; finished runs are not repeated.

    Returns
    -------
    list of dict
        ``study``, ``seed``, ``claims`` (verdict, effect with its interval and p; of a count, how many
        there truly are) and ``quantities`` of every run.
    """
    rows = []
    for seed in seeds:
        for world in worlds:
            record = _judge(world, {"world.seed": seed, **SPARED})
            rows.append({"study": world, "seed": seed, **_keep(record)})
            log(f"{world}, world seed {seed}: " + ", ".join(f"{k} {c['holds']}" for k, c in rows[-1]["claims"].items()))
    return rows


def write_trials(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write trials as JSON, a line a trial; those already there of other worlds and seeds are kept."""
    before = {(row["study"], row["seed"]): row for row in (read_trials(path) if path.is_file() else [])}
    both = before | {(row["study"], row["seed"]): row for row in rows}
    order = sorted(both, key=lambda name: (WORLDS.index(name[0]) if name[0] in WORLDS else len(WORLDS), name))
    lines = ",\n".join(json.dumps(both[name]) for name in order)
    return artifacts.write_text(f'{{"trials": [\n{lines}\n]}}\n', path)


def measure_truths(
    seeds: Sequence[int], worlds: Sequence[str] = WORLDS, log: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure every world's effects with many more masks and seeds than a trial has.

    Parameters
    ----------
    seeds : sequence of int
        World seeds; such as no trial has, so that no verdict is compared with its own estimate.
    worlds : sequence of str
    log : callable
        Receives a line a world.

    Returns
    -------
    dict
        ``worlds``: world -> claim -> ``effect``, the mean estimate over world seeds, its standard
        error ``se``, and ``n`` seeds; ``seeds`` and ``given``, how it was measured.
    """
    declared, measured = declarations(), {}
    for world in worlds:
        claims = [claim.id for claim in declared.claims if _is_measured(claim, world)]
        found: dict[str, list[float]] = {name: [] for name in claims}
        for seed in seeds if claims else []:
            record = _judge(world, {"world.seed": seed, **SPARED, **MORE})
            for name in claims:
                if (estimate := record["claims"].get(name, {}).get("estimate")) is not None:
                    found[name].append(estimate)
            log(f"{world}, world seed {seed}")
        measured[world] = {name: _average(values) for name, values in found.items() if len(values) > 1}
    return {"worlds": measured, "seeds": list(seeds), "given": MORE}


def _judge(world: str, given: dict[str, Any]) -> dict[str, Any]:
    """Execute the chapters that judge claims in a world with these settings: what they recorded."""
    editions.run_edition(world, given, JUDGING)
    run = Run(load_study(world, **given))
    return merge_records(editions.read_record(run, chapter) for chapter in JUDGING)


def _is_measured(claim: Claim, world: str) -> bool:
    known = claim.known_in(world)
    return known is not None and known.holds == "measured"


def _average(values: Sequence[float]) -> dict[str, float]:
    se = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return {"effect": round(float(np.mean(values)), 4), "se": round(se, 4), "n": len(values)}


def _keep(record: dict[str, Any]) -> dict[str, Any]:
    """What of a run's record is kept."""
    fields = ("holds", "estimate", "low", "high", "p", "of", "true_count")
    claims = {
        name: {"value" if field == "estimate" else field: entry[field] for field in fields if field in entry}
        for name, entry in record["claims"].items()
    }
    for name, mine in claims.items():  # how often the test errs is counted from what the rule says
        mine["holds"] = record["claims"][name].get("withheld", mine["holds"])
    kept = {k: v for k, v in record["quantities"].items() if v is not None and k.startswith(KEPT)}
    return {"claims": claims, "quantities": kept}
