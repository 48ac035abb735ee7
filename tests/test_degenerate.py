"""Legitimate but degenerate data: chapters finish, and say what is undefined, why, and for whom."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import odd
import pandas as pd
import pytest
import xarray as xr
import yaml

from emonb.analysis import lesions, neurons, people, rdm, reported, statistics, structure, words
from emonb.analysis.rdm import level
from emonb.book import saying
from emonb.book.cards import Card
from emonb.book.interactive import Interactive
from emonb.book.ledger import Ledger, compare_ledgers, declarations, merge_records
from emonb.errors import ClaimError
from emonb.paths import chapters_dir, data_dir
from emonb.run import editions, notebooks
from emonb.run.runs import RECORD, Run
from emonb.study import load_study

pytestmark = pytest.mark.usefixtures("own_runs")
EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise")


# ---------------------------------------------------------------- whole chapters


def _execute(
    path: Path, monkeypatch: pytest.MonkeyPatch, chapters: tuple[str, ...] = editions.CHAPTERS
) -> tuple[dict, str]:
    """Chapters of a study, cell by cell in this process: their ledger, and what they show (pictures are drawn)."""
    folder, shown = path.parent / "records", []
    study = load_study(str(path))
    for chapter in chapters:
        monkeypatch.setenv(RECORD, str(folder / f"{chapter}.json"))
        space: dict = {"display": shown.append}
        for cell in notebooks.keep_cells(notebooks.read_source(chapters_dir() / f"{chapter}.md"), study).cells:
            if cell.cell_type == "code" and (text := saying.read_cell(cell.source)) is not None:
                shown.append(space["run"].fill(text, space))
            elif cell.cell_type == "code":
                *body, last = ast.parse(cell.source).body
                ends_in_value = isinstance(last, ast.Expr)
                exec(compile(ast.Module(body if ends_in_value else [*body, last], []), chapter, "exec"), space)
                if ends_in_value:
                    shown.append(eval(compile(ast.Expression(last.value), chapter, "eval"), space))
                if "parameters" in cell.metadata.get("tags", []):
                    space["study"] = str(path)
    ledger = merge_records(json.loads((folder / f"{chapter}.json").read_text()) for chapter in chapters)
    pictures = [thing for thing in shown if isinstance(thing, Interactive)]
    assert all("interactive" in picture._repr_html_() for picture in pictures)
    said = [thing for thing in shown if not isinstance(thing, Run | Interactive)]
    text = " ".join(getattr(thing, "data", None) or str(thing) for thing in said)
    text = re.sub(r"\s+", " ", text)
    assert not re.search(r"\bnan\b", text)
    return ledger, text


def test_people_and_comments_that_do_not_vary(tmp_path: Path, monkeypatch) -> None:
    """Six emotions; a judge who always says the same, an attribute with one score, raters who agree equally on all
    emotions, and an emotion whose comments are emoji."""
    odd_people = {"constant_rater": 2, "equal_scores": "odd", "equal_kappa": True}
    study = odd.write_study(tmp_path, EKMAN, ("warm", "fast", "odd"), emoji_only="fear", **odd_people)
    ledger, text = _execute(study, monkeypatch)
    assert "judge 2 are the same" in text
    assert "has the same score on odd" in text
    assert "No neuron follows odd, so that there is no mask." in text
    assert "do not tell fear from others" in text
    q, undefined = ledger["quantities"], ledger["undefined"]
    assert q["attributes.importance.odd"] is None and q["attributes.importance.warm"] is not None
    assert "the same for every emotion" in undefined["attributes.importance.odd"]
    assert q["importance.n"] == 2
    assert q["words.partial.rho"] is not None  # of the five other emotions
    assert "raters agree equally" in undefined["prompts.kappa.r"] and q["prompts.kappa.n"] == 6
    assert all(name in q and q[name] is None for name in undefined)


def test_a_network_that_reads_nothing_has_masks_without_effect(tmp_path: Path, monkeypatch) -> None:
    study = odd.write_study(tmp_path, EKMAN, ("warm", "fast", "odd"), silent=True)
    ledger, text = _execute(study, monkeypatch)
    assert "Masks of warm, fast, odd change no prompt more or less than random ones do." in text
    q = ledger["quantities"]
    assert q["lesions.difference"] == 0 and q["lesions.excess.p"] is None
    assert q["lesions.prompts.p"] is None and q["importance.loss.p"] is None and q["profile.slope.p"] is None
    for claim in ("lesions", "profile", "importance"):
        assert ledger["claims"][claim]["holds"] == "not tested"
    assert q["lesions.majority.share"] == 0  # no emotion is worse


@pytest.mark.parametrize("accuracy", [1.0, 0.7])
def test_released_accuracies_that_are_all_the_same(tmp_path: Path, monkeypatch, accuracy: float) -> None:
    study = odd.write_released(tmp_path, EKMAN, ("warm", "fast", "odd"), accuracy=accuracy)
    ledger, text = _execute(study, monkeypatch, ("prompts", "lesions"))
    q = ledger["quantities"]
    assert q["prompts.accuracy"] == pytest.approx(accuracy)
    assert q["prompts.kappa.r"] is None and "equally accurate" in text
    assert q["lesions.difference"] == 0 and q["lesions.prompts.p"] is None and q["lesions.excess.p"] is None
    assert "masks do not differ" in ledger["undefined"]["lesions.excess.p"]
    assert ledger["claims"]["lesions"]["holds"] == ledger["claims"]["importance"]["holds"] == "not tested"


LEFTOVERS = (
    r"\b27\b|\b351\b|\b14\b|fourteen|twelve|three panels|all comments with|cannot be told: [^.]* or |\b1 attributes\b"
    r"|\bgrief\b|Reddit"
    r"|\b1 prompts\b|hundreds|like people's \(|−\d+ %\*\* of what could|undefined|does to most: [0-4]?\d %|seeds 1;"
)
"""What is true of the published study, or of nobody's in particular, and not of the one below."""


