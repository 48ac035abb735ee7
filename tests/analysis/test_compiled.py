"""Compiled code: cached where it can be, never older than what it inlines, never in the way of an import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import emonb
from emonb.analysis import compiled

COUNT = (
    "import numpy as np; from emonb.analysis import compiled, kendall\n"
    "ones, none = np.full((1, 1), np.uint64(7)), np.zeros((1, 1), np.uint64)\n"
    "print(tau._score_tied(none, ones, none, ones)[0, 0], compiled.cache_folder())"
)


def _count(package: Path, **environment: str) -> list[str]:
    """Count three bits with a copy of the package in a process of its own; the count, and the cache's folder."""
    variables = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    variables.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, cwd=package.parent, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    source = Path(emonb.__file__).parent
    return Path(shutil.copytree(source, tmp_path / "copy" / "emonb", ignore=shutil.ignore_patterns("__pycache__")))


def test_a_changed_function_is_changed_also_where_it_was_inlined(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    count, folder = _count(package, EMONB_CACHE=str(cache))
    assert count == "3" and Path(folder).is_relative_to(cache)
    assert list(Path(folder).rglob("*.nbc")) and not list(package.rglob("*.nb?"))
    path = package / "analysis" / "compiled.py"  # kendall.py, whose compiled code has popcount in it, stays as it is
    path.write_text(path.read_text().replace("builder.ctpop(args[0])", "builder.mul(args[0], args[0])"))
    assert _count(package, EMONB_CACHE=str(cache))[0] == "49"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that cannot be made is made of /dev/null")
def test_no_home_and_no_cache_stop_no_import(package: Path, tmp_path: Path) -> None:
    for path in [package, *package.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    nowhere = {name: "/dev/null/x" for name in ("HOME", "XDG_CACHE_HOME", "EMONB_CACHE")}
    count, folder = _count(package, **nowhere, TMPDIR=str(tmp_path))
    assert count == "3" and Path(folder).is_relative_to(tmp_path)
    assert not list(package.rglob("*.nb?"))


def test_without_any_folder_code_is_compiled_and_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_candidates", lambda: iter([Path(__file__) / "below-a-file"]))
    compiled.cache_folder.cache_clear()
    try:
        assert compiled.cache_folder() is None
        assert compiled.njit()(lambda x: x + 1)(2) == 3
    finally:
        compiled.cache_folder.cache_clear()


def test_any_change_of_any_source_is_another_folder(tmp_path: Path) -> None:
    seen = set()
    for name, text in (("a.py", "x"), ("a.py", "y"), ("b.py", ""), ("b.py", "x")):
        (tmp_path / name).write_text(text)
        seen.add(compiled.source_digest(tmp_path))
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    seen.add(compiled.source_digest(tmp_path))
    assert len(seen) == 5
