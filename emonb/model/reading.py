"""Chapter "activations": FFN neurons of a prompted network, read in one batched pass.

Arrays are [seed, emotion, layer, neuron].
"""

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from emonb.data.goemotions import make_tasks
from emonb.model.backbone import Backbone, open_backbone, widen
from emonb.model.compute import Rows, limit_threads, repeatable, run_halving
from emonb.settings import BackboneConfig, Tuning


def read_activations(
    prompts: xr.Dataset,
    backbone: BackboneConfig,
    layers: int,
    neurons: int,
    device: str = "auto",
    threads: int | None = None,
) -> xr.Dataset:
    """Read every prompt's activations, with no comment; in float64, as that takes seconds.

    So they are the same on every processor whatever the prompts were tuned in.

    Parameters
    ----------
    prompts : Dataset
        ``prompt`` (seed, emotion, position, dimension), from :func:`emonb.model.tuning.tune_prompts`.
    backbone : BackboneConfig
    layers, neurons : int
        The study's layers, and FFN neurons of each.
    device : str
    threads : int, optional
        CPU threads.

    Returns
    -------
    Dataset
        ``activation`` (seed, emotion, layer, neuron), float32, and ``output_norm`` (layer, neuron): the norm of what a
        neuron adds to the residual stream by a unit of activation; the attribute ``device`` says where.
    """
    with limit_threads(threads):
        positions = 2 + prompts.sizes["position"]
        opened = open_backbone(backbone, layers, neurons, positions, device, "float64")
        read = read_prompts(opened, prompts.prompt).to_dataset().assign_attrs(device=str(opened.device))
        return read.assign(output_norm=(("layer", "neuron"), opened.output_norms().cpu().numpy()))


def read_over_comments(
    prompts: xr.Dataset,
    comments: pd.DataFrame,
    backbone: BackboneConfig,
    layers: int,
    neurons: int,
    examples: int | None,
    tuning: Tuning,
    device: str = "auto",
    threads: int | None = None,
) -> xr.Dataset:
    """Read every prompt's activations while it is used: at `<mask>`, the mean over comments of its dev task.

    Parameters
    ----------
    prompts : Dataset
        As for :func:`read_activations`.
    comments : DataFrame
    backbone : BackboneConfig
    layers, neurons : int
    examples : int, optional
        Comments of each class, as many as lesions use; all if not given.
    tuning : Tuning
        Length of comments, negatives, positions that go through the model at once.
    device : str
    threads : int, optional

    Returns
    -------
    Dataset
        ``activation`` (seed, emotion, layer, neuron), float32.
    """
    tuned = prompts.prompt
    with limit_threads(threads):
        opened = open_backbone(backbone, layers, neurons, 1 + tuned.sizes["position"] + tuning.max_length, device)
        emotions, seeds = [str(e) for e in tuned.emotion.values], tuned.seed.values.tolist()
        tasks = make_tasks(comments, emotions, seeds, "dev", tuning.negatives, examples)
        rows = Rows([tasks[key] for key in prompt_keys(tuned)], list(comments["text"]), opened.tokenizer, tuning.max_length)
        read = read_comments(opened, tuned, rows, 2 * tuning.tokens_per_batch)
        return read.to_dataset().assign_attrs(device=str(opened.device))


def read_prompts(backbone: Backbone, prompts: xr.DataArray, rows_at_once: int = 128) -> xr.DataArray:
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
    flat = flatten_prompts(prompts).to(backbone.device)  # [prompt, position, d]
    out = np.empty((len(flat), len(backbone.layers), backbone.n_neurons), np.float32)
    start = torch.full((1, 1), backbone.tokenizer.start_id, device=backbone.device)

    def step(rows: np.ndarray) -> None:
        _, neurons = backbone.forward(flat[torch.from_numpy(rows)], start.expand(len(rows), 1), read=True)
        assert neurons is not None
        out[rows] = neurons.float().cpu().numpy()

    with torch.no_grad():
        for first in range(0, len(flat), rows_at_once):
            run_halving(np.arange(first, min(first + rows_at_once, len(flat))), step)
    return _label(out, prompts)


def read_comments(
    backbone: Backbone, prompts: xr.DataArray, rows: Rows, budget: int, progress: bool = False
) -> xr.DataArray:
    """Activations at `<mask>` averaged over each prompt's comments; dims (seed, emotion, layer, neuron).

    Parameters
    ----------
    backbone : Backbone
    prompts : DataArray, dims (seed, emotion, position, dimension)
    rows : Rows
        Comments of each prompt, in the order of :func:`prompt_keys`.
    budget : int
        Positions that go through the model at once.
    progress : bool
    """
    flat = flatten_prompts(prompts).to(backbone.device)  # [prompt, position, d]
    shape = (len(flat), len(backbone.layers), backbone.n_neurons)
    total = widen(torch.zeros(shape, dtype=backbone.dtype, device=backbone.device))

    def step(group: np.ndarray) -> None:
        prompt = torch.from_numpy(rows.prompt[group]).to(backbone.device)  # [B]
        _, neurons = backbone.forward(flat[prompt], rows.tokens(group, backbone.device), read=True)
        assert neurons is not None
        total.index_add_(0, prompt, neurons.to(total))

    groups = list(rows.batches(np.arange(len(rows)), 1 + flat.shape[1], budget))
    with torch.no_grad(), repeatable():
        for group in tqdm(groups, desc="reading comments", disable=not progress):
            run_halving(group, step)
    counts = np.bincount(rows.prompt, minlength=len(flat))[:, None, None]  # [prompt, 1, 1]
    return _label((total.cpu().numpy() / counts).astype(np.float32), prompts)


def prompt_keys(prompts: xr.DataArray) -> list[tuple[str, int]]:
    """(emotion, seed) of every prompt, in the order in which :func:`flatten_prompts` puts them."""
    return [(str(e), int(s)) for s in prompts.seed.values for e in prompts.emotion.values]


def flatten_prompts(prompts: xr.DataArray) -> torch.Tensor:
    """Prompts as [prompt, position, d], seed by seed."""
    values = prompts.transpose("seed", "emotion", "position", "dimension").to_numpy()
    return torch.from_numpy(np.ascontiguousarray(values.reshape(-1, *values.shape[2:])))


def _label(values: np.ndarray, prompts: xr.DataArray) -> xr.DataArray:
    shape = (prompts.sizes["seed"], prompts.sizes["emotion"], *values.shape[1:])
    return xr.DataArray(
        values.reshape(shape),  # [prompt, layer, neuron] -> [seed, emotion, layer, neuron]
        dims=("seed", "emotion", "layer", "neuron"),
        coords={
            "seed": prompts.seed.values,
            "emotion": prompts.emotion.values,
            "layer": np.arange(1, values.shape[1] + 1),
            "neuron": np.arange(values.shape[2]),
        },
        name="activation",
    )
