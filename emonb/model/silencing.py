"""Every mask with every prompt on every comment of its task, in bounded memory, resumable; other doses, and moved masks.

Rows of a batch have prompts of their own and share a mask, whose neurons are cut out of the network: what is silent costs
nothing. Masks are taken a few at a time: a group is the unit that a machine reads, and a finished one is kept. Masks that
are moved together by a random bijection of neurons keep their sizes and overlaps; if which neurons they hold tells nothing,
the masks themselves are one more draw of what is lesioned there.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from scipy.stats import rankdata

from emonb.data.comments import hold_words
from emonb.data.tables import arrange, pick_masks
from emonb.model.backbone import Backbone, Live, Remainder
from emonb.model.batches import Budget, Rows, describe, limit_threads, run_halving
from emonb.model.reading import encode_comments, flatten_prompts, read_comments
from emonb.study import LesionPlan
from emonb.units import MASKS_A_PART, Arrays, InTurn, Make, Work, name_blocks, name_groups


def lesion_prompts(
    live: Live,
    prompts: xr.Dataset,
    masks: xr.Dataset,
    seeds: Sequence[int],
    attributes: Sequence[str],
    sizes: Sequence[int],
    lesions: LesionPlan,
    work: Work | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of prompts under every mask, on the plan's split.

    ``prompts``: ``prompt`` (seed, emotion, position, dimension), from :func:`emonb.model.tuning.tune_prompts`; ``masks``:
    ``silenced`` (mask, layer, neuron), bool, from :func:`emonb.analysis.masks.plan_masks`; ``seeds``: those whose prompts
    are lesioned; ``attributes``, ``sizes``: order of the result, which is as :func:`emonb.data.tables.arrange` puts it;
    ``lesions``: ablation, split, examples, seed; ``work``: where groups of masks are read and kept, here and in memory if
    not given.
    """
    work = work or InTurn()
    lesioned, silenced = prompts.prompt.sel(seed=list(seeds)), masks.silenced

    with limit_threads(live.threads):

        def begin() -> Make:
            return _open_sweep(live, lesioned, silenced, lesions, work.halve).make

        parts = work.each(name_groups(silenced.sizes["mask"]), begin, progress)
    swept = label_sweep(parts, lesioned, silenced)
    silences = xr.DataArray(silenced.any(("layer", "neuron")).values, dims="mask")
    for name in ("accuracy", "auc"):  # of an attribute that no neuron follows nothing is silenced: nothing is known
        swept[name] = swept[name].where(silences)
    return arrange(swept, attributes, sizes).assign_attrs(ablation=lesions.ablation, split=lesions.split)


