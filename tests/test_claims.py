import html
import json
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from emonb.book import claims, pages
from emonb.book.ledgers import compare_ledgers, merge_records
from emonb.errors import ClaimError
from emonb.paths import data_dir

DECLARED = claims.read_declarations(data_dir() / "claims.yml")


def _criterion(**bounds: object) -> claims.Criterion:
    return claims.Criterion(quantity="q", **bounds)


@pytest.mark.parametrize(
    ("bounds", "quantities", "verdict"),
    [
        ({"equals": 0.351, "within": 0.001}, {"q": 0.3515}, "yes"),
        ({"equals": 0.351, "within": 0.001}, {"q": 0.353}, "no"),
        ({"above": 0.97}, {"q": 0.97}, "no"),
        ({"below": 0.05}, {"q": 0.049}, "yes"),
        ({"above": "other"}, {"q": 2.0, "other": 1.0}, "yes"),
        ({"above": "other"}, {"q": 2.0}, "untested"),
        ({"above": 1}, {}, "untested"),
        ({"above": 0, "below": 1}, {"q": 1.5}, "no"),
    ],
)
def test_criteria(bounds: dict, quantities: dict, verdict: str) -> None:
    assert _criterion(**bounds).judge(quantities) == verdict


def test_a_criterion_needs_a_bound() -> None:
    with pytest.raises(ValueError, match="needs equals, above or below"):
        _criterion()


def test_all_criteria_together() -> None:
    pair = (claims.Criterion(quantity="a", above=0), claims.Criterion(quantity="b", above=0))
    assert claims.judge(pair, {"a": 1, "b": 1}) == "yes"
    assert claims.judge(pair, {"a": 1, "b": -1}) == "no"
    assert claims.judge(pair, {"a": 1}) == "untested"
    assert claims.judge(pair, {"b": -1}) == "no"


def test_the_verdict_follows_the_number(tmp_path: Path) -> None:
    for p, expected in ((0.01, "yes"), (0.2, "no")):
        ledger = claims.Ledger(data_dir() / "claims.yml", tmp_path / f"{p}.json", "lesions")
        ledger.record({"lesions.selective.4000": 0.69928, "lesions.random.4000": 0.728, "lesions.paper_p": 1e-9})
        ledger.record({"lesions.difference": 0.03, "lesions.mask_p": p})
        line = ledger.claim("lesions")
        assert (line.reproduced, line.holds) == ("yes", expected)
        assert f"holds {expected}" in str(line)
        saved = json.loads((tmp_path / f"{p}.json").read_text())
        assert saved["claims"]["lesions"]["holds"] == expected
        ledgers = {"published": saved}
        table = pages.abstract_table(DECLARED, ledgers)
        assert 'href="published/lesions.html#claim-lesions"' in table
        words = pages.discuss(DECLARED, ledgers, "published")
        assert DECLARED.claim("lesions").discussion[expected][:40] in html.unescape(words)


def test_wrong_records_are_refused(tmp_path: Path) -> None:
    ledger = claims.Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "structure")
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
    ledger = claims.Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "structure")
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


def test_every_claim_is_in_the_abstract_and_in_its_chapter() -> None:
    named = [name for sentence in DECLARED.abstract for name in sentence.claims]
    assert sorted(named) == sorted(
        claim.id for claim in DECLARED.claims if "*" in claim.studies and claim.id != "knowledge"
    )
    assert {claim.id for claim in DECLARED.of_study("control")} == {*named, "knowledge"}
    chapters = data_dir().parent / "book" / "chapters"
    for claim in DECLARED.claims:
        text = (chapters / f"{claim.chapter}.md").read_text()
        assert f":tags: [claim-{claim.id}]" in text
        assert f"## Claim: {claim.id}\n" in text or claim.id == "knowledge"  # the index links to this heading


def test_the_control_has_criteria_and_a_truth_of_its_own() -> None:
    assert DECLARED.claim("lesions").truth == {}
    assert DECLARED.claim("lesions", "control").truth["control-encoded"] == "no"
    assert DECLARED.claim("structure", "control-null").holds != DECLARED.claim("structure").holds


def test_a_verdict_may_turn_only_where_a_tolerated_difference_can_turn_it() -> None:
    rule = claims.Tolerance(match="importance.attribute_p", study="control", absolute=0.1)
    declared = DECLARED.model_copy(update={"tolerances": (rule, *DECLARED.tolerances)})
    for p, allowed in ((0.06, True), (0.9, False)):
        old = {"study": "control", "quantities": {"importance.attribute_p": p, "lesions.mask_p": 0.001},
               "claims": {"importance": {"reproduced": "yes", "holds": "no"}}}  # fmt: skip
        new = {**old, "claims": {"importance": {"reproduced": "yes", "holds": "yes"}}}
        same = {row["name"]: row["same"] for row in compare_ledgers(old, new, declared)}
        assert same["importance: holds"] is allowed
