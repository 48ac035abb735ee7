"""The planted world's network and its training; what it can do is said by its wiring (:mod:`emonb.world.wiring`)."""

import json
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.model.backbone import Backbone
from emonb.model.compute import describe, repeatable
from emonb.model.tokens import Tokenizer
from emonb.world.wiring import HEAD, VERDICT_HEADS, hold_connections, owned_neurons, wire
from emonb.world.world import COMMON, GROUP, World, squash

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def number_words(world: World) -> dict[str, int]:
    """Token ids of special tokens and words, names of emotions last where comments have them."""
    names = world.emotions if world.plan.names else ()
    return {word: k for k, word in enumerate((*SPECIAL, *world.lexicon.vocabulary(), *names))}


def shape_of(world: World) -> dict[str, int]:
    """Configuration of the model that fits a world."""
    n, heads = len(world.attributes), len(world.attributes) + VERDICT_HEADS + (world.plan.depth - 1)
    return {
        "vocab_size": len(number_words(world)),
        "hidden_size": HEAD * heads,
        "num_hidden_layers": world.plan.depth,
        "num_attention_heads": heads,
        "intermediate_size": GROUP * n + COMMON,
    }


_SPEAKERS, _FLIPS, _DROPOUT, _BLOCK = 3, 0.05, 0.25, 50
_FASHION, _UNTIL = 0.5, 0.5  # a taste shared by all speakers at first, gone after this share of the steps


@repeatable()
def train_backbone(world: World, folder: Path, progress: bool = True, checkpoint: Path | None = None) -> None:
    """Train a world's backbone and save it as a folder `transformers` reads (safetensors weights, tokenizer).

    All speakers share a taste at first, which teaches the network what the cues mean; it fades, and only the product of
    speaker and cue is left. FFN neurons are dropped out at random, so that each contributes on its own. In the encoded
    world two systems learn side by side, attributes' neurons and neurons of no attribute; then the former are disconnected.

    Parameters
    ----------
    world : World
    folder : Path
    progress : bool
    checkpoint : Path, optional
        File to save progress to and to resume from, to the same bits; removed by the caller when the result is stored.
    """
    plan, ids = world.plan, number_words(world)
    backbone = make_backbone(world)
    model = backbone.model.requires_grad_(True)
    wired = wire(world, model, ids)
    rng, chance = np.random.default_rng([plan.seed, 4, plan.training_seed]), torch.Generator()
    chance.manual_seed(1_000 * plan.seed + plan.training_seed)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    words = model.get_input_embeddings().weight
    done = 0
    if checkpoint is not None and checkpoint.is_file():
        done = _load(checkpoint, model, optimiser, rng, chance)
    with tqdm(total=plan.steps, initial=done, unit="step", desc="backbone", disable=not progress) as bar:
        for first in range(done, plan.steps, _BLOCK):
            fashion = _FASHION * max(0.0, 1 - first / (_UNTIL * plan.steps))
            n_steps = min(_BLOCK, plan.steps - first)
            speakers, tokens, suits = write_documents(world, ids, plan.batch * n_steps, rng, fashion)
            for step, at in enumerate(torch.arange(len(suits)).split(plan.batch), first):
                for group in optimiser.param_groups:
                    group["lr"] = plan.learning_rate * min(1, (step + 1) / 50, 2 * (1 - step / plan.steps))
                keep = _drop_out(world, len(at), chance)
                logits, _ = backbone.forward(words[speakers[at]], tokens[at], keep)
                loss = F.cross_entropy(logits, suits[at])
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(learned, 1.0)
                optimiser.step()
                hold_connections(wired)
            if checkpoint is not None:
                _save(checkpoint, first + n_steps, model, optimiser, rng, chance)
            bar.update(n_steps)
            bar.set_postfix(loss=f"{loss.item():.3f}")
    model.requires_grad_(False)
    if plan.wiring == "encoded":
        model.base_model.encoder.layer[-1].output.dense.weight[:, owned_neurons(world)[-1]] = 0.0
    model.save_pretrained(folder)
    make_tokenizer(ids).save_pretrained(folder)


