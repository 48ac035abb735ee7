"""Figures of what was tuned and read: prompts that learned and prompts that did not, and where emotions differ."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish


def draw_prompts(accuracy: xr.DataArray, failed: xr.DataArray, chance: float) -> Figure:
    """Draw one row an emotion, sorted by mean: every prompt a dot, those that did not learn crossed, their mean a bar.

    Parameters
    ----------
    accuracy, failed : DataArray, dims (seed, emotion)
        ``failed`` from :func:`emonb.analysis.prompts.not_learned`.
    """
    mean = accuracy.mean("seed")
    order = mean.emotion.values[np.argsort(mean.values)]
    fig, ax = plt.subplots(figsize=(7, 0.24 * len(order) + 1.2))
    for y, name in enumerate(order):
        row, bad = accuracy.sel(emotion=name).values, failed.sel(emotion=name).values
        first = y == 0
        ax.plot(row[~bad], [y] * int((~bad).sum()), "o", color=RANDOM, alpha=0.45, ms=4.5, mew=0,
                label="a prompt (one seed)" if first else None)  # fmt: skip
        ax.plot(row[bad], [y] * int(bad.sum()), "x", color=SELECTIVE, ms=5, mew=1.6,
                label="a prompt that did not learn" if first else None)  # fmt: skip
        ax.plot(row.mean(), y, "|", color=INTACT, ms=11, mew=2.2, label="mean of the seeds" if first else None)
    ax.axvline(chance, color=FAINT, lw=1, ls="--", label="guessing")
    ax.set(yticks=range(len(order)), yticklabels=order, xlabel="accuracy (fraction of comments)", ylabel="")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return finish(fig)


def draw_layer_shares(share: pd.Series, xlabel: str) -> Figure:
    """Draw each layer's share as a bar, and the share that equal layers would have as a line."""
    fig, ax = plt.subplots(figsize=(7, 0.26 * len(share) + 1))
    ax.barh(range(len(share)), 100 * share, color=RANDOM, height=0.7)
    ax.axvline(100 / len(share), color=INTACT, ls="--", lw=1, label="if all layers were equal")
    ax.set(yticks=range(len(share)), yticklabels=share.index, xlabel=xlabel, ylabel="layer")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)
