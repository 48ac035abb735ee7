"""What is read from a network in one batched pass: FFN neurons under prompts [seed, emotion, layer, neuron], embeddings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr

from emonb.data.comments import make_tasks
from emonb.model.backbone import Backbone, Live, load_checkpoint, open_backbone, widen
from emonb.model.batches import Rows, limit_threads, pad, pick_device, repeatable, run_halving, split_by_length
from emonb.study import BackboneConfig, Tuning


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

    ``prompts``: ``prompt`` (seed, emotion, position, dimension), from :func:`emonb.model.tuning.tune_prompts`; ``layers``,
    ``neurons``: the study's layers, and FFN neurons of each.

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


def read_over_comments(live: Live, prompts: xr.Dataset, examples: int | None) -> xr.Dataset:
    """Read every prompt's activations while it is used: at `<mask>`, the mean over comments of its dev task.

    ``prompts``: as for :func:`read_activations`; ``examples``: comments of each class, as many as lesions use, all if not
    given. Gives ``activation`` (seed, emotion, layer, neuron), float32.
    """
    tuned = prompts.prompt
    with limit_threads(live.threads):
        opened = live.open(tuned.sizes["position"])
        rows = encode_comments(live, opened, tuned, "dev", examples)
        read = read_comments(opened, tuned, rows, 2 * live.tuning.tokens_per_batch)
        return read.to_dataset().assign_attrs(device=str(opened.device))


def encode_comments(live: Live, opened: Backbone, prompts: xr.DataArray, split: str, examples: int | None) -> Rows:
    """Comments of every prompt's task on a split, in the order of :func:`prompt_keys`; ``examples`` of each class."""
    emotions, seeds = [str(emotion) for emotion in prompts.emotion.values], prompts.seed.values.tolist()
    tasks = make_tasks(live.comments, emotions, seeds, split, live.tuning.negatives, examples)
    texts = list(live.comments["text"])
    return Rows([tasks[key] for key in prompt_keys(prompts)], texts, opened.tokenizer, live.tuning.max_length)


def read_prompts(backbone: Backbone, prompts: xr.DataArray, rows_at_once: int = 128) -> xr.DataArray:
    """Activations with no comment: `<mask>` + prompt + start token, read at `<mask>` (Li et al., read-out).

    ``prompts`` (seed, emotion, position, dimension); ``rows_at_once``: prompts per pass, halved when the device runs out
    of memory. Gives (seed, emotion, layer, neuron), float32: FFN neurons after the activation function.
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


def read_comments(backbone: Backbone, prompts: xr.DataArray, rows: Rows, budget: int) -> xr.DataArray:
    """Activations at `<mask>` averaged over each prompt's comments; dims (seed, emotion, layer, neuron).

    ``prompts`` (seed, emotion, position, dimension); ``rows``: comments of each prompt, in the order of
    :func:`prompt_keys`; ``budget``: positions that go through the model at once.
    """
    flat = flatten_prompts(prompts).to(backbone.device)  # [prompt, position, d]
    shape = (len(flat), len(backbone.layers), backbone.n_neurons)
    total = widen(torch.zeros(shape, dtype=backbone.dtype, device=backbone.device))

    def step(group: np.ndarray) -> None:
        prompt = torch.from_numpy(rows.prompt[group]).to(backbone.device)  # [B]
        _, neurons = backbone.forward(flat[prompt], rows.tokens(group, backbone.device), read=True)
        assert neurons is not None
        total.index_add_(0, prompt, neurons.to(total))

    with torch.no_grad(), repeatable():
        for group in rows.batches(np.arange(len(rows)), 1 + flat.shape[1], budget):
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


def embed_emotions(
    comments: pd.DataFrame,
    emotions: Sequence[str],
    backbone: BackboneConfig,
    tuning: Tuning,
    device: str = "auto",
    threads: int | None = None,
) -> xr.Dataset:
    """Mean sentence embedding of each emotion's training comments.

    The comments that prompts are tuned on as examples of the emotion, so that both have read the same. A sentence is the
    mean over its tokens in the last layer, of length 1, as the encoder was trained to be used (Reimers & Gurevych 2019).

    ``comments``: from :func:`emonb.data.comments.read_goemotions`; ``backbone``: a sentence encoder (of another network
    the numbers are as well defined, but nobody trained them to mean something); ``tuning``: length of comments, examples,
    positions that go through the model at once. Gives ``embedding`` (emotion, dimension), float32, and how many
    ``comments`` (emotion).
    """
    most = None if tuning.examples is None else (tuning.examples + 1) // 2
    train = comments["split"] == "train"
    rows = [np.flatnonzero((comments[emotion] & train).to_numpy())[:most] for emotion in emotions]
    used = np.unique(np.concatenate(rows))
    with limit_threads(threads):
        chosen = pick_device(device)
        model, tokenizer = load_checkpoint(backbone.model_copy(update={"head": "words"}))  # the encoder alone
        model = model.eval().to(chosen, getattr(torch, backbone.dtype))
        ids = tokenizer.encode([comments["text"].iloc[row] for row in used], tuning.max_length)
        out = np.empty((len(used), model.config.hidden_size), np.float32)

        def step(group: np.ndarray) -> None:
            tokens = pad([ids[k] for k in group], tokenizer.pad_id, chosen)
            real = (tokens != tokenizer.pad_id).long()
            hidden = model(input_ids=tokens, attention_mask=real).last_hidden_state  # [B, T, d]
            mean = (hidden * real[..., None]).sum(1)  # a sum: its length goes
            out[group] = F.normalize(mean.float(), dim=-1).cpu().numpy()

        with torch.no_grad():
            for group in split_by_length(np.array([len(row) for row in ids]), 0, tuning.tokens_per_batch):
                run_halving(group, step)
    means = np.stack([out[np.searchsorted(used, mine)].mean(0) for mine in rows])
    arrays = {"embedding": (("emotion", "dimension"), means), "comments": ("emotion", [len(mine) for mine in rows])}
    return xr.Dataset(arrays, {"emotion": list(emotions)})
