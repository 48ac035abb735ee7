"""A study as a research object, and results taken from one by key and hash."""

import functools
import http.server
import json
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
from rocrate.rocrate import ROCrate

from emonb import artifacts
from emonb.errors import ArtifactError, StudyError, UnreachableError
from emonb.run.export import _is_ours, export_study, pull
from emonb.run.runs import Run
from emonb.study import Study, load_study

SMALL = {"threads": 1, "lesions": {"draws": 1}, "inference": {"permutations": 99, "searchlight_permutations": 19}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    patch = pytest.MonkeyPatch()
    patch.setenv("EMONB_RUNS", str(tmp_path_factory.mktemp("runs")))
    study = load_study(str(tiny.save_study(tmp_path_factory.mktemp("export"), **SMALL)))
    run = Run(study, progress=False)
    for name in ("masks", "rdms"):
        run.load(name)
    chapters = run.folder / "book"
    chapters.mkdir(parents=True)
    (chapters / "prompts.ipynb").write_text("{}")
    (chapters / "claims.json").write_text(json.dumps({"claims": {"structure": {}}, "quantities": {}}))
    yield run
    patch.undo()


def _elsewhere(study: Study, folder: Path, patch: pytest.MonkeyPatch) -> Run:
    patch.setenv("EMONB_RUNS", str(folder))
    return Run(study, progress=False)


def test_a_crate_has_what_was_computed_here_and_nothing_that_others_released(run: Run) -> None:
    folder = export_study(run)
    crate = ROCrate(folder)
    described = {e.id: e for e in crate.get_entities()}
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    descriptor = next(e for e in graph if e["@id"] == "ro-crate-metadata.json")
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {"ro-crate-metadata.json"}
    assert files <= set(described)
    keys = json.loads((folder / "keys.json").read_text())["results"]
    assert set(keys) == {"prompts", "activations", "masks"}  # not the human data, nor what repeats the judges'
    for name, entry in keys.items():
        assert entry["key"] == run.key(name) == described[entry["file"]]["identifier"]
        assert artifacts.file_digest(folder / entry["file"]) == entry["sha256"] == described[entry["file"]]["sha256"]
    assert "numpy==" in (folder / "environment.txt").read_text()
    assert {"chapters/prompts.ipynb", "claims.json", "study.json"} <= files
    for needed in ("name", "description", "datePublished", "license"):
        assert described["./"].get(needed), needed


def test_a_crate_is_an_archive_where_one_asks_for_one_and_replaces_nothing(run: Run, tmp_path: Path, monkeypatch) -> None:
    path = export_study(run, tmp_path / "study.zip")
    assert "ro-crate-metadata.json" in zipfile.ZipFile(path).namelist()
    with pytest.raises(StudyError, match="is there already"):
        export_study(run, path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export_study(run, Path("~/a/b/STUDY.ZIP")) == tmp_path / "a/b/STUDY.ZIP"
    assert zipfile.is_zipfile(tmp_path / "a/b/STUDY.ZIP")
    for name in ("x.tar.gz", "x.tar", "x.7z", "https://example.org/x.zip"):
        with pytest.raises(StudyError, match="--out is a new folder, or a file"):
            export_study(run, Path(name))


def test_a_result_is_taken_by_key_and_hash_and_computed_nowhere(run: Run, tmp_path: Path, monkeypatch) -> None:
    crate = export_study(run, tmp_path / "crate")
    other = _elsewhere(run.study, tmp_path / "runs", monkeypatch)
    monkeypatch.setattr(Run, "make", None)
    assert pull(other, "masks", str(crate)).is_file()
    assert other.load("masks").identical(run.load("masks"))
    with pytest.raises(ArtifactError, match="has no lesions; it has prompts, activations, masks"):
        pull(other, "lesions", str(crate))
    changed = Run(load_study(run.study, **{"lesions.seed": 9}), progress=False)
    with pytest.raises(ArtifactError, match="it is another result"):
        pull(changed, "masks", str(crate))
    file = crate / json.loads((crate / "keys.json").read_text())["results"]["prompts"]["file"]
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ArtifactError, match="sha256 differs"):
        pull(other, "prompts", str(crate))
    assert not other._file("prompts").exists()


@pytest.fixture
def address(tmp_path: Path):
    """Of a server of the folder of this test."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("form", ["crate", "crate.zip"])
@pytest.mark.parametrize("remote", [False, True])
def test_what_is_exported_is_taken_as_it_is(run: Run, tmp_path: Path, monkeypatch, address: str, form, remote) -> None:
    crate = export_study(run, tmp_path / form)
    other = _elsewhere(run.study, tmp_path / "runs", monkeypatch)
    monkeypatch.setattr(Run, "make", None)
    assert pull(other, "masks", f"{address}/{form}" if remote else str(crate)).is_file()
    assert other.load("masks").identical(run.load("masks"))


def test_what_is_no_crate_is_named(run: Run, tmp_path: Path, address: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "login").mkdir()
    (tmp_path / "login" / "keys.json").write_text("<!DOCTYPE html><title>Log in</title>")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "keys.json").write_text("[]")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    (tmp_path / "broken.zip").write_bytes((tmp_path / "other.zip").read_bytes()[:20])
    for name in ("other", "other.zip", "broken.zip", "login", "list"):
        with pytest.raises(ArtifactError, match=f"{name} is no research object that emonb export wrote"):
            pull(run, "masks", str(tmp_path / name))
    for results in ("[1]", "null", '{"masks": "x"}', '{"masks": {"sha256": "x"}}', '{"masks": {"key": 1}}'):
        (tmp_path / "list" / "keys.json").write_text(f'{{"results": {results}}}')
        with pytest.raises(ArtifactError, match="list is no research object that emonb export wrote"):
            pull(run, "masks", str(tmp_path / "list"))
    for source, said in {
        "nosuch.zip": "nosuch.zip is not there",
        "": "is not there",
        "ftp://x/y.zip": "ftp:// is not",
    }.items():
        with pytest.raises(ArtifactError, match=said):
            pull(run, "masks", source)
    for name in ("other.zip", "broken.zip"):
        with pytest.raises(ArtifactError, match=f"{name} is no research object"):
            pull(run, "masks", f"{address}/{name}")
    for name, words in {"other": "answers 404 .* Correct the address", "login": "a web page in place of a file"}.items():
        with pytest.raises(UnreachableError, match=words):
            pull(run, "masks", f"{address}/{name}")


@pytest.mark.parametrize("form", ["crate", "crate.zip"])
def test_a_crate_that_is_not_whole_is_named(run: Run, tmp_path: Path, monkeypatch, form: str) -> None:
    keys = json.dumps({"results": {"masks": {"key": run.key("masks"), "sha256": "0", "file": "results/masks.nc"}}})
    if form == "crate":
        (tmp_path / form).mkdir()
        (tmp_path / form / "keys.json").write_text(keys)
    else:
        with zipfile.ZipFile(tmp_path / form, "w") as archive:
            archive.writestr("keys.json", keys)
    other = _elsewhere(run.study, tmp_path / "runs", monkeypatch)
    with pytest.raises(ArtifactError, match=rf"{form} is .*not whole: no results/masks\.nc"):
        pull(other, "masks", str(tmp_path / form))


def test_a_crate_reaches_no_file_outside_itself(run: Run, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "crate").mkdir()
    entry = {"key": run.key("prompts"), "sha256": "0", "file": "../secret"}
    (tmp_path / "crate" / "keys.json").write_text(json.dumps({"results": {"prompts": entry}}))
    with pytest.raises(ArtifactError, match="is not in"):
        pull(_elsewhere(run.study, tmp_path / "runs", monkeypatch), "prompts", str(tmp_path / "crate"))


def test_what_was_never_run_cannot_be_exported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    with pytest.raises(StudyError, match=r"no executed chapters to export; first: emonb run roberta-base"):
        export_study(Run(load_study("roberta-base", seeds=[1, 3]), progress=False))
    with pytest.raises(StudyError, match=r"first: emonb run my/study\.yml$"):
        export_study(Run(load_study("roberta-base"), progress=False), given="my/study.yml")


def test_what_is_committed_is_ours_and_what_others_released_is_not(tmp_path: Path) -> None:
    file = tmp_path / "prompts.nc"
    file.write_bytes(b"x")
    for name, ours in (("minilm", True), ("published", False)):
        run = SimpleNamespace(study=load_study(name), has=lambda stage: True, _file=lambda stage: file)
        assert _is_ours(run, "prompts") is ours, name
