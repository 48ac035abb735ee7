"""The instrument's design: a cell is simulated once, an effect is brought to its bound, and every verdict is counted."""

from pathlib import Path

import numpy as np
import pytest

from emonb.analysis.statistics import Estimate
from emonb.book.claims import Evidence, decide_count
from emonb.book.ledger import declarations
from instrument import rates
from instrument.simulation import Cell


def _test(cell: Cell, seed: np.random.SeedSequence) -> dict[str, Estimate]:
    """A claim with an effect of twice the strength (SE .05), another by lot, a count, and something that is no claim."""
    value, se = 2 * cell.strength + 0.05 * float(np.random.default_rng(seed).normal()), 0.05
    found = Estimate(
        value, value - 1.96 * se, value + 1.96 * se, value - 1.645 * se, value + 1.645 * se, 0.001 if value > 0.1 else 0.5
    )
    count = Estimate(float(cell.strength > 0), *[float("nan")] * 4, 0.01 if cell.strength else 0.6)
    return {"importance": found, "lesions:lot": found._replace(p=1.0), "own": count, "readable": found}


@pytest.fixture
def design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    cells = [Cell(strength, 0.5) for strength in (0.0, 0.1, 0.4)]
    monkeypatch.setattr(rates, "DESIGN", {"masks": (_test, cells)})
    return cells


def test_every_verdict_of_a_claim_is_counted_once(design: list[Cell]) -> None:
    rows = rates.simulate(20)
    counted = [row for row in rows if row["kind"] != "bound"]
    assert {(row["claim"], row["kind"]) for row in counted} == {("importance", ""), ("lesions", "lot"), ("own", "")}
    assert len(counted) == 3 * len(design)
    assert all(sum(row[verdict] for verdict in (*rates.JUDGED, "not tested")) == row["n"] == 20 for row in rows)
    own = {row["strength"]: (row["yes"], row["undecided"]) for row in counted if row["claim"] == "own"}
    assert own == {0.0: (0, 20), 0.1: (20, 0), 0.4: (20, 0)}
    by_lot = [row for row in counted if row["claim"] == "lesions"]
    assert [row["yes"] + row["yes, too small to matter"] for row in by_lot] == [0, 0, 0]


def test_an_effect_is_brought_to_its_bound(design: list[Cell]) -> None:
    rows = rates.simulate(200)
    (at,) = [row for row in rows if row["kind"] == "bound"]
    bound = declarations().claim("importance").smallest.effect
    assert at["claim"] == "importance" and at["strength"] == pytest.approx(bound / 2, abs=0.02)
    assert at["effect"] == pytest.approx(bound, abs=0.03)
    assert at["no"] / at["n"] < 0.12  # one-sided at .05, and the strength is interpolated


def test_an_effect_that_no_strength_brings_to_its_bound_is_not_simulated(design: list[Cell]) -> None:
    said: list[str] = []
    del design[2]
    rows = rates.simulate(2, log=said.append)
    assert not [row for row in rows if row["kind"] == "bound"]
    assert "importance: no strength of the design brings its effect to its bound" in said


def test_a_cell_is_simulated_once(design: list[Cell]) -> None:
    said: list[str] = []
    first = rates.simulate(2, log=said.append)
    made = [line for line in said if line.startswith("masks")]
    assert len(made) == len(design) + 1
    said.clear()
    assert rates.simulate(2, log=said.append) == first
    assert not [line for line in said if line.startswith("masks")]
    assert rates.simulate(3, log=said.append) != first


def test_counts_and_effects_are_judged_by_the_same_rule_as_chapters() -> None:
    declared = declarations()
    evidence = Evidence(2.0, None, None, None, None, 0.01)
    assert declared.claim("own").judge(evidence) == decide_count(2.0, 0.01) == "yes"
    assert declared.claim("lesions").judge(evidence) == "not tested"
