"""MPNet-like encoders, random and tiny: attention by distance, against the library's own forward pass."""

from pathlib import Path

import pytest
import torch
import transformers

from emonb.errors import StudyError
from emonb.model import backbone as engine
from emonb.model.backbone import Backbone, open_backbone
from emonb.study import BackboneConfig

# as MPNet's vocabulary: BERT's words, among its own special tokens
WORDS = ["<s>", "<pad>", "</s>", "[UNK]", "the", "positive", "negative", "fine", "##s", "a", "<mask>"]
SHAPE = {"vocab_size": len(WORDS), "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 40, "max_position_embeddings": 320, "initializer_range": 0.3,
         "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}  # fmt: skip
LENGTHS = [1, 5, 12, 60, 300]
"""Tokens of a comment: distances of their own (under 8), shared by several, and all over 128 in one."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder's folder as MPNet's is: no masked-LM head, WordPiece tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(5)
    transformers.MPNetModel(transformers.MPNetConfig(**SHAPE)).save_pretrained(folder)
    transformers.MPNetTokenizerFast(vocab={word: k for k, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


def _open(folder: Path, **changes: object) -> Backbone:
    fields = {"name": str(folder), "head": "words", "position_offset": "roberta", **changes}
    return open_backbone(BackboneConfig(**fields), 3, 40, 310, "cpu")


def _rows(b: Backbone, length: int, padding: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of four vectors, and comments of which two are shorter where there is padding."""
    chance = torch.Generator().manual_seed(length)
    tokens = torch.randint(3, len(WORDS), (3, length), generator=chance)
    if padding:
        tokens[0, length // 2 :], tokens[1, length - 1 :] = b.tokenizer.pad_id, b.tokenizer.pad_id
    return torch.randn(3, 4, 24, generator=chance), tokens


def _library(folder: Path, b: Backbone, prompts: torch.Tensor, tokens: torch.Tensor, factors: torch.Tensor):
    """The library's hidden states at `<mask>` [B, d] and neurons there [B, layers, F], with neurons multiplied."""
    own, read = transformers.MPNetModel.from_pretrained(folder).eval(), []

    def multiply(k: int):
        def hook(module, inputs, output):
            read.append(output * factors[:, k, None])
            return read[-1]

        return hook

    for k, layer in enumerate(own.encoder.layer):
        layer.intermediate.register_forward_hook(multiply(k))
    words = own.get_input_embeddings()
    embeds = torch.cat([words(torch.full((len(tokens), 1), WORDS.index("<mask>"))), prompts, words(tokens)], 1)
    attend = torch.cat([torch.ones(len(tokens), 5), (tokens != WORDS.index("<pad>")).float()], 1)
    where = torch.arange(b.offset, b.offset + embeds.shape[1])[None]
    hidden = own(inputs_embeds=embeds, attention_mask=attend, position_ids=where).last_hidden_state
    return hidden[:, 0], torch.stack(read, 1)[:, :, 0]


@pytest.mark.parametrize("products", [False, True], ids=["fused", "products"])
@pytest.mark.parametrize("padding", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("length", LENGTHS)
def test_hidden_states_neurons_gradients_and_lesions_equal_the_librarys(
    encoder: Path, length: int, padding: bool, products: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = _open(encoder)
    b.words = torch.Tensor.float  # the hidden states themselves
    prompts, tokens = _rows(b, length, padding)
    chance = torch.Generator().manual_seed(1)
    silenced = torch.rand(3, 40, generator=chance) < 0.3
    keep = (~silenced).float()[None]
    for factors in (torch.ones(1, 3, 40), torch.rand(3, 3, 40, generator=chance), keep):
        theirs_of = prompts.clone().requires_grad_()
        hidden, neurons = _library(encoder, b, theirs_of, tokens, factors)
        weight = torch.randn(hidden.shape, generator=chance)
        (hidden * weight).sum().backward()
        ours_of = prompts.clone().requires_grad_()
        with monkeypatch.context() as patch:
            if products:  # the branch that is written for bfloat16, in float32
                patch.setattr(torch, "bfloat16", torch.float32)
                patch.setattr(engine.F, "scaled_dot_product_attention", None)
            ours, read = b.forward(ours_of, tokens, factors, read=True)
            cut = b.forward(prompts, tokens, lesion=b.cut(silenced))[0] if factors is keep else None
        (ours * weight).sum().backward()
        torch.testing.assert_close(ours, hidden, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(read, neurons, atol=1e-5, rtol=1e-5)
        largest = float(theirs_of.grad.abs().max())
        torch.testing.assert_close(ours_of.grad, theirs_of.grad, atol=1e-5 * largest, rtol=1e-4)
    torch.testing.assert_close(cut, hidden, atol=1e-5, rtol=1e-5)


def test_each_prompts_own_values_stand_in_place_of_silenced_neurons(encoder: Path) -> None:
    b = _open(encoder)
    prompts, tokens = _rows(b, 12, True)
    silenced, values = torch.rand(3, 40) < 0.3, torch.randn(2, 3, 40)
    mine = torch.tensor([1, 0, 1])
    together, _ = b.forward(prompts[mine], tokens, lesion=b.cut(silenced, values), prompt_of_row=mine)
    for k, p in enumerate(mine.tolist()):
        lesion = b.cut(silenced, values[p : p + 1])
        alone, _ = b.forward(prompts[p][None], tokens[k : k + 1], lesion=lesion, prompt_of_row=torch.zeros(1, dtype=int))
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=1e-5)


def test_what_an_order_of_words_does_is_the_tables_doing(encoder: Path) -> None:
    """Without position embeddings words in another order differ only by the table of distances."""
    b, tokens = _open(encoder), torch.tensor([[4, 5, 6, 7, 9], [9, 4, 7, 5, 6]])
    b._base.embeddings.position_embeddings.weight.zero_()
    prompts = torch.randn(1, 4, 24, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1)
    logits, _ = b.forward(prompts, tokens)
    assert float((logits[0] - logits[1]).abs().max()) > 1e-2
    b._base.encoder.relative_attention_bias.weight.zero_()
    logits, _ = b.forward(prompts, tokens)
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=1e-5)


def test_positions_start_at_two_and_prompts_read_special_tokens(encoder: Path) -> None:
    b = _open(encoder)
    assert b.offset == 2 and _open(encoder, position_offset="paper").offset == 0
    assert (b.tokenizer.start_id, b.tokenizer.pad_id, b.tokenizer.mask_id) == (0, 1, len(WORDS) - 1)
    assert [WORDS[k] for k in b.tokenizer.encode(["The fines, <mask>"], 9)[0]] == [
        "<s>", "the", "fine", "##s", "[UNK]", "<mask>", "</s>"]  # fmt: skip
    with pytest.raises(StudyError, match="take up to 319 positions from 2; the model has 320"):
        open_backbone(BackboneConfig(name=str(encoder), head="words", position_offset="roberta"), 3, 40, 319, "cpu")


def test_random_layers_draw_the_table_of_distances_anew(encoder: Path) -> None:
    trained, drawn, again = (
        _open(encoder, **changes).model.state_dict()
        for changes in ({}, *2 * [{"untrained": True, "random": "layers", "seed": 2, "random_std": 0.05}])
    )
    table = "encoder.relative_attention_bias.weight"
    kept = {name for name in trained if torch.equal(trained[name], drawn[name]) and trained[name].unique().numel() > 2}
    assert kept == {f"embeddings.{part}_embeddings.weight" for part in ("word", "position")}
    assert torch.equal(drawn[table], again[table])
    assert float(drawn[table].std()) == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("change", ["table", "own"])
def test_a_network_like_mpnet_that_computes_something_else_is_refused(encoder: Path, monkeypatch, change: str) -> None:
    if change == "table":  # a table of distances that this engine would not see
        own = transformers.models.mpnet.modeling_mpnet.MPNetEncoder
        forward = own.forward
        monkeypatch.setattr(own, "forward", lambda self, h, *args, **more: forward(self, 1.01 * h, *args, **more))
    else:
        mask = Backbone._mask_scores
        monkeypatch.setattr(Backbone, "_mask_scores", lambda *args: 1.01 * mask(*args))
    with pytest.raises(StudyError, match=r"MPNetModel computes something else than is run here \(hidden states differ by"):
        _open(encoder)
