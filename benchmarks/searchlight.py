"""Searchlight: 36,864 x 14 tau-b on 351 pairs, against a loop over scipy and against rsatoolbox (both on a sample)."""

import numpy as np
from common import compare
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm.compare import compare_kendall_tau
from scipy.stats import kendalltau

from emonb.kendall import tau_b

N, K, SAMPLE = 36_864, 14, 100
rng = np.random.default_rng(0)
i, j = np.triu_indices(27, 1)
acts = rng.normal(size=(N, 12, 27))
neurons = np.concatenate([np.abs(a[..., i] - a[..., j]).mean(1) for a in np.array_split(acts, 32)])
scores = np.round(rng.random((K, 27)) * 30)
attributes = np.abs(scores[:, i] - scores[:, j])


def loop() -> np.ndarray:
    return np.array([[kendalltau(x, y).statistic for y in attributes] for x in neurons[:SAMPLE]])


def toolbox() -> np.ndarray:
    return compare_kendall_tau(RDMs(neurons[:SAMPLE]), RDMs(attributes))


error = float(np.abs(tau_b(neurons[:SAMPLE], attributes) - loop()).max())
assert error < 1e-12, error
for row, peer, name in (("searchlight", loop, "scipy loop"), ("searchlight_rsatoolbox", toolbox, "rsatoolbox tau-b")):
    compare(row, lambda: tau_b(neurons, attributes), peer, N * K, SAMPLE * K, "tau", ">= 100x", name, largest_error=error)
