"""Results that a study takes from ``data``: computed from nothing, and put there with their settings and log."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from emonb.data import committed
from emonb.data.tables import pick_masks
from emonb.errors import StudyError
from emonb.paths import data_dir, in_checkout
from emonb.run.parts import parts_of
from emonb.run.runs import Run
from emonb.run.stages import COMMITTED, LIVE, stages_of
from emonb.study import load_study

READ = ("activations_in_use", "centroids")
"""Committed beside prompts, from which, or from comments alone, they are computed."""
THEIRS = ("dose", "bijections", "wordless")
"""Stages whose origin is that of the lesions."""


def commit_results(study: str, parameters: dict[str, Any]) -> Iterator[Path]:
    """Compute what a study with ``committed`` stages takes from ``data``, and write it there; yields each JSON file.

    What is computed later is computed from what was committed: prompts as they are stored.

    Raises
    ------
    StudyError
        Nothing of the study is committed, or this is no checkout.
    """
    as_read = Run(load_study(study, **parameters))
    stages = [name for name, stage in COMMITTED.items() if stages_of(as_read.study).get(name) is stage]
    if not stages or not in_checkout():
        raise StudyError(f"no stage of '{as_read.study.name}' is committed, or this is no checkout that it could be put in")
    for name in (stage for stage in stages if stage not in READ):
        # the origin of some is that of the lesions
        anew = [s for s in stages[stages.index(name) :] if s not in (*THEIRS, *READ)] or ["lesions"]
        run = Run(load_study(as_read.study, **{f"stages.{stage}": "computed" for stage in anew}))
        if name == "prompts":
            baselines = run.study.baselines if run.study.untrained_baseline else {}
            for each in (run, *map(run.untrained, baselines)):
                prompts = each.load("prompts")
                yield from committed.write_prompts(prompts, each.recipe("prompts"), _folder(each), _log(each, prompts))
        else:
            yield _write(run, name, run.load(name))
    for name in (stage for stage in READ if "prompts" in stages and stage in stages_of(as_read.study)):
        stage = LIVE[name]
        given = {argument: g.get(as_read) for argument, g in stage.given.items()}
        yield _write(as_read, name, stage.function()(**stage.gather(given)))


def commit_so_far(study: str, parameters: dict[str, Any]) -> Iterator[Path]:
    """Write what is made of a study whose prompts and masks are committed: lesions without words, bijections.

    Raises
    ------
    PartError
        None is made.
    """
    run = Run(load_study(study, **parameters, **{"stages.lesions": "computed"}))
    parts, wordless = parts_of(run, "bijections", join=True, so_far=True), bool(run.study.emotion_words)
    if wordless := wordless and run.has("wordless"):
        yield _write(run, "wordless", run.load("wordless"))
    if not wordless or len(parts.missing()) < len(parts.names):
        yield _write(run, "bijections", run.make("bijections", parts))


def _write(run: Run, name: str, made: xr.Dataset) -> Path:
    masks = run.load("masks") if name in ("lesions", "wordless", "bijections") else None
    if masks is not None and name == "wordless":
        masks = pick_masks(masks, run.study.size, run.study.lesions.comparison)
    return committed.write(name, made, run.recipe(name), _folder(run), {} if name == "masks" else _log(run, made), masks)


def _folder(run: Run) -> Path:
    assert run.study.committed is not None  # the study's validation requires it for committed stages
    return data_dir() / run.study.committed


def _log(run: Run, made: xr.Dataset) -> dict[str, Any]:
    """How a result was computed: device, threads, processor, versions; seconds, of prompts a seed's share."""
    share = made.sizes["seed"] if "prompt" in made else 1
    about: dict[str, Any] = {"device": made.attrs.get("device", run.study.device), "threads": run.study.threads}
    if "seconds" in made.attrs:
        about["seconds"] = float(made.attrs["seconds"]) / share
    return {
        **about,
        "machine": platform.machine(),
        **{name: version(name).partition("+")[0] for name in ("emonb", "torch", "numpy")},
    }
