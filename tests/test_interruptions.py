"""Killed at any moment and started again, a study ends with the same bits; two at once do the work once."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import odd
import pytest

from emonb import artifacts
from emonb.model.batches import limit_threads
from emonb.run.runs import Run
from emonb.study import load_study

EMOTIONS, ATTRIBUTES = ("anger", "joy", "fear", "pride"), ("warm", "odd")
LONG = ("prompts", "lesions", "searchlight_null")


def _make(study: str, folder: str) -> None:
    os.environ["EMONB_RUNS"] = folder
    with limit_threads(1):
        run = Run(load_study(study, threads=1, **{"tuning.checkpoint_every": 1}), progress=False)
        for name in LONG:
            run.load(name)
    os._exit(0)


CLEAN = multiprocessing.get_context("forkserver")  # a fork of this process would have numba's threads in it
CLEAN.set_forkserver_preload(["emonb.run.runs", "emonb.model.silencing", "emonb.analysis.neurons", "transformers"])


def _start(study: Path, folder: Path) -> "multiprocessing.context.ForkServerProcess":
    process = CLEAN.Process(target=_make, args=(str(study), str(folder)))
    process.start()
    return process


def _results(folder: Path) -> dict[str, str]:
    found = {path.name: artifacts.read(path).attrs["checksum"] for path in folder.rglob("*.nc")}
    assert {name.split("-")[0] for name in found} >= set(LONG)
    assert not [path for path in folder.rglob("*.part")]
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.ci) for seed in (1, 2))])
def test_killed_at_random_moments_it_ends_as_if_never_interrupted(tmp_path: Path, seed: int) -> None:
    study, rng = odd.write_study(tmp_path, EMOTIONS, ATTRIBUTES), np.random.default_rng(seed)
    start, whole = time.perf_counter(), _start(study, tmp_path / "whole")
    whole.join()
    assert whole.exitcode == 0
    takes, killed = time.perf_counter() - start, 0
    for _ in range(4):
        process = _start(study, tmp_path / "killed")
        time.sleep(rng.uniform(0.05, 0.6) * takes)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
        for path in (tmp_path / "killed").rglob("*.unfinished"):
            if rng.random() < 0.3:  # and somebody cuts a file short meanwhile
                path.write_bytes(path.read_bytes()[: int(rng.integers(1, 500))])
    last = _start(study, tmp_path / "killed")
    last.join()
    assert killed and last.exitcode == 0
    for path in (tmp_path / "killed").rglob(".*.part"):
        path.unlink()  # what a kill leaves of a file that was being written has a name that nothing reads
    assert _results(tmp_path / "killed") == _results(tmp_path / "whole")
