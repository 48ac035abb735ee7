"""Write the table of all results (`benchmarks/results.md`), which the book's re-run page shows."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
rows = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob("*.json"))]
places = list(dict.fromkeys(r["machine"] if r.get("device", "cpu") == "cpu" else r["device"] for r in rows))
lines = ["| row | ours | against | ratio (range) | to reach | of the matrix rate | peak memory | where |", "|" + "---|" * 8]
for r in rows:
    ratio = f"**{r['ratio']:.1f}×** ({r['ratio_range'][0]:.1f}–{r['ratio_range'][1]:.1f})" if r.get("ratio") else "–"
    sampled = ", on a sample" if r.get("peer_sampled") else ""
    seconds = f"{r['ours_seconds']:.2f} s" if r["unit"] in ("call", "edition") else (
        f"{r['ours_seconds']:.3g} s, {r['ours_per_second']:,.0f} {r['unit']}s/s" if r["ours_per_second"] >= 10
        else f"{r['ours_seconds']:.3g} s, {r['ours_per_second']:.2g} {r['unit']}s/s")  # fmt: skip
    where = places.index(r["machine"] if r.get("device", "cpu") == "cpu" else r["device"]) + 1
    share = f"{r['utilisation']:.0%}" if "utilisation" in r else "–"
    against = "–" if r["against"] == "nothing" else r["against"] + sampled
    lines.append(
        f"| `{r['row']}` | {seconds} | {against} | {ratio} | {r['reach']} | {share} | {r['peak_mb']:,.0f} MB | {where} |"
    )
lines += ["", "Measured on: " + "; ".join(f"({k}) {place}" for k, place in enumerate(places, 1)) + "."]
(HERE / "results.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
