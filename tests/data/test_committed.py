"""Results that are committed: read as they were written, by name, and refused under other settings."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emonb.data import committed
from emonb.data.tables import arrange
from emonb.errors import ArtifactError, StudyError

EMOTIONS, SEEDS = ["joy", "fear", "awe"], [1, 3]
RECIPE = {"emotions": EMOTIONS, "seeds": SEEDS, "tuning": {"epochs": 2, "batch": 4, "tokens_per_batch": 64}}
LOG = {"device": "cpu", "seconds": 4.0}


@pytest.fixture
def prompts() -> xr.Dataset:
    rng = np.random.default_rng(0)
    arrays = {
        "prompt": (("seed", "emotion", "position", "dimension"), rng.normal(size=(2, 3, 4, 5)).astype(np.float32)),
        "accuracy": (("seed", "emotion"), rng.random((2, 3)).round(3)),
        "examples": (("seed", "emotion"), rng.integers(9, 99, (2, 3))),
        "dev_accuracy": (("seed", "emotion", "epoch"), rng.random((2, 3, 2)).round(3)),
        "train_loss": (("seed", "emotion", "epoch"), rng.random((2, 3, 2)).round(3)),
    }
    return xr.Dataset(arrays, {"seed": SEEDS, "emotion": EMOTIONS, "epoch": [1, 2]})


def _read(folder: Path, recipe: dict = RECIPE, emotions=EMOTIONS, seeds=SEEDS) -> xr.Dataset:
    files = {s: folder / name for s, name in committed.name_files("prompts", ".", seeds, "").items()}
    return committed.read_prompts(emotions, seeds, files, recipe)


def test_prompts_come_back_by_name_in_half_precision(prompts: xr.Dataset, tmp_path: Path) -> None:
    paths = committed.write_prompts(prompts, RECIPE, tmp_path, LOG)
    assert [path.name for path in paths] == ["seed-1.json", "seed-3.json"]
    some = _read(tmp_path, {**RECIPE, "emotions": ["awe", "joy"], "seeds": [3]}, ["awe", "joy"], [3])
    expected = prompts.sel(seed=[3], emotion=["awe", "joy"])
    np.testing.assert_array_equal(some.prompt, expected.prompt.values.astype(np.float16))
    assert some.prompt.dtype == np.float32
    for name in ("accuracy", "examples", "dev_accuracy", "train_loss"):
        xr.testing.assert_equal(some[name], expected[name])
    whole = _read(tmp_path)
    assert whole.attrs["seconds"] == 8 and whole.attrs["device"] == "cpu"
    assert whole.attrs["examples_per_second"] == 2 * int(prompts.examples.sum()) / 8
    same = {"epochs": 2, "batch": 4, "tokens_per_batch": 9999}  # how many go through at once changes rounding only
    xr.testing.assert_identical(_read(tmp_path, {**RECIPE, "tuning": same}), whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"tuning": {"epochs": 5, "batch": 4}}, "tuning.epochs was 2, the study has 5"),
     ({"tuning": {"epochs": 2, "batch": 4, "start": "words"}}, "tuning.start was None, the study has words"),
     ({"emotions": ["joy", "ire"]}, r"emotions was \['joy', 'fear', 'awe'\], the study has \['joy', 'ire'\]"),
     ({"prompt_length": 8}, "prompt_length was None")],
)  # fmt: skip
def test_other_settings_are_refused_in_one_line(prompts, tmp_path: Path, change: dict, said: str) -> None:
    committed.write_prompts(prompts, RECIPE, tmp_path, LOG)
    with pytest.raises(StudyError, match=f"seed-1.json was made with other settings: {said}") as error:
        _read(tmp_path, {**RECIPE, **change})
    assert "stages.prompts=computed" in str(error.value) and "\n" not in str(error.value)


def test_a_changed_file_is_refused(prompts, tmp_path: Path) -> None:
    committed.write_prompts(prompts, RECIPE, tmp_path, LOG)
    path = tmp_path / "prompts" / "seed-3.safetensors"
    body = path.read_bytes()
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"seed-3.safetensors is not what seed-3.json describes"):
        _read(tmp_path)


def _masks(sizes=(4, 6), draws: int = 2) -> xr.Dataset:
    rng = np.random.default_rng(1)
    labels = [(kind, a, n, d) for n in sizes for a in "xy" for kind, k in (("selective", 1), ("random", draws))
              for d in range(k)]  # fmt: skip
    silenced = np.zeros((len(labels), 3, 11), bool)  # 11 neurons: not whole bytes
    for row, (_, _, n, _) in zip(silenced, labels, strict=True):
        row.flat[rng.choice(33, n, replace=False)] = True
    coords = {name: ("mask", np.array(v)) for name, v in zip(committed.LABELS, zip(*labels, strict=True), strict=True)}
    axes = {"layer": [1, 2, 3], "neuron": np.arange(11)}
    return xr.Dataset({"silenced": (("mask", "layer", "neuron"), silenced)}, {**coords, **axes})


PLAN = {"attributes": ["x", "y"], "sizes": [4, 6], "comparisons": ["random"], "draws": 2}


def _read_masks(path: Path, **plan: object) -> xr.Dataset:
    wanted = {**PLAN, **plan}
    return committed.read_masks(**wanted, files={"masks": path}, recipe=wanted)


def test_masks_come_back_bit_by_bit_and_a_smaller_plan_takes_some(tmp_path: Path) -> None:
    masks = _masks()
    path = committed.write("masks", masks, PLAN, tmp_path, {})
    xr.testing.assert_identical(_read_masks(path), masks)
    some = _read_masks(path, attributes=["y"], sizes=[6], draws=1)
    mine = (masks.attribute == "y") & (masks["size"] == 6) & (masks.draw == 0)
    xr.testing.assert_identical(some, masks.isel(mask=np.flatnonzero(mine)))
    with pytest.raises(StudyError, match="draws was 2, the study has 3"):
        _read_masks(path, draws=3)
    with pytest.raises(StudyError, match=r"sizes was \[4, 6\], the study has \[5\]"):
        _read_masks(path, sizes=[5])
    before = path.with_suffix(".npz").read_bytes()
    committed.write("masks", masks, PLAN, tmp_path, {})
    assert path.with_suffix(".npz").read_bytes() == before  # the same masks are the same file


def test_lesions_belong_to_masks_by_their_neurons(tmp_path: Path) -> None:
    masks, rng = _masks(), np.random.default_rng(2)
    shape, dims = (masks.sizes["mask"], 2, 3), ("mask", "seed", "emotion")
    arrays = {"accuracy": (dims, rng.random(shape)), "auc": (dims, rng.random(shape)),
              "baseline": (dims[1:], rng.random((2, 3))), "baseline_auc": (dims[1:], rng.random((2, 3)))}  # fmt: skip
    coords = {"seed": [5, 7], "emotion": EMOTIONS, **{name: masks[name] for name in committed.LABELS}}
    made = arrange(xr.Dataset(arrays, coords), ["x", "y"], [4, 6]).assign_attrs(ablation="mean", split="test")
    path = committed.write("lesions", made, PLAN, tmp_path, LOG, masks)
    assert path.name == "lesions-mean.json"

    def read(masks: xr.Dataset, **plan: object) -> xr.Dataset:
        wanted = {**PLAN, **plan}
        return committed.read_lesions(masks, wanted["attributes"], wanted["sizes"], {"lesions": path}, wanted)

    xr.testing.assert_identical(read(masks).drop_attrs(), made.drop_attrs())
    assert read(masks).attrs == {"ablation": "mean", "split": "test", **LOG}
    order = rng.permutation(masks.sizes["mask"])
    xr.testing.assert_allclose(read(masks.isel(mask=order)).accuracy.sel(kind=made.kind), made.accuracy)
    some = masks.isel(mask=np.flatnonzero((masks.attribute == "y") & (masks["size"] == 6)))
    expected = made.accuracy.sel(attribute=["y"], size=[6])
    xr.testing.assert_allclose(read(some, attributes=["y"], sizes=[6]).accuracy, expected)
    other = masks.copy(deep=True)
    other.silenced[0, 0, 0] = ~other.silenced[0, 0, 0]
    with pytest.raises(StudyError, match="1 of the study's 12 masks are not among the 12 that were lesioned"):
        read(other)


def test_doses_come_back_for_the_attributes_asked_for_and_no_other_comparison(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    dims, axes = ("mask", "dose", "seed", "emotion"), {"dose": [0.0, 1.0, 2.0], "seed": SEEDS, "emotion": EMOTIONS}
    labels = {"kind": ("mask", ["selective", "random"] * 2), "attribute": ("mask", ["warm", "warm", "odd", "odd"])}
    arrays = {name: (dims, rng.random((4, 3, 2, 3))) for name in ("accuracy", "auc")}
    arrays |= {f"only_{name}": (("mask", "seed", "emotion"), rng.random((4, 2, 3))) for name in ("accuracy", "auc")}
    made = xr.Dataset(arrays, {**axes, **labels}, {"split": "test", "size": 8})
    files = {"dose": committed.write("dose", made, RECIPE, tmp_path, LOG)}
    xr.testing.assert_equal(committed.read_dose(["odd", "warm"], "random", files, RECIPE), made)
    some = committed.read_dose(["odd"], "random", files, RECIPE)
    xr.testing.assert_equal(some, made.isel(mask=[2, 3]))
    assert some.attrs == {"split": "test", "size": 8, **LOG}
    with pytest.raises(StudyError, match="has doses of selective, random, not of random_matched"):
        committed.read_dose(["odd"], "random_matched", files, RECIPE)


def test_what_was_read_comes_back_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    axes = {"seed": SEEDS, "emotion": EMOTIONS, "layer": [1, 2], "neuron": range(4)}
    read = xr.Dataset({"activation": (tuple(axes), rng.normal(size=(2, 3, 2, 4)).astype(np.float32))}, axes)
    path = committed.write("activations_in_use", read, RECIPE, tmp_path, LOG)
    files, some = {"activations_in_use": path}, {**RECIPE, "emotions": ["awe", "joy"]}
    found = committed.read_activations_in_use(["awe", "joy"], [3], files, {**some, "seeds": [3]}).activation
    expected = read.activation.sel(seed=[3], emotion=["awe", "joy"])
    assert np.abs(found - expected).max() <= committed.STEP / 2 and found.dtype == np.float32
    xr.testing.assert_equal(found.coords.to_dataset(), expected.coords.to_dataset())
    arrays = {"embedding": (("emotion", "dimension"), rng.random((3, 5))), "comments": ("emotion", [7, 8, 9])}
    centroids = xr.Dataset(arrays, {"emotion": EMOTIONS})
    files = {"centroids": committed.write("centroids", centroids, RECIPE, tmp_path, LOG)}
    xr.testing.assert_equal(committed.read_centroids(["awe", "joy"], files, some), centroids.sel(emotion=["awe", "joy"]))
    with pytest.raises(StudyError, match=r"tuning\.epochs was 2"):
        committed.read_centroids(EMOTIONS, files, {**RECIPE, "tuning": {"epochs": 5, "batch": 4}})
