"""Chapter "prompts": all emotions and seeds of a study tuned at once, each prompt exactly as if it were trained alone.

The prompts of a seed share batches with each other and with no others: a seed is the unit that a machine tunes.
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
from safetensors.torch import save_file
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.data.comments import Task, draw_order, make_tasks
from emonb.errors import StudyError
from emonb.model.backbone import Backbone, Known, Live
from emonb.model.batches import (
    Budget,
    Rows,
    describe,
    limit_threads,
    load_unfinished,
    repeatable,
    run_halving,
    split_by_length,
)
from emonb.model.grid import snap, step_adamw
from emonb.study import Tuning
from emonb.units import Arrays, InTurn, Make, Work

Key = tuple[str, int]  # emotion, seed


def tune_prompts(
    live: Live,
    emotions: Sequence[str],
    seeds: Sequence[int],
    prompt_length: int,
    work: Work | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Tune every prompt of a study on the train split, and choose its epoch on the dev split.

    One prompt for each of ``emotions`` and ``seeds``, of ``prompt_length`` vectors; ``work``: where seeds are tuned and
    kept, here and in memory if not given. The result is that of :func:`tune_tasks`; an attribute says how fast.
    """
    work, comments, tuning = work or InTurn(), live.comments, live.tuning

    def begin() -> Make:
        opened = live.open(prompt_length)
        texts, budget = list(comments["text"]), Budget(tuning.tokens_per_batch, work.halve)

        def tune(seed: int, checkpoint: Path | None) -> tuple[Arrays, dict[str, str]]:
            train, dev = (
                make_tasks(comments, emotions, [seed], split, tuning.negatives, tuning.examples)
                for split in ("train", "dev")
            )
            tuned = tune_tasks(opened, texts, train, dev, prompt_length, tuning, checkpoint, progress, budget)
            if not np.isfinite(tuned.train_loss).all():
                raise StudyError(
                    f"tuning ran away with seed {seed}: its loss is no finite number; lower tuning.learning_rate"
                )
            return {str(name): v.to_numpy() for name, v in tuned.items()}, describe(opened.device, budget, opened.dtype)

        return tune

    with limit_threads(live.threads):
        parts = work.each({f"seed-{seed}": seed for seed in seeds}, begin)
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    tuned = label_prompts(values, seeds, emotions)
    return tuned.assign_attrs(examples_per_second=tuning.epochs * int(tuned.examples.sum()) / work.seconds)


def label_prompts(values: Arrays, seeds: Sequence[int], emotions: Sequence[str]) -> xr.Dataset:
    """Label what tuning gives, arrays [seed, emotion, ...]; see :func:`tune_tasks`."""
    more = {"prompt": ("position", "dimension"), "dev_accuracy": ("epoch",), "train_loss": ("epoch",)}
    return xr.Dataset(
        {name: (("seed", "emotion", *more.get(name, ())), value) for name, value in values.items()},
        coords={
            "seed": list(seeds),
            "emotion": list(emotions),
            "epoch": np.arange(1, values["train_loss"].shape[-1] + 1),
        },
    )


