"""The companions of the planted world are what they are called, and trials of them are counted as they came out."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from emonb.analysis.rdm import pattern_rdm
from emonb.analysis.structure import rank_correlation
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
