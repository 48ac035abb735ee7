"""The planted world: emotions with known attribute levels, texts that voice them, people who judge them.

Everything a real study reads comes out in the same files: comments with labels, order of the emotions, judgments of
pairs, attribute scores and RDMs, raters' agreement. Cue words are those of ``data/world.yml``. What is true in the world
(:class:`Truth`) goes to the claims ledger and nowhere else.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emonb.analysis.rdm import pair_index
from emonb.artifacts import write_text
from emonb.errors import StudyError
from emonb.paths import data_dir
from emonb.study import WorldPlan

Words = Annotated[tuple[str, ...], Field(min_length=1)]


class Cues(BaseModel):
    """Words that voice a high and a low level of an attribute; as many of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    high: Words
    low: Words


class Lexicon(BaseModel):
    """All words of the world."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    emotions: Words
    attributes: dict[str, Cues]
    speakers: Words
    verdict: tuple[str, str]
    clauses: Words

    @model_validator(mode="after")
    def _no_word_twice(self) -> "Lexicon":
        words = list(self.vocabulary())
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise ValueError(f"words with two meanings: {', '.join(twice)}")
        if len({len(pole) for cues in self.attributes.values() for pole in (cues.high, cues.low)}) != 1:
            raise ValueError("every attribute needs as many high as low cue words")
        return self

    def cues(self, attribute: str) -> tuple[Words, Words]:
        """Low and high cue words of an attribute; StudyError if it has none."""
        if attribute not in self.attributes:
            known = ", ".join(self.attributes)
            raise StudyError(f"the planted world has no words for the attribute '{attribute}'; known: {known}")
        return self.attributes[attribute].low, self.attributes[attribute].high

    def vocabulary(self) -> tuple[str, ...]:
        """Every word of the world, each once: verdicts, speakers, cue words, the clauses' own words."""
        cues = [word for c in self.attributes.values() for word in (*c.low, *c.high)]
        other = dict.fromkeys(word for clause in self.clauses for word in clause.split() if word != "*")
        return (*self.verdict, *self.speakers, *cues, *other)


@cache
def read_lexicon() -> Lexicon:
    """Read and check ``data/world.yml``."""
    path = data_dir() / "world.yml"
    try:
        return Lexicon.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: {error}") from None


SPLITS = ("train", "dev", "test")
FILES = ("order", "judgments", "mean_judgments", "scores", "attribute_rdms", "agreement", *SPLITS)
GROUP, COMMON = 12, 88  # FFN neurons wired to each attribute; neurons of no attribute
_FAMILIES, _SHARED, _GAIN = 6, 0.3, 3.0  # families of emotions, their share of the variance, steepness of the levels
_SLIP = 0.03  # how often a cue contradicts its level
_WRONG_NAME, _WORTH = 0.1, 3.0  # how often a name is any emotion's, and how many cues a name is worth
_FACTORS = (7, 4)  # attributes that share a factor, where they are to correlate
_LENGTH, _CUES = 16, (10, 13)  # words of a comment, how many of them are cues


class Truth(NamedTuple):
    """What is true in a world, by attribute."""

    importance: dict[str, float]
    """Weight in texts; 0 where an attribute is silent."""
    neurons: dict[str, tuple[int, ...]]
    """FFN neurons (flat over layers) wired to the attribute."""


