"""How often the rule says yes, no and undecided of simulated studies whose answer is known: one resumable command.

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
from emonb.analysis.estimates import Estimate
from emonb.book.claims import Declarations
from emonb.book.ledgers import declarations
from emonb.book.verdict import Evidence
from emonb.world import lots, simulation
from emonb.world.simulation import Cell

STRENGTHS, CORRELATIONS, DRAWS = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 0.9), (1, 4, 28)
Simulate = Callable[[Cell, np.random.SeedSequence], dict[str, Estimate]]
DESIGN: dict[str, tuple[Simulate, list[Cell]]] = {
    "masks": (simulation.test_masks, [Cell(s, r, m) for m in DRAWS for r in CORRELATIONS for s in STRENGTHS]),
    "structure": (
        simulation.test_structure,
        [Cell(s, r) for r in CORRELATIONS for s in STRENGTHS if r == 0.9 or s in (0, 0.5)]
        + [Cell(s, r) for r in CORRELATIONS[:2] for s in STRENGTHS if s not in (0, 0.5)],
    ),
    "carriers": (
        simulation.test_carriers,
        [Cell(s, r) for r in (0.0, 0.9) for s in (0.0, 0.5, 1.0) if s or not r]
        + [Cell(s, r) for r in CORRELATIONS for s in STRENGTHS if s and (r == 0.5 or s in (0.25, 0.75))],
    ),
    "unselected": (lots.test_lots, [Cell(0.0, 0.0, m) for m in DRAWS]),
}
"""What is simulated: the test, and the cells of the design it is made in; a cell's seed hangs on its place in the list."""
N, SEED = 200, 1


def simulate(n: int = N, seed: int = SEED, log: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """Simulate every cell of the design; what is there is kept.

    Parameters
    ----------
    n, seed : int
        Data sets a cell, each from a child of the seed of its own.
    log : callable
        Receives a line a cell.

    Returns
    -------
    list of dict
        A row a cell and claim: ``claim``, ``silent`` (of an attribute that no neuron carries), ``lot`` (neurons by lot),
        ``strength``, ``correlation``, ``draws``, how often ``yes``, ``no``, ``undecided``, ``not tested``, ``n``, and the
        mean ``effect``.
    """
    declared, rows = declarations(), []
    bounds = {claim.id: (claim.smallest.effect, claim.side) for claim in declared.claims}
    for name, (test, cells) in DESIGN.items():
        code = [artifacts.code_digest(module) for module in (test.__module__, "emonb.book.verdict")]
        for number, cell in enumerate(cells, 1):
            key = artifacts.make_key(test=name, cell=list(cell), n=n, seed=seed, code=code, bounds=bounds)
            path = paths.runs_dir() / "instrument" / f"{name}-{key}.json"
            if not path.is_file():
                children = np.random.SeedSequence([seed, sorted(DESIGN).index(name), number]).spawn(n)
                found = [test(cell, child) for child in children]
                artifacts.write_text(json.dumps(_count(found, cell, declared)), path)
                log(f"{name} {number}/{len(cells)}: {cell}")
            rows += json.loads(path.read_text(encoding="utf-8"))
    return rows


def write_rates(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write the rows as JSON, one a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    return artifacts.write_text(f'{{"cells": [\n{lines}\n]}}\n', path)


def _count(found: list[dict[str, Estimate]], cell: Cell, declared: Declarations) -> list[dict[str, Any]]:
    rows = []
    for name in found[0]:
        claim = declared.claim(name.partition(":")[0])
        evidence = [Evidence(**one[name].evidence()) for one in found]
        verdicts = Counter(claim.judge(one) for one in evidence)
        counts = {verdict: verdicts[verdict] for verdict in ("yes", "no", "undecided", "not tested")}
        effect = float(np.nanmean([one[name].value for one in found]))
        planted = {"claim": claim.id, "silent": name.endswith(":silent"), "lot": name.endswith(":lot"), **cell._asdict()}
        rows.append({**planted, **counts, "n": len(found), "effect": round(effect, 4)})
    return rows
