"""Turning comments into token ids, with the few questions the engine asks of a tokenizer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emonb.errors import StudyError


class Tokenizer:
    """A tokenizer of `transformers` with mask, start and pad tokens.

    Raises
    ------
    StudyError
        One of these tokens is missing.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._vocabulary = tokenizer, tokenizer.get_vocab()
        self._encoded: dict[int, dict[str, np.ndarray]] = {}
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
        if None in (tokenizer.mask_token_id, start, tokenizer.pad_token_id):
            raise StudyError("the tokenizer has no mask, start or pad token: give a masked language model")
        self.mask_id, self.start_id, self.pad_id = tokenizer.mask_token_id, start, tokenizer.pad_token_id

    @property
    def largest_id(self) -> int:
        """The largest id of the vocabulary."""
        return int(max(self._vocabulary.values()))

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Token ids of each text with start and end tokens, cut to ``max_length``; each text is encoded once."""
        known = self._encoded.setdefault(max_length, {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        rows = self._tokenizer(new, truncation=True, max_length=max_length)["input_ids"] if new else []
        known |= {text: np.array(row, np.int64) for text, row in zip(new, rows, strict=True)}
        return [known[text] for text in texts]

    def token_id(self, word: str) -> int | None:
        """Id of a word that is exactly one token of the vocabulary, else None."""
        found: int | None = self._vocabulary.get(word)
        return found

    def common_words(self, n: int) -> list[int]:
        """Ids of the first ``n`` whole words, as vocabularies are sorted by frequency: no word pieces, signs, letters."""
        spaced = any(token.startswith("\u0120") for token in self._vocabulary)  # a space, in byte-pair vocabularies
        words = [(k, token[spaced:]) for token, k in self._vocabulary.items() if spaced <= token.startswith("\u0120")]
        return [k for k, word in sorted(words) if word.isascii() and word.isalpha() and len(word) > 1][:n]
