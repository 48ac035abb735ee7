"""Write the table of all results (`benchmarks/results.md`), which the book's re-run page shows."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
rows = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob("*.json"))]
lines = ["| row | ours | against | ratio (range) | to reach | peak memory | where |", "|---|---|---|---|---|---|---|"]
for r in rows:
    ratio = f"**{r['ratio']:.1f}×** ({r['ratio_range'][0]:.1f}–{r['ratio_range'][1]:.1f})" if r.get("ratio") else "–"
    sampled = ", on a sample" if r.get("peer_sampled") else ""
    seconds = f"{r['ours_seconds']:.2f} s" if r["unit"] in ("call", "edition") else (
        f"{r['ours_seconds']:.3g} s, {r['ours_per_second']:,.0f} {r['unit']}s/s" if r["ours_per_second"] >= 10
        else f"{r['ours_seconds']:.3g} s, {r['ours_per_second']:.2g} {r['unit']}s/s")  # fmt: skip
    where = r["machine"] if "device" not in r or r["device"] == "cpu" else r["device"]
    against = "–" if r["against"] == "nothing" else r["against"] + sampled
    lines.append(f"| `{r['row']}` | {seconds} | {against} | {ratio} | {r['reach']} | {r['peak_mb']:,.0f} MB | {where} |")
(HERE / "results.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
