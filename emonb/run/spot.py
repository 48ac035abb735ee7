"""A random few of a study's committed prompts and lesions made again from nothing, and compared.

Rounding differs between processors, and more so in bfloat16. Silencing is one pass, so a comment's
verdict turns only where it was a near tie. Tuning is hundreds of steps that each feed on the one
before, and rounding grows: two processors, or one that tunes a prompt alone and one that tunes it
in company, end with different vectors that do the same thing. So prompts are compared by how they
begin and by what they do. A processor without bfloat16 would emulate it, at minutes a prompt:
there all is recomputed in float32.

How far apart is near enough, and how that was measured, is told in ``data/minilm/README.md``.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from emonb.errors import StudyError
from emonb.run.runs import Run
from emonb.run.stages import COMMITTED, stage_of
from emonb.study import BackboneConfig

if TYPE_CHECKING:
    from emonb.model.backbone import Live

LOSS, LEARNED, NEAREST, CHOSEN, UNDER_MASK = 0.01, 0.65, 0.75, 0.03, 0.01
Row = dict[str, Any]


def spot_check(run: Run, prompts: int, masks: int, seed: int, log: Callable[[str], None] = lambda line: None) -> list[Row]:
    """Make a random few of a study's committed prompts and lesions again, so many of each, and compare.

    Returns rows of ``name``, ``committed``, ``recomputed``, ``tolerance``, ``same``, for
    :func:`emonb.book.ledger.describe_row`. A StudyError where nothing of the study is committed.
    """
    origins = {name: stage_of(name, run.study) is COMMITTED[name] for name in ("prompts", "lesions")}
    if (prompts and not origins["prompts"]) or (masks and not origins["lesions"]):
        what = " and ".join(name for name, committed in origins.items() if not committed)
        raise StudyError(f"the {what} of '{run.study.name}' are not committed: there is nothing to compare with")
    backbone = choose_format(run)
    if backbone != run.backbone():
        log("computing in float32, as this processor multiplies no bfloat16")
    rng = np.random.default_rng(seed)
    checked = _check_prompts(run, backbone, prompts, rng, log)
    return [*checked, *_check_lesions(run, backbone, masks, rng, log)]


def choose_format(run: Run) -> BackboneConfig:
    """Settings of a study's backbone, with float32 in place of a bfloat16 that would be emulated."""
    from emonb.model.batches import multiplies_bfloat16, pick_device

    backbone = run.backbone()
    on_cpu = pick_device(run.study.device).type == "cpu"
    emulated = backbone.dtype == "bfloat16" and on_cpu and not multiplies_bfloat16()
    return backbone.model_copy(update={"dtype": "float32"}) if emulated else backbone