def test_an_own_study_is_told_what_is_true_of_it(tmp_path: Path, monkeypatch) -> None:
    """Six emotions, three attributes, two seeds, Euclidean distances, twelve comments an emotion, nobody's agreement."""
    path = odd.write_study(tmp_path, EKMAN, ("warm", "fast", "odd"))
    fields = yaml.safe_load(path.read_text())
    fields |= {"seeds": [1, 3], "distance": "euclidean"}
    fields["lesions"] |= {"examples": 12, "selection_seeds": "half"}
    fields["humans"].pop("agreement")
    path.write_text(yaml.safe_dump(fields))
    ledger, text = _execute(path, monkeypatch)
    study = load_study(str(path))
    for chapter in editions.CHAPTERS:
        cells = notebooks.keep_cells(notebooks.read_source(chapters_dir() / f"{chapter}.md"), study).cells
        text += " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    cards = [Card(declarations().claim(name), entry)._repr_html_() for name, entry in ledger["claims"].items()]
    text = re.sub(r"<svg.*?</svg>|\s+", " ", text + " ".join(cards))
    assert not re.findall(f".{{30}}(?:{LEFTOVERS}).{{30}}", text)
    assert "12 comments an emotion" in text and "(here " not in text and "The 6 emotions" not in text
    assert "6 emotions lie among each other" in text
    assert (
        "about as well" not in text and "can be trusted" not in text and "as good a map" not in text
    )  # so few cannot tell
    q = ledger["quantities"]
    ends = [name for name in q if name.endswith((".low", ".high", ".low90", ".high90", ".rho", ".r", ".tau"))]
    ends = [name for name in ends if not name.startswith("words.difference")]  # of two correlations
    parts = ("structure", "words", "reliance", "importance", "people", "knowledge", "attributes", "prompts")
    beyond = {name: q[name] for name in ends if name.startswith(parts) and q[name] is not None and abs(q[name]) > 1}
    assert not beyond
    assert not [name for name in q if name.startswith("prompts.kappa")]
    assert not {name: reason for name, reason in ledger["undefined"].items() if " or " in reason}


def test_judgments_turned_round_and_comments_in_two_splits_are_said(tmp_path: Path, monkeypatch) -> None:
    path = odd.write_study(tmp_path, EKMAN, ("warm", "fast", "odd"))
    lines = (tmp_path / "train").read_text().splitlines()
    (tmp_path / "test").write_text("\n".join([*lines[:9], *(tmp_path / "test").read_text().splitlines()]) + "\n")
    ledger, text = _execute(path, monkeypatch, ("people", "prompts"))
    twice = ledger["quantities"]["prompts.twice.test.train"]
    assert twice >= 9 and f"{twice:.0f} stand word for word in the train split" in text
    assert "Judged nearest are" in text and "Turned round?" not in text
    for name in ("judgments", "mean_judgments"):
        (10 - pd.read_csv(tmp_path / name)).to_csv(tmp_path / name, index=False)
    assert "Turned round?" in _execute(path, monkeypatch, ("people",))[1]


