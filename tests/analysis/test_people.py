"""The people: raw ratings read without names, reliability against pingouin, components and corrections of known truth."""

import warnings
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pingouin
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emonb.analysis import people, structure
from emonb.data import sources
from emonb.data.people import COMPONENTS, PANELS, read_humans, read_judgments, read_long, read_ratings
from emonb.errors import LabelError, StudyError
from emonb.run.runs import Run, open_run
from emonb.study import Humans, Study, load_study

EMOTIONS = ["calm", "dread", "glee", "gloom", "pique"]


ORDER = ["gloom", "calm", "pique", "dread", "glee"]  # the RDMs' order is another one


ATTRIBUTES = [a for panel in PANELS.values() for a in panel.values()] + list(COMPONENTS)


SECRET = "a name that must not get out"


ACCEPTED = {"Finished": "True", "UserLanguage": "EN", "Consent": "I agree"}


def _panel(name: str, mean: np.ndarray, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Raters of one questionnaire: mean [emotion, attribute], and an item that asks for the highest score."""
    rows = []
    for _ in range(n):
        score = np.clip(np.round(mean + rng.normal(0, 0.8, mean.shape)), 1, 9).astype(int)
        score = np.vstack([score, np.full(mean.shape[1], 9)])
        cells = {f"{k + 1}_{c}_1": v for k, row in enumerate(score) for c, v in zip(PANELS[name], row, strict=True)}
        rows.append({**ACCEPTED, "Prolific ID ": SECRET, **cells, "PROLIFIC_PID": SECRET})
    return pd.DataFrame(rows).astype(str)


def _events(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """People who recalled one event each: six factors of six items each, two items of none; two lines under the heading."""
    factor = np.repeat(np.arange(6), 6)
    level = rng.normal(size=(len(EMOTIONS), 6))
    rows = []
    for k in range(n * len(EMOTIONS)):
        emotion = k % len(EMOTIONS)
        own = 1.5 * level[emotion] + rng.normal(size=6)
        answer = np.clip(np.round(5 + 1.2 * np.r_[own[factor], 0, 0] + rng.normal(size=38)), 1, 9).astype(int)
        items = dict(zip([f"{i}_Item_1" for i in range(4, 42)], answer, strict=True))
        checks = {"42_Item_1": 4, "43_Item_1": -99}
        texts = {"EMOTION": EMOTIONS[emotion].upper(), "Recall": SECRET, "Specific Event": SECRET}
        rows.append({**ACCEPTED, "PROLIFIC_PID": SECRET, **texts, **items, **checks})
    asked = {c: f"To what extent? - 'Specific Event A' was item {c}. - [Field-1]" for c in rows[0]}
    return pd.DataFrame([asked, dict.fromkeys(asked, "{}"), *rows]).astype(str)


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Path]:
    """Raw files of a small study; people who must be left out stand first and last."""
    rng = np.random.default_rng(3)
    files = {name: tmp_path / f"{name}.csv" for name in ("emotions", "affective", "physical", "appraisal", "wording")}
    files["emotions"].write_text("\n".join([*EMOTIONS, "neutral"]) + "\n")
    for name, columns in PANELS.items():
        table = _panel(name, rng.uniform(2, 8, (len(EMOTIONS), len(columns))), 12, rng)
        inattentive, dropout = table.iloc[0].copy(), table.iloc[1].copy()
        inattentive[f"6_{next(iter(columns))}_1"], dropout["Consent"] = "8", "no"
        pd.concat([inattentive.to_frame().T, table, dropout.to_frame().T]).to_csv(files[name], index=False)
    events = _events(16, rng)
    wrong = events.iloc[2:6].copy()
    wrong.iloc[0, wrong.columns.get_loc("42_Item_1")] = "5"
    wrong.iloc[1, wrong.columns.get_loc("43_Item_1")] = "1"
    wrong.iloc[2, wrong.columns.get_loc("Specific Event")] = " N/A"
    wrong.iloc[3, wrong.columns.get_loc("Finished")] = "False"
    events.iloc[10, events.columns.get_loc("7_Item_1")] = "-99"
    pd.concat([events, wrong]).to_csv(files["appraisal"], index=False)
    asked = [[a.removesuffix("-face"), f"how {a}?"] for a in ATTRIBUTES[:8]]
    words = [*asked, ["surprising", "Specific Event A was item 7_Item_1."]]
    pd.DataFrame(words, columns=["name", "description"]).to_csv(files["wording"], index=False)
    files["judgments"] = tmp_path / "data.xlsx"
    _write_judgments(files["judgments"], rng)
    return files


def _write_judgments(path: Path, rng: np.random.Generator) -> None:
    book = openpyxl.Workbook()
    book.active.append(["EmoPair_1", "EmoPair_2", "DistMean", *[f"raw_{k}" for k in range(1, 5)]])
    names = [*EMOTIONS, "neutral"]
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            row = [int(v) for v in rng.integers(1, 10, 4)]
            book.active.append([first, second, 0.0, *row])
    book.active["E2"] = None  # calm|dread, judge 2
    book.save(path)


def _humans(raw: dict[str, Path]) -> xr.Dataset:
    """What the finished files of the same people would hold."""
    parts = []
    for name, columns in PANELS.items():
        table = pd.read_csv(raw[name]).iloc[1:-1]
        values = [[table[f"{k + 1}_{c}_1"].mean() for c in columns] for k in range(len(EMOTIONS))]
        parts.append(pd.DataFrame(values, EMOTIONS, list(columns.values())))
    events = pd.read_csv(raw["appraisal"], skiprows=[1, 2], keep_default_na=False).iloc[:-4]
    items = events[[f"{i}_Item_1" for i in range(4, 42)]].replace(-99, 5).to_numpy(float)
    score = pd.DataFrame(people.find_components(items, 6)[1], columns=list(COMPONENTS))
    parts.append(score.groupby(events["EMOTION"].str.lower()).mean())
    scores = pd.concat(parts, axis=1).loc[ORDER, ATTRIBUTES]
    array = xr.DataArray(scores, dims=("emotion", "attribute"))
    judgment = xr.DataArray(np.ones((2, 10)), dims=("judge", "pair"))
    return xr.Dataset({"score": (array - array.min("emotion")) / (array.max("emotion") - array.min("emotion"))}).assign(
        judgment=judgment
    )


def _read(raw: dict[str, Path]) -> xr.Dataset:
    return read_ratings(_humans(raw), raw, seed=0, simulations=50)


def test_raw_files_give_ratings_by_name_and_leave_out_whom_they_must(raw: dict[str, Path]) -> None:
    data = _read(raw)
    assert data.given.to_series().to_dict() == {"affective": 14, "physical": 14, "appraisal": 84}
    assert pd.Series(data.panel_of.values).value_counts().to_dict() == {"affective": 12, "physical": 12, "appraisal": 80}
    assert list(data.emotion.values) == ORDER
    table = pd.read_csv(raw["physical"]).iloc[1:-1]
    fear = data.rating.sel(emotion="gloom", attribute="fear-face").dropna("rater").values
    np.testing.assert_array_equal(fear, table[f"{EMOTIONS.index('gloom') + 1}_Fear_1"])
    assert int(data.answer.isnull().sum()) == 1
    assert data.answer.isnull().sum("event").to_series().idxmax() == 4  # 7_Item_1 is the fourth item
    assert str(data.short.sel(statement=4).values) == "surprising"
    assert str(data.question.sel(attribute="fear-face").values) == "how fear-face?"
    assert data.attrs["components"] == 6
    _, score = people.score_emotions(data.rating)
    xr.testing.assert_allclose(score, _humans(raw).score.transpose(*score.dims))


def test_judgments_of_the_spreadsheet_follow_names_and_keep_what_is_missing(raw: dict[str, Path]) -> None:
    judgment = _read(raw).judgment
    table = pd.read_excel(raw["judgments"]).set_index(["EmoPair_1", "EmoPair_2"])
    assert int(judgment.isnull().sum()) == 1
    assert np.isnan(judgment.sel(pair="calm|dread", judge=2))
    assert float(judgment.sel(pair="pique|glee", judge=3)) == table.loc[("glee", "pique"), "raw_3"]
    assert judgment.sizes == {"judge": 4, "pair": 10}


def test_nothing_that_identifies_a_person_gets_out(raw: dict[str, Path]) -> None:
    data = _read(raw)
    texts = [str(v) for v in data.variables.values() if v.dtype.kind in "OUS" for v in v.values.ravel()]
    assert len(texts) > 100
    assert not [t for t in [*texts, repr(data), *map(str, data.attrs.values())] if SECRET in t]


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("affective", lambda t: t.assign(**{"2_Valence_1": ["5", "10", *t["2_Valence_1"][2:]]}), ["rater 1", "dread"]),
        ("affective", lambda t: t.assign(**{"1_Arousal_1": [SECRET, *t["1_Arousal_1"][1:]]}), ["rater 0", "calm"]),
        ("physical", lambda t: t.drop(columns="3_Fear_1"), ["no column 3_Fear_1"]),
        (
            "appraisal",
            lambda t: t.assign(**{"9_Item_1": ["", "", "0", *t["9_Item_1"][3:]]}),
            ["rater 0, calm", "9_Item_1"],
        ),
        ("appraisal", lambda t: t.assign(EMOTION=["", "", "RAGE", *t["EMOTION"][3:]]), ["unknown rage"]),
    ],
)
def test_raw_files_that_do_not_fit_are_refused_by_rater_and_emotion(raw, file, change, words) -> None:
    change(pd.read_csv(raw[file], dtype=str, keep_default_na=False)).to_csv(raw[file], index=False)
    with pytest.raises(LabelError) as error:
        read_ratings(xr.Dataset(coords={"emotion": ORDER, "attribute": ATTRIBUTES}), raw, 0)
    for word in [*words, str(raw[file])]:
        assert word in str(error.value)
    assert SECRET not in str(error.value)


def test_judgments_off_the_scale_and_other_pairs_are_refused(raw: dict[str, Path]) -> None:
    book = openpyxl.load_workbook(raw["judgments"])
    book.active["D3"] = 12
    book.save(raw["judgments"])
    with pytest.raises(LabelError, match=r"judge 1, calm\|glee"):
        read_judgments(raw["judgments"], EMOTIONS)
    with pytest.raises(LabelError, match="pairs do not match the study: missing"):
        read_judgments(raw["judgments"], [*EMOTIONS, "zeal"])


def test_raw_ratings_of_another_study_are_refused(raw: dict[str, Path]) -> None:
    other = _humans(raw)
    other["score"] = other.score.copy(data=other.score.values[::-1])
    with pytest.raises(LabelError, match="do not give the finished scores on arousal"):
        read_ratings(other, raw, 0, 10)


@pytest.fixture
def own(tiny_study: Study, human_paths: dict[str, Path], tmp_path: Path) -> tuple[Study, dict[str, Path]]:
    """The tiny study with single ratings in place of finished scores, and judgments of which some are missing."""
    rng = np.random.default_rng(5)
    rows = [
        (f"{SECRET} {r}", e, a, v)
        for r in range(3)
        for e, a, v in zip(
            np.repeat(tiny_study.emotions, 2), [*tiny_study.attributes] * 5, rng.integers(1, 10, 10), strict=True
        )
    ]
    table = pd.DataFrame(rows, columns=["rater", "emotion", "attribute", "value"]).sample(frac=1, random_state=1)
    files = {field: path for field, path in human_paths.items() if field in ("order", "judgments", "agreement")}
    files["ratings"] = tmp_path / "ratings.csv"
    table.to_csv(files["ratings"], index=False)
    judgments = pd.read_csv(files["judgments"])
    judgments.loc[1, "V3"] = judgments.loc[3, "V7"] = np.nan
    judgments.to_csv(files["judgments"], index=False)
    names = {field: f"local:{path}" for field, path in files.items()}
    return tiny_study.model_copy(update={"humans": type(tiny_study.humans)(**names)}), files


def test_a_study_may_give_single_ratings_and_judgments_with_gaps(own) -> None:
    study, files = own
    assert study.humans.rated
    data = read_humans(study.emotions, study.attributes, files)
    judgments = pd.read_csv(files["judgments"]).to_numpy()
    np.testing.assert_allclose(data.dissimilarity, np.nanmean(judgments, 0))
    table = pd.read_csv(files["ratings"]).pivot_table(index="emotion", columns="attribute", values="value")
    for attribute in study.attributes:
        mean = table[attribute].loc[data.emotion.values]
        np.testing.assert_allclose(data.score.sel(attribute=attribute), (mean - mean.min()) / (mean.max() - mean.min()))
        distance = data.attribute_rdm.sel(attribute=attribute, pair="gloom|glee")
        assert float(distance) == pytest.approx(abs(mean["gloom"] - mean["glee"]))
    found = read_ratings(data, files, 0)
    assert found.rating.sizes == {"rater": 3, "emotion": 5, "attribute": 2}
    assert list(people.assess_reliability(found.rating)["kind"]) == ["ICC(2,k)"] * 2
    assert int(found.judgment.isnull().sum()) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(value=["lots", *t["value"][1:]]), ["line 2: rater 0", "expected a number"]),
        (lambda t: t.assign(emotion=[*t["emotion"][:-1], "rage"]), ["line 31: rater", "rage", "no emotion of the study"]),
        (lambda t: t.assign(attribute=["loudness", *t["attribute"][1:]]), ["line 2", "no attribute of the study"]),
        (lambda t: pd.concat([t, t.iloc[:1]]), ["line 32: rater 0", "rated twice"]),
        (lambda t: t[(t["emotion"] != "glee") | (t["attribute"] != "loud")], ["glee, loud: rated by 0"]),
        (lambda t: t.rename(columns={"value": "score"}), ["no column value"]),
        (lambda t: t.assign(value="7"), ["the same mean rating on"]),
    ],
)
def test_ratings_of_ones_own_that_do_not_fit_are_refused(own, change, words) -> None:
    study, files = own
    change(pd.read_csv(files["ratings"], dtype=str)).to_csv(files["ratings"], index=False)
    with pytest.raises(LabelError) as error:
        read_humans(study.emotions, study.attributes, files)
    for word in words:
        assert word in str(error.value)
    assert SECRET not in str(error.value)


def test_a_missing_rating_is_no_row_or_an_empty_one(own) -> None:
    study, files = own
    table = pd.read_csv(files["ratings"], dtype=str)
    expected = table.iloc[2:].astype({"value": float}).groupby(["emotion", "attribute"])["value"].mean()
    table.loc[1, "value"] = ""
    table.iloc[1:].to_csv(files["ratings"], index=False)
    mean, _ = people.score_emotions(read_long(files["ratings"], study.emotions, study.attributes))
    for emotion, attribute in expected.index:
        assert float(mean.sel(emotion=emotion, attribute=attribute)) == pytest.approx(expected[emotion, attribute])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"V2": [1, 2, "far", 4]}, r"line 4, column V2 \(\S+\|\S+\): the cell is not a finite number"),
        ({"V2": [np.nan] * 3 + [4]}, r"judgments of \S+: 1"),
        ({f"V{k}": [1, 2, 3, np.nan] for k in range(1, 9)}, "judge 4: 2"),
    ],
)
def test_judgments_that_are_no_numbers_or_have_too_many_gaps_are_refused(own, cells, words) -> None:
    study, files = own
    pd.read_csv(files["judgments"]).assign(**cells).to_csv(files["judgments"], index=False)
    with pytest.raises(LabelError, match=words):
        read_humans(study.emotions, study.attributes, files)


def test_a_study_gives_either_finished_scores_or_ratings() -> None:
    known = load_study("published").humans.model_dump()
    finished = {"scores": None, "attribute_rdms": None}
    for changes, words in (
        ({"ratings": "local:x.csv"}, "not both"),
        ({"ratings": "local:x.csv", **finished}, "not both"),  # the raw files are given, too
        (finished, "give scores, or ratings"),
    ):
        with pytest.raises(ValidationError, match=words):
            Humans(**{**known, **changes})
    assert Humans(**{**known, **finished, "raw": None, "ratings": "local:x.csv"}).rated
    assert not Humans(**{**known, "raw": None}).rated
    with pytest.raises(StudyError, match="not both"):
        load_study("published", **{"humans.ratings": "local:x.csv"})


def _pingouin(y: np.ndarray, kind: str) -> pd.Series:
    table = pd.DataFrame(y).rename_axis("rater").reset_index().melt("rater", var_name="emotion")
    options, pingouin.options["round.column.CI95"] = pingouin.options["round.column.CI95"], None
    try:
        with warnings.catch_warnings(action="ignore"):
            return pingouin.intraclass_corr(table, "emotion", "rater", "value").set_index("Type").loc[kind]
    finally:
        pingouin.options["round.column.CI95"] = options


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("function", "kind"), [(people.icc_crossed, "ICC(A,k)"), (people.icc_nested, "ICC(1,k)")])
def test_icc_equals_pingouin(seed: int, function, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n_raters, n_emotions = rng.integers(3, 20, 2)
    y = rng.normal(size=(n_raters, 1)) + rng.normal(size=n_emotions) + rng.normal(size=(n_raters, n_emotions)) * (1 + seed)
    found, expected = function(y), _pingouin(y, kind)
    numbers = [expected["ICC"], *expected["CI95"], expected["F"], expected["pval"]]
    np.testing.assert_allclose([float(v) for v in found], numbers, atol=2e-6)


def test_icc_of_many_attributes_at_once() -> None:
    y = np.random.default_rng(0).normal(size=(7, 5, 9)) + np.arange(9)
    for function in (people.icc_crossed, people.icc_nested):
        together = np.array(function(y))
        np.testing.assert_allclose(together, np.array([function(one) for one in y]).T)


def test_nested_icc_with_unequal_groups_is_one_minus_the_inverse_of_f() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(6, 4)) + [0, 1, 2, 4]
    y[5, 0] = y[4, 2] = y[5, 2] = np.nan
    f, p = scipy.stats.f_oneway(*[column[~np.isnan(column)] for column in y.T])
    found = people.icc_nested(y)
    np.testing.assert_allclose([found.icc, found.f, found.p], [1 - 1 / f, f, p])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.01, 100))
def test_icc_does_not_depend_on_origin_and_unit_but_on_the_raters_levels(seed: int, shift: float, unit: float) -> None:
    rng = np.random.default_rng(seed)
    y = 2 * rng.normal(size=8) + rng.normal(size=(6, 8))
    for function in (people.icc_crossed, people.icc_nested):
        np.testing.assert_allclose(function(shift + unit * y).icc, function(y).icc, atol=1e-6)
    level = y + 20 * rng.permutation(6)[:, None]
    assert people.icc_crossed(level).icc < people.icc_crossed(y).icc


def test_intervals_of_the_icc_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    n, k, n_sets = 27, 12, 1_500
    emotion, rater = rng.normal(size=(n_sets, 1, n)), 0.7 * rng.normal(size=(n_sets, k, 1))
    y = emotion + rater + 1.5 * rng.normal(size=(n_sets, k, n))
    truth = 1 / (1 + (0.7**2 + 1.5**2) / k)
    for function, values in ((people.icc_crossed, y), (people.icc_nested, emotion + 1.5 * rng.normal(size=y.shape))):
        true = truth if function is people.icc_crossed else 1 / (1 + 1.5**2 / k)
        found = function(values)
        inside = ((found.low <= true) & (true <= found.high)).mean()
        assert abs(inside - 0.95) < 0.02, function


def _answers(rng: np.random.Generator, n: int = 300, factors: int = 3, items: int = 5, noise: float = 0.7):
    """Answers made from independent factors, each of its own items, and the factors."""
    factor = rng.normal(size=(n, factors)) * np.linspace(1.3, 1.0, factors)
    return np.repeat(factor, items, axis=1) + noise * rng.normal(size=(n, factors * items)), factor


def test_parallel_analysis_counts_planted_components_and_none_of_noise() -> None:
    rng = np.random.default_rng(0)
    assert people.count_components(_answers(rng)[0], 100, seed=1)[0] == 3
    n, eigenvalues, chance = people.count_components(rng.normal(size=(300, 15)), 100, seed=1)
    assert n <= 1  # the first one exceeds its 95 % quantile in one data set of twenty
    assert eigenvalues.sum() == pytest.approx(15)
    assert (np.diff(chance) < 0).all()


def test_components_are_the_planted_factors() -> None:
    rng = np.random.default_rng(2)
    answers, factor = _answers(rng)
    loading, score = people.find_components(answers, 3)
    r = np.corrcoef(score.T, factor.T)[:3, 3:]
    assert np.abs(r).max(1).min() > 0.93
    assert (np.abs(r) > 0.5).sum() == 3
    np.testing.assert_allclose(np.corrcoef(score, rowvar=False), np.eye(3), atol=1e-10)
    np.testing.assert_allclose(score.std(0, ddof=1), 1)
    by_hand = np.corrcoef(answers.T, score.T)[:15, 15:]
    np.testing.assert_allclose(loading, by_hand, atol=1e-10)  # loadings are correlations of items with scores
    assert (loading.sum(0) > 0).all() and (np.diff((loading**2).sum(0)) <= 0).all()


def test_no_other_rotation_is_simpler() -> None:
    rng = np.random.default_rng(3)
    loading, _ = people.find_components(_answers(rng, noise=2.0)[0], 3, stop=1e-12)

    def simplicity(matrix: np.ndarray) -> float:
        share = matrix**2 / (matrix**2).sum(1, keepdims=True)
        return share.var(0).sum()

    turned = [loading @ scipy.stats.special_ortho_group.rvs(3, random_state=rng) for _ in range(200)]
    assert max(map(simplicity, turned)) <= simplicity(loading) + 1e-9


@pytest.mark.parametrize("reliability", [0.3, 0.6, 0.9, 0.99])
def test_validity_of_an_rdm_equals_a_simulation(reliability: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=200_000)
    noisy = np.sqrt(reliability) * true + np.sqrt(1 - reliability) * rng.normal(size=true.size)
    expected = scipy.stats.spearmanr(np.abs(true), np.abs(noisy)).statistic
    assert people.rdm_validity(reliability) == pytest.approx(expected, abs=6e-3)


def test_validity_grows_with_reliability() -> None:
    values = [people.rdm_validity(r) for r in np.linspace(0, 1, 40)]
    assert values[0] == pytest.approx(0, abs=1e-9) and values[-1] == 1
    assert (np.diff(values) > 0).all()


def test_a_disattenuated_importance_is_nearer_to_that_of_the_true_scores() -> None:
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(27, 1)
    rows = []
    for _ in range(60):
        true = rng.normal(size=27)
        human = np.abs(true[i] - true[j]) + 0.8 * rng.normal(size=351)
        y = true + np.sqrt(12 / 3) * rng.normal(size=(12, 27))  # reliability of the mean .75
        mean = y.mean(0)
        taus = [scipy.stats.kendalltau(np.abs(s[i] - s[j]), human).statistic for s in (mean, true)]
        coords = {"attribute": ["x"]}
        icc = xr.DataArray([people.icc_nested(y).icc], coords)
        rows.append((taus[0], float(people.disattenuate(xr.DataArray([taus[0]], coords), icc)[0]), taus[1]))
    raw, corrected, truth = np.array(rows).T
    assert (truth - raw).mean() > 0.1
    assert abs((truth - corrected).mean()) < 0.05
    assert np.mean((truth - corrected) ** 2) < np.mean((truth - raw) ** 2) / 2


@pytest.mark.parametrize(("noise", "importance", "excess"), [(0.8, 0.5, 0.1), (2.0, 0.25, 0.2)])
def test_where_raters_agree_poorly_the_correction_overshoots(noise: float, importance: float, excess: float) -> None:
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(27, 1)
    rows = []
    for _ in range(300):
        true = rng.normal(size=27)
        human = np.abs(true[i] - true[j]) + noise * rng.normal(size=351)
        y = true + np.sqrt(11 * (1 / 0.6 - 1)) * rng.normal(size=(11, 27))  # reliability of the mean .6
        tau, truth = (scipy.stats.kendalltau(np.abs(s[i] - s[j]), human).statistic for s in (y.mean(0), true))
        icc = xr.DataArray([people.icc_nested(y).icc], {"attribute": ["x"]})
        rows.append((truth, float(people.disattenuate(icc.copy(data=[tau]), icc)[0])))
    truth, corrected = np.nanmean(rows, 0)
    assert truth == pytest.approx(importance, abs=0.02)
    assert corrected / truth - 1 == pytest.approx(excess, abs=0.05)


def test_disattenuation_leaves_what_is_reliable_and_refuses_what_is_not() -> None:
    coords = {"attribute": ["a", "b", "c"]}
    tau = xr.DataArray([0.3, 0.3, 0.3], coords)
    found = people.disattenuate(tau, xr.DataArray([1.0, 0.5, -0.2], coords))
    assert float(found[0]) == 0.3 and float(found[1]) > 0.3 and np.isnan(found[2])
    half = people.disattenuate(tau, xr.DataArray([1.0, 1.0, 1.0], coords), of_judges=0.25)
    np.testing.assert_allclose(half, 0.6)
    with pytest.raises(ValueError, match="attribute"):
        people.disattenuate(tau, xr.DataArray([1.0, 1.0], {"attribute": ["a", "b"]}))


def test_agreement_of_judges_leaves_out_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=30) + rng.normal(size=(5, 30))
    complete = xr.DataArray(values.copy(), dims=("judge", "pair"), coords={"judge": range(5)})
    table = people.compare_judges(complete)
    assert (table["with_others"].mean(), table["with_all"].mean()) == pytest.approx(structure.noise_ceiling(values))
    values[0, 3] = values[2, 7] = values[2, 8] = np.nan
    gaps = people.compare_judges(complete.copy(data=values))
    frame = pd.DataFrame(values)
    for judge in range(5):
        others = frame.drop(judge).mean()
        assert gaps.loc[judge, "with_others"] == pytest.approx(frame.loc[judge].corr(others, "spearman"))
        assert gaps.loc[judge, "with_all"] == pytest.approx(frame.loc[judge].corr(frame.mean(), "spearman"))
    assert list(gaps["judged"]) == [29, 30, 28, 30, 30]
    pairs = people.compare_pairs_of_judges(complete.copy(data=values))
    assert len(pairs) == 10
    assert pairs[0] == pytest.approx(frame.loc[0].corr(frame.loc[1], "spearman"))


def test_fits_and_intervals_leave_out_what_is_missing() -> None:
    rng = np.random.default_rng(1)
    model = rng.normal(size=36)
    values = model + rng.normal(size=(6, 36))
    values[0, 3] = values[2, 7] = values[2, 8] = np.nan
    frame = pd.DataFrame(values)
    judgment = xr.DataArray(values, dims=("judge", "pair"), coords={"judge": range(6)})
    table = people.compare_judges(judgment)
    assert structure.noise_ceiling(values) == pytest.approx((table["with_others"].mean(), table["with_all"].mean()))
    expected = frame.T.corrwith(pd.Series(model), method="spearman").mean()
    fit = structure.fit_judges(xr.DataArray(model, dims="pair"), judgment)
    assert float(fit) == pytest.approx(expected)
    for over in ("emotions", "judges", "both"):
        fit = structure.bootstrap_fit(model, values, 30, 0, over).loc[0]
        assert fit["value"] == pytest.approx(frame.mean().corr(pd.Series(model), "spearman"))
        assert fit["low"] < fit["value"] < fit["high"] + 0.05
    whole, gaps = (structure.mean_reliability(v, 50, 0) for v in (frame.fillna(frame.mean()).to_numpy(), values))
    assert gaps == pytest.approx(whole, abs=0.02)
    values[:, 0] = [1.0, 2.0, *[np.nan] * 4]  # two judges only: in some draws nobody judged this pair
    assert np.isfinite(structure.bootstrap_fit(model, values, 50, 0, "judges")).all(axis=None)
    assert np.isfinite(structure.mean_reliability(values, 50, 0))


def test_dimensions_run_from_one_to_the_number_of_attributes() -> None:
    same = xr.DataArray(np.outer(np.arange(9.0), [1, -2, 3]), dims=("emotion", "attribute"))
    assert people.count_dimensions(same) == pytest.approx(1)
    q, _ = np.linalg.qr(np.c_[np.ones(9), np.random.default_rng(0).normal(size=(9, 3))])
    assert people.count_dimensions(xr.DataArray(q[:, 1:], dims=("emotion", "attribute"))) == pytest.approx(3)


@pytest.fixture(scope="module")
def run(shared_store: None) -> Run:
    return open_run("published", progress=False)


@pytest.mark.published
def test_raters_and_events_of_the_published_study(run: Run) -> None:
    data = run.load("people")
    kept = pd.Series(data.panel_of.values).value_counts()
    assert {str(p): (int(kept[p]), int(n)) for p, n in data.given.to_series().items()} == {
        "affective": (30, 35),
        "physical": (30, 36),
        "appraisal": (299, 329),
    }
    events = pd.Series(data.emotion_of.values).value_counts()
    assert set(events) == {11, 12}
    assert int(data.answer.isnull().sum()) == 552


@pytest.mark.published
def test_raw_ratings_give_every_released_score_and_distance(run: Run) -> None:
    data, released = run.load("people"), run.load("humans")
    mean, score = people.score_emotions(data.rating)
    np.testing.assert_allclose(score.sel(attribute=released.attribute), released.score, atol=1e-12)
    for pair in range(0, 351, 25):
        first, second = (str(released[side].values[pair]) for side in ("first", "second"))
        distance = abs(mean.sel(emotion=first) - mean.sel(emotion=second))
        np.testing.assert_allclose(distance, released.attribute_rdm.isel(pair=pair), atol=1e-12)


@pytest.mark.published
def test_reliability_of_the_published_scores(run: Run) -> None:
    table = people.assess_reliability(run.load("people").rating)
    assert table["icc"]["valence"] == pytest.approx(0.9937, abs=5e-5)
    assert table["icc"]["arousal"] == pytest.approx(0.9069, abs=5e-5)
    assert table["icc"]["surprise-face"] == pytest.approx(0.9371, abs=5e-5)
    assert list(table["kind"]) == ["ICC(2,k)"] * 8 + ["ICC(1,k)"] * 6
    assert (table["p"] < 0.025).all()  # why the authors kept all fourteen
    raters = run.load("people").rating.sel(attribute="arousal").dropna("rater", how="all")
    expected = _pingouin(raters.transpose("rater", "emotion").values, "ICC(A,k)")
    assert table.loc["arousal", ["icc", "low", "high"]].tolist() == pytest.approx([expected["ICC"], *expected["CI95"]])


@pytest.mark.published
def test_six_components_and_how_much_the_end_of_the_rotation_matters(run: Run) -> None:
    data = run.load("people")
    assert data.attrs["components"] == 6
    assert data.short.values[np.argmax(abs(data.loading.sel(component="novelty").values))] == "repetition"
    answers = data.answer.fillna(5).values
    assert people.count_components(answers, 200, seed=9)[0] == 6
    _, further = people.find_components(answers, 6, stop=1e-12)
    means = pd.DataFrame(further, columns=list(COMPONENTS)).groupby(data.emotion_of.values).mean()
    released = run.load("humans").score.to_pandas()
    rho = means.loc[released.index].corrwith(released[means.columns], method="spearman")
    assert rho.min() == pytest.approx(0.985, abs=2e-3) and rho.max() < 0.9999


@pytest.mark.published
def test_missing_judgments_were_imputed_by_the_mean_of_their_pair(run: Run) -> None:
    raw, released = run.load("people").judgment, run.load("humans").judgment
    assert raw.sizes == {"judge": 61, "pair": 351}
    assert int(raw.isnull().sum()) == 133
    np.testing.assert_allclose(raw.fillna(raw.mean("judge")), released, atol=1e-12)
    assert int((released % 1 != 0).sum()) == 131  # two pairs' means are whole numbers
    agreement = people.compare_judges(raw)
    assert agreement["with_others"].mean() == pytest.approx(0.7394, abs=5e-5)
    assert agreement["with_all"].mean() == pytest.approx(0.7484, abs=5e-5)


@pytest.mark.published
def test_the_authors_orders_say_what_the_names_say(run: Run) -> None:
    names = [n for n in sources.registry() if n.endswith(("reorder_emotions.csv", "reorder_distance.csv", "/emotions.txt"))]
    files = {Path(name).stem: path for name, path in sources.fetch(names, progress=False).items()}
    asked = files["emotions"].read_text().split()[:27]
    order = [asked[int(k) - 1] for k in files["reorder_emotions"].read_text().split()]
    assert order == list(run.load("humans").emotion.values)
    i, j = np.triu_indices(27, 1)
    pairs = [{asked[a], asked[b]} for a, b in zip(i, j, strict=True)]
    place = [int(k) - 1 for k in files["reorder_distance"].read_text().split()]
    assert [pairs[k] for k in place] == [{order[a], order[b]} for a, b in zip(i, j, strict=True)]


def test_people_with_the_same_answers_throughout_are_found_and_no_others() -> None:
    answers = np.array(
        [[1.0, 2, 3, 4], [4, 3, 2, 1], [1, 2, 3, 4], [5, 5, 5, 5], [5, 5, 5, 5], [1, 2, 3, np.nan], [1, 2, 3, np.nan]]
    )
    judgment = xr.DataArray(answers, {"judge": np.arange(1, 8)}, ("judge", "pair"))
    assert people.find_copies(judgment) == [(1, 3)]
    rating = xr.DataArray(answers.reshape(7, 2, 2), {"rater": np.arange(7)}, ("rater", "emotion", "attribute"))
    assert people.find_copies(rating.transpose("emotion", "rater", "attribute")) == [(0, 2)]
