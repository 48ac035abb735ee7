"""GoEmotions (Demszky et al. 2020): comments with one or more of 27 emotions or neutral, and RDMs of the words alone."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.rdm import pair_coords, pattern_rdm
from emonb.errors import LabelError
from emonb.study import Study

SPLITS = ("train", "dev", "test")


def read_goemotions(study: Study, files: dict[str, Path]) -> pd.DataFrame:
    """Read the simplified GoEmotions splits.

    Parameters
    ----------
    study : Study
        Its emotions, sorted, are label ids 0 ... 26; id 27 is neutral.
    files : dict of split name to Path
        Tab-separated: text, comma-separated label ids, comment id.

    Returns
    -------
    DataFrame
        Columns ``split``, ``text`` and one boolean column an emotion.

    Raises
    ------
    LabelError
        A line that is not text, labels, id; a label id that is not known.
    """
    emotions = sorted(study.emotions)
    tables = []
    for split, path in files.items():
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
        if any(len(row) != 3 for row in rows):
            raise LabelError(f"{path}: a line is not text, labels, id separated by tabs; fetch the file again")
        labels = np.zeros((len(rows), len(emotions) + 1), bool)
        for r, row in enumerate(rows):
            for label in row[1].split(","):
                if not label.isdigit() or int(label) > len(emotions):
                    raise LabelError(f"{path}: unknown label id '{label}'; known: 0 to {len(emotions)}")
                labels[r, int(label)] = True
        table = pd.DataFrame(labels[:, :-1], columns=emotions)
        table.insert(0, "split", split)
        table.insert(1, "text", [row[0] for row in rows])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def corpus_rdms(comments: pd.DataFrame, emotions: list[str]) -> xr.Dataset:
    """RDMs made from the training comments alone, with no model.

    ``tfidf``: 1 - cosine of the emotions' mean tf-idf vectors over their training comments (comments with several
    emotions count for each). ``cooccurrence``: 1 - correlation of the emotions' label vectors over training comments
    that have any emotion; left out when no comment has two, because then labels say nothing about similarity.

    Parameters
    ----------
    comments : DataFrame
        From :func:`read_goemotions`.
    emotions : list of str
        Order of the RDMs.

    Returns
    -------
    Dataset
        ``tfidf`` and, where there is any, ``cooccurrence`` (pair).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = comments[comments["split"] == "train"]
    labels = train[emotions].to_numpy(np.float64)  # [comment, emotion]
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(train["text"])
    centroids = np.asarray((words.T @ labels).T) / labels.sum(0)[:, None]  # [emotion, word]
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    cosine = centroids @ centroids.T
    i, j = np.triu_indices(len(emotions), 1)
    rdms = {"tfidf": ("pair", 1 - cosine[i, j])}
    if (labels.sum(1) > 1).any():
        rdms["cooccurrence"] = ("pair", pattern_rdm(labels[labels.any(1)].T, "correlation"))
    return xr.Dataset(rdms, coords=pair_coords(emotions))


class Task(NamedTuple):
    """Rows of the comments table and whether each expresses the emotion."""

    rows: np.ndarray
    labels: np.ndarray


def make_task(
    comments: pd.DataFrame, emotion: str, seed: int, split: str, negatives: str = "paper", examples: int | None = None
) -> Task:
    """Build the task of one emotion, seed and split.

    Parameters
    ----------
    comments : DataFrame
        From :func:`emonb.data.goemotions.read_goemotions`.
    emotion, split : str
    seed : int
        Draws the negatives.
    negatives : {'paper', 'true'}
        ``paper``: as many as there are positives, drawn with replacement from *all* comments of the split, with their
        true label, by numpy's legacy generator as in the released code; some are positives. ``true``: drawn without
        replacement from comments that lack the emotion.
    examples : int, optional
        Keep at most so many: the first half of positives and of negatives.

    Returns
    -------
    Task
        Positives first, then negatives.
    """
    of_split = np.flatnonzero((comments["split"] == split).to_numpy())
    has = comments[emotion].to_numpy()[of_split]
    positive = of_split[has]
    if negatives == "paper":
        negative = of_split[np.random.RandomState(seed).choice(len(of_split), len(positive))]
    else:
        lacking = of_split[~has]
        rng = np.random.default_rng([seed, 1])
        negative = rng.choice(lacking, min(len(positive), len(lacking)), replace=False)
    if examples is not None:
        positive, negative = positive[: (examples + 1) // 2], negative[: examples // 2]
    rows = np.concatenate([positive, negative])
    return Task(rows, comments[emotion].to_numpy()[rows])


def draw_order(task: Task, emotion: str, seed: int, epoch: int) -> np.ndarray:
    """Order in which an epoch visits a task's examples: a function of emotion, seed and epoch only."""
    key = [seed, epoch, *emotion.encode()]
    return np.random.default_rng(key).permutation(len(task.rows))
