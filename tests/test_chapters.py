"""How a cell reads: one question in a few short lines; tests are shown, sentences come from recorded quantities."""

import io
import tokenize

import jupytext
import pytest

from emonb.paths import chapters_dir


@pytest.mark.parametrize("chapter", ["structure", "lesions"])
def test_cells_are_short_and_tests_are_shown(chapter: str) -> None:
    cells = [c for c in jupytext.read(chapters_dir() / f"{chapter}.md").cells if c.cell_type == "code"]
    for cell in cells:
        lines, tags = cell.source.splitlines(), cell.metadata.get("tags", [])
        assert len(lines) <= 8 or "parameters" in tags, cell.source
        assert max(map(len, lines)) <= 88, cell.source
        assert not [1 for token in tokenize.generate_tokens(io.StringIO(cell.source).readline) if token.string == ";"]
        assert "Markdown" not in cell.source and "display" not in cell.source
        if any(f".{name}(" in cell.source for name in ("test_fit", "test_masks", "test_importance", "compare_each")):
            assert tags == ["test"], cell.source
    assert sum("test" in cell.metadata.get("tags", []) for cell in cells) >= 3
