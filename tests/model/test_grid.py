"""Training ends in the same bits on every processor; a grid's rounding and AdamW against PyTorch's own."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from emonb.model.grid import GRID, draw_weights, snap, step_adamw
from emonb.paths import data_dir

SCRIPT = data_dir().parent / "benchmarks" / "same_bits.py"


def test_a_small_world_is_the_same_bits_as_an_old_processor_computes_it() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--small", "--furthest"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    words = {row.split("|")[1].strip(): row.split("|")[-2].strip() for row in done.stdout.splitlines()}
    probe = words.pop("what any product of matrices gives")
    if torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        assert probe == "different"  # else the two ways of computing were one
    made = {name for name, word in words.items() if word == "the same bits"}
    network = {"prompts", "activations"}
    assert made == {"backbone", "masks", "lesions"} | network | {f"untrained/{n}" for n in network}


def test_snapping_is_the_nearest_multiple_and_float32_holds_it() -> None:
    values = torch.from_numpy(np.random.default_rng(0).uniform(-64, 64, 10_000))
    snapped = snap(values)
    assert float((snapped - values).abs().max()) <= GRID / 2
    assert torch.equal(snapped / GRID, (snapped / GRID).round())
    assert torch.equal(snapped.float().double(), snapped) and torch.equal(snap(snapped), snapped)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_steps_as_pytorch_does(decay: float) -> None:
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(3, 5)))
    theirs = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.AdamW([theirs], lr=0.03, betas=(0.9, 0.98), weight_decay=decay)
    ours, mean, square = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for t in range(1, 6):
        gradient = torch.from_numpy(rng.normal(size=(3, 5)))
        theirs.grad = gradient.clone()
        optimiser.step()
        ours, mean, square = step_adamw(ours, mean, square, gradient, t, 0.03, decay, (0.9, 0.98))
    torch.testing.assert_close(ours, theirs.detach(), atol=1e-14, rtol=1e-13)


def test_drawn_weights_are_normal_repeatable_and_on_the_grid() -> None:
    def draw(seed: int) -> torch.nn.Module:
        model = torch.nn.Sequential(torch.nn.Linear(100, 200), torch.nn.LayerNorm(200)).double()
        torch.nn.init.zeros_(model[0].bias)
        draw_weights(model, 0.1, seed)
        return model

    first, again, other = (draw(seed)[0].weight.detach() for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(snap(first), first)
    assert abs(float(first.std()) - 0.1) < 0.003 and abs(float(first.mean())) < 0.003
    assert float(draw(1)[0].bias.detach().abs().max()) == 0 and float(draw(1)[1].weight.detach().min()) == 1
