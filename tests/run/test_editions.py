"""Editions: sources and outputs agree, parameters are checked, nbval catches what it must."""

import copy
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from emonb.book import ledger as ledgers
from emonb.book.ledger import read_ledgers
from emonb.errors import EmonbError, StudyError
from emonb.paths import book_dir, chapters_dir, data_dir
from emonb.run import editions, front, notebooks
from emonb.run.runs import RECORD, Run, open_run
from emonb.study import load_study

ROOT = data_dir().parent
PUBLISHED = ROOT / "book" / "published"


def _source(name: str) -> nbformat.NotebookNode:
    return notebooks.read_source(chapters_dir() / f"{name}.md")


def _code(notebook: nbformat.NotebookNode) -> list[str]:
    return [c.source for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]


@pytest.mark.parametrize("study", ["published", "control"])
@pytest.mark.parametrize("chapter", editions.CHAPTERS)
def test_committed_chapters_are_their_sources_executed(chapter: str, study: str) -> None:
    notebook = nbformat.read(PUBLISHED.parent / study / f"{chapter}.ipynb", 4)
    assert _code(notebook) == _code(notebooks.keep_cells(_source(chapter), load_study(study)))
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(c.execution_count is not None for c in cells if c.source.strip())
    assert not [o for c in cells for o in c.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert notebook.metadata["papermill"] == {"parameters": {"study": study}}


def test_a_chapter_names_its_study_and_keeps_what_is_about_such_a_study() -> None:
    tags = {"any": [], "released": ["published"], "real": ["published", "live"], "world": ["planted", "needs-ratings"]}
    cells = [nbformat.v4.new_markdown_cell("# Title\n\ntext")]
    cells += [nbformat.v4.new_markdown_cell(name, metadata={"tags": tag}) for name, tag in tags.items()]
    kept = {}
    for name in ("published", "minilm", "control"):
        notebook = notebooks.keep_cells(nbformat.v4.new_notebook(cells=copy.deepcopy(cells)), load_study(name))
        title, *rest = [cell.source for cell in notebook.cells]
        assert title == f"# Title · {load_study(name).title}\n\ntext"
        kept[name] = rest
    assert kept == {"published": ["any", "released", "real"], "minilm": ["any", "real"], "control": ["any"]}


@pytest.mark.parametrize("page", front.FRONT)
def test_committed_pages_are_their_sources_executed(page: str) -> None:
    assert _code(nbformat.read(ROOT / "book" / f"{page}.ipynb", 4)) == _code(_source(page))


def test_every_figure_has_alt_text_and_a_caption_without_numbers_of_results() -> None:
    for chapter in editions.CHAPTERS:
        for cell in nbformat.read(PUBLISHED / f"{chapter}.ipynb", 4).cells:
            if any("image/svg+xml" in o.get("data", {}) for o in cell.get("outputs", [])):
                shown = cell.metadata["mystnb"]
                assert shown["image"]["alt"]
                assert shown["figure"]["caption"]
                assert not re.search(r"\d\.\d", shown["figure"]["caption"])  # numbers of results come from cells


def test_no_number_of_a_result_is_typed_in_a_chapter() -> None:
    ledger = read_ledgers()["published"]["quantities"]
    typed = {f"{abs(value):.3f}" for value in ledger.values() if 0.001 < abs(value) < 0.99}
    for chapter in editions.CHAPTERS:
        prose = "\n".join(c.source for c in _source(chapter).cells if c.cell_type == "markdown")
        assert not typed & set(re.findall(r"\d\.\d{3}", prose))


def test_the_committed_ledger_is_complete_and_belongs_to_this_study() -> None:
    ledger = read_ledgers()["published"]
    assert ledger["study_hash"] == load_study("published").digest()[:12]
    q = ledger["quantities"]
    study = load_study("published")
    expected = ["prompts.accuracy", "structure.ceiling.lower", "structure.ceiling.upper", "attributes.rank_agreement"]
    expected += [f"structure.{d}.{m}" for d in ("correlation", "euclidean") for m in ("tau", "rho")]
    expected += [f"structure.correlation.layer.{k}.tau" for k in range(1, 13)]
    expected += [f"structure.correlation.seed.{s}.tau" for s in study.seeds]
    expected += [f"attributes.importance.{a}" for a in study.attributes]
    expected += [f"importance.{m}.{n}" for m in ("mean_r", "t", "loss.value") for n in study.sizes]
    for kind in ("selective", "random"):
        expected += [f"lesions.{kind}.{n}" for n in study.sizes]
        expected += [f"lesions.{kind}.{n}.{a}" for n in study.sizes for a in study.attributes]
    assert not [name for name in expected if name not in q]


def test_wrong_requests_fail_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editions, "_execute", lambda *a: pytest.fail("a chapter ran"))
    for parameters in ({"nope": 1}, {"size": "many"}, {"seeds": []}):
        with pytest.raises(StudyError):
            editions.run_edition("published", parameters, out=tmp_path)
    with pytest.raises(StudyError, match=r"'nope' is no chapter of a study; known: .*structure"):
        editions.run_edition("published", chapters=("prompts", "nope"), out=tmp_path)
    with pytest.raises(StudyError, match="'index' is a page of the book"):
        editions.run_edition("published", chapters=("index",), out=tmp_path)


