"""Simulated studies: what is planted is there, the rule finds it, and a design is not simulated twice."""

import numpy as np
import pytest

from emonb.world import lots, simulation
from emonb.world.simulation import Cell


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_attributes_share_as_much_as_is_planted(share: float) -> None:
    largest = []
    for seed in range(20):
        people = simulation.draw_people(np.random.default_rng(seed), share)
        r = np.corrcoef(people.level)
        largest.append(np.abs(r[np.triu_indices(len(r), 1)]).max())
    assert (np.mean(largest) > 0.85) == (share > 0.8) and np.mean(largest) > 0.3


def test_what_is_planted_is_found_and_nothing_else() -> None:
    def mean(strength: float) -> dict[str, float]:
        children = np.random.SeedSequence(3).spawn(8)
        found = [simulation.test_masks(Cell(strength, 0.5), child, permutations=99) for child in children]
        return {name: float(np.mean([one[name].value for one in found])) for name in found[0]}

    none, all_of_it = mean(0.0), mean(1.0)
    assert abs(none["lesions"]) < 0.006 and all_of_it["lesions"] == pytest.approx(0.96 * 0.048, abs=0.006)
    assert abs(none["majority"]) < 0.12 and all_of_it["majority"] > 0.3
    assert abs(none["specificity"]) < 0.003 and all_of_it["specificity"] == pytest.approx(0.02, abs=0.003)
    assert abs(none["importance"]) < 0.4 and all_of_it["importance"] > 0.9


def test_sets_drawn_by_lot_lie_apart_as_far_as_their_common_members_make_them() -> None:
    children = np.random.SeedSequence(5).spawn(80)
    found = [lots.test_lots(Cell(0.0, 0.0, 4), child, permutations=9)["lesions:lot"] for child in children]
    spread, (attributes, sizes) = simulation.SD_RANDOM, (len(simulation.ATTRIBUTES), len(simulation.SIZES))
    nested = (lots.SHARED + (1 - lots.SHARED) / sizes) / attributes  # variance of a mean over sizes that share members
    apart = spread * np.sqrt(nested + 1 / (attributes * sizes * 4))
    values = np.array([one.value for one in found])
    assert values.std() == pytest.approx(apart, rel=0.25) and abs(values.mean()) < 4 * apart / np.sqrt(len(values))
    assert np.mean([one.low > 0 for one in found]) > 0.15  # far above the .025 of masks that are drawn anew for each size
