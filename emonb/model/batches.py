"""Comments as token ids, batched within memory; where PyTorch computes, with how many threads, and repeatably."""

import contextlib
import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from emonb.data.comments import Task
from emonb.errors import EmonbError, StudyError


def multiplies_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16, and PyTorch and oneDNN may let it do so."""
    vectors = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    products: bool = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return vectors and products and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Tokenizer:
    """A tokenizer of `transformers` with mask, start and pad tokens; StudyError where one of these is missing."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._vocabulary = tokenizer, tokenizer.get_vocab()
        self._encoded: dict[int, dict[str, np.ndarray]] = {}
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
        if None in (tokenizer.mask_token_id, start, tokenizer.pad_token_id):
            raise StudyError("the tokenizer has no mask, start or pad token: give a masked language model")
        self.mask_id, self.start_id, self.pad_id = tokenizer.mask_token_id, start, tokenizer.pad_token_id

    @property
    def largest_id(self) -> int:
        """The largest id of the vocabulary."""
        return int(max(self._vocabulary.values()))

    def encode(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """Token ids of each text with start and end tokens, cut to ``max_length``; each text is encoded once."""
        known = self._encoded.setdefault(max_length, {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        rows = self._tokenizer(new, truncation=True, max_length=max_length)["input_ids"] if new else []
        known |= {text: np.array(row, np.int64) for text, row in zip(new, rows, strict=True)}
        return [known[text] for text in texts]

    def token_id(self, word: str) -> int | None:
        """Id of a word that is exactly one token of the vocabulary, and no sign of the tokenizer's own, else None."""
        found: int | None = self._vocabulary.get(word)
        return None if found in self._tokenizer.all_special_ids else found

    def common_words(self, n: int) -> list[int]:
        """Ids of the first ``n`` whole words, as vocabularies are sorted by frequency: no word pieces, signs, letters."""
        spaced = any(token.startswith("\u0120") for token in self._vocabulary)  # a space, in byte-pair vocabularies
        words = [(k, token[spaced:]) for token, k in self._vocabulary.items() if spaced <= token.startswith("\u0120")]
        return [k for k, word in sorted(words) if word.isascii() and word.isalpha() and len(word) > 1][:n]


def pick_device(device: str) -> torch.device:
    """Resolve ``auto`` (a GPU if there is one); StudyError for an unknown device, or a GPU that PyTorch does not find."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise StudyError(f"unknown device '{device}'; use auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise StudyError("device 'cuda' was asked for, but PyTorch finds no GPU; use device=cpu or device=auto")
    if chosen.type == "cuda" and (chosen.index or 0) >= (n := torch.cuda.device_count()):
        raise StudyError(f"device '{device}' was asked for, but PyTorch finds {n} (cuda:0 is the first); use device=auto")
    return chosen


@contextlib.contextmanager
def limit_threads(n: int | None) -> Iterator[None]:
    """Let PyTorch use this many CPU threads inside the block (None: as many as it likes); rounding depends on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Same seed, same machine: same bits. Inside the block PyTorch takes no algorithm that adds in an order left to chance.

    Prompts' gradients are sums over rows, which several threads (or a GPU) would otherwise add as they come.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to promise the same
    settings: Any = torch.utils.deterministic  # its type stub names nothing
    before, filled = torch.get_deterministic_debug_mode(), settings.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports the compiler, for a second
    settings.fill_uninitialized_memory = False  # nothing here reads what was never written
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        settings.fill_uninitialized_memory = filled


def describe(device: torch.device, budget: "Budget | None" = None, dtype: torch.dtype | None = None) -> dict[str, str]:
    """What must be the same for the same bits: device, its name, PyTorch, CPU threads, positions in a batch.

    In float64 (:mod:`emonb.model.grid`) neither a device's name nor its threads.
    """
    about = {"device": device.type, "torch": str(torch.__version__)}
    if dtype == torch.float64:
        pass
    elif device.type == "cuda":
        about["processor"] = torch.cuda.get_device_name(device)
    else:
        about["processor"] = f"{name_cpu()}, {torch.backends.cpu.get_cpu_capability()}"
        about["threads"] = str(torch.get_num_threads())
    return about if budget is None else about | {"budget": str(budget.positions), "halved": str(int(budget.halved))}


def name_cpu() -> str:
    """Model of the CPU, by which libraries choose their kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load_unfinished(path: Path | None, about: dict[str, str]) -> dict[str, torch.Tensor] | None:
    """Tensors of an unfinished piece of work.

    None if there is none, if its file is damaged, or if it was begun in another way (device, PyTorch, threads, as in
    :func:`describe`), whose rounding would mix with this one's: it is done anew.
    """
    if path is None or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            begun, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        logging.getLogger("emonb").warning("%s cannot be read (%s); this part is done anew", path, error)
        return None
    if begun != about:
        logging.getLogger("emonb").warning("%s was begun in another way (%s); this part is done anew", path, begun)
        return None
    return tensors


class OutOfMemoryError(EmonbError):
    """The device has too little memory even for a single row, or for a batch that must not be halved."""


class Budget:
    """Positions that may go through the model at once; less once memory has run out, so that it runs out only once.

    Smaller batches add in another order, and the bits differ: where they must not, ``halve`` is false.
    """

    def __init__(self, positions: int, halve: bool = True) -> None:
        self.positions, self.halve, self.halved = positions, halve, False

    def shrink(self, rows: int, longest: int) -> None:
        """Allow no more than so many rows of so many positions; OutOfMemoryError where batches must not be halved."""
        if not self.halve:
            raise OutOfMemoryError("memory ran out, and batches must not be halved")
        self.positions, self.halved = max(64, min(self.positions, rows * longest)), True


class Rows:
    """All comments of the tasks of many prompts, one row each, every comment encoded once.

    ``tasks``: one a prompt, which point to ``texts`` by position; ``max_length``: tokens of a comment, start and end too.

    Attributes
    ----------
    prompt : array of int, shape (n_rows,)
        Position of the row's prompt; rows of a prompt follow each other.
    label : array of bool, shape (n_rows,)
    length : array of int, shape (n_rows,)
        Tokens of the comment.
    comment : array of int, shape (n_rows,)
        Number of the comment among those that differ.
    first : array of int, shape (n_prompts,)
        First row of each prompt.
    """

    def __init__(self, tasks: Sequence[Task], texts: Sequence[str], tokenizer: Tokenizer, max_length: int) -> None:
        sizes = [len(task.rows) for task in tasks]
        self.prompt = np.repeat(np.arange(len(tasks)), sizes)
        self.first = np.cumsum([0, *sizes[:-1]])
        self.label = np.concatenate([task.labels for task in tasks])
        used, place = np.unique(np.concatenate([task.rows for task in tasks]), return_inverse=True)
        encoded = tokenizer.encode([texts[k] for k in used], max_length)
        self._tokens, self._pad_id = [encoded[k] for k in place], tokenizer.pad_id
        self.comment = place
        self.length = np.array([len(ids) for ids in self._tokens])

    def __len__(self) -> int:
        return len(self.prompt)

    def tokens(self, rows: np.ndarray, device: torch.device) -> torch.Tensor:
        """Token ids of some rows, [n, longest], padded at the end."""
        return pad([self._tokens[row] for row in rows], self._pad_id, device)

    def batches(self, rows: np.ndarray, extra: int, budget: int) -> Iterator[np.ndarray]:
        """Some rows in groups of similar length, each within the budget; see :func:`split_by_length`."""
        return (rows[group] for group in split_by_length(self.length[rows], extra, budget))


def pad(rows: Sequence[np.ndarray], pad_id: int, device: torch.device) -> torch.Tensor:
    """Stack token ids [n_rows, longest], padded at the end.

    >>> pad([np.array([0, 7, 2]), np.array([0, 2])], 1, torch.device("cpu")).tolist()
    [[0, 7, 2], [0, 2, 1]]
    """
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), pad_id, np.int64)
    for k, row in enumerate(rows):
        out[k, : len(row)] = row
    return torch.from_numpy(out).to(device)


def split_by_length(lengths: np.ndarray, extra: int, budget: int) -> Iterator[np.ndarray]:
    """Groups of positions of similar length; rows * (longest + extra) stays within the budget (at least one row).

    ``lengths`` (n_rows,): tokens of each row; ``extra``: positions every row has besides (`<mask>` and prompt);
    ``budget``: positions that may go through the model at once.

    >>> [group.tolist() for group in split_by_length(np.array([9, 3, 4, 3]), extra=2, budget=18)]
    [[1, 3, 2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * (int(lengths[order[end]]) + extra) <= budget:
            end += 1
        yield order[start:end]
        start = end


def run_halving(
    rows: np.ndarray, step: Callable[[np.ndarray], None], on_halved: Callable[[int], None] = lambda n: None
) -> None:
    """Run a step on rows; when the device runs out of memory, halve the rows and go on.

    ``step`` must not keep anything of a call that failed.
    """
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        try:
            step(part)
            continue
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
        if len(part) == 1:
            raise OutOfMemoryError("one row does not fit the device's memory; use a smaller model or device=cpu")
        on_halved(len(part) // 2)
        middle = len(part) // 2
        waiting += [part[middle:], part[:middle]]
