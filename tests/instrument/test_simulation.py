"""Simulated studies: what is planted is there, the rule finds it, and a design is not simulated twice."""

import numpy as np
import pytest

from instrument import simulation
from instrument.simulation import Cell


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
        children = np.random.SeedSequence(3).spawn(12)
        found = [simulation.simulate_masks(Cell(strength, 0.5), child, permutations=99) for child in children]
        return {name: float(np.mean([one[name].value for one in found])) for name in found[0]}

    none, all_of_it = mean(0.0), mean(1.0)
    assert abs(none["lesions"]) < 0.12
    assert all_of_it["lesions"] - none["lesions"] == pytest.approx(simulation.EXCESS, abs=0.1)
    slope = simulation.SLOPE / simulation.COST
    assert abs(none["profile"]) < 0.03 and all_of_it["profile"] - none["profile"] == pytest.approx(slope, abs=0.03)
    assert abs(none["importance"]) < 0.3 and all_of_it["importance"] > 0.6


def test_simulated_random_masks_cost_and_vary_as_released_ones() -> None:
    n = len(simulation.ATTRIBUTES)
    drawn = [simulation.draw_lesions(np.random.default_rng(seed), np.eye(n), 4) for seed in range(8)]
    means = np.stack([random.mean("emotion").sel(size=4000).values.ravel() for _, random, _ in drawn])
    cost = simulation.COST * 4000 / np.mean(simulation.SIZES)
    assert simulation.INTACT - means.mean() == pytest.approx(cost, rel=0.2)
    assert means.std(1, ddof=1).mean() == pytest.approx(0.05, abs=0.015)


def test_sets_drawn_by_lot_that_overlap_strongly_are_no_lesions() -> None:
    children = np.random.SeedSequence(5).spawn(60)
    found = [simulation.simulate_lots(Cell(0.0, 0.0, 1), child)["lesions:lot"] for child in children]
    assert np.mean([one.p < 0.05 for one in found]) <= 0.12 and np.std([one.value for one in found]) > 0.15
