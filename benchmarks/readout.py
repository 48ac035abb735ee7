"""One activation read-out of many prompts, RoBERTa-base shape, against single passes with the full vocabulary."""

from functools import cache

import numpy as np
import torch
import xarray as xr
from common import compare
from shape import LENGTH, arguments, count_flops, find_bound, make_backbone, make_model, name_device, synchronise

from emonb.model.reading import read_prompts

given = arguments()
n = 324 if given.device.startswith("cuda") else 40
backbone = make_backbone(given.device, given.dtype)
values = np.random.default_rng(0).normal(0, 0.05, (1, n, LENGTH, 768)).astype("f4")
prompts = xr.DataArray(values, dims=("seed", "emotion", "position", "dimension"),
                       coords={"seed": [1], "emotion": [f"e{k}" for k in range(n)]})  # fmt: skip


@cache
def released() -> torch.nn.Module:
    return make_model().to(given.device)


def ours() -> None:
    read_prompts(backbone, prompts, rows_at_once=324 if given.device.startswith("cuda") else 20)
    synchronise(given.device)


def peer() -> None:
    model = released()
    words = model.get_input_embeddings()
    tensors = torch.from_numpy(values[0]).to(given.device)
    ends = torch.zeros((1, 1), dtype=torch.int64, device=given.device)
    with torch.no_grad():
        for k in range(n):
            mask = words(torch.full((1, 1), backbone.tokenizer.mask_id, device=given.device))
            embeds = torch.cat([mask, tensors[k][None], words(ends)], 1)
            positions = torch.arange(embeds.shape[1], device=given.device)[None]
            model(inputs_embeds=embeds, position_ids=positions)
    synchronise(given.device)


row = f"readout_{given.device.split(':')[0]}_{given.dtype}"
compare(row, ours, peer, n, n, "prompt", ">= 5x", "single passes (float32)", flops=count_flops(np.ones(n)),
        bound=find_bound(given.device, given.dtype), device=name_device(given.device))  # fmt: skip
