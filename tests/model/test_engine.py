"""The live engine against straightforward implementations written here from the protocol."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import torch.nn.functional as F
import transformers
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from emonb.analysis.masks import draw_masks
from emonb.data import weights
from emonb.data.comments import Task, draw_order, make_task
from emonb.errors import LabelError, StudyError
from emonb.model import batches, reading, silencing, tuning
from emonb.model.backbone import Backbone, find_attention, open_backbone
from emonb.model.batches import limit_threads
from emonb.run.parts import Parts
from emonb.study import BackboneConfig, Tuning
from emonb.units import InTurn, name_groups

WORDS = tuple(f"w{k}" for k in range(40)) + ("positive", "negative")
FOLDERS = Path(tempfile.mkdtemp(prefix="emonb-tests-"))
atexit.register(shutil.rmtree, FOLDERS)


@cache
def _folder(family: str = "roberta", **shape: int) -> Path:
    return tiny.save_model(FOLDERS / f"{family}-{'-'.join(map(str, shape.values()))}", WORDS, family, **shape)


def _open(folder: Path, device: str = "cpu", layers: int = 3, neurons: int = 48, **changes: object) -> Backbone:
    return open_backbone(BackboneConfig(name=str(folder), **changes), layers, neurons, 30, device)


def _backbone(offset: str = "paper", family: str = "roberta", **changes: object) -> Backbone:
    return _open(_folder(family), position_offset=offset, **changes)


def _rows(b: Backbone, tasks: dict[tuple[str, int], Task], p: xr.DataArray) -> batches.Rows:
    return batches.Rows([tasks[key] for key in reading.prompt_keys(p)], _texts(), b.tokenizer, 16)


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


OFFSETS = {("paper", "roberta"): 0, ("roberta", "roberta"): 2, ("roberta", "bert"): 0, ("paper", "mpnet"): 0,
           ("roberta", "mpnet"): 2}  # fmt: skip


@pytest.mark.parametrize("way", ["float32", "float64", "float64, nothing asked"])
@pytest.mark.parametrize(("offset", "family"), OFFSETS)
def test_logits_gradients_neurons_and_lesions_equal_the_plain_implementation(offset: str, family: str, way: str) -> None:
    b = _backbone(offset, family, dtype=way.partition(",")[0])
    for layer in b.layers if "," in way else []:
        for asked in find_attention(layer).query.parameters():
            asked.zero_()
    near = {"atol": 1e-5, "rtol": 1e-4} if way == "float32" else {"atol": 1e-12, "rtol": 1e-11}
    assert b.offset == OFFSETS[offset, family]
    ids = b.tokenizer.encode(_texts(5), 20)
    g = torch.Generator().manual_seed(0)
    prompt = torch.randn(5, 4, 32, generator=g).to(b.dtype).requires_grad_()
    keep = (torch.rand(5, 3, 48, generator=g) > 0.3).to(b.dtype)
    tokens = batches.pad(ids, b.tokenizer.pad_id, b.device)
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
            torch.testing.assert_close(logits[k], plain, **near)
            torch.testing.assert_close(neurons[k], read[:, 0], **near)
            loss = loss + F.cross_entropy(plain[None], labels[k][None])
        loss.backward()
        torch.testing.assert_close(gradient, prompt.grad, **near)


@pytest.mark.parametrize("family", ["roberta", "bert", "mpnet"])
def test_a_network_with_neurons_cut_out_equals_one_with_silent_neurons(family: str) -> None:
    b = _backbone(family=family)
    ids = b.tokenizer.encode(_texts(5), 20)
    g = torch.Generator().manual_seed(0)
    prompt, put = torch.randn(2, 4, 32, generator=g), torch.randn(2, 3, 48, generator=g)
    tokens, mine = batches.pad(ids, b.tokenizer.pad_id, b.device), torch.tensor([0, 1, 1, 0, 1])
    silenced = torch.rand(3, 48, generator=g) < torch.tensor([0.2, 0.0, 1.0])[:, None]  # some, none and all of a layer
    assert [int(row.sum()) for row in silenced][1:] == [0, 48]
    keep = (~silenced).float()
    for values in (None, put):
        logits, _ = b.forward(prompt[mine], tokens, lesion=b.cut(silenced, values), prompt_of_row=mine)
        for k, p in enumerate(mine.tolist()):
            added = None if values is None else values[p, :, None] * (1 - keep)[:, None]
            plain, _ = _plain(b, prompt[p], ids[k], keep[:, None], added)
            torch.testing.assert_close(logits[k], plain, atol=1e-5, rtol=1e-5)
    for dose in (0.5, 2.0):
        scaled, _ = b.forward(prompt[mine], tokens, lesion=b.scale(silenced, dose))
        factors = torch.where(silenced, dose, 1.0)[None]
        torch.testing.assert_close(scaled, b.forward(prompt[mine], tokens, factors)[0], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(scaled, b.forward(prompt[mine], tokens)[0], atol=1e-3)
    with pytest.raises(ValueError, match="cannot be read or multiplied"):
        b.forward(prompt[mine], tokens, read=True, lesion=b.cut(silenced))


@pytest.mark.parametrize("family", ["roberta", "mpnet"])
def test_bfloat16_stays_within_its_rounding_of_float32(family: str) -> None:
    exact, rough = _backbone(family=family), _backbone(family=family, dtype="bfloat16")
    ids = exact.tokenizer.encode(_texts(24), 20)
    tokens = batches.pad(ids, exact.tokenizer.pad_id, exact.device)
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


def _tasks(n: int, names: list[str], size: int = 20) -> dict[tuple[str, int], Task]:
    rng = np.random.default_rng(5)
    keys = [(name, seed) for seed in (1, 3) for name in names]
    return {key: Task(rng.integers(0, n, size + 3 * k), rng.random(size + 3 * k) > 0.5) for k, key in enumerate(keys)}


TUNING = Tuning(learning_rate=0.02, epochs=2, batch=8, max_length=16, tokens_per_batch=300, checkpoint_every=1)


def test_twenty_steps_equal_the_plain_sequential_loop() -> None:
    b, texts = _backbone(), _texts()
    task = {("joy", 1): Task(np.arange(80) % 60, np.arange(80) % 3 == 0)}
    plan = TUNING.model_copy(update={"epochs": 2})
    result = tuning.tune_tasks(b, texts, task, task, 4, plan, progress=False)
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
    together = tuning.tune_tasks(b, texts, tasks, tasks, 3, TUNING, progress=False)
    for key in [("e0", 1), ("e5", 3), ("e13", 3)]:
        alone = tuning.tune_tasks(b, texts, {key: tasks[key]}, {key: tasks[key]}, 3, TUNING, progress=False)
        mine = together.sel(emotion=key[0], seed=key[1])
        np.testing.assert_allclose(alone.prompt.values[0, 0], mine.prompt.values, atol=2e-4)
        np.testing.assert_allclose(alone.train_loss.values[0, 0], mine.train_loss.values, atol=1e-4)


@pytest.mark.parametrize("when", ["forward", "backward"])
def test_tuning_goes_on_with_fewer_rows_when_memory_runs_out(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, tasks, whole_forward = _texts(), _tasks(60, ["a", "b", "c"], 12), Backbone.forward
    whole = tuning.tune_tasks(_backbone(), texts, tasks, tasks, 3, TUNING, progress=False)
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
    halved = tuning.tune_tasks(_backbone(), texts, tasks, tasks, 3, TUNING, progress=False)
    assert failed
    np.testing.assert_allclose(halved.prompt.values, whole.prompt.values, atol=2e-4)
    np.testing.assert_allclose(halved.train_loss.values, whole.train_loss.values, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bits(threads: int) -> None:
    wide = _folder(hidden_size=256)  # enough numbers for two threads to share a sum
    tasks, plan = _tasks(60, ["a", "b"], 32), TUNING.model_copy(update={"tokens_per_batch": 4_096})
    with limit_threads(threads):
        a, b = (tuning.tune_tasks(_open(wide), _texts(), tasks, tasks, 12, plan, progress=False) for _ in range(2))
    assert a.identical(b)
    assert not torch.are_deterministic_algorithms_enabled()  # the caller's settings are left alone


KILLED = """
import sys; sys.path[:0] = [{tests!r}, {tests!r} + "/.."]
from pathlib import Path
import test_engine as t
t.tuning.tqdm = t.slow_bar
tasks = t._tasks(60, ["a", "b", "c"], 24)
with t.limit_threads(1):
    t.tuning.tune_tasks(t._backbone(), t._texts(), tasks, tasks, 3, t.TUNING, Path({path!r}), progress=False)
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
    arguments = (_backbone(), _texts(), tasks, tasks, 3, TUNING)
    with limit_threads(1):  # rounding depends on it
        assert 0 < int(batches.load_unfinished(path, batches.describe(torch.device("cpu")))["steps"].max()) < 10
        resumed = tuning.tune_tasks(*arguments, path, progress=False)
        whole = tuning.tune_tasks(*arguments, progress=False)
        assert resumed.identical(whole)
        path.write_bytes(path.read_bytes()[:1000])
        assert tuning.tune_tasks(*arguments, path, progress=False).identical(whole)  # a damaged checkpoint is of no use


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
    mean = reading.read_comments(b, p, _rows(b, tasks, p), 100)
    ids = b.tokenizer.encode(texts, 16)
    one = torch.from_numpy(p.sel(seed=3, emotion="e1").values)
    expected = torch.stack([_plain(b, one, ids[r])[1][:, 0] for r in tasks["e1", 3].rows]).mean(0)
    np.testing.assert_allclose(mean.sel(seed=3, emotion="e1"), expected.numpy(), atol=1e-5)


