"""The words of the planted world: cue words of every attribute, speakers, clauses (``data/world.yml``)."""

from functools import cache
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emonb.errors import StudyError
from emonb.paths import data_dir

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
        """Low and high cue words of an attribute.

        Raises
        ------
        StudyError
            The attribute has no cue words.
        """
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