# ---------------------------------------------------------------- an edition of one small chapter

CHAPTER = """# Prompts

```{code-cell}
:tags: [parameters]

study = "published"
size = None
overrides = {}
```

```{code-cell}
from emonb import open_run

run = open_run(study, chapter="prompts", size=size, overrides=overrides, progress=False)
run.ledger.record({"x": %s})
```
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published edition, of one chapter that takes a second; its source is returned."""
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    sources = tmp_path / "chapters"
    sources.mkdir()
    (sources / "prompts.md").write_text(HEAD + CHAPTER % 0.5)
    monkeypatch.setattr(editions, "chapters_dir", lambda: sources)
    monkeypatch.setattr(editions, "CHAPTERS", ("prompts",))
    monkeypatch.setattr(editions, "check_study", lambda *_: None)  # the chapter reads nothing of the study
    monkeypatch.setattr(editions, "book_dir", lambda: tmp_path / "book")
    monkeypatch.setattr("emonb.book.ledger.book_dir", lambda: tmp_path / "book")
    return sources / "prompts.md"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chapters are executed here, without a kernel: what is kept of them, and when, is the same."""

    def execute(notebook: nbformat.NotebookNode, given: dict, *_: object) -> nbformat.NotebookNode:
        space: dict = {}
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(cell.source, space)
        notebook.metadata["papermill"] = {"parameters": given}
        return notebook

    monkeypatch.setattr(notebooks, "execute", execute)


HEAD = (chapters_dir() / "prompts.md").read_text().split("# Prompts")[0]


def _run_small(**changes) -> tuple[Path, str]:
    lines: list[str] = []
    folder = editions.run_edition("published", chapters=("prompts",), log=lines.append, **changes)
    return folder, lines[0].split(": ")[1].split(" ")[0]


def _recorded(folder: Path) -> dict[str, float]:
    return json.loads((folder / "claims.json").read_text())["quantities"]


@pytest.mark.usefixtures("in_process")
def test_a_finished_chapter_is_kept_and_a_touched_one_made_again(small: Path) -> None:
    folder, state = _run_small()
    assert state == "executed" and _recorded(folder) == {"x": 0.5}
    assert _run_small()[1] == "unchanged"
    (folder / "prompts.ipynb").write_text("edited by hand")
    assert _run_small()[1] == "executed"
    small.write_text(small.read_text().replace("0.5", "0.25"))
    folder, state = _run_small()
    assert state == "executed" and _recorded(folder) == {"x": 0.25}
    stamp = next(folder.parent.glob("executed/*.json"))
    stamp.write_text(stamp.read_text().replace("0.25", "0.99"))  # a record changed by hand counts for nothing
    assert _run_small()[1] == "executed"
    assert _recorded(folder) == {"x": 0.25}


@pytest.mark.usefixtures("in_process")
def test_a_source_edited_while_an_edition_runs_is_not_taken_for_executed(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, numbers = editions._key, ["0.5", "0.4", "0.3"]  # at each look a key is made, an edit follows it

    def edit_meanwhile(*a) -> str:
        made = key(*a)
        small.write_text(small.read_text().replace(numbers[0], numbers[1]))
        if len(numbers) > 2:
            numbers.pop(0)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(editions, "_key", edit_meanwhile)
        _run_small()
    assert _run_small()[1] == "executed"
    assert _recorded(_run_small()[0]) == {"x": 0.3}

    def edit_before(*a) -> str:
        small.write_text(small.read_text().replace("0.3", "0.75"))
        return key(*a)

    with monkeypatch.context() as patch:
        patch.setattr(editions, "_key", edit_before)
        _run_small()
    assert _recorded(_run_small()[0]) == {"x": 0.75}


@pytest.mark.usefixtures("in_process")
def test_a_copy_executed_by_hand_never_reaches_the_ledger(small: Path, tmp_path: Path) -> None:
    folder, _ = _run_small()
    copy = nbformat.read(folder / "prompts.ipynb", 4)
    for cell in copy.cells:
        cell.source = cell.source.replace('{"x": 0.5}', '{"x": 0.99}')
    nbformat.write(copy, tmp_path / "copy.ipynb")
    command = [sys.executable, "-m", "jupyter", "execute", str(tmp_path / "copy.ipynb")]
    subprocess.run(command, check=True, capture_output=True)
    scratch = folder.parent / "scratch" / "prompts.json"
    assert json.loads(scratch.read_text())["quantities"] == {"x": 0.99}  # it did run, and recorded somewhere
    (folder / "claims.json").unlink()
    again, state = _run_small()
    assert state == "unchanged" and _recorded(again) == {"x": 0.5}


@pytest.mark.usefixtures("in_process")
def test_an_artifact_changed_behind_a_chapter_makes_it_run_again(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(load_study("published"))
    monkeypatch.setattr(Run, "is_as_used", lambda self, name, checksum: {"rdms": "right"}[name] == checksum)
    _run_small()
    stamp = next(run.folder.glob("executed/*.json"))
    noted = json.loads(stamp.read_text())
    for checksum, state in (("right", "unchanged"), ("wrong", "executed")):
        noted["record"]["used"] = {"rdms": checksum}
        noted.pop("checksum", None)
        stamp.write_text(json.dumps({**noted, "checksum": editions.artifacts.make_key(**noted)}))
        assert _run_small()[1] == state


def test_files_and_stages_are_in_a_chapters_key(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(load_study("published"))
    before = editions._key(run, "prompts", {})
    with monkeypatch.context() as patch:
        patch.setattr(Run, "fingerprint", lambda self, name: "other" if "scores" in name else "same")
        assert editions._key(Run(run.study), "prompts", {}) != before
    with monkeypatch.context() as patch:
        key = Run.key
        patch.setattr(Run, "key", lambda self, name: "other" if name == "rdms" else key(self, name))
        assert editions._key(Run(run.study), "prompts", {}) != before
    assert editions._key(Run(run.study), "prompts", {}) == before


@pytest.mark.usefixtures("in_process")
def test_a_perturbed_edition_leaves_the_committed_one_alone(small: Path, tmp_path: Path) -> None:
    folder, _ = _run_small()
    lines: list[str] = []
    assert editions.settle("published", folder, accept=True, log=lines.append)
    committed = tmp_path / "book" / "published"
    before = {path.name: path.read_bytes() for path in committed.iterdir()}
    assert set(before) == {"prompts.ipynb", "claims.json"}

    def settle(value: str, **options) -> bool:
        ledger = json.loads((folder / "claims.json").read_text())
        ledger["quantities"]["x"] = float(value)
        (folder / "claims.json").write_text(json.dumps(ledger))
        return editions.settle("published", folder, log=lines.append, **options)

    assert settle("0.5000000000001")  # another processor
    assert "1 of 1 quantities the same" in lines[-1]
    assert not settle("0.6")
    assert "left as it is" in lines[-1] and "0.6" in (folder / "differences.txt").read_text()
    assert {path.name: path.read_bytes() for path in committed.iterdir()} == before
    assert settle("0.6", accept=True)
    assert _recorded(committed) == {"x": 0.6}


def test_a_control_of_another_processor_leaves_the_clone_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed control, its last digits moved as another processor moves them; then one number out of tolerance."""
    here = shutil.copytree(book_dir() / "control", tmp_path / "book" / "control")
    fresh, git = shutil.copytree(here, tmp_path / "fresh"), ["git", "-C", str(tmp_path / "book")]
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "committed"],
    ):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(editions, "book_dir", lambda: tmp_path / "book")
    monkeypatch.setattr(ledgers, "book_dir", lambda: tmp_path / "book")
    ledger, rng, said = json.loads((fresh / "claims.json").read_text()), np.random.default_rng(0), []
    numbers = ledger["quantities"]
    for name, value in numbers.items():
        if isinstance(value, float) and not value.is_integer():
            numbers[name] = value * (1 + 1e-13 * rng.standard_normal())
    (fresh / "claims.json").write_text(json.dumps(ledger))
    assert editions.settle("control", fresh, log=said.append)
    assert said[-1] == f"control: {len(numbers)} of {len(numbers)} quantities the same; the committed edition stands"
    numbers["prompts.accuracy"] = 0.1
    (fresh / "claims.json").write_text(json.dumps(ledger))
    assert not editions.settle("control", fresh, log=said.append) and "prompts.accuracy" in said[-1]
    assert subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout == ""


