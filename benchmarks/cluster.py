"""What the full live study costs, and how long it takes on so many cards: a model on paper, from the code and its units.

Counted: examples from the corpus and the study's own tasks, operations from `shape.count_flops`, units from the stages.
Measured: the share of a processor's product rate that the engine reaches (`results/*/*_cpu_float32.json`). Assumed, for
no card was measured: that a card's share lies between LOW and HIGH of its data sheet's rate, and that a job takes START
seconds before its first unit. Comments have the lengths of GoEmotions as `shape.make_comments` draws them.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from common import RESULTS
from shape import FFN, LAYERS, count_flops, make_comments

from emonb.book import figures
from emonb.data.comments import make_tasks
from emonb.paths import book_dir
from emonb.run.runs import open_run
from emonb.run.stages import stage_of

CARD, PEAK = "H100", 67e12  # float32 operations a second outside the tensor cores (data sheet, SXM), as the study computes
LOW, MIDDLE, HIGH, START = 0.25, 0.5, 0.75, 60.0
PRICE = (2.0, 4.0)  # US dollars an hour of such a card, rented: about what was asked for in 2025; assumed, not a quote
BACKBONES, CARDS = (1, 8), (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def count_study() -> dict[str, list[float]]:
    """Operations of every unit of `roberta-base`, by stage; the untrained network's prompts are the same once more."""
    run = open_run("roberta-base", progress=False)
    study, comments = run.study, run.load("comments")
    lengths = np.array([len(text.split()) + 2 for text in make_comments(5_000)])
    each = count_flops(lengths) / len(lengths)

    def examples(seeds: tuple[int, ...], split: str, most: int | None) -> list[int]:
        tasks = make_tasks(comments, study.emotions, seeds, split, study.tuning.negatives, most)
        return [sum(len(task.rows) for key, task in tasks.items() if key[1] == seed) for seed in seeds]

    train, dev = (examples(study.seeds, split, study.tuning.examples) for split in ("train", "dev"))
    prompts = [each * study.tuning.epochs * (2 * t + d) for t, d in zip(train, dev, strict=True)]
    rows = sum(examples(study.lesioned_seeds, study.lesions.split, study.lesions.examples))
    kept = 1 - np.mean(study.sizes) / (LAYERS * FFN)
    group = 8 * rows * count_flops(lengths, kept) / len(lengths)
    lesions = [group / 8] + [group] * (len(stage_of("lesions", study).units(study)) - 1)
    passes = {"tuning": study.tuning.epochs * (sum(train) + sum(dev)), "rows of a mask": rows}
    return {"prompts": prompts, "lesions": lesions, "passes": passes}


def makespan(units: dict[str, list[float]], cards: int, studies: int, rate: float) -> float:
    """Seconds of stage after stage, each in as many equal shares as cards; prompts also of an untrained network."""
    seconds = 0.0
    for stage, times in (("prompts", 2), ("lesions", 1)):
        work = [unit / rate for unit in units[stage]] * (studies * times)
        shares = [sum(work[k::cards]) for k in range(min(cards, len(work)))]
        seconds += max(shares) + START
    return seconds + START  # activations and masks between the two


def measured() -> dict[str, float]:
    """Share of the product rate the engine reached on processors, and operations a second, by row and machine."""
    rows = {}
    for path in sorted(RESULTS.glob("*/*_cpu_float32.json")):
        row = json.loads(path.read_text())
        if row["row"].startswith(("tuning", "lesions")):
            rows[f"{row['row']}, {row['machine']}"] = row["utilisation"] * row["bound_flops_per_second"]
    return rows


def main() -> None:
    units = count_study()
    total = {name: sum(units[name]) * times for name, times in (("prompts", 2), ("lesions", 1))}
    rows = [
        {"backbones": studies, "cards": n, "share": share, "hours": makespan(units, n, studies, share * PEAK) / 3_600}
        for studies in BACKBONES for share in (LOW, MIDDLE, HIGH) for n in CARDS
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    one = table[table.cards == 1].set_index(["backbones", "share"]).hours
    table["efficiency"] = [one[r.backbones, r.share] / r.cards / r.hours for r in table.itertuples()]
    middle = table[table.share == MIDDLE]
    pays = {int(s): int(middle[(middle.backbones == s) & (middle.efficiency >= 0.8)].cards.max()) for s in BACKBONES}
    cost = [
        {"cards": n, "share": share, "hours": hours, "dollars": [round(price * n * hours) for price in PRICE]}
        for n in (1, 8) for share in (LOW, MIDDLE, HIGH)
        for hours in table.loc[(table.backbones == 1) & (table.cards == n) & (table.share == share), "hours"]
    ]  # fmt: skip
    result = {
        "operations": total, "cost": cost, "passes": units["passes"],
        "units": {s: len(units[s]) for s in ("prompts", "lesions")},
        "assumed": {"card": CARD, "peak": PEAK, "share": [LOW, MIDDLE, HIGH], "start_seconds": START},
        "cpu_operations_per_second": measured(), "cards_at_80_percent": pays, "rows": table.to_dict("records"),
    }  # fmt: skip
    Path(__file__).with_name("cluster.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(table)
    print(json.dumps({k: result[k] for k in ("operations", "passes", "units", "cost", "cards_at_80_percent")}, indent=1))
    print(middle.to_string())
    slowest = min(result["cpu_operations_per_second"].values())
    print(f"two cores at the slowest measured rate: {sum(total.values()) / slowest / 86_400:.0f} days")


def draw(table: pd.DataFrame) -> None:
    """Hours and efficiency against cards; the band is what is not known of the card."""
    import matplotlib.pyplot as plt

    colours = (figures.SELECTIVE, figures.RANDOM)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for studies, colour in zip(BACKBONES, colours, strict=True):
        mine = table[table.backbones == studies].pivot(index="cards", columns="share", values="hours")
        label = f"{studies} network{'s' * (studies > 1)}"
        left.fill_between(mine.index, mine[HIGH], mine[LOW], color=colour, alpha=0.25, lw=0)
        left.plot(mine.index, mine[MIDDLE], color=colour, marker="o", ms=3, label=label)
        mine = table[(table.backbones == studies) & (table.share == MIDDLE)]
        right.plot(mine.cards, mine.efficiency, color=colour, marker="o", ms=3, label=label)
    left.set(xscale="log", yscale="log", xlabel="cards (assumed H100, float32)", ylabel="hours until all is done")
    right.set(
        xscale="log",
        ylim=(0, 1.05),
        xlabel="cards (assumed H100, float32)",
        ylabel="efficiency",
    )
    right.axhline(0.8, color="0.4", lw=1, ls="--")
    right.text(1, 0.82, "0.8", color="0.3", va="bottom")
    for axis in (left, right):
        axis.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        axis.minorticks_off()
    left.legend(frameon=False)
    figure.savefig(book_dir() / "_static" / "cluster.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
