"""A tiny masked language model in a folder of its own, as users have theirs: weights, configuration, tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from emonb.world.network import SPECIAL, make_tokenizer

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
         "max_position_embeddings": 64, "initializer_range": 0.2}  # fmt: skip
FAMILIES = {
    "roberta": (transformers.RobertaConfig, transformers.RobertaForMaskedLM, {"type_vocab_size": 1}),
    "bert": (transformers.BertConfig, transformers.BertForMaskedLM, {}),
}


def save_tokenizer(words: Sequence[str], folder: Path) -> dict[str, int]:
    """Save a tokenizer of plain words; return their ids."""
    ids = {word: k for k, word in enumerate((*SPECIAL, *words))}
    make_tokenizer(ids).save_pretrained(folder)
    return ids


def save_model(folder: Path, words: Sequence[str], family: str = "roberta", seed: int = 3, **shape: object) -> Path:
    """Save a model with random weights and a tokenizer of plain words; ``shape`` changes :data:`SHAPE`."""
    ids = save_tokenizer(words, folder)
    make_config, make_model, own = FAMILIES[family]
    numbers = {"vocab_size": len(ids), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(seed)
    make_model(make_config(**{**SHAPE, **numbers, **own, **shape})).save_pretrained(folder)
    return folder