@pytest.mark.usefixtures("in_process")
def test_a_changed_source_is_a_difference_even_where_numbers_are_the_same(small: Path) -> None:
    folder, _ = _run_small()
    editions.settle("published", folder, accept=True)
    small.write_text(small.read_text() + "\nOne more sentence.\n")
    folder, _ = _run_small()
    lines: list[str] = []
    assert not editions.settle("published", folder, log=lines.append)
    assert "prompts: its source changed" in lines[-1]


def test_changed_parameters_have_a_folder_of_their_own(small: Path, tmp_path: Path) -> None:
    folder, _ = _run_small(parameters={"size": 3000, "inference.permutations": 99})
    assert folder.is_relative_to(tmp_path / "runs") and folder.parent.name != "published"
    notebook = nbformat.read(folder / "prompts.ipynb", 4)
    given = {"size": 3000, "overrides": {"inference.permutations": 99}, "study": "published"}
    assert notebook.metadata["papermill"]["parameters"] == given


def test_a_failing_chapter_says_which_and_keeps_its_notebook(small: Path) -> None:
    small.write_text(small.read_text().replace("0.5", "1 / 0"))
    words = r"prompts: cell \d+ failed with ZeroDivisionError: division by zero .*failed"
    with pytest.raises(EmonbError, match=words) as error:
        _run_small()
    kept = Path(re.search(r"up to there: (.*?)\)", str(error.value)).group(1))
    assert nbformat.read(kept, 4).cells
    small.write_text(small.read_text().replace("1 / 0", "__import__('os')._exit(1)"))
    with pytest.raises(EmonbError, match="prompts: its kernel died"):
        _run_small()