@repeatable()
def tune_tasks(
    backbone: Backbone,
    texts: Sequence[str],
    train: dict[Key, Task],
    dev: dict[Key, Task],
    length: int,
    tuning: Tuning,
    checkpoint: Path | None = None,
    progress: bool = True,
    budget: Budget | None = None,
) -> xr.Dataset:
    """Tune one prompt for every task (Li et al., prompt tuning; Lester et al. 2021).

    ``backbone``: frozen, dropout is off; ``train``, ``dev``: tasks, which point to ``texts`` by row, of the same keys;
    ``length``: soft-prompt vectors; ``checkpoint``: file to save progress to and to resume from, removed by the caller
    when the result is stored; ``budget``: positions that go through the model at once, the tuning's if not given.

    Returns
    -------
    Dataset
        ``prompt`` (seed, emotion, position, dimension), best epoch by dev accuracy; ``accuracy`` (seed, emotion) of that
        epoch; ``dev_accuracy`` and ``train_loss`` (seed, emotion, epoch); ``examples`` (seed, emotion) per epoch.
    """
    keys = list(train)
    rows, dev_rows = (
        Rows([tasks[key] for key in keys], texts, backbone.tokenizer, tuning.max_length) for tasks in (train, dev)
    )
    start = torch.stack([backbone.initial_prompt(length, tuning.start, seed) for _, seed in keys])
    state = _State(start, tuning.epochs)
    budget = budget or Budget(tuning.tokens_per_batch)
    known = _know(backbone, rows, length, budget.positions)
    about = describe(backbone.device, dtype=backbone.dtype)
    state.update(load_unfinished(checkpoint, about) or {})
    per_epoch = np.array([-(-len(train[key].rows) // tuning.batch) for key in keys])
    total = per_epoch * tuning.epochs
    orders: dict[tuple[int, int], np.ndarray] = {}
    done = int(sum(min(int(s), t) for s, t in zip(state.steps.tolist(), total, strict=True))) * tuning.batch
    with tqdm(
        total=int(total.sum()) * tuning.batch, initial=done, unit="example", desc="tuning", disable=not progress
    ) as bar:
        while True:
            steps = state.steps.cpu().numpy().copy()  # the tensor is advanced below
            active = np.flatnonzero(steps < total)
            if not len(active):
                break
            chosen, ended = [], []
            for p in active.tolist():
                epoch, batch = divmod(int(steps[p]), int(per_epoch[p]))
                if (p, epoch) not in orders:
                    orders = {k: v for k, v in orders.items() if k[0] != p}
                    orders[p, epoch] = draw_order(train[keys[p]], *keys[p], epoch)
                chosen.append(rows.first[p] + orders[p, epoch][batch * tuning.batch : (batch + 1) * tuning.batch])
                if batch == per_epoch[p] - 1:
                    ended.append(p)
            gradient, loss = _gradient(backbone, state.prompts, rows, known, np.concatenate(chosen), active, budget)
            _adamw(state, gradient, active, total, tuning)
            state.loss[active, steps[active] // per_epoch[active]] += loss / torch.from_numpy(per_epoch[active]).to(loss)
            bar.update(len(active) * tuning.batch)
            if ended:
                accuracy = evaluate(backbone, state.prompts, dev_rows, ended, 2 * tuning.tokens_per_batch)
                _keep_best(state, np.array(ended), steps[ended] // per_epoch[ended], accuracy)
                bar.set_postfix_str(f"{keys[ended[-1]][0]} {accuracy[-1]:.2f}")
            if checkpoint is not None and int(steps[active].max()) % tuning.checkpoint_every == 0:
                state.save(checkpoint, about)
    return _label(state, keys, train)


def evaluate(backbone: Backbone, prompts: torch.Tensor, rows: Rows, which: Sequence[int], budget: int) -> np.ndarray:
    """Accuracy of some prompts on their own rows, shape (n_which,); ``prompts`` are all, [prompt, position, d]."""
    correct = np.zeros(len(rows), bool)
    with torch.no_grad():
        for group in rows.batches(np.flatnonzero(np.isin(rows.prompt, which)), 1 + prompts.shape[1], budget):
            logits, _ = backbone.forward(prompts[rows.prompt[group]], rows.tokens(group, backbone.device))
            correct[group] = (logits[:, 1] > logits[:, 0]).cpu().numpy() == rows.label[group]
    return np.array([correct[rows.prompt == p].mean() for p in which])


class _State:
    """All that changes during tuning; saved as one safetensors file."""

    def __init__(self, start: torch.Tensor, epochs: int) -> None:
        device, n = start.device, len(start)
        self.prompts = start.clone()
        self.mean, self.square = torch.zeros_like(self.prompts), torch.zeros_like(self.prompts)
        self.best = self.prompts.clone()
        self.steps = torch.zeros(n, dtype=torch.int64, device=device)
        self.best_accuracy = torch.full((n,), -1.0, device=device)
        self.dev = torch.full((n, epochs), float("nan"), device=device)
        self.loss = torch.zeros((n, epochs), dtype=start.dtype, device=device)

    def save(self, path: Path, about: dict[str, str]) -> None:
        with replacing(path) as part:
            save_file({name: value.cpu().contiguous() for name, value in vars(self).items()}, part, about)

    def update(self, stored: dict[str, torch.Tensor]) -> None:
        for name, value in stored.items():
            setattr(self, name, value.to(self.prompts.device))


def _know(backbone: Backbone, rows: Rows, length: int, budget: int) -> Known | None:
    """What every comment says whatever the prompt (:meth:`Backbone.know`), in the order of ``rows.comment``."""
    each = np.unique(rows.comment, return_index=True)[1]
    groups = [each[group] for group in split_by_length(rows.length[each], 1 + length, budget // 8)]
    with torch.no_grad():
        parts = [backbone.know(rows.tokens(group, backbone.device), length) for group in groups]
    if parts[0] is None:
        return None
    back = torch.from_numpy(np.argsort(rows.comment[np.concatenate(groups)])).to(backbone.device)
    return Known(*(torch.cat(some)[back] for some in zip(*parts, strict=True)))


def _gradient(
    backbone: Backbone,
    prompts: torch.Tensor,
    rows: Rows,
    known: Known | None,
    chosen: np.ndarray,
    active: np.ndarray,
    budget: Budget,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient [n_active, length, d] and value [n_active] of each active prompt's mean cross-entropy over chosen rows."""
    slot = np.searchsorted(active, rows.prompt[chosen])  # position of a row's prompt among the active ones
    weight = torch.from_numpy(1.0 / np.bincount(slot)[slot]).to(prompts)
    mine = prompts[torch.from_numpy(active).to(prompts.device)].detach().requires_grad_()
    loss = torch.zeros(len(active), dtype=prompts.dtype, device=prompts.device)
    labels, lengths = rows.label[chosen].astype(np.int64), rows.length[chosen]

    def step(group: np.ndarray) -> None:
        where, part, target = (torch.from_numpy(x).to(prompts.device) for x in (slot[group], group, labels[group]))
        mine_known = None if known is None else Known(*(of[torch.from_numpy(rows.comment[chosen[group]])] for of in known))
        logits, _ = backbone.forward(mine[where], rows.tokens(chosen[group], backbone.device), known=mine_known)
        each = F.cross_entropy(logits, target, reduction="none") * weight[part]
        each.sum().backward()
        loss.index_add_(0, where, each.detach().to(loss))

    extra = 1 + prompts.shape[1]
    for group in split_by_length(lengths, extra, budget.positions):
        run_halving(group, step, lambda n: budget.shrink(n, extra + int(lengths.max())))
    assert mine.grad is not None
    return mine.grad, loss


def _adamw(state: _State, gradient: torch.Tensor, active: np.ndarray, total: np.ndarray, tuning: Tuning) -> None:
    """One AdamW step of the active prompts, each with its own count."""
    where = torch.from_numpy(active).to(gradient.device)
    t = (state.steps[where] + 1).to(gradient)[:, None, None]
    rate = torch.full_like(t, tuning.learning_rate)
    if tuning.schedule == "linear":
        rate = rate * (1 - (t - 1) / torch.from_numpy(total[active]).to(gradient)[:, None, None])
    values, mean, square = (of[where] for of in (state.prompts, state.mean, state.square))
    values, state.mean[where], state.square[where] = step_adamw(
        values, mean, square, gradient, t, rate, decay=tuning.weight_decay
    )
    state.prompts[where] = snap(values) if values.dtype == torch.float64 else values
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
    values = {"prompt": state.best, "accuracy": state.best_accuracy, "dev_accuracy": state.dev, "train_loss": state.loss}
    arrays = {name: value.float().cpu().numpy()[at] for name, value in values.items()}
    arrays["examples"] = np.array([[len(train[e, s].rows) for e in emotions] for s in seeds])
    return label_prompts(arrays, seeds, emotions)
