"""Notebooks: read from MyST sources, executed with papermill, cleaned of what differs from run to run, and compared."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from emonb import artifacts
from emonb.errors import EmonbError, StudyError
from emonb.study import Study

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
POWER, _PLAIN = re.compile(" × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"), str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
PICTURE = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
RELATIVE, ABSOLUTE = 2e-3, 1e-12
NEEDS: dict[str, Callable[[Study], bool]] = {
    "needs-ratings": lambda study: study.humans.rated,
    "needs-agreement": lambda study: study.humans.agreement is not None,
    "needs-raw": lambda study: study.humans.raw is not None,
    "needs-goemotions": lambda study: study.corpus.train.startswith("google-research/"),
    "needs-layers": lambda study: study.layers > 1,
    "needs-valence": lambda study: "valence" in study.attributes,
    "needs-encoder": lambda study: study.backbone is not None and study.backbone.head == "words",
    "needs-baseline": lambda study: study.untrained_baseline,
}
"""Tags of cells that only chapters of some studies have, and what these have; ``without-...`` are those of the others."""
KINDS = ("published", "live", "planted")
"""Tags of cells that stand only in chapters of that kind of study (:attr:`emonb.study.Study.kind`), or of these kinds."""
CHANGING = ("timing",)  # tags of cells whose output may differ


def read_source(path: Path) -> nbformat.NotebookNode:
    """Read a MyST source as an unexecuted notebook with stable cell ids; a StudyError where there is no such page."""
    import jupytext

    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.md")))
        raise StudyError(f"unknown chapter '{path.stem}'; known: {known}")
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{path.stem}-{number}"
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.pop("jupytext", None)
    return notebook


def keep_cells(notebook: nbformat.NotebookNode, study: Study) -> nbformat.NotebookNode:
    """Make a chapter that of one study: its title names it, and cells that are not about such a study are left out.

    Those are cells tagged with other kinds of studies (:data:`KINDS`), or with what the study lacks (:data:`NEEDS`).
    """
    lacking = {tag if not is_there(study) else tag.replace("needs", "without") for tag, is_there in NEEDS.items()}

    def belongs(tags: set[str]) -> bool:
        return not tags & lacking and (not tags & set(KINDS) or study.kind in tags)

    notebook.cells = [cell for cell in notebook.cells if belongs(set(cell.metadata.get("tags", [])))]
    title = next((cell for cell in notebook.cells if cell.source.startswith("# ") and cell.cell_type == "markdown"), None)
    if title is not None:
        heading, *rest = title.source.split("\n")
        title["source"] = "\n".join([f"{heading} · {study.title}", *rest])
    return notebook


def execute(
    notebook: nbformat.NotebookNode, parameters: dict[str, Any], name: str = "chapter", failed: Path | None = None
) -> nbformat.NotebookNode:
    """Execute a notebook; parameters its parameter cell does not name are injected together, as ``overrides``.

    Papermill writes parameters into a cell as literals, so that they are data and never code. An error has in its message
    what happened, and calls the notebook by ``name``; as it stood then it is left at ``failed``.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    from emonb.run.kernels import fork_kernels

    fork_kernels()
    with tempfile.TemporaryDirectory(prefix="emonb-chapter-") as folder:
        source, out = Path(folder) / "chapter.ipynb", Path(folder) / "out.ipynb"
        nbformat.write(notebook, source)
        named = papermill.inspect_notebook(str(source))
        given = {key: value for key, value in parameters.items() if key in named}
        rest = {key: value for key, value in parameters.items() if key not in named}
        if rest:
            given["overrides"] = {**rest, **given.get("overrides", {})}
        try:
            executed = papermill.execute_notebook(
                str(source), str(out), given, kernel_name="python3", progress_bar=False,
                cwd=str(Path.cwd()), extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            kept = ""
            if failed is not None and out.is_file():
                kept = f" (the notebook up to there: {artifacts.write_bytes(out.read_bytes(), failed)})"
            reason = str(error.evalue).strip().splitlines()[0] if str(error.evalue).strip() else "no message"
            ours = any(error.ename == kind.__name__ for kind in EmonbError.__subclasses__())
            what = reason if ours else f"cell {error.exec_count} failed with {error.ename}: {reason}"
            raise EmonbError(f"{name}: {what}{kept}") from None
        except DeadKernelError:
            raise EmonbError(
                f"{name}: its kernel died; likely cause: the machine ran out of memory (try a smaller "
                "tuning.tokens_per_batch), or the process was killed"
            ) from None
    return _clean(executed, given)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, unless the one that is there differs in nothing but how long things took."""
    text = nbformat.writes(notebook)
    if path.is_file():
        try:
            if _untimed(json.loads(path.read_text(encoding="utf-8"))) == _untimed(json.loads(text)):
                return
        except (ValueError, KeyError, TypeError):  # what is there is no notebook
            pass
    artifacts.write_text(text + "\n", path)


def differs(a: nbformat.NotebookNode, b: nbformat.NotebookNode, outputs: bool = True) -> str:
    """Say in what two executed notebooks differ beyond rounding, or return an empty string.

    Pictures are not compared; numbers within text are the same within a relative tolerance of 0.002. Without ``outputs``
    the sources alone are compared.
    """
    if [c.source for c in a.cells] != [c.source for c in b.cells]:
        return "its source changed"
    for number, (one, other) in enumerate(zip(a.cells, b.cells, strict=True)):
        if outputs and not set(CHANGING) & set(one.metadata.get("tags", [])) and not same_text(_texts(one), _texts(other)):
            return f"the output of cell {number} changed"
    return ""


def write_stamp(stamp: Path, key: str, notebook: Path, record: dict[str, Any]) -> None:
    """Note by what an executed notebook was made, and what it recorded."""
    noted = {"key": key, "sha256": artifacts.file_digest(notebook), "record": record}
    artifacts.write_text(json.dumps({**noted, "checksum": artifacts.make_key(**noted)}), stamp)


def read_stamp(stamp: Path, key: str | None = None, notebook: Path | None = None) -> dict[str, Any] | None:
    """What an executed notebook recorded; None if nothing is noted, or other than it was, or by another key or notebook."""
    try:
        noted = json.loads(stamp.read_text(encoding="utf-8"))
        whole = noted.pop("checksum") == artifacts.make_key(**noted) and key in (None, noted["key"])
        same = notebook is None or artifacts.file_digest(notebook) == noted["sha256"]
        return dict(noted["record"]) if whole and same else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def same_text(a: str, b: str) -> bool:
    """Tell whether texts are the same: equal words (runs of space count as one), numbers equal within a tolerance.

    Drawings (``svg``) within a text are left out, as pictures are.

    >>> same_text("tau = 0.351, n = 27", "tau = 0.35101, n = 27")
    True
    >>> same_text("tau = 0.351", "tau = 0.3545")
    False
    >>> same_text("p = 7.0004 × 10⁻⁷, r = −0.1", "p = 7 × 10⁻⁷, r = -0.1")
    True
    """
    (words, numbers), (other_words, other_numbers) = _split(a), _split(b)
    return words == other_words and all(
        abs(x - y) <= ABSOLUTE + RELATIVE * max(abs(x), abs(y)) for x, y in zip(numbers, other_numbers, strict=True)
    )


def export_picture(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the figure of the cell tagged ``main-result`` beside the book, for the README."""
    tagged = (cell for cell in notebook.cells if "main-result" in cell.metadata.get("tags", []))
    for output in (output for cell in tagged for output in cell.get("outputs", [])):
        if picture := output.get("data", {}).get("image/svg+xml"):
            artifacts.write_text("".join(picture), path)


def _split(text: str) -> tuple[str, list[float]]:
    text = PICTURE.sub("", text).replace("−", "-")
    text = POWER.sub(lambda match: "e" + match[1].translate(_PLAIN), text)  # 7 × 10⁻⁷ is 7e-7
    numbers = [float(match.replace(",", "")) for match in NUMBER.findall(text)]
    return re.sub(r"[\s-]+", " ", NUMBER.sub("#", text)), numbers


def _texts(cell: nbformat.NotebookNode) -> str:
    parts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {"text/plain": output.get("text", "")})
        parts += ["".join(value) for kind, value in sorted(data.items()) if kind.startswith("text/")]
    return re.sub(r"<Figure size [^>]*>", "", "\n".join(parts))


def _clean(notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    """Keep what was computed, drop what differs from run to run: times, paths, progress bars, ids, the made-up cell."""
    notebook.metadata["papermill"] = {"parameters": parameters}
    notebook.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
    return notebook


def _untimed(notebook: Any) -> Any:
    """Content of a notebook without the outputs of cells tagged ``timing``."""
    for cell in notebook["cells"]:
        if "timing" in cell["metadata"].get("tags", []):
            cell["outputs"] = []
    return notebook
