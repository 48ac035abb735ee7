"""Kendall's tau-b of many relabelled vectors on a GPU: the numerator as a product of sign matrices.

Every comparison within a vector has a sign, -1, 0 (tied) or 1, and concordant minus discordant comparisons of two vectors
are the inner product of their signs. Matrix units multiply signs exactly in bfloat16 and add them exactly in float32, as
long as there are fewer than 2^24 comparisons; scores are the integers that :mod:`emonb.analysis.kendall` counts by bits.
"""

import numpy as np
import torch
from torch import Tensor

from emonb.analysis.kendall import check_vectors
from emonb.errors import EmonbError

_UNIT = 64  # comparisons are padded with zeros to whole units, which matrix units need to run at their rate


class SignMatrix:
    """Signs of all comparisons within each of ``n`` vectors, on a device.

    Parameters
    ----------
    vectors : array, shape (n, n_values)
        Finite numbers.
    device : str
        As PyTorch names it.

    Attributes
    ----------
    signs : Tensor, [n, n_values * (n_values - 1) / 2], and zeros behind
    n_untied : array, shape (n,), int64

    Raises
    ------
    ValueError
        Not two-dimensional, non-finite values, or too many comparisons for exact sums in float32.
    EmonbError
        A GPU that PyTorch does not find.
    """

    def __init__(self, vectors: np.ndarray, device: str) -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise EmonbError(f"device '{device}' was asked for, but PyTorch finds no GPU; use device=cpu or device=auto")
        vectors = check_vectors(vectors)
        n = vectors.shape[1]
        if n * (n - 1) // 2 >= 1 << 24:
            raise ValueError(f"float32 cannot add the comparisons of {n} values exactly; use device=cpu")
        values = torch.from_numpy(vectors).to(device)  # float64: unequal numbers have a difference that is not zero
        i, j = torch.triu_indices(n, n, 1, device=device)
        product = torch.bfloat16 if values.is_cuda else torch.float32
        self.signs = torch.zeros(len(values), -(-len(i) // _UNIT) * _UNIT, dtype=product, device=device)
        for rows in torch.arange(len(values), device=device).split(256):  # all differences at once would need 8 bytes each
            self.signs[rows, : len(i)] = torch.sign(values[rows][:, i] - values[rows][:, j]).to(product)
        self.n_untied = self.signs.count_nonzero(1).cpu().numpy()

    def score(self, y: "SignMatrix", rows: slice = slice(None)) -> Tensor:
        """Concordant minus discordant comparisons [n_x, n_y] of some rows, whole numbers in float32."""
        if self.signs.is_cuda:
            return torch.mm(self.signs[rows], y.signs.T, out_dtype=torch.float32)
        return self.signs[rows] @ y.signs.T
