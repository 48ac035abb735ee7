"""How committed notebooks are held to their outputs (nbval): numbers within a tolerance, everything else exactly.

An unexecuted notebook is refused. Where an edition's data cannot be had its notebooks are skipped, and the last lines of
the run say why.
"""

import re

import pytest

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
RELATIVE, ABSOLUTE = 2e-3, 1e-12
NEEDS_DATA = ("book/published/", "book/deviations")
_skipped: dict[str, str] = {}


class Tolerant(str):
    """Text that equals other text when the words are the same and the numbers are close; runs of space count as one."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        (words, numbers), (other_words, other_numbers) = _split(self), _split(other)
        return words == other_words and all(
            abs(a - b) <= ABSOLUTE + RELATIVE * max(abs(a), abs(b)) for a, b in zip(numbers, other_numbers, strict=True)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other


def _split(text: str) -> tuple[str, list[float]]:
    numbers = [float(match.replace(",", "")) for match in NUMBER.findall(text)]
    words = re.sub(r"[\s-]+", " ", NUMBER.sub("#", text))
    return words, numbers


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval import plugin

    class_sanitize, class_collect = plugin.IPyNbCell.sanitize, plugin.IPyNbFile.collect

    def sanitize(self, text):
        clean = class_sanitize(self, text)
        return Tolerant(clean) if isinstance(clean, str) else clean

    def collect(self):
        self.skip_compare = (*self.skip_compare, "stderr")  # progress bars
        items = list(class_collect(self))
        unexecuted = [
            i for i in items if "".join(i.cell.source).strip() and i.cell.execution_count is None and not i.cell.outputs
        ]
        if unexecuted:
            raise pytest.Collector.CollectError(
                f"{self.path.name}: {len(unexecuted)} of {len(items)} code cells were never executed; run the edition first"
            )
        return items

    plugin.IPyNbCell.sanitize, plugin.IPyNbFile.collect = sanitize, collect


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    published = [i for i in items if i.get_closest_marker("published") or _needs_data(config, i)]
    if not published:
        return
    from emonb import sources, stages
    from emonb.study import load_study

    reason = sources.available(stages.study_files(load_study("published")))
    for item in published if reason else []:
        item.add_marker(pytest.mark.skip(reason=reason))
        _skipped["published"] = f"NOT CHECKED against the released data ({len(published)} tests or cells): {reason}"


def pytest_terminal_summary(terminalreporter) -> None:
    for reason in _skipped.values():
        terminalreporter.section("published edition")
        terminalreporter.write_line(reason)


def _needs_data(config: pytest.Config, item: pytest.Item) -> bool:
    relative = item.path.resolve().relative_to(config.rootpath) if item.path.is_relative_to(config.rootpath) else item.path
    return relative.suffix == ".ipynb" and str(relative).startswith(NEEDS_DATA)
