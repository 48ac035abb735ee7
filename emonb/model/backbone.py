"""A frozen masked language model: prompts and comments in, verbalizer logits out, FFN neurons read and silenced.

Works with any RoBERTa- or BERT-like encoder of `transformers`. The forward pass is written out here, because the study
needs three things a library's does not give together: a prompt of its own for every row, FFN neurons (after the
activation function) read and replaced per row, and a last layer computed only where it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from emonb.errors import StudyError
from emonb.model.compute import pick_device
from emonb.model.tokens import HubTokenizer, Tokenizer, WordTokenizer
from emonb.settings import BackboneConfig


class Remainder(NamedTuple):
    """What is left of a layer's FFN when its silenced neurons are cut out; made by :meth:`Backbone.cut`."""

    up: Tensor  # [kept, d_model]
    bias: Tensor  # [kept]
    down: Tensor  # [d_model, kept]
    put: Tensor | None  # [prompts, d_model]: what values put in place of the silenced ones add


@dataclass
class Backbone:
    """A frozen masked language model with its tokenizer; made by :func:`load_backbone`."""

    model: Any
    tokenizer: Tokenizer
    verbalizer: tuple[int, int]  # ids of the words for "no" and "yes"
    offset: int  # position id of the first position
    device: torch.device
    max_positions: int
    layers: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False).to(self.device)
        self._base = self.model.base_model
        self.layers = list(self._base.encoder.layer)
        self._words = self.model.get_input_embeddings().weight
        self._heads = self.model.config.num_attention_heads

    @property
    def width(self) -> int:
        """Size d_model of the embeddings."""
        return int(self._words.shape[1])

    @property
    def n_neurons(self) -> int:
        """FFN neurons of a layer."""
        return int(self.layers[0].intermediate.dense.out_features)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        dtype: torch.dtype = self._words.dtype
        return dtype

    def initial_prompt(self, length: int) -> Tensor:
        """Prompt initialised from the mask token's embedding, [length, d_model], float32."""
        return self._words[self.tokenizer.mask_id].float().expand(length, -1).clone()

    def embed(self, prompts: Tensor, tokens: Tensor) -> Tensor:
        """Embed `<mask>` + prompt + tokens.

        Parameters
        ----------
        prompts : Tensor, [rows, prompt_length, d_model]
        tokens : Tensor, [rows, n_tokens], int64
            Padded with the tokenizer's pad id at the end.

        Returns
        -------
        Tensor, [rows, 1 + prompt_length + n_tokens, d_model]
            After position embeddings and layer norm.
        """
        e = self._base.embeddings
        mask = self._words[self.tokenizer.mask_id].expand(len(prompts), 1, -1)
        h = torch.cat([mask, prompts.to(self.dtype), self._words[tokens]], dim=1)  # [B, T, d]
        if self.offset + h.shape[1] > self.max_positions:
            raise StudyError(
                f"{h.shape[1]} positions from {self.offset} do not fit the model's {self.max_positions}; "
                "shorten the prompt or the comments (max_length)"
            )
        positions = torch.arange(self.offset, self.offset + h.shape[1], device=h.device)
        h = h + e.position_embeddings.weight[positions] + e.token_type_embeddings.weight[0]
        return e.LayerNorm(h)

    def cut(self, silenced: Tensor, put: Tensor | None = None) -> list[Remainder]:
        """Cut silenced neurons out of the FFNs: what a lesioned network computes, without computing what is silent.

        Parameters
        ----------
        silenced : Tensor of bool, [layers, neurons]
        put : Tensor, [prompts, layers, neurons], optional
            Values in place of the silenced neurons' own, at every position (0 if not given).

        Returns
        -------
        list of Remainder
            One a layer, for :meth:`forward`; up to rounding the same as factors 0 and 1 (``keep``) and adding ``put``.
        """
        left = []
        for k, layer in enumerate(self.layers):
            up, down = layer.intermediate.dense, layer.output.dense.weight
            kept = (~silenced[k]).nonzero().flatten()
            spare = -len(kept) % 64  # zeros, up to what a matrix unit takes at once
            added = None if put is None else F.linear((put[:, k] * silenced[k]).to(self.dtype), down)
            left.append(
                Remainder(F.pad(up.weight[kept], (0, 0, 0, spare)), F.pad(up.bias[kept], (0, spare)),
                          F.pad(down[:, kept], (0, spare)), added)
            )  # fmt: skip
        return left

    def forward(
        self,
        prompts: Tensor,
        tokens: Tensor,
        keep: Tensor | None = None,
        read: bool = False,
        positions: tuple[int, ...] = (0,),
        left: Sequence[Remainder] | None = None,
        owner: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Run the network and read it at chosen positions.

        Parameters
        ----------
        prompts : Tensor, [rows, prompt_length, d_model]
        tokens : Tensor, [rows, n_tokens], int64
        keep : Tensor, [rows, layers, neurons] or broadcastable, optional
            Factors of the FFN neurons (after the activation function) at every position; 0 silences.
        read : bool
            Also return FFN neurons, after the activation function and after ``keep``.
        positions : tuple of int
            Where to read; 0 is `<mask>`.
        left : list of Remainder, optional
            A lesioned network (:meth:`cut`), whose neurons can be neither read nor kept.
        owner : Tensor, [rows], int64, optional
            The prompt each row belongs to, where the lesion puts a prompt's own values in place.

        Returns
        -------
        logits : Tensor, [rows, 2], float32
            Verbalizer logits ("no", "yes") at the first of ``positions``.
        neurons : Tensor, [rows, layers, n_positions, neurons], or None
        """
        if left is not None and (read or keep is not None):
            raise ValueError("neurons that were cut out cannot be read or kept: give keep alone, or left alone")
        h = self.embed(prompts, tokens)
        where = torch.tensor(positions, device=h.device)
        real = torch.cat([torch.ones(len(h), h.shape[1] - tokens.shape[1], dtype=torch.bool, device=h.device),
                          tokens != self.tokenizer.pad_id], 1)  # fmt: skip
        attend = None if bool(real.all()) else real[:, None, None]
        neurons = []
        for k, layer in enumerate(self.layers):
            query = h[:, where] if k == len(self.layers) - 1 else h  # the last layer only where it is read
            a = layer.attention.output.LayerNorm(
                query + layer.attention.output.dense(self._attend(layer, query, h, attend))
            )
            if left is not None:
                h = layer.output.LayerNorm(a + self._run_left(layer, a, left[k], owner))
                continue
            f = layer.intermediate(a)  # [B, T, F], after the activation function
            if keep is not None:
                f = f * keep[:, k, None].to(f.dtype)
            if read:
                neurons.append(f if f.shape[1] == len(positions) else f[:, where])
            h = layer.output.LayerNorm(a + layer.output.dense(f))
        return self._verbalize(h[:, 0]), torch.stack(neurons, 1) if read else None

    def _attend(self, layer: Any, query: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        own = layer.attention.self

        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self._heads, -1)).transpose(1, 2)  # [B, heads, T, d_head]

        q, k, v = split(own.query(query)), split(own.key(h)), split(own.value(h))
        if h.dtype == torch.bfloat16 and h.device.type == "cpu":
            # fused attention in bfloat16 takes longer on CPUs than these products, its backward four times as long
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # [B, heads, T_query, T]
            scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
            out = scores.softmax(-1) @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask)
        return out.transpose(1, 2).flatten(2)

    def _run_left(self, layer: Any, a: Tensor, left: Remainder, owner: Tensor | None) -> Tensor:
        f = layer.intermediate.intermediate_act_fn(F.linear(a, left.up, left.bias))  # [B, T, kept]
        out = F.linear(f, left.down, layer.output.dense.bias)
        return out if left.put is None else out + left.put[owner, None]

    def _verbalize(self, h: Tensor) -> Tensor:
        """Logits of the two verbalizer words only; the rest of the vocabulary is never computed."""
        if hasattr(self.model, "lm_head"):  # RoBERTa-like
            head = self.model.lm_head
            x = head.layer_norm(F.gelu(head.dense(h)))
        else:  # BERT-like
            head = self.model.cls.predictions
            x = head.transform(h)
        ids = torch.tensor(self.verbalizer, device=h.device)
        return F.linear(x, head.decoder.weight[ids], head.decoder.bias[ids]).float()


def load_backbone(config: BackboneConfig, device: str = "auto", positions_needed: int = 1) -> Backbone:
    """Load or make a backbone and check that it can do what the study asks, before any work is done.

    Parameters
    ----------
    config : BackboneConfig
        Hub name with revision, local folder, or a configuration to initialise from a seed.
    device : str
        ``auto`` (GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
    positions_needed : int
        Longest input the study will give: `<mask>` + prompt + comment.

    Raises
    ------
    StudyError
        A model without FFN intermediates, a verbalizer word that is not one token, too few positions, a device that is
        not there, or weights that cannot be had.
    """
    chosen = pick_device(device)
    model, tokenizer = _make(config) if config.architecture is not None else _from_folder_or_hub(config)
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if not layers or not hasattr(layers[0], "intermediate"):
        raise StudyError(f"{type(model).__name__} has no FFN intermediates: give a RoBERTa- or BERT-like masked LM")
    if not (hasattr(model, "lm_head") or hasattr(model, "cls")):
        raise StudyError(f"{type(model).__name__} has no masked-language-model head")
    ids = []
    for word in config.verbalizer:
        found = tokenizer.token_id(word)
        if found is None:
            raise StudyError(f"the verbalizer word '{word}' is not one token of the vocabulary; choose another word")
        ids.append(found)
    table = model.base_model.embeddings.position_embeddings
    own = (table.padding_idx + 1) if table.padding_idx is not None else 0
    offset = 0 if config.position_offset == "paper" else own
    if offset + positions_needed > table.num_embeddings:
        raise StudyError(
            f"`<mask>`, prompt and comment take up to {positions_needed} positions from {offset}; the model has "
            f"{table.num_embeddings}: shorten tuning.prompt_length or tuning.max_length"
        )
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.dtype]
    return Backbone(model.to(dtype), tokenizer, (ids[0], ids[1]), offset, chosen, table.num_embeddings)


def _make(config: BackboneConfig) -> tuple[Any, Tokenizer]:
    import transformers

    assert config.architecture is not None
    family = {"roberta": (transformers.RobertaConfig, transformers.RobertaForMaskedLM),
              "bert": (transformers.BertConfig, transformers.BertForMaskedLM)}  # fmt: skip
    if config.family not in family:
        raise StudyError(f"unknown family '{config.family}'; use roberta or bert")
    make_config, make_model = family[config.family]
    tokenizer = WordTokenizer(config.vocabulary)
    ids = {"pad_token_id": tokenizer.pad_id, "bos_token_id": tokenizer.start_id, "vocab_size": len(tokenizer)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = make_model(make_config(**{**ids, **config.architecture}))
    return model, tokenizer


def _from_folder_or_hub(config: BackboneConfig) -> tuple[Any, Tokenizer]:
    import transformers

    try:
        options = {"revision": config.revision} if config.revision else {}
        if config.untrained:
            shape = transformers.AutoConfig.from_pretrained(config.name, **options)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                model = transformers.AutoModelForMaskedLM.from_config(shape)
        else:
            model = transformers.AutoModelForMaskedLM.from_pretrained(config.name, use_safetensors=True, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(config.name, **options)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise StudyError(
            f"the backbone '{config.name}' cannot be loaded ({first}). It is taken from the hub's cache or the network, or "
            "from a local folder with safetensors weights: give backbone.name=FOLDER"
        ) from None
    return model, HubTokenizer(tokenizer)
