"""RoBERTa-base shape with random weights, GoEmotions comment lengths, and the released programs' way, from the protocol."""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers import RobertaConfig, RobertaForMaskedLM

from emonb.model.backbone import Backbone

LENGTH, VOCABULARY, PADDED = 100, 50_265, 256
LAYERS, WIDTH, FFN = 12, 768, 3_072
BUDGET = {"cpu": 2_048, "cuda": 65_536}  # positions that go through the network at once
CARDS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense bfloat16 operations a second, from the data sheets


class Numbers:
    """Comments are already token ids: "12 40 7"."""

    mask_id, start_id, pad_id = 4, 0, 1

    def encode(self, texts: list[str], max_length: int) -> list[np.ndarray]:
        return [np.array([0, *map(int, text.split()), 2][:max_length]) for text in texts]


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


def count_flops(
    lengths: np.ndarray, kept: float = 1.0, prompt: int = LENGTH, layers: int = LAYERS, width: int = WIDTH
) -> float:
    """Operations a forward pass cannot do without for comments of these numbers of tokens, padding not counted.

    The last layer's queries and FFN are needed at `<mask>` only; ``kept`` is the share of neurons that is not silenced.
    A layer has four FFN neurons a dimension, as in RoBERTa-base and MiniLM.
    """
    positions = 1 + prompt + np.asarray(lengths, float)
    square, ffn = 2 * width**2, 16 * width**2 * kept
    whole = (4 * square + ffn) * positions + 4 * width * positions**2
    last = 2 * square * positions + 2 * square + ffn + 4 * width * positions
    return float(((layers - 1) * whole + last).sum())


def find_bound(device: str, dtype: str, width: int = WIDTH) -> tuple[float, str]:
    """Operations a second of the card's data sheet, or of this machine's best matrix product, and which of them."""
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
        known = next((peak for card, peak in CARDS.items() if card in name), None)
        if known is not None:
            return known, f"bfloat16 peak of {name}"
    best = 0.0
    for rows, inner, columns in ((2_048, width, 4 * width), (2_048, 4 * width, width), (4_096, 4_096, 4_096)):
        x = torch.randn(rows, inner, device=device, dtype=getattr(torch, dtype))
        w = torch.randn(columns, inner, device=device, dtype=getattr(torch, dtype))
        times = []
        for _ in range(7):
            start = time.perf_counter()
            F.linear(x, w)
            synchronise(device)
            times.append(time.perf_counter() - start)
        best = max(best, 2 * rows * inner * columns / statistics.median(times))
    return best, f"best {dtype} product measured here"


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


def name_device(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
