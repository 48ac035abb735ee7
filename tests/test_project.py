"""The project's own promises: one environment described three times, nothing upstream committed, no machine's paths."""

import hashlib
import re
import subprocess
import tomllib

import pytest
import typer
import yaml
from packaging.requirements import Requirement

from emonb import __version__, cli
from emonb.book import pages
from emonb.book.ledger import declarations, read_ledgers
from emonb.data import sources
from emonb.paths import data_dir
from instrument.__main__ import app as instrument

ROOT = data_dir().parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GIT = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
FILES = [ROOT / name for name in GIT.stdout.split("\0") if name and (ROOT / name).is_file()]


def _constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_constraints_satisfy_every_requirement() -> None:
    pinned = _constraints()
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["book"], *extras["cluster"], *extras["test"]]:
        requirement = Requirement(text)
        version = pinned[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), f"{text} against {version}"
    assert pinned["torch"] == "2.13.0"
    assert "+cpu" not in (ROOT / "constraints.txt").read_text()


def test_environment_yml_describes_the_same_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python="))
    assert python.split("=")[1] in PROJECT["requires-python"]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "--constraint constraints.txt" in pip
    extras = re.search(r"\[(.*)\]", next(p for p in pip if "--editable" in p)).group(1).split(",")
    assert sorted(extras) == sorted(PROJECT["optional-dependencies"])


def test_versions_agree() -> None:
    assert PROJECT["version"] == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.skipif(not FILES, reason="not a git checkout")
def test_nothing_upstream_is_committed_and_no_file_names_a_machine() -> None:
    upstream = {entry.sha256 for entry in sources.registry().values()}
    machine = re.compile(rb"/wor[k]/|/roo[t]/|/tmp/bash_job[s]|[.]pyen[v]/")
    for path in FILES:
        body = path.read_bytes()
        assert hashlib.sha256(body).hexdigest() not in upstream, path
        assert not machine.search(body), path


def test_the_readme_says_what_the_ledger_says() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    assert pages.readme_table(declarations(), read_ledgers()) in (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        assert (ROOT / target.partition("#")[0]).is_file(), target


def test_every_fault_in_the_table_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "tests" / "README.md").read_text().splitlines() if line.startswith("|")][2:]
    for row in rows:
        named = re.findall(r"`(test_\w+)::(test_\w+)`", row)
        assert named, row
        for module, name in named:
            assert f"def {name}(" in next((ROOT / "tests").rglob(f"{module}.py")).read_text(), f"{module}::{name}"


def test_every_claim_leads_from_its_section_to_function_test_and_number() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## A claim, from page to test")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    declared, ledgers = declarations(), read_ledgers()
    assert [row[0].strip("`") for row in rows] == [claim.id for claim in declared.claims]
    for (_, place, functions, test, number), claim in zip(rows, declared.claims, strict=True):
        chapter, section = place.split(": ")
        assert chapter == claim.chapter
        parts = (ROOT / "book" / "chapters" / f"{chapter}.md").read_text().split("\n## ")
        heads = ["(opening)", *(part.split("\n")[0] for part in parts[1:])]
        body, module = parts[heads.index(section)], (ROOT / "emonb" / "analysis" / f"{claim.id}.py").read_text()
        called, *others = re.findall(r"`(\w+)`", functions)
        assert f"{called}(" in body
        assert all(f"\ndef {name}(" in module for name in (called, *others)), functions
        assert f"\ndef {test.strip('`')}(" in (ROOT / "tests" / "analysis" / f"test_{claim.id}.py").read_text()
        assert number.strip("`") == f"{claim.evidence}.value"
        assert all(number.strip("`") in ledger["quantities"] for ledger in ledgers.values()), number


def test_every_command_that_is_written_exists_with_its_options() -> None:
    doors = {"emonb": cli.app, "python -m instrument": instrument}
    known = {door: typer.main.get_command(app).commands for door, app in doors.items()}
    targets = set(re.findall(r"^([a-z-]+)(?=:)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = ["README", "REVIEW", "CONTRIBUTING", "SECURITY", "book/rerun", "instrument/README", "benchmarks/commands"]
    said = 0
    for path in [*(ROOT / f"{name}.md" for name in pages), *(ROOT / "book" / "chapters").glob("*.md")]:
        text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
        lines = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).splitlines()
        spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", text)
        for line in [*lines, *spans]:
            found = re.match(r"(?:\.venv/bin/)?(emonb|python -m instrument|make) ([a-z][a-z-]*)(?![\w|])([^#]*)", line)
            if found is None:
                continue
            door, name, rest = found.groups()
            said += 1
            if door == "make":
                assert name in targets, f"{path.name}: {line}"
                continue
            assert name in known[door], f"{path.name}: {line}"
            options = {option for param in known[door][name].params for option in (*param.opts, *param.secondary_opts)}
            assert set(re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest)) <= options, f"{path.name}: {line}"
    assert said > 50
