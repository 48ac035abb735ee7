"""Whole studies simulated at the level of RDMs and accuracies: no network is trained, so hundreds take minutes.

A data set has the sizes of the published study (27 emotions in families, 14 attributes, 61 judges, seven N) and what makes
that one hard: attributes that correlate, emotions that resemble each other, selective masks that differ more among each
other than random ones do, masks that hurt close attributes alike, comments that carry part of people's structure. One
number plants all effects, from none (0) over about what is disputed in the published data (.5) to twice that (1). The
chapters' own functions are applied to it; what they find is handed over as evidence and judged elsewhere.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.beyond import beat_chance
from emonb.analysis.estimates import Estimate
from emonb.analysis.fits import fit_rdms
from emonb.analysis.importance import draw_importance, test_loss
from emonb.analysis.neurons import find_neurons
from emonb.analysis.own import find_own_neurons
from emonb.analysis.partial import estimate_given, permute_residuals
from emonb.analysis.populations import ALL, compare_fixed, compare_sampled, find_majority
from emonb.analysis.rdm import pair_coords, pair_index, pattern_rdm, rank_neuron_rdms
from emonb.analysis.reliance import compare_profiles
from emonb.analysis.resampling import resample_factors
from emonb.analysis.specificity import test_specificity

EMOTIONS = [f"emotion {k:02d}" for k in range(27)]
ATTRIBUTES = [f"attribute {k:02d}" for k in range(14)]
SIZES = [1500, 2000, 2500, 3000, 4000, 5000, 6000]
VOICED, JUDGES, SEEDS, NEURONS = 8, 61, 4, 5
"""Attributes that people and network use; judges; seeds of prompts; neurons that carry an attribute."""
SD_RANDOM, SD_SELECTIVE = 0.048, 0.069
"""Between random and between selective masks of one N, in accuracy, as released."""
D = 0.96
"""Mean loss in units of SD_RANDOM where all is planted: twice the .48 pooled standard deviations released at N = 4,000."""
WHOLE = D * SD_RANDOM
"""The same in accuracy."""
SLOPE, FAMILIES = 0.02, 6
"""Accuracy an emotion loses more for a standard deviation of its level, where all is planted; families of emotions."""


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


def test_structure(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *structure*, *words*, *knowledge* and *reliance* from one data set.

    At strength 0 the network of *structure* and *reliance* is unrelated to people; that of *words* and *knowledge* knows
    what comments say (half of the attributes), as an untrained network does too, and nothing beyond.
    """
    rng = np.random.default_rng(seed)
    people, number = draw_people(rng, cell.correlation), int(rng.integers(1 << 31))
    said = np.arange(len(people.weight)) % 2 == 0
    known, beyond = (_weigh(people.level, people.weight * part) for part in (said, ~said))
    everything, size = np.hstack([known, beyond]), np.std(known)
    network = _network(rng, cell.strength * everything, (1 - 0.5 * cell.strength) * 1.4 * size)
    trained, untrained = (_network(rng, np.hstack([known, s * beyond]), 0.7 * size) for s in (cell.strength, 0.0))
    words = _label(pattern_rdm(known + 0.3 * size * rng.normal(size=known.shape), "euclidean"))
    fit = fit_rdms(network, people.human, permutations, number)
    both = resample_factors(network, people.judgment, permutations, number)["both"]
    left = estimate_given(trained, people.human, words)
    moved = permute_residuals(trained, people.human, words, permutations, number)
    gain = resample_factors(trained, people.judgment, permutations, number, minus=untrained)["both"]
    alike = compare_profiles(network, people.human, people.attribute_rdm, permutations, number)
    return {
        "structure": both._replace(p=fit.p_two_sided),
        "words": left._replace(p=moved.p_two_sided),
        "knowledge": gain,
        "reliance": alike,
    }


