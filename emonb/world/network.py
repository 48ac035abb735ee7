"""The planted world's network and its training; what it can do is said by its wiring (:mod:`emonb.world.wiring`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.model.backbone import Backbone
from emonb.model.compute import load_unfinished, repeatable
from emonb.model.grid import draw_weights, snap, step_adamw
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
    The same world gives the same bits on every processor (:mod:`emonb.model.grid`).

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
    wired = wire(world, model, ids, np.random.default_rng([plan.seed, 7, plan.training_seed]))
    words = model.get_input_embeddings().weight
    weights, gradient = _join([p for p in model.parameters() if p.requires_grad])
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    steps = torch.zeros((), dtype=torch.int64)
    state = {"weights": weights, "mean": mean, "square": square, "steps": steps}
    for name, value in (load_unfinished(checkpoint, {}) or {}).items():
        state[name].copy_(value)
    done = int(steps)
    with tqdm(total=plan.steps, initial=done, unit="step", desc="backbone", disable=not progress) as bar:
        for first in range(done, plan.steps, _BLOCK):
            rng = np.random.default_rng([plan.seed, 4, plan.training_seed, first])  # of this block
            fashion = _FASHION * max(0.0, 1 - first / (_UNTIL * plan.steps))
            n_steps = min(_BLOCK, plan.steps - first)
            speakers, tokens, suits = write_documents(world, ids, plan.batch * n_steps, rng, fashion)
            for step, at in enumerate(torch.arange(len(suits)).split(plan.batch), first):
                keep = _drop_out(world, len(at), rng)
                logits, _ = backbone.forward(words[speakers[at]], tokens[at], keep)
                loss = F.cross_entropy(logits, suits[at])
                gradient.zero_()
                loss.backward()
                rate = plan.learning_rate * min(1, (step + 1) / 50, 2 * (1 - step / plan.steps))
                _step(weights, mean, square, gradient, step + 1, rate)
                hold_connections(wired)
            steps.fill_(first + n_steps)
            if checkpoint is not None:
                with replacing(checkpoint) as part:
                    save_file(state, part)
            bar.update(n_steps)
            bar.set_postfix(loss=f"{loss.item():.3f}")
    model.requires_grad_(False)
    if plan.wiring == "encoded":
        model.base_model.encoder.layer[-1].output.dense.weight[:, owned_neurons(world)[-1]] = 0.0
    model.float().save_pretrained(folder)
    make_tokenizer(ids).save_pretrained(folder)


def _join(parameters: Sequence[torch.nn.Parameter]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make parameters, and their gradients, parts of two vectors: a step is a few operations."""
    weights = torch.cat([p.detach().flatten() for p in parameters])
    gradient, sizes = torch.zeros_like(weights), [p.numel() for p in parameters]
    for p, mine, its in zip(parameters, weights.split(sizes), gradient.split(sizes), strict=True):
        p.data, p.grad = mine.view_as(p), its.view_as(p)
    return weights, gradient


def _step(
    weights: torch.Tensor, mean: torch.Tensor, square: torch.Tensor, gradient: torch.Tensor, t: int, rate: float
) -> None:
    """One step of AdamW in place, its gradient at most 1 long, its weights rounded to the grid."""
    clipped = gradient * min(1.0, 1 / float(gradient.norm()))
    stepped = step_adamw(weights, mean, square, clipped, t, rate, betas=(0.9, 0.98))
    weights.copy_(snap(stepped[0]))
    mean.copy_(stepped[1])
    square.copy_(stepped[2])


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


def _drop_out(world: World, n: int, rng: np.random.Generator) -> torch.Tensor:
    """Silence a quarter of the neurons of each row; in the encoded world one of the two systems as well."""
    owned = owned_neurons(world).numpy()
    keep = (rng.random((n, *owned.shape)) >= _DROPOUT) / (1 - _DROPOUT)
    if world.plan.wiring == "encoded":
        keep = keep * ((rng.random((n, 1, 1)) < 0.5) == owned)
    return torch.from_numpy(keep)


def make_backbone(world: World) -> Backbone:
    """A world's network before wiring and training, in float64."""
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
        model = transformers.RobertaForMaskedLM(config).double()
    draw_weights(model, config.initializer_range, [world.plan.seed, 6, world.plan.training_seed])
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
