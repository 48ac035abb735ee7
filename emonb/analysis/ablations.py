"""What depends on how neurons are silenced, and by how much: zero or mean in place, accuracy or AUC, doses, sufficiency."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.lesions import compare_masks, is_matched, mask_means, relate_masks, take_masks
from emonb.analysis.statistics import from_sample, from_t

MEASURES = ("accuracy", "auc")
CHANCE = 0.01
"""A mask under which mean accuracy is no further above one half leaves the network unable to do the task."""


def tabulate_masks(lesions: Mapping[str, xr.Dataset], size: int) -> pd.DataFrame:
    """Performance under every mask of a size, mean over seeds and emotions; one row a mask.

    ``lesions``: Dataset by ablation, with ``mask_accuracy`` and ``mask_auc``. Gives columns ``ablation``, ``measure``,
    ``kind``, ``attribute``, ``draw``, ``value``.
    """
    rows = []
    for (ablation, data), measure in product(lesions.items(), MEASURES):
        mine = data[f"mask_{measure}"].isel(mask=(data.mask_size == size).values).mean(("seed", "emotion"))
        labels = {name: mine[f"mask_{name}"].values for name in ("kind", "attribute", "draw")}
        rows.append(pd.DataFrame({"ablation": ablation, "measure": measure, **labels, "value": mine.values}))
    return pd.concat(rows, ignore_index=True)


def find_intact(lesions: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Performance of the intact network, mean over prompts; index ablation, columns as :data:`MEASURES`."""
    rows = {name: [float(data.baseline.mean()), float(data.baseline_auc.mean())] for name, data in lesions.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(MEASURES))


def compare_ablations(
    lesions: Mapping[str, xr.Dataset], masks: xr.Dataset, size: int, comparisons: Sequence[str]
) -> pd.DataFrame:
    """Compare selective masks of a size with sets of the same structure, by ablation and measure.

    ``lesions``: as of :func:`tabulate_masks`; ``masks``: what was silenced (:func:`emonb.analysis.masks.plan_masks`);
    ``comparisons``: kinds of random masks.

    Returns
    -------
    DataFrame
        Index (ablation, measure, comparison); ``value`` (random - selective), ``low``, ``high``, ``p`` (two-sided) of
        :func:`emonb.analysis.lesions.compare_masks`. ``unable`` and ``unable_random``: share of selective and
        of random masks that leave the network unable to do the task (:data:`CHANCE`); ``rest``: the difference between the
        other masks, without a test, as the outcome has chosen them.
    """
    rows = {}
    for (ablation, data), measure, kind in product(lesions.items(), MEASURES, comparisons):
        selective, random = (mask_means(data, name, [size], measure) for name in ("selective", kind))
        related = relate_masks(take_masks(masks, [size]), is_matched(kind))
        found = compare_masks(selective, random, related, 1.0, is_matched(kind)).loc[size]
        test = from_t(found["difference"], found["error"], found["df"])
        works = [accuracy > 0.5 + CHANCE for accuracy in (mask_means(data, n, [size]) for n in ("selective", kind))]
        rest = random.where(works[1]).mean() - selective.where(works[0]).mean()
        unable = {"unable": 1 - works[0].mean(), "unable_random": 1 - works[1].mean()}
        rows[ablation, measure, kind] = {name: getattr(test, name) for name in ("value", "low", "high", "p")} | {
            "rest": float(rest),
            **{name: float(share) for name, share in unable.items()},
        }
    return pd.DataFrame(rows).T.rename_axis(["ablation", "measure", "comparison"])


def summarise_doses(dose: xr.Dataset) -> pd.DataFrame:
    """Performance at each dose of a mask's neurons, and with these neurons only, by kind of mask.

    ``dose``: ``accuracy`` (mask, dose, seed, emotion) and ``only_accuracy`` (mask, seed, emotion). Gives an index (kind,
    dose), dose ``only`` last; mean over masks (the unit: one mask an attribute) with its 95 % t interval: ``value``,
    ``low``, ``high``.
    """
    rows = {}
    for kind in dict.fromkeys(dose.kind.values.tolist()):
        mine = dose.isel(mask=(dose.kind == kind).values)
        by_dose = {f"{d:g}": mine.accuracy.sel(dose=d) for d in dose.dose.values} | {"only": mine.only_accuracy}
        for name, values in by_dose.items():
            rows[kind, name] = from_sample(values.mean(("seed", "emotion")))[:3]
    columns = ["value", "low", "high"]
    return pd.DataFrame(rows, index=columns).T.rename_axis(["kind", "dose"])


def compare_doses(dose: xr.Dataset, comparison: str) -> pd.DataFrame:
    """Compare masks of the other kind with selective ones attribute by attribute, at each dose and alone.

    By dose: ``value`` (comparison - selective, mean over attributes, the unit), ``low``, ``high``, ``p`` (paired t test).
    """
    rows = {}
    kinds = [dose.isel(mask=(dose.kind == kind).values) for kind in (comparison, "selective")]
    if kinds[0].attribute.values.tolist() != kinds[1].attribute.values.tolist():
        raise ValueError(f"{comparison} and selective masks are not of the same attributes")
    for name in (*dose.dose.values.tolist(), "only"):
        each = [one.only_accuracy if name == "only" else one.accuracy.sel(dose=name) for one in kinds]
        gap = np.subtract(*(values.mean(("seed", "emotion")).values for values in each))
        label = name if name == "only" else f"{name:g}"
        rows[label] = from_sample(gap)._asdict()
    return pd.DataFrame(rows).T[["value", "low", "high", "p"]].rename_axis("dose")
