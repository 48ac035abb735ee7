"""Beyond silencing: a mask's neurons at other strengths (dose), and alone in the network (sufficiency)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from emonb.data.goemotions import make_tasks
from emonb.model.backbone import open_backbone
from emonb.model.compute import Budget, Rows, describe, limit_threads
from emonb.model.reading import prompt_keys
from emonb.model.silencing import Sweep
from emonb.settings import BackboneConfig, LesionPlan, Tuning
from emonb.units import MASKS_A_PART, Arrays, InTurn, Make, Work, name_blocks

DOSES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""What neurons after the activation function are multiplied by: silenced, half, intact, one and a half times, twice."""


def dose_prompts(
    prompts: xr.Dataset,
    masks: xr.Dataset,
    comments: pd.DataFrame,
    backbone: BackboneConfig,
    layers: int,
    neurons: int,
    seeds: Sequence[int],
    size: int,
    lesions: LesionPlan,
    tuning: Tuning,
    work: Work | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of prompts with a mask's neurons at every dose, and with all other FFN neurons silenced.

    Parameters
    ----------
    prompts, masks, comments, backbone, layers, neurons, seeds, lesions, tuning, work, device, threads, progress
        As of :func:`emonb.model.silencing.lesion_prompts`; the first selective mask and the first of the plan's comparison
        for every attribute. Other values are never put in place: the plan's ablation is not asked for.
    size : int
        Of the masks.

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (mask, dose, seed, emotion); ``only_accuracy`` and ``only_auc`` (mask, seed, emotion) with
        nothing but the mask's neurons; ``kind`` and ``attribute`` along ``mask``.
    """
    work = work or InTurn()
    mine = (masks["size"] == size) & (masks.draw == 0) & masks.kind.isin(["selective", lesions.comparison])
    picked, tested = masks.silenced[mine.values], prompts.prompt.sel(seed=list(seeds))

    def begin() -> Make:
        positions = 1 + prompts.sizes["position"] + tuning.max_length
        opened = open_backbone(backbone, layers, neurons, positions, device)
        tasks = make_tasks(
            comments, tested.emotion.values.tolist(), seeds, lesions.split, tuning.negatives, lesions.examples
        )
        rows = [tasks[key] for key in prompt_keys(tested)]
        budget = Budget(2 * tuning.tokens_per_batch, work.halve)
        encoded = Rows(rows, list(comments["text"]), opened.tokenizer, tuning.max_length)
        sweep = Sweep(opened, tested, picked, encoded, budget, None)

        def make(group: slice, checkpoint: Path | None = None) -> tuple[Arrays, dict[str, str]]:
            margins = []
            with torch.no_grad():
                for mask in sweep.masks[group].to(opened.device):
                    margins += [sweep.read(opened.scale(mask, dose) if dose else opened.cut(mask)) for dose in DOSES]
                    margins.append(sweep.read(opened.cut(~mask)))
            return sweep.score(np.stack(margins)), describe(opened.device, budget, opened.dtype)

        return make

    with limit_threads(threads):
        parts = work.each(name_blocks(picked.sizes["mask"], MASKS_A_PART), begin, progress)
    arrays: dict[str, Any] = {}
    for name in ("accuracy", "auc"):
        every = np.concatenate([part[name] for part in parts])  # [mask and dose, prompt]
        every = every.reshape(-1, len(DOSES) + 1, tested.sizes["seed"], tested.sizes["emotion"])
        arrays[name] = (("mask", "dose", "seed", "emotion"), every[:, :-1])
        arrays[f"only_{name}"] = (("mask", "seed", "emotion"), every[:, -1])
    labels = {name: ("mask", picked[name].values) for name in ("kind", "attribute")}
    axes = {"dose": list(DOSES), "seed": tested.seed.values, "emotion": tested.emotion.values}
    return xr.Dataset(arrays, {**axes, **labels}, {"split": lesions.split, "size": size})
