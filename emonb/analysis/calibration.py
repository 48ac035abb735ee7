"""Calibration: how often each test fires when there is nothing to find, with data of this study's shape.

Every function simulates one null data set and returns p values by the name of the test: the valid one and the study's
own. A calibrated test rejects at its nominal rate.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import scipy.stats
from tqdm import tqdm

from emonb.analysis import inference
from emonb.analysis.partial import compare_given, partial_correlation, permute_residuals
from emonb.analysis.rdm import pair_index, pattern_rdm

N_EMOTIONS, N_SEEDS, N_ATTRIBUTES, N_JUDGES = 27, 12, 14, 61


def simulate_structure(rng: np.random.Generator, permutations: int = 999) -> dict[str, float]:
    """Whole-model RDM (mean of seeds) against the mean of judges, two unrelated structures."""
    human = pattern_rdm(_two_groups(rng, 3), "euclidean")
    judges = np.clip(np.round(5 + human - human.mean() + 2 * rng.normal(size=(N_JUDGES, len(human)))), 1, 9)
    signal = _two_groups(rng, 40)
    pattern = np.mean([signal + rng.normal(size=signal.shape) for _ in range(N_SEEDS)], axis=0)
    return _mantel_and_parametric(rng, pattern_rdm(pattern), judges.mean(0), permutations)


def simulate_neuron(rng: np.random.Generator, permutations: int = 999) -> dict[str, float]:
    """One neuron's seed-averaged RDM against one attribute's RDM (ratings on a coarse scale, so with ties)."""
    return _mantel_and_parametric(rng, _neurons(rng, 1)[0], _attributes(rng, 1)[0], permutations)


def simulate_searchlight(rng: np.random.Generator, permutations: int = 199, neurons: int = 100) -> dict[str, float]:
    """Smallest p over neurons and attributes: maximum statistic, and the study's p * N / rank."""
    x, y = _neurons(rng, neurons), _attributes(rng, N_ATTRIBUTES)
    result = inference.mantel_test(x, y, permutations, int(rng.integers(1 << 31)))
    parametric = inference.parametric_tau_p(result.statistic, x, y)
    return {"valid": float(result.p_fwe_all.min()), "study": float(inference.paper_q(parametric).min())}


def simulate_masks(rng: np.random.Generator, sd_mask: float = 0.05) -> dict[str, float]:
    """Selective masks that are random ones in truth: 14 of each, all prompts sharing a mask."""
    emotion, seed = 0.07 * rng.normal(size=(N_EMOTIONS, 1)), 0.02 * rng.normal(size=N_SEEDS)
    masks = sd_mask * rng.normal(size=(2, N_ATTRIBUTES, 1, 1))
    accuracy = 0.7 + masks + emotion + seed + 0.06 * rng.normal(size=(2, N_ATTRIBUTES, N_EMOTIONS, N_SEEDS))
    selective, random = accuracy.mean((2, 3))
    return {
        "valid": inference.compare_masks(selective, random)[1],
        "study": float(scipy.stats.ttest_1samp((accuracy[1] - accuracy[0]).ravel(), 0, alternative="greater").pvalue),
    }


def simulate_importance(rng: np.random.Generator, permutations: int = 999, sd_mask: float = 0.05) -> dict[str, float]:
    """Drops that have nothing to do with importance: correlation over attributes, per emotion, t test over emotions."""
    importance = rng.permutation(np.r_[np.full(7, 0.03), np.linspace(0.25, 0.6, 7)])
    drop = sd_mask * rng.normal(size=N_ATTRIBUTES) + 0.02 * rng.normal(size=(N_EMOTIONS, N_ATTRIBUTES))
    _, p, _ = inference.correlate_attributes(drop.mean(0), importance, permutations, int(rng.integers(1 << 31)))
    z = np.arctanh([np.corrcoef(row, importance)[0, 1] for row in drop])
    return {"valid": float(p[0]), "study": float(scipy.stats.ttest_1samp(z, 0, alternative="greater").pvalue)}


def simulate_partial(
    rng: np.random.Generator, permutations: int = 499, weights: tuple[float, float] = (0.4, 0.2)
) -> dict[str, float]:
    """Human and model both related to a covariate (the corpus), and to each other through it only."""
    shared = _two_groups(rng, 2)
    covariate = pattern_rdm(shared, "euclidean")
    human, model = (
        pattern_rdm(np.hstack([weight * shared, rng.normal(size=(N_EMOTIONS, 2))]), "euclidean") for weight in weights
    )
    result = compare_given(model, human, covariate, permutations, int(rng.integers(1 << 31)))
    spearman = partial_correlation(*scipy.stats.rankdata([model, human, covariate], axis=1))
    z = np.arctanh(spearman) * np.sqrt(len(model) - 4)
    residuals = permute_residuals(model, human, covariate, permutations, int(rng.integers(1 << 31)))
    return {
        "valid": result.p,
        "residuals": residuals.p_greater,
        "mantel": result.mantel_p,
        "study": float(scipy.stats.norm.sf(z)),
    }


