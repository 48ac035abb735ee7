"""Lesion sweep, RoBERTa-base shape, against the released evaluator's way: model reloaded per mask, padded, all logits."""

import atexit
import shutil
import tempfile

import numpy as np
import torch
import xarray as xr
from common import compare
from shape import (
    BUDGET,
    LENGTH,
    Released,
    arguments,
    count_flops,
    find_bound,
    make_backbone,
    make_comments,
    make_model,
    name_device,
    synchronise,
)
from transformers import RobertaForMaskedLM

from emonb.data.comments import Task
from emonb.model.batches import Budget, Rows
from emonb.model.silencing import Sweep

given = arguments()
gpu = given.device.startswith("cuda")
N_MASKS, N_PROMPTS, PER_PROMPT = (8, 108, 32) if gpu else (2, 2, 24)
texts = make_comments(512)
backbone = make_backbone(given.device, given.dtype)
rng = np.random.default_rng(0)
emotions = [f"e{k}" for k in range(N_PROMPTS)]
tasks = {(e, 1): Task(rng.integers(0, 512, PER_PROMPT), np.arange(PER_PROMPT) % 2 == 0) for e in emotions}
start = backbone.initial_prompt(LENGTH).cpu().numpy()
prompts = xr.DataArray(
    start[None, None] + rng.normal(0, 0.02, (1, N_PROMPTS, LENGTH, 768)).astype("f4"),
    dims=("seed", "emotion", "position", "dimension"), coords={"seed": [1], "emotion": emotions},
)  # fmt: skip
masks = xr.DataArray(rng.random((N_MASKS, 12, 3072)) < 0.1, dims=("mask", "layer", "neuron"))
folder = tempfile.mkdtemp(prefix="emonb-bench-")
atexit.register(shutil.rmtree, folder)
make_model().save_pretrained(folder)
comments = backbone.tokenizer.encode(texts, 256)


def ours() -> None:
    rows = Rows(list(tasks.values()), texts, backbone.tokenizer, 256)
    sweep = Sweep(backbone, prompts, masks, rows, Budget(BUDGET[given.device.split(":")[0]]))
    sweep.run(None), sweep.run(slice(None))
    synchronise(given.device)


def peer() -> None:  # one mask and one prompt
    model = RobertaForMaskedLM.from_pretrained(folder)
    released = Released(model.to(given.device))
    keep = torch.from_numpy(~masks.values[0]).float().to(given.device)
    for k, layer in enumerate(model.roberta.encoder.layer):
        layer.intermediate.register_forward_hook(lambda module, inputs, output, k=k: output * keep[k])
    with torch.no_grad():
        released([comments[r] for r in tasks["e0", 1].rows]).argmax(1)
    synchronise(given.device)


row = f"lesions_{given.device.split(':')[0]}_{given.dtype}"
examples = (N_MASKS + 1) * N_PROMPTS * PER_PROMPT
lengths = np.concatenate([[len(comments[r]) for r in task.rows] for task in tasks.values()])
flops = sum(count_flops(lengths, kept) for kept in (1.0, *(~masks).mean(("layer", "neuron")).values))
compare(row, ours, peer, examples, PER_PROMPT, "example", ">= 8x on CPU, >= 30x on a GPU",
        "released evaluator's way (float32)", flops=flops, bound=find_bound(given.device, given.dtype),
        device=name_device(given.device))  # fmt: skip
