"""The live engine against straightforward implementations written here from the protocol."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from emonb.analysis.masks import draw_masks
from emonb.data.goemotions import Task, draw_order, make_task
from emonb.errors import StudyError
from emonb.model import compute, reading, silencing, tuning
from emonb.model.backbone import Backbone, load_backbone
from emonb.model.compute import limit_threads
from emonb.settings import BackboneConfig, Tuning

WORDS = tuple(f"w{k}" for k in range(40)) + ("positive", "negative")
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
         "max_position_embeddings": 64, "initializer_range": 0.2}  # fmt: skip


def _backbone(offset: str = "paper", family: str = "roberta", **changes: object) -> Backbone:
    architecture = {**SMALL, "type_vocab_size": 1 if family == "roberta" else 2}
    fields = {"architecture": architecture, "vocabulary": WORDS, "position_offset": offset, "family": family, "seed": 3}
    return load_backbone(BackboneConfig(**{**fields, **changes}), "cpu", positions_needed=30)


def _texts(n: int = 60, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS[:40], rng.integers(2, 14))) for _ in range(n)]


def _plain(b: Backbone, prompt: torch.Tensor, ids: np.ndarray, keep=None, put=None):
    """One row, nothing shared: explicit concatenation, transformers' own full forward, full-vocabulary head."""
    words = b.model.get_input_embeddings()
    tokens = torch.from_numpy(ids)[None]
    embeds = torch.cat([words(torch.tensor([[b.tokenizer.mask_id]])), prompt[None], words(tokens)], 1)
    read, hooks = [], []

    def hook(k):
        def fn(module, inputs, output):
            if keep is not None:
                output = output * keep[k] + (0 if put is None else put[k])
            read.append(output)
            return output

        return fn

    for k, layer in enumerate(b.layers):
        hooks.append(layer.intermediate.register_forward_hook(hook(k)))
    positions = torch.arange(b.offset, b.offset + embeds.shape[1])[None]
    out = b.model(inputs_embeds=embeds, position_ids=positions, attention_mask=torch.ones(1, embeds.shape[1]))
    for h in hooks:
        h.remove()
    return out.logits[0, 0, list(b.verbalizer)], torch.stack(read, 1)[0]  # [2], [layers, T, F]


