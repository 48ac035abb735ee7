"""The human side: judgments of pairs of emotions, attribute scores and RDMs, and how well raters agree."""

from pathlib import Path

import numpy as np
import xarray as xr

from emonb.analysis.rdm import pair_coords, pair_index
from emonb.data.checks import check_labels, numeric, read_table
from emonb.errors import LabelError
from emonb.study import Study

AGREEMENT_COLUMNS = ("Emotion", "Count", "Interrater Correlation", "Cohen's kappa", "Accuracy")


def human_files(study: Study) -> dict[str, str]:
    """URL paths of the human data, by field name."""
    return study.humans.model_dump()


def read_humans(study: Study, files: dict[str, Path]) -> xr.Dataset:
    """Read and check the human data of a study.

    Parameters
    ----------
    study : Study
    files : dict of str to Path
        Local paths by field name of ``study.humans``.

    Returns
    -------
    Dataset
        ``judgment`` (judge, pair; 1 = most similar ... 9 = least), ``dissimilarity`` (pair, mean over judges),
        ``score`` (emotion, attribute; 0..1), ``attribute_rdm`` (attribute, pair), ``kappa`` and ``rater_accuracy``
        (emotion; GoEmotions raters).

    Raises
    ------
    LabelError
        A missing or renamed column, an unknown emotion, a wrong number of rows, a value that is not finite, mean
        judgments that are not the mean of the judgments.
    """
    emotions = files["order"].read_text(encoding="utf-8").split()
    check_labels(emotions, study.emotions, "emotions", files["order"])
    n_pairs = len(emotions) * (len(emotions) - 1) // 2
    judgments = read_table(files["judgments"], [f"V{k + 1}" for k in range(n_pairs)])
    judgment = numeric(judgments, files["judgments"])
    mean = numeric(read_table(files["mean_judgments"]), files["mean_judgments"])[:, 0]
    if mean.shape != (n_pairs,) or not np.allclose(mean, judgment.mean(0), atol=1e-9):
        raise LabelError(f"{files['mean_judgments']} is not the mean of the judgments in {files['judgments']}")
    scores = read_table(files["scores"], study.attributes)
    _check_rows(len(scores), len(emotions), files["scores"])
    rdms = read_table(files["attribute_rdms"], study.attributes)
    _check_rows(len(rdms), n_pairs, files["attribute_rdms"])
    score, rdm = numeric(scores, files["scores"]), numeric(rdms, files["attribute_rdms"])
    _check_same_order(score, rdm, files["attribute_rdms"])
    agreement = read_table(files["agreement"], AGREEMENT_COLUMNS, blank=True)
    check_labels(agreement["Emotion"], study.emotions, "emotions", files["agreement"])
    agreement = agreement.set_index("Emotion").loc[emotions]
    return xr.Dataset(
        {
            "judgment": (("judge", "pair"), judgment),
            "dissimilarity": ("pair", judgment.mean(0)),
            "score": (("emotion", "attribute"), score),
            "attribute_rdm": (("attribute", "pair"), np.ascontiguousarray(rdm.T)),
            "kappa": ("emotion", agreement["Cohen's kappa"].to_numpy()),
            "rater_accuracy": ("emotion", agreement["Accuracy"].to_numpy()),
        },
        coords={
            "emotion": emotions,
            "attribute": list(study.attributes),
            "judge": np.arange(1, len(judgment) + 1),
            **pair_coords(emotions),
        },
    )


def _check_rows(found: int, expected: int, where: Path) -> None:
    if found != expected:
        raise LabelError(f"{where}: expected {expected} rows, found {found}; the file is not for this study's emotions")


def _check_same_order(score: np.ndarray, rdm: np.ndarray, where: Path) -> None:
    """Attribute RDMs are |difference of scores|, rescaled: rows in another order would not be proportional."""
    i, j = pair_index(len(score))
    difference = np.abs(score[i] - score[j])
    r = [np.corrcoef(difference[:, k], rdm[:, k])[0, 1] for k in range(score.shape[1])]
    if min(r) < 0.999:
        raise LabelError(f"{where}: RDMs are not the differences of the attribute scores (r = {min(r):.3f}); rows moved?")