def test_kernels_are_forked_with_the_libraries_and_an_environment_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """import os, sys
print(os.environ["EMONB_ASKED"], os.getpgid(0) == os.getpid(), "xarray" in sys.modules)
os.environ["EMONB_ASKED"] = "changed here\""""
    for asked in ("one", "another"):
        monkeypatch.setenv("EMONB_ASKED", asked)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        (output,) = notebooks.execute(notebook, {}).cells[-1].outputs
        assert output.text == f"{asked} True True\n"


@pytest.mark.usefixtures("in_process")
def test_an_unknown_parameter_of_papermill_fails(small: Path, tmp_path: Path) -> None:
    import papermill

    folder, _ = _run_small()
    with pytest.raises(papermill.PapermillExecutionError, match="unknown parameter 'sizee'; did you mean 'size'"):
        papermill.execute_notebook(folder / "prompts.ipynb", tmp_path / "out.ipynb", {"sizee": 3000}, progress_bar=False)
    overrides = '{"inference.permutations": 99}'  # as text: papermill's command line
    given = {"overrides": overrides}
    papermill.execute_notebook(folder / "prompts.ipynb", tmp_path / "out.ipynb", given, progress_bar=False)


def test_the_examples_of_the_analysis_folder_are_those_of_the_page_and_print_what_they_say(capsys) -> None:
    text, space = (ROOT / "emonb" / "analysis" / "README.md").read_text(encoding="utf-8"), {}
    cells = [cell for cell in _source("use-one-test").cells if "example" in cell.metadata.get("tags", [])]
    assert [c.source for c in cells if c.cell_type == "markdown"] == re.findall(r"^## .*?(?=\n\n```)", text, re.S | re.M)
    examples = re.findall(r"```python\n(.*?)\n```\n\n(?:```text\n(.*?)\n```)?", text, re.DOTALL)
    code = [cell.source for cell in cells if cell.cell_type == "code" and not cell.source.startswith("%%say")]
    assert [example for example, _ in examples] == code and sum(bool(said) for _, said in examples) == 3
    for example, said in examples:
        exec(example, space)
        assert notebooks.same_text(capsys.readouterr().out, said + "\n" if said else "")


