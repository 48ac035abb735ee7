"""What a chapter found against what is true in a planted world; only the claims ledger knows the truth."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.inference import correlate_attributes
from emonb.book.tables import format_table
from emonb.world.world import Truth


@dataclass(frozen=True)
class Grade:
    """Quantities for the ledger and a table for the reader; both empty where the truth is not known."""

    quantities: dict[str, float] = field(default_factory=dict)
    table: pd.DataFrame | None = None

    def _repr_html_(self) -> str:
        if self.table is None:
            return "<p>This study is about the real world: what is true is not known.</p>"
        return str(self.table.to_html())

    def __repr__(self) -> str:
        return "the truth is not known" if self.table is None else self.table.to_string()


def grade(subject: str, found: xr.DataArray, truth: Truth | None) -> Grade:
    """Compare neurons found (subject 'neurons') or losses under masks ('drops') with the truth.

    Parameters
    ----------
    subject : {'neurons', 'drops'}
    found : DataArray
        Bool (attribute, layer, neuron), or float (attribute,).
    truth : Truth, optional
    """
    if truth is None:
        return Grade()
    return {"neurons": _grade_neurons, "drops": _grade_drops}[subject](found, truth)


def _grade_neurons(found: xr.DataArray, truth: Truth) -> Grade:
    """Voiced attributes must have significant neurons and silent ones none; the more important, the more neurons."""
    names = list(truth.importance)
    weight = np.array([truth.importance[name] for name in names])
    hits = found.sel(attribute=names).transpose("attribute", "layer", "neuron").to_numpy().reshape(len(names), -1)
    count = hits.sum(1)
    right = np.array([hits[k, list(truth.neurons[name])].sum() for k, name in enumerate(names)])
    wired = np.array([len(truth.neurons[name]) for name in names])
    voiced = weight > 0
    order = float(scipy.stats.spearmanr(weight, count).statistic) if count.std() else 0.0
    quantities = {
        "truth.voiced": float(voiced.sum()),
        "truth.voiced_found": float((count[voiced] > 0).sum()),
        "truth.silent_found": float((count[~voiced] > 0).sum()),
        "truth.order": order,
        "truth.recall": float((right[voiced] / wired[voiced]).mean()),
        "truth.precision": float(right[voiced].sum() / max(1, count[voiced].sum())),
    }
    table = pd.DataFrame(
        {"planted importance": weight, "neurons found": count, "of them wired to it": right, "wired to it": wired},
        index=names,
    )
    return Grade(quantities, format_table(table.sort_values("planted importance", ascending=False)))


def _grade_drops(found: xr.DataArray, truth: Truth) -> Grade:
    """The loss under an attribute's mask against the attribute's planted importance; the unit is the attribute."""
    names = list(truth.importance)
    weight = np.array([truth.importance[name] for name in names])
    drop = found.sel(attribute=names).to_numpy()
    r, p, _ = correlate_attributes(drop[None], weight, 9_999, 0)
    voiced = weight > 0
    quantities = {
        "truth.drop_r": float(r[0]),
        "truth.drop_p": float(p[0]),
        "truth.drop_voiced": float(drop[voiced].mean()),
        "truth.drop_silent": float(drop[~voiced].mean()) if (~voiced).any() else 0.0,
    }
    table = pd.DataFrame({"planted importance": weight, "loss": drop}, index=names)
    return Grade(quantities, format_table(table.sort_values("planted importance", ascending=False), {"loss": 4}))