def test_masks(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *lesions*, *lesions-general*, *majority*, *specificity* and *importance* from one data set.

    Selective masks of close attributes hurt alike. For claims about these attributes the masks' mean loss is what is
    planted, exactly; for attributes in general it varies around it from data set to data set. Evidence on *specificity* and
    *importance*, which no random mask enters, is given where there is one a cell.
    """
    rng = np.random.default_rng(seed)
    people, number = draw_people(rng, cell.correlation), int(rng.integers(1 << 31))
    importance = draw_importance(people.attribute_rdm, people.human, permutations, number)
    close = np.linalg.cholesky(0.5 * np.eye(len(ATTRIBUTES)) + 0.5 * np.corrcoef(people.level))
    strength, n_sizes = cell.strength, len(SIZES)
    r = 0.98 * strength
    own = r * scipy.stats.zscore(importance[0]) + math.sqrt(1 - r**2) * (close @ rng.normal(size=len(ATTRIBUTES)))
    over_sizes = math.sqrt(0.8) * own[:, None] + math.sqrt(0.2) * (close @ rng.normal(size=(len(ATTRIBUTES), n_sizes)))
    hurt = SD_SELECTIVE * over_sizes  # [attribute, size]
    emotions = 0.03 * rng.permutation(
        scipy.stats.norm.ppf((np.arange(27) + 0.5) / 27)
    )  # half worse where nothing is planted
    profile = close @ draw_profiles(rng, len(ATTRIBUTES)) + strength * SLOPE * people.level  # [attribute, emotion]
    mean = strength * WHOLE
    loss = hurt[:, :, None] + (profile - profile.mean())[:, None] + 0.01 * rng.normal(size=(*hurt.shape, len(EMOTIONS)))
    exact = loss - loss.mean((0, 1), keepdims=True) + emotions
    shape = (len(ATTRIBUTES), n_sizes, cell.draws)
    random = SD_RANDOM * rng.normal(size=shape)[..., None] + draw_profiles(rng, shape)
    general, these, others = (
        label_masks(0.73 - array) for array in (loss[:, :, None] + mean, exact[:, :, None] + mean, random)
    )
    means = [array.mean("emotion") for array in (general, these, others)]
    found = {
        "lesions": label_row(compare_fixed(means[1], means[2]).loc[ALL]),
        "lesions-general": label_row(compare_sampled(means[0], means[2]).loc[ALL]),
        "majority": find_majority(these, others, permutations, number),
    }
    if cell.draws > 1:
        return found
    losses, levels = -general.mean("draw"), _attribute_table(people.level)
    found["specificity"] = test_specificity(losses.mean("size"), levels, permutations, number).slope
    return found | {"importance": label_row(test_loss(losses.mean("emotion"), importance, number).loc[ALL])}


def test_carriers(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *neurons* and *own*, of one attribute that neurons carry and (``silent``) of one that none carries.

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
    score = _attribute_table(people.level).transpose("emotion", "attribute")
    humans = xr.Dataset({"score": score, "attribute_rdm": people.attribute_rdm})
    chosen = {"": ATTRIBUTES[0], ":silent": ATTRIBUTES[VOICED]}  # one of each, so that data sets are all that is counted
    some = humans[["attribute_rdm"]].sel(attribute=list(chosen.values()))
    ranks = rank_neuron_rdms(activations.activation, humans)
    found = {
        "neurons": beat_chance(find_neurons(ranks, some, permutations, number)),
        "own": beat_chance(find_own_neurons(ranks, humans, permutations, number)),
    }
    return {f"{claim}{kind}": found[claim][name] for claim in found for kind, name in chosen.items()}


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


def draw_profiles(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """What masks do to single emotions, [..., emotion]: families suffer together."""
    n = int(np.prod(shape))
    rows = 0.02 * _by_family(rng, n) + 0.02 * rng.normal(size=(n, len(EMOTIONS)))
    return rows.reshape(*np.atleast_1d(shape), len(EMOTIONS))


def _label(rdm: np.ndarray) -> xr.DataArray:
    return xr.DataArray(rdm, pair_coords(EMOTIONS), ("pair",))


def label_masks(accuracy: np.ndarray) -> xr.DataArray:
    """Label accuracies [attribute, size, draw, emotion]."""
    coords = {"attribute": ATTRIBUTES, "size": SIZES, "draw": range(accuracy.shape[2]), "emotion": EMOTIONS}
    return xr.DataArray(accuracy, coords, tuple(coords))


def _attribute_table(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, {"attribute": ATTRIBUTES, "emotion": EMOTIONS}, ("attribute", "emotion"))


def label_row(row: "object") -> Estimate:
    """Estimate from a row of a table of tests."""
    return Estimate(*(float(getattr(row, name)) for name in Estimate._fields))
