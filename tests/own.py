"""A study of somebody's own, changed as people change them, and the one line with which it is refused."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from emonb.errors import EmonbError
from emonb.run import editions


def change(path: Path, **changes: object) -> Path:
    """Change a study file's fields; of nested ones those that are given."""
    fields = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        fields[name] = {**fields[name], **value} if isinstance(value, dict) and name in fields else value
    path.write_text(yaml.safe_dump(fields))
    return path


def edit(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a table."""
    change(pd.read_csv(path)).to_csv(path, index=False)


def refused(path: Path, monkeypatch: pytest.MonkeyPatch, chapters: tuple[str, ...] = editions.CHAPTERS) -> str:
    """The one line with which a run is refused before any kernel starts."""
    monkeypatch.setattr(editions, "_execute", lambda *a: pytest.fail("a chapter ran"))
    with pytest.raises(EmonbError) as error:
        editions.run_edition(str(path), chapters=chapters)
    assert "\n" not in str(error.value)
    return str(error.value)
