"""The planted network: a RoBERTa of one layer, or two, whose wiring (factors 0 and 1 on its weights) says what it can do.

The model's dimensions fall into one block of four for every attribute and two blocks for the verdict. An attribute's cue
words, its attention head and its group of FFN neurons live in its block; FFN neurons write to the verdict blocks and only
those are read by the head, so that a verdict that depends on an attribute must pass through that attribute's neurons.
Attention is uniform (a comment is a bag of words), and the layer norms are held nearly linear by a constant part that
is larger than what varies: otherwise a norm that mixes all dimensions would carry attributes past their neurons.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from emonb.artifacts import replacing
from emonb.model.backbone import Backbone
from emonb.model.batches import Tokenizer, load_unfinished, repeatable
from emonb.model.grid import draw_weights, snap, step_adamw
from emonb.world.world import COMMON, GROUP, World, squash

HEAD, VERDICT_HEADS = 4, 2  # width of a head, heads of the verdict
_CONSTANT, _OFFSET, _LEAK, _FIRST, _VALUES = 5.0, 2.0, 0.2, 6.0, 3.0  # gains and starting scales; found on seeds 0 to 2

Connections = list[tuple[Tensor, Tensor]]
"""Parameters, and for each of their numbers 1 where it may be other than 0."""

_ECHO = 0.3  # how much of what surrounds a word the first of two layers hears


def wire(world: World, model: Any, ids: dict[str, int], rng: np.random.Generator) -> Connections:
    """Plant the wiring in a fresh model.

    ``model`` is changed in place: starting scales, and constants that are never trained; ``ids``: token ids; ``rng`` draws
    what the first of two layers mixes. A parameter is multiplied by its connections now and after every training step
    (:func:`hold_connections`).
    """
    n, width, layer = len(world.attributes), model.config.hidden_size, model.base_model.encoder.layer[-1]
    block = torch.arange(width) // HEAD
    same = (block[:, None] == block[None]).float()
    verdict = ((block >= n) & (block < n + VERDICT_HEADS)).float()
    own, embeddings, norm = layer.attention.self, model.base_model.embeddings, layer.attention.output.LayerNorm
    reads, writes = _neurons(world, block, verdict)
    none = torch.zeros(())
    wired = [(own.query.weight, none), (own.key.weight, none), (own.value.weight, same)]
    wired += [(layer.attention.output.dense.weight, same), (layer.intermediate.dense.weight, reads)]
    wired += [(layer.output.dense.weight, writes), (model.lm_head.dense.weight, verdict.expand(width, width))]
    wired += [(embeddings.position_embeddings.weight, none), (embeddings.token_type_embeddings.weight, none)]
    wired += [(model.get_input_embeddings().weight, _words(world, ids, block, verdict))]
    wired += [(embeddings.LayerNorm.bias, none), (norm.bias, 1 - verdict)]
    with torch.no_grad():
        embeddings.LayerNorm.weight.copy_(1 + (_CONSTANT - 1) * verdict)
        norm.weight.copy_(1 - verdict + _LEAK * verdict)
        layer.output.dense.bias.copy_(_OFFSET * (1 - 2.0 * (torch.arange(width) % 2)) * (1 - verdict))
        layer.intermediate.dense.weight *= _FIRST
        own.value.weight *= _VALUES
        layer.attention.output.dense.weight *= _VALUES
    held = [embeddings.LayerNorm.weight, norm.weight, layer.output.dense.bias]
    for each in model.base_model.encoder.layer:
        held += each.attention.self.query.parameters()
    for constant in held:
        constant.requires_grad_(False)
    if world.plan.depth > 1:
        wired += _wire_first(world, model, block, verdict, rng)
    hold_connections(wired)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(snap(parameter))
    return wired


def _wire_first(world: World, model: Any, block: Tensor, verdict: Tensor, rng: np.random.Generator) -> Connections:
    """Put a first layer before the last: its neurons turn what words are into what the last layer's heads can read.

    Half of an attribute's dimensions hold the words as they are embedded, the other half what the first layer's neurons
    make of them, and the last layer attends to the latter only. Each of these neurons serves every attribute, so that
    silencing any harms all. What words say is brought together in the last layer alone; at one further block, the echo,
    the first layer mixes what is around it, in proportions that are never trained, and neurons read a little of it: so
    they differ between prompts, as neurons of a real network's first layers do.
    """
    first, last = model.base_model.encoder.layer
    n = len(world.attributes)
    raw = ((block < n) & (torch.arange(len(block)) % HEAD < HEAD // 2)).float()
    made, echo = (block < n).float() - raw, (block == block.max()).float()
    none, own = torch.zeros(()), first.attention.self
    with torch.no_grad():
        mixed = torch.from_numpy(rng.standard_normal(tuple(own.value.weight.shape)))
        own.value.weight.copy_(echo[:, None] * (raw / raw.sum().sqrt()) * mixed)
        first.attention.output.dense.weight.copy_(_ECHO * torch.diag(echo))
        first.intermediate.dense.weight *= _FIRST
    for constant in (own.value.weight, first.attention.output.dense.weight):
        constant.requires_grad_(False)
    wired = [(own.query.weight, none), (own.key.weight, none)]
    wired += [(first.intermediate.dense.weight, (raw + echo).expand(first.intermediate.dense.weight.shape))]
    wired += [(first.output.dense.weight, made[:, None].expand(first.output.dense.weight.shape))]
    wired += [(last.attention.self.value.weight, made.expand(last.attention.self.value.weight.shape))]
    return wired


def hold_connections(wired: Connections) -> None:
    """Multiply every parameter by its connections, in place."""
    with torch.no_grad():
        for parameter, connected in wired:
            parameter *= connected


def owned_neurons(world: World) -> Tensor:
    """Tell which FFN neurons belong to an attribute; bool [layers, neurons]."""
    owned = torch.zeros(world.plan.depth * (GROUP * len(world.attributes) + COMMON), dtype=torch.bool)
    owned[[n for group in world.groups().values() for n in group]] = True
    return owned.view(world.plan.depth, -1)


def _neurons(world: World, block: Tensor, verdict: Tensor) -> tuple[Tensor, Tensor]:
    """What FFN neurons read [neuron, dimension] and write [dimension, neuron].

    An attribute's neurons read its block and write the verdict; those of silent attributes write nothing. Neurons of no
    attribute read everything; they write nothing in the causal world, the verdict in the encoded one.
    """
    owner = torch.full((GROUP * len(world.attributes) + COMMON,), -1)
    owner[: GROUP * len(world.attributes)] = torch.arange(len(world.attributes)).repeat_interleave(GROUP)
    reads = (owner[:, None] == block[None]).float()
    reads[owner < 0] = 1.0
    voiced = torch.cat([torch.tensor(world.weight > 0), torch.tensor([world.plan.wiring == "encoded"])])
    writes = verdict[:, None] * voiced[owner].float()[None]  # owner -1 is the last entry
    return reads, writes


def _words(world: World, ids: dict[str, int], block: Tensor, verdict: Tensor) -> Tensor:
    """Dimensions a word may use, [word, dimension]."""
    words = torch.ones(len(ids), len(block))
    for k, name in enumerate(world.attributes):
        for pole in world.lexicon.cues(name):
            words[[ids[word] for word in pole]] = (block == k).float()
    words[[ids[word] for word in (*world.lexicon.verdict, "<mask>")]] = verdict
    met = [ids[name] for name in world.emotions] if world.plan.names else []
    words[[ids[word] for word in world.lexicon.speakers] + met] = 1 - verdict
    if world.plan.depth > 1:  # the dimensions that the first layer fills, and the echo, are no word's
        words *= ((torch.arange(len(block)) % HEAD < HEAD // 2) | (verdict > 0)).float() * (block < block.max())
    return words


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

    ``checkpoint``: file to save progress to and to resume from, to the same bits; removed by the caller when the result is
    stored.
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
