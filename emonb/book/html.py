"""The book as HTML, built by jupyter-book with warnings as errors."""

import shutil
import subprocess
import sys
from pathlib import Path

from emonb.errors import EmonbError
from emonb.paths import data_dir


def build_html(clean: bool = False) -> Path:
    """Build the book from what is committed; return the path of its first page.

    Raises
    ------
    EmonbError
        The build failed; its last lines are in the message.
    """
    root = data_dir().parent
    if clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "-W", "-n", "--keep-going", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    page = root / "_build" / "html" / "index.html"
    if done.returncode or not page.is_file():
        raise EmonbError("the book did not build:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-40:]))
    return page
