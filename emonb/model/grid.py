"""Training that ends in the same bits on every processor: float64, and weights on a fixed grid.

Processors agree on a sum or an exponential to about one part in 1e16, and training blows that up:
after some hundred steps two of them have two networks with nothing but their task in common. Here
every initial value comes from NumPy, arithmetic is in float64, and after each step weights are
rounded to multiples of :data:`GRID`. Two processors then go from equal weights to weights that
differ by 1e-15 or less, and rounding makes them equal again: nothing is left that could grow.
Moments are not rounded: they are sums of what equal weights give, and differ as little as that.

Float32's own numbers would not do as a grid: near zero they are as fine as what differs. A fixed
one must be coarse against what differs and fine against the steps, which for AdamW are about its
learning rate. 2^-18 (3.8e-6) is a thousandth of the rate at which the planted networks learn and
a 13,000th of that of their prompts; float32 holds its multiples exactly up to 64.

Rounding fails where its edge, half way between two multiples, lies between what two processors
computed. Before rounding, the 59,489 weights of the planted network differ by 4e-19 on average and
by 1.2e-15 at most (AVX-512 against plain kernels, 34 of 3,000 steps), so that of its 1.8e8
roundings 2e-5 are expected to go apart: one training in 50,000; on a grid of 2^-20, one in 14,000.
There is no weight decay there: a weight that nothing else moves would come to rest where it decays
by just half a multiple, on the edge, and 1 in 1,200 of all roundings was there.
"""

import numpy as np
import torch
from torch import Tensor

GRID = 2.0**-18
"""Distance of two neighbouring weights."""


def snap(values: Tensor) -> Tensor:
    """Round to the nearest multiples of :data:`GRID`.

    >>> (snap(torch.tensor([1e-6, -1e-5], dtype=torch.float64)) / GRID).tolist()
    [0.0, -3.0]
    """
    return torch.round(values / GRID) * GRID


def draw_weights(model: torch.nn.Module, std: float, seed: int | list[int]) -> None:
    """Give a model normal weights, drawn with NumPy and on the grid; biases and norms stay as they are made, 0 and 1.

    PyTorch's own normal numbers differ by 1.5e-7 between instruction sets.
    """
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data = snap(torch.from_numpy(std * rng.standard_normal(tuple(parameter.shape)))).to(parameter.dtype)


def step_adamw(
    values: Tensor,
    mean: Tensor,
    square: Tensor,
    gradient: Tensor,
    t: Tensor | int,
    rate: Tensor | float,
    decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of AdamW (Loshchilov & Hutter 2019; as torch.optim.AdamW), written out: values, mean and square after it.

    ``values``, ``mean``, ``square``, ``gradient``: what is trained, its moments and gradient, all of one shape; ``t``:
    number of this step, from 1; ``rate``: learning rate; ``decay``: weight decay.
    """
    mean = betas[0] * mean + (1 - betas[0]) * gradient
    square = betas[1] * square + (1 - betas[1]) * gradient**2
    step = (mean / (1 - betas[0] ** t)) / ((square / (1 - betas[1] ** t)).sqrt() + 1e-8)
    return values * (1 - rate * decay) - rate * step, mean, square
