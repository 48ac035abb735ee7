"""A frozen masked language model: prompts and comments in, verbalizer logits out, FFN neurons read and silenced.

Works with any RoBERTa-, BERT- or MPNet-like encoder of `transformers`. The forward pass is written out here, because the
study needs three things a library's does not give together: a prompt of its own for every row, FFN neurons (after the
activation function) read and replaced per row, and a last layer computed only where it is read. A network whose own forward
pass is another is refused when it is opened (:func:`check_forward`). A sentence encoder has no head that says "no" or
"yes": its hidden state at `<mask>` is compared with the embeddings of these words among sentences (:class:`WordsHead`).

Shapes: B rows, T positions, d dimensions, F FFN neurons.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from emonb.data.weights import find_commit, local_folder
from emonb.errors import LabelError, StudyError
from emonb.model.batches import Tokenizer, pick_device
from emonb.model.grid import draw_weights
from emonb.study import BackboneConfig, Tuning


@dataclass(frozen=True)
class WordsHead:
    """Logits of "no" and "yes" as products with two words' sentence embeddings; made by :func:`make_words_head`.

    ``words`` [2, d], float32: sentence embeddings of the words, each of length 1; ``temperature``: factor of the products,
    which 1 / sqrt(d) would make cosines.
    """

    words: Tensor
    temperature: float

    def __call__(self, h: Tensor) -> Tensor:
        """Logits [B, 2], float32 or float64, of hidden states [B, d], which are standardised first."""
        wide = h.to(torch.promote_types(h.dtype, torch.float32))
        x = F.layer_norm(wide, h.shape[-1:])
        return F.linear(x, self.temperature * self.words.to(x))


def make_words_head(model: Any, tokenizer: Tokenizer, words: tuple[str, str], temperature: float) -> WordsHead:
    """Embed two words as sentences with the network itself (mean over tokens, length 1; Reimers & Gurevych 2019)."""
    rows = []
    with torch.no_grad():
        for ids in tokenizer.encode(words, 16):
            hidden = model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state
            rows.append(F.normalize(hidden.float().mean(1), dim=-1)[0])
    return WordsHead(torch.stack(rows), temperature)


def load_checkpoint(config: BackboneConfig) -> tuple[Any, Tokenizer]:
    """Model (float32) and tokenizer of a checkpoint; with a words head the encoder alone.

    StudyError for one that cannot be had, or that lacks weights: none is drawn at random unasked.
    """
    import transformers  # takes five seconds, and not everybody who asks for a tokenizer's type loads a model

    folder, missing, plain = local_folder(config), set(), config.head == "words"
    name, family = str(folder or config.name), transformers.AutoModel if plain else transformers.AutoModelForMaskedLM
    options: dict[str, Any] = {"trust_remote_code": False}  # without it a checkpoint with code asks whether to run it
    options |= {} if folder else {"revision": find_commit(config)}
    other_shape: list[Any] = []
    try:
        model: Any = None
        if not config.untrained or config.random == "layers":
            model, found = family.from_pretrained(
                name, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
            missing, other_shape = found["missing_keys"], sorted(found["mismatched_keys"])
        if config.untrained:
            model = _draw(config, family, transformers.AutoConfig.from_pretrained(name, **options), model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    except SafetensorError as error:
        raise StudyError(
            f"the weights of '{config.name}' are damaged or cut short ({error}); copy or fetch them again"
        ) from None
    except Exception as error:  # of many classes, which change from version to version
        what = " ".join(" ".join(str(error).splitlines()[:2]).split()) or type(error).__name__
        remedy = (
            "A folder needs config.json, weights as safetensors and a tokenizer, as save_pretrained writes them: mend it, "
            "or give another as backbone.name"
            if folder
            else f"There is no folder of this name beside the study's file or in {Path.cwd()}, and so it is taken from "
            "the hub's cache or the network: give backbone.name=FOLDER"
        )
        raise StudyError(f"the backbone '{config.name}' cannot be loaded ({what:.200}). {remedy}") from None
    if other_shape:
        key, stored, wanted = other_shape[0]
        raise StudyError(
            f"the weights of '{config.name}' are not those of its config.json: {key} is {list(stored)} and should be "
            f"{list(wanted)} ({len(other_shape)} such); give files that belong together as backbone.name"
        )
    missing = {key for key in missing if "pooler." not in key}  # nothing here reads a pooler
    if missing:
        listed = ", ".join(sorted(missing)[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        other = "an encoder" if plain else "a masked language model"
        hint = "" if plain else ", or read it without a head of its own (backbone.head=words)"
        raise StudyError(
            f"the checkpoint '{config.name}' lacks weights that {other} has: {listed}. They would be drawn anew at every "
            f"load; give a checkpoint of {other}{hint}"
        )
    broken = [key for key, weight in model.named_parameters() if not bool(weight.isfinite().all())]
    if broken:
        raise StudyError(
            f"the checkpoint '{config.name}' has weights that are no finite numbers ({len(broken)}, such as {broken[0]}): "
            "its training or conversion failed; give another as backbone.name"
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


GIVE = "give a RoBERTa-, BERT- or MPNet-like masked LM"


def check_forward(backbone: "Backbone", positions: int) -> None:
    """Refuse a network that gives other logits here than in the library's own forward pass, whatever it is called.

    Of a network with a words head the hidden states at `<mask>` are compared.
    One input as long as the study's longest is tried (some networks differ on long ones only), its last token padding.

    StudyError where they differ, or the network is not built so that it can be run here.
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
    if not 0 < size < float("inf"):
        raise StudyError(
            f"{kind} gives {'nothing but zeros' if size == 0 else 'no finite numbers'} with these weights: its training or "
            "conversion failed; give another checkpoint as backbone.name"
        )
    if not gap <= 3e-5 * size:  # float32 rounding is ten times less; NaN is refused as well
        raise StudyError(
            f"{kind} computes something else than is run here ({what} differ by {gap:.2g}, the largest is "
            f"{size:.2g}): {GIVE}"
        )


