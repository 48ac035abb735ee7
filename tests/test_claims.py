import html
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr

from emonb.book import cards, claims, pages
from emonb.book.criteria import Statement, judge
from emonb.book.ledger import Ledger
from emonb.book.ledgers import compare_ledgers, merge_records, read_ledgers
from emonb.book.truth import know_truth
from emonb.book.verdict import decide
from emonb.errors import ClaimError
from emonb.paths import data_dir
from emonb.world.world import Truth

DECLARED = claims.read_declarations(data_dir() / "claims.yml")
YES = {"value": 0.03, "low": 0.01, "high": 0.05, "low90": 0.015, "high90": 0.045, "p": 0.004}
OPEN = {"value": 0.01, "low": -0.01, "high": 0.03, "low90": -0.005, "high90": 0.025, "p": 0.3}
NO = {"value": 0.0, "low": -0.005, "high": 0.005, "low90": -0.004, "high90": 0.004, "p": 0.9}


def _under(prefix: str, evidence: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in evidence.items()}


def _statement(**bounds: Any) -> Statement:
    return Statement(quantity="q", source="printed", where="abstract", **bounds)


@pytest.mark.parametrize(
    ("bounds", "quantities", "verdict"),
    [
        ({"equals": 0.351, "within": 0.001}, {"q": 0.3515}, "yes"),
        ({"equals": 0.351, "within": 0.001}, {"q": 0.353}, "no"),
        ({"above": 0.97}, {"q": 0.97}, "no"),
        ({"below": 0.05}, {"q": 0.049}, "yes"),
        ({"above": 1}, {}, "not tested"),
        ({"above": 1}, {"q": float("nan")}, "not tested"),
        ({"above": 0, "below": 1}, {"q": 1.5}, "no"),
    ],
)
def test_statements(bounds: dict, quantities: dict, verdict: str) -> None:
    assert _statement(**bounds).judge(quantities) == verdict
    assert judge([_statement(**bounds)], quantities) == verdict


def test_statements_together_and_one_without_a_bound() -> None:
    pair = (_statement(above=0), Statement(quantity="b", above=0, source="printed", where="abstract"))
    assert judge(pair, {"q": 1, "b": 1}) == "yes"
    assert judge(pair, {"q": 1, "b": -1}) == judge(pair, {"b": -1}) == "no"
    assert judge(pair, {"q": 1}) == "not tested"
    assert judge([], {"q": 1}) == "not printed"
    with pytest.raises(ValueError, match="needs equals, above or below"):
        _statement()


@pytest.mark.parametrize(("evidence", "holds"), [(YES, "yes"), (OPEN, "undecided"), (NO, "no"), ({}, "not tested")])
def test_the_verdict_is_the_rule_applied_to_what_was_recorded(tmp_path: Path, evidence: dict, holds: str) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "lesions.json", "lesions")
    ledger.record(_under("lesions.fixed", evidence))
    ledger.record({"lesions.fixed.n": 98, "lesions.selective.4000": 0.69928, "lesions.random.4000": 0.728})
    card = ledger.claim("lesions")
    saved = json.loads((tmp_path / "lesions.json").read_text())["claims"]["lesions"]
    assert card.entry == saved and saved["holds"] == holds and saved["n"] == 98
    assert (saved["reproduced"], saved["released"], saved["side"]) == ("not printed", "yes", "two-sided")
    assert saved["sesoi"] == DECLARED.claim("lesions").smallest.effect
    assert f"holds {holds}" in str(card) and cards.HOLDS[holds] in card._repr_html_()
    if evidence:
        assert saved["estimate"] == evidence["value"] and "<circle" in card._repr_html_()
        assert DECLARED.claim("lesions").reads[holds] in html.unescape(card._repr_html_())
    else:
        assert saved["estimate"] is None and "not computed" in str(card)
    table = pages.verdict_table(DECLARED, {"published": {"claims": {"lesions": saved}}})
    assert 'href="published/lesions.html#claim-lesions"' in table and cards.say_holds(saved) in table


def test_undefined_evidence_is_not_tested_and_other_studies_are_not_compared_with_the_paper(tmp_path: Path) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "lesions", "control")
    ledger.record(_under("lesions.fixed", dict.fromkeys(YES, float("nan"))), undefined="there are no masks")
    ledger.record({"lesions.selective.4000": 0.1})
    entry = ledger.claim("lesions").entry
    assert (entry["holds"], entry["reproduced"], entry["estimate"]) == ("not tested", "not printed", None)
    assert "released" not in entry


