"""What a chapter found against what is true in a planted world; only the claims ledger knows the truth."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr
from sklearn.metrics import roc_auc_score, roc_curve

from emonb.analysis.ties import varies
from emonb.book.claims import Claim
from emonb.book.tables import format_table
from emonb.paths import book_dir
from emonb.world.world import Truth


@dataclass(frozen=True)
class Grade:
    """Quantities for the ledger and a table for the reader; both empty where the truth is not known."""

    quantities: dict[str, float] = field(default_factory=dict)
    table: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    """ROC curves: columns ``attribute``, ``importance``, ``auc``, ``false`` and ``true`` (shares of neurons reached)."""

    def _repr_html_(self) -> str:
        if self.table is None:
            return "<p>This study is about the real world: what is true is not known.</p>"
        return str(self.table.to_html())

    def __repr__(self) -> str:
        return "the truth is not known" if self.table is None else self.table.to_string()


IsTrue = Literal["yes", "yes, too small to matter", "no"]
Truths = Mapping[str, Mapping[str, Mapping[str, float]]]


def read_truths() -> Truths:
    """Effects measured in planted worlds with many more masks and seeds (``book/truths.json``).

    Returns
    -------
    dict
        World -> claim -> ``effect``, its standard error ``se`` and the number of worlds ``n``;
        empty where none were measured.
    """
    path = book_dir() / "truths.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["worlds"]) if path.is_file() else {}


def find_truth(claim: Claim, world: str, truths: Truths) -> IsTrue | None:
    """What is true of a claim in a planted world, in the rule's words; None where nothing settles it.

    A measured effect is true where it reaches the bound, and too small to matter where it is there
    and does not. Where two standard errors do not tell on which side of the bound it lies, nothing
    settles it.
    """
    declared = claim.known_in(world)
    if declared is None or declared.holds == "unknown":
        return None
    if declared.holds != "measured":
        return declared.holds
    if (found := truths.get(world, {}).get(claim.id)) is None:
        return None
    effect = found["effect"] if claim.side == "greater" else -found["effect"]
    beyond, unsure = effect - claim.smallest.effect, 2 * found["se"]
    if abs(beyond) <= unsure:
        return None
    return "yes" if beyond > 0 else "yes, too small to matter" if effect > unsure else "no"


def know_truth(claim: Claim, study: str, truth: Truth | None) -> dict[str, Any]:
    """What is true of a claim in a planted study, to stand beside its verdict; empty where it is not known.

    A count comes with how many there truly are, ``true_count``: attributes that the texts voice.
    """
    if (holds := find_truth(claim, study, read_truths())) is None:
        return {}
    if not claim.is_count or truth is None:
        return {"truth": holds}
    voiced = sum(weight > 0 for weight in truth.importance.values())
    return {"truth": holds, "true_count": voiced if holds == "yes" else 0}


def grade(subject: str, found: xr.DataArray, truth: Truth | None) -> Grade:
    """Compare neurons found, or losses under masks, with the truth.

    Parameters
    ----------
    subject : {'neurons', 'own', 'drops'}
        Neurons found for an attribute, neurons found to be its own, or losses under its mask.
    found : DataArray
        Bool (attribute, layer, neuron), with the score that puts the neurons in order as a coordinate ``score`` where
        there is one; or float (attribute,).
    truth : Truth, optional
    """
    if truth is None:
        return Grade()
    if subject == "drops":
        return _grade_drops(found, truth)
    return _grade_neurons(found, truth, {"neurons": "truth.", "own": "truth.own."}[subject])


def _grade_neurons(found: xr.DataArray, truth: Truth, prefix: str) -> Grade:
    """Voiced attributes must have significant neurons, the wired ones, and silent ones none; more where importance is more.

    Precision: of the neurons found, the share that is wired; recall: of the wired neurons, the share found; AUC: how often
    a wired neuron has a higher score than one that is not. Unwired: of the neurons found, the share wired to no attribute.
    """
    names = list(truth.importance)
    weight = np.array([truth.importance[name] for name in names])
    flat = found.sel(attribute=names).transpose("attribute", "layer", "neuron").stack(unit=("layer", "neuron"))
    wired = np.zeros(flat.shape, bool)
    for k, name in enumerate(names):
        wired[k, list(truth.neurons[name])] = True
    hits, voiced = flat.to_numpy(), weight > 0
    count, right = hits.sum(1), (hits & wired).sum(1)
    order = float(scipy.stats.spearmanr(weight, count).statistic) if count.std() else 0.0
    quantities = {
        "voiced": float(voiced.sum()),
        "voiced_found": float((count[voiced] > 0).sum()),
        "silent_found": float((count[~voiced] > 0).sum()),
        "order": order,
        "recall": float((right[voiced] / wired[voiced].sum(1)).mean()),
        "precision": float(right[voiced].sum() / max(1, count[voiced].sum())),
        "unwired": float(hits[voiced][:, ~wired.any(0)].sum() / max(1, count[voiced].sum())),
    }
    table = pd.DataFrame(
        {"planted importance": weight, "wired to it": wired.sum(1), "neurons found": count, "of them wired": right},
        index=names,
    )
    curves = None
    table["precision"], table["recall"] = right / np.where(count, count, np.nan), right / wired.sum(1)
    if "score" in flat.coords:
        ranks = scipy.stats.rankdata(flat.score.to_numpy(), axis=1)
        table["AUC"] = [roc_auc_score(mine, order) for mine, order in zip(wired, ranks, strict=True)]
        quantities["auc"] = float(table["AUC"][voiced].mean())
        parts = [_curve(table.iloc[k], wired[k], ranks[k]) for k in np.flatnonzero(voiced)]
        curves = pd.concat(parts, ignore_index=True)
    table = table.sort_values("planted importance", ascending=False)
    return Grade({prefix + name: value for name, value in quantities.items()}, format_table(table), curves)


def _curve(attribute: pd.Series, wired: np.ndarray, ranks: np.ndarray) -> pd.DataFrame:
    """Shares of wired and of other neurons with at least a score, for every score."""
    false, true, _ = roc_curve(wired, ranks)
    told = {"attribute": attribute.name, "importance": attribute["planted importance"], "auc": attribute["AUC"]}
    return pd.DataFrame({"false": false, "true": true}).assign(**told)


def _grade_drops(found: xr.DataArray, truth: Truth) -> Grade:
    """The loss under an attribute's mask against the attribute's planted importance; the unit is the attribute."""
    names = list(truth.importance)
    weight = np.array([truth.importance[name] for name in names])
    drop = found.sel(attribute=names).to_numpy()
    r = p = float("nan")
    if np.isfinite(drop).all() and varies(drop) and varies(weight):
        permuted = scipy.stats.PermutationMethod(n_resamples=9_999, rng=np.random.default_rng(0))
        r, p = scipy.stats.pearsonr(drop, weight, alternative="greater", method=permuted)
    voiced = weight > 0
    quantities = {
        "truth.drop_r": float(r),
        "truth.drop_p": float(p),
        "truth.drop_voiced": float(drop[voiced].mean()),
        "truth.drop_silent": float(drop[~voiced].mean()) if (~voiced).any() else 0.0,
    }
    table = pd.DataFrame({"planted importance": weight, "loss": drop}, index=names)
    return Grade(quantities, format_table(table.sort_values("planted importance", ascending=False), {"loss": 4}))
