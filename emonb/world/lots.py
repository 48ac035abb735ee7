"""Lesions whose masks follow nothing: an attribute's neurons are drawn by lot, and those of a small mask are in the larger.

What the rule says of them is what it says of any fourteen sets of neurons that share their members over sizes.
"""

import math

import numpy as np

from emonb.analysis.estimates import Estimate
from emonb.analysis.populations import ALL, compare_fixed, compare_sampled, find_majority
from emonb.world.simulation import ATTRIBUTES, EMOTIONS, SD_RANDOM, SIZES, Cell, draw_profiles, label_masks, label_row

SHARED = 0.8
"""Correlation of an attribute's masks over sizes, as released."""


def test_lots(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *lesions*, *lesions-general* and *majority* from one data set in which no mask was selected.

    Both kinds of mask are random and of one spread. Those of an attribute correlate over sizes, as nested masks do; those
    they are compared with do not, as each was drawn anew. So their mean lies farther from that of random masks than chance
    puts a mean of as many random masks, to one side or the other.
    """
    rng, shape = np.random.default_rng(seed), (len(ATTRIBUTES), len(SIZES), cell.draws)
    mine, each = rng.normal(size=(len(ATTRIBUTES), 1)), rng.normal(size=shape[:2])
    hurt = SD_RANDOM * (math.sqrt(SHARED) * mine + math.sqrt(1 - SHARED) * each)  # [attribute, size]
    nested = hurt[:, :, None, None] + draw_profiles(rng, len(ATTRIBUTES))[:, None, None]  # [attribute, size, draw, emotion]
    emotions = 0.03 * rng.normal(size=len(EMOTIONS))
    random = SD_RANDOM * rng.normal(size=shape)[..., None] + draw_profiles(rng, shape)
    these, others = (label_masks(0.73 - loss - emotions) for loss in (nested, random))
    means = these.mean("emotion"), others.mean("emotion")
    return {
        "lesions:lot": label_row(compare_fixed(means[0], means[1]).loc[ALL]),
        "lesions-general:lot": label_row(compare_sampled(means[0], means[1]).loc[ALL]),
        "majority:lot": find_majority(these, others, permutations, int(rng.integers(1 << 31))),
    }
