"""Studies simulated without a network, for the claims' own tests.

Whole studies simulated at the level of RDMs and accuracies: no network is trained, so hundreds take minutes.

A data set has the sizes of the published study (27 emotions in families, 14 attributes, 61 judges, seven N) and what makes
that one hard: attributes that correlate, emotions that resemble each other, masks that share neurons, few neurons that do
most of the work, comments that carry part of people's structure. One number plants all effects, from none (0) over about
what is disputed in the published data (.5) to twice that (1). The chapters' own functions are applied to it; what they find
is handed over as evidence and judged elsewhere.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.importance import draw_importance, loss_test
from emonb.analysis.lesions import ALL, compare_masks, relate_masks
from emonb.analysis.own import best_p, count_attributes, find_own_neurons
from emonb.analysis.profile import profile_test, stand_out
from emonb.analysis.rdm import pair_coords, pair_index, pattern_rdm, rank_neuron_rdms
from emonb.analysis.reliance import compare_profiles
from emonb.analysis.statistics import Estimate, resample_factors
from emonb.analysis.structure import fit_rdms
from emonb.analysis.words import estimate_given

EMOTIONS = [f"emotion {k:02d}" for k in range(27)]
ATTRIBUTES = [f"attribute {k:02d}" for k in range(14)]
SIZES = [1500, 2000, 2500, 3000, 4000, 5000, 6000]
VOICED, JUDGES, SEEDS, NEURONS = 8, 61, 4, 5
"""Attributes that people and network use; judges; seeds of prompts; neurons that carry an attribute."""
TOTAL = 3686
"""Neurons of a network: a tenth of the published one's, and so are the sizes of its masks."""
SHARE_OF_ATTRIBUTES = 0.5
"""Correlation of how well neurons follow two attributes, where the attributes are the same but for noise."""
INTACT, COST, HEAVY = 0.83, 0.097, 0.01
"""Accuracy without a mask; what random masks cost; shape of the gamma distribution of what single neurons cost, which gives
masks of 400 neurons a standard deviation of .05, a skewness of 1 and a kurtosis of 1.5, near those released."""
EXCESS, BY_IMPORTANCE = 0.46, 0.069
"""What attributes' masks cost more, where all is planted: on average, as a share of COST, twice what was released;
and in accuracy for a standard deviation of importance."""
SLOPE, FAMILIES = 0.014, 6
"""Accuracy an emotion loses more for a standard deviation of how it stands out, where all is planted, twice what was
released; families of emotions."""
N_PARTS, HALVES = 4, ([0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2])
"""Parts of the comments in which words are counted, and the six halves that they make."""


class Cell(NamedTuple):
    """What is planted in a data set, and how many random masks a selective one is compared with."""

    strength: float
    correlation: float
    """Largest share of its variance that an attribute has in common with others."""
    draws: int = 1


class People(NamedTuple):
    """Attributes and people of one data set."""

    level: np.ndarray  # [attribute, emotion], standardised; the first VOICED are used by people
    weight: np.ndarray  # [attribute]
    judgment: xr.DataArray  # (judge, pair)
    attribute_rdm: xr.DataArray  # (attribute, pair)

    @property
    def human(self) -> xr.DataArray:
        """Mean judgment (pair,)."""
        return self.judgment.mean("judge")


def draw_people(rng: np.random.Generator, correlation: float) -> People:
    """Emotions in families on attributes, some of which share a factor, and judges who compare the emotions."""
    n, k = len(EMOTIONS), len(ATTRIBUTES)
    level = math.sqrt(0.3) * _by_family(rng, k) + math.sqrt(0.7) * rng.normal(size=(k, n))
    shared = rng.permutation(np.r_[rng.permutation(VOICED)[:6], VOICED + rng.permutation(k - VOICED)[:5]])
    for mine, count in ((shared[:7], 7), (shared[7:], 4)):  # as in the planted worlds
        factor = scipy.stats.zscore(rng.permutation(np.arange(n) % 2) * 2 - 1 + 0.5 * rng.normal(size=n))
        part = (np.linspace(1, 0.3, count) * correlation)[:, None]
        level[mine] = np.sqrt(part) * factor + np.sqrt(1 - part) * scipy.stats.zscore(level[mine], axis=1)
    level = scipy.stats.zscore(level, axis=1)
    weight = np.r_[rng.permutation(np.geomspace(1, 0.25, VOICED)), np.zeros(k - VOICED)]
    distance = scipy.stats.zscore(pattern_rdm(_weigh(level, weight), "euclidean"))
    judgment = np.clip(np.round(5 + 1.5 * (distance + 1.5 * rng.normal(size=(JUDGES, len(distance))))), 1, 9)
    i, j = pair_index(n)
    scores = np.round(30 * scipy.stats.norm.cdf(level + 0.1 * rng.normal(size=level.shape)))
    pairs = pair_coords(EMOTIONS)
    return People(
        level,
        weight,
        xr.DataArray(judgment, pairs, ("judge", "pair")),
        xr.DataArray(np.abs(scores[:, i] - scores[:, j]), {"attribute": ATTRIBUTES, **pairs}, ("attribute", "pair")),
    )


