"""One yes-or-no task per emotion and seed: comments with the emotion, and as many drawn without looking."""

from typing import NamedTuple

import numpy as np
import pandas as pd


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
        From :func:`emonb.corpora.read_goemotions`.
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