def _rank(layers: int = 3, neurons: int = 48) -> xr.DataArray:
    rng = np.random.default_rng(4)
    rank = np.stack([rng.permutation(layers * neurons) + 1.0 for _ in range(2)]).reshape(2, layers, neurons)
    coords = {"attribute": ["x", "y"], "layer": range(1, layers + 1), "neuron": range(neurons)}
    return xr.DataArray(rank, dims=("attribute", "layer", "neuron"), coords=coords)


def _sweep(b, p, masks, rows, replacement=None, work=None, group=4):
    made = silencing.Sweep(b, p, masks, rows, batches.Budget(200), replacement)
    parts = (work or InTurn()).each(name_groups(masks.sizes["mask"], group), lambda: made.make)
    return silencing.label_sweep(parts, p, masks)


@pytest.mark.parametrize("ablation", ["zero", "mean", "resample"])
def test_the_sweep_equals_one_mask_one_prompt_one_comment_at_a_time(ablation: str) -> None:
    b, texts = _backbone(), _texts()
    p = _prompts(b)
    tasks = {(f"e{k}", s): Task(np.arange(k, k + 9), np.arange(9) % 2 == 0) for k in range(3) for s in (1, 3)}
    masks = draw_masks(_rank(), [60], ["random"], 2, 0)
    acts = reading.read_prompts(b, p)
    replacement = None if ablation == "zero" else silencing.draw_replacement(ablation, acts, 0)
    result = _sweep(b, p, masks, _rows(b, tasks, p), replacement)
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
    b = _backbone()
    p = _prompts(b)
    tasks = {(f"e{k}", s): Task(np.arange(k, k + 6), np.arange(6) % 2 == 0) for k in range(3) for s in (1, 3)}
    masks = draw_masks(_rank(), [60], ["random"], 3, 0)
    arguments = (b, p, masks, _rows(b, tasks, p))
    whole = _sweep(*arguments, group=2)
    run, calls = silencing.Sweep.run, []

    def interrupted(self, group):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self, group)

    monkeypatch.setattr(silencing.Sweep, "run", interrupted)
    parts = Parts("lesions", list(name_groups(8, 2)), {"key": "k"}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _sweep(*arguments, work=parts, group=2)
    resumed = _sweep(*arguments, work=parts, group=2)
    assert resumed.identical(whole)
    assert len(calls) == 3 + 3  # the network without a mask and four groups, of which three were left


def test_a_checkpoint_of_another_device_is_not_gone_on_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    about = batches.describe(torch.device("cpu"))
    save_file({"steps": torch.ones(3)}, tmp_path / "x", about)
    assert set(batches.load_unfinished(tmp_path / "x", about)) == {"steps"}
    assert batches.load_unfinished(tmp_path / "x", about | {"processor": "another"}) is None
    assert "begun in another way" in caplog.text


def test_memory_that_runs_out_halves_the_rows_and_every_row_is_done_once() -> None:
    done: list[int] = []

    def step(rows: np.ndarray) -> None:
        if len(rows) > 3:
            raise torch.cuda.OutOfMemoryError
        done.extend(rows.tolist())

    halved: list[int] = []
    batches.run_halving(np.arange(20), step, halved.append)
    assert done == list(range(20))
    assert halved
    with pytest.raises(batches.OutOfMemoryError, match="one row does not fit"):
        batches.run_halving(np.arange(2), lambda rows: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 10), st.integers(10, 200))
