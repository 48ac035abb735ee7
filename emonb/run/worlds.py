"""Worlds and seeds: the positive control and its companions, live, on many world seeds, judged by the published rule.

A trial executes the chapters that judge claims and no other; every verdict is kept, beside what is true in the world.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emonb import artifacts, paths
from emonb.book.ledgers import merge_records
from emonb.run import editions
from emonb.run.runs import Run
from emonb.study import load_study

WORLDS = (
    "control", "control-correlated", "control-deep", "control-valence", "control-knowing", "control-encoded",
    "control-untrained", "control-null",
)  # fmt: skip
JUDGING = ("structure", "attributes", "lesions")
"""Chapters that judge claims."""
SPARED: dict[str, Any] = {"lesions.comparisons": ["random_matched"]}
"""What a trial leaves out: masks that no claim compares with. A mask depends on its own labels only, so no verdict does."""
KEPT = ("prompts.accuracy", "structure.correlation.rho", "truth.")
"""Quantities of a trial that are kept, by the beginning of their name: how well it learned, grades against the wiring."""


def run_trials(
    seeds: Sequence[int], worlds: Sequence[str] = WORLDS, log: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Run every world with every world seed; finished runs are not repeated.

    Returns
    -------
    list of dict
        ``study``, ``seed``, ``claims`` (what is true, verdict, effect with its interval; of each attribute verdict and
        truth) and ``quantities`` of every run.
    """
    rows = []
    for seed in seeds:
        for world in worlds:
            given = {"world.seed": seed, **SPARED}
            editions.run_edition(world, given, JUDGING)
            run = Run(load_study(world, **given))
            record = merge_records(editions.read_record(run, chapter) for chapter in JUDGING)
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


def read_trials(path: Path | None = None) -> list[dict[str, Any]]:
    """Read the committed trials (``book/trials.json``); none where there are none yet."""
    path = path or paths.book_dir() / "trials.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["trials"]) if path.is_file() else []


def _keep(record: dict[str, Any]) -> dict[str, Any]:
    """What of a run's record is kept."""
    claims = {}
    for name, entry in record["claims"].items():
        claims[name] = {k: entry[k] for k in ("holds", "truth", "low", "high") if k in entry} | {
            "value": entry.get("estimate")
        }
        if "each" in entry:
            claims[name]["each"] = {a: [one["holds"], one.get("truth")] for a, one in entry["each"].items()}
    kept = {k: v for k, v in record["quantities"].items() if v is not None and k.startswith(KEPT)}
    return {"claims": claims, "quantities": kept}
