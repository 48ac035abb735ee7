"""Registrations: predictions of every claim, hashes of what was registered, and no result older than they are."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from emonb.book.claims import Verdict, read_declarations
from emonb.paths import data_dir

REGISTRATIONS = sorted((data_dir() / "registrations").glob("*.yml"))
ROOT = data_dir().parent


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True, text=True).stdout


def _read(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def _commit(path: Path) -> str:
    """The first commit in which a registration has a date; where there is no history to tell, the test is skipped."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no history here: what is older than the registration cannot be told")
    if _git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("the history here is cut off: fetch all of it (git fetch --unshallow)")
    name = str(path.relative_to(ROOT))
    for commit in _git("log", "--reverse", "--diff-filter=AM", "--format=%H", "--", name).split():
        if _read(_git("show", f"{commit}:{name}"))["registered"]:
            return commit
    pytest.skip("not registered yet: no commit has this file with a date")


def _digest(commit: str, path: str) -> str:
    """sha256 of a file in a commit; of a folder, of its files' paths and contents."""
    names = _git("ls-tree", "-r", "--name-only", commit, "--", path).splitlines()
    show = (
        subprocess.run(["git", "-C", ROOT, "show", f"{commit}:{n}"], check=True, capture_output=True).stdout for n in names
    )
    if names == [path]:
        return hashlib.sha256(next(show)).hexdigest()
    digest = hashlib.sha256()
    for name, content in zip(names, show, strict=True):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


@pytest.mark.parametrize("path", REGISTRATIONS, ids=lambda path: path.stem)
def test_every_claim_has_a_prediction_and_each_is_in_its_bounds(path: Path) -> None:
    found = _read(path.read_text(encoding="utf-8"))
    predictions = [p for p in found["predictions"] if "claim" in p]
    assert {p["claim"] for p in predictions} == {claim.id for claim in read_declarations(data_dir() / "claims.yml").claims}
    for prediction in found["predictions"]:
        low, high = prediction["within"]
        assert low <= prediction["effect"] <= high and prediction["because"].strip()
    assert all(p["verdict"] in get_args(Verdict) and 0 < p["chance"] <= 1 for p in predictions)
    assert all({"date", "what", "why"} <= set(one) for one in found["deviations"])


@pytest.mark.parametrize("path", REGISTRATIONS, ids=lambda path: path.stem)
def test_hashes_are_those_of_the_files_as_they_were_registered(path: Path) -> None:
    found, commit = _read(path.read_text(encoding="utf-8")), _commit(path)
    wrong = [file["path"] for file in found["files"].values() if _digest(commit, file["path"]) != file["sha256"]]
    assert not wrong
    then = _read(_git("show", f"{commit}:{path.relative_to(ROOT)}"))
    assert {**found, "deviations": []} == {**then, "deviations": []}, "only deviations may be added"


@pytest.mark.parametrize("path", REGISTRATIONS, ids=lambda path: path.stem)
def test_no_result_is_older_than_its_registration(path: Path) -> None:
    study, commit = _read(path.read_text(encoding="utf-8"))["study"], _commit(path)
    results = _git("log", "--format=%H", "--", f"data/{study}", f"book/{study}").split()
    after = set(_git("rev-list", f"{commit}..HEAD").split())
    older = [one for one in results if one not in after or one == commit]
    assert not older, f"results of {study} in {', '.join(older)}"