def test_length_buckets_cover_every_row_once_within_the_budget(lengths: list[int], extra: int, budget: int) -> None:
    lengths = np.array(lengths)
    groups = list(batches.split_by_length(lengths, extra, budget))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * (lengths[group].max() + extra) <= budget


@pytest.mark.parametrize(
    ("shape", "changes", "words"),
    [
        ({}, {"verbalizer": ("negative", "w1 w2")}, "'w1 w2' is not a word and one token"),
        ({"max_position_embeddings": 20}, {}, "take up to 30 positions from 0; the model has 20"),
        ({}, {"neurons": 12}, "3 layers of 48 FFN neurons, the study declares 3 of 12"),
        ({}, {"device": "toaster"}, "unknown device 'toaster'"),
    ],
)
def test_unsuitable_backbones_are_refused_before_any_work(shape: dict, changes: dict, words: str) -> None:
    with pytest.raises((StudyError, LabelError)) as error:
        _open(_folder(**shape), **changes)
    assert words in str(error.value)


def _copy(folder: Path, to: Path, **config: object) -> Path:
    """A model's folder with a doctored configuration."""
    shutil.copytree(folder, to)
    fields = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**fields, **config}))
    return to


def _save_other(make_config: type, make_model: type, folder: Path, **shape: object) -> Path:
    """Save another kind of network, as `transformers` makes it, with the tokenizer of plain words."""
    ids = tiny.save_tokenizer(WORDS, folder)
    fields = {**tiny.SHAPE, "vocab_size": len(ids), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, **shape}
    make_model(make_config(**fields)).save_pretrained(folder)
    return folder


