import json
import os

import pytest

from emonb import cli


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
        (["run", "published", "-p", "seeds=[1"], "not a valid value"),
        (["artifact", "published", "nope"], "unknown artifact 'nope'"),
        (["run", "published", "--chapter", "nope"], "unknown chapter 'nope'"),
        (["run", "published", "-p", "size=3000", "--accept"], "--accept is for a whole edition"),
        (["artifact", "published", "masks"], "their masks were not released"),
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
    assert set(editions["published"]["claims"]) == {"structure", "attributes", "lesions", "importance"}
    assert all(isinstance(v, float) for v in editions["published"]["quantities"].values())
    _, out, _ = _run(monkeypatch, capsys, "claims")
    assert "structure" in out
    assert "holds:" in out