COMMON_WORDS = 5_000
"""Words a prompt may start from: the most frequent ones (Lester et al. 2021)."""


class Remainder(NamedTuple):
    """What is left of a layer's FFN when its silenced neurons are cut out; made by :meth:`Backbone.cut`."""

    up: Tensor  # [kept, d]
    bias: Tensor  # [kept]
    down: Tensor  # [d, kept]
    replacement: Tensor | None  # [prompts, d]: what values in place of the silenced ones add


class Known(NamedTuple):
    """What comments alone say to `<mask>` in a network of one layer, as if one position; made by :meth:`Backbone.know`."""

    score: Tensor  # [B, heads]
    value: Tensor  # [B, heads, d_head]


class Attention(NamedTuple):
    """The modules of a layer's attention, by what they do; found by :func:`find_attention`."""

    query: Any
    key: Any
    value: Any
    out: Any  # [d] -> [d], of all heads together
    norm: Any


def find_attention(layer: Any) -> Attention:
    """Find a layer's attention: BERT and RoBERTa name its modules in one way, MPNet in another."""
    own = layer.attention
    if hasattr(own, "attn"):
        return Attention(own.attn.q, own.attn.k, own.attn.v, own.attn.o, own.LayerNorm)
    return Attention(own.self.query, own.self.key, own.self.value, own.output.dense, own.output.LayerNorm)


