"""The lesion sweep: every mask with every prompt on every comment of its task, in bounded memory, resumable.

Rows of a batch have prompts of their own and share a mask, whose neurons are cut out of the network: what is silent costs
nothing. Masks are taken a few at a time; a finished group is stored and never computed again.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from safetensors.numpy import load_file, save_file
from scipy.stats import rankdata
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.data.goemotions import Task
from emonb.model.backbone import Backbone, Remainder
from emonb.model.compute import Budget, pad, run_halving, split_by_length


def sweep_lesions(
    backbone: Backbone,
    prompts: xr.DataArray,
    masks: xr.DataArray,
    texts: Sequence[str],
    tasks: dict[tuple[str, int], Task],
    max_length: int,
    budget: int,
    ablation: str = "zero",
    replacement: xr.DataArray | None = None,
    seed: int = 0,
    folder: Path | None = None,
    group: int = 8,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of every prompt under every mask (Li et al., manipulation; FFN neurons silenced at every position).

    Parameters
    ----------
    backbone : Backbone
    prompts : DataArray, dims (seed, emotion, position, dimension)
    masks : DataArray of bool, dims (mask, layer, neuron)
        True where a neuron is silenced.
    texts : sequence of str
    tasks : dict of (emotion, seed) to Task
    max_length, budget : int
        Tokens of a comment; positions that go through the model at once (halved when memory runs out).
    ablation : {'zero', 'mean', 'resample'}
        Silenced values become 0; the mean of ``replacement`` over prompts; or ``replacement`` of a random other prompt.
    replacement : DataArray, dims (seed, emotion, layer, neuron), optional
        Activations at `<mask>`, needed for ``mean`` and ``resample``.
    seed : int
        Of the resampling.
    folder : Path, optional
        Where finished groups of masks are kept, to resume from.
    group : int
        Masks per stored group.
    progress : bool

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (mask, seed, emotion); ``baseline`` and ``baseline_auc`` (seed, emotion) without a mask.
    """
    work = _Work(backbone, prompts, texts, tasks, max_length, budget)
    put = _replacement(ablation, replacement, work.n_prompts, seed, backbone.device)
    silenced = torch.from_numpy(masks.transpose("mask", "layer", "neuron").to_numpy())
    accuracy = np.empty((len(silenced), work.n_prompts))
    auc = np.empty_like(accuracy)
    with tqdm(total=len(silenced), unit="mask", desc="lesions", disable=not progress) as bar:
        for first in range(0, len(silenced), group):
            part = silenced[first : first + group].to(backbone.device)
            path = folder / f"{first:06d}.safetensors" if folder is not None else None
            stored = _load(path, len(part), work.n_prompts)
            if stored is None:
                stored = work.run(part, put)
                _store(path, stored)
            accuracy[first : first + group], auc[first : first + group] = stored["accuracy"], stored["auc"]
            bar.update(len(part))
            bar.set_postfix(accuracy=f"{stored['accuracy'].mean():.3f}", budget=work.budget.positions)
    intact = work.run(None, None)
    shape = (prompts.sizes["seed"], prompts.sizes["emotion"])
    coords = {name: masks.coords[name] for name in ("kind", "attribute", "size", "draw") if name in masks.coords}
    return xr.Dataset(
        {
            "accuracy": (("mask", "seed", "emotion"), accuracy.reshape(-1, *shape)),
            "auc": (("mask", "seed", "emotion"), auc.reshape(-1, *shape)),
            "baseline": (("seed", "emotion"), intact["accuracy"].reshape(shape)),
            "baseline_auc": (("seed", "emotion"), intact["auc"].reshape(shape)),
        },
        coords={"seed": prompts.seed.values, "emotion": prompts.emotion.values, **coords},
    )


class _Batch(NamedTuple):
    """Comments that go through the network together, on the device."""

    rows: torch.Tensor  # [n]: which of all rows
    owner: torch.Tensor  # [n]: prompt of each row
    tokens: torch.Tensor  # [n, longest]


