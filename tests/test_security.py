"""What SECURITY.md promises: data are data, whoever wrote them."""

import ast
import contextlib
import pickle
from pathlib import Path

import nbformat
import pytest
import tiny
import torch

from emonb import artifacts
from emonb.data import sources
from emonb.errors import ArtifactError, EmonbError, SourceError, StudyError
from emonb.model.backbone import load_checkpoint
from emonb.paths import data_dir
from emonb.run import notebooks
from emonb.study import BackboneConfig, load_study

PACKAGE = Path(artifacts.__file__).parent
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("pickle", "load"), ("pickle", "loads"), ("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load"),
              ("os", "system"), ("joblib", "load"), ("pd", "read_pickle")}  # fmt: skip


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


@pytest.fixture(autouse=True)
def nothing_explodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "exploded").exists()


def test_the_package_never_loads_code_from_data() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in CALLS, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                assert (owner, node.func.attr) not in ATTRIBUTES, f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword):
                off = isinstance(node.value, ast.Constant) and node.value.value is False
                assert off or node.arg not in ("trust_remote_code", "allow_pickle", "shell"), f"{path}:{node.value.lineno}"
        assert "import pickle" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [
    "!!python/object/apply:pathlib.Path.touch [exploded]",
    "name: !!python/object/new:pathlib.Path [exploded]",
    "name: &a [*a]",
    "&a [&b [*a, *b]]",
])  # fmt: skip
def test_yaml_makes_no_objects(tmp_path: Path, text: str) -> None:
    (tmp_path / "evil.yml").write_text(text)
    with pytest.raises(StudyError):
        load_study("evil.yml")
    with contextlib.suppress(StudyError):  # or it is the title, as text
        load_study("published", title=f"[{text}]")


@pytest.mark.parametrize("name", ["../secret", "a/b", "published\n", "..", "C:\\x", "", "x.yml/../y", "\0"])
def test_a_study_s_name_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError):
        load_study(name)
    (tmp_path / "mine.yml").write_text(f"extends: published\nname: {name!r}\n")
    with pytest.raises(StudyError):
        load_study("mine.yml")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "link/x"])
def test_a_study_file_names_files_beside_it_only(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "link").symlink_to("/")
    (folder / "mine.yml").write_text(f"extends: published\nname: mine\nhumans: {{order: 'local:{path}'}}\n")
    with pytest.raises(StudyError, match="outside its own folder"):
        load_study(str(folder / "mine.yml"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/x"])
def test_only_files_of_the_registry_are_fetched(name: str) -> None:
    with pytest.raises(SourceError, match="lists no file"):
        sources.fetch([name])


def test_weights_as_pickle_and_code_in_a_checkpoint_are_refused(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "model", ["positive", "negative"])
    (folder / "model.safetensors").unlink()
    torch.save({"x": _Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(StudyError, match="cannot be loaded"):
        load_checkpoint(BackboneConfig(name=str(folder)))
    other = tiny.save_model(tmp_path / "other", ["positive", "negative"])
    (other / "evil.py").write_text("import pathlib; pathlib.Path('exploded').touch()\nclass Evil: pass\n")
    config = (other / "config.json").read_text().replace(
        "{", '{"auto_map": {"AutoConfig": "evil.Evil", "AutoModelForMaskedLM": "evil.Evil"},', 1
    )  # fmt: skip
    (other / "config.json").write_text(config.replace('"roberta"', '"evil"'))
    with pytest.raises(StudyError, match="cannot be loaded"):
        load_checkpoint(BackboneConfig(name=str(other)))


def test_an_artifact_that_is_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(ArtifactError):
        artifacts.read(path)


def test_parameters_enter_a_notebook_as_data(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell("title = None", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("title"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    evil = '"; import pathlib; pathlib.Path("exploded").touch() #\n\\'
    done = notebooks.execute(notebook, {"title": evil})
    assert ast.literal_eval(done.cells[-1].outputs[0].data["text/plain"]) == evil


def test_messages_do_not_repeat_what_a_cell_says(tmp_path: Path) -> None:
    from emonb.data.tables import numeric, read_table

    (tmp_path / "x.csv").write_text("a,b\n1,my secret words\n")
    with pytest.raises(EmonbError) as error:
        numeric(read_table(tmp_path / "x.csv"), tmp_path / "x.csv")
    assert "secret" not in str(error.value)


def test_the_policy_is_there_and_says_what_is_not_trusted() -> None:
    text = (data_dir().parent / "SECURITY.md").read_text(encoding="utf-8")
    assert all(word in text for word in ("safetensors", "safe_load", "EMONB_ALLOW_OUTSIDE", "sha256", "literals"))
