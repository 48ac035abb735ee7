"""Whether a network computes here what the library computes: tried before any work is done."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from emonb.errors import StudyError

if TYPE_CHECKING:
    from emonb.model.backbone import Backbone

GIVE = "give a RoBERTa-, BERT- or MPNet-like masked LM"


def check_forward(backbone: "Backbone", positions: int) -> None:
    """Refuse a network that gives other logits here than in the library's own forward pass, whatever it is called.

    Of a network with a words head the hidden states at `<mask>` are compared.
    One input as long as the study's longest is tried (some networks differ on long ones only), its last token padding.

    Raises
    ------
    StudyError
        They differ, or the network is not built so that it can be run here.
    """
    kind, chance = type(backbone.model).__name__, torch.Generator().manual_seed(0)
    words, pad_id = backbone._words, backbone.tokenizer.pad_id
    tokens = torch.randint(len(words), (1, max(3, positions - 2)), generator=chance)  # [1, T - 2]
    tokens[tokens == pad_id] = backbone.tokenizer.mask_id
    tokens[:, -1] = pad_id
    prompts = words[torch.randint(len(words), (1, 1), generator=chance)]  # [1, 1, d]
    inputs = torch.cat([words[backbone.tokenizer.mask_id].expand(1, 1, -1), prompts, words[tokens]], 1)  # [1, T, d]
    attend = torch.ones(inputs.shape[:2])
    attend[:, -1] = 0
    where = torch.arange(backbone.offset, backbone.offset + inputs.shape[1])[None]
    bare = backbone if backbone.words is None else replace(backbone, words=torch.Tensor.float)
    try:
        with torch.no_grad():
            ours, _ = bare.forward(prompts, tokens)
            whole = backbone.model(inputs_embeds=inputs, attention_mask=attend, position_ids=where)
    except (AttributeError, TypeError, IndexError, RuntimeError, ValueError) as error:
        what = str(error).splitlines()[0]
        raise StudyError(f"{kind} cannot be run here ({what}): {GIVE}") from None
    what = "logits of the verbalizer" if backbone.words is None else "hidden states"
    every = (whole.logits if backbone.words is None else whole.last_hidden_state)[:, 0]
    theirs = every[:, list(backbone.verbalizer)] if backbone.words is None else every
    gap, size = float((ours - theirs).abs().max()), float(every.abs().max())
    if not gap <= 3e-5 * size:  # float32 rounding is ten times less; NaN is refused as well
        raise StudyError(
            f"{kind} computes something else than is run here ({what} differ by {gap:.2g}, the largest is "
            f"{size:.2g}): {GIVE}"
        )
