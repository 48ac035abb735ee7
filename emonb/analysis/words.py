"""What words alone tell: RDMs of the training comments, with no model."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer

from emonb.analysis.rdm import pair_coords, pair_index, pair_labels, pattern_rdm


def corpus_rdms(comments: pd.DataFrame, humans: xr.Dataset) -> xr.Dataset:
    """RDMs made from the training comments alone, on the human RDM's pairs.

    ``tfidf``: 1 - cosine of the emotions' mean tf-idf vectors over their training comments (comments with several
    emotions count for each). ``cooccurrence``: 1 - correlation of the emotions' label vectors over training comments
    that have any emotion; left out when no comment has two, because then labels say nothing about similarity. An emotion
    whose comments have no word that counts (none at all, only emoji, or words of one comment only), and one that all or
    none of the comments have, is at no defined distance (NaN) from any other.

    Parameters
    ----------
    comments : DataFrame
        Columns ``split`` ("train", ...), ``text``, and one boolean column an emotion.
    humans : Dataset
        Of which only the names of the pairs are read.

    Returns
    -------
    Dataset
        ``tfidf`` and, where there is any, ``cooccurrence`` (pair).
    """
    emotions = pair_labels(humans)
    train = comments[comments["split"] == "train"]
    labels = train[emotions].to_numpy(np.float64)  # [comment, emotion]
    try:
        words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(train["text"])
        totals = np.asarray((words.T @ labels).T)  # [emotion, word]; the cosine is that of the means
    except ValueError:  # no word is left in any comment
        totals = np.zeros((len(emotions), 1))
    rdms = {"tfidf": ("pair", _distances(totals, np.asarray(totals.any(1)), lambda rows: pdist(rows, "cosine")))}
    if (labels.sum(1) > 1).any():
        given = labels[labels.any(1)].T  # [emotion, comment]
        rdms["cooccurrence"] = ("pair", _distances(given, np.asarray(np.ptp(given, axis=1) > 0), pattern_rdm))
    return xr.Dataset(rdms, coords=pair_coords(emotions))


def undefined_emotions(rdms: xr.Dataset) -> list[str]:
    """Emotions that are at no defined distance from any other in one of these RDMs."""
    names, missing = pair_labels(rdms), rdms.to_dataarray("rdm").isnull().any("rdm")
    return [e for e in names if bool(missing.where((rdms["first"] == e) | (rdms["second"] == e), True).all())]


def _distances(rows: np.ndarray, defined: np.ndarray, distance: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Distances of all pairs of rows, NaN for pairs with a row that is not defined."""
    i, j = pair_index(len(rows))
    out = np.full(len(i), np.nan)
    if defined.sum() > 1:
        out[defined[i] & defined[j]] = distance(rows[defined])
    return out
