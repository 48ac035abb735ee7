"""Prompt tuning of all emotions and seeds of a study at once, each prompt exactly as if it were trained alone.

Prompts are rows of one parameter [n_prompts, prompt_length, d_model]. In every step each unfinished prompt takes its next
batch; all examples go through the model in length-bucketed micro-batches, each row with its own prompt. A prompt keeps
its own data order, optimiser state, schedule, best epoch and step count, so company changes nothing but rounding.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.data.goemotions import Task, draw_order
from emonb.model.backbone import Backbone
from emonb.model.compute import Budget, pad, repeatable, run_halving, split_by_length
from emonb.settings import Tuning

Key = tuple[str, int]  # emotion, seed


class _State:
    """All that changes during tuning; saved and loaded as one safetensors file."""

    def __init__(self, start: torch.Tensor, n: int, epochs: int) -> None:
        device = start.device
        self.prompts = start.expand(n, -1, -1).clone()
        self.mean, self.square = torch.zeros_like(self.prompts), torch.zeros_like(self.prompts)
        self.best = self.prompts.clone()
        self.steps = torch.zeros(n, dtype=torch.int64, device=device)
        self.best_accuracy = torch.full((n,), -1.0, device=device)
        self.dev = torch.full((n, epochs), float("nan"), device=device)
        self.loss = torch.zeros((n, epochs), device=device)

    def save(self, path: Path) -> None:
        with replacing(path) as part:
            save_file({name: value.cpu().contiguous() for name, value in vars(self).items()}, part)

    def load(self, path: Path) -> None:
        for name, value in load_file(path).items():
            setattr(self, name, value.to(self.prompts.device))


@repeatable()
def tune_prompts(
    backbone: Backbone,
    texts: Sequence[str],
    train: dict[Key, Task],
    dev: dict[Key, Task],
    length: int,
    tuning: Tuning,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Tune one prompt for every task (Li et al., prompt tuning; Lester et al. 2021).

    Parameters
    ----------
    backbone : Backbone
        Frozen; dropout is off.
    texts : sequence of str
        Comments; tasks point to them by row.
    train, dev : dict of (emotion, seed) to Task
        The same keys in both.
    length : int
        Soft-prompt vectors.
    tuning : Tuning
    checkpoint : Path, optional
        File to save progress to and to resume from; removed by the caller when the result is stored.
    progress : bool

    Returns
    -------
    Dataset
        ``prompt`` (seed, emotion, position, dimension), best epoch by dev accuracy; ``accuracy`` (seed, emotion) of that
        epoch; ``dev_accuracy`` and ``train_loss`` (seed, emotion, epoch); ``examples`` (seed, emotion) per epoch.
    """
    keys = list(train)
    tokens = _encode(backbone, texts, [*train.values(), *dev.values()], tuning.max_length)
    state = _State(backbone.initial_prompt(length), len(keys), tuning.epochs)
    if checkpoint is not None and checkpoint.is_file():
        state.load(checkpoint)
    per_epoch = np.array([-(-len(train[key].rows) // tuning.batch) for key in keys])
    total = per_epoch * tuning.epochs
    orders: dict[tuple[int, int], np.ndarray] = {}
    budget = Budget(tuning.tokens_per_batch)
    done = int(sum(min(int(s), t) for s, t in zip(state.steps.tolist(), total, strict=True))) * tuning.batch
    with tqdm(
        total=int(total.sum()) * tuning.batch, initial=done, unit="example", desc="tuning", disable=not progress
    ) as bar:
        while True:
            steps = state.steps.cpu().numpy().copy()  # the tensor is advanced below
            active = np.flatnonzero(steps < total)
            if not len(active):
                break
            rows, labels, ended = [], [], []
            for p in active.tolist():
                epoch, batch = divmod(int(steps[p]), int(per_epoch[p]))
                if (p, epoch) not in orders:
                    orders = {k: v for k, v in orders.items() if k[0] != p}
                    orders[p, epoch] = draw_order(train[keys[p]], *keys[p], epoch)
                chosen = orders[p, epoch][batch * tuning.batch : (batch + 1) * tuning.batch]
                rows.append(train[keys[p]].rows[chosen])
                labels.append(train[keys[p]].labels[chosen])
                if batch == per_epoch[p] - 1:
                    ended.append(p)
            sizes = np.array([len(r) for r in rows])
            gradient, loss = _gradient(backbone, state.prompts, tokens, rows, labels, sizes, active, budget)
            _adamw(state, gradient, active, total, tuning)
            state.loss[active, steps[active] // per_epoch[active]] += loss / torch.from_numpy(per_epoch[active]).to(loss)
            bar.update(len(active) * tuning.batch)
            if ended:
                accuracy = evaluate(backbone, state.prompts, tokens, [dev[keys[p]] for p in ended], ended, tuning)
                _keep_best(state, np.array(ended), steps[ended] // per_epoch[ended], accuracy)
                bar.set_postfix_str(f"{keys[ended[-1]][0]} {accuracy[-1]:.2f}")
            if checkpoint is not None and int(steps[active].max()) % tuning.checkpoint_every == 0:
                state.save(checkpoint)
    return _label(state, keys, train)


def evaluate(
    backbone: Backbone,
    prompts: torch.Tensor,
    tokens: dict[int, np.ndarray],
    tasks: list[Task],
    owners: list[int],
    tuning: Tuning,
) -> np.ndarray:
    """Accuracy of prompts (rows ``owners``) on one task each, shape (n_tasks,)."""
    rows = np.concatenate([task.rows for task in tasks])
    which = np.concatenate([np.full(len(task.rows), k) for k, task in enumerate(tasks)])
    labels = np.concatenate([task.labels for task in tasks])
    correct = np.zeros(len(rows), bool)
    lengths = np.array([len(tokens[r]) for r in rows])
    with torch.no_grad():
        for group in split_by_length(lengths, 1 + prompts.shape[1], 2 * tuning.tokens_per_batch):
            batch = pad([tokens[r] for r in rows[group]], backbone.tokenizer.pad_id, backbone.device)
            logits, _ = backbone.forward(prompts[np.array(owners)[which[group]]], batch)
            correct[group] = (logits[:, 1] > logits[:, 0]).cpu().numpy() == labels[group]
    return np.array([correct[which == k].mean() for k in range(len(tasks))])


def _encode(backbone: Backbone, texts: Sequence[str], tasks: list[Task], max_length: int) -> dict[int, np.ndarray]:
    """Token ids of the comments the tasks use, each encoded once."""
    used = np.unique(np.concatenate([task.rows for task in tasks]))
    return dict(zip(used.tolist(), backbone.tokenizer.encode([texts[r] for r in used], max_length), strict=True))


def _gradient(
    backbone: Backbone,
    prompts: torch.Tensor,
    tokens: dict[int, np.ndarray],
    rows: list[np.ndarray],
    labels: list[np.ndarray],
    sizes: np.ndarray,
    active: np.ndarray,
    budget: Budget,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient [n_active, length, d] of each prompt's own mean cross-entropy, and that loss [n_active]."""
    flat_rows, flat_labels = np.concatenate(rows), np.concatenate(labels)
    slot = np.repeat(np.arange(len(active)), sizes)  # position of a row's prompt among the active ones
    weight = torch.from_numpy(1.0 / np.repeat(sizes, sizes)).to(prompts)
    mine = prompts[torch.from_numpy(active).to(prompts.device)].detach().requires_grad_()
    loss = torch.zeros(len(active), device=prompts.device)
    lengths = np.array([len(tokens[r]) for r in flat_rows])

    def step(group: np.ndarray) -> None:
        batch = pad([tokens[r] for r in flat_rows[group]], backbone.tokenizer.pad_id, backbone.device)
        where = torch.from_numpy(slot[group]).to(prompts.device)
        logits, _ = backbone.forward(mine[where], batch)
        target = torch.from_numpy(flat_labels[group].astype(np.int64)).to(prompts.device)
        each = F.cross_entropy(logits, target, reduction="none") * weight[torch.from_numpy(group).to(prompts.device)]
        each.sum().backward()
        loss.index_add_(0, where, each.detach().float())

    extra = 1 + prompts.shape[1]
    for group in split_by_length(lengths, extra, budget.positions):
        run_halving(group, step, lambda n: budget.shrink(n, extra + int(lengths.max())))
    assert mine.grad is not None
    return mine.grad, loss


def _adamw(state: _State, gradient: torch.Tensor, active: np.ndarray, total: np.ndarray, tuning: Tuning) -> None:
    """One AdamW step (Loshchilov & Hutter 2019; as torch.optim.AdamW) of the active prompts, each with its own count."""
    where = torch.from_numpy(active).to(gradient.device)
    t = (state.steps[where] + 1).to(gradient)[:, None, None]
    rate = torch.full_like(t, tuning.learning_rate)
    if tuning.schedule == "linear":
        rate = rate * (1 - (t - 1) / torch.from_numpy(total[active]).to(gradient)[:, None, None])
    state.mean[where] = mean = 0.9 * state.mean[where] + 0.1 * gradient
    state.square[where] = square = 0.999 * state.square[where] + 0.001 * gradient**2
    step = (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)).sqrt() + 1e-8)
    state.prompts[where] = state.prompts[where] * (1 - rate * tuning.weight_decay) - rate * step
    state.steps[where] += 1


def _keep_best(state: _State, ended: np.ndarray, epoch: np.ndarray, accuracy: np.ndarray) -> None:
    values = torch.from_numpy(accuracy).to(state.best_accuracy)
    where = torch.from_numpy(ended).to(values.device)
    state.dev[where, torch.from_numpy(epoch).to(values.device)] = values
    better = where[values > state.best_accuracy[where]]
    state.best[better] = state.prompts[better]
    state.best_accuracy[where] = torch.maximum(state.best_accuracy[where], values)


def _label(state: _State, keys: list[Key], train: dict[Key, Task]) -> xr.Dataset:
    emotions, seeds = list(dict.fromkeys(k[0] for k in keys)), list(dict.fromkeys(k[1] for k in keys))
    at = np.array([[keys.index((e, s)) for e in emotions] for s in seeds])  # [seed, emotion] -> prompt
    arrays = {
        "prompt": (("seed", "emotion", "position", "dimension"), state.best),
        "accuracy": (("seed", "emotion"), state.best_accuracy),
        "dev_accuracy": (("seed", "emotion", "epoch"), state.dev),
        "train_loss": (("seed", "emotion", "epoch"), state.loss),
    }
    labelled = xr.Dataset(
        {name: (dims, value.cpu().numpy()[at]) for name, (dims, value) in arrays.items()},
        coords={"seed": seeds, "emotion": emotions, "epoch": np.arange(1, state.dev.shape[1] + 1)},
    )
    sizes = np.array([[len(train[e, s].rows) for e in emotions] for s in seeds])
    labelled["examples"] = (("seed", "emotion"), sizes)
    return labelled
