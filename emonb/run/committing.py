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
    """Compute a study's prompts, those of its untrained networks, masks, lesions and doses, and write them under ``data``.

    What is computed later is computed from what was committed: prompts as they are stored.

    Parameters
    ----------
    study : str
        With stages that are ``committed``.
    parameters : dict
        Fields to change.

    Yields
    ------
    Path
        JSON file of each result, once it is written.

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
        elif name == "masks":
            yield committed.write_masks(run.load(name), run.recipe(name), _folder(run), {})
        elif name == "bijections":
            yield _write_moved(run, run.load(name))
        elif name == "wordless":
            yield _write_wordless(run)
        elif name == "dose":
            yield committed.write_dose(run.load(name), run.recipe(name), _folder(run), _log(run, run.load(name)))
        else:
            found = run.load(name)
            yield committed.write_lesions(found, run.load("masks"), run.recipe(name), _folder(run), _log(run, found))
    for name in (stage for stage in READ if "prompts" in stages and stage in stages_of(as_read.study)):
        given = {argument: g.get(as_read) for argument, g in LIVE[name].given.items()}
        stage, write = LIVE[name], getattr(committed, f"write_{name}")
        made = stage.function()(**stage.gather(given))
        yield write(made, as_read.recipe(name), _folder(as_read), _log(as_read, made))


def commit_so_far(study: str, parameters: dict[str, Any]) -> Iterator[Path]:
    """Write what is made of a study whose prompts and masks are committed: lesions without words, bijections.

    Yields
    ------
    Path
        JSON file of each.

    Raises
    ------
    PartError
        None is made.
    """
    run = Run(load_study(study, **parameters, **{"stages.lesions": "computed"}))
    parts, wordless = parts_of(run, "bijections", join=True, so_far=True), bool(run.study.emotion_words)
    if wordless := wordless and run.has("wordless"):
        yield _write_wordless(run)
    if not wordless or len(parts.missing()) < len(parts.names):
        yield _write_moved(run, run.make("bijections", parts))


def _write_wordless(run: Run) -> Path:
    made, plan = run.load("wordless"), run.study.lesions
    masks = pick_masks(run.load("masks"), run.study.size, plan.comparison)
    return committed.write_lesions(made, masks, run.recipe("wordless"), _folder(run), _log(run, made), "wordless")


def _write_moved(run: Run, moved: xr.Dataset) -> Path:
    return committed.write_moved(moved, run.load("masks"), run.recipe("bijections"), _folder(run), _log(run, moved))


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
