"""What people said of emotions: judgments of pairs, attribute scores and RDMs, single ratings, and how well raters agree.

Ids and free text are left out while a file is read (``usecols``), so that nothing downstream, and no message, can hold
them. A rater is a number: 0, 1, ... in the order of the file.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.people import add_components, score_emotions
from emonb.analysis.rdm import level, pair_coords, pair_index, varies
from emonb.data.tables import (
    OFF_SCALE,
    Ends,
    advise,
    check_labels,
    find_scale,
    is_off,
    name_pair,
    numeric,
    read_csv_text,
    read_table,
    read_text,
)
from emonb.errors import LabelError

PANELS = {
    "affective": {"Arousal": "arousal", "Valence": "valence"},
    "physical": {
        "Happy": "happy-face",
        "Anger ": "anger-face",
        "Sad ": "sad-face",
        "Fear": "fear-face",
        "Surprise": "surprise-face",
        "Disgust": "disgust-face",
    },
}
"""What each questionnaire calls an attribute -> the attribute of the study."""
COMPONENTS = ("control", "fairness", "self-relativity", "other-relativity", "expectedness", "novelty")
"""The authors' names of the rotated components of the appraisal items, largest first."""
SCALE = range(1, 10)
NOT_APPLICABLE = -99
_ACCEPTED = {"Finished": "true", "UserLanguage": "en", "Consent": "i agree"}
_APPRAISALS = [f"{k}_Item_1" for k in range(4, 42)]
_EVENT_CHECKS = {"42_Item_1": 4, "43_Item_1": NOT_APPLICABLE}


def read_ratings(
    humans: xr.Dataset,
    files: Mapping[str, Path],
    seed: int,
    simulations: int = 1_000,
    scale: Ends | Mapping[str, Ends] | None = None,
) -> xr.Dataset:
    """Read every single rating and judgment of a study.

    Parameters
    ----------
    humans : Dataset
        From :func:`read_humans`: emotions in order, attributes, scores to check with, and the judgments where no raw ones
        are known.
    files : dict of str to Path
        Local paths by field, as ``Humans.rating_files()`` names them; none where only finished scores are known.
    seed, simulations : int
        Of the parallel analysis of the appraisals.
    scale : tuple or dict of kind of file to tuple, optional
        Lowest and highest rating of your own raters.

    Returns
    -------
    Dataset
        ``judgment`` (judge, pair; NaN where missing). Where raters are known also ``rating`` (rater, emotion, attribute;
        NaN where a rater did not rate), ``panel_of`` (rater) and ``given`` (panel; people before exclusion). From raw
        files also ``question`` (attribute), ``answer`` (event, statement; NaN where missing), ``emotion_of`` (event),
        ``wording`` and ``short`` (statement), and what :func:`emonb.analysis.people.add_components` adds.

    Raises
    ------
    LabelError
        A missing or unknown column or label, a value off the scale, an emotion rated by fewer than two raters, raw
        ratings that do not give the study's finished scores.
    """
    emotions, attributes = ([str(label) for label in humans[dim].values] for dim in ("emotion", "attribute"))
    if "ratings" in files:
        own = read_long(files["ratings"], emotions, attributes, find_scale(scale, "ratings"))
        panel_of = xr.DataArray(np.full(own.sizes["rater"], "raters"), dims="rater")
        given = xr.DataArray([own.sizes["rater"]], {"panel": ["raters"]})
        return xr.Dataset({"judgment": humans.judgment, "rating": own, "panel_of": panel_of, "given": given})
    if not files:
        return humans[["judgment"]]
    raw = _read_raw(emotions, attributes, files)
    people = add_components(raw, COMPONENTS, float(np.mean(SCALE)), simulations, seed)
    check_scores(people.rating, humans.score)
    return people