def test_a_claim_about_attributes_is_counted_and_each_keeps_its_verdict(tmp_path: Path) -> None:
    bound = DECLARED.claim("neurons").smallest.effect
    large = {"value": 3 * bound, "low": bound, "high": 5 * bound, "low90": 2 * bound, "high90": 4 * bound, "p": 0.001}
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "attributes", "control")
    ledger.record(_under("neurons.best.happy-face", large))
    ledger.record(_under("neurons.best.arousal", {**large, "low": -bound, "p": 0.2}))
    ledger.record(_under("neurons.best.fairness", NO))
    entry = ledger.claim("neurons").entry
    assert {name: one["holds"] for name, one in entry["each"].items()} == {
        "happy-face": "yes", "arousal": "undecided", "fairness": "no"}  # fmt: skip
    assert (entry["holds"], entry["estimate"], cards.kind_of(entry)) == ("1 of 3", 1, "some")
    claim = DECLARED.claim("neurons")
    truth = Truth({"happy-face": 1.0, "arousal": 0.5, "fairness": 0.0}, {})
    known = know_truth(claim, entry, "control", truth)
    assert known["truth"] == "2 of 3"
    assert {name: one["truth"] for name, one in known["each"].items()} == {
        "happy-face": "yes", "arousal": "yes", "fairness": "no"}  # fmt: skip
    assert know_truth(claim, entry, "control-null", truth)["truth"] == "0 of 3"
    assert know_truth(claim, entry, "published", None) == {}
    card = cards.Card(claim, {**entry, **known})
    assert card._repr_html_().count("<g>") == 3 and "true in this world: 2 of 3" in str(card)


def test_no_verdict_reads_the_truth() -> None:
    for claim in DECLARED.claims:
        keys = claim.gather({f"truth.{claim.id}": 1.0, "truth.value": 1.0})
        assert (
            keys == {} and not claim.evidence.startswith("truth") and not any("truth" in s.quantity for s in claim.stated)
        )


def test_every_edition_has_the_same_claims_units_and_bounds() -> None:
    fixed = {c.id: (c.unit, c.population, c.smallest.effect) for c in DECLARED.claims}
    editions = read_ledgers()
    assert editions
    for edition, ledger in editions.items():
        assert set(ledger["claims"]) == set(fixed), edition
        for name, entry in ledger["claims"].items():
            assert (entry["unit"], entry["population"], entry["sesoi"]) == fixed[name]
            assert {"holds", "reproduced", "estimate", "low", "high", "p", "side", "unit", "n", "population"} <= set(entry)
            for one in entry.get("each", {"": entry}).values():
                numbers = [one[k] for k in ("p", "low", "high", "low90", "high90")]
                rule = decide(numbers[0], tuple(numbers[1:3]), tuple(numbers[3:]), fixed[name][2])
                assert one["holds"] == rule, (edition, name)


def test_wrong_records_are_refused(tmp_path: Path) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "structure")
    with pytest.raises(ClaimError, match="only finite numbers"):
        ledger.record({"a": float("nan")})
    ledger.record({"a": 1.0}, "p.", ".tau")
    assert ledger.quantities == {"p.a.tau": 1.0}
    with pytest.raises(ClaimError, match="was recorded as"):
        ledger.record({"p.a.tau": 2.0})
    with pytest.raises(ClaimError, match="belongs to chapter 'lesions'"):
        ledger.claim("lesions")
    with pytest.raises(ClaimError, match="knows no claim 'nope'"):
        ledger.claim("nope")


