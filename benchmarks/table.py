"""Write the table of all results (`benchmarks/results.md`), which the book's re-run page shows."""

import json
from pathlib import Path
from typing import Any

from common import RESULTS, place

OUT = RESULTS.parent / "results.md"


def describe(r: dict[str, Any], first: bool, where: int) -> str:
    """One line of the table; what rows of several places share stands in the first of them only."""
    ratio = "–"
    if r.get("ratio"):
        low, high = (_round(value) for value in r["ratio_range"])
        ratio = f"**{_round(r['ratio'])}×** ({low}–{high})"
    if r["unit"] in ("call", "edition"):
        ours = f"{r['ours_seconds']:.2f} s"
    else:
        rate = f"{r['ours_per_second']:,.0f}" if r["ours_per_second"] >= 10 else f"{r['ours_per_second']:.2g}"
        ours = f"{r['ours_seconds']:.3g} s, {rate} {r['unit']}s/s"
    against = "–" if r["against"] == "nothing" else r["against"] + (", on a sample" if r.get("peer_sampled") else "")
    share = f"{r['utilisation']:.0%}" if "utilisation" in r else "–"
    shared = (f"`{r['row']}`", against, r["reach"]) if first else ("", "", "")
    return f"| {' | '.join((*shared, str(where), ours, ratio, share))} | {r['peak_mb']:,.0f} MB |"


def _round(ratio: float) -> str:
    """Three digits: enough to tell a ratio just below its reach from one that is there."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def make_table(paths: list[Path]) -> str:
    """Lay out results, one row a measurement and place."""
    rows = [json.loads(path.read_text()) for path in paths]
    places = sorted({place(r) for r in rows})
    rows.sort(key=lambda r: (r["row"], place(r)))
    lines = [
        "| row | against | to reach | where | ours | ratio (range) | of the matrix rate | peak memory |",
        "|" + "---|" * 8,
    ]
    last = None
    for r in rows:
        lines.append(describe(r, r["row"] != last, places.index(place(r)) + 1))
        last = r["row"]
    lines += ["", "Measured on: " + "; ".join(f"({k}) {name}" for k, name in enumerate(places, 1)) + "."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    table = make_table(sorted(RESULTS.glob("*/*.json")))
    OUT.write_text(table)
    print(table, end="")
