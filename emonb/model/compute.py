"""Where PyTorch computes, with how many threads, and that it gives the same bits every time."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from emonb.errors import StudyError


def pick_device(device: str) -> torch.device:
    """Resolve ``auto`` (a GPU if there is one) and check that the device is there.

    Raises
    ------
    StudyError
        An unknown device, or a GPU that PyTorch does not find.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise StudyError(f"unknown device '{device}'; use auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise StudyError("device 'cuda' was asked for, but PyTorch finds no GPU; use device=cpu or device=auto")
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
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = False  # nothing here reads what was never written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        settings.fill_uninitialized_memory = filled


class OutOfMemoryError(RuntimeError):
    """The device has too little memory even for a single row."""


class Budget:
    """Positions that may go through the model at once; less once memory has run out, so that it runs out only once."""

    def __init__(self, positions: int) -> None:
        self.positions = positions

    def shrink(self, rows: int, longest: int) -> None:
        """Allow no more than so many rows of so many positions."""
        self.positions = max(64, min(self.positions, rows * longest))


def pad(rows: Sequence[np.ndarray], pad_id: int, device: torch.device) -> torch.Tensor:
    """Stack token ids [n_rows, longest], padded at the end."""
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), pad_id, np.int64)
    for k, row in enumerate(rows):
        out[k, : len(row)] = row
    return torch.from_numpy(out).to(device)


def split_by_length(lengths: np.ndarray, extra: int, budget: int) -> Iterator[np.ndarray]:
    """Groups of positions of similar length; rows * (longest + extra) stays within the budget (at least one row).

    Parameters
    ----------
    lengths : array, shape (n_rows,)
        Tokens of each row.
    extra : int
        Positions every row has besides (`<mask>` and prompt).
    budget : int
        Positions that may go through the model at once.
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
