"""Write the table of all results (`benchmarks/results.md`), which the book's re-run page shows: one column a place."""

import json
from pathlib import Path
from typing import Any

from common import RESULTS, place

OUT = RESULTS.parent / "results.md"


def describe(r: dict[str, Any]) -> str:
    """One cell: the ratio, how long ours took, its share of the matrix rate, its peak memory."""
    lines = []
    if r.get("ratio"):
        low, high = (_round(value) for value in r["ratio_range"])
        lines.append(f"**{_round(r['ratio'])}×** ({low}–{high})")
    took = f"{r['ours_seconds']:.3g} s"
    if r["unit"] not in ("call", "edition"):
        rate = f"{r['ours_per_second']:,.0f}" if r["ours_per_second"] >= 10 else f"{r['ours_per_second']:.2g}"
        took += f", {rate} {r['unit']}s/s"
    share = [f"{r['utilisation']:.0%} of the rate"] if "utilisation" in r else []
    return "<br>".join([*lines, took, ", ".join([*share, f"{r['peak_mb']:,.0f} MB"])])


def make_table(paths: list[Path]) -> str:
    """Lay out results, one row a measurement and one column a place."""
    results = [json.loads(path.read_text()) for path in paths]
    places = sorted({place(r) for r in results})
    cells = {(r["row"], place(r)): describe(r) for r in results}
    about = {r["row"]: r for r in results}
    titles = ["row", "against; to reach", *(f"({k})" for k in range(1, len(places) + 1))]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row, r in sorted(about.items()):
        peer = [] if r["against"] == "nothing" else [r["against"] + (", on a sample" if r.get("peer_sampled") else "")]
        reach = r["reach"].replace(">=", "≥").replace("<=", "≤")
        first = (row.replace("_", " "), "<br>".join([*peer, reach]))
        lines.append(f"| {' | '.join([*first, *(cells.get((row, where), '–') for where in places)])} |")
    text = "Measured on: " + "; ".join(f"({k}) {name}" for k, name in enumerate(places, 1)) + "."
    if all(r.get("device", "cpu") == "cpu" for r in results):
        text += " No GPU has been measured yet."
    lines += ["", text]
    return "\n".join(lines) + "\n"


def _round(ratio: float) -> str:
    """Three digits: enough to tell a ratio just below its reach from one that is there."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


if __name__ == "__main__":
    table = make_table(sorted(RESULTS.glob("*/*.json")))
    OUT.write_text(table)
    print(table, end="")
