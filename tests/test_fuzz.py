"""Whatever a study file, a CSV or a JSON says: it is read, or refused with an error that a user can act on."""

import json
import tempfile
from pathlib import Path

import numpy as np
import odd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emonb.data.comments import make_tasks, read_goemotions
from emonb.data.people import read_humans, read_long
from emonb.data.released import read_accuracy, read_activations, read_lesions, read_ranks
from emonb.data.sources import registry
from emonb.errors import EmonbError
from emonb.paths import data_dir
from emonb.run.editions import check_released
from emonb.study import Released, known_parameters, load_study

FUZZ = settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
EMOTIONS, ATTRIBUTES, SEEDS = ("anger", "joy", "fear"), ("warm", "odd"), (1, 3)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 5), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["local:x", "local:../../x", "planted:train", "{emotion}", "../..", "anger", "1e400", "\ud800", "~x"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder() -> Path:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        odd.write_released(path, EMOTIONS, ATTRIBUTES)
        yield path


CELLS = ["nan", "-1", "1e400", "", '"', ",", "\t", "\r\n", "\u0664", "\u00b2", "anger", "[]", "{}"]


def _spoil(draw: st.DrawFn, content: bytes) -> bytes:
    """Somebody's file: cut short, with bytes, fields or lines put in, taken away or swapped."""
    for _ in range(draw(st.integers(1, 3))):
        at, how = draw(st.integers(0, max(len(content) - 1, 0))), draw(st.integers(0, 5))
        if how == 0:
            content = content[:at]
        elif how == 1:
            content = content[:at] + draw(st.binary(max_size=4)) + content[at:]
        elif how == 2:
            lines = content.split(b"\n")
            lines.insert(at % len(lines), draw(st.sampled_from(lines)))
            content = b"\n".join(lines)
        elif how == 3:
            cells = [
                b"nan",
                b"-1",
                b"1e400",
                b"",
                b'"',
                b",",
                b"\t",
                b"\r\n",
                "\u0664".encode(),
                "²".encode(),
                b"anger",
                b"[]",
                b"{}",
            ]
            content = content[:at] + draw(st.sampled_from(cells)) + content[at + draw(st.integers(0, 6)) :]
        elif how == 4:
            content = draw(st.sampled_from(["utf-16", "latin-1", "utf-8-sig"])).join(["", ""]).encode() + content
        else:
            content = content.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"", b"\n\n"])))
    return content


def _only_ours(read, *arguments: object) -> None:
    try:
        read(*arguments)
    except EmonbError as error:
        assert str(error) and "\n" not in str(error)


@FUZZ
@given(st.data())
def test_study_files_load_or_are_refused(folder: Path, data: st.DataObject) -> None:
    fields = yaml.safe_load((folder / "released.yml").read_text())
    names = [*known_parameters(), *fields, "extends", "surprise", "humans.raw.emotions", "humans", "corpus", "lesions"]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        *parents, last = name.split(".")
        place = fields
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict):
            place[last] = data.draw(VALUES)
    path = folder / "fuzz.yml"
    text = yaml.safe_dump(fields, allow_unicode=True).encode("utf-8", "surrogatepass")
    path.write_bytes(_spoil(data.draw, text) if data.draw(st.booleans()) else text)
    _only_ours(lambda: check_released(load_study(str(path))))


@FUZZ
@given(st.data())
def test_parameters_are_taken_or_refused(folder: Path, data: st.DataObject) -> None:
    names = st.one_of(st.sampled_from(known_parameters()), st.text(max_size=8))
    given = data.draw(st.dictionaries(names, VALUES, max_size=3))
    _only_ours(lambda: load_study(str(folder / "released.yml"), **given))


def _humans(folder: Path, **files: Path) -> None:
    names = ("order", "judgments", "mean_judgments", "scores", "attribute_rdms", "agreement")
    read_humans(EMOTIONS, ATTRIBUTES, {name: folder / name for name in names} | files)


def _long(path: Path) -> None:
    read_long(path, EMOTIONS, ATTRIBUTES)


def _comments(path: Path) -> None:
    table = read_goemotions(EMOTIONS, {"train": path, "dev": path, "test": path})
    make_tasks(table, EMOTIONS, SEEDS, "train")


def _lesions(folder: Path, path: Path) -> None:
    released = Released(accuracy="", activations="", lesions_selective="", lesions_random="", ranks="",
                        lesion_keys={a: a for a in ATTRIBUTES})  # fmt: skip
    files = {word: {("anger", 1): folder / f"{word}-anger-1.json"} for word in ("top", "random")}
    files["top"]["anger", 1] = path
    read_lesions(ATTRIBUTES, ("anger",), (1,), (4, 8), released, files["top"], files["random"])


RATINGS = "rater,emotion,attribute,value\n" + "".join(
    f"{r},{e},{a},{k % 9 + 1}\n"
    for k, (r, e, a) in enumerate((r, e, a) for r in "xyz" for e in EMOTIONS for a in ATTRIBUTES)
)
READERS = {
    "order": lambda folder, path: _humans(folder, order=path),
    "judgments": lambda folder, path: _humans(folder, judgments=path),
    "mean_judgments": lambda folder, path: _humans(folder, mean_judgments=path),
    "scores": lambda folder, path: _humans(folder, scores=path),
    "attribute_rdms": lambda folder, path: _humans(folder, attribute_rdms=path),
    "agreement": lambda folder, path: _humans(folder, agreement=path),
    "ratings": lambda folder, path: _long(path),
    "train": lambda folder, path: _comments(path),
    "accuracy.csv": lambda folder, path: read_accuracy(EMOTIONS, SEEDS, path),
    "act-anger-1.csv": lambda folder, path: read_activations(("anger",), (1,), 2, 12, {("anger", 1): path}, False),
    "ranks.csv": lambda folder, path: read_ranks(ATTRIBUTES, 2, 12, path),
    "top-anger-1.json": _lesions,
    "registry": lambda folder, path: registry.__wrapped__(path),
}


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(st.sampled_from(sorted(READERS)), st.data())
def test_data_files_are_read_or_refused(folder: Path, name: str, data: st.DataObject) -> None:
    whole = {"ratings": RATINGS.encode(), "registry": (data_dir() / "registry.txt").read_bytes()[:600]}
    content = whole[name] if name in whole else (folder / name).read_bytes()
    if name.endswith(".json") and data.draw(st.booleans()):
        content = json.dumps(data.draw(VALUES | st.dictionaries(st.text(max_size=5), VALUES, max_size=3))).encode()
    path = folder / f"fuzz-{name}"
    path.write_bytes(_spoil(data.draw, content))
    with np.errstate(all="ignore"):
        _only_ours(READERS[name], folder, path)
