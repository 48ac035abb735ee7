import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emonb.analysis import reported
from emonb.data import people, released, tables
from emonb.data.comments import read_goemotions
from emonb.errors import LabelError
from emonb.study import Study


def _humans(study: Study, files: dict[str, Path]) -> xr.Dataset:
    return people.read_humans(study.emotions, study.attributes, files)


def _lesions(study: Study, files: dict[str, dict[tuple[str, int], Path]]) -> xr.Dataset:
    return released.read_lesions(study.attributes, study.emotions, study.seeds, study.sizes, study.released, **files)


def _activations(study: Study, files: dict[tuple[str, int], Path]) -> xr.DataArray:
    shape = (study.layers, study.neurons)
    return released.read_activations(study.emotions, study.seeds, *shape, files, progress=False).activation


def test_humans_follow_names(tiny_study: Study, human_paths: dict[str, Path]) -> None:
    data = _humans(tiny_study, human_paths)
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
        ("judgments", lambda t: re.sub(r"\n\d\.0", "\ninf", t, count=1), ["line 2, column V1", "not a finite number"]),
        ("judgments", lambda t: re.sub(r"\n\d\.0", "\n\noften", t, count=1), ["line 3, column V1", "(1 of 40 are not)"]),
        ("agreement", lambda t: t.replace("0.3,0.8", "0.3,"), ["line 4, glee, column Accuracy"]),
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
        _humans(tiny_study, human_paths)
    for word in [*words, str(path)]:
        assert word in str(error.value)
    assert "fetch" not in str(error.value) and "often" not in str(error.value)  # it is one's own, and others' words


def test_text_is_read_as_spreadsheets_write_it(tiny_study: Study, human_paths: dict[str, Path]) -> None:
    plain = _humans(tiny_study, human_paths)
    for encoding in ("utf-8-sig", "utf-16"):
        for path in human_paths.values():
            text = tables.read_text(path)
            path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
        assert _humans(tiny_study, human_paths).identical(plain)
    human_paths["order"].write_bytes("gloom\ncalme\xe9\n".encode("latin-1"))
    with pytest.raises(
        LabelError, match=r"order\.csv, line 2: byte 0xe9 is not UTF-8; correct the file \(save it as UTF-8"
    ):
        _humans(tiny_study, human_paths)


def test_only_a_fetched_file_is_to_be_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EMONB_MIRROR", str(tmp_path))
    assert tables.advise(tmp_path / "a" / "b.csv") == "fetch the file again"
    monkeypatch.delenv("EMONB_MIRROR")
    assert tables.advise(tmp_path / "a" / "b.csv") == "correct the file"
    assert tables.advise(tmp_path / "cache" / "b.csv") == "fetch the file again"


@pytest.mark.parametrize("separator", ["\n", " ", "\r\n\r\n"])
def test_the_order_has_one_emotion_a_line_or_all_between_white_space(human_paths, separator: str) -> None:
    names = ["calm", "dread", "glee", "gloom", "pique"]
    human_paths["order"].write_bytes(separator.join(names[::-1]).encode())
    assert list(people.read_humans(names, ["bright", "loud"], human_paths).emotion.values) == names[::-1]
    if separator != " ":
        two = ["calm", "dread", "deep glee", "gloom", "mild pique"]
        human_paths["order"].write_bytes(separator.join(two).encode())
        agreement = human_paths["agreement"].read_text().replace("glee", "deep glee").replace("pique", "mild pique")
        human_paths["agreement"].write_text(agreement)
        assert list(people.read_humans(two, ["bright", "loud"], human_paths).emotion.values) == two


def test_activations_keep_every_digit_and_go_where_their_name_says(tiny_study: Study, tmp_path: Path) -> None:
    files, values = {}, {}
    rng = np.random.default_rng(0)
    for e in tiny_study.emotions:
        for s in tiny_study.seeds:
            values[e, s] = rng.normal(size=6)
            files[e, s] = tmp_path / f"{e}-{s}.csv"
            files[e, s].write_text("0,1,2,3,4,5\n" + ",".join(repr(float(v)) for v in values[e, s]) + "\n")
    array = _activations(tiny_study, files)
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
        _activations(tiny_study, {("calm", 1): path})
    assert words in str(error.value)


