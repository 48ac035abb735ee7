import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emonb import artifacts
from emonb.errors import StudyError
from emonb.run import stages
from emonb.run.stages import Run, Stage
from emonb.study import load_study


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = artifacts.write(xr.Dataset({"a": ("x", [1.0])}), tmp_path / "a.nc")

    def broken(self, *args: object, **kwargs: object) -> None:
        Path(args[0]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_netcdf", broken)
    with pytest.raises(KeyboardInterrupt):
        artifacts.write(xr.Dataset({"a": ("x", [2.0])}), path)
    monkeypatch.undo()
    assert float(artifacts.read(path).a[0]) == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_the_code_digest_follows_imports_and_changes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("leaf", "stem", "apart"):
        (tmp_path / f"toy_{name}.py").write_text("import emonb.toy_leaf\n" if name == "stem" else "x = 1\n")
    import emonb

    monkeypatch.setattr(emonb, "__path__", [*emonb.__path__, str(tmp_path)])
    names = ("emonb.toy_stem", "emonb.toy_apart")
    before = [artifacts.code_digest.__wrapped__(name) for name in names]
    (tmp_path / "toy_leaf.py").write_text("x = 2\n")
    after = [artifacts.code_digest.__wrapped__(name) for name in names]
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with two toy stages that count how often they are made."""
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    made: list[str] = []

    def first(run: Run, inputs) -> xr.Dataset:
        made.append("first")
        return xr.Dataset({"a": ("x", np.arange(3.0))})

    def second(run: Run, inputs) -> xr.Dataset:
        made.append("second")
        return inputs["first"] * 2

    monkeypatch.setattr(stages, "LIVE", {})
    toy = {"first": Stage(first, fields=("seeds",)), "second": Stage(second, ("first",), ("size",)), "other": Stage(first)}
    monkeypatch.setattr(stages, "STAGES", toy)
    run = Run(load_study("published"))
    run.made = made  # type: ignore[attr-defined]
    return run


def test_a_stage_computes_what_it_needs_once_and_nothing_else(run) -> None:
    np.testing.assert_array_equal(run.load("second").a, [0, 2, 4])
    assert run.made == ["first", "second"]
    Run(run.study).load("second")
    assert run.made == ["first", "second"]


def test_a_changed_field_is_another_artifact_downstream_only(run) -> None:
    run.load("second")
    changed = Run(load_study("published", size=3000))
    assert changed.key("first") == run.key("first")
    assert changed.key("second") != run.key("second")
    seeds = Run(load_study("published", seeds=[1, 3]))
    assert seeds.key("first") != run.key("first")
    assert seeds.key("second") != run.key("second")  # through its input


def test_an_unknown_artifact_is_named(run) -> None:
    with pytest.raises(StudyError, match="unknown artifact 'nope'; known: first"):
        run.path("nope")


def test_importing_the_package_is_light() -> None:
    heavy = {"torch", "transformers", "numba", "xarray", "pandas", "matplotlib"}
    import subprocess

    code = "import emonb, emonb.cli, sys; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(modules)
    assert importlib.import_module("emonb").load_study("published").name == "published"
