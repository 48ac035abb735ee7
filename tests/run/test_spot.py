"""A few committed prompts and lesions of the MiniLM study made again from nothing; skipped where weights cannot be had."""

import math
import os
import subprocess
import sys

import pytest
import xarray as xr

from emonb.data import weights
from emonb.errors import StudyError
from emonb.model import batches, tuning
from emonb.run.runs import Run
from emonb.run.spot import bound_accuracy, bound_loss, choose_format, spot_check
from emonb.run.stages import study_files
from emonb.study import load_study


@pytest.fixture(scope="module")
def minilm(shared_store: None) -> Run:
    study = load_study("minilm")
    missing = weights.available(study_files(study))
    if missing:
        pytest.skip(missing)
    return Run(study, progress=False)


def test_a_prompt_and_two_masks_come_out_again(minilm: Run) -> None:
    rows = spot_check(minilm, prompts=1, masks=2, seed=1)
    assert len(rows) == 3 + 2 * 3
    assert [row["name"] for row in rows if not row["same"]] == []


def test_a_prompt_of_another_emotion_is_seen(minilm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = minilm.load("prompts")

    def tune_another(live, emotions, seeds, *args, **kwargs) -> xr.Dataset:
        another = ["joy" if emotions != ["joy"] else "fear"]
        other = committed.sel(seed=seeds, emotion=another).assign_coords(emotion=emotions)
        return other.assign(accuracy=other.accuracy - 0.4, train_loss=other.train_loss + 0.1)

    monkeypatch.setattr(tuning, "tune_prompts", tune_another)
    rows = spot_check(minilm, prompts=1, masks=0, seed=3)
    assert [row["name"].partition(":")[0] for row in rows] == ["first loss", "accuracy", "read-out"]
    assert not any(row["same"] for row in rows)


def test_other_lesions_are_seen(minilm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lesions = minilm.load("lesions")
    changed = {name: lesions[name] - 0.02 for name in ("mask_accuracy", "baseline")}
    monkeypatch.setitem(minilm._loaded, "lesions", lesions.assign(changed))
    rows = spot_check(minilm, prompts=0, masks=1, seed=2)
    assert [row["same"] for row in rows] == [True, False, False]  # the neurons are those, their effects are not


def test_what_is_not_committed_is_not_compared() -> None:
    with pytest.raises(StudyError, match="prompts and lesions of 'published' are not committed"):
        spot_check(Run(load_study("published"), progress=False), 1, 1, 0)


@pytest.mark.parametrize(("multiplies", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_not_emulated(minilm: Run, monkeypatch: pytest.MonkeyPatch, multiplies: bool, chosen: str) -> None:
    monkeypatch.setattr(batches, "multiplies_bfloat16", lambda: multiplies)
    assert choose_format(minilm) == minilm.backbone().model_copy(update={"dtype": chosen})


@pytest.mark.parametrize("told", [{"ATEN_CPU_CAPABILITY": "default"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}])
def test_a_processor_told_to_do_without_multiplies_no_bfloat16(told: dict[str, str]) -> None:
    ask = "from emonb.model.batches import multiplies_bfloat16 as ask; print(ask())"
    done = subprocess.run([sys.executable, "-c", ask], env=os.environ | told, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_bound_of_a_loss_is_narrow_where_nothing_was_learned_and_never_holds_all_that_was() -> None:
    untouched = math.log(2)
    assert bound_loss(untouched, untouched + 0.1) == 0.01
    assert bound_loss(untouched - 0.1, untouched) == bound_loss(untouched, untouched - 0.1)
    assert 0.01 < bound_loss(untouched - 0.1, untouched) < 0.1


def test_the_bound_of_an_accuracy_is_three_standard_errors_of_a_difference() -> None:
    assert bound_accuracy(0.5, 200) == pytest.approx(3 * (0.25 / 200 + 0.25 / 200) ** 0.5)
    assert 0 < bound_accuracy(1.0, 20) < bound_accuracy(0.9, 20)
