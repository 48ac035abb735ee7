"""How cost grows with neurons, permutations, prompts and masks: measured times and the fitted exponent (expected: 1)."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from common import RESULTS, machine, timed
from matplotlib import pyplot as plt
from transformers import RobertaConfig, RobertaForMaskedLM

from emonb.analysis.statistics import mantel_test
from emonb.analysis.tau import tau_b
from emonb.book import figures
from emonb.data.comments import Task
from emonb.model.backbone import open_backbone
from emonb.model.batches import Budget, Rows
from emonb.model.silencing import Sweep
from emonb.model.tuning import tune_tasks
from emonb.study import BackboneConfig, Tuning
from emonb.world.network import SPECIAL, make_tokenizer

PICTURE = Path(__file__).resolve().parent.parent / "book" / "_static" / "scaling.png"
rng = np.random.default_rng(0)
words = tuple(f"w{k}" for k in range(200))
ids = {word: k for k, word in enumerate((*SPECIAL, *words, "positive", "negative"))}
with tempfile.TemporaryDirectory() as folder:
    config = RobertaConfig(vocab_size=len(ids), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                           intermediate_size=256, max_position_embeddings=64, type_vocab_size=1)  # fmt: skip
    RobertaForMaskedLM(config).save_pretrained(folder)
    make_tokenizer(ids).save_pretrained(folder)
    backbone = open_backbone(BackboneConfig(name=folder), 2, 256, 40, "cpu")
texts = [" ".join(rng.choice(words, 12)) for _ in range(400)]
i, j = np.triu_indices(27, 1)
scores = np.round(rng.random((14, 27)) * 30)
attributes = np.abs(scores[:, i] - scores[:, j])


def rdms(n: int) -> np.ndarray:
    values = rng.normal(size=(n, 27))
    return np.abs(values[:, i] - values[:, j])


def tasks(n: int) -> dict[tuple[str, int], Task]:
    return {(f"e{k}", 1): Task(rng.integers(0, 400, 64), np.arange(64) % 2 == 0) for k in range(n)}


def tune(n: int) -> object:
    these = tasks(n)
    return tune_tasks(backbone, texts, these, these, 4, Tuning(epochs=1, max_length=20), progress=False)


def sweep(n: int) -> object:
    these = tasks(16)
    values = rng.normal(0, 0.1, (1, 16, 4, 64)).astype("f4")
    coords = {"seed": [1], "emotion": [key[0] for key in these]}
    prompts = xr.DataArray(values, dims=("seed", "emotion", "position", "dimension"), coords=coords)
    masks = xr.DataArray(rng.random((n, 2, 256)) < 0.1, dims=("mask", "layer", "neuron"))
    rows = Rows(list(these.values()), texts, backbone.tokenizer, 20)
    lesioned = Sweep(backbone, prompts, masks, rows, Budget(16_384))
    return lesioned.run(None), lesioned.run(slice(None))


ROWS = {
    "neurons": ([2_304, 4_608, 9_216, 18_432, 36_864], lambda n, x: tau_b(x, attributes), rdms),
    "permutations": ([500, 1_000, 2_000, 4_000], lambda n, x: mantel_test(x, attributes, n, 0), lambda n: rdms(14)),
    "prompts": ([16, 32, 64, 128], lambda n, x: tune(n), lambda n: None),
    "masks": ([8, 16, 32, 64], lambda n, x: sweep(n), lambda n: None),
}


def draw(measured: dict[str, dict]) -> None:
    """Draw the measured times with their fitted exponents."""
    fig, ax = plt.subplots(figsize=(6.5, 4))
    colours = (figures.RANDOM, figures.SELECTIVE, figures.FAINT, figures.INTACT)
    for (name, row), marker, colour in zip(measured.items(), "os^D", colours, strict=True):
        ax.loglog(
            row["sizes"],
            row["seconds"],
            marker + "-",
            color=colour,
            label=f"{name}: exponent {row['exponent']:.2f} (expected 1)",
        )
    ax.set(xlabel="number", ylabel="seconds (median of 5)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8)
    fig.savefig(PICTURE, dpi=110, bbox_inches="tight")
    plt.close(fig)


if __name__ == "__main__":
    torch.set_num_threads(2)
    out = {}
    for name, (sizes, run, prepare) in ROWS.items():
        run(sizes[0], prepare(sizes[0]))  # compile and warm up
        times = []
        for n in sizes:
            x = prepare(n)
            times.append(float(np.median([timed(lambda n=n, x=x, run=run: run(n, x)) for _ in range(5)])))
        slope, _ = np.polyfit(np.log(sizes), np.log(times), 1)
        out[name] = {"sizes": sizes, "seconds": times, "exponent": float(slope), "expected": 1.0}
        print(f"{name}: exponent {slope:.2f}, {times[-1]:.2f} s at {sizes[-1]:,}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS.parent / "scaling.json").write_text(json.dumps({"machine": machine(), **out}, indent=1) + "\n")
    draw(out)
