"""The planted network's wiring, which says what it can do by construction.

The wiring are factors 0 and 1 on the weights of a RoBERTa of one layer, or two.

The model's dimensions fall into one block of four for every attribute and two blocks for the verdict. An attribute's cue
words, its attention head and its group of FFN neurons live in its block; FFN neurons write to the verdict blocks and only
those are read by the head, so that a verdict that depends on an attribute must pass through that attribute's neurons.
Attention is uniform (a comment is a bag of words), and the layer norms are held nearly linear by a constant part that
is larger than what varies: otherwise a norm that mixes all dimensions would carry attributes past their neurons.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from emonb.model.grid import snap
from emonb.world.world import COMMON, GROUP, World

HEAD, VERDICT_HEADS = 4, 2  # width of a head, heads of the verdict
_CONSTANT, _OFFSET, _LEAK, _FIRST, _VALUES = 5.0, 2.0, 0.2, 6.0, 3.0  # gains and starting scales; found on seeds 0 to 2

Connections = list[tuple[Tensor, Tensor]]
"""Parameters, and for each of their numbers 1 where it may be other than 0."""

_ECHO = 0.3  # how much of what surrounds a word the first of two layers hears


def wire(world: World, model: Any, ids: dict[str, int], rng: np.random.Generator) -> Connections:
    """Plant the wiring in a fresh model.

    Parameters
    ----------
    world : World
    model : RobertaForMaskedLM
        Changed in place: starting scales, and constants that are never trained.
    ids : dict of str to int
        Token ids.
    rng : Generator
        Draws what the first of two layers mixes.

    Returns
    -------
    Connections
        A parameter is multiplied by its connections now and after every training step (:func:`hold_connections`).
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