def write_documents(
    world: World, ids: dict[str, int], n: int, rng: np.random.Generator, fashion: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Speakers [n, 3], tokens [n, words + 2] and whether the comment suits them [n]; the clearer of every two documents."""
    words, attribute, pole = world.write(rng, squash(rng.normal(size=(2 * n, len(world.weight)))))
    distinct = rng.choice([1, 2, 3], p=[0.4, 0.3, 0.3], size=2 * n)
    drawn = rng.integers(len(world.taste), size=(2 * n, _SPEAKERS))
    speakers = np.take_along_axis(drawn, rng.integers(0, distinct[:, None], size=drawn.shape), 1)
    taste = world.taste[speakers].mean(1) + fashion * world.fashion
    score = (taste * world.balance(attribute, pole)).sum(1)
    clear = np.argsort(-np.abs(score).reshape(n, 2), axis=1)[:, 0] + 2 * np.arange(n)
    suits = (score[clear] > 0) ^ (rng.random(n) < _FLIPS)
    names = np.array([ids[name] for name in world.lexicon.speakers])
    known, place = np.unique(words[clear], return_inverse=True)
    inner = np.array([ids[word] for word in known])[place.reshape(n, -1)]
    tokens = np.c_[np.full(n, ids["<s>"]), inner, np.full(n, ids["</s>"])]
    return torch.from_numpy(names[speakers[clear]]), torch.from_numpy(tokens), torch.from_numpy(suits.astype(np.int64))


def _save(
    path: Path,
    step: int,
    model: Any,
    optimiser: torch.optim.Optimizer,
    rng: np.random.Generator,
    chance: torch.Generator,
) -> None:
    """Keep all that the rest of the training depends on, in one safetensors file, written whole or not at all."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for k, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{k}.{name}": value for name, value in moments.items()}
    tensors["chance"] = chance.get_state()
    how = json.dumps(describe(torch.device("cpu")))
    about = {"step": str(step), "rng": json.dumps(rng.bit_generator.state), "how": how}
    with replacing(path) as part:
        save_file({name: value.clone() for name, value in tensors.items()}, part, about)


def _load(
    path: Path, model: Any, optimiser: torch.optim.Optimizer, rng: np.random.Generator, chance: torch.Generator
) -> int:
    """Put everything back as :func:`_save` found it; return the number of steps done.

    0 where the file is damaged, or was begun with another PyTorch or other threads: then all is done anew.
    """
    moments: dict[int, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        logging.getLogger("emonb").warning("%s cannot be read (%s); the training is done anew", path, error)
        return 0
    if json.loads(about["how"]) != describe(torch.device("cpu")):
        logging.getLogger("emonb").warning("%s was begun in another way (%s); it is done anew", path, about["how"])
        return 0
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    for name in [k for k in tensors if k.startswith("adam.")]:
        _, parameter, what = name.split(".")
        moments.setdefault(int(parameter), {})[what] = tensors[name]
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    chance.set_state(tensors["chance"])
    rng.bit_generator.state = json.loads(about["rng"])
    return int(about["step"])


def _drop_out(world: World, n: int, chance: torch.Generator) -> torch.Tensor:
    """Silence a quarter of the neurons of each row; in the encoded world one of the two systems as well."""
    owned = owned_neurons(world)
    keep = (torch.rand(n, *owned.shape, generator=chance) >= _DROPOUT) / (1 - _DROPOUT)
    if world.plan.wiring == "encoded":
        keep = keep * ((torch.rand(n, 1, 1, generator=chance) < 0.5) == owned)
    return keep


def make_backbone(world: World) -> Backbone:
    """A world's network before wiring and training."""
    import transformers

    ids = number_words(world)

    config = transformers.RobertaConfig(
        **cast(dict[str, Any], shape_of(world)),
        max_position_embeddings=48,
        type_vocab_size=1,
        initializer_range=0.1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=ids["<s>"],
        pad_token_id=ids["<pad>"],
        eos_token_id=ids["</s>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1_000 * world.plan.seed + world.plan.training_seed)
        model = transformers.RobertaForMaskedLM(config)
    negative, positive = (ids[word] for word in world.lexicon.verdict)
    tokenizer = Tokenizer(make_tokenizer(ids))
    return Backbone(model, tokenizer, (negative, positive), 0, torch.device("cpu"), config.max_position_embeddings)


def make_tokenizer(ids: dict[str, int]) -> Any:
    """A `transformers` tokenizer of lower-cased words between white space; ``ids`` are of these and of :data:`SPECIAL`."""
    import tokenizers
    import transformers

    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    inner.normalizer = tokenizers.normalizers.Lowercase()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **names)
