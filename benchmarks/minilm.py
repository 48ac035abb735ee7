"""Tuning and lesions in the shape of the study `minilm`, beside plain loops around the library's model.

Tuning, the peer: as a prompt-tuning library does it, one prompt at a time: embeddings joined, the library's forward pass
on a batch padded to its longest comment, one optimiser. Lesions, the peer: one mask and one prompt at a time, with hooks
that multiply. Both peers run in float32, as such programs do. Random weights; one thread, as in the study.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from common import compare
from shape import Numbers, count_flops, find_bound
from transformers import BertConfig, BertModel

from emonb.data.comments import Task
from emonb.model.backbone import Backbone, WordsHead
from emonb.model.batches import Budget, Rows
from emonb.model.silencing import Sweep
from emonb.model.tuning import tune_tasks
from emonb.study import Tuning

LENGTH, LAYERS, WIDTH, LONGEST, BATCH, BUDGET = 8, 6, 384, 40, 4, 4_096
SHAPE = {"prompt": LENGTH, "layers": LAYERS, "width": WIDTH}
PROMPTS, EXAMPLES, MASKS, SHARE = 27, 48, 4, 1_000 / (LAYERS * 4 * WIDTH)


def make_encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=12,
                                intermediate_size=4 * WIDTH)).eval()  # fmt: skip


def make_comments(n: int) -> list[str]:
    """Comments of GoEmotions lengths, in this vocabulary of 30,522."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(rng.gamma(2.6, 6.2, n)), 2, LONGEST - 2).astype(int)
    return [" ".join(map(str, rng.integers(1_000, 30_000, k))) for k in lengths]


texts = make_comments(512)
head = WordsHead(F.normalize(torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(1)), dim=-1), 0.3)
backbone = Backbone(make_encoder().bfloat16(), Numbers(), (0, 1), 0, torch.device("cpu"), 512, head)
plain = make_encoder().requires_grad_(False)
comments = backbone.tokenizer.encode(texts, LONGEST)
rng = np.random.default_rng(0)
emotions = [f"e{k}" for k in range(PROMPTS)]
tasks = {(e, 1): Task(rng.integers(0, 512, EXAMPLES), np.arange(EXAMPLES) % 2 == 0) for e in emotions}
start = backbone.initial_prompt(LENGTH)


def forward(prompt: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Logits as a plain program has them: the library's forward pass on one padded batch."""
    ids = [comments[row] for row in rows]
    longest = max(map(len, ids))
    tokens = torch.from_numpy(np.stack([np.pad(i, (0, longest - len(i)), constant_values=Numbers.pad_id) for i in ids]))
    words = plain.get_input_embeddings()
    mask = words(torch.full((len(ids), 1), Numbers.mask_id))
    embeds = torch.cat([mask, prompt.expand(len(ids), -1, -1), words(tokens)], 1)
    attend = torch.cat([torch.ones(len(ids), 1 + LENGTH), (tokens != Numbers.pad_id).float()], 1)
    return head(plain(inputs_embeds=embeds, attention_mask=attend).last_hidden_state[:, 0])


def measure_tuning() -> None:
    dev = {key: Task(task.rows[:1], task.labels[:1]) for key, task in tasks.items()}
    tuning = Tuning(epochs=1, batch=BATCH, learning_rate=0.01, max_length=LONGEST, tokens_per_batch=BUDGET)
    prompt = torch.nn.Parameter(start.clone())
    optimiser, few = torch.optim.AdamW([prompt], lr=0.01), 12 * BATCH

    def ours() -> None:
        tune_tasks(backbone, texts, tasks, dev, LENGTH, tuning, progress=False)

    def peer() -> None:
        task = tasks["e0", 1]
        for k in range(0, few, BATCH):
            labels = torch.from_numpy(task.labels[k : k + BATCH].astype(np.int64))
            F.cross_entropy(forward(prompt, task.rows[k : k + BATCH]), labels).backward()
            optimiser.step()
            optimiser.zero_grad()

    lengths = np.concatenate([[len(comments[r]) for r in task.rows] for task in tasks.values()])
    compare("minilm_tuning", ours, peer, len(lengths), few, "example", ">= 5x on one core",
            "one prompt at a time, library's forward (float32)", flops=2 * count_flops(lengths, **SHAPE),
            bound=find_bound("cpu", "bfloat16", WIDTH))  # fmt: skip


def measure_lesions() -> None:
    masks = xr.DataArray(rng.random((MASKS, LAYERS, 4 * WIDTH)) < SHARE, dims=("mask", "layer", "neuron"))
    values = start.numpy()[None, None] + rng.normal(0, 0.02, (1, PROMPTS, LENGTH, WIDTH)).astype("f4")
    prompts = xr.DataArray(values, dims=("seed", "emotion", "position", "dimension"),
                           coords={"seed": [1], "emotion": emotions})  # fmt: skip
    few = 4  # prompts of the peer, under one mask
    keep = torch.from_numpy(~masks.values[0]).float()

    def ours() -> None:
        rows = Rows(list(tasks.values()), texts, backbone.tokenizer, LONGEST)
        sweep = Sweep(backbone, prompts, masks, rows, Budget(2 * BUDGET))
        sweep.run(None), sweep.run(slice(None))

    def peer() -> None:
        hooks = [
            layer.intermediate.register_forward_hook(lambda module, inputs, output, k=k: output * keep[k])
            for k, layer in enumerate(plain.encoder.layer)
        ]
        with torch.no_grad():
            for emotion, prompt in list(zip(emotions, torch.from_numpy(values[0]), strict=True))[:few]:
                forward(prompt, tasks[emotion, 1].rows).argmax(1)
        for hook in hooks:
            hook.remove()

    lengths = np.concatenate([[len(comments[r]) for r in task.rows] for task in tasks.values()])
    kept = (1.0, *(~masks).mean(("layer", "neuron")).values)
    compare("minilm_lesions", ours, peer, len(kept) * len(lengths), few * EXAMPLES, "example", ">= 3x on one core",
            "hooks, one mask and prompt at a time (float32)", flops=sum(count_flops(lengths, k, **SHAPE) for k in kept),
            bound=find_bound("cpu", "bfloat16", WIDTH))  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ("tuning", "lesions"):
        {"tuning": measure_tuning, "lesions": measure_lesions}[name]()
