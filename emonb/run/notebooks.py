"""Notebooks: executed with papermill, cleaned of what differs from run to run, and written only where they changed."""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from emonb import artifacts
from emonb.errors import EmonbError


def execute(notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    """Execute a notebook with parameters injected.

    Raises
    ------
    EmonbError
        A cell failed; its error is in the message.
    """
    import papermill

    with tempfile.TemporaryDirectory(prefix="emonb-chapter-") as folder:
        source = Path(folder) / "chapter.ipynb"
        nbformat.write(notebook, source)
        try:
            executed = papermill.execute_notebook(
                str(source), str(Path(folder) / "out.ipynb"), parameters, kernel_name="python3", progress_bar=False,
                cwd=str(Path.cwd()), extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            raise EmonbError(f"a cell failed with {error.ename}: {error.evalue}") from None
    return _clean(executed, parameters)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, unless the one that is there differs in nothing but how long things took."""
    text = nbformat.writes(notebook)
    if path.is_file():
        try:
            if _untimed(path.read_text(encoding="utf-8")) == _untimed(text):
                return
        except (ValueError, KeyError, TypeError):  # what is there is no notebook
            pass
    artifacts.write_text(text + "\n", path)


def export_picture(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the first figure of a notebook beside the book, for the README."""
    outputs = (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    picture = next((data["image/png"] for data in outputs if "image/png" in data), None)
    if picture is not None:
        path.write_bytes(base64.b64decode(picture))


def _clean(notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    """Keep what was computed, drop what differs from run to run: times, paths, progress bars, ids, the made-up cell."""
    notebook.metadata["papermill"] = {"parameters": parameters}
    language = notebook.metadata.get("language_info", {})
    language.pop("version", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
    return notebook


def _untimed(text: str) -> Any:
    """Content of a notebook without the outputs of cells tagged ``timing``."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if "timing" in cell["metadata"].get("tags", []):
            cell["outputs"] = []
    return notebook
