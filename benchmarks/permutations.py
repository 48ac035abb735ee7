"""Neurons of every attribute by 1,000 label permutations (10,000 on a GPU), as the chapter does, against the scipy loop."""

import xarray as xr
from common import compare
from neurons import ACTIVATIONS, ATTRIBUTES, NEURONS, SAMPLE, K, N
from scipy.stats import kendalltau
from shape import arguments, name_device

from emonb.analysis.neurons import find_neurons
from emonb.analysis.normal_scores import N_MOMENTS
from emonb.analysis.rdm import pair_coords

device = arguments().device
gpu = device.startswith("cuda")
PERMUTATIONS = 10_000 if gpu else 1_000
EMOTIONS = [f"emotion {k:02d}" for k in range(27)]

activation = ACTIVATIONS.reshape(12, 3072, 12, 27)  # [layer * neuron, seed, emotion] -> [layer, neuron, seed, emotion]
labels = {"layer": range(1, 13), "neuron": range(3072), "seed": range(12), "emotion": EMOTIONS}
activations = xr.DataArray(activation, labels, ("layer", "neuron", "seed", "emotion")).to_dataset(name="activation")
rdms = {"attribute": [f"attribute {k:02d}" for k in range(K)], **pair_coords(EMOTIONS)}
humans = xr.DataArray(ATTRIBUTES, rdms, ("attribute", "pair")).to_dataset(name="attribute_rdm")

compare(
    "permutations" + ("_cuda" if gpu else ""),
    lambda: find_neurons(activations, humans, PERMUTATIONS, 0, device=device),
    lambda: [[kendalltau(x, y).statistic for y in ATTRIBUTES] for x in NEURONS[:SAMPLE]],
    N * K * (PERMUTATIONS + N_MOMENTS + 1),
    SAMPLE * K,
    "tau",
    "10,000 permutations in seconds" if gpu else "10,000 in ≤ 4 min on 2 cores, < 4 GB",
    "scipy loop",
    warm=gpu,
    device=name_device(device),
)