def _measure_words(positions: np.ndarray) -> np.ndarray:
    """RDM of words from counts in parts of the comments [part, emotion, attribute]."""
    return pattern_rdm(positions.mean(0), "euclidean")


def simulate_structure(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *structure*, *words* and *reliance* from one data set.

    At strength 0 the network of *structure* and *reliance* is unrelated to people; that of *words* knows what comments say
    (half of the attributes), as an untrained network does too, and nothing beyond.
    """
    rng = np.random.default_rng(seed)
    people, number = draw_people(rng, cell.correlation), int(rng.integers(1 << 31))
    said = np.arange(len(people.weight)) % 2 == 0
    known, beyond = (_weigh(people.level, people.weight * part) for part in (said, ~said))
    everything, size = np.hstack([known, beyond]), np.std(known)
    network = _network(rng, cell.strength * everything, (1 - 0.5 * cell.strength) * 1.4 * size)
    trained = _network(rng, np.hstack([known, cell.strength * beyond]), 0.7 * size)
    counted = known + 0.3 * size * math.sqrt(N_PARTS) * rng.normal(size=(N_PARTS, *known.shape))
    words, halves = _measure_words(counted), [_measure_words(counted[part]) for part in HALVES]
    fit = fit_rdms(network, people.human, permutations, number)
    both = resample_factors(network, people.judgment, permutations, number)["both"]
    left = estimate_given(trained, people.human, words, np.array(halves)[:, None])
    alike = compare_profiles(network, people.human, people.attribute_rdm, permutations, number)
    return {
        "structure": both._replace(p=fit.p),
        "words": left,
        "reliance": alike,
    }


def simulate_masks(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *lesions*, *profile* and *importance* from one data set.

    At strength 0 attributes' sets of neurons overlap as attributes resemble each other, and what neurons do has nothing to
    do with it. Evidence on *profile* and *importance*, which no random mask enters, is given where there is one a cell.
    """
    rng = np.random.default_rng(seed)
    people, number = draw_people(rng, cell.correlation), int(rng.integers(1 << 31))
    importance = draw_importance(people.attribute_rdm, people.human, permutations, number)
    standing = stand_out(people.attribute_rdm).sel(emotion=EMOTIONS)
    alike = SHARE_OF_ATTRIBUTES * np.corrcoef(people.level) ** 2  # an attribute and its opposite have the same distances
    np.fill_diagonal(alike, 1)
    planted = EXCESS * COST + BY_IMPORTANCE * scipy.stats.zscore(importance[0].values)[:, None]
    planted = planted + SLOPE * scipy.stats.zscore(standing.values, axis=1)  # [attribute, emotion]
    own, random, related = draw_lesions(rng, alike, cell.draws, cell.strength * planted)
    lesions = compare_masks(own.mean("emotion"), random.mean("emotion"), related, INTACT).loc[ALL]
    found = {"lesions": _read_row(lesions)}
    if cell.draws > 1:
        return found
    loss = INTACT - own.mean("draw")
    found["profile"] = profile_test(loss.mean("size"), standing, permutations, number, lesions["cost"]).slope
    return found | {"importance": _read_row(loss_test(loss.mean("emotion"), importance, number).loc[ALL])}


def draw_lesions(
    rng: np.random.Generator, alike: np.ndarray, draws: int, planted: np.ndarray | float = 0.0
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Draw a network, attributes' sets of neurons and random ones, and what they cost.

    Neurons follow attributes by chance, those alike by the same chance. The best N of an attribute are its masks, so that a
    small one lies within a larger one. Few neurons cost most; a neuron costs some families of emotions more than others.

    Parameters
    ----------
    rng : Generator
    alike : array [attribute, attribute]
        Correlation of how neurons follow attributes.
    draws : int
        Random masks of each attribute and size.
    planted : array [attribute, emotion] or float
        What attributes' masks cost besides.

    Returns
    -------
    own, random : DataArray, dims (attribute, size, draw, emotion)
        Accuracies.
    related : DataArray
        Of the attributes' masks (:func:`emonb.analysis.lesions.relate_masks`).
    """
    sizes, n_emotions = np.array(SIZES) // 10, len(EMOTIONS)
    follows = np.linalg.cholesky(alike) @ rng.normal(size=(len(ATTRIBUTES), TOTAL))
    place = np.argsort(np.argsort(-follows, axis=1), axis=1)
    own = place[:, None] < sizes[:, None]  # [attribute, size, neuron]
    worth = rng.gamma(HEAVY, COST / HEAVY / sizes.mean(), size=TOTAL)
    worth = worth[:, None] * (1 + 0.8 * (_by_family(rng, TOTAL) + rng.normal(size=(TOTAL, n_emotions))))
    shape = (len(ATTRIBUTES), len(sizes), draws)
    lot = np.argsort(rng.random((*shape, TOTAL), dtype=np.float32), axis=-1) < sizes[:, None, None]
    emotions = 0.03 * rng.normal(size=n_emotions)
    lost = own.astype(np.float32) @ worth + np.broadcast_to(planted, (len(ATTRIBUTES), n_emotions))[:, None]
    mine, others = (_label_masks(INTACT - loss - emotions) for loss in (lost[:, :, None], lot.astype(np.float32) @ worth))
    coords = {"attribute": ATTRIBUTES, "size": SIZES, "layer": [1], "neuron": range(TOTAL)}
    sets = xr.DataArray(own[:, :, None], coords, tuple(coords))
    return mine + emotions.mean(), others + emotions.mean(), relate_masks(sets)


def simulate_carriers(cell: Cell, seed: np.random.SeedSequence, permutations: int = 399) -> dict[str, Estimate]:
    """Evidence on *own*: attributes with own neurons of all, and (``silent``) of those that no neuron carries.

    Neurons that carry an attribute correlate with it by .8 times the strength; others vary with families of emotions.
    """
    rng = np.random.default_rng(seed)
    people, number = draw_people(rng, cell.correlation), int(rng.integers(1 << 31))
    carried = 0.8 * cell.strength * np.repeat(people.level[:VOICED], NEURONS, axis=0)
    n = VOICED * NEURONS
    own = math.sqrt(0.3) * _by_family(rng, n + 8) + math.sqrt(0.7) * rng.normal(size=(n + 8, len(EMOTIONS)))
    signal = np.vstack([carried + math.sqrt(1 - (0.8 * cell.strength) ** 2) * own[:n], own[n:]])  # [neuron, emotion]
    values = signal.T[:, None] + 0.3 * rng.normal(size=(SEEDS, len(EMOTIONS), 1, n + 8))
    coords = {"seed": range(SEEDS), "emotion": EMOTIONS, "layer": [1], "neuron": range(n + 8)}
    activations = xr.Dataset({"activation": (tuple(coords), values)}, coords)
    score = xr.DataArray(people.level.T, {"emotion": EMOTIONS, "attribute": ATTRIBUTES}, ("emotion", "attribute"))
    humans = xr.Dataset({"score": score, "attribute_rdm": people.attribute_rdm})
    p = best_p(find_own_neurons(rank_neuron_rdms(activations.activation, humans), humans, permutations, number))
    return {"own": count_attributes(p), "own:silent": count_attributes(p[VOICED:])}


def _weigh(level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Positions [emotion, attribute] whose squared distances are weighted differences of levels."""
    return (np.sqrt(weight)[:, None] * level).T


def _network(rng: np.random.Generator, position: np.ndarray, noise: float) -> xr.DataArray:
    """RDM of a network that represents these positions and, by as much as ``noise``, a structure of its own."""
    n = position.shape[1]
    own = noise * (math.sqrt(0.3) * _by_family(rng, n).T + math.sqrt(0.7) * rng.normal(size=position.shape))
    read = rng.normal(size=(2, n, 100))
    return _label(pattern_rdm(position @ read[0] + own @ read[1], "correlation"))


def _by_family(rng: np.random.Generator, n: int) -> np.ndarray:
    """Rows [n, emotion] that are the same within families of emotions."""
    return rng.normal(size=(n, FAMILIES))[:, rng.integers(FAMILIES, size=len(EMOTIONS))]


def _label(rdm: np.ndarray) -> xr.DataArray:
    return xr.DataArray(rdm, pair_coords(EMOTIONS), ("pair",))


def _label_masks(accuracy: np.ndarray) -> xr.DataArray:
    """Label accuracies [attribute, size, draw, emotion]."""
    coords = {"attribute": ATTRIBUTES, "size": SIZES, "draw": range(accuracy.shape[2]), "emotion": EMOTIONS}
    return xr.DataArray(accuracy, coords, tuple(coords))


def _read_row(row: pd.Series) -> Estimate:
    """Estimate from a row of a table of tests."""
    return Estimate(*(float(row[name]) for name in Estimate._fields))


ALIKE = 0.6
"""Correlation of the lots by which two attributes' neurons are drawn: a third of their neurons are the same."""


def simulate_lots(cell: Cell, seed: np.random.SeedSequence) -> dict[str, Estimate]:
    """Evidence on *lesions* from one data set in which no mask was selected: neurons are drawn by lot.

    Masks share neurons over attributes as much as over sizes, and nothing follows anything: what the rule says of them it
    says of any fourteen nested sets of neurons that overlap strongly.
    """
    n = len(ATTRIBUTES)
    own, random, related = draw_lesions(np.random.default_rng(seed), ALIKE + (1 - ALIKE) * np.eye(n), cell.draws)
    found = compare_masks(own.mean("emotion"), random.mean("emotion"), related, INTACT).loc[ALL]
    return {"lesions:lot": _read_row(found)}
