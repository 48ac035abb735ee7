"""The words head, encoders without a masked-LM head, prompts started from words: against transformers and plain code."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from emonb.data.comments import Task
from emonb.errors import StudyError
from emonb.model.backbone import Backbone, open_backbone
from emonb.model.reading import embed_emotions
from emonb.model.tuning import tune_tasks
from emonb.study import BackboneConfig, Tuning

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "!",
    "the",
    "##s",
    "positive",
    "negative",
    "fine",
    "very",
    "a",
    "bad",
]
SHAPE = {"vocab_size": len(WORDS), "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 40, "max_position_embeddings": 48, "initializer_range": 0.3}  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder's folder as it is published: BertModel, no masked-LM head, WordPiece tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(5)
    transformers.BertModel(transformers.BertConfig(**SHAPE)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    transformers.BertTokenizerFast(vocab={word: k for k, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


def _open(folder: Path, **changes: object) -> Backbone:
    fields = {"name": str(folder), "head": "words", "temperature": 0.7, **changes}
    return open_backbone(BackboneConfig(**fields), 3, 40, 30, "cpu")


def test_the_encoder_equals_the_librarys_own_forward(encoder: Path) -> None:
    b, own = _open(encoder), transformers.BertModel.from_pretrained(encoder).eval()
    ids = b.tokenizer.encode(["the very fine fines", "a bad", "very very very bad !"], 12)
    longest = max(map(len, ids))
    tokens = torch.from_numpy(np.stack([np.pad(row, (0, longest - len(row))) for row in ids]))
    prompt = torch.randn(3, 4, 24, generator=torch.Generator().manual_seed(0))
    words = own.get_input_embeddings()
    embeds = torch.cat([words(torch.full((3, 1), WORDS.index("[MASK]"))), prompt, words(tokens)], 1)
    attend = torch.cat([torch.ones(3, 5, dtype=torch.int64), (tokens != 0).long()], 1)
    read = []
    hooks = [layer.intermediate.register_forward_hook(lambda m, i, out: read.append(out)) for layer in own.encoder.layer]
    with torch.no_grad():
        hidden = own(inputs_embeds=embeds, attention_mask=attend).last_hidden_state[:, 0]
        logits, neurons = b.forward(prompt, tokens, read=True)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(neurons, torch.stack(read, 1)[:, :, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, _plain_head(own, encoder, hidden), atol=1e-5, rtol=0)


def _plain_head(own: transformers.BertModel, folder: Path, hidden: torch.Tensor) -> torch.Tensor:
    """The head written out once more: standardise, embed the two words as sentences, multiply."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    columns = []
    for word in ("negative", "positive"):
        with torch.no_grad():
            states = own(**tokenizer(word, return_tensors="pt")).last_hidden_state[0]  # [CLS] word [SEP]
        assert len(states) == 3
        columns.append(states.mean(0) / np.sqrt(float((states.mean(0) ** 2).sum())))
    spread = torch.sqrt(((hidden - hidden.mean(1, keepdim=True)) ** 2).mean(1, keepdim=True) + 1e-5)
    return 0.7 * ((hidden - hidden.mean(1, keepdim=True)) / spread) @ torch.stack(columns, 1)


