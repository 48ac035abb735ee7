"""Trials of planted worlds and simulated studies are counted as they came out, and told so."""

import json
from pathlib import Path

import pandas as pd
import pytest
import scipy.stats

from emonb.book import instrument as counted
from emonb.book.ledger import declarations, read_ledgers, read_truths
from emonb.study import load_study
from instrument import page, worlds


def _trial(study: str, seed: int, structure: str, own: dict | None = None) -> dict:
    claims = {"structure": {"holds": structure, "value": 0.3}} | ({"own": own} if own else {})
    return {"study": study, "seed": seed, "claims": claims, "quantities": {}}


TRUTHS = {"control": {"structure": {"effect": 0.6, "se": 0.02, "n": 5}}}


def _own(count: int, true: int) -> dict:
    return {"holds": "yes" if count else "undecided", "value": count, "true_count": true}


def test_errors_are_counted_against_the_truth_with_exact_intervals() -> None:
    declared = declarations()
    nulls = [("yes", _own(0, 0)), ("yes, too small to matter", _own(1, 0)), ("undecided", _own(0, 0))]
    trials = [_trial("control-null", seed, verdict, own) for seed, (verdict, own) in enumerate(nulls)]
    trials += [_trial("control", 1, "no", _own(9, 8)), _trial("control", 2, "yes", _own(8, 8))]
    table = page.tally(trials, declared, ["control", "control-null"], TRUTHS, n=4)
    null, causal = (table.loc[("structure", world)] for world in ("control-null", "control"))
    assert null[[*page.VERDICTS]].tolist() == [1, 1, 1, 0, 0, 1]
    assert (null["truth"], null["beyond"], causal["truth"], causal["beyond"]) == ("no", 2, "yes", 0)
    assert table.loc[("words", "control-null"), "not tested"] == 3
    errors = page.count_errors(table, counted.read_rates().iloc[:0], declared)
    low, high = (scipy.stats.beta.ppf(q, *ab) for q, ab in ((0.025, (2, 2)), (0.975, (3, 1))))
    assert errors.to_dict("records")[0] == {
        "claim": "structure", "error": "miss", "source": "planted", "place": "causal", "k": 1, "n": 2,
        "low": pytest.approx(0.0126, abs=1e-3), "high": pytest.approx(0.9874, abs=1e-3),
    }  # fmt: skip
    found = {(row.claim, row.error, row.place): (row.k, row.n) for row in errors.itertuples()}
    assert found == {
        ("structure", "miss", "causal"): (1, 2),
        ("structure", "false no", "causal"): (1, 2),
        ("structure", "false alarm", "null"): (2, 3),
        ("own", "false alarm", "causal"): (1, 2),
        ("own", "miss", "causal"): (0, 2),
        ("own", "false no", "causal"): (0, 2),
        ("own", "false alarm", "null"): (1, 3),
    }
    shown = page.tabulate_errors(errors, declared)
    assert list(shown.index) == [claim.title for claim in declared.claims]
    structure = shown.loc[declared.claim("structure").title]
    assert structure["false alarm, planted"] == f"2 of 3 [{low:.2f}, {high:.2f}]"
    assert structure["false alarm, simulated"] == "–"
    assert list(page.find_unsound(errors)) == ["structure"]  # 2 of 3: the interval begins at .09
    titles = {claim.id: claim.title for claim in declared.claims}
    page.draw_worlds(table, titles, {"control": "a", "control-null": "b"})
    page.draw_alarms(errors, titles)


def _cell(kind: str, strength: float, yes: int, no: int = 0, claim: str = "words") -> dict:
    counts = dict.fromkeys(("yes, too small to matter", "not tested"), 0)
    planted = {"claim": claim, "kind": kind, "strength": strength, "correlation": 0.5, "draws": 1, "effect": strength}
    return {**planted, **counts, "yes": yes, "no": no, "undecided": 200 - yes - no, "n": 200}


def test_simulated_errors_are_alarms_of_nothing_and_misses_at_the_bound() -> None:
    cells = [_cell("", 0.0, 4), _cell("silent", 0.5, 25), _cell("", 1.0, 190), _cell("bound", 0.2, 90, 7)]
    errors = counted.count_simulated(pd.DataFrame(cells), declarations())
    found = {(row.error, row.place): (row.k, row.n) for row in errors.itertuples()}
    assert found == {
        ("false alarm", "nothing planted, r² = 0.5"): (4, 200),
        ("false alarm", "only close attributes carried, r² = 0.5"): (25, 200),
        ("miss", "effect 0.20"): (110, 200),
        ("false no", "effect 0.20"): (7, 200),
    }
    assert page.find_unsound(errors) == {"words": "only close attributes carried, r² = 0.5: 25 of 200 [0.08, 0.18]"}