def _read_raw(emotions: Sequence[str], attributes: Sequence[str], files: Mapping[str, Path]) -> xr.Dataset:
    asked = read_text(files["emotions"]).split()[: len(emotions)]  # "neutral" stands at the end
    check_labels(asked, emotions, "emotions", files["emotions"])
    panels, given = {}, {}
    for name, columns in PANELS.items():
        panels[name], given[name] = read_panel(files[name], columns, asked)
    events, given["appraisal"] = read_events(files["appraisal"], asked)
    rated = [name for columns in PANELS.values() for name in columns.values()]
    check_labels([*rated, *COMPONENTS], attributes, "attributes", files["affective"].parent)
    rating = xr.concat(list(panels.values()), "rater", join="outer").reindex(emotion=list(emotions))
    rating = rating.sel(attribute=[a for a in attributes if a not in COMPONENTS])
    words = read_table(files["wording"], ["name", "description"])
    question = words.set_index("name")["description"]
    short = words.drop_duplicates("description").set_index("description")["name"]  # faces were asked in the same words
    raw = xr.Dataset(
        {
            "judgment": read_judgments(files["judgments"], emotions),
            "rating": rating.assign_coords(rater=np.arange(rating.sizes["rater"])),
            "panel_of": ("rater", np.repeat(list(panels), [p.sizes["rater"] for p in panels.values()])),
            "given": ("panel", np.array(list(given.values()))),
            "question": ("attribute", [question[str(a).removesuffix("-face")] for a in rating.attribute.values]),
            "short": ("statement", short.reindex(events.wording.values).fillna("").to_numpy(str)),
        },
        coords={"panel": list(given)},
    )
    return raw.merge(events)


def read_panel(path: Path, columns: Mapping[str, str], emotions: Sequence[str]) -> tuple[xr.DataArray, int]:
    """Read raters who each scored every emotion; columns ``K_NAME_1``, K = 1, 2, ... in the order of ``emotions``.

    Kept are people who finished, consented, use the questionnaire in English and gave the highest score throughout on the
    item after the last emotion, as it asked them to. Returns ratings (rater, emotion, attribute), people before exclusion.
    """
    asked = [*emotions, "attention check"]
    cells = [(f"{k}_{column}_1", emotion) for k, emotion in enumerate(asked, 1) for column in columns]
    names = [name for name, _ in cells]
    table = _read_columns(path, [*_ACCEPTED, *names])
    values = _on_scale(table[names], path, lambda row, column: f"rater {row}, {cells[column][1]} (column {names[column]})")
    values = values.reshape(len(table), len(asked), len(columns))
    kept = _accepted(table) & (values[:, -1] == max(SCALE)).all(1)
    coords = {"rater": np.arange(kept.sum()), "emotion": list(emotions), "attribute": list(columns.values())}
    return xr.DataArray(values[kept, :-1], coords, ("rater", "emotion", "attribute")), len(table)


def read_events(path: Path, emotions: Sequence[str]) -> tuple[xr.Dataset, int]:
    """Read appraisals: everyone recalled one event that had caused one emotion, and rated it on 38 statements.

    Kept are people who finished, consented, use the questionnaire in English, passed both attention checks and named an
    event. Of what they wrote, only whether it is "n/a" is ever held. Returns people before exclusion, too, and ``answer``
    (event, statement; NaN where not applicable), ``emotion_of`` (event), ``wording`` (statement).
    """
    names = [*_APPRAISALS, *_EVENT_CHECKS]
    told: dict[str, Callable[[str], bool]] = {"Specific Event": lambda text: text.strip().lower() != "n/a"}
    table = _read_columns(path, [*_ACCEPTED, "EMOTION", *told, *names], skiprows=[1, 2], converters=told)
    emotion = table["EMOTION"].str.strip().str.lower()
    check_labels(emotion.unique(), emotions, "emotions", path)
    values = _on_scale(
        table[names], path, lambda row, column: f"rater {row}, {emotion[row]} (column {names[column]})", NOT_APPLICABLE
    )
    passed = (values[:, len(_APPRAISALS) :] == list(_EVENT_CHECKS.values())).all(1)
    kept = _accepted(table) & passed & table["Specific Event"].to_numpy(bool)
    answer = values[kept, : len(_APPRAISALS)]
    wording = _read_columns(path, _APPRAISALS, nrows=1)[_APPRAISALS].iloc[0]  # the line after the heading
    events = xr.Dataset(
        {
            "answer": (("event", "statement"), np.where(answer == NOT_APPLICABLE, np.nan, answer)),
            "emotion_of": ("event", emotion[kept].to_numpy(str)),
            "wording": ("statement", [text.split(" - ")[1].replace("'", "").strip() for text in wording]),
        },
        coords={"event": np.arange(kept.sum()), "statement": np.arange(1, len(_APPRAISALS) + 1)},
    )
    return events, len(table)


