"""GoEmotions (Demszky et al. 2020): comments with one or more emotions or neutral, and one yes-or-no task an emotion."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emonb.data.tables import advise, read_text
from emonb.errors import LabelError

SPLITS = ("train", "dev", "test")


def read_goemotions(emotions: Sequence[str], files: dict[str, Path], labels: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the simplified GoEmotions splits, or another corpus in their form.

    Parameters
    ----------
    emotions : sequence of str
        The study's; some or all of the corpus's. Comments that only have others stay, without a label.
    files : dict of split name to Path
        Tab-separated, no header: text, comma-separated label ids, comment id.
    labels : sequence of str, optional
        What label id 0, 1, ... means. If not given: the study's emotions in their order, then neutral.

    Returns
    -------
    DataFrame
        Columns ``split``, ``text`` and one boolean column an emotion.

    Raises
    ------
    LabelError
        A line that is not text, labels, id; a label id that is not known; an emotion the corpus has no label for.
    """
    known = list(labels or [*emotions, "neutral"])
    absent = [emotion for emotion in emotions if emotion not in known]
    if absent or len(set(known)) != len(known):
        problem = f"have none for {', '.join(absent)}" if absent else "name one twice"
        raise LabelError(f"the corpus's labels {problem}; correct the study's corpus.labels (or its emotions)")
    tables = []
    for split, path in files.items():
        texts, ids = _read_split(path, len(known))
        has = np.zeros((len(texts), len(known)), bool)  # [comment, label]
        for row, mine in enumerate(ids):
            has[row, mine] = True
        table = pd.DataFrame(has[:, [known.index(emotion) for emotion in emotions]], columns=list(emotions))
        table.insert(0, "split", split)
        table.insert(1, "text", texts)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _read_split(path: Path, n_labels: int) -> tuple[list[str], list[list[int]]]:
    """Texts and label ids of a split's comments; empty lines are left out."""
    texts, ids = [], []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise LabelError(
                f"{path}, line {number}: expected text, label ids and comment id between tabs, found {len(fields)} fields; "
                f"{advise(path)}"
            )
        mine = fields[1].split(",")
        if not all(label.isdecimal() for label in mine):
            raise LabelError(
                f"{path}, line {number}: label ids are not whole numbers between commas, such as 0,3; {advise(path)} "
                "(no heading; id 0 is the first name of corpus.labels)"
            )
        if not fields[0].strip():
            raise LabelError(f"{path}, line {number}: the comment is empty; {advise(path)} (leave the line out)")
        unknown = next((label for label in mine if int(label) >= n_labels), None)
        if unknown is not None:
            raise LabelError(
                f"{path}, line {number}: unknown label id '{unknown}'; known: 0 to {n_labels - 1}. {advise(path)}, or say "
                "in the study's corpus.labels what the ids mean"
            )
        texts.append(fields[0])
        ids.append([int(label) for label in mine])
    return texts, ids


def hold_words(texts: Sequence[str], words: Iterable[str]) -> np.ndarray:
    """Tell which texts hold one of these words, in any of its regular inflections.

    >>> hold_words(["She LOVED it.", "clover", "pitied"], ["love", "pity"]).tolist()
    [True, False, True]
    """
    forms = {form for word in words for form in _inflect(word.lower())}
    return np.array([not forms.isdisjoint(_split_words(text.lower())) for text in texts], bool)


def _split_words(text: str) -> list[str]:
    """Words of a text; of one with hyphens also its parts."""
    words = re.findall(r"\w+(?:-\w+)*", text)
    return words + [part for word in words if "-" in word for part in word.split("-")]


def _inflect(word: str) -> set[str]:
    """A word with the endings of nouns, verbs and adjectives, also where it is none of these."""
    stem, full = word[:-1], ("s", "es", "ed", "ing", "er", "est", "ly")
    if word.endswith("e"):
        return {word, *(word + end for end in ("s", "d", "r", "st", "ly")), stem + "ing", stem + "y"}
    if word.endswith("y"):
        return {word, word + "ing", word + "s", *(stem + "i" + end for end in ("es", "ed", "er", "est", "ly"))}
    return {word, *(word + end for end in full), *(word + word[-1] + end for end in full[2:6])}


