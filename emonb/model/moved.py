"""The masks of all attributes moved together by random bijections of the network's neurons, and lesioned like the others.

What attributes' masks are as sets stays: their sizes and overlaps. So the masks themselves are one more draw of what is
lesioned here, if which neurons they hold tells nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from emonb.model.backbone import open_backbone
from emonb.model.compute import limit_threads
from emonb.model.silencing import open_sweep
from emonb.settings import BackboneConfig, LesionPlan, Tuning
from emonb.units import InTurn, Make, Work, name_blocks


def lesion_moved(
    prompts: xr.Dataset,
    masks: xr.Dataset,
    comments: pd.DataFrame,
    backbone: BackboneConfig,
    layers: int,
    neurons: int,
    seeds: Sequence[int],
    size: int,
    bijections: int,
    within_layers: bool,
    lesions: LesionPlan,
    tuning: Tuning,
    work: Work | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of prompts under attributes' masks of one size, moved together by random bijections of neurons.

    Parameters
    ----------
    prompts, masks, comments, backbone, layers, neurons, seeds, lesions, tuning, work, device, threads, progress
        As of :func:`emonb.model.silencing.lesion_prompts`. A unit is a bijection with the masks of all attributes.
    size : int
        Of the masks.
    bijections : int
        How many; 0 for none. Each depends on its own number and the plan's seed, so that more hold fewer.
    within_layers : bool
        Every neuron stays in its layer.

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (bijection, attribute, seed, emotion); NaN for an attribute without a mask.
    """
    work = work or InTurn()
    chosen = (masks.kind == "selective") & (masks["size"] == size)
    own, tested = masks.silenced[chosen.values], prompts.prompt.sel(seed=list(seeds))
    n = own.sizes["mask"]

    def begin() -> Make:
        opened = open_backbone(backbone, layers, neurons, 1 + prompts.sizes["position"] + tuning.max_length, device)
        moved = [move_masks(own, number, within_layers, lesions.seed) for number in range(bijections)]
        return open_sweep(opened, tested, xr.concat(moved, "mask"), comments, lesions, tuning, work.halve).make

    with limit_threads(threads):
        parts = work.each(name_blocks(bijections * n, n), begin, progress) if bijections else []
    axes = {"bijection": np.arange(len(parts)), "attribute": own.attribute.values}
    axes |= {"seed": tested.seed.values, "emotion": tested.emotion.values}
    shape, silences = tuple(len(values) for values in axes.values()), own.any(("layer", "neuron")).values
    swept = xr.Dataset(coords=axes)
    for name in ("accuracy", "auc"):
        every = np.array([part[name] for part in parts]).reshape(shape)
        swept[name] = tuple(axes), np.where(silences[:, None, None], every, np.nan)
    about = {"ablation": lesions.ablation, "split": lesions.split, "size": size, "within_layers": int(within_layers)}
    return swept.assign_attrs(about)


def move_masks(masks: xr.DataArray, number: int, within_layers: bool, seed: int) -> xr.DataArray:
    """Move masks together by one random bijection of neurons; they keep their sizes and overlaps.

    Parameters
    ----------
    masks : DataArray of bool, dims (mask, layer, neuron)
    number : int
        Of the bijection; it and the seed draw it.
    within_layers : bool
        Every neuron stays in its layer, and so each mask keeps its number of neurons a layer.
    seed : int
    """
    rng = np.random.default_rng([seed, number, *b"moved"])
    values = masks.transpose("mask", "layer", "neuron").to_numpy()
    if within_layers:
        moved = np.stack([layer[:, rng.permutation(values.shape[2])] for layer in values.swapaxes(0, 1)], axis=1)
    else:
        moved = values.reshape(len(values), -1)[:, rng.permutation(values[0].size)].reshape(values.shape)
    return masks.transpose("mask", "layer", "neuron").copy(data=moved)
