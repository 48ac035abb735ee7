"""RoBERTa-base shape with random weights, GoEmotions comment lengths, and the released programs' way, from the protocol."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from transformers import RobertaConfig, RobertaForMaskedLM

from emonb.backbone import Backbone
from emonb.tokens import SPECIAL

LENGTH, VOCABULARY, PADDED = 100, 50_265, 256


class Numbers:
    """Comments are already token ids: "12 40 7"."""

    mask_id, start_id, pad_id = SPECIAL.index("<mask>"), 0, 1

    def encode(self, texts: list[str], max_length: int) -> list[np.ndarray]:
        return [np.array([0, *map(int, text.split()), 2][:max_length]) for text in texts]

    def token_id(self, word: str) -> int | None:
        return None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    return parser.parse_args()


def make_model(seed: int = 0) -> RobertaForMaskedLM:
    torch.manual_seed(seed)
    config = RobertaConfig(vocab_size=VOCABULARY, max_position_embeddings=514, type_vocab_size=1)
    return RobertaForMaskedLM(config).eval()


def make_backbone(device: str, dtype: str) -> Backbone:
    model = make_model().to(getattr(torch, dtype))
    return Backbone(model, Numbers(), (33_407, 22_173), 0, torch.device(device), 514)


def make_comments(n: int, seed: int = 0) -> list[str]:
    """Comments of GoEmotions lengths: about 18 tokens on average, right-skewed, at most 60."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.round(rng.gamma(2.6, 6.2, n)), 2, 60).astype(int)
    return [" ".join(map(str, rng.integers(5, VOCABULARY, k))) for k in lengths]


class Released(torch.nn.Module):
    """The released model's way: one prompt, comments padded to 256, logits of the whole vocabulary at every position."""

    def __init__(self, model: RobertaForMaskedLM) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        words = model.get_input_embeddings().weight
        self.prompt = torch.nn.Parameter(words[Numbers.mask_id].detach().expand(LENGTH, -1).clone())

    def forward(self, comments: list[np.ndarray]) -> torch.Tensor:
        device = self.prompt.device
        ids = torch.full((len(comments), PADDED), Numbers.pad_id)
        for row, comment in enumerate(comments):
            ids[row, : len(comment)] = torch.from_numpy(comment)
        ids = ids.to(device)
        words = self.model.get_input_embeddings()
        mask = torch.full((len(ids), 1), Numbers.mask_id, device=device)
        embeds = torch.cat([words(mask), self.prompt.expand(len(ids), -1, -1).to(words.weight.dtype), words(ids)], 1)
        attend = torch.cat([torch.ones(len(ids), LENGTH + 1, device=device), (ids != Numbers.pad_id).float()], 1)
        positions = torch.arange(embeds.shape[1], device=device).expand(len(ids), -1)
        logits = self.model(inputs_embeds=embeds, attention_mask=attend, position_ids=positions).logits
        return logits[:, 0, [33_407, 22_173]].float()


def loss(logits: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    return F.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64)).to(logits.device))


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
