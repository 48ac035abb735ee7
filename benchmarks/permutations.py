"""Neurons of every attribute by 10,000 label permutations, against the scipy loop."""

import xarray as xr
from common import compare
from neurons import ACTIVATIONS, ATTRIBUTES, NEURONS, SAMPLE, K, N
from scipy.stats import spearmanr

from emonb.analysis.neurons import find_neurons
from emonb.analysis.rdm import pair_coords, rank_neuron_rdms

PERMUTATIONS = 10_000
EMOTIONS = [f"emotion {k:02d}" for k in range(27)]

activation = ACTIVATIONS.reshape(12, 3072, 12, 27)  # [layer * neuron, seed, emotion] -> [layer, neuron, seed, emotion]
labels = {"layer": range(1, 13), "neuron": range(3072), "seed": range(12), "emotion": EMOTIONS}
activations = xr.DataArray(activation, labels, ("layer", "neuron", "seed", "emotion"))
rdms = {"attribute": [f"attribute {k:02d}" for k in range(K)], **pair_coords(EMOTIONS)}
humans = xr.DataArray(ATTRIBUTES, rdms, ("attribute", "pair")).to_dataset(name="attribute_rdm")

compare(
    "permutations",
    lambda: find_neurons(rank_neuron_rdms(activations, humans), humans, PERMUTATIONS, 0),
    lambda: [[spearmanr(x, y).statistic for y in ATTRIBUTES] for x in NEURONS[:SAMPLE]],
    N * K * (PERMUTATIONS + 1),
    SAMPLE * K,
    "rho",
    "10,000 in ≤ 60 s on 2 cores, < 2 GB",
    "scipy loop",
)
