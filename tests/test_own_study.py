"""A study of one's own: written by one command, run by the page's commands, and refused in one line where it is wrong."""

import copy
import json
import os
import re
import shlex
import subprocess
import sys
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
from emonb.data import people, weights
from emonb.data.comments import make_tasks
from emonb.errors import LabelError, StudyError
from emonb.model.backbone import open_backbone
from emonb.paths import chapters_dir, data_dir
from emonb.run import editions, notebooks
from emonb.run.runs import Run
from emonb.run.stages import study_files
from emonb.study import BackboneConfig, load_study, write_example

PAGE = (chapters_dir() / "your-own-study.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()]


# ---------------------------------------------------------------- emonb new


def test_a_new_study_takes_its_folder_s_name_and_nothing_is_overwritten(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["emonb", "new", "mine"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert capsys.readouterr().out.strip() == str(tmp_path / "mine" / "study.yml")
    study = load_study("mine/study.yml")
    assert study.name == "mine" and study.kind == "live" and len(study.emotions) == 6
    assert {p.name for p in Path("mine").iterdir()} == {p.name for p in (data_dir() / "example").iterdir()}
    for wrong, words in (("mine", "is there already"), ("My Study", "no name for a study"), ("control", "no name")):
        with pytest.raises(StudyError, match=words):
            write_example(Path(wrong))
    with pytest.raises(StudyError, match=r"unknown study 'mine'; did you mean 'mine/study\.yml'"):
        load_study("mine")
    with pytest.raises(StudyError, match=r"there is no file .*own2\.yml"):
        load_study("mine/own2.yml")


def test_every_field_of_the_example_has_its_comment(example: Path) -> None:
    lines = (data_dir() / "example" / "study.yml").read_text().splitlines()
    fields = [k for k, line in enumerate(lines) if re.match(r"[a-z_]+:", line)]
    assert len(fields) > 15
    given = re.findall(r"#   emonb run study\.yml -p (\w+)=(\S+)", "\n".join(lines))
    assert given and all(load_study(str(example), **{key: yaml.safe_load(value)}) for key, value in given)
    assert not [lines[k] for k in fields if not any("#" in line for line in lines[max(0, k - 2) : k + 8])]


def test_people_and_comments_of_the_example_are_what_the_page_says(example: Path) -> None:
    run = Run(load_study(str(example)), progress=False)
    data, people, comments = run.load("humans"), run.load("people"), run.load("comments")
    assert list(data.emotion.values) == list(run.study.emotions) and "kappa" not in data
    assert people.rating.sizes == {"rater": 10, "emotion": 6, "attribute": 3} and people.sizes["judge"] == 12
    assert (comments[list(run.study.emotions)].sum(axis=1) == 2).any()
    texts = dict(iter(comments.groupby("split")["text"]))
    assert not set(texts["train"]) & set(texts["test"])
    assert set(COMMANDS[:2]) == {"emonb new my-study", "emonb run my-study/study.yml"}


@pytest.mark.ci
def test_the_page_s_own_commands_run(tmp_path: Path) -> None:
    reason = weights.available(study_files(load_study(str(data_dir() / "example" / "study.yml"))))
    if reason:
        pytest.skip(reason)
    environment = {**os.environ, "EMONB_RUNS": str(tmp_path / "runs"), "EMONB_STORE": ""}
    for command in COMMANDS:
        name, *arguments = shlex.split(command.partition("#")[0])
        assert name == "emonb"
        done = subprocess.run(
            [sys.executable, "-m", "emonb.cli", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr[-2000:])
        if command == "emonb run my-study/study.yml":
            folder = Path(done.stdout.strip().splitlines()[-1])
            ledger = json.loads((folder / "claims.json").read_text())
            assert ledger["quantities"]["prompts.accuracy"] > 0.55 and len(ledger["claims"]) == 7
            assert {p.stem for p in folder.glob("*.ipynb")} == set(editions.CHAPTERS)
            assert len(re.findall("undefined: ", done.stderr)) < 30


# ---------------------------------------------------------------- no silent numbers


def test_comments_of_ones_own_are_never_read_by_another_study_s_labels(tmp_path: Path) -> None:
    files = {split: f"local:{split}" for split in ("train", "dev", "test")}
    child = {"extends": "published", "name": "child", "corpus": files}
    path = tmp_path / "child.yml"
    path.write_text(yaml.safe_dump(child))
    with pytest.raises(StudyError, match=r"changes corpus\.\w+ and not corpus\.labels"):
        load_study(str(path))
    with pytest.raises(StudyError, match=r"not corpus\.labels"):
        load_study("published", **{"corpus.test": "local:test"})
    path.write_text(yaml.safe_dump({**child, "corpus": {**files, "labels": None}}))
    assert load_study(str(path)).corpus.labels is None
    with pytest.raises(StudyError, match=r"changes emotions, by whose order .*corpus\.labels"):
        load_study(str(path), emotions=["joy", "anger"])
    with pytest.raises(StudyError, match=r"changes humans\.order and not humans\.judgments"):
        load_study("published", **{"humans.order": "local:order"})


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("ratings.csv", lambda t: t.assign(value=[-99, *t["value"][1:]]), ["line 2: rater 0, joy, valence", "1 to 9"]),
        ("ratings.csv", lambda t: t.assign(value=[*t["value"][:-1], 999]), ["line 181: rater 9, fear, control"]),
        ("ratings.csv", lambda t: t.assign(value=t["value"].where(t["rater"] != "r3", 10 * t["value"])), ["rater 2, joy"]),
        ("judgments.csv", lambda t: t.assign(**{"joy|fear": [-99, *t["joy|fear"][1:]]}), ["line 2, column joy|fear"]),
        ("judgments.csv", lambda t: t.where(t.isna(), 4), ["equally unlike"]),
        ("judgments.csv", lambda t: (t - 1) / 8, ["line", "column joy|contentment", "1 to 9"]),
        ("judgments.csv", lambda t: t.rename(columns={"joy|fear": "joy|awe"}), ["unknown joy|awe"]),
        ("judgments.csv", lambda t: t.set_axis([f"V{k}" for k in range(1, 16)], axis=1), ["name its columns", "joy|"]),
    ],
)
def test_answers_off_their_scale_or_without_their_pair_are_refused_before_any_kernel(
    example: Path, monkeypatch, file: str, change, words: list[str]
) -> None:
    own.edit(example.parent / file, change)
    said = own.refused(example, monkeypatch)
    for word in [*words, file, f"humans.{file.removesuffix('.csv')}"]:
        assert word in said


@pytest.mark.parametrize("file", ["ratings.csv", "judgments.csv"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.replace(b",", b";"), "separated by semicolons"),
        (lambda b: b.replace(b",", b"\t"), "separated by tabs"),
        (lambda b: b"PK\x03\x04\xff" + b, "is a spreadsheet"),
        (lambda b: b"", "humans."),
        (None, "does not exist"),
    ],
)
def test_what_a_spreadsheet_saves_is_named(example: Path, monkeypatch, file: str, change, words: str) -> None:
    path = example.parent / file
    content = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(content))
    said = own.refused(example, monkeypatch)
    assert words in said and f"humans.{file.removesuffix('.csv')}" in said
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))  # Excel's UTF-8 is read
    assert Run(load_study(str(example)), progress=False).load("humans").sizes["emotion"] == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": [1, 3]}, r"seed: there is no such field; did you mean seeds\?$"),
        ({"tuning": {"exampels": 4}}, r"tuning\.exampels: there is no such field; did you mean tuning\.examples\?$"),
        ({"humans": {"scale": [9, 1]}}, r"humans\.scale: a scale is \[lowest, highest\] answer.* \(got \[9, 1\]\)$"),
        ({"corpus": {"test": "local:train.tsv"}}, "corpus: train, dev and test are three files"),
    ],
)
def test_what_is_wrong_with_a_study_file_is_said_by_field(example: Path, changes: dict, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        load_study(str(own.change(example, **changes)))


def test_a_study_s_comments_are_said_to_be_what_they_are(example: Path) -> None:
    source = notebooks.read_source(chapters_dir() / "prompts.md")
    for study, reddit in ((load_study(str(example)), False), (load_study("published"), True)):
        kept = "".join(cell.source for cell in notebooks.keep_cells(copy.deepcopy(source), study).cells)
        assert ("Reddit" in kept) == reddit and ("the study's own" in kept) != reddit


def test_other_scales_are_declared(example: Path) -> None:
    plain = Run(load_study(str(example)), progress=False).load("humans")
    own.edit(example.parent / "ratings.csv", lambda t: t.assign(value=10 * t["value"]))
    own.edit(example.parent / "judgments.csv", lambda t: t[list(t.columns[::-1])].rename(columns={"joy|fear": "fear|joy"}))
    own.change(example, humans={"scale": {"ratings": [0, 100]}})
    other = Run(load_study(str(example)), progress=False).load("humans")
    np.testing.assert_allclose(other.score, plain.score)
    np.testing.assert_array_equal(other.judgment, plain.judgment)
    with pytest.raises(StudyError, match="a scale is \\[lowest, highest\\]"):
        load_study(str(own.change(example, humans={"scale": [9, 1]})))


def test_finished_scores_name_their_emotions(tmp_path: Path, example: Path) -> None:
    run = Run(load_study(str(example)), progress=False)
    plain = run.load("humans")
    table = plain.score.to_pandas()
    table.iloc[::-1].rename_axis("emotion").reset_index().to_csv(example.parent / "scores.csv", index=False)
    own.change(example, humans={"ratings": None, "scores": "local:scores.csv"})
    other = Run(load_study(str(example)), progress=False).load("humans")
    np.testing.assert_allclose(other.score, plain.score)
    one = abs(other.score.sel(emotion="joy") - other.score.sel(emotion="fear"))
    np.testing.assert_allclose(other.attribute_rdm.sel(pair="joy|fear"), one)
    table.to_csv(example.parent / "scores.csv", index=False)
    with pytest.raises(LabelError, match=r"name its rows by a column emotion, or give humans\.order"):
        Run(load_study(str(example)), progress=False).load("humans")


def test_agreement_needs_an_emotion_and_a_kappa(example: Path, monkeypatch) -> None:
    path, emotions = example.parent / "agreement.csv", load_study(str(example)).emotions
    own.change(example, humans={"agreement": "local:agreement.csv"})
    pd.DataFrame({"emotion": emotions, "kappa": 0.5, "notes": "x"}).to_csv(path, index=False)
    assert (Run(load_study(str(example)), progress=False).load("humans").kappa == 0.5).all()
    pd.DataFrame({"emotion": [*emotions[:-1], "awe"], "kappa": 0.5}).to_csv(path, index=False)
    assert "humans.agreement" in own.refused(example, monkeypatch)


def test_emotions_without_comments_name_the_fields(example: Path, monkeypatch) -> None:
    labels = ["joy", "contentment", "affection", "sadness", "neutral", "anger", "awe", "fear"]
    said = own.refused(own.change(example, corpus={"labels": labels}), monkeypatch)
    assert "no comment with fear" in said and "corpus.train" in said and "corpus.labels" in said
    comments = pd.DataFrame({"split": ["dev"], "text": ["x"], "joy": [False]})
    with pytest.raises(LabelError, match=r"the dev split has no comment with joy"):
        make_tasks(comments, ["joy"], [1], "dev")


# ---------------------------------------------------------------- networks


@pytest.fixture
def checkpoint(tmp_path: Path) -> BackboneConfig:
    tiny.save_model(tmp_path / "model", ["good", "bad", "word0"])
    return BackboneConfig(name=str(tmp_path / "model"), verbalizer=("bad", "good"))


def _open(config: BackboneConfig, **changes: object) -> None:
    open_backbone(config.model_copy(update=changes), 3, 48, 20, "cpu")


def test_checkpoints_are_named_for_what_they_are(checkpoint: BackboneConfig) -> None:
    folder = Path(checkpoint.name)
    file, config = folder / "model.safetensors", folder / "config.json"
    whole, settings = file.read_bytes(), config.read_text()
    _open(checkpoint)
    with pytest.raises(ValueError, match="two different words"):
        BackboneConfig(name="x", verbalizer=("good", "good"))
    for word in ("<mask>", "<pad>", "goood"):
        with pytest.raises(StudyError, match=r"is not a word and one token .* backbone\.verbalizer"):
            _open(checkpoint, verbalizer=("bad", word))
    file.write_bytes(whole[:-50])
    with pytest.raises(StudyError, match=f"weights of '{folder}' are damaged or cut short"):
        _open(checkpoint)
    file.write_bytes(whole)
    tensors = load_file(file)
    name = next(key for key in tensors if "intermediate" in key)
    save_file({**tensors, name: torch.full_like(tensors[name], torch.nan)}, file, {"format": "pt"})
    with pytest.raises(StudyError, match=r"no finite numbers \(1, such as .*intermediate"):
        _open(checkpoint)
    file.write_bytes(whole)
    config.write_text(json.dumps({**json.loads(settings), "quantization_config": {"load_in_8bit": True}}))
    with pytest.raises(StudyError, match="are quantised"):
        _open(checkpoint)
    config.write_text(settings)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(StudyError, match=r"holds an adapter .* merge it"):
        _open(checkpoint)


def test_a_checkpoint_beside_the_study_is_found_from_anywhere(example: Path, monkeypatch, tmp_path: Path) -> None:
    tiny.save_model(example.parent / "my-checkpoint", ["good", "bad", "word0"])
    network = {"name": "my-checkpoint", "revision": "", "head": "masked-lm", "verbalizer": ["bad", "good"]}
    own.change(example, backbone=network, layers=3, neurons=48, sizes=[8], size=8)
    monkeypatch.chdir(tmp_path)
    study = load_study(str(example))
    assert study.backbone is not None and study.backbone.name == f"local:{example.parent / 'my-checkpoint'}"
    said = own.refused(own.change(example, layers=2), monkeypatch)
    assert "3 layers of 48 FFN neurons, the study declares 2 of 48" in said


def test_worlds_are_refused_before_any_kernel(monkeypatch) -> None:
    with pytest.raises(StudyError, match=r"world\.voiced.*the study has 4 attributes"):
        load_study("control", attributes=["warmth", "light", "weight", "speed"])
    monkeypatch.setattr(editions, "_execute", lambda *a: pytest.fail("a chapter ran"))
    with pytest.raises(StudyError, match="no file 'planted:nosuch'"):
        editions.run_edition("control", {"backbone.name": "planted:nosuch"})
    with pytest.raises(StudyError, match="'calm'"):
        editions.run_edition("control", {"attributes": ["calm", "light", "weight"], "world.voiced": 2})


def test_the_order_of_a_file_s_emotions_is_the_study_s_where_none_is_given(human_paths, tiny_study) -> None:
    files = {name: path for name, path in human_paths.items() if name != "order"}
    with pytest.raises(LabelError, match="name its columns by their pairs"):
        people.read_humans(tiny_study.emotions, tiny_study.attributes, files)