class World:
    """A world drawn from a seed, with the study's labels; StudyError for an attribute without words in `data/world.yml`."""

    def __init__(self, plan: WorldPlan, emotions: Sequence[str], attributes: Sequence[str]) -> None:
        self.plan, self.lexicon = plan, read_lexicon()
        self.emotions, self.attributes = sorted(emotions), list(attributes)
        self.label_ids = [emotions.index(emotion) for emotion in self.emotions]  # as the study lists them
        rng = np.random.default_rng([plan.seed, 1])
        weight, judged = np.zeros((2, len(attributes)))
        n_judged = plan.voiced if plan.judged is None else plan.judged
        judged[:n_judged] = np.geomspace(1, 0.25, n_judged)
        weight[: plan.voiced] = judged[: plan.voiced]
        order = rng.permutation(len(attributes))
        self.weight, self.judged = weight[order], judged[order]  # [attribute], in texts and in human judgment
        self.level = self._draw_levels(rng)  # [emotion, attribute], 0 to 1
        cues = [self.lexicon.cues(a) for a in self.attributes]
        self._cues = np.array([[low, high] for low, high in cues])  # [attribute, pole, synonym]
        self._frames = _draw_frames(self.lexicon, rng)
        self.taste = self._give_tastes()  # [speaker, attribute]
        self.fashion = (self.weight > 0) * rng.choice([-1.0, 1.0], len(attributes))  # [attribute], what all would like

    def _draw_levels(self, rng: np.random.Generator) -> np.ndarray:
        """Levels of emotions in families; what is silent is uncorrelated with what is voiced."""
        n, k = len(self.emotions), len(self.attributes)
        family = rng.normal(size=(_FAMILIES, k))[rng.integers(_FAMILIES, size=n)]
        z = math.sqrt(_SHARED) * family + math.sqrt(1 - _SHARED) * rng.normal(size=(n, k))
        z = (z - z.mean(0)) / z.std(0)
        voiced = self.weight > 0
        known = np.c_[np.ones(n), z[:, voiced]]
        z[:, ~voiced] -= known @ np.linalg.lstsq(known, z[:, ~voiced], rcond=None)[0]
        z /= z.std(0)
        return squash(self._share_factors(z) if self.plan.correlation else z)

    def _share_factors(self, z: np.ndarray) -> np.ndarray:
        """Give voiced and silent attributes factors in common; the first parts the emotions in two, as valence does."""
        rng = np.random.default_rng([self.plan.seed, 5])
        voiced, silent = (list(rng.permutation(np.flatnonzero(mine))) for mine in (self.weight > 0, self.weight == 0))
        turns = [pool.pop() for _ in range(sum(_FACTORS)) for pool in (voiced, silent) if pool][: sum(_FACTORS)]
        for shared, start in zip(_FACTORS, np.r_[0, np.cumsum(_FACTORS)[:-1]], strict=True):
            two = rng.permutation(np.arange(len(z)) % 2) * 2.0 - 1
            factor = scipy.stats.zscore(two + 0.5 * rng.normal(size=len(z)))
            share = np.linspace(1, 0.3, shared) * self.plan.correlation  # of the variance
            for k, part in zip(turns[start : start + shared], share, strict=True):
                z[:, k] = scipy.stats.zscore(math.sqrt(part) * factor + math.sqrt(1 - part) * z[:, k])
        return z

    def _give_tastes(self) -> np.ndarray:
        """Each speaker likes (+1) or dislikes (-1) one voiced attribute."""
        voiced = np.flatnonzero(self.weight > 0)
        speaker = np.arange(len(self.lexicon.speakers))
        taste = np.zeros((len(speaker), len(self.weight)))
        taste[speaker, voiced[speaker % len(voiced)]] = np.where(speaker // len(voiced) % 2, 1, -1)
        return taste

    def write(
        self, rng: np.random.Generator, level: np.ndarray, emotion: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Write one comment for each row of attribute levels [n, attribute].

        ``level`` (n, attribute); ``emotion`` (n,): of each comment, in a world where comments name them, and any emotions'
        names if left out.

        Returns
        -------
        words : array of str, shape (n, words)
        attribute : array of int, shape (n, words)
            Attribute a word voices, -1 for other words; a name's emotion, counted on from the attributes.
        pole : array of bool, shape (n, words)
            True for a high cue.
        """
        frame = self._frames[rng.integers(len(self._frames), size=len(level))]
        attribute = rng.choice(len(self.weight), p=self.weight / self.weight.sum(), size=frame.shape)
        pole = rng.random(frame.shape) < _SLIP + (1 - 2 * _SLIP) * np.take_along_axis(level, attribute, 1)
        word = self._cues[attribute, pole.astype(int), rng.integers(self._cues.shape[2], size=frame.shape)]
        is_cue = frame == "*"
        words, attribute = np.where(is_cue, word, frame), np.where(is_cue, attribute, -1)
        if self.plan.names:
            place = np.argsort(~is_cue + rng.random(frame.shape), axis=1)[:, : self.plan.names]  # cues come first
            name = rng.integers(len(self.emotions), size=place.shape)
            if emotion is not None:
                name = np.where(rng.random(place.shape) < _WRONG_NAME, name, emotion[:, None])
            np.put_along_axis(words, place, np.array(self.emotions)[name], 1)
            np.put_along_axis(attribute, place, len(self.weight) + name, 1)
        return words, attribute, pole

    def balance(self, attribute: np.ndarray, pole: np.ndarray) -> np.ndarray:
        """High minus low cues of every attribute in each comment, [n, attribute]; a name is worth its emotion's levels."""
        out = np.zeros((len(attribute), len(self.weight)))
        cue = (attribute >= 0) & (attribute < len(self.weight))
        np.add.at(out, (np.nonzero(cue)[0], attribute[cue]), np.where(pole[cue], 1.0, -1.0))
        name = attribute >= len(self.weight)
        worth = _WORTH * (2 * self.level - 1) * self.weight / self.weight.sum()  # [emotion, attribute]
        np.add.at(out, np.nonzero(name)[0], worth[attribute[name] - len(self.weight)])
        return out

    def log_odds(self, attribute: np.ndarray, pole: np.ndarray) -> np.ndarray:
        """Log odds of each emotion against a random other one, [n, emotion]: the best any reader can do."""
        chance = _SLIP + (1 - 2 * _SLIP) * self.level.T  # [attribute, emotion]
        if self.plan.names:
            n = len(self.emotions)  # here cues say nothing of the emotion; names do
            named = _WRONG_NAME / n + (1 - _WRONG_NAME) * np.eye(n)
            chance, pole = np.r_[np.full_like(chance, 0.5), named], pole | (attribute >= len(self.weight))
        each = np.where(pole[..., None], np.log(chance)[attribute], np.log1p(-chance)[attribute])
        likelihood = (each * (attribute >= 0)[..., None]).sum(1)  # [n, emotion]
        peak = likelihood.max(1, keepdims=True)
        share = np.exp(likelihood - peak)
        other = (share.sum(1, keepdims=True) - share).clip(1e-300) / (len(self.emotions) - 1)
        return likelihood - peak - np.log(other)

    def groups(self) -> dict[str, tuple[int, ...]]:
        """FFN neurons wired to each attribute, flat over layers: in the last one."""
        first = (self.plan.depth - 1) * (GROUP * len(self.attributes) + COMMON)
        return {name: tuple(range(first + k * GROUP, first + (k + 1) * GROUP)) for k, name in enumerate(self.attributes)}

    def truth(self) -> Truth:
        """What the ledger may know."""
        return Truth(dict(zip(self.attributes, self.weight.tolist(), strict=True)), self.groups())


def write_world(world: World, folder: Path) -> None:
    """Write a world's corpus and human files into a folder: the same bytes for the same world."""
    texts = _corpus(world)
    for split in SPLITS:
        write_text(
            "".join(f"{text}\t{label}\t{split}{k}\n" for k, (text, label) in enumerate(texts[split])), folder / split
        )
    for name, table in _people(world).items():
        write_text(table, folder / name)


def squash(z: np.ndarray) -> np.ndarray:
    """Standard normal values to attribute levels between 0 and 1, most of them near an end."""
    return 1 / (1 + np.exp(-_GAIN * z))


def _draw_frames(lexicon: Lexicon, rng: np.random.Generator, n: int = 400) -> np.ndarray:
    """Chains of clauses with a fixed number of words and a nearly fixed number of cues, [n, words]."""
    clauses = [clause.split() for clause in lexicon.clauses]
    frames: list[list[str]] = []
    while len(frames) < n:
        words: list[str] = []
        while len(words) < _LENGTH:
            words += clauses[rng.integers(len(clauses))]
        if len(words) == _LENGTH and _CUES[0] <= words.count("*") <= _CUES[1]:
            frames.append(words)
    return np.array(frames)


def _corpus(world: World) -> dict[str, list[tuple[str, int]]]:
    """Comments and labels of every split, in random order; a pooled label says nothing about its text."""
    rng = np.random.default_rng([world.plan.seed, 2])
    out = {}
    for split, n in world.plan.comments.model_dump().items():
        label = rng.permutation(np.repeat(np.arange(len(world.emotions)), n))
        words, _, _ = world.write(rng, _levels_of(world, rng, label), label)
        if world.plan.labels == "pooled":
            label = rng.permutation(label)
        out[split] = [(" ".join(row), world.label_ids[k]) for row, k in zip(words, label, strict=True)]
    return out


def _levels_of(world: World, rng: np.random.Generator, label: np.ndarray) -> np.ndarray:
    """Levels that a comment's cues voice: its emotion's, or any where only names tell the emotion."""
    return squash(rng.normal(size=(len(label), len(world.weight)))) if world.plan.names else world.level[label]


def _people(world: World) -> dict[str, str]:
    """Human files: raters score emotions on attributes, judges compare emotions, readers label comments."""
    rng = np.random.default_rng([world.plan.seed, 3])
    n, k = world.level.shape
    noisy = world.level + rng.normal(0, 0.2, (world.plan.raters, n, k))
    score = np.clip(np.round(1 + 8 * noisy), 1, 9).mean(0) / 8 - 1 / 8
    i, j = pair_index(n)
    distance = np.sqrt((world.judged * (world.level[i] - world.level[j]) ** 2).sum(1))
    distance = (distance - distance.mean()) / distance.std()
    judgment = np.clip(np.round(5 + 1.5 * (distance + rng.normal(size=(world.plan.judges, len(distance))))), 1, 9)
    frames = {
        "judgments": pd.DataFrame(judgment, columns=[f"V{p + 1}" for p in range(len(distance))]),
        "mean_judgments": pd.DataFrame({"dissimilarity": judgment.mean(0)}),
        "scores": pd.DataFrame(score, columns=world.attributes),
        "attribute_rdms": pd.DataFrame(np.abs(score[i] - score[j]), columns=world.attributes),
        "agreement": _agreement(world, rng),
    }
    return {"order": "\n".join(world.emotions) + "\n"} | {name: frame.to_csv(index=False) for name, frame in frames.items()}


def _agreement(world: World, rng: np.random.Generator, n: int = 200, noise: float = 1.5) -> pd.DataFrame:
    """Two readers say of every comment which emotions it expresses, from its cues and with errors of their own."""
    from sklearn.metrics import cohen_kappa_score

    label = np.repeat(np.arange(len(world.emotions)), n // 2)
    _, attribute, pole = world.write(rng, _levels_of(world, rng, label), label)
    odds = world.log_odds(attribute, pole)
    says = [odds + rng.normal(0, noise, odds.shape) > 0 for _ in range(2)]
    rows = []
    for e, name in enumerate(world.emotions):
        other = rng.choice(np.flatnonzero(label != e), n // 2, replace=False)
        mine = np.r_[np.flatnonzero(label == e), other]
        first, second = (said[mine, e] for said in says)
        rows.append((name, n, np.corrcoef(first, second)[0, 1], cohen_kappa_score(first, second)))
    return pd.DataFrame(rows, columns=["Emotion", "Count", "Interrater Correlation", "Cohen's kappa"])