def test_a_head_is_never_drawn_at_random_and_words_need_none(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="lacks weights that a masked language model has: cls") as error:
        _open(encoder, head="masked-lm")
    assert "backbone.head=words" in str(error.value) and "\n" not in str(error.value)
    own = transformers.BertForMaskedLM(transformers.BertConfig(**SHAPE))
    own.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path)
    assert _open(tmp_path, head="masked-lm").words is None  # tied weights are not missing
    assert _open(tmp_path).words is not None  # nor is a pooler
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if name.endswith("layer.2.output.dense.bias"))
    save_file(
        {name: value for name, value in weights.items() if name != gone}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(StudyError, match=r"lacks weights that an encoder has: .*layer\.2\.output\.dense\.bias"):
        _open(tmp_path)


def test_an_encoder_that_computes_something_else_is_refused(encoder: Path, tmp_path: Path, monkeypatch) -> None:
    normal = Backbone._attend
    monkeypatch.setattr(Backbone, "_attend", lambda *args: 1.01 * normal(*args))
    with pytest.raises(StudyError, match=r"BertModel computes something else than is run here \(hidden states differ by"):
        _open(encoder)


def test_an_untrained_network_is_random_in_all_or_above_its_embeddings(encoder: Path) -> None:
    trained = _open(encoder).model.state_dict()
    drawn = {random: _open(encoder, untrained=True, random=random, seed=2, random_std=0.05).model.state_dict()
             for random in ("all", "layers")}  # fmt: skip
    for random, state in drawn.items():
        for name, values in state.items():
            kept = name.startswith("embeddings.") and random == "layers"
            if "LayerNorm" not in name and name.endswith("weight"):
                assert torch.equal(values, trained[name]) == kept, name
        assert float(state["encoder.layer.1.intermediate.dense.weight"].std()) == pytest.approx(0.05, rel=0.1)
    again = _open(encoder, untrained=True, seed=2, random_std=0.05).model.state_dict()
    assert all(torch.equal(values, again[name]) for name, values in drawn["all"].items())
    words = [_open(encoder, untrained=True, seed=seed).words.words for seed in (2, 3)]
    assert not torch.allclose(*words)  # the head is the network's own, whatever the network


def test_prompts_start_from_common_words_drawn_with_their_seed(encoder: Path) -> None:
    b = _open(encoder)
    common = [WORDS[k] for k in b.tokenizer.common_words(4)]
    assert common == ["the", "positive", "negative", "fine"]  # no signs, parts, letters
    table = b.model.get_input_embeddings().weight
    starts = {seed: b.initial_prompt(3, "words", seed) for seed in (1, 2)}
    for start in starts.values():
        nearest = torch.cdist(start, table).min(1)
        assert float(nearest.values.max()) == 0 and len(set(nearest.indices.tolist())) == 3
    assert not torch.equal(starts[1], starts[2])
    with pytest.raises(StudyError, match="6 words to start a prompt of 8"):
        b.initial_prompt(8, "words", 0)
    task = Task(np.array([0, 1]), np.array([True, False]))
    tasks = {(e, s): task for s in (1, 2) for e in ("p", "q")}
    still = Tuning(learning_rate=1e-12, weight_decay=0.0, epochs=1, start="words", max_length=8)
    tuned = tune_tasks(b, ["fine", "bad"], tasks, tasks, 3, still, None, False).prompt
    for seed, start in starts.items():
        for emotion in ("p", "q"):
            np.testing.assert_allclose(tuned.sel(seed=seed, emotion=emotion), start.numpy(), atol=1e-9)


def test_an_emotions_embedding_is_the_mean_of_its_first_training_comments_one_by_one(encoder: Path) -> None:
    texts = ["the fine", "very very bad !", "a positive", "bad", "fine fine fine", "the bad the bad the bad"]
    comments = pd.DataFrame({"split": ["train"] * 5 + ["test"], "text": texts})
    comments["joy"], comments["ire"] = [True, False, True, True, True, True], [False, True, False, True, False, True]
    config, tuning = BackboneConfig(name=str(encoder), head="words"), Tuning(examples=4, max_length=6, tokens_per_batch=64)
    found = embed_emotions(comments, ["joy", "ire"], config, tuning, "cpu")
    own, tokens = (
        transformers.BertModel.from_pretrained(encoder).eval(),
        transformers.AutoTokenizer.from_pretrained(encoder),
    )
    with torch.no_grad():
        each = [own(**tokens(t, return_tensors="pt", truncation=True, max_length=6)).last_hidden_state[0] for t in texts]
    each = [(hidden.mean(0) / hidden.mean(0).norm()).numpy() for hidden in each]
    for emotion, rows in (("joy", [0, 2]), ("ire", [1, 3])):  # half of four examples are of the emotion
        np.testing.assert_allclose(found.embedding.sel(emotion=emotion), np.mean([each[k] for k in rows], 0), atol=1e-5)
    assert found.comments.values.tolist() == [2, 2]