@dataclass
class Backbone:
    """A frozen masked language model with its tokenizer; made by :func:`open_backbone`."""

    model: Any
    tokenizer: Tokenizer
    verbalizer: tuple[int, int]  # ids of the words for "no" and "yes"
    offset: int  # position id of the first position
    device: torch.device
    max_positions: int
    words: Callable[[Tensor], Tensor] | None = None  # head for encoders that have none; None: the model's own
    layers: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False).to(self.device)
        self._base = self.model.base_model
        self.layers = list(self._base.encoder.layer)
        self._words = self.model.get_input_embeddings().weight  # [vocabulary, d]
        self._heads = self.model.config.num_attention_heads

    @property
    def width(self) -> int:
        """Size d of the embeddings."""
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

    def output_norms(self) -> Tensor:
        """Norm of what each FFN neuron adds to the residual stream by a unit of activation, [layers, F], float32."""
        weights = [widen(layer.output.dense.weight) for layer in self.layers]  # [d, F] each
        return torch.stack([weight.norm(dim=0) for weight in weights]).float()

    def initial_prompt(self, length: int, start: str = "mask", seed: int = 0) -> Tensor:
        """Prompt to start from, [length, d], float32 (float64 where the network is).

        ``start``: 'mask', the mask token's embedding at every position, or 'words', those of different common words, drawn
        with ``seed`` (Lester et al. 2021).
        """
        if start == "mask":
            return widen(self._words[self.tokenizer.mask_id]).expand(length, -1).clone()
        common = self.tokenizer.common_words(COMMON_WORDS)
        if len(common) < length:
            raise StudyError(f"the vocabulary has {len(common)} words to start a prompt of {length} vectors from")
        ids = np.random.default_rng([seed, 2]).choice(common, length, replace=False)
        return widen(self._words[torch.from_numpy(ids).to(self._words.device)])

    def embed(self, prompts: Tensor, tokens: Tensor) -> Tensor:
        """Embed `<mask>` + prompt + tokens: [B, T, d], T = 1 + prompt_length + n_tokens, with positions and layer norm.

        ``prompts`` [B, prompt_length, d]; ``tokens`` [B, n_tokens], int64: padded with the tokenizer's pad id at the end.
        """
        e = self._base.embeddings
        mask = self._words[self.tokenizer.mask_id].expand(len(prompts), 1, -1)  # [B, 1, d]
        h = torch.cat([mask, prompts.to(self.dtype), self._words[tokens]], dim=1)  # [B, T, d]
        if self.offset + h.shape[1] > self.max_positions:
            raise StudyError(
                f"{h.shape[1]} positions from {self.offset} do not fit the model's {self.max_positions}; "
                "shorten the prompt or the comments (max_length)"
            )
        positions = torch.arange(self.offset, self.offset + h.shape[1], device=h.device)
        h = h + e.position_embeddings.weight[positions]  # [T, d] for all rows
        if hasattr(e, "token_type_embeddings"):  # MPNet has none
            h = h + e.token_type_embeddings.weight[0]  # [d] for all rows and positions
        return e.LayerNorm(h)

    def scale(self, chosen: Tensor, factor: float) -> list[Remainder]:
        """Multiply what chosen neurons [layers, F] put out at every position, at no cost in :meth:`forward`."""
        lesion = []
        for k, layer in enumerate(self.layers):
            up, down = layer.intermediate.dense, layer.output.dense.weight  # [F, d], [d, F]
            by = torch.where(chosen[k], factor, 1.0).to(down)  # [F]
            lesion.append(Remainder(up.weight, up.bias, down * by, None))
        return lesion

    def cut(self, silenced: Tensor, replacement: Tensor | None = None) -> list[Remainder]:
        """Cut silenced neurons out of the FFNs: what a lesioned network computes, without computing what is silent.

        ``silenced`` [layers, F], bool; ``replacement`` [prompts, layers, F]: values in place of the silenced neurons' own,
        at every position (0 if not given). Gives one remainder a layer, for :meth:`forward`: up to rounding the same as
        ``factors`` 0 and 1 and adding ``replacement``.
        """
        lesion = []
        for k, layer in enumerate(self.layers):
            up, down = layer.intermediate.dense, layer.output.dense.weight  # [F, d], [d, F]
            kept = (~silenced[k]).nonzero().flatten()  # [kept]
            spare = -len(kept) % 64  # zeros, up to what a matrix unit takes at once
            lesion.append(
                Remainder(
                    F.pad(up.weight[kept], (0, 0, 0, spare)),
                    F.pad(up.bias[kept], (0, spare)),
                    F.pad(down[:, kept], (0, spare)),
                    None if replacement is None else F.linear((replacement[:, k] * silenced[k]).to(self.dtype), down),
                )
            )
        return lesion

    def forward(
        self,
        prompts: Tensor,
        tokens: Tensor,
        factors: Tensor | None = None,
        read: bool = False,
        lesion: Sequence[Remainder] | None = None,
        prompt_of_row: Tensor | None = None,
        heard: Tensor | None = None,
        known: Known | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Run the network and read it at `<mask>`.

        Parameters
        ----------
        prompts : Tensor, [B, prompt_length, d]
        tokens : Tensor, [B, n_tokens], int64
        factors : Tensor, [B, layers, F] or broadcastable, optional
            What FFN neurons (after the activation function) are multiplied by at every position; 0 silences.
        read : bool
            Also return FFN neurons, after the activation function and after ``factors``.
        lesion : list of Remainder, optional
            A lesioned network (:meth:`cut`), whose neurons can be neither read nor multiplied.
        prompt_of_row : Tensor, [B], int64, optional
            The prompt each row belongs to, where the lesion puts a prompt's own values in place.
        heard : Tensor, [B, 1, d], optional
            What :meth:`hear` gave for these prompts and tokens, in their place, for a network of one layer.
        known : Known, optional
            What :meth:`know` gave for these tokens, in their place.

        Returns
        -------
        logits : Tensor, [B, 2], float32 (float64 where the network is)
            Verbalizer logits ("no", "yes").
        neurons : Tensor, [B, layers, F], or None
        """
        if lesion is not None and (read or factors is not None):
            raise ValueError("neurons that were cut out cannot be read or multiplied: give factors alone, or lesion alone")
        if known is not None:
            heard = self._hear_known(prompts, tokens, known)
        h, mask = (prompts, None) if heard is not None else self._enter(prompts, tokens)
        neurons = []
        for k, layer in enumerate(self.layers):
            a = self._hear(k, h, mask) if heard is None else heard  # [B, T or 1, d]
            if lesion is not None:
                h = layer.output.LayerNorm(a + self._run_lesioned(layer, a, lesion[k], prompt_of_row))
                continue
            f = layer.intermediate(a)  # [B, T or 1, F], after the activation function
            if factors is not None:
                f = f * factors[:, k, None].to(f.dtype)  # [B, 1, F]: at every position
            if read:
                neurons.append(f[:, 0])  # [B, F]
            h = layer.output.LayerNorm(a + layer.output.dense(f))
        return self._verbalize(h[:, 0]), torch.stack(neurons, 1) if read else None

    def hear(self, prompts: Tensor, tokens: Tensor) -> Tensor | None:
        """What the FFN reads in a network of one layer, [B, 1, d], which no lesion changes; None in a deeper one."""
        return self._hear(0, *self._enter(prompts, tokens)) if len(self.layers) == 1 else None

    def know(self, tokens: Tensor, length: int) -> Known | None:
        """Put together what does not change while prompts of some length are tuned, for :meth:`forward`.

        In a network of one layer `<mask>` alone asks, and asks the same of every comment: softmax over all positions is
        that over the prompt's and one more, whose score is the logarithm of the comment's summed exponentials. None where
        this gains nothing, and where it would change bits (:mod:`emonb.model.grid` rounds them away in float64).
        """
        own = find_attention(self.layers[0])
        if len(self.layers) > 1 or self.dtype != torch.float64 or self._asks_nothing(own):
            return None
        h = self.embed(torch.zeros(len(tokens), length, self.width).to(self._words), tokens)
        blank = torch.arange(1 + length, device=h.device).expand(len(h), -1) < 1  # `<mask>` and no prompt
        there = torch.cat([blank, tokens != self.tokenizer.pad_id], 1)
        scores, heard = self._attend_once(own, h[:, :1], h, there[:, None, None])
        return Known(scores.logsumexp(-1), heard)

    def _hear_known(self, prompts: Tensor, tokens: Tensor, known: Known) -> Tensor:
        h, own = self.embed(prompts, tokens[:, :0]), find_attention(self.layers[0])
        query, rest = (x.contiguous() for x in h.split([1, prompts.shape[1]], 1))  # products of parts take thrice the time
        given = own.query(query), F.linear(rest, own.key.weight), own.value(rest)
        q, k, v = (x.unflatten(-1, (self._heads, -1)) for x in given)  # [B, 1 or prompt_length, heads, d_head]
        scores = torch.cat([known.score[:, None], (q * k).sum(-1) * q.shape[-1] ** -0.5], 1)
        out = (scores.softmax(1)[..., None] * torch.cat([known.value[:, None], v], 1)).sum(1)
        heard: Tensor = own.norm(query + own.out(out.flatten(1)[:, None]))
        return heard

    def _enter(self, prompts: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embeddings [B, T, d], and what becomes of attention scores (:meth:`_mask_scores`)."""
        h = self.embed(prompts, tokens)
        real = torch.cat([torch.ones(len(h), h.shape[1] - tokens.shape[1], dtype=torch.bool, device=h.device),
                          tokens != self.tokenizer.pad_id], 1)  # fmt: skip
        return h, self._mask_scores(h, real)

    def _hear(self, k: int, h: Tensor, mask: Tensor | None) -> Tensor:
        """Attend in one layer, [B, T, d]; in the last one only where it is read, [B, 1, d]."""
        query, own = h, find_attention(self.layers[k])
        if k == len(self.layers) - 1:
            query, mask = h[:, :1].contiguous(), None if mask is None else mask[:, :, :1]
        heard: Tensor = own.norm(query + own.out(self._attend(own, query, h, mask)))
        return heard

    def _mask_scores(self, h: Tensor, real: Tensor) -> Tensor | None:
        """What becomes of attention scores [B, heads, T, T] in every layer; None: nothing.

        Either which positions are attended to (bool), [B, 1, 1, T], or what is added to the scores after
        their division by sqrt(d_head), [1 or B, heads, T, T]: MPNet's bias by relative position, which all
        layers share, and minus infinity for padding.
        """
        attend = None if bool(real.all()) else real[:, None, None]  # [B, 1, 1, T]: for every head and query
        if not hasattr(self._base.encoder, "relative_attention_bias"):
            return attend
        bias: Tensor = self._base.encoder.compute_position_bias(h[:1])  # wherever position ids start
        return bias if attend is None else bias.masked_fill(~attend, float("-inf"))

    def _attend(self, own: Attention, query: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        if h.dtype == torch.float64 and self._asks_nothing(own):
            return self._attend_to_all(own, h, mask)
        if h.dtype == torch.float64 and query.shape[1] == 1:
            return self._attend_once(own, query, h, mask)[1].flatten(1)[:, None]

        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self._heads, -1)).transpose(1, 2)  # [B, T, d] -> [B, heads, T, d_head]

        q, k, v = split(own.query(query)), split(own.key(h)), split(own.value(h))
        if h.dtype == torch.bfloat16 and h.device.type == "cpu":
            # fused attention in bfloat16 takes longer on CPUs than these products, its backward four times as long
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # [B, heads, T_query, T]
            if mask is not None:
                scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
            out = scores.softmax(-1) @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask)
        return out.transpose(1, 2).flatten(2)  # [B, heads, T, d_head] -> [B, T, d]

    def _asks_nothing(self, own: Attention) -> bool:
        biased = hasattr(self._base.encoder, "relative_attention_bias")
        return not (biased or own.query.weight.any() or own.query.bias.any())

    def _attend_to_all(self, own: Attention, h: Tensor, mask: Tensor | None) -> Tensor:
        """Attention that asks nothing and hears all alike, [B, 1, d]: the value of a mean is that of values."""
        if mask is None:
            heard = h.mean(1, keepdim=True)
        else:
            real = mask[:, 0, 0, :, None].to(h.dtype)  # [B, T, 1]
            heard = (h * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        values: Tensor = own.value(heard)
        return values

    def _attend_once(self, own: Attention, query: Tensor, h: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attention of one position without keys and values of all, in float64 twice as fast.

        Scores [B, heads, T], but for a number that all share, and what is heard [B, heads, d_head].

        A key's product with a query is its input's product with what the query asks of inputs (a
        key's bias changes all scores alike), and a value of a weighted mean is the weighted mean of
        values.
        """
        key, value = (of.weight.unflatten(0, (self._heads, -1)) for of in (own.key, own.value))
        q = own.query(query[:, 0]).unflatten(-1, (self._heads, -1)) * key.shape[1] ** -0.5
        # q [B, heads, d_head]; key, value [heads, d_head, d]
        scores = torch.einsum("bni,nid->bnd", q, key) @ h.transpose(1, 2)  # [B, heads, T]
        if mask is not None:
            one = mask[:, :, 0]  # [1 or B, 1 or heads, T]
            scores = scores.masked_fill(~one, float("-inf")) if one.dtype == torch.bool else scores + one
        heard = scores.softmax(-1) @ h  # [B, heads, d]
        return scores, torch.einsum("bnd,nid->bni", heard, value) + own.value.bias.view(self._heads, -1)

    def _run_lesioned(self, layer: Any, a: Tensor, left: Remainder, prompt_of_row: Tensor | None) -> Tensor:
        f = layer.intermediate.intermediate_act_fn(F.linear(a, left.up, left.bias))  # [B, T, kept]
        out = F.linear(f, left.down, layer.output.dense.bias)  # [B, T, d]
        return out if left.replacement is None else out + left.replacement[prompt_of_row, None]  # [B, 1, d]

    def _verbalize(self, h: Tensor) -> Tensor:
        """Logits [B, 2] of the two verbalizer words only; the rest of the vocabulary is never computed."""
        if self.words is not None:
            return self.words(h)
        if hasattr(self.model, "lm_head"):  # RoBERTa- or MPNet-like
            head = self.model.lm_head
            x = head.layer_norm(F.gelu(head.dense(h)))
        else:  # BERT-like
            head = self.model.cls.predictions
            x = head.transform(h)
        ids = torch.tensor(self.verbalizer, device=h.device)
        return widen(F.linear(x, head.decoder.weight[ids], head.decoder.bias[ids]))


def open_backbone(
    config: BackboneConfig,
    layers: int,
    neurons: int,
    positions: int,
    device: str = "auto",
    dtype: str | None = None,
) -> Backbone:
    """Load a backbone and check that it can do what the study asks, before any work is done.

    ``layers``, ``neurons``: the study's layers, and FFN neurons of each; ``positions``: longest input the study will give,
    `<mask>` + prompt + comment; ``device``: ``auto`` (GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ...; ``dtype``:
    number format, where it is not the study's.

    Raises
    ------
    StudyError
        Weights that cannot be had or are not all there, another network than is run here, a verbalizer word that is not
        one token, too few positions, a device that is not there.
    LabelError
        Another number of layers or neurons than the study declares.
    """
    chosen = pick_device(device)
    model, tokenizer = load_checkpoint(config)
    kind = type(model).__name__
    first = next(iter(getattr(getattr(model.base_model, "encoder", None), "layer", ())), None)
    if not hasattr(getattr(first, "intermediate", None), "dense"):
        raise StudyError(f"{kind} has no FFN intermediates: {GIVE}")
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        raise StudyError(f"{kind} has no position embeddings: {GIVE}")
    if tokenizer.largest_id >= len(model.get_input_embeddings().weight):
        raise StudyError(
            f"the tokenizer of '{config.name}' has ids up to {tokenizer.largest_id}, the model embeds "
            f"{len(model.get_input_embeddings().weight)}: they do not belong together"
        )
    no, yes = (_verbalizer_id(tokenizer, word) for word in config.verbalizer)
    offset = 0 if config.position_offset == "paper" else first_position(model)
    if offset + positions > table.num_embeddings:
        raise StudyError(
            f"`<mask>`, prompt and comment take up to {positions} positions from {offset}; the model has "
            f"{table.num_embeddings}: shorten prompt_length or tuning.max_length"
        )
    words = None
    if config.head == "words":
        words = make_words_head(model.eval(), tokenizer, config.verbalizer, config.temperature)
    backbone = Backbone(model, tokenizer, (no, yes), offset, torch.device("cpu"), table.num_embeddings, words)
    check_forward(backbone, positions)
    if (len(backbone.layers), backbone.n_neurons) != (layers, neurons):
        raise LabelError(
            f"the backbone has {len(backbone.layers)} layers of {backbone.n_neurons} FFN neurons, the study declares "
            f"{layers} of {neurons}: correct `layers` and `neurons`"
        )
    model = model.to(getattr(torch, dtype or config.dtype))
    return Backbone(model, tokenizer, (no, yes), offset, chosen, table.num_embeddings, words)


def first_position(model: Any) -> int:
    """Position id that a network itself gives to the first token: of RoBERTa's kind not 0."""
    padding = model.base_model.embeddings.position_embeddings.padding_idx
    return 0 if padding is None else int(padding) + 1


class Live(NamedTuple):
    """A frozen network, the comments that it reads, and how: what every stage that runs it is given."""

    backbone: BackboneConfig
    layers: int
    neurons: int
    """The study's layers, and FFN neurons of each."""
    comments: pd.DataFrame
    """From :func:`emonb.data.comments.read_goemotions`."""
    tuning: Tuning
    """How prompts are tuned; of it lesions and reading take the length of comments, negatives, positions at once."""
    device: str = "auto"
    threads: int | None = None

    def open(self, prompt_length: int) -> Backbone:
        """Open the network for prompts of that length before the longest comment."""
        positions = 1 + prompt_length + self.tuning.max_length
        return open_backbone(self.backbone, self.layers, self.neurons, positions, self.device)


def widen(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _verbalizer_id(tokenizer: Tokenizer, word: str) -> int:
    found = tokenizer.token_id(word)
    if found is None:
        spaced = f"\u0120{word}"  # in byte-pair vocabularies a word after a space is another token than at the beginning
        hint = f" ('{spaced}' is one: the word after a space)" if tokenizer.token_id(spaced) is not None else ""
        raise StudyError(
            f"'{word}' is not a word and one token of the vocabulary; choose another for backbone.verbalizer{hint}"
        )
    return found
