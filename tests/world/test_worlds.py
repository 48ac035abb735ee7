"""The companions of the planted world are what they are called, and trials of them are counted as they came out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from emonb.analysis.rdm import pattern_rdm
from emonb.analysis.structure import rank_correlation
from emonb.book import instrument
from emonb.book.ledger import declarations, read_ledgers, read_truths
from emonb.run import worlds
from emonb.study import load_study
from emonb.world import files
from emonb.world.network import make_backbone, number_words, owned_neurons, train_backbone, wire, write_documents
from emonb.world.world import COMMON, GROUP, World, _corpus


def open_world(name: str, seed: int = 10, **plan: object) -> World:
    study = load_study(name, **{"world.seed": seed} | {f"world.{field}": value for field, value in plan.items()})
    return World(study.world, study.emotions, study.attributes)


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_attributes_correlate_as_those_of_real_emotions_do(seed: int) -> None:
    world = open_world("control-correlated", seed)
    r = np.corrcoef(world.level.T)
    off, sizes = np.abs(r[np.triu_indices(len(r), 1)]), np.linalg.eigvalsh(r)
    assert 0.85 < off.max() < 0.97  # released scores: .95
    assert 3.5 < sizes.sum() ** 2 / (sizes**2).sum() < 7  # released scores: 4.6
    voiced = world.weight > 0
    assert np.abs(r[np.ix_(voiced, ~voiced)]).max() > 0.8  # a silent attribute resembles a voiced one
    plain = np.corrcoef(open_world("control", seed).level.T)
    assert np.abs(plain[np.ix_(voiced, ~voiced)]).max() < 0.6


def test_where_one_attribute_is_voiced_judges_use_eight() -> None:
    world, plain = open_world("control-valence"), open_world("control")
    assert (world.weight > 0).sum() == 1 and (world.judged > 0).sum() == 8
    np.testing.assert_array_equal(world.judged, plain.weight)
    assert world.judged.argmax() == world.weight.argmax()
    np.testing.assert_array_equal(plain.judged, plain.weight)


def test_comments_that_name_their_emotion_say_nothing_else() -> None:
    world = open_world("control-knowing")
    names = [set(text.split()) & set(world.emotions) for text, _ in _corpus(world)["train"]]
    label = [world.emotions[world.label_ids.index(k)] for _, k in _corpus(world)["train"]]
    assert all(names) and 0.95 < np.mean([own in found for own, found in zip(label, names, strict=True)]) <= 1
    rng = np.random.default_rng(0)
    comments = world.write(rng, rng.random((54_000, 14)), np.repeat(np.arange(27), 2_000))
    attribute, pole = comments[1], comments[2]
    balance = world.balance(np.where(attribute < 14, attribute, -1), pole).reshape(27, 2_000, 14)
    assert scipy.stats.f_oneway(*balance[..., 0]).pvalue > 0.001  # cues are the same for all emotions
    meant = world.balance(np.where(attribute < 14, -1, attribute), pole).reshape(27, 2_000, 14).mean(1)
    human = pattern_rdm(np.sqrt(world.judged) * world.level, "euclidean")
    assert rank_correlation(pattern_rdm(meant, "euclidean"), human) > 0.8  # what their names mean is people's structure
    odds = world.log_odds(attribute, pole)
    assert (odds.argmax(1) == np.repeat(np.arange(27), 2_000)).mean() > 0.9


def test_the_knowing_network_has_met_the_emotions_and_no_other_has(tmp_path: Path) -> None:
    world = open_world("control-knowing", steps=60, batch=32)
    ids = number_words(world)
    assert set(world.emotions) <= set(ids) and not set(world.emotions) & set(number_words(open_world("control")))
    _, tokens, suits = write_documents(world, ids, 4_000, np.random.default_rng(1))
    named = torch.isin(tokens, torch.tensor([ids[name] for name in world.emotions])).sum(1)
    assert (named == world.plan.names).all() and 0.4 < suits.float().mean() < 0.6
    backbone = make_backbone(world)
    wire(world, backbone.model, ids, np.random.default_rng(0))
    rows = [ids[name] for name in world.emotions]
    before = backbone.model.get_input_embeddings().weight[rows].clone()
    train_backbone(world, tmp_path / "net", progress=False)
    from transformers import RobertaForMaskedLM

    after = RobertaForMaskedLM.from_pretrained(tmp_path / "net").get_input_embeddings().weight[rows]
    assert ((after - before).abs().max(1).values > 0).all()
    study = load_study("control-knowing")
    keys = {files.fingerprint(load_study(study, **{"world.correlation": c}), files.BACKBONE) for c in (0.0, 0.5)}
    assert len(keys) == 2  # which emotions it has met is part of what it is


def test_both_layers_of_the_deep_network_are_used() -> None:
    world = open_world("control-deep")
    ids = number_words(world)
    backbone = make_backbone(world)
    wire(world, backbone.model, ids, np.random.default_rng(0))
    speakers, tokens, _ = write_documents(world, ids, 64, np.random.default_rng(4))
    prompts = backbone._words[speakers]
    intact, neurons = backbone.forward(prompts, tokens, read=True)
    assert neurons.shape == (64, 2, GROUP * 14 + COMMON)
    assert (neurons.std(0) > 0).float().mean() > 0.99  # those of the first layer differ between prompts, too
    for layer in (0, 1):
        factors = torch.ones(1, 2, neurons.shape[2])
        factors[:, layer] = 0
        assert not torch.allclose(backbone.forward(prompts, tokens, factors)[0], intact)
    name = world.attributes[int(world.weight.argmax())]
    assert min(world.groups()[name]) >= neurons.shape[2] and owned_neurons(world)[0].sum() == 0


def _trial(study: str, seed: int, structure: str, own: dict | None = None) -> dict:
    claims = {"structure": {"holds": structure, "value": 0.3}} | ({"own": own} if own else {})
    return {"study": study, "seed": seed, "claims": claims, "quantities": {}}


def _own(count: int, true: int) -> dict:
    return {"holds": "yes" if count else "undecided", "value": count, "true_count": true}


TRUTHS = {"control": {"structure": {"effect": 0.6, "se": 0.02, "n": 5}}}


def test_errors_are_counted_against_the_truth_with_exact_intervals() -> None:
    declared = declarations()
    nulls = [("yes", _own(0, 0)), ("yes, too small to matter", _own(1, 0)), ("undecided", _own(0, 0))]
    trials = [_trial("control-null", seed, verdict, own) for seed, (verdict, own) in enumerate(nulls)]
    trials += [_trial("control", 1, "no", _own(9, 8)), _trial("control", 2, "yes", _own(8, 8))]
    table = instrument.tally(trials, declared, ["control", "control-null"], TRUTHS, n=4)
    null, causal = (table.loc[("structure", world)] for world in ("control-null", "control"))
    assert null[[*instrument.VERDICTS]].tolist() == [1, 1, 1, 0, 0, 1]
    assert (null["truth"], null["beyond"], causal["truth"], causal["beyond"]) == ("no", 2, "yes", 0)
    assert table.loc[("words", "control-null"), "not tested"] == 3
    errors = instrument.count_errors(table, instrument.read_rates().iloc[:0], declared)
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
    shown = instrument.tabulate_errors(errors, declared)
    assert list(shown.index) == [claim.title for claim in declared.claims]
    structure = shown.loc[declared.claim("structure").title]
    assert structure["false alarm, planted"] == f"2 of 3 [{low:.2f}, {high:.2f}]"
    assert structure["false alarm, simulated"] == "–"
    assert list(instrument.find_unsound(errors)) == ["structure"]  # 2 of 3: the interval begins at .09
    titles = {claim.id: claim.title for claim in declared.claims}
    instrument.draw_worlds(table, titles, {"control": "a", "control-null": "b"})
    instrument.draw_alarms(errors, titles)


def _cell(kind: str, strength: float, yes: int, no: int = 0, claim: str = "words") -> dict:
    counts = dict.fromkeys(("yes, too small to matter", "not tested"), 0)
    planted = {"claim": claim, "kind": kind, "strength": strength, "correlation": 0.5, "draws": 1, "effect": strength}
    return {**planted, **counts, "yes": yes, "no": no, "undecided": 200 - yes - no, "n": 200}


def test_simulated_errors_are_alarms_of_nothing_and_misses_at_the_bound() -> None:
    cells = [_cell("", 0.0, 4), _cell("silent", 0.5, 25), _cell("", 1.0, 190), _cell("bound", 0.2, 90, 7)]
    errors = instrument.count_simulated(pd.DataFrame(cells), declarations())
    found = {(row.error, row.place): (row.k, row.n) for row in errors.itertuples()}
    assert found == {
        ("false alarm", "nothing planted, r² = 0.5"): (4, 200),
        ("false alarm", "only close attributes carried, r² = 0.5"): (25, 200),
        ("miss", "effect 0.20"): (110, 200),
        ("false no", "effect 0.20"): (7, 200),
    }
    assert instrument.find_unsound(errors) == {"words": "only close attributes carried, r² = 0.5: 25 of 200 [0.08, 0.18]"}


def test_no_trials_and_no_rates_leave_the_page_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrument, "book_dir", lambda: tmp_path)
    declared = declarations()
    table = instrument.tally([], declared, worlds.WORLDS, {})
    assert (table["not run"] == 10).all()
    rates = instrument.read_rates()
    errors = instrument.count_errors(table, rates, declared)
    assert rates.empty and errors.empty and instrument.find_unsound(errors) == {}
    titles = {claim.id: claim.title for claim in declared.claims}
    instrument.draw_power(rates, titles)
    instrument.draw_alarms(errors, titles)
    assert (instrument.tabulate_errors(errors, declared) == "–").all(axis=None)
    truths = instrument.tabulate_truths(declared, {world: world for world in worlds.WORLDS}, TRUTHS)
    assert truths.loc[declared.claim("structure").title, "control"] == "yes: 0.60 ± 0.02"
    assert truths.loc[declared.claim("own").title, "control-null"] == "no"


def test_errors_of_simulated_studies_are_told_before_any_world_is_run() -> None:
    declared = declarations()
    table = instrument.tally([], declared, worlds.WORLDS, {})
    told = instrument.tabulate_errors(instrument.count_errors(table, instrument.read_rates(), declared), declared)
    assert set(told["false alarm, planted"]) == {"–"}
    assert " of " in told.loc["Lesions", "false alarm, simulated"]


def test_no_claim_whose_test_says_yes_of_nothing_too_often_prints_a_yes() -> None:
    """Of simulated and planted nulls; a rate counts where its exact 95 % interval lies above .05."""
    declared = declarations()
    table = instrument.tally(worlds.read_trials(), declared, worlds.WORLDS, read_truths())
    errors = instrument.count_errors(table, instrument.read_rates(), declared)
    for claim, worst in instrument.find_unsound(errors).items():
        for edition, ledger in read_ledgers().items():
            holds = ledger["claims"].get(claim, {}).get("holds", "")
            assert holds not in instrument.YES, f"{edition}: {claim} is {holds}, yet of nothing {worst}"


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
    graded = instrument.grade_wiring(trials, {"control": "causal", "control-null": "null"})
    assert list(graded.index) == ["causal"]
    assert graded.loc["causal", ["worlds", "AUC", "AUC, own", "silent attributes found"]].tolist() == [
        2,
        "0.80 [0.70, 0.90]",
        "–",
        "1 of 2",
    ]
    assert instrument.grade_wiring([], {"control": "causal"}).empty


def test_trials_are_added_to_those_there(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    first = [_trial("control-null", 10, "no"), _trial("control", 11, "yes")]
    worlds.write_trials(first, path)
    worlds.write_trials([_trial("control", 10, "yes"), _trial("control-null", 10, "yes")], path)
    there = worlds.read_trials(path)
    assert [(t["study"], t["seed"]) for t in there] == [("control", 10), ("control", 11), ("control-null", 10)]
    assert there[-1]["claims"]["structure"]["holds"] == "yes" and worlds.read_trials(tmp_path / "none.json") == []
    assert json.loads(path.read_text())["trials"] == there
