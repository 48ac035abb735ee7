"""Checkpoints of `transformers`, from a local folder or the hub: loaded whole, drawn at random where asked, or refused."""

from typing import Any

import torch

from emonb.data.checkpoints import find_commit, local_folder
from emonb.errors import StudyError
from emonb.model.grid import draw_weights
from emonb.model.tokens import Tokenizer
from emonb.settings import BackboneConfig


def load_checkpoint(config: BackboneConfig) -> tuple[Any, Tokenizer]:
    """Model (float32) and tokenizer of a checkpoint; with a words head the encoder alone.

    Raises
    ------
    StudyError
        A checkpoint that cannot be had, or that lacks weights: none is drawn at random unasked.
    """
    import transformers  # takes five seconds, and not everybody who asks for a tokenizer's type loads a model

    folder, missing, plain = local_folder(config), set(), config.head == "words"
    name, family = str(folder or config.name), transformers.AutoModel if plain else transformers.AutoModelForMaskedLM
    try:
        options = {} if folder else {"revision": find_commit(config)}
        model: Any = None
        if not config.untrained or config.random == "layers":
            model, found = family.from_pretrained(name, use_safetensors=True, output_loading_info=True, **options)
            missing = {*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])}
        if config.untrained:
            model = _draw(config, family, transformers.AutoConfig.from_pretrained(name, **options), model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise StudyError(
            f"the backbone '{config.name}' cannot be loaded ({first}). It is taken from the hub's cache or the network, or "
            "from a local folder with safetensors weights: give backbone.name=FOLDER"
        ) from None
    missing = {key for key in missing if "pooler." not in key}  # nothing here reads a pooler
    if missing:
        listed = ", ".join(sorted(missing)[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        other = "an encoder" if plain else "a masked language model"
        hint = "" if plain else ", or read it without a head of its own (backbone.head=words)"
        raise StudyError(
            f"the checkpoint '{config.name}' lacks weights that {other} has: {listed}. They would be drawn anew at every "
            f"load; give a checkpoint of {other}{hint}"
        )
    return model.float(), Tokenizer(tokenizer)


def _draw(config: BackboneConfig, family: Any, shape: Any, trained: Any) -> Any:
    """Draw a network at random; where the trained one is given, all under its first layer is kept.

    MPNet's table of attention by distance, which all its layers share, belongs to the layers: it is drawn
    anew with them, with ``random_std`` like every other weight.
    """
    if config.random_std is not None:
        shape.initializer_range = config.random_std
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = family.from_config(shape)
    if config.dtype == "float64":  # PyTorch's differ by 1.5e-7 between instruction sets
        draw_weights(model, shape.initializer_range, config.seed)
    if trained is not None:
        model.base_model.embeddings.load_state_dict(trained.base_model.embeddings.state_dict())
    return model
