"""Made-up studies of any emotions and attributes, with data that are legitimate but degenerate on request."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tiny
import torch
import transformers
import yaml


def write_humans(
    folder: Path,
    emotions: Sequence[str],
    attributes: Sequence[str],
    constant_rater: int | None = None,
    equal_scores: str | None = None,
    equal_kappa: bool = False,
) -> tuple[np.ndarray, dict[str, str]]:
    """Human files of a made-up study: scores [emotion, attribute], and the ``humans`` section that names the files.

    Some data are degenerate on request: a judge (1, 2, ...) who always says 5, an attribute with one score, raters who
    agree equally on all emotions.
    """
    rng, n = np.random.default_rng(0), len(emotions)
    score = rng.random((n, len(attributes)))
    if equal_scores is not None:
        score[:, list(attributes).index(equal_scores)] = 0.3
    i, j = np.triu_indices(n, 1)
    difference = np.abs(score[i] - score[j])
    human = np.clip(np.round(1 + 8 * difference.mean(1) + rng.normal(size=(6, len(i)))), 1, 9)
    if constant_rater is not None:
        human[constant_rater - 1] = 5
    kappa = [0.4 if equal_kappa else 0.1 + 0.8 * k / n for k in range(n)]
    agreement = {"Emotion": emotions, "Count": 9, "Interrater Correlation": 0.5, "Cohen's kappa": kappa, "Accuracy": 0.8}
    tables = {
        "judgments": pd.DataFrame(human, columns=[f"V{k + 1}" for k in range(len(i))]),
        "mean_judgments": pd.DataFrame({"mean": human.mean(0)}),
        "scores": pd.DataFrame(score, columns=attributes),
        "attribute_rdms": pd.DataFrame(difference, columns=attributes),
        "agreement": pd.DataFrame(agreement),
    }
    for name, table in tables.items():
        table.to_csv(folder / name, index=False)
    (folder / "order").write_text("\n".join(emotions), encoding="utf-8")
    return score, {name: f"local:{name}" for name in ("order", *tables)}  # from where the study file lies


def write_study(
    folder: Path,
    emotions: Sequence[str],
    attributes: Sequence[str],
    name: str = "tiny",
    emoji_only: str | None = None,
    silent: bool = False,
    **human: object,
) -> Path:
    """A whole live study in a world of words: an emotion's comments use words of its attributes.

    On request the comments of one emotion have no word, or neurons write nothing, so that masks have no effect; and what
    :func:`write_humans` offers.
    """
    score, humans = write_humans(folder, emotions, attributes, **human)
    rng, n = np.random.default_rng(1), len(emotions)
    words = [f"{a}{pole}" for a in attributes for pole in ("high", "low")] + [f"word{k}" for k in range(10)]
    for split, size in (("train", 20 * n), ("dev", 8 * n), ("test", 8 * n)):
        lines = []
        for k in range(size):
            e = k % n
            poles = ["high" if rng.random() < s else "low" for s in score[e]]
            cues = [a + pole for a, pole in zip(attributes, poles, strict=True)] + [f"word{rng.integers(10)}"]
            text = "\U0001f600 \U0001f622" if emotions[e] == emoji_only else " ".join(cues)
            lines.append(f"{text}\t{e}\tid{k}")
        (folder / split).write_text("\n".join(lines) + "\n", encoding="utf-8")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
             "max_position_embeddings": 40, "initializer_range": 0.3}  # fmt: skip
    tiny.save_model(folder / "model", [*words, "positive", "negative"], seed=7, **shape)
    if silent:
        network = transformers.RobertaForMaskedLM.from_pretrained(folder / "model")
        for layer in network.base_model.encoder.layer:
            torch.nn.init.zeros_(layer.output.dense.weight)
        network.save_pretrained(folder / "model")
    fields = {
        "name": name, "title": "A tiny live study", "description": "for tests", "emotions": list(emotions),
        "attributes": list(attributes), "seeds": [1, 3, 5], "layers": 2, "neurons": 24, "prompt_length": 3,
        "sizes": [8, 16], "size": 8,
        "stages": {"prompts": "computed", "activations": "computed", "lesions": "computed"},
        "humans": humans, "corpus": {split: f"local:{split}" for split in ("train", "dev", "test")} | {"labels": None},
        "device": "cpu",
        "backbone": {"name": "local:model"},
        "tuning": {"learning_rate": 0.05, "epochs": 2, "batch": 8, "max_length": 10, "tokens_per_batch": 2000},
        "lesions": {"draws": 3},
        "inference": {"permutations": 99, "searchlight_permutations": 19, "bootstraps": 99},
    }  # fmt: skip
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(fields))
    return path


def write_released(
    folder: Path, emotions: Sequence[str], attributes: Sequence[str], accuracy: float | None = None, **human: object
) -> Path:
    """A study whose results are all released files, as the published one's; on request every accuracy is the same."""
    _, humans = write_humans(folder, emotions, attributes, **human)
    rng, seeds, sizes = np.random.default_rng(2), (1, 3), (4, 8)
    prompts = [(e, s) for e in emotions for s in seeds]

    def some(n: int) -> list[float]:
        return [accuracy] * n if accuracy is not None else rng.uniform(0.5, 0.9, n).tolist()

    table = pd.DataFrame(prompts, columns=["sentiment", "random_seed"]).assign(accuracy=some(len(prompts)))
    table.to_csv(folder / "accuracy.csv", index=False)
    for e, s in prompts:
        pd.DataFrame(rng.normal(size=(1, 24)), columns=range(24)).to_csv(folder / f"act-{e}-{s}.csv", index=False)
        for word in ("top", "random"):
            keys = ["best", *(f"{a}_{word}{size}" for a in attributes for size in sizes)]
            entries = {"sentiment": e, "seed": s, **dict(zip(keys, some(len(keys)), strict=True))}
            (folder / f"{word}-{e}-{s}.json").write_text(json.dumps(entries))
    ranks = np.stack([rng.permutation(24) + 1.0 for _ in attributes], 1)
    pd.DataFrame(ranks, columns=attributes).to_csv(folder / "ranks.csv", index=False)
    words = ["sun", "rain", "snow", "wind", "hail"]
    for split in ("train", "dev", "test"):
        lines = [f"{' '.join(rng.choice(words, 3))}\t{k % len(emotions)}\tid{k}\n" for k in range(8 * len(emotions))]
        (folder / split).write_text("".join(lines), encoding="utf-8")
    fields = {
        "name": "released", "title": "A tiny released study", "description": "for tests", "emotions": list(emotions),
        "attributes": list(attributes), "seeds": list(seeds), "layers": 2, "neurons": 12, "prompt_length": 3,
        "sizes": list(sizes), "size": 8,
        "stages": {"prompts": "released", "activations": "released", "lesions": "released"},
        "humans": humans, "corpus": {split: f"local:{split}" for split in ("train", "dev", "test")} | {"labels": None},
        "device": "cpu",
        "released": {
            "accuracy": "local:accuracy.csv", "activations": "local:act-{emotion}-{seed}.csv", "ranks": "local:ranks.csv",
            "lesions_selective": "local:top-{emotion}-{seed}.json",
            "lesions_random": "local:random-{emotion}-{seed}.json", "lesion_keys": {a: a for a in attributes},
        },
        "inference": {"permutations": 99, "searchlight_permutations": 19, "bootstraps": 99},
    }  # fmt: skip
    path = folder / "released.yml"
    path.write_text(yaml.safe_dump(fields))
    return path
