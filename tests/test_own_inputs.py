"""What somebody's own files may look like: each is read as it is meant, or refused in one line before any kernel starts."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import own
import pandas as pd
import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file, save_file

from emonb import cli
from emonb.artifacts import file_digest
from emonb.data.comments import find_moved_labels, name_emotions, read_goemotions
from emonb.errors import LabelError, StudyError
from emonb.model.backbone import open_backbone
from emonb.run import editions
from emonb.run.runs import Run
from emonb.study import BackboneConfig, load_study

Edit = Callable[[Path], object]
SPLITS = ("train", "dev", "test")


def _text(name: str, change: Callable[[str], str]) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return edit


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def _table(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    return lambda folder: own.edit(folder / name, change)


def _fields(**changes: object) -> Edit:
    return lambda folder: own.change(folder / "study.yml", **changes)


def _relabel(change: Callable[[str], str]) -> Edit:
    """Change the labels of every comment of every split."""

    def edit(folder: Path) -> None:
        for split in SPLITS:
            _text(f"{split}.tsv", lambda text: re.sub(r"\t([\d,]+)\t", lambda m: f"\t{change(m[1])}\t", text))(folder)

    return edit


BOMB = "a: &a [x, x]\nb: &b [*a, *a, *a]\n"
FILES: dict[str, tuple[Edit, list[str]]] = {
    # the study file
    "a key twice": (_text("study.yml", lambda t: t + "seeds: [5, 7]\n"), ["gives seeds again", "first in line"]),
    "a nested key twice": (
        _text("study.yml", lambda t: t.replace("tuning:\n", "tuning:\n  epochs: 1\n")),
        ["epochs again"],
    ),
    "a key twice in a line": (_text("study.yml", lambda t: t + "released: {a: 1, a: 2}\n"), ["gives a again"]),
    "a tab": (_text("study.yml", lambda t: t.replace("  epochs", "\tepochs")), ["line", "a tab cannot indent"]),
    "aliases": (_text("study.yml", lambda t: t + BOMB), ["line", "by an alias", "write it out"]),
    "an endless alias": (_text("study.yml", lambda t: t + "baselines: &b {u: *b}\n"), ["by an alias"]),
    "nested too deeply": (_text("study.yml", lambda t: t + "baselines: " + "[" * 99 + "]" * 99), ["nested too deeply"]),
    "two documents": (_text("study.yml", lambda t: t + "---\nname: other\n"), ["not valid YAML", "another document"]),
    "a name of the book's": (_fields(name="published"), ["'published' is a study of the book"]),
    "seeds as text": (_fields(seeds="1,3"), ["seeds: Input should be a list (got '1,3')"]),
    "a wrong seed": (_fields(seeds=[-1, 3]), ["seeds.0: Input should be greater than or equal to 0 (got -1)"]),
    "seeds twice": (_fields(seeds=[1, 1]), ["seeds lists a value twice"]),
    "an emotion twice": (_fields(emotions=["joy", "joy"]), ["emotions lists a value twice"]),
    "a blank in a label": (_fields(emotions=[" joy", "fear"]), ["emotions.0: a label has no space"]),
    "a bar in a label": (_fields(attributes=["warm|cold", "fast"]), ["attributes.0: a label", "'|'"]),
    "a label that is an empty cell": (_fields(emotions=["joy", "NA"]), ["emotions.1: a label", "empty cell"]),
    "labels that YAML takes for a switch": (
        _text("study.yml", lambda t: t.replace("[joy,", "[no,", 1)),
        ["emotions.0: Input should be a valid string (got False)"],
    ),
    "all neurons silenced": (_fields(sizes=[500, 9216], size=500), ["sizes go to 9216, the model has 9216", "left"]),
    "more neurons than there are": (_fields(sizes=[500, 20000], size=500), ["sizes go to 20000"]),
    "no prompt": (_fields(prompt_length=0), ["prompt_length: Input should be greater than or equal to 1 (got 0)"]),
    "a rate without end": (_fields(tuning={"learning_rate": float("inf")}), ["tuning.learning_rate", "finite"]),
    "a scale without end": (_fields(humans={"scale": [1, float("inf")]}), ["humans.scale: a scale is [lowest, highest]"]),
    "a scale of another kind": (_fields(humans={"scale": {"rating": [1, 9]}}), ["humans.scale: a scale is"]),
    "another device": (_fields(device="gpu"), ["device: auto, cpu, cuda or cuda:1 (got 'gpu')"]),
    "a title of two lines": (_fields(title="one\n# two"), ["title: one line of text"]),
    "an empty section": (_fields(stages=None), ["stages: give its fields"]),
    "an empty section that may be left out": (_fields(tuning=None), ["tuning: give its fields, or leave it out"]),
    "a switch among seeds": (_fields(seeds=[True, 3]), ["seeds: true and false are no numbers (got [True, 3])"]),
    "a switch for a number": (_fields(layers=True), ["layers: true and false are no numbers"]),
    "no meaning of ids": (_text("study.yml", lambda t: re.sub("  labels: .*", "", t)), ["corpus: say what label ids 0, 1"]),
    "no labels": (_fields(corpus={"labels": []}), ["corpus.labels: the names of label ids", "null: the emotions"]),
    "a path without local:": (_fields(humans={"judgments": "judgments.csv"}), ["local:PATH", "humans.judgments"]),
    "an address": (_fields(corpus={"dev": "https://example.org/dev.tsv"}), ["local:PATH", "corpus.dev"]),
    "one file by two names": (
        lambda f: ((f / "test.tsv").unlink(), (f / "test.tsv").symlink_to("dev.tsv")),
        ["three files"],
    ),
    "results of another study": (
        _fields(stages={"prompts": "committed"}, committed="minilm"),
        ["stages.prompts=computed"],
    ),
    # comments
    "labels that are names": (
        _text("dev.tsv", lambda t: t.replace("\t0\t", "\tjoy\t")),
        ["dev.tsv, line", "whole numbers"],
    ),
    "labels as decimals": (_text("dev.tsv", lambda t: t.replace("\t0\t", "\t0.0\t")), ["whole numbers", "corpus.dev"]),
    "no label": (_text("dev.tsv", lambda t: t.replace("\t0\t", "\t\t")), ["whole numbers between commas"]),
    "a heading": (_text("train.tsv", lambda t: f"text\tlabels\tid\n{t}"), ["train.tsv, line 1:", "no heading"]),
    "labels counted from one": (_relabel(lambda ids: ",".join(str(int(i) + 1) for i in ids.split(","))), ["id '7'"]),
    "an empty comment": (_text("train.tsv", lambda t: f"  \t0\tx\n{t}"), ["train.tsv, line 1: the comment is empty"]),
    "no comments": (_text("dev.tsv", lambda t: ""), ["the dev split has no comment with joy", "corpus.dev"]),
    "no others": (
        _relabel(lambda ids: f"0,{ids}" if ids[0] != "0" else ids),
        ["has no comment without joy", "corpus.train"],
    ),
    "a comment of two cells": (_text("test.tsv", lambda t: t.replace(" ", "\t", 1)), ["found 4 fields", "corpus.test"]),
    "a packed file": (_bytes("test.tsv", lambda b: b"\x1f\x8b\x08" + b), ["an archive", "corpus.test"]),
    "another encoding": (_bytes("test.tsv", lambda b: b.replace(b".", b"\xe9", 1)), ["line 1", "UTF-8", "corpus.test"]),
    "a folder": (lambda f: ((f / "test.tsv").unlink(), (f / "test.tsv").mkdir()), ["test.tsv", "corpus.test"]),
    # what people said
    "decimal commas": (
        _text("ratings.csv", lambda t: t.replace("\n", ",5\n").replace("value,5", "value")),
        ["ratings.csv, line 2: 5 cells for 4 columns", "decimals with a point", "humans.ratings"],
    ),
    "decimal commas in quotes": (
        _table("ratings.csv", lambda t: t.assign(value=[f"{v},5" for v in t["value"]])),
        ["line 2: rater 0, joy, valence: expected a number or nothing"],
    ),
    "a heading that is a column short": (
        _text("judgments.csv", lambda t: t.replace("joy|contentment,", "", 1)),
        ["line 2: 15 cells for 14 columns"],
    ),
    "N/A": (_table("ratings.csv", lambda t: t.assign(value=["N/A", *t["value"][1:]])), ["expected a number or nothing"]),
    "one score for all": (
        _table("ratings.csv", lambda t: t.assign(value=t["value"].where(t["attribute"] != "control", 5))),
        ["same mean rating on control", "leave the attribute out", "humans.ratings"],
    ),
    "a pair left out": (_table("judgments.csv", lambda t: t.drop(columns="joy|fear")), ["missing joy|fear"]),
    "a pair both ways": (_table("judgments.csv", lambda t: t.assign(**{"fear|joy": 2})), ["twice joy|fear"]),
    "a pair of one": (_table("judgments.csv", lambda t: t.assign(**{"joy|joy": 1})), ["unknown joy|joy"]),
    "a square": (
        _table("judgments.csv", lambda t: pd.DataFrame(np.eye(6), columns=["joy", "b", "c", "d", "e", "f"])),
        ["name its columns by their pairs", "humans.judgments"],
    ),
    "a row cut short": (_text("judgments.csv", lambda t: t.rstrip()[:-4]), ["line 13: 13 cells for 15 columns"]),
    "a column of judges": (_table("judgments.csv", lambda t: t.reset_index(names="judge")), ["unknown judge"]),
    "one judge": (_table("judgments.csv", lambda t: t.head(1)), ["at least two judges"]),
    "three emotions": (
        lambda f: (
            _fields(emotions=["joy", "anger", "fear"])(f),
            _table("judgments.csv", lambda t: t[["joy|anger", "joy|fear", "anger|fear"]])(f),
        ),
        ["emotions: 3 have too few pairs", "four or more"],
    ),
    "one attribute that varies": (
        lambda f: (
            _fields(humans={"ratings": None, "scores": "local:scores.csv"})(f),
            pd.DataFrame({"emotion": load_study(str(f / "study.yml")).emotions})
            .assign(valence=np.linspace(0, 1, 6), arousal=0.3, control=1.0)
            .to_csv(f / "scores.csv", index=False),
        ),
        ["humans.scores: every emotion has the same score on arousal, control", "two attributes at least"],
    ),
    "a judge who said nothing": (
        _table("judgments.csv", lambda t: pd.concat([t, t.head(1) * np.nan])),
        ["judge 13: 0; leave this row out"],
    ),
    "without end": (_table("judgments.csv", lambda t: t.astype(float).replace(9, np.inf)), ["not a finite number"]),
    "a scale from 0 to 8": (_table("judgments.csv", lambda t: t - 1), ["not on the scale of 1 to 9", "humans.scale"]),
    "one rater": (_table("ratings.csv", lambda t: t[t["rater"] == "r1"]), ["at least two raters"]),
    "a rating twice": (_table("ratings.csv", lambda t: pd.concat([t, t.head(1)])), ["line 182: rater 0", "rated twice"]),
    "a wide table": (
        _table("ratings.csv", lambda t: t.pivot_table("value", ["rater", "emotion"], "attribute").reset_index()),
        ["no column attribute, value"],
    ),
    "a column twice": (
        _text("ratings.csv", lambda t: re.sub("(?m)$", ",", t).replace("value,", "value,value", 1).rstrip(",")),
        ["the heading has the column value twice", "humans.ratings"],
    ),
    "a column without a heading": (
        _text("judgments.csv", lambda t: "\n".join(f"{line},{k or ''}" for k, line in enumerate(t.splitlines()))),
        ["column 16 has no heading"],
    ),
    "one rater by two spellings": (
        _text("ratings.csv", lambda t: t + "r1 ,joy,valence,5\n"),
        ["line 182: rater 0, joy, valence: rated twice"],
    ),
    "a rater without a name": (_text("ratings.csv", lambda t: t.replace("\nr1,", "\n ,", 1)), ["line 2: the rater is not"]),
    "a blank after a label": (_text("ratings.csv", lambda t: t.replace("joy,", "joy ,", 1)), ["'joy ' is no emotion of"]),
    "switches in place of judgments": (
        _table("judgments.csv", lambda t: t.assign(**{"joy|fear": True})),
        ["line 2, column joy|fear: the cell is not a finite number"],
    ),
    "scores off the scale": (
        lambda f: (
            _fields(humans={"ratings": None, "scores": "local:scores.csv"})(f),
            pd.DataFrame({"emotion": [*load_study(str(f / "study.yml")).emotions][::-1]})
            .assign(valence=[0, 0.2, 0.4, 0.6, 0.8, 1.2], arousal=np.linspace(0, 1, 6), control=np.linspace(1, 0, 6))
            .to_csv(f / "scores.csv", index=False),
        ),
        ["scores.csv, line 7, joy, column valence: the cell is not on the scale of 0 to 1", "humans.scale"],
    ),
    "an impossible kappa": (
        lambda f: (
            _fields(humans={"agreement": "local:kappa.csv"})(f),
            pd.DataFrame(
                {"emotion": load_study(str(f / "study.yml")).emotions, "kappa": [0.5, 0.5, 5, 0.5, 0.5, 0.5]}
            ).to_csv(f / "kappa.csv", index=False),
        ),
        ["kappa.csv, line 4, affection: Cohen's kappa does not lie within -1 and 1", "humans.agreement"],
    ),
    "a table of agreement on others": (
        lambda f: (
            _fields(humans={"agreement": "local:kappa.csv"})(f),
            (f / "kappa.csv").write_text("emotion,kappa\nawe,0.5\n"),
        ),
        ["emotions do not match the study", "or give a file of yours as humans.agreement, or null"],
    ),
    "capitals": (_table("ratings.csv", lambda t: t.assign(emotion=t["emotion"].str.title())), ["Joy", "no emotion of"]),
    "an open quotation mark": (
        _text("ratings.csv", lambda t: t.replace("joy", '"joy', 1)),
        ["not a readable CSV", "quotation mark"],
    ),
}


def _digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_digest(p) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", FILES)
def test_files_are_refused_in_one_line_before_any_kernel_and_left_as_they_are(
    example: Path,
    monkeypatch,
    kind: str,
) -> None:
    edit, words = FILES[kind]
    edit(example.parent)
    before = _digests(example.parent)
    said = own.refused(example, monkeypatch)
    assert all(word in said for word in words), said
    assert _digests(example.parent) == before


def test_a_study_by_another_name_than_its_file_s_is_told_from_one_that_is_not_there(example: Path, monkeypatch) -> None:
    monkeypatch.chdir(example.parent)
    example.rename("study.yaml.txt")
    for name, words in (
        ("study.yaml.txt", r"ends in \.yml"),
        ("study.yml", "there is no file"),
        ("study", "unknown study"),
        ("", "no study was named"),
    ):
        with pytest.raises(StudyError, match=words):
            load_study(name)


def test_null_is_given_on_the_command_line_where_a_field_may_be_null(example: Path) -> None:
    given = cli.parse(["corpus.labels=null", "size=1500"])
    study = load_study(str(example), **given)
    assert study.corpus.labels is None and study.size == 1500
    with pytest.raises(StudyError, match="size: Input should be a valid integer"):
        load_study(str(example), **cli.parse(["size=null"]))
    with pytest.raises(StudyError, match="'size' has no value"):
        cli.parse(["size="])


@pytest.mark.parametrize("command", [("artifact", "prompts"), ("part", "prompts", "1/2"), ("artifact", "lesions")])
def test_a_single_stage_is_computed_of_what_a_run_would_take_only(example: Path, monkeypatch, capsys, command) -> None:
    _table("ratings.csv", lambda t: t[t["rater"] == "r1"])(example.parent)
    monkeypatch.setattr(Run, "store", lambda *a: pytest.fail("something was computed"))
    monkeypatch.setattr("sys.argv", ["emonb", command[0], str(example), *command[1:]])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "at least two raters" in capsys.readouterr().err


def test_a_range_of_seeds_has_an_end() -> None:
    assert cli.read_seeds("10-12") == [10, 11, 12] and cli.read_seeds("4,1") == [4, 1]
    for text in ("1-99999999999", "3-1", "1,1", "x", "1-"):
        with pytest.raises(StudyError, match="not a range from low to high"):
            cli.read_seeds(text)


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_read(example: Path, monkeypatch) -> None:
    monkeypatch.setattr(editions, "check_study", lambda *a: pytest.fail("the study was read"))
    for out in (example, example / "deep" / "er"):
        with pytest.raises(StudyError, match=rf"cannot be written to {out}: {example} is a file; give another folder"):
            editions.run_edition(str(example), out=out)
    monkeypatch.setattr(editions.os, "access", lambda *a: False)
    with pytest.raises(StudyError, match="a folder in which you may not write"):
        editions.run_edition(str(example), out=example.parent / "new")


def test_what_is_odd_and_means_what_it_says_is_read(example: Path) -> None:
    plain = Run(load_study(str(example)), progress=False).load("humans")
    _text("judgments.csv", lambda t: "\n".join(f"{line}," for line in t.splitlines()) + "\n")(example.parent)
    with pytest.raises(LabelError, match="column 16 has no heading"):  # a last column without a name
        Run(load_study(str(example)), progress=False).load("humans")
    _text("judgments.csv", lambda t: t.replace(",\n", "\n", 1))(example.parent)  # cells in none of the columns, all empty
    _text("study.yml", lambda t: "# JSON is YAML\n" + json.dumps(yaml.safe_load(t)))(example.parent)
    other = Run(load_study(str(example)), progress=False).load("humans")
    np.testing.assert_array_equal(other.judgment, plain.judgment)


# ---------------------------------------------------------------- networks


def _config(**changes: object) -> Edit:
    def edit(folder: Path) -> None:
        fields = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(
            json.dumps({name: value for name, value in fields.items() if value is not None})
        )

    return edit


def _weights(change: Callable[[str, torch.Tensor], torch.Tensor]) -> Edit:
    def edit(folder: Path) -> None:
        tensors = {
            name: change(name, value).contiguous() for name, value in load_file(folder / "model.safetensors").items()
        }
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return edit


def _pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _added(name: str) -> Edit:
    return lambda folder: (folder / name).write_bytes(b"x")


def _without(*names: str) -> Edit:
    return lambda folder: [(folder / name).unlink() for name in names]


NETWORKS: dict[str, tuple[Edit, list[str]]] = {
    "no type": (_config(model_type=None), ["cannot be loaded", "model_type", "config.json, weights as safetensors"]),
    "no configuration": (_without("config.json"), ["cannot be loaded", "save_pretrained", "backbone.name"]),
    "a configuration cut short": (_bytes("config.json", lambda b: b[:20]), ["cannot be loaded", "valid JSON"]),
    "a number as text": (_config(num_hidden_layers="3"), ["cannot be loaded", "num_hidden_layers"]),
    "an unknown activation function": (_config(hidden_act="foo"), ["cannot be loaded", "foo"]),
    "another network's weights": (_config(hidden_size=64), ["are not those of its config.json", "should be"]),
    "transposed weights": (
        _weights(lambda name, w: w.T if name.endswith("intermediate.dense.weight") else w),
        ["intermediate.dense.weight is [32, 48] and should be [48, 32]"],
    ),
    "whole numbers": (_weights(lambda name, w: (10 * w).to(torch.int8)), ["are quantised", "is I8"]),
    "eight bits": (_weights(lambda name, w: w.to(torch.float8_e4m3fn)), ["are quantised", "is F8_E4M3"]),
    "a quantised folder": (
        lambda f: (f / "quantize_config.json").write_text("{}"),
        ["are quantised (quantize_config.json)"],
    ),
    "whole numbers beside a damaged file": (
        lambda f: (_weights(lambda name, w: (10 * w).to(torch.int8))(f), (f / "a.safetensors").write_bytes(b"x")),
        ["damaged or cut short (a.safetensors"],
    ),
    "nothing but zeros": (_weights(lambda name, w: torch.zeros_like(w)), ["nothing but zeros", "backbone.name"]),
    "weights too large": (_weights(lambda name, w: 1e20 * w), ["no finite numbers", "backbone.name"]),
    "weights as a pickle": (_pickle, ["cannot be loaded", "model.safetensors", "weights as safetensors"]),
    "a pointer in place of weights": (
        _bytes("model.safetensors", lambda b: b"version https://git-lfs"),
        ["damaged or cut"],
    ),
    "an adapter's weights": (lambda f: shutil.copy(f / "model.safetensors", f / "adapter_model.safetensors"), ["merge it"]),
    "an adapter in a folder": (
        lambda f: ((f / "german").mkdir(), (f / "german" / "adapter_config.json").write_text("{}")),
        ["holds an adapter (german/adapter_config.json)"],
    ),
    **{
        f"an adapter by the name {name}": (_added(name), [f"holds an adapter ({name})"])
        for name in ("adapters.safetensors", "pytorch_adapter.bin", "pytorch_lora_weights.safetensors")
    },
    "no tokenizer": (_without("tokenizer.json", "tokenizer_config.json"), ["holds no tokenizer", "save_pretrained"]),
    "a tokenizer cut short": (_bytes("tokenizer.json", lambda b: b[:20]), ["cannot be loaded", "a tokenizer"]),
    "code": (
        _config(model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModelForMaskedLM": "evil.M"}),
        ["cannot be loaded", "custom code"],
    ),
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("whole") / "model", ["good", "bad", "word0"])


@pytest.mark.parametrize("kind", NETWORKS)
def test_checkpoints_are_refused_by_what_is_wrong_with_them(tmp_path: Path, network: Path, kind: str, monkeypatch) -> None:
    edit, words = NETWORKS[kind]
    monkeypatch.setattr("builtins.input", lambda *asked: pytest.fail("a question was asked"))
    folder = Path(shutil.copytree(network, tmp_path / "model"))
    edit(folder)
    before = _digests(folder)
    with pytest.raises(StudyError) as error:
        open_backbone(BackboneConfig(name=str(folder), verbalizer=("bad", "good")), 3, 48, 20, "cpu")
    said = str(error.value)
    assert "\n" not in said and all(word in said for word in words), said
    assert _digests(folder) == before


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_checkpoint_beside_the_study_is_taken_as_the_page_says(
    example: Path, tmp_path: Path, family: str, monkeypatch
) -> None:
    """Of every family, with the fields that the page gives; and what may be a mistake is said before any kernel."""
    words = sorted(
        {w for split in SPLITS for w in re.findall(r"\w+", (example.parent / f"{split}.tsv").read_text().lower())}
    )
    tiny.save_model(example.parent / "my-checkpoint", [*words, "negative", "positive"], family)
    page = (editions.chapters_dir() / "your-own-study.md").read_text(encoding="utf-8")
    given = yaml.safe_load(re.search(r"```yaml\n(backbone:.*?)```", page, re.DOTALL)[1])
    own.change(example, **given, layers=3, neurons=48, sizes=[8, 16], size=8, device="cpu")
    ran: list[str] = []
    monkeypatch.setattr(editions, "_execute", lambda run, chapter, *more: ran.append(chapter))
    monkeypatch.setattr(editions, "read_record", lambda *a: {})
    monkeypatch.setattr(editions, "merge_records", lambda records: {})
    told: list[str] = []
    editions.run_edition(str(example), log=told.append)
    assert ran == list(editions.CHAPTERS) and not [line for line in told if "corpus" in line or "tuning" in line]
    labels = list(load_study(str(example)).corpus.labels or ())
    own.change(example, backbone={"position_offset": "paper"})
    own.change(example, corpus={"labels": [labels[1], labels[0], *labels[2:]]}, tuning={"max_length": 8}, prompt_length=4)
    editions.run_edition(str(example), chapters=("prompts",), log=told.append)
    assert any(line.startswith("corpus.labels: comments labelled") for line in told)
    of_roberta = any("positions from 2 (roberta)" in line for line in told)
    assert of_roberta == (family != "bert")  # BERT's own positions go from 0
    assert any(line.startswith("tuning.max_length: ") and "have more than 8 tokens" in line for line in told)


# ---------------------------------------------------------------- labels in another order


def _read(folder: Path, labels: list[str]) -> dict[str, str]:
    emotions = [name for name in labels if name != "neutral"]
    files = {split: folder / f"{split}.tsv" for split in SPLITS}
    return find_moved_labels(read_goemotions(emotions, files, labels), name_emotions(emotions))


def test_labels_in_another_order_are_seen_by_the_emotions_names(example: Path) -> None:
    labels = list(load_study(str(example)).corpus.labels or ())
    assert _read(example.parent, labels) == {}
    swapped = [*reversed(labels[:2]), *labels[2:]]
    assert _read(example.parent, swapped) == {labels[0]: labels[1], labels[1]: labels[0]}
    turned = [*labels[1:6], labels[0], labels[6]]
    assert _read(example.parent, turned) == dict(zip(labels[:6], turned[:6], strict=True))


def test_names_that_stand_anywhere_by_chance_are_no_sign(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        names = rng.choice(["joy", "fear", "pride", "rain"], 300)
        table = pd.DataFrame({"text": [f"so much {name} here" for name in names]})
        ids = rng.integers(0, 3, 300)
        for k, emotion in enumerate(("joy", "fear", "pride")):
            table[emotion] = ids == k
        alarms += bool(find_moved_labels(table, name_emotions(["joy", "fear", "pride"])))
    assert alarms <= 3  # three names a study, each looked for in the label that has it most
