"""Lesion sweeps, mask by mask, in the form of the released lesions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr


def arrange(swept: xr.Dataset, attributes: Sequence[str], sizes: Sequence[int]) -> xr.Dataset:
    """Put a sweep in the form of the released lesions, and keep every mask.

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (kind, attribute, size, seed, emotion), averaged over draws; ``mask_accuracy`` and
        ``mask_auc`` (mask, seed, emotion); ``baseline`` and ``baseline_auc`` (seed, emotion).
    """
    labels = {"kind": list(dict.fromkeys(swept.kind.values.tolist())), "attribute": list(attributes), "size": list(sizes)}
    shape = tuple(len(v) for v in labels.values())
    out: dict[str, Any] = {}
    for name in ("accuracy", "auc"):
        values = np.full((*shape, swept.sizes["seed"], swept.sizes["emotion"]), np.nan)
        for at in np.ndindex(shape):
            kind, attribute, size = (names[k] for names, k in zip(labels.values(), at, strict=True))
            here = (swept.kind == kind) & (swept.attribute == attribute) & (swept["size"] == size)
            values[at] = swept[name].values[here.values].mean(0)
        out[name] = ((*labels, "seed", "emotion"), values)
        out[f"mask_{name}"] = (("mask", "seed", "emotion"), swept[name].values)
    renamed = {f"mask_{name}": ("mask", swept[name].values) for name in ("kind", "attribute", "size", "draw")}
    coords = {**labels, "seed": swept.seed.values, "emotion": swept.emotion.values, **renamed}
    return xr.Dataset({**out, "baseline": swept.baseline, "baseline_auc": swept.baseline_auc}, coords=coords)
