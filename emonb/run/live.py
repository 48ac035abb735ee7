"""The live stages: from comments and a frozen model to prompts, activations and lesion accuracies.

PyTorch is imported only when one of these runs, so that chapters that only analyse do not pay for it.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np
import pandas as pd
import xarray as xr

from emonb.data import goemotions
from emonb.errors import LabelError
from emonb.study import Study

if TYPE_CHECKING:
    from emonb.data.goemotions import Task
    from emonb.model.backbone import Backbone

Rest = ParamSpec("Rest")


def _with_threads(work: Callable[Concatenate[Study, Rest], xr.Dataset]) -> Callable[Concatenate[Study, Rest], xr.Dataset]:
    """Run a live stage with the study's number of CPU threads."""

    @functools.wraps(work)
    def limited(study: Study, /, *args: Rest.args, **kwargs: Rest.kwargs) -> xr.Dataset:
        from emonb.model.compute import limit_threads

        with limit_threads(study.threads):
            return work(study, *args, **kwargs)

    return limited


@_with_threads
def tune(study: Study, files: dict[str, Path], work: Path, progress: bool) -> xr.Dataset:
    """Tune every prompt of a study; resumes from ``work``; attributes say where and how fast."""
    from emonb.model import tuning

    backbone = open_backbone(study)
    comments = goemotions.read_goemotions(study, files)
    train = make_tasks(study, comments, "train", study.tuning.examples)
    dev = make_tasks(study, comments, "dev", study.tuning.examples)
    work.mkdir(parents=True, exist_ok=True)
    texts, checkpoint = list(comments["text"]), work / "tuning.safetensors"
    start = time.perf_counter()
    dataset = tuning.tune_prompts(backbone, texts, train, dev, study.prompt_length, study.tuning, checkpoint, progress)
    seconds = time.perf_counter() - start
    examples = study.tuning.epochs * int(dataset.examples.sum())
    return dataset.assign_attrs(device=str(backbone.device), seconds=seconds, examples_per_second=examples / seconds)


@_with_threads
def read(study: Study, prompts: xr.Dataset) -> xr.Dataset:
    """Read every prompt's activations, with no comment."""
    from emonb.model.reading import read_prompts

    backbone = open_backbone(study)
    return read_prompts(backbone, prompts.prompt).to_dataset().assign_attrs(device=str(backbone.device))


def rank_selected(study: Study, activations: xr.DataArray, humans: xr.Dataset) -> xr.DataArray:
    """Searchlight ranks from the seeds that select neurons (all, unless the plan keeps selection and test apart)."""
    from emonb.analysis.attributes import search_neurons

    seeds = list(study.selection_seeds or study.seeds)
    return search_neurons(activations.sel(seed=seeds), humans.attribute_rdm, list(humans.emotion.values))["rank"]


@_with_threads
def lesion(
    study: Study,
    files: dict[str, Path],
    prompts: xr.Dataset,
    activations: xr.DataArray,
    rank: xr.DataArray,
    work: Path,
    progress: bool,
) -> xr.Dataset:
    """Plan masks and sweep them over the study's evaluation split; resumes from ``work``."""
    from emonb.analysis import masks
    from emonb.model import silencing
    from emonb.model.reading import read_comments

    plan, backbone = study.lesions, open_backbone(study)
    level = abs(activations).mean(("seed", "emotion"))
    masks = masks.plan_masks(rank, study.sizes, plan.controls, plan.draws, plan.seed, level)
    comments = goemotions.read_goemotions(study, files)
    texts, length, budget = list(comments["text"]), study.tuning.max_length, 2 * study.tuning.tokens_per_batch
    lesioned = prompts.prompt.sel(seed=[s for s in study.seeds if s not in study.selection_seeds])
    replacement = None
    if plan.ablation != "zero":  # what a neuron does while comments are read; never the comments it is tested on
        tasks = make_tasks(study, comments, "dev", plan.examples)
        replacement = read_comments(backbone, lesioned, texts, tasks, length, budget)
    start = time.perf_counter()
    swept = silencing.sweep_lesions(
        backbone,
        lesioned,
        masks,
        texts,
        make_tasks(study, comments, plan.split, plan.examples),
        length,
        budget,
        plan.ablation,
        replacement,
        plan.seed,
        work,
        progress=progress,
    )
    attributes: dict[str, Any] = {"device": str(backbone.device), "seconds": time.perf_counter() - start}
    return arrange(swept, study).assign_attrs(ablation=plan.ablation, split=plan.split, **attributes)


def arrange(swept: xr.Dataset, study: Study) -> xr.Dataset:
    """Put a sweep in the form of the released lesions, and keep every mask.

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (kind, attribute, size, seed, emotion), averaged over draws; ``mask_accuracy`` and
        ``mask_auc`` (mask, seed, emotion); ``baseline`` and ``baseline_auc`` (seed, emotion).
    """
    kinds = list(dict.fromkeys(swept.kind.values.tolist()))
    labels = {"kind": kinds, "attribute": list(study.attributes), "size": list(study.sizes)}
    shape = (*(len(v) for v in labels.values()), swept.sizes["seed"], swept.sizes["emotion"])
    out: dict[str, Any] = {}
    for name in ("accuracy", "auc"):
        values = np.full(shape, np.nan)
        for k, kind in enumerate(kinds):
            for a, attribute in enumerate(study.attributes):
                for n, size in enumerate(study.sizes):
                    here = (swept.kind == kind) & (swept.attribute == attribute) & (swept["size"] == size)
                    values[k, a, n] = swept[name].values[here.values].mean(0)
        out[name] = ((*labels, "seed", "emotion"), values)
        out[f"mask_{name}"] = (("mask", "seed", "emotion"), swept[name].values)
    renamed = {f"mask_{name}": ("mask", swept[name].values) for name in ("kind", "attribute", "size", "draw")}
    coords = {**labels, "seed": swept.seed.values, "emotion": swept.emotion.values, **renamed}
    return xr.Dataset({**out, "baseline": swept.baseline, "baseline_auc": swept.baseline_auc}, coords=coords)


def open_backbone(study: Study) -> "Backbone":
    """Load the study's backbone, checked against its prompt and comment lengths and its declared shape."""
    from emonb.model.backbone import load_backbone

    assert study.backbone is not None  # the study's validation requires it for computed stages
    backbone = load_backbone(study.backbone, study.device, 1 + study.prompt_length + study.tuning.max_length)
    found = (len(backbone.layers), backbone.n_neurons)
    if found != (study.layers, study.neurons):
        raise LabelError(
            f"the backbone has {found[0]} layers of {found[1]} FFN neurons, the study declares {study.layers} of "
            f"{study.neurons}: correct `layers` and `neurons`"
        )
    return backbone


def make_tasks(study: Study, comments: pd.DataFrame, split: str, examples: int | None) -> "dict[tuple[str, int], Task]":
    """Tasks of all emotions and seeds on one split; an emotion without comments is an error."""
    from emonb.data.goemotions import make_task

    empty = [e for e in study.emotions if not (comments[e] & (comments["split"] == split)).any()]
    if empty:
        raise LabelError(
            f"the {split} split has no comment with {', '.join(empty)}; drop the emotion or give more comments"
        )
    negatives = study.tuning.negatives
    return {(e, s): make_task(comments, e, s, split, negatives, examples) for s in study.seeds for e in study.emotions}
