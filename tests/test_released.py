import json
import re
from pathlib import Path

import numpy as np
import pytest

from emonb.analysis import lesions
from emonb.data import goemotions, humans, released
from emonb.errors import LabelError
from emonb.study import Study


def test_humans_follow_names(tiny_study: Study, human_paths: dict[str, Path]) -> None:
    data = humans.read_humans(tiny_study, human_paths)
    assert str(data.emotion.values[0]) == "gloom"
    assert float(data.kappa.sel(emotion="dread")) == pytest.approx(0.2)
    np.testing.assert_allclose(data.dissimilarity, data.judgment.mean("judge"))
    bright = data.score.sel(attribute="bright")
    distance = abs(float(bright.sel(emotion="pique") - bright.sel(emotion="calm")))
    assert float(data.attribute_rdm.sel(attribute="bright", pair="calm|pique")) == pytest.approx(3 * distance)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("scores", lambda t: t.replace("bright", "brightness"), ["columns", "missing bright", "unknown brightness"]),
        ("scores", lambda t: t.rsplit("\n", 2)[0] + "\n", ["expected 5 rows, found 4"]),
        ("order", lambda t: t.replace("calm", "clam"), ["emotions", "missing calm", "unknown clam"]),
        ("order", lambda t: t.replace("calm", "dread"), ["twice dread"]),
        ("judgments", lambda t: t.replace("V3", "W3"), ["missing V3", "unknown W3"]),
        ("judgments", lambda t: re.sub(r"\n\d\.0", "\nnan", t, count=1), ["not finite"]),
        ("mean_judgments", lambda t: "mean\n" + "1.0\n" * 10, ["is not the mean"]),
        ("attribute_rdms", lambda t: "\n".join([t.split("\n")[0], *reversed(t.strip().split("\n")[1:])]), ["rows moved"]),
        ("agreement", lambda t: t.replace("glee", "glea"), ["missing glee"]),
    ],
)
def test_human_files_that_do_not_fit_are_refused(tiny_study, human_paths, name, change, words) -> None:
    path = human_paths[name]
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(LabelError) as error:
        humans.read_humans(tiny_study, human_paths)
    for word in [*words, str(path)]:
        assert word in str(error.value)


def test_activations_keep_every_digit_and_go_where_their_name_says(tiny_study: Study, tmp_path: Path) -> None:
    files, values = {}, {}
    rng = np.random.default_rng(0)
    for e in tiny_study.emotions:
        for s in tiny_study.seeds:
            values[e, s] = rng.normal(size=6)
            files[e, s] = tmp_path / f"{e}-{s}.csv"
            files[e, s].write_text("0,1,2,3,4,5\n" + ",".join(repr(float(v)) for v in values[e, s]) + "\n")
    array = released.read_activations(tiny_study, files, progress=False)
    np.testing.assert_array_equal(array.sel(emotion="glee", seed=2, layer=2), values["glee", 2][3:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,1,2,3,4\n1,2,3,4,5\n", "expected the columns 0 ... 5, found 5"),
        ("0,1,2,3,4,x\n1,2,3,4,5,6\n", "missing or renamed"),
        ("0,1,2,3,4,5\n1,2,3,4,5\n", "one row of 6 values, found 5"),
        ("0,1,2,3,4,5\n1,2,3,4,5,oops\n", "not a number"),
        ("0,1,2,3,4,5\n1,2,3,4,5,inf\n", "not finite"),
    ],
)
def test_activation_files_that_do_not_fit_are_refused(tiny_study: Study, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=r"bad\.csv") as error:
        released.read_activations(tiny_study, {("calm", 1): path}, progress=False)
    assert words in str(error.value)


def test_lesions_are_mapped_by_name_not_position(tiny_study: Study, lesion_paths) -> None:
    data = released.read_lesions(tiny_study, lesion_paths)
    got = float(data.accuracy.sel(kind="selective", attribute="bright", size=4, seed=2, emotion="glee"))
    assert got == pytest.approx((1 + 4 + 40 + 400) / 1000)
    assert np.isnan(data.accuracy.sel(kind="selective", size=1)).all()
    assert data.accuracy.sel(kind="random").notnull().all()
    drop = lesions.selective_drop(data.accuracy)
    assert list(drop["size"].values) == [2, 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update({"novelty_top2": 0.5}), "unknown attribute 'novelty'"),
        (lambda d: d.update({"noise_top3": 0.5}), "no size of the study explains"),
        (lambda d: d.pop("noise_top2"), "missing noise_top2"),
        (lambda d: d.update(sentiment="grief"), "not about emotion 'calm'"),
        (lambda d: d.update(noise_top2=float("nan")), "not finite"),
        (lambda d: d.update(noise_top2=1.5), "must lie in 0..1"),
    ],
)
def test_lesion_files_that_do_not_fit_are_refused(tiny_study: Study, lesion_paths, change, words: str) -> None:
    path = lesion_paths["selective"]["calm", 1]
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))
    with pytest.raises(LabelError, match=path.name) as error:
        released.read_lesions(tiny_study, lesion_paths)
    assert words in str(error.value)


def test_broken_json_and_unknown_emotion_in_accuracies(tiny_study: Study, lesion_paths, tmp_path: Path) -> None:
    lesion_paths["random"]["calm", 1].write_text("{")
    with pytest.raises(LabelError, match="not valid JSON"):
        released.read_lesions(tiny_study, lesion_paths)
    path = tmp_path / "accuracy.csv"
    rows = [(e, s, 0.5) for e in ("bliss", *tiny_study.emotions[1:]) for s in (1, 2)]
    path.write_text("sentiment,random_seed,accuracy\n" + "\n".join(f"{e},{s},{a}" for e, s, a in rows))
    with pytest.raises(LabelError, match=r"missing calm; unknown bliss"):
        released.read_accuracy(tiny_study, path)


def test_goemotions_labels_and_errors(tiny_study: Study, tmp_path: Path) -> None:
    train = tmp_path / "train.tsv"
    lines = ["so calm now\t0\ta", "calm and glee\t0,2\tb", "what dread\t1\tc", "glee glee\t2\td", "gloom dread\t1,3\te",
             "pique gloom\t3,4\tf", "hm\t5\tg", "such pique\t4\th"]  # fmt: skip
    train.write_text("\n".join(lines) + "\n")
    comments = goemotions.read_goemotions(tiny_study, {"train": train})
    assert comments["glee"].sum() == 2
    assert not comments.iloc[6, 2:].any()  # neutral
    train.write_text("text\t9\tid\n")
    with pytest.raises(LabelError, match="unknown label id '9'"):
        goemotions.read_goemotions(tiny_study, {"train": train})