def test_no_trials_and_no_rates_leave_the_page_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "book_dir", lambda: tmp_path)
    declared = declarations()
    table = page.tally([], declared, worlds.WORLDS, {})
    assert (table["not run"] == 10).all()
    rates = counted.read_rates()
    errors = page.count_errors(table, rates, declared)
    assert rates.empty and errors.empty and page.find_unsound(errors) == {}
    titles = {claim.id: claim.title for claim in declared.claims}
    page.draw_power(rates, titles)
    page.draw_alarms(errors, titles)
    assert (page.tabulate_errors(errors, declared) == "–").all(axis=None)
    truths = page.tabulate_truths(declared, {world: world for world in worlds.WORLDS}, TRUTHS)
    assert truths.loc[declared.claim("structure").title, "control"] == "yes: 0.60 ± 0.02"
    assert truths.loc[declared.claim("own").title, "control-null"] == "no"


def test_errors_of_simulated_studies_are_told_before_any_world_is_run() -> None:
    declared = declarations()
    table = page.tally([], declared, worlds.WORLDS, {})
    told = page.tabulate_errors(page.count_errors(table, counted.read_rates(), declared), declared)
    assert set(told["false alarm, planted"]) == {"–"}
    assert " of " in told.loc["Lesions", "false alarm, simulated"]


def test_no_claim_whose_test_says_yes_of_nothing_too_often_prints_a_yes() -> None:
    """Of simulated and planted nulls; a rate counts where its exact 95 % interval lies above .05."""
    declared = declarations()
    table = page.tally(counted.read_trials(), declared, worlds.WORLDS, read_truths())
    errors = page.count_errors(table, counted.read_rates(), declared)
    for claim, worst in page.find_unsound(errors).items():
        for edition, ledger in read_ledgers().items():
            holds = ledger["claims"].get(claim, {}).get("holds", "")
            assert holds not in counted.YES, f"{edition}: {claim} is {holds}, yet of nothing {worst}"


def test_what_is_measured_is_averaged_over_world_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict] = []
    monkeypatch.setattr(worlds.editions, "run_edition", lambda world, more, chapters: given.append(more))
    estimates = iter([0.2, 0.4])
    monkeypatch.setattr(worlds, "merge_records", lambda records: {"claims": {"structure": {"estimate": next(estimates)}}})
    measured = worlds.measure_truths([100, 101], ["control"])["worlds"]["control"]
    assert measured == {"structure": {"effect": 0.3, "se": 0.1, "n": 2}}
    assert [one["world.seed"] for one in given] == [100, 101]
    study = load_study("control", **given[0])
    assert len(study.seeds) == 12 and set(study.lesions.selection_seeds) < set(study.seeds)


def test_wiring_is_averaged_over_seeds_and_worlds_without_it_are_left_out() -> None:
    found = [
        {"truth.auc": a, "truth.precision": 0.5, "truth.recall": 0.25, "truth.silent_found": s}
        for a, s in ((0.9, 0), (0.7, 2))
    ]
    trials = [{**_trial("control", seed, "yes"), "quantities": q} for seed, q in enumerate(found)]
    graded = page.grade_wiring(trials, {"control": "causal", "control-null": "null"})
    assert list(graded.index) == ["causal"]
    assert graded.loc["causal", ["worlds", "AUC", "AUC, own", "silent attributes found"]].tolist() == [
        2,
        "0.80 [0.70, 0.90]",
        "–",
        "1 of 2",
    ]
    assert page.grade_wiring([], {"control": "causal"}).empty


def test_trials_are_added_to_those_there(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    first = [_trial("control-null", 10, "no"), _trial("control", 11, "yes")]
    worlds.write_trials(first, path)
    worlds.write_trials([_trial("control", 10, "yes"), _trial("control-null", 10, "yes")], path)
    there = counted.read_trials(path)
    assert [(t["study"], t["seed"]) for t in there] == [("control", 10), ("control", 11), ("control-null", 10)]
    assert there[-1]["claims"]["structure"]["holds"] == "yes" and counted.read_trials(tmp_path / "none.json") == []
    assert json.loads(path.read_text())["trials"] == there
