"""Prompt tuning, RoBERTa-base shape, prompt 100, GoEmotions lengths, against the released trainer's way."""

from functools import cache

import numpy as np
import torch
from common import compare
from shape import (
    BUDGET,
    LENGTH,
    Released,
    arguments,
    count_flops,
    find_bound,
    loss,
    make_backbone,
    make_comments,
    make_model,
    name_device,
    synchronise,
)

from emonb.data.comments import Task
from emonb.model.tuning import tune_tasks
from emonb.study import Tuning

given = arguments()
gpu = given.device.startswith("cuda")
N_PROMPTS, PER_PROMPT = (324, 16) if gpu else (12, 16)  # the study has 324 prompts; the more, the less padding
texts = make_comments(512)
backbone = make_backbone(given.device, given.dtype)
rng = np.random.default_rng(0)
tasks = {(f"e{k}", 1): Task(rng.integers(0, 512, PER_PROMPT), rng.random(PER_PROMPT) > 0.5) for k in range(N_PROMPTS)}
dev = {key: Task(task.rows[:1], task.labels[:1]) for key, task in tasks.items()}
tuning = Tuning(epochs=1, tokens_per_batch=BUDGET[given.device.split(":")[0]])
comments = backbone.tokenizer.encode(texts, 256)


@cache
def released() -> tuple[Released, torch.optim.Optimizer]:
    model = Released(make_model().to(given.device))
    return model, torch.optim.AdamW([model.prompt], lr=2e-3)


def ours() -> None:
    tune_tasks(backbone, texts, tasks, dev, LENGTH, tuning, progress=False)
    synchronise(given.device)


def peer() -> None:  # one step of one prompt: a batch of 16
    task = tasks["e0", 1]
    model, optimiser = released()
    loss(model([comments[r] for r in task.rows]), task.labels).backward()
    optimiser.step()
    optimiser.zero_grad()
    synchronise(given.device)


row = f"tuning_{given.device.split(':')[0]}_{given.dtype}"
lengths = np.concatenate([[len(comments[r]) for r in task.rows] for task in tasks.values()])
read = [len(comments[r]) for task in dev.values() for r in task.rows]
compare(row, ours, peer, N_PROMPTS * PER_PROMPT, PER_PROMPT, "example", ">= 10x on 2 cores, >= 30x on a GPU",
        "released trainer's way (float32)", flops=2 * count_flops(lengths) + count_flops(read),
        bound=find_bound(given.device, given.dtype), device=name_device(given.device))  # fmt: skip
