"""Sets of neurons drawn by lot that share members over attributes as much as over sizes: nothing follows anything.

What the rule says of them is what it says of any fourteen nested sets of neurons that overlap strongly.
"""

import numpy as np

from emonb.analysis.estimates import Estimate
from emonb.analysis.populations import ALL, compare_masks
from emonb.world.simulation import ATTRIBUTES, INTACT, Cell, draw_lesions, label_row

ALIKE = 0.6
"""Correlation of the lots by which two attributes' neurons are drawn: a third of their neurons are the same."""


def test_lots(cell: Cell, seed: np.random.SeedSequence, permutations: int = 199) -> dict[str, Estimate]:
    """Evidence on *lesions* from one data set in which no mask was selected and all overlap; nothing is permuted."""
    n = len(ATTRIBUTES)
    own, random, related = draw_lesions(np.random.default_rng(seed), ALIKE + (1 - ALIKE) * np.eye(n), cell.draws)
    found = compare_masks(own.mean("emotion"), random.mean("emotion"), related, INTACT).loc[ALL]
    return {"lesions:lot": label_row(found)}
