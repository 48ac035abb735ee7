"""The words head: how an encoder without a masked-language-model head says "no" or "yes" at `<mask>`.

A sentence encoder has no such head, and one drawn at random would say nothing. What it does have is a place for every word
among the sentences it embeds: the hidden state at `<mask>` is compared with the embeddings of the two verbalizer words.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from emonb.model.tokens import Tokenizer


@dataclass(frozen=True)
class WordsHead:
    """Logits of "no" and "yes" as products with two words' sentence embeddings; made by :func:`make_words_head`.

    Parameters
    ----------
    words : Tensor, [2, d], float32
        Sentence embeddings of the words, each of length 1.
    temperature : float
        Factor of the products: 1 / sqrt(d) would make them cosines.
    """

    words: Tensor
    temperature: float

    def __call__(self, h: Tensor) -> Tensor:
        """Logits [B, 2], float32 or float64, of hidden states [B, d], which are standardised first."""
        wide = h.to(torch.promote_types(h.dtype, torch.float32))
        x = F.layer_norm(wide, h.shape[-1:])
        return F.linear(x, self.temperature * self.words.to(x))


def make_words_head(model: Any, tokenizer: Tokenizer, words: tuple[str, str], temperature: float) -> WordsHead:
    """Embed two words as sentences with the network itself (mean over tokens, length 1; Reimers & Gurevych 2019)."""
    rows = []
    with torch.no_grad():
        for ids in tokenizer.encode(words, 16):
            hidden = model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state
            rows.append(F.normalize(hidden.float().mean(1), dim=-1)[0])
    return WordsHead(torch.stack(rows), temperature)
