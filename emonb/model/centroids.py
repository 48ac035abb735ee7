"""What a sentence encoder says of an emotion with no prompt and no tuning: the mean embedding of its comments."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr

from emonb.model.compute import limit_threads, pad, pick_device, run_halving, split_by_length
from emonb.model.loading import load_checkpoint
from emonb.settings import BackboneConfig, Tuning


def embed_emotions(
    comments: pd.DataFrame,
    emotions: Sequence[str],
    backbone: BackboneConfig,
    tuning: Tuning,
    device: str = "auto",
    threads: int | None = None,
) -> xr.Dataset:
    """Mean sentence embedding of each emotion's training comments.

    The comments that prompts are tuned on as examples of the emotion, so that both have read the same. A sentence is the
    mean over its tokens in the last layer, of length 1, as the encoder was trained to be used (Reimers & Gurevych 2019).

    Parameters
    ----------
    comments : DataFrame
        From :func:`emonb.data.goemotions.read_goemotions`.
    emotions : sequence of str
    backbone : BackboneConfig
        A sentence encoder; of another network the numbers are as well defined, but nobody trained them to mean something.
    tuning : Tuning
        Length of comments, examples, positions that go through the model at once.
    device : str
    threads : int, optional
        CPU threads.

    Returns
    -------
    Dataset
        ``embedding`` (emotion, dimension), float32; ``comments`` (emotion): how many.
    """
    most = None if tuning.examples is None else (tuning.examples + 1) // 2
    train = comments["split"] == "train"
    rows = [np.flatnonzero((comments[emotion] & train).to_numpy())[:most] for emotion in emotions]
    used = np.unique(np.concatenate(rows))
    with limit_threads(threads):
        chosen = pick_device(device)
        model, tokenizer = load_checkpoint(backbone.model_copy(update={"head": "words"}))  # the encoder alone
        model = model.eval().to(chosen, getattr(torch, backbone.dtype))
        ids = tokenizer.encode([comments["text"].iloc[row] for row in used], tuning.max_length)
        out = np.empty((len(used), model.config.hidden_size), np.float32)

        def step(group: np.ndarray) -> None:
            tokens = pad([ids[k] for k in group], tokenizer.pad_id, chosen)
            real = (tokens != tokenizer.pad_id).long()
            hidden = model(input_ids=tokens, attention_mask=real).last_hidden_state  # [B, T, d]
            mean = (hidden * real[..., None]).sum(1)  # a sum: its length goes
            out[group] = F.normalize(mean.float(), dim=-1).cpu().numpy()

        with torch.no_grad():
            for group in split_by_length(np.array([len(row) for row in ids]), 0, tuning.tokens_per_batch):
                run_halving(group, step)
    means = np.stack([out[np.searchsorted(used, mine)].mean(0) for mine in rows])
    arrays = {"embedding": (("emotion", "dimension"), means), "comments": ("emotion", [len(mine) for mine in rows])}
    return xr.Dataset(arrays, {"emotion": list(emotions)})
