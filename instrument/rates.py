"""How often each claim's own test is right in simulated studies whose answer is known: one resumable command.

Every cell of the design is a file in the run folder, under a key of what is planted, how many data sets, the code and the
bounds of the claims; what is there is not simulated again.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emonb import artifacts, paths
from emonb.analysis.statistics import Estimate
from emonb.book.claims import Claim, Declarations, Evidence
from emonb.book.instrument import JUDGED
from emonb.book.ledger import declarations
from instrument import simulation
from instrument.simulation import Cell

STRENGTHS, CORRELATIONS, DRAWS = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 0.9), (1, 4, 28)


Simulate = Callable[[Cell, np.random.SeedSequence], dict[str, Estimate]]


DESIGN: dict[str, tuple[Simulate, list[Cell]]] = {
    "masks": (simulation.simulate_masks, [Cell(s, r, m) for m in DRAWS for r in CORRELATIONS for s in STRENGTHS]),
    "structure": (
        simulation.simulate_structure,
        [Cell(s, r) for r in CORRELATIONS for s in STRENGTHS if r == 0.9 or s in (0, 0.5)]
        + [Cell(s, r) for r in CORRELATIONS[:2] for s in STRENGTHS if s not in (0, 0.5)],
    ),
    "carriers": (
        simulation.simulate_carriers,
        [Cell(s, r) for r in (0.0, 0.9) for s in (0.0, 0.5, 1.0) if s or not r]
        + [Cell(s, r) for r in CORRELATIONS for s in STRENGTHS if s and (r == 0.5 or s in (0.25, 0.75))],
    ),
    "unselected": (simulation.simulate_lots, [Cell(0.0, 0.0, m) for m in DRAWS]),
}
"""What is simulated: the test, and the cells of the design it is made in; a cell's seed hangs on its place in the list."""


N, SEED = 200, 1


MIDDLE = Cell(0.0, 0.5)
"""What the cells are like, but for their strength, in which an effect is brought to its claim's bound."""


def simulate(n: int = N, seed: int = SEED, log: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """Simulate every cell of the design and, for each claim, one whose effect is as large as its bound.

    What is there is kept.

    Parameters
    ----------
    n, seed : int
        Data sets a cell, each from a child of the seed of its own.
    log : callable
        Receives a line a cell.

    Returns
    -------
    list of dict
        A row a cell and claim: ``claim``, ``kind`` (what its test appended to the claim's name;
        ``bound`` where the effect is the smallest of interest), ``strength``, ``correlation``,
        ``draws``, how often each verdict, ``n``, and the mean ``effect``.
    """
    rows: list[dict[str, Any]] = []
    tests: dict[str, str] = {}
    for name, (_, cells) in DESIGN.items():
        for number, cell in enumerate(cells, 1):
            found = _simulate_cell(name, number, cell, n, seed, log)
            tests |= {row["claim"]: name for row in found if not row["kind"]}
            rows += found
    at_bound = []
    for number, claim in enumerate(declarations().claims, 1001):
        if claim.is_count:
            continue
        if (strength := find_strength(rows, claim)) is None:
            log(f"{claim.id}: no strength of the design brings its effect to its bound")
            continue
        found = _simulate_cell(tests[claim.id], number, MIDDLE._replace(strength=strength), n, seed, log)
        at_bound += [row | {"kind": "bound"} for row in found if row["claim"] == claim.id and not row["kind"]]
    return rows + at_bound


def find_strength(rows: list[dict[str, Any]], claim: Claim) -> float | None:
    """Strength at which the mean effect is as large as the claim's smallest effect of interest.

    Between the cells of the design it is interpolated; None where no cell's effect is as large.
    """
    mine = [row for row in rows if row["claim"] == claim.id and not row["kind"]]
    mine = [row for row in mine if (row["correlation"], row["draws"]) == MIDDLE[1:3]]
    mine.sort(key=lambda row: row["strength"])
    sign = 1 if claim.side == "greater" else -1
    effects = np.maximum.accumulate([sign * row["effect"] for row in mine] or [-np.inf])
    if not effects[0] < claim.smallest.effect <= effects[-1]:
        return None
    return round(float(np.interp(claim.smallest.effect, effects, [row["strength"] for row in mine])), 3)


def _simulate_cell(
    name: str, number: int, cell: Cell, n: int, seed: int, log: Callable[[str], None]
) -> list[dict[str, Any]]:
    test, declared = DESIGN[name][0], declarations()
    bounds = {claim.id: (claim.smallest.effect, claim.side) for claim in declared.claims}
    code = [artifacts.code_digest(module) for module in (test.__module__, "emonb.book.claims")]
    given = {"test": name, "number": number, "cell": list(cell), "n": n, "seed": seed}
    key = artifacts.make_key(**given, code=code, bounds=bounds)
    path = paths.runs_dir() / "instrument" / f"{name}-{key}.json"
    if not path.is_file():
        children = np.random.SeedSequence([seed, sorted(DESIGN).index(name), number]).spawn(n)
        found = [test(cell, child) for child in children]
        artifacts.write_text(json.dumps(_count(found, cell, declared)), path)
        log(f"{name} {number}: {cell}")
    return list(json.loads(path.read_text(encoding="utf-8")))


def write_rates(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write the rows as JSON, one a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    return artifacts.write_text(f'{{"cells": [\n{lines}\n]}}\n', path)


def _count(found: list[dict[str, Estimate]], cell: Cell, declared: Declarations) -> list[dict[str, Any]]:
    """Count verdicts; what a test gives beside claims' evidence is not judged."""
    rows, known = [], {claim.id for claim in declared.claims}
    for name in found[0]:
        claim, _, kind = name.partition(":")
        if claim not in known:
            continue
        evidence = [Evidence(**one[name].evidence()) for one in found]
        verdicts: Counter[str] = Counter(declared.claim(claim).apply_rule(one) for one in evidence)
        counts = {verdict: verdicts[verdict] for verdict in (*JUDGED, "not tested")}
        effect = float(np.nanmean([one[name].value for one in found]))
        planted = {"claim": claim, "kind": kind, **cell._asdict()}
        rows.append({**planted, **counts, "n": len(found), "effect": round(effect, 4)})
    return rows