def test_networks_that_compute_something_else_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    causal = _copy(_folder("bert"), tmp_path / "causal", is_decoder=True)  # the same modules, names and weights
    with pytest.raises(StudyError, match="BertForMaskedLM computes something else than is run here"):
        _open(causal)
    longformer = _save_other(
        transformers.LongformerConfig, transformers.LongformerForMaskedLM, tmp_path / "longformer", attention_window=16
    )
    with pytest.raises(StudyError, match="LongformerForMaskedLM computes something else"):  # on inputs longer than 16
        _open(longformer)
    deberta = _save_other(transformers.DebertaV2Config, transformers.DebertaV2ForMaskedLM, tmp_path / "deberta")
    with pytest.raises(StudyError, match=r"cannot be run here .*: give a RoBERTa-, BERT- or MPNet-like masked LM"):
        _open(deberta)
    shape = {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    distil = _save_other(transformers.DistilBertConfig, transformers.DistilBertForMaskedLM, tmp_path / "distil", **shape)
    with pytest.raises(StudyError, match="no FFN intermediates"):
        _open(distil)


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_checkpoints_without_a_language_model_head_are_refused(family: str, tmp_path: Path) -> None:
    kind = {"roberta": transformers.RobertaForSequenceClassification, "bert": transformers.BertModel}[family]
    shutil.copytree(_folder(family), tmp_path / "m")
    kind.from_pretrained(_folder(family)).save_pretrained(tmp_path / "m")
    head = {"roberta": "lm_head.", "bert": "cls.predictions."}[family]
    with pytest.raises(StudyError, match=rf"lacks weights that a masked language model has: {head}.*drawn anew"):
        _open(tmp_path / "m")
    _open(tmp_path / "m", untrained=True)  # all weights are drawn, from a seed


def test_a_tokenizer_with_more_words_than_the_model_is_refused(tmp_path: Path) -> None:
    shutil.copytree(_folder(), tmp_path / "m")
    tiny.save_tokenizer((*WORDS, "one", "more"), tmp_path / "m")
    with pytest.raises(StudyError, match="has ids up to 48, the model embeds 47: they do not belong together"):
        _open(tmp_path / "m")


def test_untrained_weights_have_the_same_shape_and_another_seed_other_numbers() -> None:
    trained, *others = _backbone(), *(_backbone(untrained=True, seed=seed) for seed in (1, 1, 2))
    weights = [b.layers[0].intermediate.dense.weight for b in (trained, *others)]
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[3])


