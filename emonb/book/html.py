"""The book as HTML, built by jupyter-book with warnings as errors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from emonb.artifacts import write_text
from emonb.errors import EmonbError
from emonb.paths import data_dir


def build_html(clean: bool = False) -> Path:
    """Build the book from what is committed; return the path of its first page.

    Raises
    ------
    EmonbError
        The build failed; the first complaint is in the message, all it said in ``_build/build.log``.
    """
    root = data_dir().parent
    if clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "-W", "-n", "--keep-going", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    page = root / "_build" / "html" / "index.html"
    if done.returncode or not page.is_file():
        log = write_text(done.stdout + done.stderr, root / "_build" / "build.log")
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = next((line for line in lines if re.search("WARNING|ERROR|Error", line)), lines[-1] if lines else "nothing")
        raise EmonbError(f"the book did not build: {said} (all of it: {log})")
    return page
