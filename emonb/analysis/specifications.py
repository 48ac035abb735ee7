"""Every claim under every defensible choice, in one table.

Each claim keeps its estimand; what varies is what an analyst could as well have decided.
"""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from emonb.analysis.attributes import search_neurons
from emonb.analysis.estimates import Estimate
from emonb.analysis.multiverse import specify
from emonb.analysis.populations import rank_masks
from emonb.analysis.rdm import rank_neuron_rdms
from emonb.analysis.specifications_lesions import plan_lesions
from emonb.analysis.specifications_maps import plan_maps
from emonb.analysis.specifications_neurons import plan_neurons

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
    "sampled",
)


def specify_claims(
    activations: xr.Dataset,
    ranks: xr.DataArray,
    light: xr.Dataset,
    humans: xr.Dataset,
    rdms: xr.Dataset,
    words: xr.Dataset,
    own: xr.Dataset,
    lesions: xr.Dataset,
    choosing_seeds: Sequence[int],
    sizes: Sequence[int],
    seed: int,
) -> xr.Dataset:
    """Run each claim's analysis under every combination of its choices (:func:`emonb.analysis.multiverse.specify`).

    Parameters
    ----------
    activations, light, humans, rdms, words, own, lesions : Dataset
        Results of a study.
    ranks : DataArray, dims (seeds, layer, neuron, pair)
        Of all seeds and of both halves (:func:`emonb.analysis.rdm.rank_halves`).
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
    if set(choosing_seeds) != set(activations.seed.values.tolist()):
        chosen = activations.activation.sel(seed=list(choosing_seeds))
        light = search_neurons(rank_neuron_rdms(chosen, humans), humans)
    sets = rank_masks(light["rank"], sizes)
    claims = {
        **plan_maps(activations.activation, rdms, words, humans.score, seed),
        **plan_neurons(ranks, humans, own, seed),
        **plan_lesions(lesions, sets, rdms, humans.score, sizes, seed),
    }
    curves = []
    for name, (choices, analyse) in claims.items():
        try:
            curves.append(specify(choices, analyse).assign(claim=name))
        except ValueError:  # no combination can be tested in this study
            continue
    table = name_choices(pd.concat(curves, ignore_index=True))
    return table.rename_axis("specification").to_xarray().drop_vars("specification")


def name_choices(table: pd.DataFrame) -> pd.DataFrame:
    """Curves with a column for every choice that any claim has: text, empty where there is none."""
    table = table.reindex(columns=["claim", *CHOICES, *Estimate._fields, "passes"])
    for name in ("claim", *CHOICES):
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    return table
