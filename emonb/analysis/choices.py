"""Every claim under other defensible choices of analysis: specification curves.

A claim's effect under every defensible choice, sorted, with the share that passes (Simonsohn, Simmons & Nelson 2020, Nat
Hum Behav 4:1208); also called a multiverse analysis (Steegen et al. 2016). Each claim keeps its estimand; what varies is
what an analyst could as well have decided: N, seeds, comparison, measure, what a loss is counted from, and the test of
claims about lesions; distance, centring, layers, seeds and what is given of those about the map of emotions; seeds and
layers of own neurons.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.importance import draw_importance, loss_test, name_subsets
from emonb.analysis.lesions import ALL, compare_masks, is_matched, mask_means, rank_masks, relate_masks
from emonb.analysis.neurons import search_neurons
from emonb.analysis.own import best_p, count_attributes, find_own_neurons
from emonb.analysis.profile import profile_test, stand_out
from emonb.analysis.rdm import halve, order_emotions, pattern_rdm, rank_neuron_rdms
from emonb.analysis.reliance import draw_profiles, relate_profiles
from emonb.analysis.statistics import Estimate
from emonb.analysis.structure import fit_rdms
from emonb.analysis.words import estimate_given

Plan = tuple[Mapping[str, Sequence[Any]], Callable[..., Estimate | None]]
"""The options of every choice of a claim, and its analysis under one option of each."""
EVERY, ALPHA = "all", 0.05


def specify(choices: Mapping[str, Sequence[Any]], analyse: Callable[..., Estimate | None]) -> pd.DataFrame:
    """Run one analysis under every combination of choices.

    A specification passes where its two-sided p is below .05 and its 95 % interval above zero, as the rule for verdicts
    has it. It is no sample: nothing is inferred from how many pass, and they are far from independent. Unit of
    inference, population and assumptions are those of ``analyse`` under each choice.

    ``choices``: the options of every choice, by name; ``analyse``: called with one option of every choice by name, and
    None where these options make no sense together (ValueError where none do). Gives one row a specification, by ascending
    ``value``: the options, the fields of :class:`~emonb.analysis.statistics.Estimate`, ``passes``.

    >>> from emonb.analysis.statistics import from_t
    >>> choices = {"sign": [1, -1], "error": [1.0, 0.25]}
    >>> curve = specify(choices, lambda sign, error: from_t(sign, error, 20))
    >>> curve[["sign", "error", "passes"]].values.tolist()
    [[-1, 1.0, False], [-1, 0.25, False], [1, 1.0, False], [1, 0.25, True]]
    """
    rows = []
    for options in product(*choices.values()):
        chosen = dict(zip(choices, options, strict=True))
        effect = analyse(**chosen)
        if effect is not None:
            rows.append({**chosen, **effect._asdict(), "passes": effect.p < ALPHA and effect.low > 0})
    if not rows:
        raise ValueError(f"no combination of {', '.join(choices)} makes sense together")
    return pd.DataFrame(rows).sort_values("value", kind="stable", ignore_index=True)


def thirds(layers: Sequence[int]) -> dict[str, np.ndarray]:
    """All layers, and the lower, middle and upper ones where there are at least three.

    >>> {name: some.tolist() for name, some in thirds([1, 2, 3, 4]).items()}
    {'all': [1, 2, 3, 4], 'lower': [1, 2], 'middle': [3], 'upper': [4]}
    """
    parts = np.array_split(np.asarray(layers), 3) if len(layers) > 2 else []
    return {EVERY: np.asarray(layers), **dict(zip(("lower", "middle", "upper"), parts, strict=False))}


def known(effect: Estimate) -> Estimate | None:
    """The estimate, if it has an interval and a p."""
    return effect if np.isfinite([effect.value, effect.low, effect.high, effect.p]).all() else None


PERMUTATIONS = 999
INTACT = "intact"


def plan_lesions(
    lesions: xr.Dataset,
    sets: xr.DataArray,
    rdms: xr.Dataset,
    score: xr.DataArray,
    sizes: Sequence[int],
    seed: int,
) -> dict[str, Plan]:
    """Choices and analysis of *lesions*, *profile* and *importance*.

    ``sets``: bool (attribute, size, layer, neuron), the neurons silenced (:func:`emonb.analysis.lesions.rank_masks`);
    ``rdms``: ``human`` (pair), ``attribute_rdm`` (attribute, pair); ``score`` (emotion, attribute).
    """
    masks = _Masks(lesions, sizes)
    return {
        "lesions": _lesions(masks, sets),
        "profile": _profile(masks, rdms, seed),
        "importance": _importance(masks, rdms, score, seed),
    }


def _lesions(masks: "_Masks", sets: xr.DataArray) -> Plan:
    """Loss under attributes' masks as a share of that under each kind of random mask."""
    related = {matched: relate_masks(sets, matched) for matched in {is_matched(k) for k in masks.choices["comparison"]}}

    @cache
    def compare(comparison: str, measure: str, seeds: str) -> pd.DataFrame:
        selective, random = masks.pair(seeds, measure, comparison)
        matched, intact = is_matched(comparison), masks.intact(seeds, measure)
        return compare_masks(selective, random, related[matched], intact, matched)

    def analyse(comparison: str, measure: str, seeds: str, N: Any) -> Estimate | None:
        return _row(compare(comparison, measure, seeds), N)

    return masks.choices, analyse


