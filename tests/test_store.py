"""The store: what is not read makes nothing anew, a file system's moods are no damage, and what goes when it is cleared."""

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import xarray as xr

from emonb import artifacts, cli, store
from emonb.errors import PartError, StoreError, StudyError
from emonb.model import tuning
from emonb.run import clearing, editions
from emonb.run.parts import count_parts, make_part
from emonb.run.runs import Run
from emonb.study import load_study
from emonb.world import files

CHANGES = ({"inference.permutations": 199}, {"title": "another"}, {"size": 16}, {"device": "auto"})
HOLD_OPEN = "import h5py, sys; file = h5py.File(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"
HOLD_LOCK = """
import sys
from emonb import store
with store.locked(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save_study(tmp_path_factory.mktemp("study")))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def tuned(runs: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Epochs of every tuning that takes place; it gives something else than prompts, in no time."""
    calls: list[int] = []

    def tune(live, work, **others) -> xr.Dataset:
        calls.append(live.tuning.epochs)
        return xr.Dataset({"prompt": ("x", np.arange(3.0))})

    monkeypatch.setattr(tuning, "tune_prompts", tune)
    return calls


def _open(study: str, **changes: object) -> Run:
    return Run(load_study(study, **changes), progress=False)


# ---------------------------------------------------------------- one store, by key


def test_what_tuning_does_not_read_tunes_nothing_again(study: str, tuned: list[int]) -> None:
    path = _open(study).path("prompts")
    for change in CHANGES:
        other = _open(study, **change)
        assert other.path("prompts") == path and other.folder != _open(study).folder
    assert tuned == [2]
    assert _open(study, **{"tuning.epochs": 3}).path("prompts") != path
    assert tuned == [2, 3]


def test_a_check_begins_with_an_empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def stop(*arguments: object, **named: object) -> None:
        seen.append(store.store_dir())
        raise StudyError("stop")

    monkeypatch.setenv("EMONB_STORE", str(tmp_path))
    monkeypatch.setattr(editions, "run_edition", stop)
    with pytest.raises(StudyError, match="stop"):
        editions.check_edition("published")
    assert seen[0] != tmp_path and not seen[0].exists()


def test_parts_made_under_another_title_are_gone_on_from(study: str, runs: Path) -> None:
    assert make_part(_open(study), "prompts", 1, 3) == ["seed-1"]
    other = _open(study, title="another")
    assert count_parts(other, "prompts")[1] == ["seed-3", "seed-5"]
    assert make_part(other, "prompts", 1, 3) == []


def test_the_store_may_lie_elsewhere_than_the_runs(study: str, tuned: list[int], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_STORE", str(tmp_path / "shared"))
    for runs in ("one", "two"):
        monkeypatch.setenv("EMONB_RUNS", str(tmp_path / runs))
        run = _open(study)
        assert run.path("prompts").parent == tmp_path / "shared"
        assert run.folder.parent == tmp_path / runs
    assert tuned == [2]
    assert not list(tmp_path.glob("one/**/*.nc"))


# ---------------------------------------------------------------- file systems


def test_a_result_that_is_open_elsewhere_is_read(study: str, tuned: list[int]) -> None:
    path = _open(study).path("prompts")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(OSError, match="unable to lock file"):
            xr.open_dataset(path, engine="h5netcdf")
        assert float(_open(study).load("prompts").prompt.sum()) == 3
        other.stdin.close()
    assert tuned == [2]


class _Failing(io.FileIO):
    """A file that can be opened, and whose content cannot be had."""

    def readinto(self, buffer) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ENOLCK])
