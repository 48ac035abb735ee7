"""Editions and pages are made side by side: each is heard, none hides another, and an interruption ends all."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import suite

from emonb.book import html
from emonb.errors import StudyError
from emonb.paths import data_dir
from emonb.run import updating
from emonb.run.updating import run_beside

WAIT_FOR_THE_OTHER = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
ends = time.monotonic() + 60
while not other.exists() and time.monotonic() < ends:
    time.sleep(0.01)
sys.exit(not other.exists())
"""
INTERRUPTIBLE = """
import pathlib, sys, time
try:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(120)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1] + '.ended').touch()
    sys.exit(130)
"""


def _python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_lines_come_whole_under_their_names_and_the_last_is_given_back() -> None:
    lines: list[str] = []
    noisy = "import sys\nfor k in range(40): print('word ' * 50 + str(k), file=(sys.stdout, sys.stderr)[k % 2], flush=True)"
    done = run_beside({"a": _python(noisy), "b": _python(noisy)}, lines.append, cores=2)
    for name in ("a", "b"):
        mine = [line for line in lines if line.startswith(f"{name}: ")]
        assert mine == [f"{name}: {'word ' * 50}{k}" for k in range(39)]
        assert done[name] == (0, f"{'word ' * 50}39")
    assert len(lines) == 2 * 39


def test_a_failure_hides_no_other_command() -> None:
    commands = {"bad": _python("print('no such luck'); raise SystemExit(2)"), "good": _python("print('done')")}
    assert run_beside(commands, print, cores=1) == {"bad": (2, "no such luck"), "good": (0, "done")}


def test_commands_run_at_once_where_there_are_cores(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    done = run_beside(
        {"a": _python(WAIT_FOR_THE_OTHER, one, other), "b": _python(WAIT_FOR_THE_OTHER, other, one)}, print, 2
    )
    assert [status for status, _ in done.values()] == [0, 0]


def test_with_one_core_commands_run_in_their_order(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    run_beside({name: _python(code, tmp_path / "order", name) for name in "cab"}, print, cores=1)
    assert (tmp_path / "order").read_text() == "cab"


def test_cores_are_shared_out_unless_threads_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = _python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['NUMBA_NUM_THREADS'])")
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert run_beside({"a": tell, "b": tell}, print, cores=6) == {"a": (0, "3 3"), "b": (0, "3 3")}
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run_beside({"a": tell}, print, cores=2) == {"a": (0, "7 2")}


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        (signal.SIGINT, "default_int_handler"),
        (signal.SIGTERM, "default_int_handler"),
        # as a script starts what it leaves in the background
        (signal.SIGTERM, "SIG_IGN"),
    ],
)
def test_an_interruption_ends_every_command_and_starts_no_other(tmp_path: Path, kind: signal.Signals, before: str) -> None:
    code = f"import signal, sys\nsignal.signal(signal.SIGINT, signal.{before})\n"
    code += "from emonb.run.updating import run_beside\nrun_beside("
    code += "{n: [sys.executable, '-c', sys.argv[1], f'{sys.argv[2]}/{n}'] for n in 'abc'}, print, cores=2)"
    environment = {**os.environ, "PYTHONPATH": str(data_dir().parent)}
    process = subprocess.Popen(_python(code, INTERRUPTIBLE, tmp_path), env=environment, stderr=subprocess.PIPE, text=True)
    ends = time.monotonic() + 60
    while not all((tmp_path / name).exists() for name in "ab") and time.monotonic() < ends:
        time.sleep(0.02)
    process.send_signal(kind)
    _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.ended", "b", "b.ended"]


# ---------------------------------------------------------------- what is updated


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, list[str]]]:
    """No edition is executed: the commands that would be started are kept, and end as their names say."""
    started: list[dict[str, list[str]]] = []
    ends = {
        "control": (1, "control: 3 differences"),
        "minilm": (2, "emonb: it failed"),
        "published": (0, "published: the same"),
    }

    def pretend(commands: dict[str, list[str]], log: object) -> dict[str, tuple[int, str]]:
        started.append({name: command[3:] for name, command in commands.items()})
        return {name: ends.get(name, (0, f"{name}: done")) for name in commands}

    monkeypatch.setattr(updating, "run_beside", pretend)
    monkeypatch.setattr(updating, "_lacks", lambda name: "")
    monkeypatch.setattr(updating, "_is_current", lambda name: False)
    monkeypatch.setattr(html, "find_built", lambda: None)
    return started