def test_a_fingerprint_is_of_what_is_in_a_folder_and_of_a_hubs_commit(tmp_path: Path, monkeypatch) -> None:
    def fingerprint(**fields: str) -> str:
        return weights.fingerprint(BackboneConfig(**fields))

    first = fingerprint(name=str(shutil.copytree(_folder(), tmp_path / "m")))
    assert fingerprint(name=f"local:{shutil.copytree(tmp_path / 'm', tmp_path / 'n')}") == first  # wherever it lies
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        before = (tmp_path / "m" / file).read_bytes()
        (tmp_path / "m" / file).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert fingerprint(name=str(tmp_path / "m")) != first, file
        (tmp_path / "m" / file).write_bytes(before)
    assert fingerprint(name=str(tmp_path / "m")) == first
    commits = {"main": "1" * 40, "old": "2" * 40}
    refs = tmp_path / "hub" / "models--some--model" / "refs"
    refs.mkdir(parents=True)
    for branch, commit in commits.items():
        (refs / branch).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fingerprint(name="some/model") == commits["main"]
    assert fingerprint(name="some/model", revision="old") == commits["old"]
    assert fingerprint(name="other/model", revision="3" * 40) == "3" * 40
    with pytest.raises(
        StudyError,
        match=r"no folder 'other/model' .*commit of 'other/model' \(main\) is not in.*give backbone.revision",
    ):
        fingerprint(name="other/model")
    with pytest.raises(StudyError, match="folder /nowhere/at/all does not exist"):
        fingerprint(name="/nowhere/at/all")


def test_threads_are_limited_inside_a_block_only() -> None:
    before = torch.get_num_threads()
    with limit_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with limit_threads(None):
        assert torch.get_num_threads() == before


def test_a_gpu_that_is_not_there_is_named_and_another_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert batches.pick_device("auto").type == "cuda" and batches.pick_device("cuda:1").index == 1
    with pytest.raises(StudyError, match=r"'cuda:2' was asked for, but PyTorch finds 2"):
        batches.pick_device("cuda:2")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(StudyError, match="finds no GPU"):
        _backbone(device="cuda")


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
