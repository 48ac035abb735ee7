"""A stage made in parts is bit for bit the stage made in one process; what does not belong together is not joined."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import xarray as xr
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from emonb import cli
from emonb.errors import PartError, StudyError
from emonb.model import batches
from emonb.run.parts import Parts, count_parts, join_parts, make_part
from emonb.run.runs import Run
from emonb.run.stages import stages_of
from emonb.study import Study, load_study

IN_PARTS = ("prompts", "lesions")
SMALL = {"threads": 1, "lesions": {"draws": 1}, "inference": {"permutations": 99, "searchlight_permutations": 300}}


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save_study(tmp_path_factory.mktemp("parts"), **SMALL))


@pytest.fixture(scope="module")
def study(study_file: str) -> Study:
    return load_study(study_file)


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, xr.Dataset]:
    """Every stage in one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMONB_RUNS", str(tmp_path_factory.mktemp("whole")))
        run = Run(study, progress=False)
        return {name: run.load(name) for name in ("humans", "activations", "masks", *IN_PARTS)}


@pytest.fixture
def run(study: Study, whole: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A fresh run directory, in which everything is there that is not made in parts."""
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    run = Run(study, progress=False)
    for name in ("humans", "activations", "masks"):
        run.store(name, whole[name])
    return run


def _fresh(run: Run) -> Run:
    """Another process's view of the same run directory."""
    return Run(run.study, progress=False)


def _edit(path: Path, **changes: str) -> None:
    with safe_open(path, framework="numpy") as file:
        about = file.metadata()
    save_file(load_file(path), path, about | changes)


def test_parts_joined_are_the_whole_bit_for_bit_in_any_order(run: Run, whole: dict) -> None:
    for name in IN_PARTS:
        n, missing, whole_is_there = count_parts(_fresh(run), name)
        assert len(missing) == n and not whole_is_there
        made = [make_part(_fresh(run), name, number, 3) for number in (3, 1, 2)]
        assert sorted(unit for share in made for unit in share) == sorted(missing) and min(map(len, made[1:])) > 0
        assert make_part(_fresh(run), name, 1, 3) == []
        assert count_parts(_fresh(run), name) == (n, [], False)
        join_parts(_fresh(run), name)
        joined = _fresh(run).load(name)
        assert joined.attrs["checksum"] == whole[name].attrs["checksum"]
        assert joined.identical(whole[name].assign_attrs({k: joined.attrs[k] for k in ("seconds", "examples_per_second")
                                                          if k in joined.attrs}))  # fmt: skip
        assert joined.attrs["mixed"] == joined.attrs["halved"] == 0
        assert not run.work(name).exists()


def test_a_run_that_was_stopped_goes_on_from_its_parts(run: Run, whole: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    make_part(_fresh(run), "prompts", 2, 3)
    (part,) = run.work("prompts").glob("*.safetensors")
    stamp, seen = part.stat().st_mtime_ns, []
    store = Run.store
    monkeypatch.setattr(Run, "store", lambda *a: (seen.append(part.stat().st_mtime_ns), store(*a))[1])
    assert _fresh(run).load("prompts").attrs["checksum"] == whole["prompts"].attrs["checksum"]
    assert seen == [stamp]


def test_joining_computes_nothing_and_names_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_part(_fresh(run), "prompts", 1, 2)
    monkeypatch.setattr(batches, "limit_threads", None)
    with pytest.raises(PartError, match=r"prompts: 1 of 3 parts are missing: seed-3$"):
        join_parts(_fresh(run), "prompts")
    with pytest.raises(
        PartError, match=r"lesions is made from prompts, which is not there; first: emonb artifact tiny prompts"
    ):
        make_part(_fresh(run), "lesions", 1, 2)


def test_parts_of_another_device_are_refused_by_name_or_joined_and_said(run: Run) -> None:
    make_part(_fresh(run), "prompts", 1, 1)
    _edit(run.work("prompts") / "seed-3.safetensors", device="cuda", processor="H100")
    with pytest.raises(PartError, match=r"seed-1, seed-5 with cpu, .*; seed-3 with cuda, H100"):
        join_parts(_fresh(run), "prompts")
    with pytest.raises(PartError, match="made in different ways"):  # nor does one machine go on from them
        _fresh(run).load("prompts")
    join_parts(_fresh(run), "prompts", mixed=True)
    joined = _fresh(run).load("prompts").attrs
    assert (joined["mixed"], joined["device"]) == (1, "cpu and cuda")


def test_a_part_of_something_else_is_made_anew_and_a_changed_one_refused(run: Run) -> None:
    make_part(_fresh(run), "prompts", 1, 1)
    path = run.work("prompts") / "seed-3.safetensors"
    _edit(path, unit="another")
    assert count_parts(_fresh(run), "prompts")[1] == ["seed-3"]
    assert make_part(_fresh(run), "prompts", 1, 1) == ["seed-3"]
    path.write_bytes(path.read_bytes()[:200])
    assert make_part(_fresh(run), "prompts", 1, 1) == ["seed-3"]
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        about = file.metadata()
    save_file(arrays | {"accuracy": arrays["accuracy"] + 1}, path, about)
    with pytest.raises(PartError, match="was changed after it was written"):
        join_parts(_fresh(run), "prompts")


def test_parts_made_from_other_results_are_not_those_of_the_stage(run: Run, whole: dict) -> None:
    run.store("prompts", whole["prompts"])
    make_part(_fresh(run), "lesions", 1, 1)
    n, missing, _ = count_parts(_fresh(run), "lesions")
    assert len(missing) < n
    moved = whole["prompts"].copy(deep=True)
    moved["prompt"].values += 1e-6  # as another machine would round
    run.store("prompts", moved)
    assert len(count_parts(_fresh(run), "lesions")[1]) == n


@pytest.mark.parametrize("name", ["prompts", "lesions"])
def test_memory_that_runs_out_is_an_error_in_a_part_and_noted_in_a_whole(
    run: Run, whole: dict, name: str, monkeypatch
) -> None:
    from emonb.model.backbone import Backbone

    forward, failed = Backbone.forward, []

    def short(self, prompts, *args, **kwargs):
        if len(prompts) > 30:
            failed.append(len(prompts))
            raise torch.cuda.OutOfMemoryError
        return forward(self, prompts, *args, **kwargs)

    if name == "lesions":
        run.store("prompts", whole["prompts"])
    monkeypatch.setattr(Backbone, "forward", short)
    with pytest.raises(PartError, match=r"part .*: memory ran out.*tuning\.tokens_per_batch"):
        make_part(_fresh(run), name, 1, 2)
    assert failed
    if name == "lesions":
        halved = _fresh(run).load(name)
        assert halved.attrs["halved"] == 1 and whole[name].attrs["halved"] == 0
        np.testing.assert_allclose(halved.accuracy, whole[name].accuracy, atol=0.1)


def test_every_stage_with_units_says_their_names_without_computing(whole: dict) -> None:
    for name in ("control", "roberta-base", "published"):
        study = load_study(name)
        units = {stage: made.units(study) for stage, made in stages_of(study).items() if made.units}
        live = {*IN_PARTS, "bijections", "dose"} | ({"wordless"} if study.emotion_words else set())
        assert set(units) == (set() if name == "published" else live)
        assert all(len(set(names)) == len(names) for names in units.values())
    assert len(stages_of(load_study("roberta-base"))["lesions"].units(load_study("roberta-base"))) == 1 + 748


def test_a_stage_that_makes_other_units_than_it_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="x has 1 parts, the study says 2"):
        Parts("x", ["a", "b"], {"key": "k"}, tmp_path).each({"a": 1}, lambda: None)


def test_the_command_line_makes_counts_and_joins_parts(run: Run, study_file: str, capsys, monkeypatch) -> None:
    def emonb(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["emonb", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr()
        return int(stop.value.code or 0), out.out or out.err

    assert "0 of 3 units made" in emonb("part", study_file, "prompts")[1]
    code, text = emonb("artifact", study_file, "prompts", "--from-parts")
    assert code == 2 and "3 of 3 parts are missing: seed-1, seed-3, seed-5" in text
    assert emonb("part", study_file, "prompts", "1/1") == (0, "prompts 1/1: 3 units made\n")
    assert emonb("part", study_file, "prompts") == (0, "prompts: 3 of 3 units made\n")
    code, text = emonb("artifact", study_file, "prompts", "--from-parts")
    assert code == 0 and Path(text.strip()).is_file()
    assert "the whole is there" in emonb("part", study_file, "prompts")[1]
    for arguments, words in (
        (("part", study_file, "prompts", "3"), "is not I/N"),
        (("part", study_file, "prompts", "3/2"), "give I/N with I from 1 to N"),
        (("part", study_file, "rdms", "1/2"), "'rdms' is not made in parts"),
        (("artifact", study_file, "prompts", "--allow-mixed"), "--allow-mixed is for --from-parts"),
    ):
        code, text = emonb(*arguments)
        assert code == 2 and words in text


def test_a_share_out_of_range_is_refused(run: Run) -> None:
    with pytest.raises(StudyError, match="give I/N"):
        make_part(run, "prompts", 0, 2)
