"""Activations: what the FFN neurons of a prompted network do; summaries of [seed, emotion, layer, neuron] arrays."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import norm

GELU_FLOOR = float(minimize_scalar(lambda x: x * norm.cdf(x), bounds=(-2, 0), method="bounded").fun)
"""The lowest value GELU(x) = x * Phi(x) takes (about -0.17; Hendrycks & Gimpel 2016)."""


def layer_quantiles(
    activations: xr.DataArray, levels: Sequence[float] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
) -> pd.DataFrame:
    """Quantiles of all activations of a layer; one row a layer, one column a level."""
    table = activations.quantile(levels, ("seed", "emotion", "neuron")).transpose("layer", "quantile").to_pandas()
    table.columns.name = None
    return table
