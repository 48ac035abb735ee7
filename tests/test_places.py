"""Where it runs: folders that cannot be written, odd locales and paths, files of other systems, a full disk."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import odd
import pytest
import xarray as xr

EMOTIONS, ATTRIBUTES = ("anger", "joy", "fear", "pride"), ("warm", "odd")
NOWHERE = "/proc/nowhere"  # nobody can write there, not even root


def _emonb(*arguments: str, file_size: int | None = None, **environment: str | None) -> subprocess.CompletedProcess:
    """Run the command in a process of its own; variables that are None are taken away."""
    changed = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", **environment}

    def limit() -> None:
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return subprocess.run(
        [sys.executable, "-m", "emonb.cli", *arguments], capture_output=True, text=True, encoding="utf-8", preexec_fn=limit,
        env={name: value for name, value in changed.items() if value is not None},
    )  # fmt: skip


def _is_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.startswith("emonb: ")]
    assert done.returncode == 2 and len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    assert all(word in lines[0] for word in words), lines[0]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return odd.write_released(tmp_path, EMOTIONS, ATTRIBUTES)


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": NOWHERE, "XDG_CACHE_HOME": None, "EMONB_CACHE": None},
        {"HOME": None, "XDG_CACHE_HOME": None, "EMONB_CACHE": None},
        {"EMONB_CACHE": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "HOME": NOWHERE, "TMPDIR": NOWHERE},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati"},
        {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": NOWHERE},
    ],
    ids=["home-read-only", "no-home", "no-cache", "locale-c", "locale-odd", "package-read-only"],
)
def test_the_ledger_is_read_anywhere(environment: dict[str, str | None]) -> None:
    done = _emonb("claims", EMONB_RUNS=NOWHERE, **environment)
    assert done.returncode == 0, done.stderr
    assert "structure" in done.stdout and "holds: yes" in done.stdout


def test_results_are_made_without_home_and_cache(study: Path, tmp_path: Path) -> None:
    none = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "EMONB_CACHE": NOWHERE}
    done = _emonb("artifact", str(study), "searchlight", EMONB_RUNS=str(tmp_path / "runs"), LC_ALL="C", **none)
    assert done.returncode == 0, done.stderr
    assert xr.open_dataset(done.stdout.strip()).tau.sizes["attribute"] == 2


def test_a_folder_that_cannot_be_written_is_named(study: Path, tmp_path: Path) -> None:
    _is_one_line(_emonb("artifact", str(study), "humans", EMONB_RUNS=NOWHERE), NOWHERE)
    (tmp_path / "file").write_text("")
    _is_one_line(_emonb("artifact", str(study), "humans", EMONB_RUNS=str(tmp_path / "file")), "file")


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_a_full_disk_is_one_line_and_leaves_nothing(study: Path, tmp_path: Path, size: int) -> None:
    runs = tmp_path / "runs"
    done = _emonb("artifact", str(study), "humans", file_size=size, EMONB_RUNS=str(runs), EMONB_CACHE=NOWHERE)
    _is_one_line(done)
    assert not list(runs.rglob("*.nc")) and not list(runs.rglob("*.part"))
    assert _emonb("artifact", str(study), "humans", EMONB_RUNS=str(runs)).returncode == 0


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_a_new_study_is_whole_or_not_there(tmp_path: Path, size: int) -> None:
    for folder in (tmp_path / "mine", Path(NOWHERE) / "mine"):
        done = _emonb("new", str(folder), file_size=size, PYTHONPYCACHEPREFIX=NOWHERE)
        _is_one_line(done, str(folder), "cannot be written", "nothing is left")
    assert not list(tmp_path.iterdir())


def test_paths_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    folder = tmp_path / "Grüße aus 東京 & co"
    folder.mkdir()
    study = odd.write_released(folder, EMOTIONS, ATTRIBUTES)
    for locale in ("C.UTF-8", "C"):
        runs = folder / f"läufe {locale}"
        done = _emonb("artifact", str(study), "humans", EMONB_RUNS=str(runs), LC_ALL=locale, PYTHONIOENCODING="utf-8")
        assert done.returncode == 0, done.stderr
        assert list(runs.rglob("humans-*.nc"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_other_systems_are_read(study: Path, tmp_path: Path, encoding: str) -> None:
    for path in [p for p in tmp_path.iterdir() if p.is_file() and p.suffix != ".yml"]:
        text = path.read_text(encoding="utf-8").replace("\n", "\r\n")
        path.write_bytes(text.encode(encoding))
        os.utime(path, (4e9, 4e9))  # a clock that is wrong
    study.write_bytes(study.read_text().replace("\n", "\r\n").encode("utf-8-sig"))
    done = _emonb("artifact", str(study), "lesions", EMONB_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr


def test_other_encodings_are_named_with_their_line(study: Path, tmp_path: Path) -> None:
    order = tmp_path / "order"
    order.write_bytes("anger\njoy\nfear\nprüde".encode("latin-1"))
    _is_one_line(_emonb("artifact", str(study), "humans", EMONB_RUNS=str(tmp_path / "runs")), "order, line 4", "UTF-8")
    study.write_bytes("name: grün\n".encode("latin-1"))
    _is_one_line(_emonb("artifact", str(study), "humans"), "released.yml", "UTF-8")
    study.write_bytes(b"\x00\x01")
    _is_one_line(_emonb("artifact", str(study), "humans"), "released.yml")