def lesion_wordless(
    live: Live,
    prompts: xr.Dataset,
    masks: xr.Dataset,
    words: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    attributes: Sequence[str],
    size: int,
    lesions: LesionPlan,
    work: Work | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC on comments that hold none of the emotions' words, under masks of one size and the claims' kind.

    Is it the emotion that prompts recognise, or the word? Emotions of which no comment is left are left out.

    ``words``: of each emotion; a comment with a word of any goes. ``size``: of the masks. Else as :func:`lesion_prompts`.
    """
    held = hold_words(list(live.comments["text"]), chain.from_iterable(words.values()))
    left = live.comments[~held].reset_index(drop=True)
    tested = left[left["split"] == lesions.split]
    known = [emotion for emotion in prompts.emotion.values.tolist() if tested[emotion].any()]
    prompts, masks = prompts.sel(emotion=known), pick_masks(masks, size, lesions.comparison)
    return lesion_prompts(live._replace(comments=left), prompts, masks, seeds, attributes, [size], lesions, work, progress)


def _open_sweep(live: Live, lesioned: xr.DataArray, silenced: xr.DataArray, lesions: LesionPlan, halve: bool) -> "Sweep":
    """Open the network, read the comments of a plan's split for prompts (seed, emotion, ...), and what silence is."""
    opened = live.open(lesioned.sizes["position"])
    budget = Budget(2 * live.tuning.tokens_per_batch, halve)  # nothing is kept for a backward pass
    replacement = None
    if lesions.ablation != "zero":  # what a neuron does while comments are read; never the comments it is tested on
        rows = encode_comments(live, opened, lesioned, "dev", lesions.examples)
        does = read_comments(opened, lesioned, rows, budget.positions)
        replacement = draw_replacement(lesions.ablation, does, lesions.seed)
    rows = encode_comments(live, opened, lesioned, lesions.split, lesions.examples)
    return Sweep(opened, lesioned, silenced, rows, budget, replacement)


def label_sweep(parts: Sequence[Arrays], prompts: xr.DataArray, masks: xr.DataArray) -> xr.Dataset:
    """Join units [masks of the unit, prompt]; the first is without a mask."""
    shape = (prompts.sizes["seed"], prompts.sizes["emotion"])  # [prompt] -> [seed, emotion]
    arrays: dict[str, Any] = {}
    for name, plain in (("accuracy", "baseline"), ("auc", "baseline_auc")):
        every = np.concatenate([part[name] for part in parts]).reshape(-1, *shape)
        arrays |= {name: (("mask", "seed", "emotion"), every[1:]), plain: (("seed", "emotion"), every[0])}
    coords = {name: masks.coords[name] for name in ("kind", "attribute", "size", "draw") if name in masks.coords}
    return xr.Dataset(arrays, coords={"seed": prompts.seed.values, "emotion": prompts.emotion.values, **coords})


def draw_replacement(ablation: str, activations: xr.DataArray, seed: int) -> torch.Tensor:
    """Values put in place of silenced ones, [prompts, layers, neurons].

    ``ablation``: 'mean', the mean of the activations (seed, emotion, layer, neuron) over prompts, or 'resample', the
    activations of a random other prompt.
    """
    values = activations.transpose("seed", "emotion", "layer", "neuron").to_numpy()
    n = values.shape[0] * values.shape[1]
    values = values.reshape(n, *values.shape[2:]).astype(np.float32)  # [prompt, layer, neuron]
    if ablation == "mean":
        values = np.broadcast_to(values.mean(0), values.shape)
    elif ablation == "resample":
        shift = np.random.default_rng(seed).integers(1, n, size=n)  # never a prompt's own
        values = values[(np.arange(n) + shift) % n]
    else:
        raise ValueError(f"unknown ablation '{ablation}'; use mean or resample")
    return torch.from_numpy(np.ascontiguousarray(values))


class _Batch(NamedTuple):
    """Comments that go through the network together, on the device."""

    rows: torch.Tensor  # [B]: which of all rows
    prompt: torch.Tensor  # [B]: prompt of each row
    tokens: torch.Tensor  # [B, longest]
    heard: torch.Tensor | None  # [B, 1, d]: what no lesion changes (:meth:`Backbone.hear`)


class Sweep:
    """Accuracy and AUC of every prompt under every mask (Li et al., manipulation; neurons silenced at every position).

    Here is what does not change between masks: prompts and padded comments on the device, which row is whose.

    Parameters
    ----------
    backbone : Backbone
    prompts : DataArray, dims (seed, emotion, position, dimension)
    masks : DataArray of bool, dims (mask, layer, neuron)
        True where a neuron is silenced.
    rows : Rows
        Comments of each prompt, in the order of :func:`emonb.model.reading.prompt_keys`.
    budget : Budget
    replacement : Tensor, [prompts, layers, neurons], optional
        Values in place of the silenced ones, from :func:`draw_replacement`; 0 if not given.
    """

    def __init__(
        self,
        backbone: Backbone,
        prompts: xr.DataArray,
        masks: xr.DataArray,
        rows: Rows,
        budget: Budget,
        replacement: torch.Tensor | None = None,
    ) -> None:
        self.backbone, self.rows, self.budget = backbone, rows, budget
        self.prompts = flatten_prompts(prompts).to(backbone.device, backbone.dtype)  # [prompt, position, d]
        self.masks = torch.from_numpy(masks.transpose("mask", "layer", "neuron").to_numpy())
        self.replacement = None if replacement is None else replacement.to(backbone.device)

    def make(self, group: slice | None, checkpoint: Path | None = None) -> tuple[Arrays, dict[str, str]]:
        """Accuracy and AUC [n_masks, n_prompts] of one unit, and how it was made; a unit is too short for a checkpoint."""
        about = describe(self.backbone.device, self.budget, self.backbone.dtype)
        return self.run(group), about

    @torch.no_grad()
    def run(self, group: slice | None) -> Arrays:
        """Accuracy and AUC [n_masks, n_prompts] under a group of the masks, or of the intact network.

        A mask's silenced neurons are cut out of the network before its comments are read.
        """
        if group is None:
            return self.score(self.read(None)[None])
        masks = self.masks[group].to(self.backbone.device)
        return self.score(np.stack([self.read(self.backbone.cut(mask, self.replacement)) for mask in masks]))

    @cached_property
    def _batches(self) -> list[_Batch]:
        device, rows, made = self.backbone.device, self.rows, []
        for group in rows.batches(np.arange(len(rows)), 1 + self.prompts.shape[1], self.budget.positions):
            of, prompt = (torch.from_numpy(part).to(device) for part in (group, rows.prompt[group]))
            tokens = rows.tokens(group, device)
            made.append(_Batch(of, prompt, tokens, self.backbone.hear(self.prompts[prompt], tokens)))
        return made

    def read(self, lesion: Sequence[Remainder] | None) -> np.ndarray:
        """Margin [n_rows] of "yes" over "no"; stays on the device until all comments are read.

        In float32 whatever it was computed in: equal comments then are ties on every processor.
        """
        margin = torch.empty(len(self.rows), device=self.backbone.device)

        def step(batch: _Batch, part: np.ndarray) -> None:
            some = torch.from_numpy(part).to(batch.rows.device)
            rows, prompt, tokens = (of[some] for of in (batch.rows, batch.prompt, batch.tokens))
            heard = None if batch.heard is None else batch.heard[some]
            logits, _ = self.backbone.forward(
                self.prompts[prompt], tokens, lesion=lesion, prompt_of_row=prompt, heard=heard
            )
            margin[rows] = (logits[:, 1] - logits[:, 0]).float()

        for batch in self._batches:
            run_halving(np.arange(len(batch.rows)), partial(step, batch), self._halve)
        return margin.cpu().numpy()

    def _halve(self, rows: int) -> None:
        """Take smaller batches from the next mask on."""
        self.budget.shrink(rows, 1 + self.prompts.shape[1] + int(self.rows.length.max()))
        self.__dict__.pop("_batches", None)

    def score(self, margin: np.ndarray) -> dict[str, np.ndarray]:
        """Accuracy and AUC [n, n_prompts] of margins [n, n_rows]."""
        accuracy = np.empty((len(margin), len(self.prompts)))
        auc = np.empty_like(accuracy)
        for p in range(len(self.prompts)):
            mine, labels = margin[:, self.rows.prompt == p], self.rows.label[self.rows.prompt == p]
            accuracy[:, p] = ((mine > 0) == labels).mean(1)
            auc[:, p] = area_under_curve(mine, labels)
        return {"accuracy": accuracy, "auc": auc}


def area_under_curve(margin: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of margins [n_rows, n_examples], ties counted half; 0.5 when one class is missing.

    >>> area_under_curve(np.array([[0.1, 0.4, 0.8]]), np.array([False, True, True])).tolist()
    [1.0]
    """
    n_yes, n_no = int(labels.sum()), int((~labels).sum())
    if not n_yes or not n_no:
        return np.full(len(margin), 0.5)
    ranks = rankdata(margin, axis=1)
    return (ranks[:, labels].sum(1) - n_yes * (n_yes + 1) / 2) / (n_yes * n_no)


DOSES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""What neurons after the activation function are multiplied by: silenced, half, intact, one and a half times, twice."""


def dose_prompts(
    live: Live,
    prompts: xr.Dataset,
    masks: xr.Dataset,
    seeds: Sequence[int],
    size: int,
    lesions: LesionPlan,
    work: Work | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of prompts with a mask's neurons at every dose, and with all other FFN neurons silenced.

    As :func:`lesion_prompts`, of the first selective mask of one ``size`` and the first of the plan's comparison for every
    attribute. Other values are never put in place: the plan's ablation is not asked for.

    Returns
    -------
    Dataset
        ``accuracy`` and ``auc`` (mask, dose, seed, emotion); ``only_accuracy`` and ``only_auc`` (mask, seed, emotion) with
        nothing but the mask's neurons; ``kind`` and ``attribute`` along ``mask``.
    """
    work = work or InTurn()
    masks = pick_masks(masks, size, lesions.comparison)
    picked, tested = masks.silenced[(masks.draw == 0).values], prompts.prompt.sel(seed=list(seeds))

    def begin() -> Make:
        sweep = _open_sweep(live, tested, picked, lesions.model_copy(update={"ablation": "zero"}), work.halve)
        opened = sweep.backbone

        @torch.no_grad()
        def make(group: slice, checkpoint: Path | None = None) -> tuple[Arrays, dict[str, str]]:
            margins = []
            for mask in sweep.masks[group].to(opened.device):
                margins += [sweep.read(opened.scale(mask, dose) if dose else opened.cut(mask)) for dose in DOSES]
                margins.append(sweep.read(opened.cut(~mask)))
            return sweep.score(np.stack(margins)), describe(opened.device, sweep.budget, opened.dtype)

        return make

    with limit_threads(live.threads):
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


def lesion_moved(
    live: Live,
    prompts: xr.Dataset,
    masks: xr.Dataset,
    seeds: Sequence[int],
    size: int,
    bijections: int,
    within_layers: bool,
    lesions: LesionPlan,
    work: Work | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Accuracy and AUC of prompts under attributes' masks of one size, moved together by random bijections of neurons.

    As :func:`lesion_prompts`; a unit is a bijection with the masks of all attributes. ``bijections``: how many, 0 for
    none; each depends on its own number and the plan's seed, so that more hold fewer. ``within_layers``: every neuron
    stays in its layer. Gives ``accuracy`` and ``auc`` (bijection, attribute, seed, emotion); NaN for an attribute without
    a mask.
    """
    work = work or InTurn()
    chosen = (masks.kind == "selective") & (masks["size"] == size)
    own, tested = masks.silenced[chosen.values], prompts.prompt.sel(seed=list(seeds))
    n = own.sizes["mask"]

    def begin() -> Make:
        moved = [move_masks(own, number, within_layers, lesions.seed) for number in range(bijections)]
        return _open_sweep(live, tested, xr.concat(moved, "mask"), lesions, work.halve).make

    with limit_threads(live.threads):
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
    """Move masks (mask, layer, neuron) together by one random bijection of neurons; they keep their sizes and overlaps.

    ``number`` and ``seed`` draw the bijection; ``within_layers``: every neuron stays in its layer, and so each mask keeps
    its number of neurons a layer.
    """
    rng = np.random.default_rng([seed, number, *b"moved"])
    values = masks.transpose("mask", "layer", "neuron").to_numpy()
    if within_layers:
        moved = np.stack([layer[:, rng.permutation(values.shape[2])] for layer in values.swapaxes(0, 1)], axis=1)
    else:
        moved = values.reshape(len(values), -1)[:, rng.permutation(values[0].size)].reshape(values.shape)
    return masks.transpose("mask", "layer", "neuron").copy(data=moved)
