"""Activations: FFN neurons of a prompted network, read in one batched pass, and summaries of them.

Arrays are [seed, emotion, layer, neuron]. PyTorch is imported only when a network is read.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from tqdm import tqdm

if TYPE_CHECKING:
    import torch

    from emonb.data.goemotions import Task
    from emonb.model.backbone import Backbone

GELU_FLOOR = float(minimize_scalar(lambda x: x * norm.cdf(x), bounds=(-2, 0), method="bounded").fun)
"""The lowest value GELU(x) = x * Phi(x) takes (about -0.17; Hendrycks & Gimpel 2016)."""


def read_prompts(backbone: "Backbone", prompts: xr.DataArray, rows_at_once: int = 128) -> xr.DataArray:
    """Activations with no comment: `<mask>` + prompt + start token, read at `<mask>` (Li et al., read-out).

    Parameters
    ----------
    backbone : Backbone
    prompts : DataArray, dims (seed, emotion, position, dimension)
    rows_at_once : int
        Prompts per pass; halved when the device runs out of memory.

    Returns
    -------
    DataArray, dims (seed, emotion, layer, neuron), float32
        FFN neurons after the activation function.
    """
    import torch

    from emonb.model.compute import run_halving

    flat = _flatten(prompts, backbone.device)
    out = np.empty((len(flat), len(backbone.layers), backbone.n_neurons), np.float32)
    start = torch.full((1, 1), backbone.tokenizer.start_id, device=backbone.device)

    def step(rows: np.ndarray) -> None:
        _, neurons = backbone.forward(flat[torch.from_numpy(rows)], start.expand(len(rows), 1), read=True)
        assert neurons is not None
        out[rows] = neurons[:, :, 0].float().cpu().numpy()

    with torch.no_grad():
        for first in range(0, len(flat), rows_at_once):
            run_halving(np.arange(first, min(first + rows_at_once, len(flat))), step)
    return _label(out, prompts)


def read_comments(
    backbone: "Backbone",
    prompts: xr.DataArray,
    texts: Sequence[str],
    tasks: "dict[tuple[str, int], Task]",
    max_length: int,
    budget: int,
    absolute: bool = False,
    progress: bool = False,
) -> xr.DataArray:
    """Activations at `<mask>` averaged over each task's comments; dims (seed, emotion, layer, neuron).

    Parameters
    ----------
    backbone : Backbone
    prompts : DataArray, dims (seed, emotion, position, dimension)
    texts : sequence of str
    tasks : dict of (emotion, seed) to Task
    max_length, budget : int
        Tokens of a comment; positions that go through the model at once.
    absolute : bool
        Average absolute values (to match control masks on).
    progress : bool
    """
    import torch

    from emonb.model.compute import pad, repeatable, run_halving, split_by_length

    flat = _flatten(prompts, backbone.device)
    keys = [(str(e), int(s)) for s in prompts.seed.values for e in prompts.emotion.values]
    which = np.concatenate([np.full(len(tasks[k].rows), p) for p, k in enumerate(keys)])
    rows = np.concatenate([tasks[k].rows for k in keys])
    used = np.unique(rows)
    tokens = dict(zip(used.tolist(), backbone.tokenizer.encode([texts[r] for r in used], max_length), strict=True))
    total = torch.zeros(len(flat), len(backbone.layers), backbone.n_neurons, device=backbone.device)

    def step(group: np.ndarray) -> None:
        owner = torch.from_numpy(which[group]).to(backbone.device)
        batch = pad([tokens[r] for r in rows[group]], backbone.tokenizer.pad_id, backbone.device)
        _, neurons = backbone.forward(flat[owner], batch, read=True)
        assert neurons is not None
        values = neurons[:, :, 0].float()
        total.index_add_(0, owner, values.abs() if absolute else values)

    lengths = np.array([len(tokens[r]) for r in rows])
    groups = list(split_by_length(lengths, 1 + flat.shape[1], budget))
    with torch.no_grad(), repeatable():
        for group in tqdm(groups, desc="reading comments", disable=not progress):
            run_halving(group, step)
    counts = np.bincount(which, minlength=len(flat))[:, None, None]
    return _label(total.cpu().numpy() / counts, prompts)


def _flatten(prompts: xr.DataArray, device: "torch.device") -> "torch.Tensor":
    import torch

    values = prompts.transpose("seed", "emotion", "position", "dimension").to_numpy()
    return torch.from_numpy(np.ascontiguousarray(values.reshape(-1, *values.shape[2:]))).to(device)


def _label(values: np.ndarray, prompts: xr.DataArray) -> xr.DataArray:
    shape = (prompts.sizes["seed"], prompts.sizes["emotion"], *values.shape[1:])
    return xr.DataArray(
        values.reshape(shape),
        dims=("seed", "emotion", "layer", "neuron"),
        coords={
            "seed": prompts.seed.values,
            "emotion": prompts.emotion.values,
            "layer": np.arange(1, values.shape[1] + 1),
            "neuron": np.arange(values.shape[2]),
        },
        name="activation",
    )
