import html
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from emonb.book import cards, claims, pages
from emonb.book.claims import Evidence, Statement, judge
from emonb.book.ledger import (
    Ledger,
    adjust_holm,
    compare_ledgers,
    find_truth,
    judge_claim,
    know_truth,
    merge_records,
    read_ledgers,
)
from emonb.errors import ClaimError
from emonb.paths import data_dir
from emonb.world.world import Truth
from instrument.worlds import WORLDS

DECLARED = claims.read_declarations(data_dir() / "claims.yml")
YES = {"value": 0.3, "low": 0.1, "high": 0.5, "low90": 0.15, "high90": 0.45, "p": 0.004}
OPEN = {"value": 0.1, "low": -0.1, "high": 0.3, "low90": -0.05, "high90": 0.25, "p": 0.3}
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


SMALL = {"value": 0.03, "low": 0.01, "high": 0.05, "low90": 0.015, "high90": 0.045, "p": 0.004}


@pytest.mark.parametrize(
    ("evidence", "holds"),
    [(YES, "yes"), (SMALL, "yes, too small to matter"), (OPEN, "undecided"), (NO, "no"), ({}, "not tested")],
)
def test_the_verdict_is_the_rule_applied_to_what_was_recorded(tmp_path: Path, evidence: dict, holds: str) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "lesions.json", "lesions")
    ledger.record(_under("lesions.excess", evidence))
    ledger.record({"lesions.excess.n": 14, "lesions.selective.4000": 0.69928, "lesions.random.4000": 0.728})
    card = ledger.claim("lesions")
    saved = json.loads((tmp_path / "lesions.json").read_text())["claims"]["lesions"]
    claim = DECLARED.claim("lesions")
    assert card.entry == saved and saved["holds"] == holds and saved["n"] == 14
    assert (saved["reproduced"], saved["released"], saved["side"]) == ("not printed", "yes", "two-sided")
    assert saved["sesoi"] == claim.smallest.effect and saved["exploratory"] is False
    shown = html.unescape(card._repr_html_())
    assert f"holds {holds}" in str(card) and cards.HOLDS[holds] in shown
    if evidence:
        assert saved["estimate"] == evidence["value"] and "<circle" in shown
        assert claim.reads[holds.partition(",")[0]] in shown
        assert ("It is smaller than what would matter." in shown) == ("too small" in holds)
        assert f"for any bound above {evidence['high90']:.3g}." in shown
    else:
        assert saved["estimate"] is None and "not computed" in str(card)
    table = pages.verdict_table(DECLARED, {"published": {"claims": {"lesions": saved}}})
    assert 'href="published/lesions.html#claim-lesions"' in table and cards.HOLDS[holds] in table


def test_a_card_at_the_edge_says_what_would_turn_it(tmp_path: Path) -> None:
    bound = DECLARED.claim("structure").smallest.effect
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "structure")
    ledger.record(_under("structure.fit", {**NO, "low90": -0.004, "high90": 0.99 * bound, "high": bound}))
    shown = ledger.claim("structure")._repr_html_()
    assert f"At the edge: no for any bound above {0.99 * bound:.3g}." in shown


def test_undefined_evidence_is_not_tested_and_other_studies_are_not_compared_with_the_paper(tmp_path: Path) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "lesions", "control")
    ledger.record(_under("lesions.excess", dict.fromkeys(YES, float("nan"))), undefined="there are no masks")
    ledger.record({"lesions.selective.4000": 0.1})
    entry = ledger.claim("lesions").entry
    assert (entry["holds"], entry["reproduced"], entry["estimate"]) == ("not tested", "not printed", None)
    assert "released" not in entry