@pytest.mark.parametrize("page", front.FRONT)
def test_a_page_that_takes_no_parameters_refuses_them(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(user_ns={"In": ["", '# Parameters\nstudy = "minilm"\n']})
    monkeypatch.setattr(
        "emonb.book.parameters.sys", SimpleNamespace(modules={"IPython": SimpleNamespace(get_ipython=lambda: shell)})
    )
    cells, space = [cell.source for cell in _source(page).cells if cell.cell_type == "code"], {}
    with pytest.raises(StudyError, match="unknown parameter 'study'; this page takes no parameters"):
        for cell in cells:
            exec(cell, space)


def test_only_an_edition_says_where_a_chapter_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    monkeypatch.delenv(RECORD, raising=False)
    assert "scratch" in open_run("published", chapter="structure").ledger.path.parts
    with pytest.raises(StudyError, match="only a chapter records"):
        _ = open_run("published").ledger


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
    assert notebooks.differs(make(31, 100_000), make(17, 100_001)) == ""
    assert "output of cell 1" in notebooks.differs(make(31, 100), make(31, 101))


def test_pages_that_need_data_are_kept_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(front, "book_dir", lambda: tmp_path)
    monkeypatch.setattr(front, "FRONT", ("deviations",))
    monkeypatch.setattr(notebooks, "execute", lambda *a: pytest.fail("a page that needs data ran without it"))
    monkeypatch.setattr(front.pages, "refresh_readme", lambda text, *a: text)
    monkeypatch.setattr(front.pages, "write_examples", lambda *a: (ROOT / "emonb/analysis/README.md").read_text())
    monkeypatch.setattr(front.pages, "write_manifest", lambda *a: (ROOT / "codecheck.yml").read_text(encoding="utf-8"))
    monkeypatch.setattr(front.sources, "available", lambda files: f"{len(files)} files cannot be had")
    (tmp_path / "deviations.ipynb").write_text("as committed")
    lines: list[str] = []
    assert front.run_front(log=lines.append)
    assert "kept as committed" in lines[0] and "cannot be had" in lines[0]
    assert (tmp_path / "deviations.ipynb").read_text() == "as committed"


# ---------------------------------------------------------------- nbval, on a small notebook of its own


def _notebook(folder: Path, outputs: list[str | None], source: str = "print('tau = 0.351, n = 27')") -> Path:
    """A notebook with the same source in each cell and these committed outputs; none for a cell never executed."""
    cells = [nbformat.v4.new_code_cell(source) for _ in outputs]
    for cell, output in zip(cells, outputs, strict=True):
        if output is not None:
            cell.execution_count = 1
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{output}\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "small.ipynb"
    nbformat.write(notebook, path)
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    return path


def _nbval(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval", "-v", "-p", "no:cacheprovider", "--rootdir", str(path.parent)]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=path.parent, check=False)


def test_nbval_compares_numbers_within_a_tolerance_and_words_exactly(tmp_path: Path) -> None:
    passes = {
        "tau = 0.351, n = 27": True,
        "tau = 0.35101, n = 27": True,
        "tau = 0.3545, n = 27": False,  # 1 % off
        "rho = 0.351, n = 27": False,
        "tau = -0.351, n = 27": False,
    }
    done = _nbval(_notebook(tmp_path, [*passes]))
    found = re.findall(r"Cell (\d+) (PASSED|FAILED)", done.stdout)
    assert found == [(str(k), "PASSED" if same else "FAILED") for k, same in enumerate(passes.values())], done.stdout
    assert done.returncode == 1


def test_nbval_refuses_an_unexecuted_notebook(tmp_path: Path) -> None:
    done = _nbval(_notebook(tmp_path, ["tau = 0.351, n = 27", None]))
    assert done.returncode != 0
    assert "1 of 2 code cells were never executed" in done.stdout


def test_nbval_has_runs_of_its_own_and_the_shared_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONB_SHARED_STORE", str(tmp_path / "shared"))
    source = "from emonb import paths; print(paths.store_dir().name, len(list(paths.runs_dir().iterdir())))"
    done = _nbval(_notebook(tmp_path, ["shared 0"], source))
    assert done.returncode == 0, done.stdout


def test_a_number_of_a_committed_output_altered_by_one_percent_is_seen() -> None:
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    root_conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(root_conftest)
    cells = nbformat.read(PUBLISHED / "structure.ipynb", 4).cells
    text = notebooks.PICTURE.sub("", " ".join(notebooks._texts(cell) for cell in cells[-8:]))
    numbers = [m for m in notebooks.NUMBER.finditer(text) if "." in m.group() and float(m.group()) != 0]
    assert len(numbers) > 5
    for match in numbers:
        altered = text[: match.start()] + repr(float(match.group()) * 1.01) + text[match.end() :]
        assert root_conftest.Tolerant(text) != altered
    assert root_conftest.Tolerant(text) == text