def test_labels_in_another_order_and_rows_that_were_copied_are_said(tmp_path: Path, monkeypatch) -> None:
    path = odd.write_study(tmp_path, EKMAN, ("warm", "fast", "odd"))
    for split in ("train", "dev", "test"):
        lines = (tmp_path / split).read_text().splitlines()
        named = [f"{EKMAN[int(line.split(chr(9))[1])]} {line}" for line in lines]
        (tmp_path / split).write_text("\n".join(named) + "\n")
    _, text = _execute(path, monkeypatch, ("people", "prompts"))
    assert "Labels in another order?" not in text and "Copied?" not in text
    fields = yaml.safe_load(path.read_text())
    fields["corpus"]["labels"] = ["disgust", "anger", *EKMAN[2:], "neutral"]
    fields["humans"].pop("mean_judgments")
    path.write_text(yaml.safe_dump(fields))
    judges = pd.read_csv(tmp_path / "judgments")
    pd.concat([judges, judges.iloc[[1]]]).to_csv(tmp_path / "judgments", index=False)
    _, text = _execute(path, monkeypatch, ("people", "prompts"))
    assert "*anger*, in those labelled disgust; *disgust*, in those labelled anger" in text
    assert "judged alike by judges 2 and 7" in text


def test_one_attribute_and_one_prompt_are_told_in_the_singular() -> None:
    """Cells that count, filled with ones."""
    ones = {"neurons.count.value": 1.0, "own.count.value": 0.0, "neurons.alone": 1.0, "neurons.reached.most": 0.0,
            "neurons.reached.least": 0.8, "attributes.count.paper": 0.0, "prompts.failed": 1.0, "prompts.failed.n": 12.0,
            "prompts.failed.worst": 1.0, "reliance.human_count": 1.0, "attributes.of": 3.0}  # fmt: skip
    helpers = {"verdict": lambda name: "undecided"}
    notebook = {"ends": ["warm", "odd"], "names": "seed 3", "study": "live"}
    text = ""
    for chapter, sought in (("attributes", r"readable \(95|populations"), ("prompts", "crossed;|Average over seeds")):
        for cell in notebooks.read_source(chapters_dir() / f"{chapter}.md").cells:
            said = saying.read_cell(cell.source) if cell.cell_type == "code" else None
            if said is not None and re.search(sought, said):
                text += " " + saying.render(said, ones, notebook, **helpers)
    text = re.sub(r"\s+", " ", text)
    assert "1 attribute has" in text and "at least **1** is readable" in text and "One attribute can be told" in text
    assert "1 of 12 prompts is crossed; it comes" in text and "one prompt did not learn its emotion" in text
    assert not re.search(r"\b1 attributes|\b1 prompts|1 populations|\*\*1\*\* are", text)


# ---------------------------------------------------------------- single statistics


def test_nothing_undefined_is_ever_significant() -> None:
    rng = np.random.default_rng(0)
    kappa, accuracy = rng.random(6), 1 - 1e-16 * rng.integers(0, 2, 6)
    assert np.isnan(list(statistics.correlation_test(kappa, accuracy).values())[:4]).all()
    assert np.isnan(reported._t_test(np.full(9, 0.1) + 1e-17 * rng.random(9)).p)
    x = rng.random(28)
    for pair in ((np.ones(28), x), (x, np.ones(28))):
        assert np.isnan(words.estimate_given(*pair, rng.random(28))).all()
        assert np.isnan(structure.compare(*pair, "rho")) and np.isnan(structure.compare(*pair))
    assert np.isnan(list(words.unique_variance(x, np.ones(28), rng.random(28), 0.9).values())).all()