def _profile(masks: "_Masks", rdms: xr.Dataset, seed: int) -> Plan:
    """Loss against the intact network, or against each kind of random mask; as a share of what the latter cost."""
    standing, kinds = stand_out(rdms.attribute_rdm), masks.choices["comparison"]

    def analyse(measure: str, seeds: str, N: Any, baseline: str) -> Estimate | None:
        loss = masks.loss(seeds, measure, baseline, N, by_emotion=True).mean("size")
        if loss.sizes["attribute"] < 3:
            return None
        random = masks.pair(seeds, measure, kinds[0] if baseline == INTACT else baseline, N)[1]
        cost = masks.intact(seeds, measure) - float(random.mean())
        return known(profile_test(loss, standing.sel(attribute=loss.attribute), PERMUTATIONS, seed, cost).slope)

    return _baselines(masks.choices), analyse


def _importance(masks: "_Masks", rdms: xr.Dataset, score: xr.DataArray, seed: int) -> Plan:
    """Loss as for the profile; all attributes, or without the two that are most alike; attributes or emotions permuted."""
    drawn = draw_importance(rdms.attribute_rdm, rdms.human, PERMUTATIONS, seed)
    subsets = name_subsets(score)

    @cache
    def test(measure: str, seeds: str, baseline: str, attributes: str) -> pd.DataFrame:
        loss = masks.loss(seeds, measure, baseline)
        kept = [name for name in loss.attribute.values if name in subsets[attributes]]
        return loss_test(loss.sel(attribute=kept), drawn, seed)

    def analyse(measure: str, seeds: str, N: Any, baseline: str, attributes: str, permuted: str) -> Estimate | None:
        table = test(measure, seeds, baseline, attributes)
        return _row(table if permuted == "attributes" else table.assign(p=table["p_emotions"]), N)

    return {**_baselines(masks.choices), "attributes": list(subsets), "permuted": ["attributes", "emotions"]}, analyse


