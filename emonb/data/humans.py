"""The human side: judgments of pairs of emotions, attribute scores and RDMs, and how well raters agree."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from emonb.analysis.people import score_emotions
from emonb.analysis.rdm import pair_coords, pair_index
from emonb.analysis.ties import level, varies
from emonb.data.checks import advise, check_labels, numeric, read_table, read_text
from emonb.data.ratings import read_long
from emonb.errors import LabelError

AGREEMENT_COLUMNS = ("Emotion", "Count", "Interrater Correlation", "Cohen's kappa")
MODEL_ACCURACY = "Accuracy"
"""Further column of the study's table of agreement: the mean accuracy of its model, not of the raters."""


def read_humans(emotions: Sequence[str], attributes: Sequence[str], files: Mapping[str, Path]) -> xr.Dataset:
    """Read and check the human data of a study.

    Parameters
    ----------
    emotions, attributes : sequence of str
        The study's labels; the order of the RDMs' emotions comes from ``files["order"]``.
    files : dict of str to Path
        By field of :class:`emonb.settings.Humans`. ``order``: emotions, one a line. Pairs of emotions run over
        the lower triangle column by column. CSV with a header: ``judgments``: V1, V2, ..., a column a pair, a row a judge,
        1 (most similar) to 9, empty where missing; ``mean_judgments`` (may be left out): their mean, a row a pair;
        ``scores``: a column an attribute, a row an emotion, 0 to 1; ``attribute_rdms``: a column an attribute, a row a
        pair, the absolute differences of the scores up to a factor; or in place of both ``ratings``, as
        :func:`emonb.data.ratings.read_long` reads them; ``agreement``: :data:`AGREEMENT_COLUMNS`, a row an emotion in
        any order; and :data:`MODEL_ACCURACY`, where a study tabulates it too.

    Returns
    -------
    Dataset
        ``judgment`` (judge, pair; 1 = most similar ... 9 = least; NaN where missing), ``dissimilarity`` (pair, mean over
        the judges who judged it), ``score`` (emotion, attribute; 0..1), ``attribute_rdm`` (attribute, pair), ``kappa``
        (emotion; raters of the comments) and, if it is tabulated, ``model_accuracy`` (emotion). From single ratings,
        scores are mean ratings rescaled, and RDMs the absolute differences of the means.

    Raises
    ------
    LabelError
        A missing or renamed column, an unknown emotion, a wrong number of rows, a value that is not finite, a pair with
        fewer than two judgments, mean judgments that are not the mean of the judgments.
    """
    order = _read_order(files["order"], emotions)
    n_pairs = len(order) * (len(order) - 1) // 2
    judgments = read_table(files["judgments"], [f"V{k + 1}" for k in range(n_pairs)])
    pairs = pair_coords(order)["pair"][1]
    named = judgments.set_axis([f"{v} ({pair})" for v, pair in zip(judgments, pairs, strict=True)], axis=1)
    judgment = numeric(named, files["judgments"], missing=True)
    _check_judged(judgment, order, files["judgments"])
    dissimilarity = np.nanmean(judgment, 0)
    if "mean_judgments" in files:
        _check_mean(dissimilarity, files["mean_judgments"], files["judgments"])
    if "ratings" in files:
        i, j = pair_index(len(order))
        mean, score = (a.to_numpy() for a in score_emotions(read_long(files["ratings"], order, attributes)))
        rdm = level(np.abs(mean[i] - mean[j]).T, np.abs(mean).T).T
    else:
        score = _read_rows(files["scores"], attributes, len(order))
        rdm = _read_rows(files["attribute_rdms"], attributes, n_pairs)
        _check_same_order(score, rdm, attributes, files["attribute_rdms"])
    return xr.Dataset(
        {
            "judgment": (("judge", "pair"), judgment),
            "dissimilarity": ("pair", dissimilarity),
            "score": (("emotion", "attribute"), score),
            "attribute_rdm": (("attribute", "pair"), np.ascontiguousarray(rdm.T)),
            **{name: ("emotion", values) for name, values in _read_agreement(files["agreement"], order).items()},
        },
        coords={
            "emotion": order,
            "attribute": list(attributes),
            "judge": np.arange(1, len(judgment) + 1),
            **pair_coords(order),
        },
    )


def _read_agreement(path: Path, order: Sequence[str]) -> dict[str, np.ndarray]:
    """Agreement of the comments' raters and, where the table has it, accuracy of the study's model, by emotion in order."""
    more = [MODEL_ACCURACY] if MODEL_ACCURACY in read_table(path, blank=True) else []
    table = read_table(path, [*AGREEMENT_COLUMNS, *more], blank=True)
    check_labels(table["Emotion"], order, "emotions", path)
    values = numeric(table[["Cohen's kappa", *more]], path)[[list(table["Emotion"]).index(emotion) for emotion in order]]
    return dict(zip(["kappa", "model_accuracy"], values.T, strict=False))


def _read_order(path: Path, emotions: Sequence[str]) -> list[str]:
    """Emotions, one a line (a name may have two words), or all between white space."""
    text = read_text(path)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    order = lines if len(lines) > 1 and sorted(text.split()) != sorted(emotions) else text.split()
    check_labels(order, emotions, "emotions", path)
    return order


def _read_rows(path: Path, attributes: Sequence[str], n_rows: int) -> np.ndarray:
    values = numeric(read_table(path, attributes), path)
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