def read_judgments(path: Path, emotions: Sequence[str]) -> xr.DataArray:
    """Read a spreadsheet of judgments, a row a pair and a column a judge; pairs with other emotions are left out.

    Returns (judge, pair), NaN where a judgment is missing.
    """
    first, second = "EmoPair_1", "EmoPair_2"
    table = pd.read_excel(path, usecols=lambda name: str(name) in (first, second) or str(name).startswith("raw_"))
    table = table[table[first].isin(emotions) & table[second].isin(emotions)]
    names = [name_pair(pair, emotions) for pair in zip(table[first], table[second], strict=True)]
    coords = pair_coords(emotions)
    check_labels(names, coords["pair"][1].tolist(), "pairs", path)
    cells = table.drop(columns=[first, second])
    values = cells.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for row, judge in np.argwhere(cells.notna().to_numpy() & ~np.isin(values, SCALE))[:1]:
        raise LabelError(f"{path}: judge {judge + 1}, {names[row]}: expected a whole number 1 to 9 or nothing")
    array = xr.DataArray(values, {"pair": names, "judge": np.arange(1, values.shape[1] + 1)}, ("pair", "judge"))
    return array.sel(pair=coords["pair"][1]).transpose("judge", "pair").assign_coords(coords)


def read_long(path: Path, emotions: Sequence[str], attributes: Sequence[str], scale: Ends = (1, 9)) -> xr.DataArray:
    """Read ratings of your own: a CSV with the columns ``rater``, ``emotion``, ``attribute``, ``value``.

    Not every rater need rate everything; a missing rating is a row without a value, or no row. Returns (rater, emotion,
    attribute), NaN where a rater did not rate; raters are numbered in the order in which they first occur.
    """
    columns = ["rater", "emotion", "attribute", "value"]
    table = _read_columns(path, columns)[columns]
    for row in np.flatnonzero(table["rater"].str.strip() == "")[:1]:
        raise LabelError(f"{path}, line {row + 2}: the rater is not named; correct the file")
    table["rater"] = pd.factorize(table["rater"].str.strip())[0]

    def place(row: int) -> str:
        return f"line {row + 2}: rater {table['rater'][row]}, {table['emotion'][row]}, {table['attribute'][row]}"

    for column, known in (("emotion", emotions), ("attribute", attributes)):
        for row in np.flatnonzero(~table[column].isin(known))[:1]:
            raise LabelError(
                f"{path}, {place(row)}: '{table[column][row]}' is no {column} of the study; correct the file or the "
                "study's labels"
            )
    for row in np.flatnonzero(table.duplicated(columns[:3]))[:1]:
        raise LabelError(f"{path}, {place(row)}: rated twice; keep one rating")
    empty = (table["value"].str.strip() == "").to_numpy()
    value = pd.to_numeric(table["value"], errors="coerce").to_numpy(np.float64)
    for row in np.flatnonzero(~np.isfinite(value) & ~empty)[:1]:
        raise LabelError(f"{path}, {place(row)}: expected a number or nothing; correct the file")
    for row in np.flatnonzero(is_off(value, scale))[:1]:
        raise LabelError(f"{path}, {place(row)}: not on the scale of {scale[0]:g} to {scale[1]:g}; {OFF_SCALE}")
    rating = pd.Series(value, pd.MultiIndex.from_frame(table[columns[:3]])).to_xarray().rename(None)
    rating = rating.reindex(emotion=list(emotions), attribute=list(attributes)).transpose(*columns[:3])
    few = rating.notnull().sum("rater").to_series()
    for (emotion, attribute), n in few[few < 2].items():
        raise LabelError(
            f"{path}: {emotion}, {attribute}: rated by {n}; at least two raters must rate everything that the study's "
            "emotions and attributes name"
        )
    return rating