def test_tables_name_their_cells_themselves(tmp_path: Path) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "structure")
    table = pd.DataFrame({"t": [9.0, 12.0], "p": [0.2, 0.1]}, index=pd.Index([1500, 4000], name="N"))
    ledger.record(table, "lesions", main=4000)
    expected = {"lesions.t.1500": 9, "lesions.t.4000": 12, "lesions.t": 12}
    expected |= {"lesions.p.1500": 0.2, "lesions.p.4000": 0.1, "lesions.p": 0.1}
    assert ledger.quantities == expected
    array = xr.DataArray([[1.0, 2.0]], dims=("distance", "layer"), coords={"distance": ["d"], "layer": [1, 2], "size": 3})
    ledger.quantities.clear()
    ledger.record(array, "s.", ".tau")
    ledger.record(array.to_dataset(name="tau"), "x")
    ledger.record(array.to_dataset(name="tau"), "s.{distance}.layer.{layer}.{column}")
    assert ledger.quantities == {"s.d.1.tau": 1, "s.d.2.tau": 2, "x.tau.d.1": 1, "x.tau.d.2": 2,
                                 "s.d.layer.1.tau": 1, "s.d.layer.2.tau": 2}  # fmt: skip
    saved = json.loads((tmp_path / "x.json").read_text())["quantities"]
    assert saved == ledger.quantities
    with pytest.raises(ClaimError, match="no 'seed'; it has column, distance, layer"):
        ledger.record(array.to_dataset(name="tau"), "s.{seed}")
    with pytest.raises(ClaimError, match="no row 5; its rows: 1500, 4000"):
        ledger.record(table, "lesions", main=5)
    with pytest.raises(ClaimError, match=r"'n.p.4000' is nan"):
        ledger.record(table[["p"]].assign(p=[0.2, float("nan")]), "n")


def test_two_chapters_may_not_disagree(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, value in zip(paths, (1.0, 2.0), strict=True):
        path.write_text(json.dumps({"quantities": {"q": value}, "claims": {}}))
    with pytest.raises(ClaimError, match="two chapters recorded 'q'"):
        merge_records(json.loads(path.read_text()) for path in paths)


def test_ledgers_are_compared_within_tolerance_and_verdicts_exactly() -> None:
    old = {"quantities": {"a": 1.0, "gone": 1.0}, "claims": {"lesions": {"reproduced": "yes", "holds": "no"}}}
    new = {"quantities": {"a": 1.0 + 1e-8, "new": 1.0}, "claims": {"lesions": {"reproduced": "yes", "holds": "yes"}}}
    same = {row["name"]: row["same"] for row in compare_ledgers(old, new, DECLARED)}
    assert same == {"a": True, "gone": False, "new": False, "lesions: reproduced": True, "lesions: holds": False}
    off = compare_ledgers(old, {**old, "quantities": {"a": 1.01, "gone": 1.0}}, DECLARED)
    assert [row["name"] for row in off if not row["same"]] == ["a"]


def test_every_claim_is_in_an_abstract_and_in_its_chapter() -> None:
    named = {name for version in DECLARED.versions for sentence in version.sentences for name in sentence.claims}
    assert named == {claim.id for claim in DECLARED.claims}
    chapters = data_dir().parent / "book" / "chapters"
    for claim in DECLARED.claims:
        text = (chapters / f"{claim.chapter}.md").read_text()
        assert re.search(rf"tags: \[.*claim-{claim.id}[,\]]", text), claim.id
        assert (data_dir().parent / "emonb" / "analysis" / f"{claim.module}.py").is_file(), claim.module


def test_the_bounds_are_those_that_were_argued() -> None:
    rows = (data_dir() / "smallest-effects.md").read_text().splitlines()
    cells = [row.split("|")[5].strip() for row in rows if row.startswith("|")]
    argued = sorted(float(cell) for cell in cells if cell.startswith("."))
    declared = sorted(claim.smallest.effect for claim in DECLARED.claims if claim.id != "own")  # the scale of neurons
    assert argued == declared


def test_a_verdict_that_turns_is_a_difference_however_near_its_bound() -> None:
    numbers = _under("lesions.fixed", {**YES, "low": 1e-12, "low90": 0.021, "value": 0.03})
    claim = {"reproduced": "not printed", "holds": "yes"}
    old = {"study": "control", "quantities": numbers, "claims": {"lesions": claim}}
    turned = {"lesions": {**claim, "holds": "undecided"}}
    new = {**old, "quantities": {**numbers, "lesions.fixed.low": -1e-12}, "claims": turned}
    differ = [row["name"] for row in compare_ledgers(old, new, DECLARED) if not row["same"]]
    assert differ == ["lesions: holds"]


def test_words_of_a_claim_cover_its_outcomes() -> None:
    fields = DECLARED.claim("structure").model_dump()
    with pytest.raises(ValueError, match="needs words for no, undecided, yes"):
        claims.Claim.model_validate({**fields, "reads": {"yes": "it does"}})