@pytest.mark.parametrize(("offset", "family"), [("paper", "roberta"), ("roberta", "roberta"), ("roberta", "bert")])
def test_logits_gradients_neurons_and_lesions_equal_the_plain_implementation(offset: str, family: str) -> None:
    b = _backbone(offset, family)
    assert b.offset == {("paper", "roberta"): 0, ("roberta", "roberta"): 2, ("roberta", "bert"): 0}[offset, family]
    ids = b.tokenizer.encode(_texts(5), 20)
    g = torch.Generator().manual_seed(0)
    prompt = torch.randn(5, 4, 32, generator=g).requires_grad_()
    keep = (torch.rand(5, 3, 48, generator=g) > 0.3).float()
    tokens = compute.pad(ids, b.tokenizer.pad_id, b.device)
    labels = torch.tensor([0, 1, 1, 0, 1])
    for kept in (None, keep):
        prompt.grad = None
        logits, neurons = b.forward(prompt, tokens, kept, read=True)
        F.cross_entropy(logits, labels, reduction="sum").backward()
        gradient = prompt.grad.clone()
        prompt.grad = None
        loss = 0.0
        for k in range(5):
            plain, read = _plain(b, prompt[k], ids[k], None if kept is None else keep[k])
            torch.testing.assert_close(logits[k], plain, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(neurons[k, :, 0], read[:, 0], atol=1e-5, rtol=1e-5)
            loss = loss + F.cross_entropy(plain[None], labels[k][None])
        loss.backward()
        torch.testing.assert_close(gradient, prompt.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_a_network_with_neurons_cut_out_equals_one_with_silent_neurons(family: str) -> None:
    b = _backbone(family=family)
    ids = b.tokenizer.encode(_texts(5), 20)
    g = torch.Generator().manual_seed(0)
    prompt, put = torch.randn(2, 4, 32, generator=g), torch.randn(2, 3, 48, generator=g)
    tokens, owner = compute.pad(ids, b.tokenizer.pad_id, b.device), torch.tensor([0, 1, 1, 0, 1])
    silenced = torch.rand(3, 48, generator=g) < torch.tensor([0.2, 0.0, 1.0])[:, None]  # some, none and all of a layer
    assert [int(row.sum()) for row in silenced][1:] == [0, 48]
    keep = (~silenced).float()
    for values in (None, put):
        logits, _ = b.forward(prompt[owner], tokens, left=b.cut(silenced, values), owner=owner)
        for k, p in enumerate(owner.tolist()):
            added = None if values is None else values[p, :, None] * (1 - keep)[:, None]
            plain, _ = _plain(b, prompt[p], ids[k], keep[:, None], added)
            torch.testing.assert_close(logits[k], plain, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="cannot be read or kept"):
        b.forward(prompt[owner], tokens, read=True, left=b.cut(silenced))


def test_bfloat16_stays_within_its_rounding_of_float32() -> None:
    exact, rough = _backbone(), _backbone(dtype="bfloat16")
    ids = exact.tokenizer.encode(_texts(24), 20)
    tokens = compute.pad(ids, exact.tokenizer.pad_id, exact.device)
    prompt = torch.randn(24, 4, 32, generator=torch.Generator().manual_seed(0))
    logits, gradient = [], []
    for b in (exact, rough):
        mine = prompt.clone().requires_grad_()
        found, _ = b.forward(mine, tokens)
        F.cross_entropy(found, torch.arange(24) % 2, reduction="sum").backward()
        logits.append(found.detach())
        gradient.append(mine.grad.flatten(1))
    assert float((logits[1] - logits[0]).square().mean().sqrt() / logits[0].std()) < 0.025
    assert float(F.cosine_similarity(*gradient).min()) > 0.998
    with torch.no_grad():  # the fused attention, which is used where no gradient is wanted
        fused, _ = rough.forward(prompt, tokens)
    rounding = 8 * torch.finfo(torch.bfloat16).eps  # some roundings in each of three layers, in a stream of size 1
    torch.testing.assert_close(fused, logits[1], atol=rounding, rtol=rounding)


def test_neurons_are_read_at_other_positions_too() -> None:
    b = _backbone()
    ids = b.tokenizer.encode(_texts(3), 20)
    prompt = torch.randn(3, 4, 32, generator=torch.Generator().manual_seed(1))
    tokens = compute.pad(ids, b.tokenizer.pad_id, b.device)
    _, neurons = b.forward(prompt, tokens, read=True, positions=(0, 2, 5))
    for k in range(3):
        torch.testing.assert_close(neurons[k], _plain(b, prompt[k], ids[k])[1][:, [0, 2, 5]], atol=1e-5, rtol=1e-5)


def _tasks(n: int, names: list[str], size: int = 20) -> dict[tuple[str, int], Task]:
    rng = np.random.default_rng(5)
    keys = [(name, seed) for seed in (1, 3) for name in names]
    return {key: Task(rng.integers(0, n, size + 3 * k), rng.random(size + 3 * k) > 0.5) for k, key in enumerate(keys)}


TUNING = Tuning(learning_rate=0.02, epochs=2, batch=8, max_length=16, tokens_per_batch=300, checkpoint_every=1)


def test_twenty_steps_equal_the_plain_sequential_loop() -> None:
    b, texts = _backbone(), _texts()
    task = {("joy", 1): Task(np.arange(80) % 60, np.arange(80) % 3 == 0)}
    plan = TUNING.model_copy(update={"epochs": 2})
    result = tuning.tune_prompts(b, texts, task, task, 4, plan, progress=False)
    prompt = torch.nn.Parameter(b.model.get_input_embeddings().weight[b.tokenizer.mask_id].expand(4, -1).clone())
    optimiser = torch.optim.AdamW([prompt], lr=0.02, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 - t / 20)
    ids = b.tokenizer.encode(texts, 16)
    accuracies, kept = [], []
    for epoch in range(2):
        order = draw_order(task["joy", 1], "joy", 1, epoch)
        for start in range(0, 80, 8):
            chosen = order[start : start + 8]
            rows, labels = task["joy", 1].rows[chosen], task["joy", 1].labels[chosen]
            logits = torch.stack([_plain(b, prompt, ids[r])[0] for r in rows])
            F.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64))).backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
        with torch.no_grad():
            logits = torch.stack([_plain(b, prompt, ids[r])[0] for r in task["joy", 1].rows])
        accuracies.append(float(((logits[:, 1] > logits[:, 0]).numpy() == task["joy", 1].labels).mean()))
        kept.append(prompt.detach().clone())
    best = int(np.argmax(accuracies))
    np.testing.assert_allclose(result.dev_accuracy.values.ravel(), accuracies, atol=1e-6)
    np.testing.assert_allclose(result.prompt.values[0, 0], kept[best].numpy(), atol=2e-4)


