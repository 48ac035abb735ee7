"""The workflow: jobs that fail or are killed are made again, and the whole is bit for bit that of one process."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
import xarray as xr
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from emonb.paths import data_dir
from emonb.run.runs import Run
from emonb.study import load_study

pytest.importorskip("snakemake", reason="the extra 'cluster' is not installed")
WORKFLOW = data_dir().parent / "workflow"
FAILS_ONCE = """#!/bin/bash
# a share that makes some of its units and then fails, once
if [ "$1 $3 $4" = "part {stage} 1/2" ] && mkdir "{mark}" 2>/dev/null; then
  "{python}" -m emonb.cli part "$2" {stage} 1/4; exit 7
fi
exec "{python}" -m emonb.cli "$@"
"""


class Cluster:
    """One study in a run directory of its own, made by the workflow."""

    def __init__(self, folder: Path, profile: str, fault: str) -> None:
        self.folder, self.profile, self.mark = folder, profile, folder / "failed"
        self.study = tiny.save_study(folder, **tiny.SHARED)
        self.program = folder / "emonb"
        self.program.write_text(FAILS_ONCE.format(stage=fault, mark=self.mark, python=sys.executable))
        self.program.chmod(0o755)
        path = os.pathsep.join([str(WORKFLOW.parent), os.environ.get("PYTHONPATH", "")])
        self.environment = {**os.environ, "EMONB_RUNS": str(folder / "runs"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        os.environ["EMONB_RUNS"] = str(folder / "runs")

    def open(self) -> Run:
        return Run(load_study(str(self.study)), progress=False)

    def flag(self, stage: str, what: str, key: str = "") -> str:
        return f"flags/{self.open().name}/{stage}-{self.open().key(key or stage)}.{what}"

    def start(self, *targets: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "-s", str(WORKFLOW / "Snakefile"), "--profile",
                   str(WORKFLOW / "profiles" / self.profile), "--config", f"study={self.study}", "parts=2",
                   f"emonb={self.program}", "mem_mb=1500", "minutes=10", *options, "--", *targets]  # fmt: skip
        with (self.folder / "head.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def make(self, *targets: str, options: tuple[str, ...] = ()) -> int:
        return self.start(*targets, options=options).wait(timeout=600)

    def plan(self, root: Path = WORKFLOW.parent, **config: str) -> dict[str, int]:
        """Number of jobs by rule that a dry run plans with the sources under a root."""
        given = [f"{name}={value}" for name, value in ({"study": self.study, "parts": "2"} | config).items()]
        command = [sys.executable, "-m", "snakemake", "-s", str(root / "workflow" / "Snakefile"), "--profile",
                   str(root / "workflow" / "profiles" / "local"), "-n", "--config", *given]  # fmt: skip
        environment = self.environment | {"PYTHONPATH": str(root)}
        dry = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr + dry.stdout
        return {name: int(n) for name, n in re.findall(r"^(\w+)  +(\d+)$", dry.stdout + dry.stderr, re.MULTILINE)}

    def said(self) -> str:
        logs = [self.folder / "head.log", *sorted((self.folder / "logs").rglob("*.log"))]
        return "\n".join(path.read_text() for path in logs if path.is_file())


def _compare_with_one_process(cluster: Cluster, stages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: cluster.open()._file(name) for name in stages}
    monkeypatch.setenv("EMONB_RUNS", str(cluster.folder / "whole"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = cluster.open()
    for name, path in made.items():
        assert path.is_file(), f"{name} was not made\n{cluster.said()}"
        ours, theirs = alone.load(name), xr.load_dataset(path, engine="h5netcdf")
        assert ours.attrs["checksum"] == theirs.attrs["checksum"], name
        for attribute in ("processor", "torch", "threads", "parts", "mixed", "halved"):
            assert ours.attrs.get(attribute) == theirs.attrs.get(attribute), (name, attribute)


def test_shares_on_this_machine_are_one_process_bit_for_bit_and_a_failed_one_is_made_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", "")
    cluster = Cluster(tmp_path, "local", fault="lesions")
    assert cluster.make() == 0, cluster.said()
    assert cluster.mark.is_dir() and "Trying to restart job" in cluster.said()
    assert cluster.plan() == {}  # nothing is to be done
    changed = tmp_path / "changed"
    for name in ("emonb", "instrument", "data", "book/chapters", "workflow", "benchmarks"):
        shutil.copytree(WORKFLOW.parent / name, changed / name, ignore=shutil.ignore_patterns("__pycache__", "minilm"))
    with (changed / "emonb" / "analysis" / "masks.py").open("a") as file:
        file.write("\nCHANGED = 1\n")
    again = {"all": 1, "read": 1, "share": 2, "whole": 1, "total": 5}  # masks read from prompts, and their lesions
    assert cluster.plan(changed) == again  # prompts are not tuned again
    _compare_with_one_process(cluster, ("prompts", "activations", "masks", "lesions"), monkeypatch)


def test_worlds_and_studies_are_planned_and_never_more_shares_than_units(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", "")
    cluster = Cluster(tmp_path, "local", fault="none")
    both = cluster.plan(study="control,control-null", worlds="10-11")
    # prompts and lesions of four runs, prompts of two untrained networks
    assert (both["inputs"], both["read"], both["whole"]) == (6, 6, 10)
    assert cluster.plan(study="control,control-null", worlds="10-11", trials="true")["trial"] == 4
    assert cluster.plan(parts="999")["share"] < 40


@pytest.mark.skipif(not os.environ.get("EMONB_TEST_SLURM"), reason="on a real Slurm: workflow/test-slurm")
def test_slurm_resubmits_what_failed_survives_its_head_and_refuses_another_device(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", "")
    cluster = Cluster(tmp_path, "slurm-test", fault="lesions")
    work = cluster.open().work("prompts")
    head = cluster.start(cluster.flag("prompts", "whole"))
    _wait(lambda: list(work.glob("seed-*.safetensors")), "no part was made", cluster)
    head.send_signal(signal.SIGKILL)  # its jobs go on
    head.wait()
    _wait(lambda: not _jobs(), "jobs did not end", cluster)
    assert len(list(work.glob("seed-*.safetensors"))) == 2
    stamps = {path: path.stat().st_mtime_ns for path in work.glob("seed-*.safetensors")}
    part = work / "seed-3.safetensors"
    with safe_open(part, framework="numpy") as file:
        about = file.metadata()
    save_file(load_file(part), part, about | {"device": "cuda"})
    assert cluster.make(options=("--unlock",)) == 0, cluster.said()
    assert cluster.make(cluster.flag("prompts", "whole")) != 0  # goes on, and will not join
    assert "seed-1 with cpu" in cluster.said() and "seed-3 with cuda" in cluster.said()
    assert (work / "seed-1.safetensors").stat().st_mtime_ns == stamps[work / "seed-1.safetensors"]
    part.unlink()
    (tmp_path / cluster.flag("prompts", "2-of-2")).unlink()
    assert cluster.make(cluster.flag("lesions", "whole")) == 0, cluster.said()
    assert cluster.mark.is_dir() and "Trying to restart job" in cluster.said()
    _compare_with_one_process(cluster, ("prompts", "activations", "lesions"), monkeypatch)


def _jobs() -> str:
    return subprocess.run(["squeue", "-h", "-t", "PD,R,CG"], capture_output=True, text=True, check=True).stdout


def _wait(ready, otherwise: str, cluster: Cluster) -> None:
    for _ in range(600):
        if ready():
            return
        time.sleep(0.2)
    raise AssertionError(f"{otherwise}\n{cluster.said()}")