def test_a_constant_rdm_has_no_p_of_its_own_and_others_keep_theirs() -> None:
    rng = np.random.default_rng(0)
    coords = rdm.pair_coords([f"e{k}" for k in range(7)])
    rdms = xr.DataArray(rng.random((3, 21)), {"attribute": ["a", "b", "c"], **coords}, ("attribute", "pair"))
    human = rdms[0].drop_vars("attribute")
    table = structure.fit_tests(rdms, human, 99, 0)
    rdms[1] = 0.5
    changed = structure.fit_tests(rdms, human, 99, 0)
    assert changed.loc["b"].isna().all() and changed.loc[["a", "c"]].notna().all(axis=None)
    assert (changed["mantel_p"] == table["mantel_p"]).loc[["a", "c"]].all()


def test_a_judge_who_always_says_the_same_is_left_out_everywhere() -> None:
    rng = np.random.default_rng(0)
    judgments = xr.DataArray(
        rng.random((5, 21)), {"judge": [1, 2, 3, 4, 5], **rdm.pair_coords([*"abcdefg"])}, ("judge", "pair")
    )
    models = xr.DataArray(rng.random((2, 21)), {"m": [0, 1], **rdm.pair_coords([*"abcdefg"])}, ("m", "pair"))
    judgments[2] = 5.0
    assert people.constant_judges(judgments) == [3]
    assert np.isfinite(structure.noise_ceiling(judgments)).all()
    xr.testing.assert_allclose(
        structure.fit_judges(models, judgments), structure.fit_judges(models, judgments[[0, 1, 3, 4]])
    )
    assert 0 < structure.mean_reliability(judgments, 20, 0) < 1 or structure.mean_reliability(judgments, 20, 0) < 0
    assert np.isfinite(structure.bootstrap_fit(models, judgments, 99, 0)).all(axis=None)
    judgments[:] = 5.0
    assert np.isnan([*structure.noise_ceiling(judgments), structure.mean_reliability(judgments, 9, 0)]).all()


def test_bootstraps_count_the_draws_in_which_there_is_something_to_correlate() -> None:
    rng = np.random.default_rng(0)
    three = structure.bootstrap_fit(rng.random((1, 3)), rng.random((4, 3)), 300, 0, "emotions").loc[0]
    p = 6 / 27  # all three emotions are drawn
    assert abs(three.draws - 300 * p) < 5 * np.sqrt(300 * p * (1 - p)) and np.isfinite(three).all()
    seven = structure.bootstrap_fit(rng.random((1, 21)), rng.random((4, 21)), 300, 0, "emotions").loc[0]
    assert seven.draws >= 299
    none = structure.bootstrap_fit(np.ones((1, 21)), rng.random((4, 21)), 30, 0).loc[0]
    assert none.draws == 0 and np.isnan(none[["value", "low", "high"]]).all()


@pytest.mark.parametrize("unit", [0.1, 1 / 3, 1e-9, 7.3])
def test_the_unit_of_coarse_activations_decides_nothing(unit: float) -> None:
    rng = np.random.default_rng(0)
    names = [f"e{k}" for k in range(9)]
    whole = rng.integers(0, 9, (3, 9, 2, 20)).astype(float)
    human = xr.Dataset({"attribute_rdm": (("attribute", "pair"), rng.integers(0, 5, (2, 36)).astype(float))},
                       coords={"attribute": ["a", "b"], **rdm.pair_coords(names)})  # fmt: skip

    def search(values: np.ndarray) -> xr.Dataset:
        coords = {"seed": [1, 2, 3], "emotion": names, "layer": [1, 2], "neuron": np.arange(20)}
        activation = xr.DataArray(values, coords, ("seed", "emotion", "layer", "neuron"), name="activation")
        return neurons.search_neurons(rdm.rank_neuron_rdms(activation, human), human)

    xr.testing.assert_identical(search(whole), search(whole * unit))
    for distance in rdm.DISTANCES:
        one, other = (rdm.pattern_rdm(values[0].reshape(9, -1)[:, :3], distance) for values in (whole, whole * unit))
        assert len(np.unique(one)) == len(np.unique(other))


def test_small_differences_of_small_numbers_are_differences() -> None:
    values = np.array([[1e-5, 3e-40, 1e-40, 0.0]])
    i, j = np.triu_indices(4, 1)
    rdms = np.abs(values[:, i] - values[:, j])
    np.testing.assert_array_equal(level(rdms, values), rdms)