def check_scores(rating: xr.DataArray, score: xr.DataArray) -> None:
    """Raise unless the mean ratings are the study's finished scores but for origin and unit (r over emotions >= .99)."""
    r = xr.corr(score_emotions(rating)[1], score, "emotion")
    for attribute in r.attribute.values[~(r >= 0.99).values][:1]:
        raise LabelError(
            f"the raw ratings do not give the finished scores on {attribute} "
            f"(r = {float(r.sel(attribute=attribute)):.3f}); give files that belong together in the humans section"
        )


def _read_columns(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    """Read these columns of a CSV as text, and no other; pandas' own messages are not passed on, as they quote cells."""
    texts = {name: str for name in columns if name not in options.get("converters", ())}
    content = read_csv_text(path, columns)
    try:
        return pd.read_csv(io.StringIO(content), usecols=columns, dtype=texts, keep_default_na=False, **options)
    except ValueError:
        found = [name.strip().strip('"') for name in content.partition("\n")[0].split(",")]
        missing = ", ".join(name for name in columns if name not in found)
        raise LabelError(f"{path}: {f'no column {missing}' if missing else 'not a readable CSV'}; {advise(path)}") from None


def _on_scale(table: pd.DataFrame, path: Path, name: Callable[[int, int], str], missing: float | None = None) -> np.ndarray:
    """Ratings as numbers [row, column]; ``name`` says of a row and column whose rating of what it is."""
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    allowed = [*SCALE] if missing is None else [*SCALE, missing]
    for row, column in np.argwhere(~np.isin(values, allowed))[:1]:
        raise LabelError(f"{path}: {name(row, column)}: expected a whole number 1 to 9; {advise(path)}")
    return values


def _accepted(table: pd.DataFrame) -> np.ndarray:
    return np.logical_and.reduce([table[c].str.strip().str.lower() == value for c, value in _ACCEPTED.items()])


MODEL_ACCURACY = "Accuracy"
"""Further column of the study's table of agreement: the mean accuracy of its model, not of the raters."""


def read_humans(
    emotions: Sequence[str],
    attributes: Sequence[str],
    files: Mapping[str, Path],
    scale: Ends | Mapping[str, Ends] | None = None,
) -> xr.Dataset:
    """Read and check the human data of a study.

    Parameters
    ----------
    emotions, attributes : sequence of str
        The study's labels; the order of the RDMs' emotions comes from ``files["order"]``, if there is such a file.
    files : dict of str to Path
        By field of :class:`emonb.study.Humans`. ``order``: emotions, one a line. Pairs of emotions run over the lower
        triangle column by column. CSV with a header: ``judgments``: a row a judge, a column a pair, called by the pair
        (``joy|fear``, in any order) or V1, V2, ..., larger is less alike, empty where missing; ``mean_judgments`` (may be
        left out): their mean, a row a pair; ``scores``: a column an attribute, a row an emotion, which a column ``emotion``
        names or the order; ``attribute_rdms`` (may be left out): a column an attribute, a row a pair, the absolute
        differences of the scores up to a factor; or in place of both ``ratings`` (:func:`read_long`); ``agreement`` (may be
        left out): columns ``Emotion`` and ``Cohen's kappa`` (or emotion, kappa), and :data:`MODEL_ACCURACY` where a study
        tabulates it.
    scale : tuple or dict of kind of file to tuple, optional
        Lowest and highest number (:func:`emonb.data.tables.find_scale`).

    Returns
    -------
    Dataset
        ``judgment`` (judge, pair; NaN where missing), ``dissimilarity`` (pair, mean over the judges who judged it),
        ``score`` (emotion, attribute; 0..1), ``attribute_rdm`` (attribute, pair) and, if they are tabulated, ``kappa``
        (emotion; raters of the comments) and ``model_accuracy`` (emotion). From single ratings, scores are mean ratings
        rescaled, and RDMs the absolute differences of the means.

    Raises
    ------
    LabelError
        A missing or renamed column, an unknown emotion, a wrong number of rows, a value that is not finite or off its
        scale, rows that nothing names, a pair with fewer than two judgments, mean judgments that are not the mean.
    """
    ordered = "order" in files
    order = _read_order(files["order"], emotions) if ordered else list(emotions)
    n_pairs, (i, j) = len(order) * (len(order) - 1) // 2, pair_index(len(order))
    judgment = _read_judgments(files["judgments"], order, ordered, find_scale(scale, "judgments"))
    _check_judged(judgment, order, files["judgments"])
    dissimilarity = np.nanmean(judgment, 0)
    if "mean_judgments" in files:
        _check_mean(dissimilarity, files["mean_judgments"], files["judgments"])
    if "ratings" in files:
        ratings = read_long(files["ratings"], order, attributes, find_scale(scale, "ratings"))
        try:
            mean, score = (a.to_numpy() for a in score_emotions(ratings))
        except LabelError as flat:
            raise LabelError(f"{files['ratings']}: {flat} (from the study's attributes and the file)") from None
    else:
        mean = score = _read_scores(files["scores"], attributes, order, ordered, find_scale(scale, "scores"))
    if "attribute_rdms" in files:
        rdm = _check_rows(read_table(files["attribute_rdms"]), files["attribute_rdms"], attributes, n_pairs)
        _check_same_order(score, rdm, attributes, files["attribute_rdms"])
    else:
        rdm = level(np.abs(mean[i] - mean[j]).T, np.abs(mean).T).T
    agreement = _read_agreement(files["agreement"], order) if "agreement" in files else {}
    return xr.Dataset(
        {
            "judgment": (("judge", "pair"), judgment),
            "dissimilarity": ("pair", dissimilarity),
            "score": (("emotion", "attribute"), score),
            "attribute_rdm": (("attribute", "pair"), np.ascontiguousarray(rdm.T)),
            **{name: ("emotion", values) for name, values in agreement.items()},
        },
        coords={
            "emotion": order,
            "attribute": list(attributes),
            "judge": np.arange(1, len(judgment) + 1),
            **pair_coords(order),
        },
    )


def _read_judgments(path: Path, order: Sequence[str], ordered: bool, scale: Ends) -> np.ndarray:
    """Judgments [judge, pair], by columns that name their pairs, or by the order of the pairs."""
    pairs, table = pair_coords(order)["pair"][1].tolist(), read_table(path)
    if table.columns.str.contains("|", regex=False).any():
        table.columns = [name_pair(column.split("|"), order) for column in table.columns]
        check_labels(table.columns, pairs, "pairs", path)
        table = table[pairs]
    else:
        _check_ordered(ordered, path, f"its columns by their pairs, such as {pairs[0]}")
        columns = [f"V{k + 1}" for k in range(len(pairs))]
        check_labels(table.columns, columns, "columns", path)
        table = table[columns].set_axis([f"{v} ({pair})" for v, pair in zip(columns, pairs, strict=True)], axis=1)
    return numeric(table, path, missing=True, scale=scale)


def _read_scores(path: Path, attributes: Sequence[str], order: Sequence[str], ordered: bool, scale: Ends) -> np.ndarray:
    """Finished scores [emotion, attribute]; rows are named, or in the order."""
    table = read_table(path)
    if "emotion" in table:
        check_labels(table["emotion"], order, "emotions", path)
        table = _arrange(table, "emotion", order).drop(columns="emotion")
    else:
        _check_ordered(ordered, path, "its rows by a column emotion")
    return _check_rows(table, path, attributes, len(order), scale)


def _arrange(table: pd.DataFrame, column: str, order: Sequence[str]) -> pd.DataFrame:
    """Rows by their emotions in order; the index says line and emotion."""
    names = list(table[column])
    return table.set_axis([f"{line}, {n}" for line, n in zip(table.index, names, strict=True)]).iloc[
        [names.index(emotion) for emotion in order]
    ]


def _check_ordered(ordered: bool, path: Path, remedy: str) -> None:
    if not ordered:
        raise LabelError(f"{path}: nothing says which emotions it is about; name {remedy}, or give humans.order")


def _read_agreement(path: Path, order: Sequence[str]) -> dict[str, np.ndarray]:
    """Agreement of the comments' raters and, where the table has it, accuracy of the study's model, by emotion in order."""
    kappa = "Cohen's kappa"
    table = read_table(path, blank=True).rename(columns={"emotion": "Emotion", "kappa": kappa, "accuracy": MODEL_ACCURACY})
    columns = [kappa, *([MODEL_ACCURACY] if MODEL_ACCURACY in table else [])]
    if missing := [column for column in ("Emotion", kappa) if column not in table]:
        raise LabelError(f"{path}: no column {missing[0]} (or {missing[0].split()[-1].lower()}); {advise(path)}")
    try:
        check_labels(table["Emotion"], order, "emotions", path)
    except LabelError as error:
        raise LabelError(f"{error}; or give a file of yours as humans.agreement, or null") from None
    table = _arrange(table, "Emotion", order)
    values = numeric(table[columns], path)
    for row, column in np.argwhere(is_off(values, (-1, 1)))[:1]:
        raise LabelError(f"{path}, line {table.index[row]}: {columns[column]} does not lie within -1 and 1; {advise(path)}")
    return dict(zip(["kappa", "model_accuracy"], values.T, strict=False))


def _read_order(path: Path, emotions: Sequence[str]) -> list[str]:
    """Emotions, one a line (a name may have two words), or all between white space."""
    text = read_text(path)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    order = lines if len(lines) > 1 and sorted(text.split()) != sorted(emotions) else text.split()
    check_labels(order, emotions, "emotions", path)
    return order


def _check_rows(
    table: pd.DataFrame, path: Path, attributes: Sequence[str], n_rows: int, scale: Ends | None = None
) -> np.ndarray:
    check_labels(table.columns, attributes, "columns", path)
    values = numeric(table[list(attributes)], path, scale=scale)
    if len(values) != n_rows:
        raise LabelError(f"{path}: expected {n_rows} rows, found {len(values)}; the file is not for this study's emotions")
    return values


def _check_judged(judgment: np.ndarray, order: Sequence[str], where: Path) -> None:
    """The mean of a pair that hardly anyone judged is no mean, and who gave hardly a judgment no judge."""
    given, names = ~np.isnan(judgment), pair_coords(order)["pair"][1]
    for pair in np.flatnonzero(given.sum(0) < 2)[:1]:
        raise LabelError(f"{where}: judgments of {names[pair]}: {given[:, pair].sum()}; at least two judges must judge it")
    for judge in np.flatnonzero(given.sum(1) < 3)[:1]:
        raise LabelError(f"{where}: judgments of judge {judge + 1}: {given[judge].sum()}; leave this row out")
    if not varies(np.nanmean(judgment, 0)):
        raise LabelError(f"{where}: all pairs are judged equally unlike, so that they tell nothing apart; {advise(where)}")


def _check_mean(dissimilarity: np.ndarray, path: Path, judgments: Path) -> None:
    mean = numeric(read_table(path), path)[:, 0]
    if mean.shape != dissimilarity.shape or not np.allclose(mean, dissimilarity, atol=1e-9):
        raise LabelError(f"{path} is not the mean of the judgments in {judgments}; {advise(path)}")


def _check_same_order(score: np.ndarray, rdm: np.ndarray, attributes: Sequence[str], where: Path) -> None:
    """Attribute RDMs are |difference of scores|, rescaled: rows in another order would not be proportional."""
    i, j = pair_index(len(score))
    difference = np.abs(score[i] - score[j])
    for k, name in enumerate(attributes):
        if not varies(score[:, k]) or not varies(difference[:, k]):  # then nothing may differ, or everything the same
            if varies(rdm[:, k]):
                raise LabelError(f"{where}: the RDM of {name} varies, and the scores on it do not; rows moved?")
            continue
        r = np.corrcoef(difference[:, k], rdm[:, k])[0, 1] if varies(rdm[:, k]) else 0.0
        if not r >= 0.999:
            raise LabelError(f"{where}: RDMs are not the differences of the attribute scores (r = {r:.3f}); rows moved?")