@pytest.mark.parametrize(("count", "p", "holds"), [(2, 0.01, "yes"), (0, 0.3, "undecided")])
def test_a_count_says_how_many_at_least_and_draws_them(tmp_path: Path, count: int, p: float, holds: str) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "attributes", "control")
    ledger.record({"own.count.value": count, "own.count.p": p, "attributes.of": 3, "attributes.n": 27})
    truth = Truth({"happy-face": 1.0, "arousal": 0.5, "fairness": 0.0}, {})
    claim, entry = DECLARED.claim("own"), ledger.claim("own").entry
    assert (entry["holds"], entry["estimate"], entry["of"], entry["n"]) == (holds, count, 3, 27)
    known = know_truth(claim, "control", truth)
    assert known == {"truth": "yes", "true_count": 2}
    assert know_truth(claim, "control-null", truth) == {"truth": "no", "true_count": 0}
    assert know_truth(claim, "published", None) == {}
    shown = cards.Card(claim, {**entry, **known})._repr_html_()
    assert shown.count("each-yes") == count and shown.count("<circle") == 3
    assert "planted here: 2<" in shown and "Of 3 attributes" in shown
    assert (f"Of 3 attributes at least {count} can be shown" in shown) == (holds == "yes")


def test_a_yes_that_its_test_is_not_good_for_is_withheld_and_no_other_verdict() -> None:
    claim = DECLARED.claim("lesions").model_copy(update={"no_yes": "by lot, 60 of 200"})
    said = [judge_claim(claim, _under("lesions.excess", evidence)) for evidence in (YES, SMALL, OPEN, NO)]
    assert [entry["holds"] for entry in said] == ["undecided", "undecided", "undecided", "no"]
    assert [entry.get("withheld") for entry in said] == ["yes", "yes, too small to matter", None, None]
    assert "this test may not: by lot, 60 of 200." in cards.read_verdict(claim, said[0])
    assert "may not" not in cards.read_verdict(claim, said[2])


def test_measured_truth_is_by_the_bound_and_open_near_it() -> None:
    claim = DECLARED.claim("structure")
    bound = claim.smallest.effect

    def told(effect: float) -> str | None:
        return find_truth(claim, "control", {"control": {"structure": {"effect": effect, "se": 0.01, "n": 5}}})

    assert [told(bound + 0.03), told(bound - 0.01), told(bound - 0.03), told(0.01), told(-0.3)] == [
        "yes", None, "yes, too small to matter", "no", "no",
    ]  # fmt: skip
    assert find_truth(claim, "control", {}) is None and find_truth(claim, "published", {}) is None
    assert find_truth(claim, "control-null", {}) == "no"


def test_every_world_has_a_truth_or_a_reason_for_each_claim() -> None:
    for claim in DECLARED.claims:
        worlds = [world for known in claim.truth for world in known.worlds]
        assert sorted(worlds) == sorted(WORLDS), claim.id


def test_no_verdict_reads_the_truth() -> None:
    for claim in DECLARED.claims:
        assert not claim.evidence.startswith("truth") and not any("truth" in s.quantity for s in claim.stated)
        assert claim.judge(claim.gather({f"truth.{claim.id}.value": 1.0, "truth.value": 1.0})) == "not tested"


def test_every_edition_has_the_same_claims_units_and_bounds() -> None:
    editions = read_ledgers()
    assert editions
    for edition, ledger in editions.items():
        assert set(ledger["claims"]) == {claim.id for claim in DECLARED.claims}, edition
        for claim in DECLARED.claims:
            entry = ledger["claims"][claim.id]
            told = (entry["unit"], entry["population"], entry["sesoi"], entry["exploratory"])
            assert told == (claim.unit, claim.population, claim.smallest.effect, edition in claim.exploratory)
            evidence = Evidence(*(entry["estimate" if f == "value" else f] for f in Evidence._fields))
            assert entry["holds"] == claim.judge(evidence), (edition, claim.id)
            assert ("p_holm" in entry) == (claim.role == "primary"), (edition, claim.id)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=6))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    """Brute force: the adjusted p is the smallest level at which the step-down procedure rejects."""

    def rejects(level: float) -> set[int]:
        left = set(range(len(p)))
        while left:
            k = min(left, key=lambda j: (p[j], j))
            if p[k] * len(left) > level:
                break
            left.remove(k)
        return set(range(len(p))) - left

    for k, adjusted in enumerate(adjust_holm(p)):
        assert adjusted == 1 or k in rejects(adjusted * (1 + 1e-12))
        assert k not in rejects(adjusted * (1 - 1e-9))


