"""What words alone tell: RDMs of the training comments, with no model."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer

from emonb.analysis.rdm import pair_coords, pair_labels, pattern_rdm


def corpus_rdms(comments: pd.DataFrame, humans: xr.Dataset) -> xr.Dataset:
    """RDMs made from the training comments alone, on the human RDM's pairs.

    ``tfidf``: 1 - cosine of the emotions' mean tf-idf vectors over their training comments (comments with several
    emotions count for each). ``cooccurrence``: 1 - correlation of the emotions' label vectors over training comments
    that have any emotion; left out when no comment has two, because then labels say nothing about similarity.

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
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(train["text"])
    centroids = np.asarray((words.T @ labels).T) / labels.sum(0)[:, None]  # [emotion, word]
    rdms = {"tfidf": ("pair", pdist(centroids, "cosine"))}
    if (labels.sum(1) > 1).any():
        rdms["cooccurrence"] = ("pair", pattern_rdm(labels[labels.any(1)].T, "correlation"))
    return xr.Dataset(rdms, coords=pair_coords(emotions))