class _Masks:
    """Means of masks, each made once, and the choices that all claims about lesions have."""

    def __init__(self, data: xr.Dataset, sizes: Sequence[int]) -> None:
        self.sizes, halves = list(sizes), halve(data.seed.values)
        self.choices: dict[str, list[Any]] = {
            "comparison": [str(kind) for kind in data.kind.values if kind != "selective"],
            "measure": [name for name in ("accuracy", "auc") if name in data],
            "seeds": list(halves),
            "N": [*sizes, ALL],
        }

        @cache
        def read(seeds: str, measure: str, kind: str, by_emotion: bool) -> xr.DataArray:
            return mask_means(data.sel(seed=halves[seeds]), kind, self.sizes, measure, by_emotion)

        def intact(seeds: str, measure: str) -> float:
            baseline = data["baseline" if measure == "accuracy" else f"baseline_{measure}"]
            return float(baseline.sel(seed=halves[seeds]).mean())

        self._read, self.intact = read, intact

    def pair(
        self, seeds: str, measure: str, comparison: str, N: Any = ALL, by_emotion: bool = False
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Selective masks and random ones."""
        sizes = self.sizes if N == ALL else [N]
        selective, random = (
            self._read(seeds, measure, kind, by_emotion).sel(size=sizes) for kind in ("selective", comparison)
        )
        return selective, random

    def loss(self, seeds: str, measure: str, baseline: str, N: Any = ALL, by_emotion: bool = False) -> xr.DataArray:
        """Loss against random masks, or against the intact network, whose accuracy is a constant and left out."""
        selective, other = self.pair(seeds, measure, "selective" if baseline == INTACT else baseline, N, by_emotion)
        return -selective.mean("draw") if baseline == INTACT else other.mean("draw") - selective.mean("draw")


def _baselines(choices: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The same with what a loss is counted from in place of the comparison."""
    return {**{k: v for k, v in choices.items() if k != "comparison"}, "baseline": [INTACT, *choices["comparison"]]}


def _row(table: pd.DataFrame, name: Any) -> Estimate | None:
    row = table.loc[name]
    return known(Estimate(*(float(row.get(field, np.nan)) for field in Estimate._fields)))


MAP_PERMUTATIONS = 499
Read = Callable[[str, str, str, str], xr.DataArray | None]


def plan_maps(
    activation: xr.DataArray, rdms: xr.Dataset, words: xr.Dataset, halves: xr.Dataset, score: xr.DataArray, seed: int
) -> dict[str, Plan]:
    """Choices and analysis of *structure*, *words* and *reliance*.

    ``activation`` (seed, emotion, layer, neuron); ``rdms``: ``human`` (pair), ``attribute_rdm`` (attribute, pair);
    ``words``, ``halves``: RDMs (pair) of the comments' words and labels, and (half, pair) of those of half of the
    comments; ``score`` (emotion, attribute).
    """
    choices, read = _read_maps(activation, rdms.human)
    covariates = {name: [str(name)] for name in words.data_vars} | {EVERY: [str(name) for name in words.data_vars]}
    kept = name_subsets(score)

    def structure(distance: str, centred: str, layers: str, seeds: str) -> Estimate | None:
        model = read(distance, centred, layers, seeds)
        if model is None:
            return None
        return known(fit_rdms(model, rdms.human, MAP_PERMUTATIONS, seed))

    def beyond_words(distance: str, centred: str, layers: str, seeds: str, given: str) -> Estimate | None:
        model = read(distance, centred, layers, seeds)
        if model is None:
            return None
        known_words, noisier = (some[covariates[given]].to_dataarray("given") for some in (words, halves))
        return known(estimate_given(model, rdms.human, known_words, noisier))

    @cache
    def profiles(distance: str, centred: str, layers: str, seeds: str) -> xr.Dataset | None:
        model = read(distance, centred, layers, seeds)
        return None if model is None else draw_profiles(model, rdms.human, rdms.attribute_rdm, MAP_PERMUTATIONS, seed)

    def reliance(distance: str, centred: str, layers: str, seeds: str, attributes: str) -> Estimate | None:
        drawn = profiles(distance, centred, layers, seeds)
        return None if drawn is None else known(relate_profiles(drawn.sel(attribute=kept[attributes])))

    return {
        "structure": (choices, structure),
        "words": ({**choices, "given": list(covariates)}, beyond_words),
        "reliance": ({**choices, "attributes": list(kept)}, reliance),
    }


def _read_maps(activation: xr.DataArray, human: xr.DataArray) -> tuple[Mapping[str, list[Any]], Read]:
    """Choices that every claim on the map has, and the network's RDM under them: None where they make no sense together."""
    ordered = order_emotions(activation, human).transpose("seed", "emotion", "layer", "neuron")
    halves, depths = halve(activation.seed.values), thirds(activation.layer.values)

    @cache
    def average(layers: str, seeds: str) -> np.ndarray:
        values = ordered.sel(seed=halves[seeds], layer=depths[layers]).mean("seed").to_numpy()
        return values.reshape(len(values), -1).astype(float)  # [emotion, layer * neuron]

    @cache
    def read(distance: str, centred: str, layers: str, seeds: str) -> xr.DataArray | None:
        if distance == "euclidean" and centred == "yes":  # the distance is the same
            return None
        patterns = average(layers, seeds)
        if centred == "yes":
            patterns = patterns - patterns.mean(0)
        if distance == "correlation" and not np.ptp(patterns, axis=1).all():
            return None
        return human.copy(data=pattern_rdm(patterns, distance))

    choices = {"distance": ["correlation", "euclidean"], "centred": ["no", "yes"]}
    return {**choices, "layers": list(depths), "seeds": list(halves)}, read


ROTATIONS, ENOUGH = 1_000, 10
"""At most, in each of five sets, and how many of them must be as good as an attribute for no more to be drawn."""


def plan_neurons(ranks: xr.DataArray, humans: xr.Dataset, own_null: xr.Dataset, seed: int) -> dict[str, Plan]:
    """Choices and analysis of *own*.

    The test is :func:`emonb.analysis.own.find_own_neurons` with few rotations and the moments of the claim's own test:
    these say how a verdict hangs on choices, and not what it is.

    ``ranks`` (seeds, layer, neuron, pair): from :func:`emonb.analysis.rdm.rank_halves`; ``humans``: ``attribute_rdm``
    (attribute, pair), ``score`` (emotion, attribute); ``own_null``: the claim's own test, of all seeds and layers.
    """
    depths = thirds(ranks.layer.values)

    def own(seeds: str, layers: str) -> Estimate:
        some = ranks.sel(seeds=seeds, layer=depths[layers])
        return count_attributes(best_p(find_own_neurons(some, humans, ROTATIONS, seed, null=own_null, enough=ENOUGH)))

    return {"own": ({"seeds": ranks.seeds.values.tolist(), "layers": list(depths)}, own)}


CHOICES = (
    "N",
    "seeds",
    "comparison",
    "measure",
    "baseline",
    "attributes",
    "permuted",
    "distance",
    "centred",
    "layers",
    "given",
)


def specify_claims(
    activations: xr.Dataset,
    ranks: xr.DataArray,
    light: xr.Dataset,
    humans: xr.Dataset,
    rdms: xr.Dataset,
    words: xr.Dataset,
    halves: xr.Dataset,
    own: xr.Dataset,
    lesions: xr.Dataset,
    choosing_seeds: Sequence[int],
    sizes: Sequence[int],
    seed: int,
) -> xr.Dataset:
    """Run each claim's analysis under every combination of its choices (:func:`emonb.analysis.choices.specify`).

    All but ``ranks`` (seeds, layer, neuron, pair), which are of all seeds and of both halves
    (:func:`emonb.analysis.rdm.rank_halves`), are results of a study; ``choosing_seeds``: seeds whose prompts chose the
    neurons to silence.

    Returns
    -------
    Dataset
        Dim ``specification``, ascending in ``value`` within each ``claim``; the fields of
        :class:`~emonb.analysis.statistics.Estimate`, ``passes``, and what was chosen: text, empty where a claim has no such
        choice. A claim that cannot be tested is not there.
    """
    if set(choosing_seeds) != set(activations.seed.values.tolist()):
        chosen = activations.activation.sel(seed=list(choosing_seeds))
        light = search_neurons(rank_neuron_rdms(chosen, humans), humans)
    sets = rank_masks(light["rank"], sizes)
    claims = {
        **plan_maps(activations.activation, rdms, words, halves, humans.score, seed),
        **plan_neurons(ranks, humans, own, seed),
        **plan_lesions(lesions, sets, rdms, humans.score, sizes, seed),
    }
    curves = []
    for name, (choices, analyse) in claims.items():
        try:
            curves.append(specify(choices, analyse).assign(claim=name))
        except ValueError:  # no combination can be tested in this study
            continue
    table = pd.concat(curves, ignore_index=True).reindex(columns=["claim", *CHOICES, *Estimate._fields, "passes"])
    for name in ("claim", *CHOICES):
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    return table.rename_axis("specification").to_xarray().drop_vars("specification")
