"""Checkpoints of `transformers`, from a local folder or the hub: loaded whole, or refused."""

from typing import Any

import torch

from emonb.data.checkpoints import find_commit, local_folder
from emonb.errors import StudyError
from emonb.model.tokens import Tokenizer
from emonb.settings import BackboneConfig


def load_checkpoint(config: BackboneConfig) -> tuple[Any, Tokenizer]:
    """Model (float32) and tokenizer of a checkpoint.

    Raises
    ------
    StudyError
        A checkpoint that cannot be had, or that lacks weights of a masked language model.
    """
    import transformers  # takes five seconds, and not everybody who asks for a tokenizer's type loads a model

    folder, missing = local_folder(config), set()
    name = str(folder or config.name)
    try:
        options = {} if folder else {"revision": find_commit(config)}
        if config.untrained:
            shape = transformers.AutoConfig.from_pretrained(name, **options)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                model = transformers.AutoModelForMaskedLM.from_config(shape)
        else:
            model, found = transformers.AutoModelForMaskedLM.from_pretrained(
                name, use_safetensors=True, output_loading_info=True, **options
            )
            missing = {*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])}
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise StudyError(
            f"the backbone '{config.name}' cannot be loaded ({first}). It is taken from the hub's cache or the network, or "
            "from a local folder with safetensors weights: give backbone.name=FOLDER"
        ) from None
    if missing:
        listed = ", ".join(sorted(missing)[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise StudyError(
            f"the checkpoint '{config.name}' lacks weights that a masked language model has: {listed}. They would be drawn "
            "anew at every load; give a checkpoint of a masked language model"
        )
    return model.float(), Tokenizer(tokenizer)
