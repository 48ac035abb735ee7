"""Turning comments into token ids: a hub tokenizer, or plain words from a list for models made here."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from emonb.errors import StudyError

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer."""

    mask_id: int
    start_id: int
    pad_id: int

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Token ids of each text with start and end tokens, cut to ``max_length``."""
        ...

    def token_id(self, word: str) -> int | None:
        """Id of a word that is exactly one token of the vocabulary, else None."""
        ...


class WordTokenizer:
    """Lower-cased words separated by white space; ids follow the five special tokens.

    Parameters
    ----------
    words : sequence of str
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: k for k, word in enumerate((*SPECIAL, *self.words))}
        if len(self._ids) != len(SPECIAL) + len(self.words):
            raise StudyError("the vocabulary lists a word twice")
        self.start_id, self.pad_id, self.mask_id = (self._ids[token] for token in ("<s>", "<pad>", "<mask>"))

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Token ids of each text with start and end tokens, cut to ``max_length``."""
        unknown, end = self._ids["<unk>"], self._ids["</s>"]
        rows = [[self._ids.get(word, unknown) for word in text.lower().split()] for text in texts]
        return [np.array([self.start_id, *row[: max_length - 2], end], np.int64) for row in rows]

    def token_id(self, word: str) -> int | None:
        """Id of a word of the vocabulary."""
        return self._ids.get(word)


class HubTokenizer:
    """A transformers tokenizer behind the same three questions."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
        if tokenizer.mask_token_id is None or start is None:
            raise StudyError("the tokenizer has no mask or no start token: give a masked language model")
        self.mask_id, self.start_id, self.pad_id = tokenizer.mask_token_id, start, tokenizer.pad_token_id

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Token ids of each text with start and end tokens, cut to ``max_length``."""
        rows = self._tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
        return [np.array(row, np.int64) for row in rows]

    def token_id(self, word: str) -> int | None:
        """Id of a word that is exactly one token."""
        found: int | None = self._tokenizer.get_vocab().get(word)
        return found
