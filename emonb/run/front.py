"""The pages around the editions (index, instrument, ...), executed where what they read has changed."""

from collections.abc import Callable
from pathlib import Path

import nbformat

from emonb import artifacts
from emonb.book import pages
from emonb.book.ledger import declarations, read_ledgers
from emonb.data import sources
from emonb.paths import book_dir, chapters_dir, data_dir, in_checkout, runs_dir
from emonb.run import notebooks
from emonb.run.editions import package_digest
from emonb.run.stages import study_files
from emonb.study import load_study

FRONT = (
    "index", "study", "another-network", "instrument", "since", "limits", "paper", "deviations", "your-own-study",
    "use-one-test", "exercises",
)  # fmt: skip
NEED_DATA = ("index", "deviations")  # pages that read the published study's files


def run_front(accept: bool = False, log: Callable[[str], None] = lambda line: None) -> bool:
    """Execute the pages around the editions, and write what is made from them and the ledgers; only in a checkout.

    Pages that came out otherwise stay in the run directory, unless told to ``accept`` them; the log receives a line a page.
    Returns whether all that is committed is (now) as it came out.
    """
    if not in_checkout():
        return True
    # a list: every page, not up to the first
    settled = [_settle_page(page, accept, log) for page in FRONT]
    same = all(settled)
    root = data_dir().parent
    readme = root / "README.md"
    made = {
        readme: pages.refresh_readme(readme.read_text(encoding="utf-8"), declarations(), read_ledgers()),
        root / "codecheck.yml": pages.write_manifest(declarations(), read_ledgers()),
        root / "emonb" / "analysis" / "README.md": pages.write_examples(book_dir() / "use-one-test.ipynb"),
    }
    for path, fresh in made.items():
        if path.is_file() and path.read_text(encoding="utf-8") == fresh:
            continue
        if accept:
            artifacts.write_text(fresh, path)
        else:
            log(f"{path.relative_to(root)} is not what it is made from; emonb update --accept writes it")
            same = False
    log(f"pages: {sum(settled)} of {len(FRONT)} as committed{'' if same else ', see above'}")
    return same


def is_current() -> bool:
    """Tell whether every page is executed, and would come out the same now, or cannot be executed."""
    return all(_lacks(page) or _is_executed(page, _key(page)) for page in FRONT)


def _is_executed(page: str, key: str) -> bool:
    """Tell whether the page's notebook is there, unchanged, and was made by what this key hashes."""
    fresh, stamp = _paths(page)
    return notebooks.read_stamp(stamp, key, fresh) is not None


def _settle_page(page: str, accept: bool, log: Callable[[str], None]) -> bool:
    reason, committed, (fresh, stamp) = _lacks(page), book_dir() / f"{page}.ipynb", _paths(page)
    if reason and committed.is_file():
        log(f"{page}: kept as committed ({reason})")
        return True
    key, state = _key(page), "unchanged"
    if not _is_executed(page, key):
        source = notebooks.read_source(chapters_dir() / f"{page}.md")
        notebooks.write(notebooks.execute(source, {}, page, fresh.with_name(f"{page}-failed.ipynb")), fresh)
        notebooks.write_stamp(stamp, key, fresh, {})
        state = "executed"
    notebook = nbformat.read(fresh, 4)
    before = nbformat.read(committed, 4) if committed.is_file() else None
    what = notebooks.differs(notebook, before) if before else "it is not there"
    if accept and not what and notebook != before:
        what = "a picture changed"
    if what and accept:
        notebooks.write(notebook, committed)
        if page == "index":
            notebooks.export_picture(notebook, book_dir() / "_static" / "main-result.svg")
        log(f"{page}: {state}, accepted ({what}) -> {committed}")
        return True
    log(f"{page}: {state}; " + (f"{what}: {fresh} (emonb update --accept commits it)" if what else "as committed"))
    return not what


def _lacks(page: str) -> str:
    """Say which data a page needs and cannot have, or nothing."""
    return sources.available(study_files(load_study("published"))) if page in NEED_DATA else ""


def _paths(page: str) -> tuple[Path, Path]:
    """Where a page is executed to, and the note of what it was made by."""
    fresh = runs_dir() / "front" / f"{page}.ipynb"
    return fresh, fresh.with_suffix(".json")


def _key(page: str) -> str:
    measured = [*sorted(book_dir().glob("*.json")), *book_dir().parent.glob("benchmarks/commands.json")]
    return artifacts.make_key(
        source=artifacts.file_digest(chapters_dir() / f"{page}.md"),
        ledger=artifacts.file_digest(data_dir() / "claims.yml"),
        editions=read_ledgers(),
        measured=[artifacts.file_digest(path) for path in measured],
        committed=[artifacts.file_digest(path) for path in sorted(data_dir().glob("*/*.json"))],
        files=[sources.fingerprint(name) for name in study_files(load_study("published"))] if page in NEED_DATA else [],
        code=[*package_digest(), *map(artifacts.file_digest, sorted(book_dir().parent.glob("instrument/*.py")))],
    )
