"""Length-bucketed, dynamically padded micro-batches within a budget of positions."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch


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
