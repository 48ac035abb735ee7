"""What `make` calls: bring the editions up to date where their data can be had, and build the HTML."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from emonb.data import sources
from emonb.errors import EmonbError
from emonb.paths import data_dir
from emonb.run import editions, stages
from emonb.study import load_study


def update_edition(study: str) -> str:
    """Re-execute a committed edition if its upstream files can be had; else keep it. Return one line that says which."""
    files = stages.study_files(load_study(study))
    reason = sources.available(files)
    if reason:
        return f"The committed {study} edition is kept as it is: {reason}"
    editions.run_edition(study, log=_say)
    return f"The {study} edition is up to date with its sources" + (" and data." if files else "; it was computed live.")


def update_book() -> str:
    """Bring both editions up to date, then the pages around them."""
    lines = [update_edition(study) for study in ("control", "published")]
    editions.run_front(log=_say)
    return "\n".join(lines)


def describe_check(study: str) -> str:
    """Say whether an edition's notebooks could be checked against its data: the last line of `make test`."""
    reason = sources.available(stages.study_files(load_study(study)))
    return f"The {study} edition was NOT re-executed: {reason}" if reason else f"The {study} edition was re-executed."


def build_html(clean: bool) -> Path:
    """Build the book with warnings as errors; return the path of its first page.

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


def main() -> None:
    """Run one step: ``edition``, ``html`` or ``status``."""
    parser = argparse.ArgumentParser(prog="python -m emonb.make")
    parser.add_argument("step", choices=["edition", "html", "status"])
    parser.add_argument("--clean", action="store_true", help="build the HTML from a clean _build")
    given = parser.parse_args()
    steps = {
        "edition": update_book,
        "html": lambda: f"The book: {build_html(given.clean)}",
        "status": lambda: describe_check("published"),
    }
    try:
        _say(steps[given.step]())
    except EmonbError as error:
        _say(f"emonb: {error}")
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
