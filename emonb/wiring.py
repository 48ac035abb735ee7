"""What the planted world's network can do, by construction: masks on the weights of a one-layer RoBERTa.

The model's dimensions fall into one block of four for every attribute and two blocks for the verdict. An attribute's cue
words, its attention head and its group of FFN neurons live in its block; FFN neurons write to the verdict blocks and only
those are read by the head, so that a verdict that depends on an attribute must pass through that attribute's neurons.
Attention is uniform (a comment is a bag of words), and the layer norms are held nearly linear by a constant part that
is larger than what varies: otherwise a norm that mixes all dimensions would carry attributes past their neurons.
"""

from typing import Any

import torch
from torch import Tensor

from emonb.control import COMMON, GROUP, World
from emonb.tokens import SPECIAL

HEAD, VERDICT_HEADS = 4, 2  # width of a head, heads of the verdict
_CONSTANT, _OFFSET, _LEAK, _FIRST, _VALUES = 5.0, 2.0, 0.2, 6.0, 3.0  # gains and starting scales; found on seeds 0 to 2

Masks = list[tuple[Tensor, Tensor]]


def shape_of(world: World) -> dict[str, int]:
    """Configuration of the model that fits a world."""
    n = len(world.attributes)
    return {
        "vocab_size": len(SPECIAL) + len(world.lexicon.vocabulary()),
        "hidden_size": HEAD * (n + VERDICT_HEADS),
        "num_hidden_layers": 1,
        "num_attention_heads": n + VERDICT_HEADS,
        "intermediate_size": GROUP * n + COMMON,
    }


def wire(world: World, model: Any, ids: dict[str, int]) -> Masks:
    """Plant the wiring in a fresh model.

    Parameters
    ----------
    world : World
    model : RobertaForMaskedLM
        Changed in place: starting scales, and constants that are never trained.
    ids : dict of str to int
        Token ids.

    Returns
    -------
    list of (parameter, mask)
        A parameter is multiplied by its mask now and after every training step (:func:`apply_masks`).
    """
    n, width, layer = len(world.attributes), model.config.hidden_size, model.base_model.encoder.layer[0]
    block = torch.arange(width) // HEAD
    same, verdict = (block[:, None] == block[None]).float(), (block >= n).float()
    own, embeddings, norm = layer.attention.self, model.base_model.embeddings, layer.attention.output.LayerNorm
    reads, writes = _neurons(world, block, verdict)
    none = torch.zeros(())
    masks = [(own.query.weight, none), (own.key.weight, none), (own.value.weight, same)]
    masks += [(layer.attention.output.dense.weight, same), (layer.intermediate.dense.weight, reads)]
    masks += [(layer.output.dense.weight, writes), (model.lm_head.dense.weight, verdict.expand(width, width))]
    masks += [(embeddings.position_embeddings.weight, none), (embeddings.token_type_embeddings.weight, none)]
    masks += [(model.get_input_embeddings().weight, _words(world, ids, block, verdict))]
    masks += [(embeddings.LayerNorm.bias, none), (norm.bias, 1 - verdict)]
    with torch.no_grad():
        embeddings.LayerNorm.weight.copy_(1 + (_CONSTANT - 1) * verdict)
        norm.weight.copy_(1 - verdict + _LEAK * verdict)
        layer.output.dense.bias.copy_(_OFFSET * (1 - 2.0 * (torch.arange(width) % 2)) * (1 - verdict))
        layer.intermediate.dense.weight *= _FIRST
        own.value.weight *= _VALUES
        layer.attention.output.dense.weight *= _VALUES
    for constant in (embeddings.LayerNorm.weight, norm.weight, layer.output.dense.bias):
        constant.requires_grad_(False)
    apply_masks(masks)
    return masks


def apply_masks(masks: Masks) -> None:
    """Multiply every parameter by its mask, in place."""
    with torch.no_grad():
        for parameter, mask in masks:
            parameter *= mask


def owned_neurons(world: World) -> Tensor:
    """Tell which FFN neurons belong to an attribute; bool [neurons]."""
    owned = torch.zeros(GROUP * len(world.attributes) + COMMON, dtype=torch.bool)
    owned[[n for group in world.groups().values() for n in group]] = True
    return owned


def _neurons(world: World, block: Tensor, verdict: Tensor) -> tuple[Tensor, Tensor]:
    """What FFN neurons read [neuron, dimension] and write [dimension, neuron].

    An attribute's neurons read its block and write the verdict; those of silent attributes write nothing. Neurons of no
    attribute read everything; they write nothing in the causal world, the verdict in the encoded one.
    """
    owner = torch.full((GROUP * len(world.attributes) + COMMON,), -1)
    for k, group in enumerate(world.groups().values()):
        owner[list(group)] = k
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
    words[[ids[word] for word in world.lexicon.speakers]] = 1 - verdict
    return words
