"""Where PyTorch computes, with how many threads, and that it gives the same bits every time."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

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
