"""The searchlight with 1,000 label permutations and the maximum statistic, against the scipy loop (extrapolated)."""

from common import compare
from neurons import ATTRIBUTES, NEURONS, SAMPLE, K, N
from scipy.stats import kendalltau

from emonb.inference import mantel_test

PERMUTATIONS = 1_000

compare(
    "permutations",
    lambda: mantel_test(NEURONS, ATTRIBUTES, PERMUTATIONS, 0),
    lambda: [[kendalltau(x, y).statistic for y in ATTRIBUTES] for x in NEURONS[:SAMPLE]],
    N * K * (PERMUTATIONS + 1),
    SAMPLE * K,
    "tau",
    "<= 60 s on 2 cores, < 4 GB",
    "scipy loop",
    warm=False,
)