TESTS: dict[str, tuple[str, Callable[[np.random.Generator], dict[str, float]]]] = {
    "structure": ("whole model and judges: Mantel (emotion) | Kendall's p (pair)", simulate_structure),
    "neuron": ("one neuron and one attribute: Mantel (emotion) | Kendall's p (pair)", simulate_neuron),
    "searchlight": ("any of 100 neurons x 14 attributes: maximum statistic | p N / rank", simulate_searchlight),
    "partial": (
        "model and humans given the corpus: jackknife (emotion) | double semi-partialing (emotion) | partial Mantel | "
        "partial correlation's p (pair)",
        simulate_partial,
    ),
    "partial_close": (
        "the same, both close to the corpus: jackknife (emotion) | double semi-partialing (emotion) | partial Mantel | "
        "partial correlation's p (pair)",
        partial(simulate_partial, weights=(1.0, 0.7)),
    ),
    "masks": ("selective and random masks: exact permutation (mask) | t test (prompt)", simulate_masks),
    "importance": ("drop and importance: permutation (attribute) | t test (emotion)", simulate_importance),
}


def measure_rates(
    name: str, n: int, seed: int, levels: tuple[float, ...] = (0.05, 0.01), progress: bool = False
) -> pd.DataFrame:
    """Rejection rates of one test under its null.

    Parameters
    ----------
    name : str
        Key of ``TESTS``.
    n, seed : int
        Simulated data sets; every one from its own child of the seed.
    levels : tuple of float
    progress : bool

    Returns
    -------
    DataFrame
        One row per kind (``valid``, ``study``, perhaps ``residuals`` and ``mantel``: approximate) and level: ``rate``
        with its 95 % Clopper-Pearson interval, ``n``.
    """
    description, simulate = TESTS[name]
    children = np.random.SeedSequence([seed, sorted(TESTS).index(name)]).spawn(n)
    draws = [simulate(np.random.default_rng(child)) for child in tqdm(children, desc=name, disable=not progress)]
    rows = []
    for kind, text in zip(draws[0], description.split(": ", 1)[1].split(" | "), strict=True):
        p = np.array([draw[kind] for draw in draws])
        for level in levels:
            result = scipy.stats.binomtest(int((p <= level).sum()), n)
            interval = result.proportion_ci()
            row = {"test": name, "data": description.split(": ", 1)[0], "kind": kind, "method": text, "level": level}
            rows.append({**row, "rate": result.statistic, "low": interval.low, "high": interval.high, "n": n})
    return pd.DataFrame(rows)


def _two_groups(rng: np.random.Generator, dimensions: int) -> np.ndarray:
    """Random positions of the emotions, in two groups on the first axis (as emotions are pleasant or not)."""
    points = rng.normal(size=(N_EMOTIONS, dimensions))
    points[:, 0] += 2 * rng.choice([-1, 1], N_EMOTIONS)
    return points


def _neurons(rng: np.random.Generator, n: int) -> np.ndarray:
    """RDMs of single neurons, averaged over seeds; a neuron's tuning is partly the same in every seed."""
    i, j = pair_index(N_EMOTIONS)
    values = rng.normal(size=(n, 1, N_EMOTIONS)) + rng.normal(size=(n, N_SEEDS, N_EMOTIONS))
    return np.abs(values[..., i] - values[..., j]).mean(1)


def _attributes(rng: np.random.Generator, n: int) -> np.ndarray:
    """RDMs of attributes in two groups of emotions, scored on a scale of thirtieths."""
    i, j = pair_index(N_EMOTIONS)
    scores = rng.choice([0.15, 0.8], (n, N_EMOTIONS)) + 0.12 * rng.normal(size=(n, N_EMOTIONS))
    scores = np.round(np.clip(scores, 0, 1) * 30)
    return np.abs(scores[:, i] - scores[:, j])


def _mantel_and_parametric(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, permutations: int) -> dict[str, float]:
    result = inference.mantel_test(x, y, permutations, int(rng.integers(1 << 31)), chunk=permutations)
    parametric = inference.parametric_tau_p(result.statistic, x[None], y[None])
    return {"valid": float(result.p[0, 0]), "study": float(parametric[0, 0])}