def test_a_prompt_ends_the_same_alone_and_in_company() -> None:
    b, texts = _backbone(), _texts()
    tasks = _tasks(60, [f"e{k}" for k in range(14)], 10)
    together = tuning.tune_prompts(b, texts, tasks, tasks, 3, TUNING, progress=False)
    for key in [("e0", 1), ("e5", 3), ("e13", 3)]:
        alone = tuning.tune_prompts(b, texts, {key: tasks[key]}, {key: tasks[key]}, 3, TUNING, progress=False)
        mine = together.sel(emotion=key[0], seed=key[1])
        np.testing.assert_allclose(alone.prompt.values[0, 0], mine.prompt.values, atol=2e-4)
        np.testing.assert_allclose(alone.train_loss.values[0, 0], mine.train_loss.values, atol=1e-4)


@pytest.mark.parametrize("when", ["forward", "backward"])
def test_tuning_goes_on_with_fewer_rows_when_memory_runs_out(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, tasks, whole_forward = _texts(), _tasks(60, ["a", "b", "c"], 12), Backbone.forward
    whole = tuning.tune_prompts(_backbone(), texts, tasks, tasks, 3, TUNING, progress=False)
    failed = []

    def fail(rows: int) -> None:
        if rows > 5:
            failed.append(rows)
            raise torch.cuda.OutOfMemoryError

    def forward(self, rows, *args, **kwargs):
        out = whole_forward(self, rows, *args, **kwargs)
        if torch.is_grad_enabled():
            if when == "forward":
                fail(len(rows))
            else:
                out[0].register_hook(lambda gradient: fail(len(gradient)))
        return out

    monkeypatch.setattr(Backbone, "forward", forward)
    halved = tuning.tune_prompts(_backbone(), texts, tasks, tasks, 3, TUNING, progress=False)
    assert failed
    np.testing.assert_allclose(halved.prompt.values, whole.prompt.values, atol=2e-4)
    np.testing.assert_allclose(halved.train_loss.values, whole.train_loss.values, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bits(threads: int) -> None:
    wide = {**SMALL, "hidden_size": 256, "type_vocab_size": 1}  # enough numbers for two threads to share a sum
    tasks, plan = _tasks(60, ["a", "b"], 32), TUNING.model_copy(update={"tokens_per_batch": 4_096})
    with limit_threads(threads):
        a, b = (
            tuning.tune_prompts(_backbone(architecture=wide), _texts(), tasks, tasks, 12, plan, progress=False)
            for _ in range(2)
        )
    assert a.identical(b)
    assert not torch.are_deterministic_algorithms_enabled()  # the caller's settings are left alone


KILLED = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
import test_engine as t
t.tuning.tqdm = t.slow_bar
tasks = t._tasks(60, ["a", "b", "c"], 24)
t.tuning.tune_prompts(t._backbone(), t._texts(), tasks, tasks, 3, t.TUNING, Path({path!r}), progress=False)
"""


class slow_bar:
    """A progress bar that takes its time, so that there is a moment to be killed in."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.__enter__ = lambda: self

    def __enter__(self):
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def update(self, n: int) -> None:
        time.sleep(0.25)

    def set_postfix_str(self, text: str) -> None:
        pass


def test_a_killed_tuning_resumes_and_ends_as_if_never_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "tuning.safetensors"
    code = textwrap.dedent(KILLED).format(tests=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", code])
    for _ in range(600):
        if path.is_file() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    tasks = _tasks(60, ["a", "b", "c"], 24)
    state = tuning._State(torch.zeros(3, 32), 6, 2)
    state.load(path)
    assert 0 < int(state.steps.max()) < 10
    resumed = tuning.tune_prompts(_backbone(), _texts(), tasks, tasks, 3, TUNING, path, progress=False)
    whole = tuning.tune_prompts(_backbone(), _texts(), tasks, tasks, 3, TUNING, progress=False)
    assert resumed.identical(whole)


def _prompts(b: Backbone, n: int = 3, seeds: int = 2) -> xr.DataArray:
    values = 0.3 * np.random.default_rng(2).normal(size=(seeds, n, 4, b.width)).astype(np.float32)
    return xr.DataArray(values, dims=("seed", "emotion", "position", "dimension"),
                        coords={"seed": [1, 3][:seeds], "emotion": [f"e{k}" for k in range(n)]})  # fmt: skip


def test_read_out_equals_single_passes() -> None:
    b = _backbone()
    p = _prompts(b)
    got = reading.read_prompts(b, p, rows_at_once=4)
    for s in p.seed.values:
        for e in p.emotion.values:
            one = torch.from_numpy(p.sel(seed=s, emotion=e).values)
            _, read = _plain(b, one, np.array([b.tokenizer.start_id]))
            np.testing.assert_allclose(got.sel(seed=s, emotion=e), read[:, 0].numpy(), atol=1e-5)
    texts, tasks = _texts(), {(f"e{k}", s): Task(np.array([k, k + 5, 20 + s]), np.array([True, False, True]))
                              for k in range(3) for s in (1, 3)}  # fmt: skip
    mean = reading.read_comments(b, p, texts, tasks, 16, 100)
    ids = b.tokenizer.encode(texts, 16)
    one = torch.from_numpy(p.sel(seed=3, emotion="e1").values)
    expected = torch.stack([_plain(b, one, ids[r])[1][:, 0] for r in tasks["e1", 3].rows]).mean(0)
    np.testing.assert_allclose(mean.sel(seed=3, emotion="e1"), expected.numpy(), atol=1e-5)


def _rank(layers: int = 3, neurons: int = 48) -> xr.DataArray:
    rng = np.random.default_rng(4)
    rank = np.stack([rng.permutation(layers * neurons) + 1.0 for _ in range(2)]).reshape(2, layers, neurons)
    coords = {"attribute": ["x", "y"], "layer": range(1, layers + 1), "neuron": range(neurons)}
    return xr.DataArray(rank, dims=("attribute", "layer", "neuron"), coords=coords)


@pytest.mark.parametrize("ablation", ["zero", "mean", "resample"])
def test_the_sweep_equals_one_mask_one_prompt_one_comment_at_a_time(ablation: str, tmp_path: Path) -> None:
    b, texts = _backbone(), _texts()
    p = _prompts(b)
    tasks = {(f"e{k}", s): Task(np.arange(k, k + 9), np.arange(9) % 2 == 0) for k in range(3) for s in (1, 3)}
    masks = draw_masks(_rank(), [60], ["random"], 2, 0)
    acts = reading.read_prompts(b, p)
    result = silencing.sweep_lesions(
        b, p, masks, texts, tasks, 16, 200, ablation, acts, 0, tmp_path / "s", 4, progress=False
    )
    ids = b.tokenizer.encode(texts, 16)
    values = acts.values.reshape(6, 3, 48)
    shift = np.random.default_rng(0).integers(1, 6, size=6)
    put = {
        "zero": None,
        "mean": np.broadcast_to(values.mean(0), values.shape),
        "resample": values[(np.arange(6) + shift) % 6],
    }
    for m, e, s in [(0, 1, 3), (2, 0, 1), (5, 2, 3)]:
        n = [1, 3].index(s) * 3 + e
        task, keep = tasks[f"e{e}", s], torch.from_numpy(~masks.values[m]).float()[:, None]
        extra = None if put[ablation] is None else torch.from_numpy(put[ablation][n].copy())[:, None] * (1 - keep)
        one = torch.from_numpy(p.values.reshape(6, 4, -1)[n])
        logits = torch.stack([_plain(b, one, ids[r], keep, extra)[0] for r in task.rows])
        margin = (logits[:, 1] - logits[:, 0]).detach().numpy()
        assert float(result.accuracy.sel(emotion=f"e{e}", seed=s)[m]) == pytest.approx(((margin > 0) == task.labels).mean())
        assert float(result.auc.sel(emotion=f"e{e}", seed=s)[m]) == pytest.approx(
            roc_auc_score(task.labels, margin), abs=1e-6
        )


def test_a_sweep_resumes_without_repeating_finished_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b, texts = _backbone(), _texts()
    p = _prompts(b)
    tasks = {(f"e{k}", s): Task(np.arange(k, k + 6), np.arange(6) % 2 == 0) for k in range(3) for s in (1, 3)}
    masks = draw_masks(_rank(), [60], ["random"], 3, 0)
    arguments = (b, p, masks, texts, tasks, 16, 200)
    whole = silencing.sweep_lesions(*arguments, folder=tmp_path / "a", group=2, progress=False)
    run, calls = silencing._Work.run, []

    def interrupted(self, silenced, put):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self, silenced, put)

    monkeypatch.setattr(silencing._Work, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        silencing.sweep_lesions(*arguments, folder=tmp_path / "b", group=2, progress=False)
    resumed = silencing.sweep_lesions(*arguments, folder=tmp_path / "b", group=2, progress=False)
    assert resumed.identical(whole)
    assert len(calls) == 3 + 2 + 1  # two groups that were left, and the intact network


def test_memory_that_runs_out_halves_the_rows_and_every_row_is_done_once() -> None:
    done: list[int] = []

    def step(rows: np.ndarray) -> None:
        if len(rows) > 3:
            raise torch.cuda.OutOfMemoryError
        done.extend(rows.tolist())

    halved: list[int] = []
    compute.run_halving(np.arange(20), step, halved.append)
    assert done == list(range(20))
    assert halved
    with pytest.raises(compute.OutOfMemoryError, match="one row does not fit"):
        compute.run_halving(np.arange(2), lambda rows: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 10), st.integers(10, 200))
def test_length_buckets_cover_every_row_once_within_the_budget(lengths: list[int], extra: int, budget: int) -> None:
    lengths = np.array(lengths)
    groups = list(compute.split_by_length(lengths, extra, budget))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * (lengths[group].max() + extra) <= budget


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verbalizer": ("negative", "w1 w2")}, "'w1 w2' is not one token"),
        ({"architecture": {**SMALL, "max_position_embeddings": 20}}, "take up to 30 positions from 0; the model has 20"),
        ({"family": "gpt"}, "unknown family 'gpt'"),
        ({"architecture": None, "name": "/nowhere/at/all"}, "cannot be loaded"),
    ],
)
def test_unsuitable_backbones_are_refused_before_any_work(changes: dict, words: str) -> None:
    with pytest.raises(StudyError) as error:
        _backbone(**changes)
    assert words in str(error.value)


