"""The companions of the planted world are what they are called, and trials of them are counted as they came out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from emonb.analysis.fits import rank_correlation
from emonb.analysis.rdm import pattern_rdm
from emonb.book import figures_instrument, instrument
from emonb.book.ledgers import declarations
from emonb.run import worlds
from emonb.study import load_study
from emonb.world import files
from emonb.world.network import (
    make_backbone,
    number_words,
    owned_neurons,
    train_backbone,
    wire,
    write_documents,
)
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


def _trial(study: str, seed: int, structure: str, own: dict[str, list[str]]) -> dict:
    claims = {"structure": {"holds": structure}, "own": {"holds": "", "each": own}}
    return {"study": study, "seed": seed, "claims": claims, "quantities": {}}


def test_verdicts_are_counted_against_the_truth_with_exact_intervals(tmp_path: Path) -> None:
    declared = declarations()
    each = {"warmth": ["yes", "yes"], "light": ["undecided", "yes"], "order": ["yes", "no"], "age": ["no", "no"]}
    none = {name: [verdict, "no"] for name, (verdict, _) in each.items()}
    trials = [_trial("control-null", seed, verdict, none) for seed, verdict in enumerate(["yes", "no", "undecided"])]
    table = instrument.tally(trials, declared, ["control", "control-null"], n=4)
    null = table.loc[(declared.claim("structure").title, "control-null")]
    assert (null["yes"], null["no"], null["undecided"], null["not run"], null["n"]) == (1, 1, 1, 1, 3)
    assert null["wrong"] == 1
    own = declared.claim("own").title
    assert table.loc[(f"{own}, not carried", "control-null"), "wrong"] == 6
    assert table.loc[(f"{own}, carried", "control-null"), ["yes", "not run"]].tolist() == [0, 0]
    carried = instrument.tally([_trial("control", 1, "yes", each)], declared, ["control"], n=1)
    assert carried.loc[(f"{own}, carried", "control"), ["yes", "undecided", "wrong"]].tolist() == [1, 1, 0]
    assert carried.loc[(f"{own}, not carried", "control"), ["yes", "no", "wrong"]].tolist() == [1, 1, 1]
    unseen = table.loc[(declared.claim("structure").title, "control")]
    assert unseen["not run"] == 4 and unseen["n"] == 0
    shown = instrument.confuse(table)
    low, high = (scipy.stats.beta.ppf(q, *ab) for q, ab in ((0.025, (1, 3)), (0.975, (2, 2))))
    structure = shown.loc[declared.claim("structure").title]
    assert structure["false: yes, undecided, no"] == "1, 1, 1" and structure["true: yes, undecided, no"] == "–"
    assert structure["false alarms"] == f"1 of 3 [{low:.2f}, {high:.2f}]" and structure["found"] == "–"
    assert structure[["no truth", "not tested", "not run"]].tolist() == [0, 0, 5]
    assert list(shown.index) == [row.title for row in instrument.rows_of(declared)]
    assert table.loc[(declared.claim("words").title, "control-null"), "not tested"] == 3
    live = instrument.compare_live(table, instrument.read_rates(), declared)
    assert live.loc[declared.claim("structure").title, "false, planted worlds"].startswith("1 of 3 [0.01, 0.91]")
    numbers = instrument.count_verdicts(table, 3)
    assert (numbers["done"], numbers["all"]) == (3, 8)
    assert (numbers["false_yes"], numbers["true"]) == (1 + 6, 0) and numbers["untrue"] == 3 + 12
    figures_instrument.draw_worlds(
        table, [row.title for row in instrument.rows_of(declared)], {"control": "a", "control-null": "b"}
    )


def test_no_trials_and_no_rates_leave_the_page_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrument, "book_dir", lambda: tmp_path)
    declared = declarations()
    table = instrument.tally([], declared, worlds.WORLDS)
    assert table["not run"].isin([0, 10]).all() and instrument.count_verdicts(table, 0)["judged"] == 0
    rates = instrument.read_rates()
    assert rates.empty and instrument.false_alarms(rates, declared).empty
    figures_instrument.draw_power(rates, {claim.id: claim.title for claim in declared.claims}, disputed={})
    figures_instrument.draw_alarms(instrument.false_alarms(rates, declared))


def test_wiring_is_averaged_over_seeds_and_worlds_without_it_are_left_out() -> None:
    found = [
        {"truth.auc": a, "truth.precision": 0.5, "truth.recall": 0.25, "truth.silent_found": s}
        for a, s in ((0.9, 0), (0.7, 2))
    ]
    trials = [{**_trial("control", seed, "yes", {}), "quantities": q} for seed, q in enumerate(found)]
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
    first = [_trial("control-null", 10, "no", {}), _trial("control", 11, "yes", {})]
    worlds.write_trials(first, path)
    worlds.write_trials([_trial("control", 10, "yes", {}), _trial("control-null", 10, "yes", {})], path)
    there = worlds.read_trials(path)
    assert [(t["study"], t["seed"]) for t in there] == [("control", 10), ("control", 11), ("control-null", 10)]
    assert there[-1]["claims"]["structure"]["holds"] == "yes" and worlds.read_trials(tmp_path / "none.json") == []
    assert json.loads(path.read_text())["trials"] == there


def test_alarms_are_judged_by_the_rate_that_one_side_allows_and_the_worst_are_named() -> None:
    declared = declarations()
    title = declared.claim("words").title
    cell = {"claim": "words", "silent": False, "lot": False, "strength": 0.0, "draws": 1}
    rates = [
        cell
        | {"correlation": r, "yes": yes, "n": 200}
        | {f"yes_{name}": v for name, v in zip(("rate", "low", "high"), ends, strict=True)}
        for r, yes, ends in ((0.0, 4, (0.02, 0.005, 0.05)), (0.9, 22, (0.11, 0.07, 0.16)))
    ]
    alarms = instrument.false_alarms(pd.DataFrame(rates), declared)
    assert alarms.loc[[title], "over"].tolist() == [False, True]
    assert instrument.summarise_alarms(alarms) == {"over": 1.0, "rates": 2.0, "names": f"{title} 11 % (r² = 0.9)"}


def test_worlds_whose_found_neurons_are_not_the_wired_ones_are_named() -> None:
    def run(study: str, found: float, precision: float, **more: float) -> dict:
        counted = {"voiced_found": found, "precision": precision, **more}
        return {"study": study, "quantities": {f"truth.{name}": value for name, value in counted.items()}}

    worlds_ = {"control": "causal", "control-deep": "deep", "control-null": "null"}
    trials = [run("control", 8, 0.6, unwired=0.1), run("control-deep", 5, 0.0, unwired=0.75), run("control-deep", 4, 0.1)]
    trials += [run("control-deep", 0, 0.0, unwired=0.0), run("control-null", 0, 0.0)]
    trials += [run("control-untrained", 5, 0.0)]
    assert instrument.name_misplaced(trials, worlds_ | {"control-untrained": "untrained"}) == {
        "worlds": "*deep*, *untrained*", "n": 2.0, "unwired": 0.75, "where": "*deep*", "counted": 1.0
    }  # fmt: skip
    each = {name: [holds, None] for name, holds in (("a", "yes"), ("b", "no"), ("c", "yes"))}
    untrained = [{"study": "control-untrained", "claims": {"neurons": {"each": each}}}]
    assert instrument.count_untrained(untrained) == {"attributes": 2.0, "n": 1.0}
