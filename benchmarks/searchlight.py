"""Searchlight: 36,864 x 14 tau-b on 351 pairs, against a loop over scipy and against rsatoolbox (both on a sample)."""

import numpy as np
from common import compare
from neurons import ATTRIBUTES, NEURONS, SAMPLE, K, N
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm.compare import compare_kendall_tau
from scipy.stats import kendalltau

from emonb.analysis.tau import tau_b


def loop() -> np.ndarray:
    return np.array([[kendalltau(x, y).statistic for y in ATTRIBUTES] for x in NEURONS[:SAMPLE]])


def toolbox() -> np.ndarray:
    return compare_kendall_tau(RDMs(NEURONS[:SAMPLE]), RDMs(ATTRIBUTES))


error = float(np.abs(tau_b(NEURONS[:SAMPLE], ATTRIBUTES) - loop()).max())
assert error < 1e-12, error
for row, peer, name in (("searchlight", loop, "scipy loop"), ("searchlight_rsatoolbox", toolbox, "rsatoolbox tau-b")):
    compare(row, lambda: tau_b(NEURONS, ATTRIBUTES), peer, N * K, SAMPLE * K, "tau", ">= 100x", name, largest_error=error)
