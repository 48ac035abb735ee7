"""How committed notebooks are held to their outputs (nbval): numbers within a tolerance, everything else exactly.

All notebooks run from one empty run directory, with results from the checkout's store
(``EMONB_STORE``, if set): nbval holds cells and outputs, and ``tests/run/test_keys.py`` holds that
nothing stale is read. Tests change code and count what is made: they have an empty store, but for
those that ask for ``shared_store``. In an edition computed live (the control) a cell's output is
held exactly where the cell is tagged ``exact`` (it does not depend on training), and every quantity
and verdict of the chapter is held to the committed ledger, within the last digits that another BLAS
changes. An unexecuted notebook is refused. Where an edition's data cannot be had its notebooks are
skipped, and the last lines of the run say why.
"""

import json
import os
import tempfile
from collections.abc import Iterator

import pytest

from emonb.paths import store_dir
from emonb.run.kernels import fork_kernels
from emonb.run.notebooks import same_text

NEEDS_DATA = {"book/published/": "published", "book/deviations": "published", "book/minilm/": "minilm"}
SHARED = "EMONB_SHARED_STORE"
"""Environment variable with the folder of the shared store; all processes of a session inherit it."""
_skipped: dict[str, str] = {}


class Tolerant(str):
    """Text that equals other text when the words are the same and the numbers are close."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return same_text(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="emonb-nbval-")
    shared = os.environ.setdefault(SHARED, str(store_dir().absolute()))
    executing = config.getoption("nbval", False) or config.getoption("nbval_lax", False)
    os.environ |= {"EMONB_RUNS": folder.name, "EMONB_STORE": shared if executing else ""}
    config.add_cleanup(folder.cleanup)
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval import plugin

    fork_kernels()
    class_sanitize, class_collect = plugin.IPyNbCell.sanitize, plugin.IPyNbFile.collect

    def sanitize(self, text):
        clean = class_sanitize(self, text)
        return Tolerant(clean) if isinstance(clean, str) else clean

    def collect(self):
        live = _live_study(self.path)
        self.skip_compare = (*self.skip_compare, "stderr", "image/svg+xml")  # progress bars; pictures differ by machine
        items = list(class_collect(self))
        unexecuted = [
            i for i in items if "".join(i.cell.source).strip() and i.cell.execution_count is None and not i.cell.outputs
        ]
        if unexecuted:
            raise pytest.Collector.CollectError(
                f"{self.path.name}: {len(unexecuted)} of {len(items)} code cells were never executed; run the edition first"
            )
        if live is None:
            return items
        for item in items:
            if "exact" not in item.cell.metadata.get("tags", []):
                item.options["check"] = False
        return [*items, LedgerItem.from_parent(self, name="ledger", study=live)]

    plugin.IPyNbCell.sanitize, plugin.IPyNbFile.collect = sanitize, collect


@pytest.fixture(scope="module")
def shared_store() -> Iterator[None]:
    """Take results of unchanged studies from the checkout's store, and leave there what is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMONB_STORE", os.environ[SHARED])
        yield


class LedgerItem(pytest.Item):
    """The chapter's quantities and verdicts, as just recomputed, against the edition's committed ledger."""

    def __init__(self, *, study: str, **kwargs) -> None:
        super().__init__(**kwargs)
        self.study = study

    def runtest(self) -> None:
        from emonb.book.ledger import compare_ledgers, declarations, describe_row, merge_records, restrict
        from emonb.run.runs import open_run

        committed = json.loads((self.path.parent / "claims.json").read_text(encoding="utf-8"))
        record = open_run(self.study).folder / "scratch" / f"{self.path.stem}.json"
        fresh = merge_records([json.loads(record.read_text(encoding="utf-8"))])
        mine = restrict(committed, fresh)
        wrong = [describe_row(row) for row in compare_ledgers(mine, fresh, declarations()) if not row["same"]]
        assert not wrong, "\n".join(wrong)

    def repr_failure(self, excinfo, style=None):
        return f"{self.path.name}: differs from the committed ledger\n{excinfo.value}"

    def reportinfo(self):
        return self.path, 0, f"{self.path.stem}: ledger"


def _live_study(path) -> str | None:
    """Name of the study when a notebook belongs to an edition that is computed live."""
    from emonb.study import list_studies, load_study

    name = path.parent.name
    return name if name in list_studies() and load_study(name).stages.prompts == "computed" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needing: dict[str, list[pytest.Item]] = {}
    for item in items:
        study = "published" if item.get_closest_marker("published") else _needs_data(config, item)
        if study:
            needing.setdefault(study, []).append(item)
    if not needing:
        return
    from emonb.data import sources
    from emonb.run.stages import study_files
    from emonb.study import load_study

    for study, waiting in needing.items():
        reason = sources.available(study_files(load_study(study)))
        for item in waiting if reason else []:
            item.add_marker(pytest.mark.skip(reason=reason))
            _skipped[study] = f"NOT CHECKED against the data of {study} ({len(waiting)} tests or cells): {reason}"


def pytest_terminal_summary(terminalreporter) -> None:
    for study, reason in _skipped.items():
        terminalreporter.section(f"{study} edition")
        terminalreporter.write_line(reason)


def _needs_data(config: pytest.Config, item: pytest.Item) -> str:
    """Study whose fetched files a notebook's cell needs; none for other tests."""
    relative = item.path.resolve().relative_to(config.rootpath) if item.path.is_relative_to(config.rootpath) else item.path
    if relative.suffix != ".ipynb":
        return ""
    return next((study for start, study in NEEDS_DATA.items() if str(relative).startswith(start)), "")
