import importlib
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emonb import artifacts
from emonb.errors import ArtifactError, StudyError
from emonb.run import stages
from emonb.run.runs import Run
from emonb.run.stages import Stage, field, need
from emonb.study import load_study

# ---------------------------------------------------------------- files


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = artifacts.write(xr.Dataset({"a": ("x", [1.0])}), tmp_path / "a.nc")

    whole = Path.write_bytes

    def broken(self: Path, content: bytes) -> None:
        whole(self, bytes(content)[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(KeyboardInterrupt):
        artifacts.write(xr.Dataset({"a": ("x", [2.0])}), path)
    monkeypatch.undo()
    assert float(artifacts.read(path).a[0]) == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def _dataset() -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {"value": (("emotion", "x"), rng.normal(size=(2, 500))), "mask": ("x", rng.random(500) > 0.5), "n": 3},
        coords={"emotion": ["joy", "grüße"], "seed": np.int64(7)},
    )


def test_what_is_read_is_what_was_written_and_any_change_is_seen(tmp_path: Path) -> None:
    dataset = _dataset()
    path = artifacts.write(dataset, tmp_path / "a.nc")
    assert artifacts.read(path).drop_attrs().identical(dataset)
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            artifacts.read(path)
    at = whole.index(dataset.value.values.tobytes())
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(ArtifactError, match="was changed after it was written"):
        artifacts.read(path)


def test_checksums_see_names_values_and_labels_but_not_remarks() -> None:
    dataset = _dataset()
    same = artifacts.checksum(dataset)
    assert artifacts.checksum(dataset.assign_attrs(seconds=3)) == same
    for other in (
        dataset.rename(value="values"),
        dataset.assign(value=dataset.value + 1e-12),
        dataset.assign_coords(emotion=["joy", "anger"]),
        dataset.assign(mask=~dataset.mask),
    ):
        assert artifacts.checksum(other) != same


# ---------------------------------------------------------------- code


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules are part of the package."""
    import emonb

    monkeypatch.setattr(emonb, "__path__", [*emonb.__path__, str(tmp_path)])
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith("emonb.toy")]:
        del sys.modules[module]
    _forget()


def _forget() -> None:
    artifacts.code_modules.cache_clear()
    artifacts.source_digest.cache_clear()


@pytest.mark.parametrize(
    "line",
    [
        "import emonb.toy_leaf",
        "from emonb import toy_leaf",
        "from emonb.toy_leaf import x",
        "from emonb.toy_folder import leaf",
        "from emonb.toy_folder.leaf import x",
        "def f():\n    from emonb.toy_folder import leaf",
        "from emonb import toy_stem2",
    ],
)
def test_the_code_digest_follows_every_kind_of_import(toys: Path, line: str) -> None:
    (toys / "toy_folder").mkdir()
    for name in ("toy_leaf.py", "toy_apart.py", "toy_folder/leaf.py", "toy_folder/__init__.py"):
        (toys / name).write_text("x = 1\n")
    (toys / "toy_stem2.py").write_text("from emonb.toy_folder.leaf import x\n")
    (toys / "toy_stem.py").write_text(f"{line}\n")
    before = [artifacts.code_digest(f"emonb.toy_{name}") for name in ("stem", "apart")]
    for name in ("toy_leaf.py", "toy_folder/leaf.py"):
        (toys / name).write_text("x = 2\n")
    _forget()
    after = [artifacts.code_digest(f"emonb.toy_{name}") for name in ("stem", "apart")]
    assert before[0] != after[0]
    assert before[1] == after[1]


# ---------------------------------------------------------------- results made when they are missing


class _Toys:
    """Two stages that count how often they are made; functions of a module, as every stage's are."""

    made: list[str] = []  # noqa: RUF012

    @staticmethod
    def first(seeds: tuple[int, ...]) -> xr.Dataset:
        _Toys.made.append("first")
        return xr.Dataset({"a": ("x", np.arange(3.0))})

    @staticmethod
    def second(first: xr.Dataset, size: int) -> xr.Dataset:
        _Toys.made.append("second")
        return first[["a"]] * 2


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    monkeypatch.setattr(_Toys, "made", [])
    monkeypatch.setattr(Stage, "module", property(lambda self: "emonb.analysis.rdm"))
    monkeypatch.setattr(Stage, "function", lambda self: getattr(_Toys, self.make))
    monkeypatch.setattr(stages, "LIVE", {})
    toy = {"first": Stage("first", {"seeds": field("seeds")})}
    toy["second"] = Stage("second", {"first": need("first"), "size": field("size")})
    monkeypatch.setattr(stages, "STAGES", toy)
    return Run(load_study("published"))


def test_a_stage_computes_what_it_needs_once_and_nothing_else(run: Run) -> None:
    np.testing.assert_array_equal(run.load("second").a, [0, 2, 4])
    assert _Toys.made == ["first", "second"]
    Run(run.study).load("second")
    assert _Toys.made == ["first", "second"]


def test_a_changed_field_is_another_artifact_downstream_only(run: Run) -> None:
    changed = Run(load_study("published", size=3000))
    assert changed.key("first") == run.key("first")
    assert changed.key("second") != run.key("second")
    seeds = Run(load_study("published", seeds=[1, 3]))
    assert seeds.key("first") != run.key("first")
    assert seeds.key("second") != run.key("second")  # through its input


def test_a_damaged_artifact_is_made_anew_with_a_line_that_says_so(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    path = run.path("second")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole.replace(np.float64(4.0).tobytes(), np.float64(5.0).tobytes())):
        path.write_bytes(damaged)
        caplog.clear()
        np.testing.assert_array_equal(Run(run.study).load("second").a, [0, 2, 4])
        assert "It is made anew" in caplog.text and str(path) in caplog.text
    assert _Toys.made == ["first"] + ["second"] * 4


def test_what_was_used_is_noted_with_its_checksum(run: Run) -> None:
    run.load("second")
    assert run.used == {name: artifacts.read(run.path(name)).attrs["checksum"] for name in ("first", "second")}
    assert run.is_as_used("first", run.used["first"])
    assert not run.is_as_used("first", "another")


def _load_slowly(counter, folder: str) -> None:
    import os
    import time

    os.environ["EMONB_RUNS"] = folder
    run = Run(load_study("control"), progress=False)

    def make(name: str) -> xr.Dataset:
        with counter.get_lock():
            counter.value += 1
        time.sleep(0.3)
        return xr.Dataset({"a": ("x", np.arange(3.0))})

    run.make = make  # type: ignore[method-assign]
    assert float(run.load("rdms").a.sum()) == 3


def test_two_processes_on_one_store_do_the_work_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    counter = context.Value("i", 0)
    processes = [context.Process(target=_load_slowly, args=(counter, str(tmp_path))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert counter.value == 1


def test_an_unknown_artifact_is_named(run: Run) -> None:
    with pytest.raises(StudyError, match="unknown artifact 'nope'; known: first"):
        run.path("nope")


def test_importing_the_package_is_light() -> None:
    heavy = {"torch", "transformers", "numba", "xarray", "pandas", "matplotlib"}
    import subprocess

    code = "import emonb, emonb.cli, sys; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(modules)
    assert importlib.import_module("emonb").load_study("published").name == "published"