class Task(NamedTuple):
    """Rows of the comments table and whether each expresses the emotion."""

    rows: np.ndarray
    labels: np.ndarray


def make_tasks(
    comments: pd.DataFrame,
    emotions: Sequence[str],
    seeds: Sequence[int],
    split: str,
    negatives: str = "paper",
    examples: int | None = None,
) -> dict[tuple[str, int], Task]:
    """Tasks of all (emotion, seed) on one split (:func:`make_task`); a LabelError for an emotion without comments."""
    check_comments(comments, emotions, split)
    return {(e, s): make_task(comments, e, s, split, negatives, examples) for s in seeds for e in emotions}


def check_comments(comments: pd.DataFrame, emotions: Sequence[str], split: str) -> None:
    """Raise unless every emotion has a comment in a split, and a comment that lacks it."""
    table = comments.loc[comments["split"] == split, list(emotions)]
    for what, some in (("with", table.any()), ("without", ~table.all())):
        empty = [emotion for emotion in emotions if not some[emotion]]
        if empty:
            raise LabelError(
                f"the {split} split has no comment {what} {', '.join(empty)}; drop the emotion, give more (corpus.{split}) "
                "or correct what the label ids mean (corpus.labels)"
            )


def find_moved_labels(comments: pd.DataFrame, names: Mapping[str, Iterable[str]], alpha: float = 0.001) -> dict[str, str]:
    """Emotions whose name stands more often in comments that are labelled as another emotion, with that other one.

    Where the labels of a corpus are listed in another order than its ids have, comments on grief are called
    joyful; nothing else would show it.

    Parameters
    ----------
    comments : DataFrame
        From :func:`read_goemotions`; comments with a single emotion count.
    names : mapping of str to iterable of str
        Words that name each emotion.
    alpha : float
        Two labels are compared by Fisher's exact test, one-sided.

    Returns
    -------
    dict of str to str
        Emotion -> the label whose comments name it more often.
    """
    from scipy.stats import fisher_exact

    single = comments[comments[list(names)].sum(axis=1) == 1]
    has, held = single[list(names)].to_numpy(), [{*_split_words(text.lower())} for text in single["text"]]
    n, found = has.sum(0), {}
    for mine, (emotion, words) in enumerate(names.items()):
        forms = {form for word in words for form in _inflect(word.lower())}
        named = has[[not forms.isdisjoint(words) for words in held]].sum(0)  # comments of each label
        most = int(np.argmax(named / np.maximum(n, 1)))
        table = [[named[k], n[k] - named[k]] for k in (most, mine)]
        if most != mine and fisher_exact(table, "greater").pvalue < alpha:
            found[emotion] = list(names)[most]
    return found


def name_emotions(emotions: Iterable[str]) -> dict[str, list[str]]:
    """Words that name each emotion: its label, and the adjective or verb in it.

    >>> name_emotions(["sadness", "joy"])
    {'sadness': ['sadness', 'sad'], 'joy': ['joy']}
    """
    return {emotion: list(dict.fromkeys([emotion, re.sub("(ness|ment)$", "", emotion)])) for emotion in emotions}


def make_task(
    comments: pd.DataFrame, emotion: str, seed: int, split: str, negatives: str = "paper", examples: int | None = None
) -> Task:
    """Build the task of one emotion, seed and split: positives first, then negatives.

    Parameters
    ----------
    comments : DataFrame
        From :func:`read_goemotions`.
    seed : int
        Draws the negatives.
    negatives : {'paper', 'true'}
        ``paper``: as many as there are positives, drawn with replacement from *all* comments of the split, with their
        true label, by numpy's legacy generator as in the released code; some are positives. ``true``: drawn without
        replacement from comments that lack the emotion.
    examples : int, optional
        Keep at most so many: the first half of positives and of negatives.

    >>> comments = pd.DataFrame({"split": ["train"] * 6, "joy": [True, False, False, True, False, False]})
    >>> make_task(comments, "joy", seed=0, split="train", negatives="true").labels.tolist()
    [True, True, False, False]
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
