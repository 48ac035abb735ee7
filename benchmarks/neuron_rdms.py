"""Neuron RDMs averaged over 12 seeds, against the straightforward numpy expression."""

import numpy as np
import xarray as xr
from common import compare

from emonb.analysis.rdm import average_neuron_rdms

values = np.random.default_rng(0).normal(size=(12, 27, 12, 3072))
coords = {"seed": range(12), "emotion": [f"e{k}" for k in range(27)], "layer": range(1, 13), "neuron": range(3072)}
array = xr.DataArray(values, dims=("seed", "emotion", "layer", "neuron"), coords=coords)
i, j = np.triu_indices(27, 1)


def plain() -> np.ndarray:
    flat = values.reshape(12, 27, -1)
    total = np.zeros((351, flat.shape[2]))
    for seed in range(12):
        total += np.abs(flat[seed][i] - flat[seed][j])
    return (total / 12).T


np.testing.assert_allclose(average_neuron_rdms(array), plain(), atol=1e-12)
compare("neuron_rdms", lambda: average_neuron_rdms(array), plain, 36_864, 36_864, "neuron", "<= 3 s", "plain numpy")