def test_threads_are_limited_inside_a_block_only() -> None:
    before = torch.get_num_threads()
    with limit_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with limit_threads(None):
        assert torch.get_num_threads() == before


def test_devices_are_checked() -> None:
    with pytest.raises(StudyError, match="unknown device"):
        load_backbone(BackboneConfig(architecture=SMALL, vocabulary=WORDS), "toaster")
    if not torch.cuda.is_available():
        with pytest.raises(StudyError, match="finds no GPU"):
            load_backbone(BackboneConfig(architecture=SMALL, vocabulary=WORDS), "cuda")


def test_a_local_folder_and_a_model_without_ffn_intermediates(tmp_path: Path) -> None:
    import transformers

    made = _backbone()
    made.model.save_pretrained(tmp_path / "m")
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *WORDS]
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    fast = Tokenizer(models.WordLevel({w: k for k, w in enumerate(names)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>"
    ).save_pretrained(tmp_path / "m")
    loaded = load_backbone(BackboneConfig(name=str(tmp_path / "m")), "cpu", 30)
    text = _texts(2)
    ids = loaded.tokenizer.encode(text, 20)
    for a, b in zip(ids, made.tokenizer.encode(text, 20), strict=True):
        np.testing.assert_array_equal(a, b)
    prompt = torch.zeros(2, 4, 32)
    tokens = compute.pad(ids, 1, loaded.device)
    torch.testing.assert_close(loaded.forward(prompt, tokens)[0], made.forward(prompt, tokens)[0])
    distil = transformers.DistilBertConfig(vocab_size=len(names), dim=32, n_layers=1, n_heads=2, hidden_dim=32)
    transformers.DistilBertForMaskedLM(distil).save_pretrained(tmp_path / "d")
    for file in (tmp_path / "m").glob("tokenizer*"):
        (tmp_path / "d" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StudyError, match="no FFN intermediates"):
        load_backbone(BackboneConfig(name=str(tmp_path / "d")), "cpu", 30)


def test_tasks_are_drawn_as_documented() -> None:
    comments = pd.DataFrame({"split": ["train"] * 30 + ["dev"] * 10, "text": "x", "joy": [k % 5 == 0 for k in range(40)]})
    paper = make_task(comments, "joy", 7, "train")
    np.testing.assert_array_equal(paper.rows[:6], [0, 5, 10, 15, 20, 25])
    np.testing.assert_array_equal(paper.rows[6:], np.random.RandomState(7).choice(np.arange(30), 6))
    np.testing.assert_array_equal(paper.labels, comments["joy"].to_numpy()[paper.rows])
    true = make_task(comments, "joy", 7, "dev", "true")
    assert set(true.rows) <= set(range(30, 40))
    assert true.labels.sum() == 2
    assert not true.labels[2:].any()
    assert len(set(true.rows.tolist())) == 4
    assert len(make_task(comments, "joy", 7, "train", examples=5).rows) == 5
    order = draw_order(paper, "joy", 7, 0)
    assert sorted(order.tolist()) == list(range(12))
    assert (order != draw_order(paper, "joy", 7, 1)).any()
    assert (order != draw_order(paper, "love", 7, 0)).any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_area_under_the_curve_equals_sklearn(pairs: list[tuple[int, bool]]) -> None:
    margin, labels = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    got = silencing.area_under_curve(margin[None], labels)[0]
    if labels.all() or not labels.any():
        assert got == 0.5
    else:
        assert got == pytest.approx(roc_auc_score(labels, margin))
