"""Neurons of which some carry an attribute, and attributes that correlate: what tests of single neurons are tried on."""

import numpy as np
import xarray as xr

from emonb.analysis.rdm import pair_coords, pair_index, rank_neuron_rdms

NAMES = [f"e{k:02}" for k in range(27)]


def make_world(
    rng: np.random.Generator, scores: np.ndarray, n: int = 60, carriers: int = 15, seeds: int = 12
) -> tuple[xr.Dataset, xr.Dataset]:
    """Neurons of which some carry the first of the attributes, with tuning and noise of their own."""
    tuned = rng.normal(size=(n, 27))
    tuned[:carriers] += scores[0]
    values = (tuned + rng.normal(size=(seeds, n, 27))).transpose(0, 2, 1)[:, :, None]
    dims = ("seed", "emotion", "layer", "neuron")
    coords = {"seed": range(seeds), "emotion": NAMES, "layer": [1], "neuron": range(n)}
    i, j = pair_index(27)
    humans = {
        "score": (("attribute", "emotion"), scores),
        "attribute_rdm": (("attribute", "pair"), np.abs(scores[:, i] - scores[:, j])),
    }
    names = {"attribute": [f"a{k}" for k in range(len(scores))], "emotion": NAMES}
    return xr.Dataset({"activation": (dims, values)}, coords), xr.Dataset(humans, {**names, **pair_coords(NAMES)})


def draw_correlated(rng: np.random.Generator, r: float, more: int = 0) -> np.ndarray:
    """Scores [2 + more, emotion]; the second correlates with the first, and so does every further one."""
    scores = rng.normal(size=(2 + more, 27))
    scores[1:] = r * scores[0] + np.sqrt(1 - r**2) * scores[1:]
    return scores


def rank_neurons(activations: xr.Dataset, humans: xr.Dataset) -> xr.DataArray:
    """Ranks of the neurons' RDMs on the pairs of the attributes'."""
    return rank_neuron_rdms(activations.activation, humans)
