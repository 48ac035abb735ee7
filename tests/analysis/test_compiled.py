"""Compiled code: cached where it can be, never in the way of an import, and never older than what it inlines."""

import ast
from pathlib import Path

import pytest
from numba.core import caching

from emonb.analysis import compiled

FOLDER = Path(compiled.__file__).parent


def test_without_any_folder_code_is_compiled_and_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled.njit()(lambda x: x + 1)(2) == 3


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_compiled_functions_call_nothing_of_ours_from_another_file(path: Path) -> None:
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    ours = {a.asname or a.name for n in parsed.body if isinstance(n, ast.ImportFrom) and n.module.startswith("emonb")
            for a in n.names}  # fmt: skip
    for function in (n for n in parsed.body if isinstance(n, ast.FunctionDef)):
        if any("njit" in ast.unparse(decorator) for decorator in function.decorator_list):
            used = {n.id for statement in function.body for n in ast.walk(statement) if isinstance(n, ast.Name)}
            assert not used & ours, f"{function.name}: {used & ours}"
