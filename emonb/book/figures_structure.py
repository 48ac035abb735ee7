"""Figures of the structure chapter: two RDMs in one order, where emotions move, and fits with and without other RDMs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import fcluster, leaves_list
from scipy.stats import rankdata

from emonb.analysis import maps
from emonb.analysis.rdm import pair_labels, to_square
from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish


def draw_pair(rdms: Mapping[str, xr.DataArray]) -> Figure:
    """Draw RDMs (pair) side by side as rank percentiles, emotions in the order of the first one's clustering.

    Average linkage, optimally ordered; lines divide the first one's two largest clusters.
    """
    first = next(iter(rdms.values()))
    tree, names = maps.cluster(first.values), np.array(pair_labels(first))
    order = leaves_list(tree)
    side = fcluster(tree, 2, "maxclust")[order]
    fig, axes = plt.subplots(1, len(rdms), figsize=(4.7 * len(rdms), 5.3), layout="constrained", squeeze=False)
    for ax, (title, rdm) in zip(axes[0], rdms.items(), strict=True):
        square = to_square(100 * (rankdata(rdm) - 0.5) / rdm.size)[np.ix_(order, order)]
        np.fill_diagonal(square, np.nan)
        image = ax.imshow(square, cmap="cividis_r", vmin=0, vmax=100)
        for at in np.flatnonzero(np.diff(side)) + 0.5:
            ax.axhline(at, color="white", lw=1.6)
            ax.axvline(at, color="white", lw=1.6)
        ticks = range(len(names))
        ax.set(title=title, xticks=ticks, yticks=ticks if ax is axes[0, 0] else [])
        ax.set_xticklabels(names[order], rotation=90, fontsize=8.5)
        if ax is axes[0, 0]:
            ax.set_yticklabels(names[order], fontsize=8.5)
    fig.colorbar(image, ax=axes, label="dissimilarity (percentile; dark: far apart)", shrink=0.6)
    return finish(fig)


def draw_pairs(human: xr.DataArray, model: xr.DataArray, kinds: Mapping[str, np.ndarray]) -> Figure:
    """Draw all pairs of emotions by the percentile of their distance for people and for the network.

    Parameters
    ----------
    human, model : DataArray, dims (pair,)
    kinds : mapping of str to array of bool, shape (n_pairs,)
        At most three, each in a panel of its own; in grey the other pairs.
    """
    x, y = (100 * (rankdata(rdm) - 0.5) / rdm.size for rdm in (human, model))
    fig, axes = plt.subplots(1, len(kinds), figsize=(3.1 * len(kinds) + 0.4, 3.5), sharey=True, squeeze=False)
    colours = (RANDOM, SELECTIVE, INTACT)
    for ax, (kind, mine), colour in zip(axes[0], kinds.items(), colours, strict=False):
        ax.plot(x[~mine], y[~mine], ".", color=FAINT, ms=3)
        ax.plot(x[mine], y[mine], ".", color=colour, ms=5)
        ax.set(title=kind, xlabel="people (percentile)", xticks=(0, 50, 100), yticks=(0, 50, 100))
        ax.set_aspect("equal")
    axes[0, 0].set_ylabel("network (percentile)")
    return finish(fig)


def draw_fits(groups: Mapping[str, pd.DataFrame], xlabel: str, reference: float, what: str) -> Figure:
    """Draw correlations with intervals (columns rho, low, high), one colour a group; a row may be in one group only.

    A dashed line marks what the rows are to be compared with.
    """
    names = list(dict.fromkeys(name for table in groups.values() for name in table.index))
    shift = np.linspace(-0.17, 0.17, len(groups)) if len(groups) > 1 else [0.0]
    fig, ax = plt.subplots(figsize=(7.2, 0.34 * len(names) + 1.3))
    for (group, table), aside, colour in zip(groups.items(), shift, (RANDOM, SELECTIVE), strict=False):
        y = np.array([names.index(name) for name in table.index]) + aside
        ax.hlines(y, table["low"], table["high"], color=colour, lw=1.8)
        ax.plot(table["rho"], y, "o", color=colour, ms=5, label=group)
    ax.axvline(0, color=FAINT, lw=1)
    if np.isfinite(reference):
        ax.axvline(reference, color=INTACT, lw=1, ls="--", label=what)
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(2, len(groups) + 1), fontsize=9)
    return finish(fig)