def _check_prompts(
    run: Run, backbone: BackboneConfig, n: int, rng: np.random.Generator, log: Callable[[str], None]
) -> Iterator[Row]:
    """Tune a few prompts from their first vectors."""
    from emonb.model.reading import read_activations
    from emonb.model.tuning import tune_prompts

    study, committed = run.study, run.load("prompts") if n else None
    for k in rng.choice(len(study.seeds) * len(study.emotions), n, replace=False).tolist() if n else ():
        mine, emotion = study.seeds[k // len(study.emotions)], study.emotions[k % len(study.emotions)]
        name = f"{emotion}, seed {mine}"
        log(f"tuning {name}")
        assert committed is not None
        tuned = tune_prompts(_live(run, backbone), [emotion], [mine], study.prompt_length, progress=run.progress)
        at, there = {"seed": mine, "emotion": emotion}, committed.sel(seed=[mine])
        loss, accuracy = ([of[n].sel(at).values.flat[0] for of in (there, tuned)] for n in ("train_loss", "accuracy"))
        yield _row(f"first loss: {name}", loss[0], loss[1], bound_loss(*loss))
        near_enough = bound_accuracy(accuracy[0], count_comments(run, emotion, mine))
        yield _row(f"accuracy: {name}", accuracy[0], accuracy[1], near_enough)
        old, new = (
            read_activations(each, backbone, study.layers, study.neurons, study.device, study.threads).activation
            for each in (there, tuned)
        )
        common = old.mean("emotion")
        near = xr.corr(old - common, (new - common).isel(emotion=0, drop=True), ("layer", "neuron")).isel(seed=0)
        others = near.drop_sel(emotion=emotion)
        yield _row(f"read-out: {name}", 1.0, float(near.sel(emotion=emotion)), 1 - float(others.quantile(NEAREST)))


def _check_lesions(
    run: Run, backbone: BackboneConfig, n: int, rng: np.random.Generator, log: Callable[[str], None]
) -> Iterator[Row]:
    """Silence the neurons of a few masks under the prompts of one seed."""
    from emonb.analysis.masks import plan_masks
    from emonb.model.silencing import lesion_prompts

    if not n:
        return
    study, masks, committed = run.study, run.load("masks"), run.load("lesions")
    for m in rng.choice(masks.sizes["mask"], n, replace=False).tolist():
        kind, attribute, size, draw = (masks[label].values[m].item() for label in ("kind", "attribute", "size", "draw"))
        name, seeds = f"{kind} mask, {attribute}, N = {size}, draw {draw}", study.lesioned_seeds
        if study.lesions.ablation == "zero":  # other values in place of silenced ones are taken from all prompts
            seeds = (int(rng.choice(seeds)),)
        log(f"silencing: {name}, under prompts of seed {', '.join(map(str, seeds))}")
        planned = plan_masks(
            run.load("activations"), run.load("humans").sel(attribute=[attribute]), study.choosing_seeds, [size], [], 1,
            study.lesions.seed
        )  # fmt: skip
        chosen = (masks.kind == "selective") & (masks.attribute == attribute) & (masks["size"] == size)
        both = planned.silenced.values[0] & masks.silenced.values[chosen.values][0]
        yield _row(f"neurons chosen, share: {attribute}, N = {size}", 1.0, float(both.sum() / size), CHOSEN)
        live, one = _live(run, backbone), masks.isel(mask=[m])
        found = lesion_prompts(live, run.load("prompts"), one, seeds, [attribute], [size], study.lesions, progress=False)
        comments = sum(count_comments(run, e, s, study.lesions.split, study.lesions.examples) for s in seeds
                       for e in study.emotions)  # fmt: skip
        near = max(UNDER_MASK, 2 / comments)
        there = committed.sel(seed=list(seeds))
        for what, old, new in (("without a mask", there.baseline, found.baseline),
                               (name, there.mask_accuracy[m], found.mask_accuracy[0])):  # fmt: skip
            yield _row(f"accuracy: {what}, seed {seeds[0]}", float(old.mean()), float(new.mean()), near)


def _live(run: Run, backbone: BackboneConfig) -> "Live":
    from emonb.model.backbone import Live

    study = run.study
    comments = run.load("comments")
    return Live(backbone, study.layers, study.neurons, comments, study.tuning, study.device, study.threads)


def count_comments(run: Run, emotion: str, seed: int, split: str = "dev", examples: int | None = None) -> int:
    """Comments that an accuracy is taken on."""
    from emonb.data.comments import make_task

    most = examples if split != "dev" else run.study.tuning.examples
    return len(make_task(run.load("comments"), emotion, seed, split, run.study.tuning.negatives, most).rows)


def bound_loss(first: float, second: float) -> float:
    """How far apart the training losses of two first epochs may be: the further, the more was learned.

    >>> bound_loss(0.7, 0.7), round(bound_loss(0.6, 0.55), 3)
    (0.01, 0.103)
    """
    return LOSS + LEARNED * max(0.0, math.log(2) - min(first, second))


def bound_accuracy(accuracy: float, n: int) -> float:
    """Three standard errors of the difference of two accuracies near this one, each on n comments.

    They are the same comments, on which two prompts that learned the same agree more often: the bound is generous.

    >>> round(bound_accuracy(0.8, 400), 3)
    0.085
    """
    p = (accuracy * n + 1) / (n + 2)
    return 3 * math.sqrt(2 * p * (1 - p) / n)


def _row(name: str, committed: float, recomputed: float, tolerance: float) -> Row:
    old, new = float(committed), float(recomputed)
    same = abs(new - old) <= tolerance + 1e-9
    return {"name": name, "committed": old, "recomputed": new, "tolerance": tolerance, "same": same}
