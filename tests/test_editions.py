"""Editions: sources and outputs agree, parameters are checked, nbval catches what it must."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from emonb.errors import StudyError
from emonb.paths import data_dir
from emonb.run import editions, notebooks, stages
from emonb.study import load_study

ROOT = data_dir().parent
PUBLISHED = ROOT / "book" / "published"


def _code(notebook: nbformat.NotebookNode) -> list[str]:
    return [c.source for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]


@pytest.mark.parametrize("study", ["published", "control"])
@pytest.mark.parametrize("chapter", editions.CHAPTERS)
def test_committed_chapters_are_their_sources_executed(chapter: str, study: str) -> None:
    notebook = nbformat.read(PUBLISHED.parent / study / f"{chapter}.ipynb", 4)
    assert _code(notebook) == _code(editions.read_source(chapter))
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    assert len(cells) <= 25
    assert all(c.execution_count is not None for c in cells if c.source.strip())
    assert not [o for c in cells for o in c.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert notebook.metadata["papermill"] == {"parameters": {"study": study}}


@pytest.mark.parametrize("page", editions.front_pages())
def test_committed_pages_are_their_sources_executed(page: str) -> None:
    assert _code(nbformat.read(ROOT / "book" / f"{page}.ipynb", 4)) == _code(editions.read_source(page))


def test_every_figure_has_alt_text_and_a_caption_without_numbers_of_results() -> None:
    for chapter in editions.CHAPTERS:
        for cell in nbformat.read(PUBLISHED / f"{chapter}.ipynb", 4).cells:
            if any("image/png" in o.get("data", {}) for o in cell.get("outputs", [])):
                shown = cell.metadata["mystnb"]
                assert shown["image"]["alt"]
                assert shown["figure"]["caption"]
                assert not re.search(r"\d\.\d", shown["figure"]["caption"])  # numbers of results come from cells


def test_no_number_of_a_result_is_typed_in_a_chapter() -> None:
    ledger = editions.read_ledgers()["published"]["quantities"]
    typed = {f"{abs(value):.3f}" for value in ledger.values() if 0.001 < abs(value) < 0.99}
    for chapter in editions.CHAPTERS:
        prose = "\n".join(c.source for c in editions.read_source(chapter).cells if c.cell_type == "markdown")
        assert not typed & set(re.findall(r"\d\.\d{3}", prose))


def test_the_committed_ledger_is_complete_and_belongs_to_this_study() -> None:
    ledger = editions.read_ledgers()["published"]
    assert ledger["study_hash"] == load_study("published").digest()[:12]
    q = ledger["quantities"]
    study = load_study("published")
    expected = ["prompts.accuracy", "structure.ceiling.lower", "structure.ceiling.upper", "attributes.rank_agreement"]
    expected += [f"structure.{d}.{m}" for d in ("correlation", "euclidean") for m in ("tau", "rho")]
    expected += [f"structure.correlation.layer.{k}.tau" for k in range(1, 13)]
    expected += [f"structure.correlation.seed.{s}.tau" for s in study.seeds]
    expected += [f"attributes.importance.{a}" for a in study.attributes]
    expected += [f"importance.{m}.{n}" for m in ("mean_r", "t", "attribute_r") for n in study.sizes]
    for kind in ("selective", "random"):
        expected += [f"lesions.{kind}.{n}" for n in study.sizes]
        expected += [f"lesions.{kind}.{n}.{a}" for n in study.sizes for a in study.attributes]
    assert not [name for name in expected if name not in q]
    for claim in ledger["claims"].values():
        assert claim["reproduced"] in ("yes", "no")
        assert claim["holds"] in ("yes", "no")


def test_wrong_requests_fail_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editions, "_execute", lambda *a: pytest.fail("a chapter ran"))
    for parameters in ({"nope": 1}, {"size": "many"}, {"seeds": []}):
        with pytest.raises(StudyError):
            editions.run_edition("published", parameters, out=tmp_path)
    with pytest.raises(StudyError, match="unknown chapter"):
        editions.read_source("nope")


def test_changed_parameters_never_land_on_the_committed_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    ran: list[Path] = []
    monkeypatch.setattr(editions, "_execute", lambda run, chapter, injected, parameters, out: ran.append(out))
    folder = editions.run_edition("published", {"size": 3000}, ("structure",))
    assert folder.is_relative_to(tmp_path)
    assert ran == [folder]


def test_parameters_of_the_cell_are_injected_and_others_become_overrides() -> None:
    notebook = editions.read_source("structure")
    split = editions._split_parameters(notebook, {"size": 3000, "inference.permutations": 99})
    assert split == {"size": 3000, "overrides": {"inference.permutations": 99}}


def test_a_finished_chapter_is_kept_and_a_touched_one_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    ran: list[str] = []

    def papermill(notebook, parameters):
        ran.append("x")
        record = stages.Run(load_study("published")).folder / "claims" / "prompts.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text('{"quantities": {}, "claims": {}}')
        return notebook

    monkeypatch.setattr(notebooks, "execute", papermill)
    for expected in (1, 1):
        editions.run_edition("published", chapters=("prompts",), out=tmp_path / "out")
        assert len(ran) == expected
    (tmp_path / "out" / "prompts.ipynb").write_text("edited by hand")
    editions.run_edition("published", chapters=("prompts",), out=tmp_path / "out")
    assert len(ran) == 2


def test_a_notebook_that_differs_only_in_how_long_it_took_is_left_alone(tmp_path: Path) -> None:
    def make(seconds: int, value: int) -> nbformat.NotebookNode:
        cells = [nbformat.v4.new_code_cell("took", metadata={"tags": ["timing"]}), nbformat.v4.new_code_cell("value")]
        for number, (cell, shown) in enumerate(zip(cells, (seconds, value), strict=True)):
            cell.id, cell.outputs = f"cell-{number}", [nbformat.v4.new_output("stream", text=str(shown))]
        return nbformat.v4.new_notebook(cells=cells)

    path = tmp_path / "chapter.ipynb"
    notebooks.write(make(seconds=31, value=1), path)
    first = path.read_bytes()
    notebooks.write(make(seconds=17, value=1), path)
    assert path.read_bytes() == first
    notebooks.write(make(seconds=17, value=2), path)
    assert nbformat.read(path, 4) == make(seconds=17, value=2)
    path.write_text("{ not a notebook")
    notebooks.write(make(seconds=31, value=1), path)
    assert path.read_bytes() == first


def test_pages_that_need_data_are_kept_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(editions, "book_dir", lambda: tmp_path)
    monkeypatch.setattr(editions, "front_pages", lambda: ["deviations"])
    monkeypatch.setattr(notebooks, "execute", lambda *a: pytest.fail("a page that needs data ran without it"))
    monkeypatch.setattr(editions.report, "refresh_readme", lambda *a: None)
    monkeypatch.setattr(editions.sources, "available", lambda files: f"{len(files)} files cannot be had")
    (tmp_path / "deviations.ipynb").write_text("as committed")
    lines: list[str] = []
    editions.run_front(log=lines.append)
    assert "kept as committed" in lines[0] and "cannot be had" in lines[0]
    assert (tmp_path / "deviations.ipynb").read_text() == "as committed"


# ---------------------------------------------------------------- nbval, on a small notebook of its own


def _notebook(folder: Path, output: str | None, source: str = "print('tau = 0.351, n = 27')") -> Path:
    cell = nbformat.v4.new_code_cell(source)
    if output is not None:
        cell.execution_count = 1
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "small.ipynb"
    nbformat.write(notebook, path)
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    return path


def _nbval(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--rootdir", str(path.parent)]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=path.parent, check=False)


@pytest.mark.parametrize(
    ("output", "passes"),
    [
        ("tau = 0.351, n = 27\n", True),
        ("tau = 0.35101, n = 27\n", True),
        ("tau = 0.3545, n = 27\n", False),  # 1 % off
        ("rho = 0.351, n = 27\n", False),
        ("tau = -0.351, n = 27\n", False),
    ],
)
def test_nbval_compares_numbers_within_a_tolerance_and_words_exactly(tmp_path: Path, output: str, passes: bool) -> None:
    done = _nbval(_notebook(tmp_path, output))
    assert (done.returncode == 0) == passes, done.stdout


def test_nbval_refuses_an_unexecuted_notebook(tmp_path: Path) -> None:
    done = _nbval(_notebook(tmp_path, None))
    assert done.returncode != 0
    assert "never executed" in done.stdout


def test_a_number_of_a_committed_output_altered_by_one_percent_is_seen() -> None:
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    root_conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(root_conftest)
    text = json.dumps(nbformat.read(PUBLISHED / "structure.ipynb", 4).cells[-1].outputs)
    numbers = [m for m in root_conftest.NUMBER.finditer(text) if "." in m.group() and float(m.group()) != 0]
    assert len(numbers) > 5
    for match in numbers:
        altered = text[: match.start()] + repr(float(match.group()) * 1.01) + text[match.end() :]
        assert root_conftest.Tolerant(text) != altered
    assert root_conftest.Tolerant(text) == text
