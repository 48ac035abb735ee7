"""The searchlight with 1,000 label permutations and the maximum statistic, against the scipy loop (extrapolated)."""

import numpy as np
from common import compare
from scipy.stats import kendalltau

from emonb.inference import mantel_test

N, K, PERMUTATIONS, SAMPLE = 36_864, 14, 1_000, 100
rng = np.random.default_rng(0)
i, j = np.triu_indices(27, 1)
acts = rng.normal(size=(N, 12, 27))
neurons = np.concatenate([np.abs(a[..., i] - a[..., j]).mean(1) for a in np.array_split(acts, 32)])
scores = np.round(rng.random((K, 27)) * 30)
attributes = np.abs(scores[:, i] - scores[:, j])

compare(
    "permutations",
    lambda: mantel_test(neurons, attributes, PERMUTATIONS, 0),
    lambda: [[kendalltau(x, y).statistic for y in attributes] for x in neurons[:SAMPLE]],
    N * K * (PERMUTATIONS + 1),
    SAMPLE * K,
    "tau",
    "<= 60 s on 2 cores, < 4 GB",
    "scipy loop",
    warm=False,
)
