import ast
import json
import os
import re
from pathlib import Path

import pytest

from emonb import cli
from emonb.book.ledger import declarations
from emonb.study import known_parameters


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setenv("EMONB_MIRROR", os.environ.get("EMONB_MIRROR", ""))  # --mirror sets it; put back afterwards
    monkeypatch.setattr("sys.argv", ["emonb", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "publishd"], "unknown study 'publishd'; did you mean 'published'?"),
        (["run", "published", "-p", "sizee=3"], "unknown parameter 'sizee'"),
        (["run", "published", "-p", "size=abc"], "valid integer"),
        (["run", "published", "-p", "size"], "is not KEY=VALUE"),
        (["run", "published", "-p", "size=3000", "-p", "size=4000"], "size' is given twice"),
        (["run", "published", "-p", "seeds=[1"], "not a valid value"),
        (["artifact", "published", "nope"], "unknown artifact 'nope'"),
        (["run", "published", "--chapter", "nope"], "'nope' is no chapter of a study; known: people"),
        (["run", "published", "-p", "size=3000", "--accept"], "--accept is for a whole edition"),
        (["artifact", "published", "masks"], "their masks were not released"),
        (["run", "published", "-p", "seeds=[1,2,4]"], "no activations were released for seeds 2, 4"),
        pytest.param(
            ["run", "published", "-p", "layers=2"],
            "have 36864 neurons, the study 2 layers of 3072",
            marks=pytest.mark.published,
        ),
        (["run", "published", "-p", "lesions.measure=auc"], "released lesions are accuracies"),
        (["run", "published", "-p", "sizes=[-4,4000]"], "sizes.0: Input should be greater than 0"),
        (["run", "published", "-p", "seeds=[-1,3]"], "seeds.0: Input should be greater than or equal to 0"),
        (["run", "published", "-p", "inference.seed=-1"], "inference.seed"),
        (["run", "published", "-p", "device=gpu"], "device"),
        (["run", "published", "-p", "tuning.prompt_length=3"], "did you mean 'prompt_length'"),
        (["fetch", "control", "-p", "seeds=19-10"], "seeds: Input should be a list (got '19-10')"),
        (["check", "nope"], "unknown study 'nope'"),
        (["fetch", "published", "--mirror", "/nowhere"], "is not a folder"),
    ],
)
def test_mistakes_exit_2_with_one_line(monkeypatch, capsys, arguments: list[str], words: str) -> None:
    code, out, err = _run(monkeypatch, capsys, *arguments)
    lines = [line for line in err.splitlines() if line.startswith("emonb:")]
    assert code == 2
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in err
    assert out == ""


def test_help_says_what_each_command_does(monkeypatch, capsys) -> None:
    code, out, _ = _run(monkeypatch, capsys, "--help")
    assert code == 0
    for word in ("fetch", "run", "check", "claims", "artifact", "EMONB_MIRROR"):
        assert word in out
    _, out, _ = _run(monkeypatch, capsys, "artifact", "--help")
    assert "tau and rank (attribute, layer, neuron)" in " ".join(out.split())


def test_claims_as_json_and_as_text(monkeypatch, capsys) -> None:
    code, out, _ = _run(monkeypatch, capsys, "claims", "--json")
    editions = json.loads(out)["editions"]
    assert code == 0
    assert set(editions["published"]["claims"]) == {claim.id for claim in declarations().claims}
    assert all(isinstance(v, float) for v in editions["published"]["quantities"].values())
    _, out, _ = _run(monkeypatch, capsys, "claims")
    assert "structure" in out
    assert "holds:" in out


def test_a_ledger_of_other_claims_is_named_in_one_line_and_hides_no_other(monkeypatch, capsys) -> None:
    first, *others = (claim.id for claim in declarations().claims)
    entry = {"holds": "not tested", "reproduced": "not printed", "estimate": None}
    now = {name: entry for name in (first, *others)}
    ledgers = {
        "old": {"quantities": {}, "claims": {name: {} for name in ("renamed", *others)}},
        "new": {"quantities": {}, "claims": now},
    }
    monkeypatch.setattr("emonb.book.ledger.read_ledgers", lambda: ledgers)
    code, out, _ = _run(monkeypatch, capsys, "claims")
    named = ", ".join(sorted(("renamed", first)))
    old = f"  older than data/claims.yml ({named}); execute it anew: emonb update old --accept"
    lines = out.splitlines()
    assert code == 0 and lines[:3] == ["old (0 quantities)", old, "new (0 quantities)"]
    assert [line.split()[0] for line in lines[3:]] == [*now]


def test_what_nobody_foresaw_is_one_line_too(monkeypatch, capsys) -> None:
    def broken() -> None:
        raise KeyError("a\nb")

    monkeypatch.setattr("emonb.book.ledger.read_ledgers", broken)
    code, _, err = _run(monkeypatch, capsys, "claims")
    assert code == 2 and err == "emonb: unexpected KeyError: 'a\\nb'; EMONB_DEBUG=1 shows the traceback\n"
    monkeypatch.setenv("EMONB_DEBUG", "1")
    monkeypatch.setattr("sys.argv", ["emonb", "claims"])
    with pytest.raises(KeyError):
        cli.main()


def test_parameters_that_messages_name_exist() -> None:
    sections = {name.partition(".")[0] for name in known_parameters() if "." in name}
    named = set()
    for path in Path(cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                named |= set(re.findall(r"\b([a-z]+\.[a-z_]+)\b", " ".join(texts)))
    named = {name for name in named if name.partition(".")[0] in sections}
    assert {"backbone.name", "lesions.measure", "tuning.tokens_per_batch"} <= named
    assert not {name for name in named if name not in known_parameters() and name != "lesions.comparisons"}
