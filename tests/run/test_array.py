"""Sites without Snakemake: the array script, given to a stand-in for ``sbatch`` that runs every job at once and in turn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import xarray as xr

from emonb.paths import data_dir
from emonb.run.runs import Run
from emonb.study import load_study

SBATCH = """#!/bin/bash
# what sbatch does with these options, here: every task of the array; a job whose dependency failed does not start
set -e
cd "{folder}"
shares="" need=""
while [ $# -gt 0 ]; do
  case $1 in
    --array=1-*) shares=${{1#--array=1-}} ;;
    --dependency=afterok:*) need=${{1#--dependency=afterok:}} ;;
    --wrap) command=$2; shift ;;
    --parsable|--kill-on-invalid-dep=yes|--job-name=*|--output=logs/*|--mem=1G) ;;
    *) echo "sbatch: unknown option $1" >&2; exit 1 ;;
  esac
  shift
done
id=$(($(ls jobs | wc -l) + 1))
state=ok
if [ -n "$need" ] && [ "$(cat jobs/$need)" != ok ]; then state=never
else
  for k in $(seq 1 ${{shares:-1}}); do
    SLURM_ARRAY_TASK_ID=$k bash -c "$command" >> said.log 2>&1 || state=failed
  done
fi
echo $state > jobs/$id
echo $id
"""
EMONB = """#!/bin/bash
# the first share of lesions fails the first time, as a node may
if [ "$1 $3 $4" = "part lesions 1/2" ] && mkdir "{folder}/failed" 2>/dev/null; then exit 7; fi
exec "{python}" -m emonb.cli "$@"
"""


def _program(folder: Path, name: str, text: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(folder=folder, python=sys.executable))
    path.chmod(0o755)


def _submit(study: Path, folder: Path) -> None:
    root = data_dir().parent
    environment = {**os.environ, "EMONB_RUNS": str(folder / "runs"), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    (folder / "jobs").mkdir(exist_ok=True)
    command = ["bash", str(root / "workflow" / "array.sh"), str(study), "2", "--mem=1G"]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=600, capture_output=True)


@pytest.mark.ci
def test_array_script_makes_what_one_process_makes_and_tries_a_failed_share_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny.save_study(tmp_path, **tiny.SHARED)
    _program(tmp_path, "sbatch", SBATCH)
    _program(tmp_path, "emonb", EMONB)
    _submit(study, tmp_path)
    states = [path.read_text().strip() for path in sorted((tmp_path / "jobs").iterdir())]
    assert states == ["ok"] * 4, (tmp_path / "said.log").read_text()
    assert (tmp_path / "failed").is_dir()
    stages = ("prompts", "lesions")
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    made = {name: Run(load_study(str(study)), progress=False)._file(name) for name in stages}
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "whole"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = Run(load_study(str(study)), progress=False)
    for name, path in made.items():
        assert path.is_file(), f"{name} was not made\n{(tmp_path / 'said.log').read_text()}"
        assert alone.load(name).attrs["checksum"] == xr.load_dataset(path, engine="h5netcdf").attrs["checksum"], name
