"""The searchlight with 1,000 label permutations (10,000 on a GPU) and the maximum statistic, against the scipy loop."""

from common import compare
from neurons import ATTRIBUTES, NEURONS, SAMPLE, K, N
from scipy.stats import kendalltau
from shape import arguments, name_device

from emonb.analysis.inference import mantel_test

device = arguments().device
gpu = device.startswith("cuda")
PERMUTATIONS = 10_000 if gpu else 1_000

compare(
    "permutations" + ("_cuda" if gpu else ""),
    lambda: mantel_test(NEURONS, ATTRIBUTES, PERMUTATIONS, 0, device=device),
    lambda: [[kendalltau(x, y).statistic for y in ATTRIBUTES] for x in NEURONS[:SAMPLE]],
    N * K * (PERMUTATIONS + 1),
    SAMPLE * K,
    "tau",
    "10,000 permutations in seconds" if gpu else "<= 60 s on 2 cores, < 4 GB",
    "scipy loop",
    warm=gpu,
    device=name_device(device),
)
