"""A tiny masked language model in a folder of its own, as users have theirs: weights, configuration, tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml

from emonb.run.runs import Run
from emonb.study import load_study
from emonb.world.network import SPECIAL, make_tokenizer

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
         "max_position_embeddings": 64, "initializer_range": 0.2}  # fmt: skip
FAMILIES = {
    "roberta": (transformers.RobertaConfig, transformers.RobertaForMaskedLM, {"type_vocab_size": 1}),
    "bert": (transformers.BertConfig, transformers.BertForMaskedLM, {}),
    "mpnet": (transformers.MPNetConfig, transformers.MPNetForMaskedLM, {}),
}

EMOTIONS = [f"emo{k}" for k in range(8)]
ATTRIBUTES = ["warm", "fast", "odd"]
SHARED = {"threads": 1, "seeds": [1, 3], "sizes": [8], "lesions": {"draws": 1},
          "inference": {"permutations": 99, "searchlight_permutations": 300}}  # fmt: skip
"""Settings of a study whose stages are made in shares, by the workflow and by job arrays."""


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


def make_run(folder: Path, stage: str, **changes: object) -> Run:
    """Make a stage of a shared study with little tuning, in a run directory of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMONB_RUNS", str(folder / "runs"))
        path = save_study(folder, **SHARED)
        made = Run(load_study(str(path), **{"tuning.epochs": 1, "tuning.examples": 8, **changes}), progress=False)
        made.load(stage)
        return made


def save_study(folder: Path, **changes: object) -> Path:
    """Save a live study of 8 emotions in a world of words: an emotion's comments use words of its attributes."""
    rng = np.random.default_rng(0)
    score = rng.random((8, 3))
    i, j = np.triu_indices(8, 1)
    difference = np.abs(score[i] - score[j])
    human = np.clip(np.round(1 + 8 * difference.mean(1) + rng.normal(size=(6, 28))), 1, 9)
    words = [f"{a}{pole}" for a in ATTRIBUTES for pole in ("high", "low")] + [f"word{k}" for k in range(10)]
    texts = {
        "order": "\n".join(EMOTIONS),
        "judgments": ",".join(f"V{k + 1}" for k in range(28)) + "\n" + "\n".join(",".join(map(str, r)) for r in human),
        "mean_judgments": "mean\n" + "\n".join(map(repr, human.mean(0).tolist())),
        "scores": ",".join(ATTRIBUTES) + "\n" + "\n".join(",".join(map(repr, r)) for r in score.tolist()),
        "attribute_rdms": ",".join(ATTRIBUTES) + "\n" + "\n".join(",".join(map(repr, r)) for r in difference.tolist()),
        "agreement": "Emotion,Count,Interrater Correlation,Cohen's kappa,Accuracy\n"
        + "\n".join(f"{e},9,0.5,{0.1 + 0.1 * k:.1f},0.8" for k, e in enumerate(EMOTIONS)),
    }
    for split, n in (("train", 160), ("dev", 64), ("test", 64)):
        lines = []
        for k in range(n):
            e = k % 8
            poles = ["high" if rng.random() < s else "low" for s in score[e]]
            cues = [a + pole for a, pole in zip(ATTRIBUTES, poles, strict=True)] + [f"word{rng.integers(10)}"]
            lines.append(f"{' '.join(cues)}\t{e}\tid{k}")
        texts[split] = "\n".join(lines) + "\n"
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
             "max_position_embeddings": 40, "initializer_range": 0.3}  # fmt: skip
    save_model(folder / "model", [*words, "positive", "negative"], seed=7, **shape)
    where = {name: f"local:{name}" for name in texts}  # from where the study file lies
    fields = {
        "name": "tiny", "title": "A tiny live study", "description": "for tests", "emotions": EMOTIONS,
        "attributes": ATTRIBUTES, "seeds": [1, 3, 5], "layers": 2, "neurons": 24, "prompt_length": 3, "sizes": [8, 16],
        "size": 8, "stages": {"prompts": "computed", "activations": "computed", "lesions": "computed"},
        "humans": {k: where[k] for k in ("order", "judgments", "mean_judgments", "scores", "attribute_rdms", "agreement")},
        "corpus": {k: where[k] for k in ("train", "dev", "test")} | {"labels": None}, "device": "cpu",
        "backbone": {"name": "local:model"},
        "tuning": {"learning_rate": 0.05, "epochs": 2, "batch": 8, "max_length": 10, "tokens_per_batch": 2000},
        "lesions": {"draws": 3},
        "inference": {"permutations": 99, "searchlight_permutations": 19, "bootstraps": 99},
    }  # fmt: skip
    path = folder / "tiny.yml"
    path.write_text(yaml.safe_dump({**fields, **changes}))
    return path