class _Work:
    """Everything that does not change between masks: prompts and padded comments on the device, which row is whose."""

    def __init__(
        self,
        backbone: Backbone,
        prompts: xr.DataArray,
        texts: Sequence[str],
        tasks: dict[tuple[str, int], Task],
        max_length: int,
        budget: int,
    ) -> None:
        self.backbone, self.budget = backbone, Budget(budget)
        keys = [(str(e), int(s)) for s in prompts.seed.values for e in prompts.emotion.values]
        values = prompts.transpose("seed", "emotion", "position", "dimension").to_numpy()
        flat = torch.from_numpy(np.ascontiguousarray(values.reshape(-1, *values.shape[2:])))
        self.prompts = flat.to(backbone.device, backbone.dtype)
        self.n_prompts = len(keys)
        self.rows = np.concatenate([tasks[k].rows for k in keys])
        self.labels = np.concatenate([tasks[k].labels for k in keys])
        self.owner = np.concatenate([np.full(len(tasks[k].rows), p) for p, k in enumerate(keys)])
        used = np.unique(self.rows)
        self.tokens = dict(zip(used.tolist(), backbone.tokenizer.encode([texts[r] for r in used], max_length), strict=True))
        self.lengths = np.array([len(self.tokens[r]) for r in self.rows])

    def run(self, silenced: torch.Tensor | None, put: torch.Tensor | None) -> dict[str, np.ndarray]:
        """Accuracy and AUC [n_masks, n_prompts] under these masks, or of the intact network.

        A mask's silenced neurons are cut out of the network before its comments are read.
        """
        margin = np.empty((1 if silenced is None else len(silenced), len(self.rows)), np.float32)
        for m in range(len(margin)):
            with torch.no_grad():
                left = None if silenced is None else self.backbone.cut(silenced[m], put)
                margin[m] = self._read(left)
        return self._score(margin)

    @cached_property
    def _batches(self) -> list[_Batch]:
        device, pad_id = self.backbone.device, self.backbone.tokenizer.pad_id
        return [
            _Batch(
                torch.from_numpy(rows).to(device),
                torch.from_numpy(self.owner[rows]).to(device),
                pad([self.tokens[r] for r in self.rows[rows]], pad_id, device),
            )
            for rows in split_by_length(self.lengths, 1 + self.prompts.shape[1], self.budget.positions)
        ]

    def _read(self, left: Sequence[Remainder] | None) -> np.ndarray:
        """Margin [n_rows] of "yes" over "no"; stays on the device until all comments are read."""
        margin = torch.empty(len(self.rows), device=self.backbone.device)

        def step(batch: _Batch, part: np.ndarray) -> None:
            rows, owner, tokens = (of[torch.from_numpy(part).to(of.device)] for of in batch)
            logits, _ = self.backbone.forward(self.prompts[owner], tokens, left=left, owner=owner)
            margin[rows] = logits[:, 1] - logits[:, 0]

        for batch in self._batches:
            run_halving(np.arange(len(batch.rows)), partial(step, batch), self._halve)
        return margin.cpu().numpy()

    def _halve(self, rows: int) -> None:
        """Take smaller batches from the next mask on."""
        self.budget.shrink(rows, 1 + self.prompts.shape[1] + int(self.lengths.max()))
        self.__dict__.pop("_batches", None)

    def _score(self, margin: np.ndarray) -> dict[str, np.ndarray]:
        accuracy = np.empty((len(margin), self.n_prompts))
        auc = np.empty_like(accuracy)
        for p in range(self.n_prompts):
            mine, labels = margin[:, self.owner == p], self.labels[self.owner == p]
            accuracy[:, p] = ((mine > 0) == labels).mean(1)
            auc[:, p] = area_under_curve(mine, labels)
        return {"accuracy": accuracy, "auc": auc}


def area_under_curve(margin: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of margins [n_rows, n_examples], ties counted half; 0.5 when one class is missing."""
    n_yes, n_no = int(labels.sum()), int((~labels).sum())
    if not n_yes or not n_no:
        return np.full(len(margin), 0.5)
    ranks = rankdata(margin, axis=1)
    return (ranks[:, labels].sum(1) - n_yes * (n_yes + 1) / 2) / (n_yes * n_no)


def _replacement(
    ablation: str, replacement: xr.DataArray | None, n: int, seed: int, device: torch.device
) -> torch.Tensor | None:
    """Values put in place of silenced ones, [n_prompts, layers, neurons], or None for zero."""
    if ablation == "zero":
        return None
    if replacement is None:
        raise ValueError(f"ablation '{ablation}' needs the activations to put in: give replacement")
    values = replacement.transpose("seed", "emotion", "layer", "neuron").to_numpy()
    values = values.reshape(n, *values.shape[2:]).astype(np.float32)
    if ablation == "mean":
        values = np.broadcast_to(values.mean(0), values.shape)
    elif ablation == "resample":
        shift = np.random.default_rng(seed).integers(1, n, size=n)  # never a prompt's own
        values = values[(np.arange(n) + shift) % n]
    else:
        raise ValueError(f"unknown ablation '{ablation}'; use zero, mean or resample")
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def _load(path: Path | None, n_masks: int, n_prompts: int) -> dict[str, np.ndarray] | None:
    if path is None or not path.is_file():
        return None
    stored = load_file(path)
    return stored if stored["accuracy"].shape == (n_masks, n_prompts) else None


def _store(path: Path | None, values: dict[str, np.ndarray]) -> None:
    if path is not None:
        with replacing(path) as part:
            save_file(values, part)