def test_primary_claims_are_adjusted_where_all_their_chapters_have_run() -> None:
    records = [{"quantities": {}, "claims": {name: {"p": p}}} for name, p in
               zip(DECLARED.primary, (0.01, None, 0.04, 0.02), strict=True)]  # fmt: skip
    merged = merge_records([*records, {"claims": {"words": {"p": 0.01}}}])["claims"]
    assert [merged[name]["p_holm"] for name in DECLARED.primary] == pytest.approx([0.04, None, 0.08, 0.06])
    assert "p_holm" not in merged["words"] and "p_holm" not in merge_records(records[:3])["claims"]["structure"]


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


def test_a_claim_is_not_shown_before_all_that_it_reads(tmp_path: Path) -> None:
    ledger = Ledger(data_dir() / "claims.yml", tmp_path / "x.json", "attributes")
    ledger.record({"own.count.value": 1.0, "own.count.p": 0.03, "attributes.of": 14})
    ledger.claim("own")
    ledger.record({"anything.else": 1.0})
    with pytest.raises(ClaimError, match="'own' was shown before all that it reads: attributes"):
        ledger.record({"attributes.rank_agreement": 0.99})


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


def test_every_claim_of_the_authors_is_in_an_abstract_and_every_claim_in_its_chapter() -> None:
    named = {name for version in DECLARED.versions for sentence in version.sentences for name in sentence.claims}
    assert named == {claim.id for claim in DECLARED.claims if claim.role != "question"}
    chapters = data_dir().parent / "book" / "chapters"
    for claim in DECLARED.claims:
        text = (chapters / f"{claim.chapter}.md").read_text()
        assert re.search(rf"tags: \[.*claim-{claim.id}[,\]]", text), claim.id
        assert (data_dir().parent / "emonb" / "analysis" / f"{claim.id}.py").is_file(), claim.id
        assert (data_dir().parent / "tests" / "analysis" / f"test_{claim.id}.py").is_file(), claim.id
        assert claim.evidence.partition(".")[0] == claim.id  # its numbers in the ledger begin with its name


def test_the_bounds_are_those_that_were_argued() -> None:
    rows = (data_dir() / "smallest-effects.md").read_text().splitlines()
    cells = [[cell.strip() for cell in row.split("|")] for row in rows if row.startswith("|")]
    argued = {cell[1]: float(cell[5]) for cell in cells[2:]}
    assert argued == {claim.id: claim.smallest.effect for claim in DECLARED.claims}


def test_a_verdict_that_turns_is_a_difference_however_near_its_bound() -> None:
    numbers = _under("lesions.excess", {**YES, "low": 1e-12, "low90": 0.21})
    claim = {"reproduced": "not printed", "holds": "yes"}
    old = {"study": "control", "quantities": numbers, "claims": {"lesions": claim}}
    turned = {"lesions": {**claim, "holds": "undecided"}}
    new = {**old, "quantities": {**numbers, "lesions.excess.low": -1e-12}, "claims": turned}
    differ = [row["name"] for row in compare_ledgers(old, new, DECLARED) if not row["same"]]
    assert differ == ["lesions: holds"]


def test_words_of_a_claim_cover_its_outcomes() -> None:
    fields = DECLARED.claim("structure").model_dump()
    with pytest.raises(ValueError, match="needs words for no, undecided, yes"):
        claims.Claim.model_validate({**fields, "reads": {"yes": "it does"}})