def test_all_are_made_the_longest_first_and_each_is_answered_for(beside: list[dict[str, list[str]]]) -> None:
    lines: list[str] = []
    assert updating.update([], accept=False, pages_first=True, log=lines.append) == 2
    assert list(beside[0]) == ["book", "control", "published specifications", "minilm", "published", "pages"]
    assert beside[0]["published specifications"] == ["artifact", "published", "specifications"]
    assert beside[0]["control"] == ["update", "control"] and beside[0]["book"] == ["html"]
    assert lines == [
        "book: done",
        "control: 3 differences",
        "minilm: emonb: it failed",
        "published: the same",
        "pages: done",
    ]


def test_what_is_accepted_is_shown_by_pages_made_after_it(beside: list[dict[str, list[str]]]) -> None:
    assert updating.update(["pages", "published"], accept=True, pages_first=False, log=print) == 0
    assert beside == [{"published": ["update", "published", "--accept"]}, {"pages": ["update", "pages", "--accept"]}]


def test_nothing_is_started_for_what_is_unchanged_or_cannot_be_had(
    beside: list[dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "_lacks", lambda name: "no network" if name == "minilm" else "")
    monkeypatch.setattr(updating, "_is_current", lambda name: True)
    monkeypatch.setattr(updating.editions, "run_edition", lambda name, log: name)
    monkeypatch.setattr(updating.editions, "settle", lambda name, *rest: rest[-1](f"{name}: as committed") or True)
    monkeypatch.setattr(updating.front, "run_front", lambda accept, log: log("pages: as committed") or True)
    lines: list[str] = []
    assert updating.update([], accept=False, pages_first=False, log=lines.append) == 0
    kept = "minilm: kept as committed, not re-executed: no network"
    assert lines == ["control: as committed", kept, "published: as committed", "pages: as committed"]
    assert not beside


def test_an_unknown_edition_is_an_error_before_anything_runs(beside: list[dict[str, list[str]]]) -> None:
    with pytest.raises(StudyError, match=r"'contrl' is no committed edition; known: control, .*pages"):
        updating.update(["contrl"], accept=False, pages_first=False, log=print)
    assert not beside


# ---------------------------------------------------------------- the HTML


def test_the_book_is_built_again_only_where_what_it_shows_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for folder in ("chapters", "_static"):
        (tmp_path / "book" / folder).mkdir(parents=True)
    page, source = tmp_path / "book" / "index.ipynb", tmp_path / "book" / "chapters" / "index.md"
    page.write_text("one")
    built: list[str] = []

    def build(command: list[str], **options: object) -> subprocess.CompletedProcess:
        built.append(page.read_text())
        first = tmp_path / "_build" / "html" / "index.html"
        first.parent.mkdir(parents=True, exist_ok=True)
        first.write_text("")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(html, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setattr(html.subprocess, "run", build)
    for _ in range(2):
        html.build_html()
    source.write_text("a source is no page")
    html.build_html()
    assert built == ["one"]
    page.write_text("two")
    html.build_html()
    (tmp_path / "_build" / "html" / "index.html").unlink()
    html.build_html()
    html.build_html(clean=True)
    assert built == ["one", "two", "two", "two"]


# ---------------------------------------------------------------- make test


def test_every_part_of_the_suite_runs_and_is_answered_for(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$2 said this"\ntest "$2" != bad\n')
    make.chmod(0o755)
    assert suite.run_parts((("bad", "good"), ("last",)), str(make)) == 1
    *_, bad, good, last, again = capsys.readouterr().out.splitlines()
    assert [line.split() for line in (bad, good, last)] == [
        ["bad", "FAILED:", "bad", "said", "this"],
        ["good", "ok:", "good", "said", "this"],
        ["last", "ok:", "last", "said", "this"],
    ]
    assert again == "1 of 3 parts failed; each again: make bad"


def test_the_suite_names_targets_of_the_makefile() -> None:
    patterns = re.findall(r"^([\w%-]+):", (data_dir().parent / "Makefile").read_text(), re.MULTILINE)
    targets = re.compile("|".join(pattern.replace("%", "[a-z-]+") for pattern in patterns))
    parts = [part for group in suite.GROUPS + suite.LONG for part in group]
    assert {"tests", "types", "lint", "strict", "browser", "outputs-control", "outputs-pages"} <= set(parts)
    assert [part for part in parts if not targets.fullmatch(part)] == []
    assert not targets.fullmatch("nothing")
