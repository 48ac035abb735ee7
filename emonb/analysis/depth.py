"""Does depth explain the drop? Selective against random masks at the same mean layer.

Deeper masks can hurt less, and an attribute's neurons may lie deeper than random ones. The line of accuracy over mean layer
is fitted to the selective masks alone and read at the random masks' mean layer.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.estimates import from_t, pool_errors, to_table
from emonb.analysis.populations import ALL
from emonb.analysis.ties import varies


def mask_depth(masks: xr.Dataset, kind: str, sizes: Sequence[int]) -> xr.DataArray:
    """Mean layer (1 = first) of every mask of a kind that a plan holds; dims (attribute, size, draw).

    Parameters
    ----------
    masks : Dataset
        From :func:`emonb.analysis.masks.plan_masks`.
    kind : str
    sizes : sequence of int
    """
    mine = masks.silenced.isel(mask=(masks.kind == kind).values)
    share = mine.sum("neuron") / mine.sum(("layer", "neuron"))
    along = [mine[name].values for name in ("attribute", "size", "draw")]
    index = pd.MultiIndex.from_arrays(along, names=["attribute", "size", "draw"])
    cells = pd.Series((share * share.layer).sum("layer").values, index).to_xarray()
    return cells.sel(attribute=list(dict.fromkeys(along[0])), size=list(sizes))


def adjust_for_depth(
    selective: xr.DataArray, depth: xr.DataArray, random: xr.DataArray, random_depth: float | xr.DataArray
) -> pd.DataFrame:
    """Compare random and selective masks at one mean layer (analysis of covariance, masks of unequal variance).

    Unit of inference: the mask. Population: attributes like these and random masks. Fixed: emotions, seeds. Assumed:
    accuracy is linear in the mean layer; around the line selective masks are independent and normal, and so are random
    masks. For all N together accuracy and layer are averaged over the sizes first, as an attribute's masks are nested.

    Parameters
    ----------
    selective, random : DataArray, dims (attribute, size, draw)
        From :func:`emonb.analysis.populations.mask_means`.
    depth : DataArray, dims (attribute, size)
        Mean layer of the selective masks (:func:`emonb.analysis.lesions.mean_depth`, :func:`mask_depth`).
    random_depth : float or DataArray
        Mean layer of the random masks; the middle one where they are spread evenly over the layers.

    Returns
    -------
    DataFrame
        One row an N and one for all: ``value`` (random - selective at the random masks' layer) with intervals and p as
        :class:`~emonb.analysis.estimates.Estimate`; ``raw`` difference; ``explained`` = raw - value, the part of the
        difference that depth accounts for (negative: depth works against it); ``slope`` (accuracy a layer) and mean
        ``depth`` of the selective masks. NaN where all masks are equally deep.
    """
    attributes = selective.attribute.values
    random, depth = random.sel(attribute=attributes), depth.sel(attribute=attributes, size=selective["size"].values)
    place = random_depth if isinstance(random_depth, xr.DataArray) else xr.full_like(random, random_depth)
    tests, more = {}, []
    for name in [*selective["size"].values.tolist(), ALL]:
        y, x, other, at = (
            (array.mean("size") if name == ALL else array.sel(size=name)).values
            for array in (selective.mean("draw"), depth, random, place)
        )
        n, x0, spread = len(y), float(at.mean()), float(((x - x.mean()) ** 2).sum())
        slope = float((x - x.mean()) @ y / spread) if spread > 1e-12 else np.nan
        fitted = y.mean() + slope * (x0 - x.mean())
        residual = float(((y - y.mean() - slope * (x - x.mean())) ** 2).sum() / (n - 2)) if n > 2 else np.nan
        residual = residual if varies(y) else 0.0
        variances = [residual * (1 / n + (x0 - x.mean()) ** 2 / spread) if spread > 1e-12 else np.nan]
        variances.append(other.var(ddof=1) / other.size if varies(other) else 0.0)
        tests[name] = from_t(
            float(other.mean() - fitted), *pool_errors(np.array(variances), np.array([n - 2, other.size - 1]))
        )
        more.append((other.mean() - y.mean(), fitted - y.mean(), slope, x.mean()))
    table = to_table(tests, "N")
    return table.join(pd.DataFrame(more, table.index, ["raw", "explained", "slope", "depth"]))
