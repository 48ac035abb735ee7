"""The book as HTML, warnings as errors, built where what it shows has changed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from emonb.artifacts import file_digest, make_key, write_text
from emonb.errors import EmonbError
from emonb.paths import data_dir

SOURCES = ("_config.yml", "_toc.yml", "book/**/*", "benchmarks/*.md", "data/*.yml", "emonb/**/*.py", "constraints.txt")
"""What the pages are made from, by pattern: pages and notebooks, what they include, and the code that writes them."""


def build_html(clean: bool = False) -> Path:
    """Build the book from what is committed, unless it is built (``clean``: in any case); return its first page.

    An EmonbError where the build failed: the first complaint in the message, all it said in ``_build/build.log``.
    """
    root = data_dir().parent
    if clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    built = find_built()
    if built is not None:
        return built
    # read before the build: what is edited meanwhile is built next time
    key, page = _key(), _page()
    _note().unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "-W", "-n", "--keep-going", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    if done.returncode or not page.is_file():
        log = write_text(done.stdout + done.stderr, root / "_build" / "build.log")
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = next((line for line in lines if re.search("WARNING|ERROR|Error", line)), lines[-1] if lines else "nothing")
        raise EmonbError(f"the book did not build: {said} (all of it: {log})")
    # where no page is out of date, Sphinx leaves a stylesheet that was changed as it was
    shutil.copytree(root / "book" / "_static", page.parent / "_static", dirs_exist_ok=True)
    write_text(key, _note())
    return page


def find_built() -> Path | None:
    """Path of the first page where the book is built from just what is there now, else nothing."""
    note, page = _note(), _page()
    current = page.is_file() and note.is_file() and note.read_text(encoding="utf-8") == _key()
    return page if current else None


def describe(page: Path) -> str:
    """Say which file to open."""
    return f"book: open {page}"


def _page() -> Path:
    return data_dir().parent / "_build" / "html" / "index.html"


def _note() -> Path:
    """Where it is noted what the book was built from."""
    return data_dir().parent / "_build" / "built"


def _key() -> str:
    root = data_dir().parent
    found = sorted({path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()})
    shown = [path for path in found if "chapters" not in path.parts and "__pycache__" not in path.parts]
    return make_key(**{path.relative_to(root).as_posix(): file_digest(path) for path in shown})
