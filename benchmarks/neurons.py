"""Neuron and attribute RDMs of the study's size: 36,864 neurons averaged over 12 seeds, 14 attributes with ties."""

import numpy as np

from emonb.analysis.rdm import pair_index

N, K, SAMPLE = 36_864, 14, 100  # the peer's loop does a sample of the neurons

_rng = np.random.default_rng(0)
_i, _j = pair_index(27)
ACTIVATIONS = _rng.normal(size=(N, 12, 27))
NEURONS = np.concatenate([np.abs(a[..., _i] - a[..., _j]).mean(1) for a in np.array_split(ACTIVATIONS, 32)])
_scores = np.round(_rng.random((K, 27)) * 30)
ATTRIBUTES = np.abs(_scores[:, _i] - _scores[:, _j])
