"""Kendall's tau-b of many relabelled vectors on a GPU: the numerator as a product of sign matrices.

Every comparison within a vector has a sign, -1, 0 (tied) or 1, and concordant minus discordant comparisons of two vectors
are the inner product of their signs. Matrix units multiply signs exactly in bfloat16 and add them exactly in float32, as
long as there are fewer than 2^24 comparisons; scores are the integers that :mod:`emonb.kendall` counts by bits.
"""

import numpy as np
import scipy.stats
import torch
from torch import Tensor

_ROWS = 8_192  # vectors of x scored at a time; bounds the memory of scores


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
    signs : Tensor, [n, n_values * (n_values - 1) / 2]
    n_untied : array, shape (n,), int64
    """

    def __init__(self, vectors: np.ndarray, device: str) -> None:
        n = vectors.shape[1]
        if n * (n - 1) // 2 >= 1 << 24:
            raise ValueError(f"float32 cannot add the comparisons of {n} values exactly; use device=cpu")
        ranks = torch.from_numpy(scipy.stats.rankdata(vectors, "dense", axis=1).astype(np.int32)).to(device)
        i, j = torch.triu_indices(n, n, 1, device=device)
        product = torch.bfloat16 if ranks.is_cuda else torch.float32
        self.signs = torch.empty(len(ranks), len(i), dtype=product, device=device)
        for rows in torch.arange(len(ranks), device=device).split(256):  # whole differences would need twice the memory
            self.signs[rows] = torch.sign(ranks[rows][:, i] - ranks[rows][:, j]).to(product)
        self.n_untied = self.signs.count_nonzero(1).cpu().numpy()

    def score(self, y: "SignMatrix", rows: slice = slice(None)) -> Tensor:
        """Concordant minus discordant comparisons [n_x, n_y] of some rows, whole numbers in float32."""
        if self.signs.is_cuda:
            return torch.mm(self.signs[rows], y.signs.T, out_dtype=torch.float32)
        return self.signs[rows] @ y.signs.T

    def count_exceeding(self, y: "SignMatrix", observed: np.ndarray, exceeded: np.ndarray, norm: np.ndarray) -> np.ndarray:
        """Compare the scores of relabelled vectors with the observed ones (see :func:`emonb.kendall.count_exceeding`).

        Parameters
        ----------
        y : SignMatrix
            n_batch * n_y relabelled vectors, the n_y of one relabelling together.
        observed : array, shape (n_x, n_y)
            Scores.
        exceeded : array, shape (n_x, n_y), int64
            Increased where a score is at least the observed one.
        norm : array, shape (n_x, n_y)
            Denominators of tau-b; relabelling keeps them. NaN where a vector is constant.

        Returns
        -------
        array, shape (n_batch, n_y)
            Highest tau-b over x of every relabelled vector; -inf where it is not defined.
        """
        device, kinds = self.signs.device, observed.shape[1]
        top = torch.full((len(y.signs) // kinds, kinds), -torch.inf, dtype=torch.float64, device=device)
        for first in range(0, len(self.signs), _ROWS):
            rows = slice(first, first + _ROWS)
            scores = self.score(y, rows).unflatten(1, (-1, kinds))  # [rows, n_batch, n_y]
            reached = scores >= torch.from_numpy(observed[rows]).to(scores)[:, None]
            exceeded[rows] += reached.sum(1).cpu().numpy()
            denominators, which = np.unique(norm[rows], axis=0, return_inverse=True)
            for k, row in enumerate(denominators):  # vectors with equally many ties are compared as integers
                mine = scores[torch.from_numpy(np.flatnonzero(which == k)).to(device)].amax(0).double()
                top = torch.fmax(top, mine / torch.from_numpy(row).to(device))
        return top.cpu().numpy()