def test_what_the_file_system_does_not_give_is_named_and_not_made_anew(
    study: str, tuned: list[int], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _open(study).path("prompts")
    opened = Path.open

    def refuse(self: Path, *arguments: object, **named: object) -> io.IOBase:
        if self != path:
            return opened(self, *arguments, **named)
        if number == errno.EIO:
            return _Failing(self)
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    run = _open(study)
    for ask in (run.load, run.has, lambda name: run.is_as_used(name, "x")):
        with pytest.raises(StoreError, match=f"{path} cannot be read now .{os.strerror(number)}."):
            ask("prompts")
    monkeypatch.undo()
    assert tuned == [2]


@pytest.mark.parametrize("content", ["", "half", "bit"])
def test_only_damaged_content_is_made_anew(study: str, tuned: list[int], content: str, caplog) -> None:
    path = _open(study).path("prompts")
    whole = path.read_bytes()
    changed = whole.replace(np.float64(2.0).tobytes(), np.float64(3.0).tobytes())
    path.write_bytes({"": b"", "half": whole[: len(whole) // 2], "bit": changed}[content])
    assert float(_open(study).load("prompts").prompt.sum()) == 3
    assert tuned == [2, 2]
    assert f"{path} " in caplog.text and "It is made anew" in caplog.text


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("number", store.WITHOUT_LOCKS)
def test_a_file_stands_for_a_lock_where_there_are_none(study: str, tuned, number: int, caplog, monkeypatch) -> None:
    import filelock._unix

    def refuse(descriptor: int) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", refuse)
    with store.locked("a"):
        assert store.is_locked("a")
        with pytest.raises(StoreError, match="another process is making a"), store.locked("a", wait=False):
            pass
    assert not store.is_locked("a")
    if number != errno.ENOSYS:  # there filelock says it
        assert f"{os.strerror(number)}. Files named .held stand for locks" in caplog.text
    _open(study).load("prompts")
    _open(study).load("prompts")
    assert tuned == [2]


def test_a_folder_that_keeps_nothing_is_named_before_any_work(
    study: str, tuned: list[int], runs: Path, monkeypatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    store._check.cache_clear()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=f"results cannot be kept in {runs / 'store'}: .*Invalid argument.*EMONB_STORE"):
        _open(study).load("prompts")
    with pytest.raises(StoreError, match="results cannot be kept"):
        make_part(_open(study), "prompts", 1, 3)
    assert tuned == []
    assert not list((runs / "store").glob("*.nc")) and not list((runs / "store").glob(".*"))
    monkeypatch.undo()


def test_a_lock_is_let_go_when_its_process_is_killed(runs: Path) -> None:
    with _hold("prompts-1") as other:
        assert store.is_locked("prompts-1")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert not store.is_locked("prompts-1")


def test_parts_are_joined_by_one_process_at_a_time(study: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emonb.run.parts import join_parts

    run = _open(study)
    locked = []
    monkeypatch.setattr(Run, "has", lambda self, name: locked.append(store.is_locked(f"{name}-{self.key(name)}")))
    with pytest.raises(PartError, match="3 of 3 parts are missing"):
        join_parts(run, "prompts")
    assert locked == [True]


def _hold(stem: str) -> subprocess.Popen:
    """Another process that holds a lock."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, stem], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert other.stdout.readline() == b"locked\n"
    return other


# ---------------------------------------------------------------- clearing


@pytest.fixture
def full(runs: Path, study: str) -> dict[str, Path]:
    """A store in which lies, by a name of ours: what studies refer to, what none does, what may be in the making."""
    root, published, own = runs / "store", Run(load_study("published")), _open(study)
    own.note()
    at = {
        "committed": published._file("humans"),
        "of a run folder": own._file("prompts"),
        "stale": root / "humans-00000000000000000000.nc",
        "locked": root / "lesions-11111111111111111111.nc",
        "parts of a run folder": own.work("lesions"),
        "parts of a whole": own.work("prompts"),
        "parts": root / "work" / "prompts-22222222222222222222",
        "fresh parts": root / "work" / "prompts-33333333333333333333",
        "half written": root / f".{published._file('humans').name}.1234abcd.part",
        "world": files.folder_of(load_study("control"), "planted:train"),
        "old world": root / "worlds" / "files-44444444444444444444",
    }
    for name, path in at.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix not in (".nc", ".part"):
            path.mkdir()
        file = path / "seed-1.safetensors" if path.is_dir() else path
        file.write_bytes(b"x" * 1000)
        for each in (file, path):
            os.utime(each, None if name == "fresh parts" else (time.time() - 2 * clearing.FRESH,) * 2)
    return at


GOES = {"stale", "parts of a whole", "parts", "half written", "old world"}


def test_only_what_no_study_refers_to_and_nobody_makes_is_cleared(full: dict[str, Path], capsys, monkeypatch) -> None:
    def emonb(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["emonb", "store", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        return capsys.readouterr().out

    with _hold(full["locked"].stem) as other:
        said = emonb()
        assert all(path.exists() for path in full.values())
        assert f"11 in {store.store_dir()}; 5 (5,000 bytes) that no study refers to; --clear removes them" in said
        assert "lesions-11111111111111111111.nc stays: it is being made" in said
        assert "prompts-33333333333333333333 stays: it was written less than a day ago" in said
        assert "5 (5,000 bytes) removed" in emonb("--clear")
        assert {name for name, path in full.items() if not path.exists()} == GOES
        other.stdin.close()
    assert "1 (1,000 bytes) removed" in emonb("--clear")
    assert not full["locked"].exists()


def test_who_deletes_a_run_folder_lets_go_of_its_results(full: dict[str, Path], study: str) -> None:
    shutil.rmtree(_open(study).folder)
    removed = {entry.path for entry in clearing.clear(clearing.list_entries())}
    expected = GOES | {"locked", "of a run folder", "parts of a run folder"}
    assert removed == {full[name] for name in expected}


def test_results_stay_where_keys_cannot_be_told(full: dict[str, Path], study: str, tmp_path: Path) -> None:
    folder = Path(study).parent
    away = folder.rename(folder.with_name("away"))
    try:
        entries = {entry.path: entry for entry in clearing.list_entries()}
    finally:
        away.rename(folder)
    assert all(entries[full[name]].stays for name in ("of a run folder", "locked", "stale"))
    assert "the key of tiny-" in entries[full["stale"]].kept
    (_open(study).folder / "study.json").write_text("{}")
    entries = {entry.path: entry for entry in clearing.list_entries()}
    assert "delete its folder if it is not needed" in entries[full["stale"]].kept


def test_what_is_begun_while_others_are_cleared_stays(full: dict[str, Path]) -> None:
    entries = clearing.list_entries()
    with _hold(full["stale"].stem) as other:
        removed = {entry.path for entry in clearing.clear(entries)}
        other.stdin.close()
    assert full["stale"].exists() and full["parts"] in removed


def test_every_result_of_a_run_is_referred_to(study: str, tuned: list[int], runs: Path) -> None:
    run = _open(study, title="another")
    run.load("humans")
    run.load("prompts")
    entries = clearing.list_entries()
    assert {(entry.what, entry.studies) for entry in entries} == {("humans", (run.name,)), ("prompts", (run.name,))}
    assert all(entry.bytes == entry.path.stat().st_size for entry in entries)
    assert artifacts.read(run.path("prompts")).attrs["study"] == "tiny"