def test_lesions_are_mapped_by_name_not_position(tiny_study: Study, lesion_paths) -> None:
    data = _lesions(tiny_study, lesion_paths)
    got = float(data.accuracy.sel(kind="selective", attribute="bright", size=4, seed=2, emotion="glee"))
    assert got == pytest.approx((1 + 4 + 40 + 400) / 1000)
    assert np.isnan(data.accuracy.sel(kind="selective", size=1)).all()
    assert data.accuracy.sel(kind="random").notnull().all()
    drop = reported.selective_drop(data.accuracy)
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
        _lesions(tiny_study, lesion_paths)
    assert words in str(error.value)


def test_broken_json_and_unknown_emotion_in_accuracies(tiny_study: Study, lesion_paths, tmp_path: Path) -> None:
    lesion_paths["random"]["calm", 1].write_text("{")
    with pytest.raises(LabelError, match="not valid JSON"):
        _lesions(tiny_study, lesion_paths)
    path = tmp_path / "accuracy.csv"
    rows = [(e, s, 0.5) for e in ("bliss", *tiny_study.emotions[1:]) for s in (1, 2)]
    path.write_text("sentiment,random_seed,accuracy\n" + "\n".join(f"{e},{s},{a}" for e, s, a in rows))
    with pytest.raises(LabelError, match=r"missing calm; unknown bliss"):
        released.read_accuracy(tiny_study.emotions, tiny_study.seeds, path)

    rows = [(e, s, 0.5) for e in tiny_study.emotions for s in (1, 2)][:-1]
    path.write_text("sentiment,random_seed,accuracy\n" + "\n".join(f"{e},{s},{a}" for e, s, a in rows))
    with pytest.raises(LabelError, match=r"not every emotion has an accuracy for every seed"):
        released.read_accuracy(tiny_study.emotions, tiny_study.seeds, path)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """Comments of the tiny study's five emotions, ids in its order; 5 is neutral."""
    path = tmp_path / "train.tsv"
    lines = ["so calm now\t0\ta", "calm and glee\t0,2\tb", "what dread\t1\tc", "glee glee\t2\td", "gloom dread\t1,3\te",
             "pique gloom\t3,4\tf", "hm\t5\tg", "such pique\t4\th"]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


def test_comments_have_their_labels_and_neutral_ones_none(tiny_study: Study, train: Path) -> None:
    comments = read_goemotions(tiny_study.emotions, {"train": train})
    assert comments["glee"].sum() == 2
    assert not comments.iloc[6, 2:].any()  # neutral


def test_label_ids_mean_what_is_declared_and_nothing_else(tiny_study: Study, train: Path) -> None:
    declared = ["pique", "gloom", "glee", "dread", "calm", "neutral"]  # the corpus's own order, not the alphabet's
    comments = read_goemotions(["glee", "pique"], {"train": train}, declared)  # and some of its emotions
    assert list(comments.columns) == ["split", "text", "glee", "pique"]
    assert list(comments.index[comments["pique"]]) == [0, 1] and list(comments.index[comments["glee"]]) == [1, 3]
    assert len(comments) == 8  # comments with other emotions are among the negatives
    in_order = read_goemotions(tiny_study.emotions[::-1], {"train": train})
    assert list(in_order.index[in_order["pique"]]) == [0, 1]
    with pytest.raises(LabelError, match=r"have none for bliss; correct the study's corpus\.labels"):
        read_goemotions(["glee", "bliss"], {"train": train}, declared)
    with pytest.raises(LabelError, match="name one twice"):
        read_goemotions(["glee"], {"train": train}, ["glee", "calm", "glee"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secret\t9\tid", "unknown label id '9'; known: 0 to 5"),
        ("secret\t0", "found 2 fields"),
        ("secret\tsecret\tid", "label ids are not whole numbers"),
        ("secret\t0,\tid", "label ids are not whole numbers"),
    ],
)
def test_comments_that_do_not_fit_are_named_by_line_and_never_shown(tiny_study, train: Path, line: str, words: str) -> None:
    train.write_bytes(train.read_bytes() + b"\r\n" + line.encode() + b"\r\n")
    with pytest.raises(LabelError, match=r"train\.tsv, line 10: ") as error:
        read_goemotions(tiny_study.emotions, {"train": train})
    assert words in str(error.value) and "correct the file" in str(error.value)
    assert "secret" not in str(error.value)
