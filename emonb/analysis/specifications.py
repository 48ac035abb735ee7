"""Every claim under every defensible choice: the specifications of the claims about structure and about lesions.

Each claim keeps its estimand; what varies is what an analyst could as well have decided. A specification passes where its
two-sided p is below .05 and its 95 % interval above zero, as the rule for verdicts has it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.attributes import search_neurons
from emonb.analysis.correlation import correlate_rows
from emonb.analysis.depth import adjust_for_depth
from emonb.analysis.estimates import Estimate, from_t
from emonb.analysis.importance import draw_importance, find_duplicates, test_loss
from emonb.analysis.inference import TIE, draw_permutations, permute_rdm
from emonb.analysis.lesions import mean_depth
from emonb.analysis.multiverse import specify
from emonb.analysis.populations import ALL, compare_fixed, compare_sampled, find_majority, is_matched, mask_means
from emonb.analysis.rdm import order_emotions, pair_values, pattern_rdm, to_square
from emonb.analysis.specificity import test_specificity

PERMUTATIONS = 999
ALPHA = 0.05
AREA, INTACT, EVERY = "area", "intact", "all"
CHOICES = (
    "N",
    "seeds",
    "comparison",
    "measure",
    "baseline",
    "depth",
    "attributes",
    "permuted",
    "distance",
    "centred",
    "layers",
)


def specify_claims(
    activations: xr.Dataset,
    humans: xr.Dataset,
    rdms: xr.Dataset,
    lesions: xr.Dataset,
    choosing_seeds: Sequence[int],
    sizes: Sequence[int],
    seed: int,
) -> xr.Dataset:
    """Run each claim's analysis under every combination of its choices (:func:`emonb.analysis.multiverse.specify`).

    Parameters
    ----------
    activations, humans, rdms, lesions : Dataset
        Results of a study.
    choosing_seeds : sequence of int
        Seeds whose prompts chose the neurons to silence.
    sizes : sequence of int
    seed : int

    Returns
    -------
    Dataset
        Dim ``specification``, ascending in ``value`` within each ``claim``; the fields of
        :class:`~emonb.analysis.estimates.Estimate`, ``passes``, and what was chosen: text, empty where a claim has no such
        choice. A claim that cannot be tested is not there.
    """
    depth = mean_depth(search_neurons(activations, humans, choosing_seeds)["rank"], sizes)
    masks = _Masks(lesions, sizes)
    claims = {
        "structure": _structure(activations.activation, rdms.human, seed),
        **_lesions(masks, depth, float(activations.layer.mean())),
        "majority": _majority(masks, seed),
        "specificity": _specificity(masks, humans.score, seed),
        "importance": _importance(masks, rdms, humans.score, seed),
    }
    curves = []
    for name, (choices, analyse) in claims.items():
        try:
            curve = specify(choices, analyse, lambda effect: effect.p < ALPHA and effect.low > 0)
        except ValueError:  # no combination can be tested in this study
            continue
        curves.append(curve.assign(claim=name))
    table = pd.concat(curves, ignore_index=True).reindex(columns=["claim", *CHOICES, *Estimate._fields, "passes"])
    for name in ("claim", *CHOICES):
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    return table.rename_axis("specification").to_xarray().drop_vars("specification")


Plan = tuple[Mapping[str, Sequence[Any]], Callable[..., Estimate | None]]


def _halves(seeds: Sequence[int]) -> dict[str, list[int]]:
    """All seeds, and both halves of them where there are at least two."""
    seeds = [int(number) for number in seeds]
    half = len(seeds) // 2
    return {EVERY: seeds} | ({"first half": seeds[:half], "second half": seeds[half:]} if half else {})


def _structure(activation: xr.DataArray, human: xr.DataArray, seed: int) -> Plan:
    """Spearman with the human RDM; emotions permuted (two-sided), jackknife over emotions."""
    ordered = order_emotions(activation, human).transpose("seed", "emotion", "layer", "neuron")
    (target,), seeds = pair_values(human), _halves(activation.seed.values)
    thirds = np.array_split(activation.layer.values, 3) if activation.sizes["layer"] > 2 else []
    layers = {EVERY: activation.layer.values} | dict(zip(("lower", "middle", "upper"), thirds, strict=False))
    orders = draw_permutations(activation.sizes["emotion"], PERMUTATIONS, seed)

    @cache
    def read(layers_: str, seeds_: str) -> np.ndarray:
        values = ordered.sel(seed=seeds[seeds_], layer=layers[layers_]).mean("seed").to_numpy()
        return values.reshape(len(values), -1).astype(float)

    def analyse(distance: str, centred: str, layers_: str, seeds_: str) -> Estimate | None:
        if distance == "euclidean" and centred == "yes":  # the distance is the same
            return None
        patterns = read(layers_, seeds_)
        if centred == "yes":
            patterns = patterns - patterns.mean(0)
        if distance == "correlation" and not np.ptp(patterns, axis=1).all():
            return None
        return _fit(pattern_rdm(patterns, distance), target, orders)

    choices = {"distance": ["correlation", "euclidean"], "centred": ["no", "yes"], "layers_": layers, "seeds_": seeds}
    return _named(choices, analyse)


def _fit(rdm: np.ndarray, target: np.ndarray, orders: np.ndarray) -> Estimate:
    rho = float(correlate_rows(rdm[None], target, "rho")[0])
    null = correlate_rows(permute_rdm(rdm, orders), target, "rho")
    first, second = (to_square(row) for row in (rdm, target))
    left = []
    for k in range(len(first)):
        kept = np.delete(np.arange(len(first)), k)
        i, j = np.triu_indices(len(kept), 1)
        a, b = (square[np.ix_(kept, kept)][i, j] for square in (first, second))
        left.append(correlate_rows(a[None], b, "rho")[0])
    error = np.sqrt((len(left) - 1) * np.var(left))
    p = (1 + (np.abs(null) >= abs(rho) - TIE).sum()) / (1 + len(null))
    return from_t(rho, float(error), len(left) - 1)._replace(p=float(p))


def _lesions(masks: "_Masks", depth: xr.DataArray, middle: float) -> dict[str, Plan]:
    """Random minus selective masks, for these attributes and for attributes in general."""

    @cache
    def compare(population: str, comparison: str, measure: str, seeds_: str, area: bool) -> pd.DataFrame:
        selective, random = masks.pair(seeds_, measure, comparison)
        if population == "fixed":
            return compare_fixed(selective, random, area)
        return compare_sampled(selective, random, is_matched(comparison), area)

    @cache
    def adjust(comparison: str, measure: str, seeds_: str) -> pd.DataFrame:
        selective, random = masks.pair(seeds_, measure, comparison)
        return adjust_for_depth(selective, depth.sel(attribute=selective.attribute), random, middle)

    def fixed(comparison: str, measure: str, seeds_: str, N: Any) -> Estimate | None:
        return _row(compare("fixed", comparison, measure, seeds_, N == AREA), N)

    def sampled(comparison: str, measure: str, seeds_: str, N: Any, depth_: str) -> Estimate | None:
        if depth_ == "no":
            return _row(compare("sampled", comparison, measure, seeds_, N == AREA), N)
        return None if N == AREA or is_matched(comparison) else _row(adjust(comparison, measure, seeds_), N)

    choices = masks.choices if len(masks.sizes) == 1 else {**masks.choices, "N": [*masks.choices["N"], AREA]}
    return {
        "lesions": _named(choices, fixed),
        "lesions-general": _named({**choices, "depth_": ["no", "adjusted"]}, sampled),
    }


def _majority(masks: "_Masks", seed: int) -> Plan:
    def analyse(comparison: str, measure: str, seeds_: str, N: Any) -> Estimate | None:
        return _known(find_majority(*masks.pair(seeds_, measure, comparison, N, by_emotion=True), PERMUTATIONS, seed))

    return _named(masks.choices, analyse)


def _specificity(masks: "_Masks", score: xr.DataArray, seed: int) -> Plan:
    """Loss against the intact network, or against each kind of random mask."""

    def analyse(measure: str, seeds_: str, N: Any, baseline: str) -> Estimate | None:
        loss = masks.loss(seeds_, measure, baseline, N, by_emotion=True).mean("size")
        if loss.sizes["attribute"] < 3:
            return None
        level = score.transpose("attribute", "emotion").sel(attribute=loss.attribute)
        return _known(test_specificity(loss, level, PERMUTATIONS, seed).slope)

    return _named(_baselines(masks.choices), analyse)


def _importance(masks: "_Masks", rdms: xr.Dataset, score: xr.DataArray, seed: int) -> Plan:
    """Loss as for specificity; all attributes, or without the two that are most alike; attributes or emotions permuted."""
    drawn = draw_importance(rdms.attribute_rdm, rdms.human, PERMUTATIONS, seed)
    alike = next(iter(find_duplicates(score)), None)
    left_out: dict[str, list[str]] = {EVERY: []} | ({f"without {alike[0]}, {alike[1]}": list(alike[:2])} if alike else {})

    @cache
    def test(measure: str, seeds_: str, baseline: str, attributes: str) -> pd.DataFrame:
        loss = masks.loss(seeds_, measure, baseline)
        kept = [name for name in loss.attribute.values if name not in left_out[attributes]]
        return test_loss(loss.sel(attribute=kept), drawn, seed)

    def analyse(measure: str, seeds_: str, N: Any, baseline: str, attributes: str, permuted: str) -> Estimate | None:
        table = test(measure, seeds_, baseline, attributes)
        return _row(table if permuted == "attributes" else table.assign(p=table["p_emotions"]), N)

    return _named({**_baselines(masks.choices), "attributes": left_out, "permuted": ["attributes", "emotions"]}, analyse)


class _Masks:
    """Means of masks, each made once, and the choices that all claims about lesions have."""

    def __init__(self, data: xr.Dataset, sizes: Sequence[int]) -> None:
        self.sizes, seeds = list(sizes), _halves(data.seed.values)
        self.choices: dict[str, list[Any]] = {
            "comparison": [str(kind) for kind in data.kind.values if kind != "selective"],
            "measure": [name for name in ("accuracy", "auc") if name in data],
            "seeds_": list(seeds),
            "N": [*sizes, ALL],
        }

        @cache
        def read(seeds_: str, measure: str, kind: str, by_emotion: bool) -> xr.DataArray:
            return mask_means(data.sel(seed=seeds[seeds_]), kind, self.sizes, measure, by_emotion)

        self._read = read

    def pair(
        self, seeds_: str, measure: str, comparison: str, N: Any = ALL, by_emotion: bool = False
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Selective masks and random ones."""
        sizes = self.sizes if N == ALL else [N]
        selective, random = (
            self._read(seeds_, measure, kind, by_emotion).sel(size=sizes) for kind in ("selective", comparison)
        )
        return selective, random

    def loss(self, seeds_: str, measure: str, baseline: str, N: Any = ALL, by_emotion: bool = False) -> xr.DataArray:
        """Loss against random masks, or against the intact network, whose accuracy is a constant and left out."""
        selective, other = self.pair(seeds_, measure, "selective" if baseline == INTACT else baseline, N, by_emotion)
        return -selective.mean("draw") if baseline == INTACT else other.mean("draw") - selective.mean("draw")


def _baselines(choices: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The same with what a loss is counted from in place of the comparison."""
    return {**{k: v for k, v in choices.items() if k != "comparison"}, "baseline": [INTACT, *choices["comparison"]]}


def _row(table: pd.DataFrame, name: Any) -> Estimate | None:
    row = table.loc[ALL if name == AREA else name]
    return _known(Estimate(*(float(row.get(field, np.nan)) for field in Estimate._fields)))


def _known(effect: Estimate) -> Estimate | None:
    """The estimate, if it has an interval and a p."""
    return effect if np.isfinite([effect.value, effect.low, effect.high, effect.p]).all() else None


def _named(choices: Mapping[str, Any], analyse: Callable[..., Estimate | None]) -> Plan:
    """Choices with their names in the table: ``seeds_`` is ``seeds``, which a function has another use for."""
    of = {name.rstrip("_"): name for name in choices}
    return {name: list(choices[of[name]]) for name in of}, lambda **chosen: analyse(**{of[k]: v for k, v in chosen.items()})