def test_partial_comparisons_leave_out_emotions_without_a_covariate() -> None:
    rng = np.random.default_rng(0)
    model, human, known = (rdm.to_square(rng.random(28)) for _ in range(3))
    inner = np.ix_(range(7), range(7))
    i, j = np.triu_indices(7, 1)
    expected = words.estimate_given(*(square[inner][i, j] for square in (model, human, known)))
    known[7] = known[:, 7] = np.nan
    i, j = np.triu_indices(8, 1)
    gaps = [square[i, j] for square in (model, human, known)]
    assert words.estimate_given(*gaps) == expected
    assert words.permute_residuals(*gaps, 99, 0).value == pytest.approx(expected.value)
    known[:] = np.nan
    nothing = [square[i, j] for square in (model, human, known)]
    assert np.isnan(words.permute_residuals(*nothing, 99, 0)[:3]).all()


def test_an_attribute_that_never_varies_has_no_mask_and_no_test() -> None:
    rank = neurons.rank_neurons(np.array([[0.1, 0.7, 0.3], [np.nan] * 3])).reshape(2, 1, 3)
    ranks = xr.DataArray(rank, {"attribute": ["a", "b"]}, ("attribute", "layer", "neuron"))
    mask = neurons.select_neurons(ranks, 2)
    assert mask.sum(("layer", "neuron")).values.tolist() == [2, 0]
    assert np.isnan(neurons.overlap(mask).sel(attribute="b")).all()
    assert np.isnan(neurons.layer_profile(mask.assign_coords(layer=[1])).sel(attribute="b")).all()
    accuracy = np.full((2, 2, 1, 2, 3), 0.7)
    accuracy[:, 1] = np.nan
    labels = {"kind": ["selective", "random"], "attribute": ["a", "b"], "size": [2], "seed": [1, 3], "emotion": list("xyz")}
    data = xr.Dataset({"accuracy": (tuple(labels), accuracy)}, labels)
    selective, random = (lesions.mask_means(data, kind, [2]) for kind in labels["kind"])
    assert selective.attribute.values.tolist() == ["a"]
    related = lesions.relate_masks(xr.DataArray(
        np.arange(8).reshape(1, 1, 1, 8) < 2, {"attribute": ["a"], "size": [2]}, ("attribute", "size", "layer", "neuron")
    ))  # fmt: skip
    table = lesions.compare_masks(selective, random, related, intact=0.8)
    assert (table["value"] == 0).all() and table[["p", "low", "high90"]].isna().all(axis=None)
    assert lesions.find_outlying(selective, random).p.isna().all()
    assert np.isnan(statistics.detectable_difference(0.0, 3))


# ---------------------------------------------------------------- the ledger


def test_an_undefined_quantity_is_kept_with_its_reason_and_no_claim_is_tested_on_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    ledger = Ledger(data_dir() / "claims.yml", path, "lesions")
    ledger.record({"a": float("nan")}, undefined="there is no a")
    with pytest.raises(ClaimError, match="undefined ones with a reason"):
        ledger.record({"b": float("nan")})
    with pytest.raises(ClaimError, match="only finite"):
        ledger.record({"b": float("inf")}, undefined="it is large")
    fields = ("value", "low", "high", "low90", "high90", "p")
    ledger.record({f"lesions.fixed.{name}": float("nan") for name in fields}, undefined="there are no masks")
    ledger.record({"importance.loss.p": float("nan")})  # as data/claims.yml says
    ledger.record({"a": float("nan")}, undefined="there is no a")  # again, the same
    card = ledger.claim("lesions")
    assert card.entry["holds"] == "not tested" and "holds not tested" in str(card) and "not computed" in str(card)
    record = json.loads(path.read_text())
    assert record["quantities"]["a"] is None and record["undefined"]["a"] == "there is no a"
    assert "too few attributes" in record["undefined"]["importance.loss.p"]
    assert "NaN" not in path.read_text()
    merged = {"study": "published", **merge_records([record])}
    assert all(row["same"] for row in compare_ledgers(merged, merged, declarations()))
    other = {**merged, "quantities": {**merged["quantities"], "a": 1.0}}
    for pair in ((merged, other), (other, merged)):
        row = next(row for row in compare_ledgers(*pair, declarations()) if row["name"] == "a")
        assert not row["same"] and "undefined" in (row["committed"], row["recomputed"])
