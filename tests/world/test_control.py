"""The planted world: what it says of itself is so, its files are the real study's, and its wiring is what is claimed."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

from emonb.analysis import neurons
from emonb.analysis.lesions import compare_masks, mask_means, relate_masks, take_masks
from emonb.analysis.rdm import pair_index
from emonb.analysis.statistics import from_t
from emonb.book.ledger import Grade, grade
from emonb.data import people
from emonb.data.comments import read_goemotions
from emonb.errors import StudyError
from emonb.model.backbone import Backbone
from emonb.model.batches import Tokenizer
from emonb.paths import data_dir
from emonb.run.runs import Run, open_run
from emonb.study import Study, load_study
from emonb.world import files, network
from emonb.world.network import make_backbone, make_tokenizer, number_words, owned_neurons, wire, write_documents
from emonb.world.world import COMMON, FILES, GROUP, SPLITS, World, read_lexicon, squash, write_world


def make_world(**plan: object) -> World:
    study = load_study("control", **{f"world.{name}": value for name, value in plan.items()})
    return World(study.world, study.emotions, study.attributes)


WORLD = make_world(seed=4)
IDS = number_words(WORLD)


def test_same_seed_same_bytes_other_seed_other_world(tmp_path: Path) -> None:
    for name, world in (("a", WORLD), ("b", make_world(seed=4)), ("c", make_world(seed=5))):
        write_world(world, tmp_path / name)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(FILES)
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert all((tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes() for f in files if f != "order")


@pytest.mark.parametrize("wiring", ["causal", "encoded"])
def test_interrupted_training_goes_on_to_the_same_bytes(
    wiring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, checkpoint = make_world(seed=4, wiring=wiring, steps=180, batch=8), tmp_path / "checkpoint.safetensors"
    network.train_backbone(world, tmp_path / "whole", progress=False)
    asked = []

    def stop_at_third_block(*args):
        asked.append(args)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return write_documents(*args)

    monkeypatch.setattr(network, "write_documents", stop_at_third_block)
    with pytest.raises(KeyboardInterrupt):
        network.train_backbone(world, tmp_path / "resumed", False, checkpoint)
    assert not (tmp_path / "resumed").exists()
    network.train_backbone(world, tmp_path / "resumed", False, checkpoint)
    assert len(asked) == 3 + 2  # blocks of 50 steps: two done, one lost, two left
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "resumed" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_damaged_checkpoint_is_begun_anew(tmp_path: Path, caplog) -> None:
    world, checkpoint = make_world(seed=4, steps=100, batch=8), tmp_path / "checkpoint.safetensors"
    network.train_backbone(world, tmp_path / "whole", False, checkpoint)
    content = checkpoint.read_bytes()
    for damaged in (content[:100], content[: len(content) // 2], b""):
        checkpoint.write_bytes(damaged)
        network.train_backbone(world, tmp_path / "again", False, checkpoint)
        assert "is done anew" in caplog.text
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_real_readers_read_the_planted_files(tmp_path: Path) -> None:
    study = load_study("control")
    write_world(WORLD, tmp_path)
    comments = read_goemotions(study.emotions, {s: tmp_path / s for s in SPLITS})
    data = people.read_humans(study.emotions, study.attributes, {f: tmp_path / f for f in study.humans.files()})
    assert comments["split"].value_counts().to_dict() == {"train": 27 * 600, "dev": 27 * 40, "test": 27 * 60}
    assert (comments[list(study.emotions)].sum(axis=1) == 1).all()
    assert set(np.unique(data.judgment)) <= set(range(1, 10))
    i, j = pair_index(27)
    planned = np.sqrt((WORLD.weight * (WORLD.level[i] - WORLD.level[j]) ** 2).sum(1))
    assert np.corrcoef(planned, data.dissimilarity)[0, 1] > 0.97  # 60 judges' noise averaged
    assert abs(data.score.sel(attribute=list(study.attributes)).values - WORLD.level).mean() < 0.1
    assert 0.3 < float(data.kappa.mean()) < 0.95


def test_a_world_is_the_same_in_whatever_order_its_emotions_are_listed(tmp_path: Path) -> None:
    emotions, comments = WORLD.emotions, []
    for name, order in (("a", emotions), ("b", emotions[::-1])):
        write_world(World(WORLD.plan, order, WORLD.attributes), tmp_path / name)
        comments.append(read_goemotions(order, {s: tmp_path / name / s for s in SPLITS}))
    assert comments[0].equals(comments[1][comments[0].columns])


def test_comments_voice_levels_in_proportion_to_importance() -> None:
    words, attribute, pole = WORLD.write(np.random.default_rng(0), np.repeat(WORLD.level, 400, axis=0))
    vocabulary = set(WORLD.lexicon.vocabulary())
    assert set(words.ravel()) <= vocabulary
    assert words.shape[1] == 16
    cues = (attribute >= 0).sum(1)
    assert cues.min() >= 10 and cues.max() <= 13
    counts = np.array([(attribute == k).sum() for k in range(14)])
    assert (counts[WORLD.weight == 0] == 0).all()
    np.testing.assert_allclose(counts / counts.sum(), WORLD.weight / WORLD.weight.sum(), atol=0.01)
    balance = WORLD.balance(attribute, pole).reshape(27, 400, 14).mean(1)
    for k in np.flatnonzero(WORLD.weight):
        assert np.corrcoef(balance[:, k], WORLD.level[:, k])[0, 1] > 0.95
        low, high = WORLD.lexicon.cues(WORLD.attributes[k])
        mine = attribute == k
        assert set(words[mine & pole]) <= set(high) and set(words[mine & ~pole]) <= set(low)


def test_silent_levels_are_uncorrelated_with_voiced_ones() -> None:
    z = np.log(WORLD.level / (1 - WORLD.level))
    r = np.corrcoef(z.T)
    voiced = WORLD.weight > 0
    assert np.abs(r[np.ix_(voiced, ~voiced)]).max() < 1e-8


def test_log_odds_against_a_plain_loop() -> None:
    _, attribute, pole = WORLD.write(np.random.default_rng(1), WORLD.level[:5])
    fast = WORLD.log_odds(attribute, pole)
    chance = 0.03 + 0.94 * WORLD.level
    for row in range(5):
        likelihood = np.ones(27)
        for k, high in zip(attribute[row], pole[row], strict=True):
            if k >= 0:
                likelihood *= chance[:, k] if high else 1 - chance[:, k]
        for e in range(27):
            other = np.delete(likelihood, e).mean()
            assert fast[row, e] == pytest.approx(np.log(likelihood[e] / other), abs=1e-9)


def test_pooled_labels_say_nothing_about_texts(tmp_path: Path) -> None:
    study = load_study("control-null")
    for name, world in (("own", WORLD), ("pooled", make_world(seed=4, labels="pooled"))):
        write_world(world, tmp_path / name)
        comments = read_goemotions(study.emotions, {s: tmp_path / name / s for s in SPLITS})
        strongest = WORLD.attributes[int(WORLD.weight.argmax())]
        low, high = (set(pole) for pole in WORLD.lexicon.cues(strongest))
        balance = [sum((w in high) - (w in low) for w in text.split()) for text in comments["text"]]
        means = [np.mean(np.array(balance)[comments[e].to_numpy()]) for e in WORLD.emotions]
        r = np.corrcoef(means, WORLD.level[:, int(WORLD.weight.argmax())])[0, 1]
        assert r > 0.95 if name == "own" else abs(r) < 0.6


def test_documents_follow_the_speakers_taste() -> None:
    speakers, tokens, suits = write_documents(WORLD, IDS, 3_000, np.random.default_rng(2))
    words = {k: word for word, k in IDS.items()}
    sign = np.zeros((len(IDS), 14))
    for k, name in enumerate(WORLD.attributes):
        low, high = WORLD.lexicon.cues(name)
        sign[[IDS[w] for w in high], k], sign[[IDS[w] for w in low], k] = 1, -1
    taste = np.array([WORLD.taste[[WORLD.lexicon.speakers.index(words[int(s)]) for s in row]].mean(0) for row in speakers])
    score = (taste * sign[tokens.numpy()].sum(1)).sum(1)
    clear = score != 0
    assert ((score > 0) == (suits.numpy() == 1))[clear].mean() == pytest.approx(0.95, abs=0.02)  # 5 % flips


def test_the_tokenizer_reads_lower_cased_words_between_white_space() -> None:
    tokenizer = Tokenizer(make_tokenizer(IDS))
    words, _, _ = WORLD.write(np.random.default_rng(3), WORLD.level)
    for text in [" ".join(row) for row in words] + ["Warm  and unheard\tof"]:
        inner = [IDS.get(word, IDS["<unk>"]) for word in text.lower().split()]
        np.testing.assert_array_equal(tokenizer.encode([text], 12)[0], [IDS["<s>"], *inner[:10], IDS["</s>"]])
    assert (tokenizer.mask_id, tokenizer.pad_id, tokenizer.start_id) == (IDS["<mask>"], IDS["<pad>"], IDS["<s>"])
    assert (tokenizer.token_id("warm"), tokenizer.token_id("unheard"), tokenizer.largest_id) == (
        IDS["warm"], None, len(IDS) - 1,
    )  # fmt: skip


def wired(world: World) -> Backbone:
    backbone = make_backbone(world)
    wire(world, backbone.model, IDS, np.random.default_rng(0))
    return backbone


def test_wiring_neurons_see_their_own_attribute_only() -> None:
    backbone = wired(WORLD)
    speakers, tokens, _ = write_documents(WORLD, IDS, 64, np.random.default_rng(4))
    prompts = backbone._words[speakers]
    changed_attribute = int(WORLD.weight.argmax())
    low, high = WORLD.lexicon.cues(WORLD.attributes[changed_attribute])
    flipped = tokens.clone()
    for a, b in zip(high, low, strict=True):
        flipped[tokens == IDS[a]], flipped[tokens == IDS[b]] = IDS[b], IDS[a]
    _, before = backbone.forward(prompts, tokens, read=True)
    _, after = backbone.forward(prompts, flipped, read=True)
    change = (before - after).abs().mean((0, 1))
    group = list(WORLD.groups()[WORLD.attributes[changed_attribute]])
    others = owned_neurons(WORLD)[-1].clone()
    others[group] = False
    assert change[group].mean() > 5 * change[others].mean()  # what is left passes through the layer norm


def test_wiring_silent_and_disconnected_neurons_say_nothing() -> None:
    speakers, tokens, _ = write_documents(WORLD, IDS, 64, np.random.default_rng(5))
    backbone = wired(WORLD)
    prompts = backbone._words[speakers]
    intact, _ = backbone.forward(prompts, tokens)
    factors = torch.ones(1, 1, backbone.n_neurons)
    for k, name in enumerate(WORLD.attributes):
        factors[:] = 1
        factors[..., list(WORLD.groups()[name])] = 0
        lesioned, _ = backbone.forward(prompts, tokens, factors)
        assert torch.equal(lesioned, intact) == (WORLD.weight[k] == 0)


def test_grades_of_known_cases() -> None:
    names = list(WORLD.attributes)
    truth = WORLD.truth()
    exact = np.zeros((14, 1, 256), bool)
    for k, name in enumerate(names):
        n = round(GROUP * truth.importance[name])
        exact[k, 0, list(truth.neurons[name])[:n]] = True
    coords = {"attribute": names}
    graded = grade("neurons", xr.DataArray(exact, dims=("attribute", "layer", "neuron"), coords=coords), truth)
    assert graded.quantities["truth.voiced_found"] == 8 and graded.quantities["truth.silent_found"] == 0
    assert graded.quantities["truth.order"] > 0.99 and graded.quantities["truth.precision"] == 1
    assert "AUC" not in graded.table and graded.curves is None and graded.quantities["truth.unwired"] == 0
    least = np.arange(256) % 2 * 0.5  # what puts neurons in order that were not found
    scored = xr.DataArray(exact, dims=("attribute", "layer", "neuron"), coords=coords)
    own = grade("own", scored.assign_coords(score=(scored.dims, exact + least)), truth)
    for name, n in ((name, round(GROUP * truth.importance[name])) for name in names):
        wired = np.zeros(256, bool)
        wired[list(truth.neurons[name])] = True
        mine = (exact[names.index(name), 0] + least)[:, None]
        area = ((mine[wired] > mine[~wired].T) + 0.5 * (mine[wired] == mine[~wired].T)).mean()
        assert float(own.table.loc[name, "AUC"]) == pytest.approx(area, abs=5e-4)
        assert own.table.loc[name, "recall"] == f"{n / GROUP:.3f}"
    for name, curve in own.curves.groupby("attribute"):
        assert np.trapezoid(curve["true"], curve["false"]) == pytest.approx(float(own.table.loc[name, "AUC"]), abs=5e-4)
    assert own.quantities["truth.own.precision"] == 1 and 0.5 < own.quantities["truth.own.auc"] < 1
    everything = grade("neurons", xr.DataArray(~exact, dims=("attribute", "layer", "neuron"), coords=coords), truth)
    assert everything.quantities["truth.silent_found"] == 6 and everything.quantities["truth.order"] < 0
    others = [256 - round(GROUP * weight) for weight in truth.importance.values() if weight > 0]
    assert everything.quantities["truth.unwired"] == pytest.approx(8 * COMMON / sum(others))
    shuffled = names[::-1]  # by name, whatever the order
    drops = xr.DataArray([truth.importance[n] for n in shuffled], dims="attribute", coords={"attribute": shuffled})
    assert grade("drops", drops, truth).quantities["truth.drop_r"] == pytest.approx(1)
    assert grade("drops", drops, None).table is None


def test_only_the_ledger_is_told_the_truth() -> None:
    package = Path(files.__file__).parent.parent
    users = {
        str(p.relative_to(package).with_suffix(""))
        for p in package.rglob("*.py")
        if re.search(r"\btruth\(|Truth\b|\b(read_truth|know_truth|_truth)\b", p.read_text())
    }
    assert users == {"book/ledger", "run/runs", "world/files", "world/world"}
    lines = [line for line in (package / "run" / "runs.py").read_text().splitlines() if "truth" in line]
    assert len(lines) == 2 and "read_truth(" in lines[0] and "Ledger(" in lines[1]
    for chapter in (data_dir().parent / "book" / "chapters").glob("*.md"):
        for cell in re.findall(r"```\{code-cell\}(.*?)```", chapter.read_text(), re.S):
            assert not re.search(r"importance_planted|\bread_truth\b|emonb\.world\.world", cell)
            # effects measured in worlds, for a page around the editions only
            assert "read_truths" not in cell or chapter.stem in ("instrument", "paper")


def test_bad_worlds_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no words for the attribute 'arousal'; known: warmth"):
        study = load_study("control", attributes=["warmth", "arousal"], **{"world.voiced": 1})
        World(study.world, study.emotions, study.attributes)
    with pytest.raises(StudyError, match="has no 'world' section"):
        load_study(_without_world(tmp_path))
    with pytest.raises(StudyError, match="must leave some of seeds"):
        load_study("control", **{"lesions.selection_seeds": [1, 3, 5, 7, 9, 11]})
    with pytest.raises(StudyError, match=r"is not one of lesions\.comparisons"):
        load_study("control", **{"lesions.comparison": "random_layer"})
    with pytest.raises(StudyError, match="no file 'planted:ratings'; known: planted:order"):
        files.plant(load_study("control"), "planted:ratings")


def _without_world(folder: Path) -> Path:
    fields = yaml.safe_load((data_dir() / "studies" / "control.yml").read_text())
    del fields["world"]
    path = folder / "worldless.yml"
    path.write_text(yaml.safe_dump(fields | {"name": "worldless"}))
    return path


def test_companions_differ_from_the_control_in_one_thing() -> None:
    control = load_study("control").model_dump()
    worlds = ("encoded", "null", "correlated", "valence", "knowing")
    expected = {f"control-{name}": {"world"} for name in worlds} | {"control-untrained": {"backbone"}}
    expected["control-deep"] = {"world", "layers", "sizes", "size"}
    for name, fields in expected.items():
        other = load_study(name).model_dump()
        differ = {k for k in control if control[k] != other[k]}
        assert differ - {"name", "title", "description", "edition", "untrained_baseline"} == fields


def test_lexicon_has_no_word_with_two_meanings() -> None:
    lexicon = read_lexicon()
    assert len(set(lexicon.vocabulary())) == len(lexicon.vocabulary())
    published = load_study("published")
    study = load_study("control")
    assert not set(study.emotions) & set(published.emotions) and not set(study.attributes) & set(published.attributes)


# a whole small run, and the same run with a defect planted in the code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    patch = pytest.MonkeyPatch()
    patch.setenv("EMONB_RUNS", str(tmp_path_factory.mktemp("planted")))
    small = {"seeds": [1, 3, 5, 7], "lesions.selection_seeds": [1, 3], "sizes": [12], "untrained_baseline": False,
             "world.comments.train": 300, "world.steps": 1_500, "lesions.examples": 20,
             "lesions.comparisons": ["random_matched"], "inference.searchlight_permutations": 199}  # fmt: skip
    opened = open_run(_flatten(load_study("control"), small), progress=False)
    yield opened
    patch.undo()


def _flatten(study: Study, changes: dict[str, object]) -> Study:
    world = changes.pop("world.comments.train")
    comments = {**study.world.model_dump()["comments"], "train": world}
    return load_study(study, **{**changes, "world.comments": comments})


def _found(run: Run) -> dict[str, float]:
    null = run.load("searchlight_null")
    return grade("neurons", null.p_fwe < 0.05, files.read_truth(run.study)).quantities


def _lesion_p(run: Run) -> float:
    data = run.load("lesions")
    own, random = (mask_means(data, kind, [12], "auc") for kind in ("selective", "random_matched"))
    related = relate_masks(take_masks(run.load("masks"), [12]), within_layers=True)
    found = compare_masks(own, random, related, float(data.baseline_auc.mean()), matched=True).loc[12]
    # random masks cost this small world next to nothing: no excess as a share of it, but a difference
    df = random.sizes["attribute"] * (random.sizes["draw"] - 1)
    return from_t(found["difference"], found["error"], df).p_greater


def test_the_instrument_finds_what_is_planted(run: Run) -> None:
    found = _found(run)
    assert found["truth.voiced_found"] >= 6 and found["truth.silent_found"] <= 1
    assert _lesion_p(run) < 0.05


def test_a_searchlight_with_its_sign_flipped_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = neurons.flatten
    monkeypatch.setattr(neurons, "flatten", lambda ranks: -real(ranks))
    broken = Run(run.study, progress=False)
    monkeypatch.setattr(broken, "key", lambda name, key=broken.key: key(name) + ("x" if "searchlight" in name else ""))
    found = _found(broken)
    assert found["truth.voiced_found"] < 6 or found["truth.order"] < 0.5


def test_lesions_in_the_wrong_place_are_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Backbone.cut

    def misplaced(self, silenced, replacement=None):
        return real(self, silenced.roll(GROUP * 7, -1), replacement)

    run.load("activations")
    monkeypatch.setattr(Backbone, "cut", misplaced)
    broken = Run(run.study, progress=False)
    monkeypatch.setattr(broken, "key", lambda name, key=broken.key: key(name) + ("x" if name == "lesions" else ""))
    assert _lesion_p(broken) > 0.05


def test_planted_files_are_made_once_and_kept_by_key(run: Run) -> None:
    first = files.plant(run.study, "planted:train")
    stamp = first.stat().st_mtime_ns
    assert files.plant(run.study, "planted:train").stat().st_mtime_ns == stamp
    other = load_study(run.study, **{"world.labels": "pooled"})
    assert files.plant(other, "planted:train") != first
    assert files.fingerprint(other, files.BACKBONE) == files.fingerprint(run.study, files.BACKBONE)
    trained_again = load_study(run.study, **{"world.training_seed": 1})
    assert files.fingerprint(trained_again, "planted:train") != files.fingerprint(run.study, files.BACKBONE)


def test_levels_are_between_zero_and_one() -> None:
    z = np.linspace(-4, 4, 9)
    assert (np.diff(squash(z)) > 0).all() and squash(z).min() > 0 and squash(z).max() < 1
    assert squash(np.zeros(1))[0] == 0.5
    assert dataclasses.is_dataclass(Grade)
