"""Figures of the chapter on attributes: the best neurons' p, two profiles, the best by chance, shared neurons."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish, name_points


def draw_best(p: pd.DataFrame, level: float) -> Figure:
    """Draw family-wise p of each attribute's best neuron, one row an attribute, a marker a column; low p to the right.

    Parameters
    ----------
    p : DataFrame
        One row an attribute, drawn in the order of the last column; one column a test, by what it is called.
    level : float
        Below which one attribute by itself would count.
    """
    order = p.iloc[:, -1].sort_values().index
    fig, ax = plt.subplots(figsize=(6.6, 0.29 * len(order) + 1.4), layout="constrained")
    looks = ((FAINT, "D"), (SELECTIVE, "o"))
    for (title, values), (colour, marker) in zip(p.loc[order].items(), looks, strict=True):
        ax.plot(values, range(len(order)), marker, color=colour, ms=7, mec="white", label=title)
    ax.axvline(level, color=INTACT, lw=0.9, ls="--", label=f"p = {level:g}")
    ax.set(yticks=range(len(order)), yticklabels=order, xscale="log", xlabel="p of the best of all neurons")
    ax.invert_yaxis()
    ax.invert_xaxis()
    fig.legend(loc="outside lower center", ncols=3, fontsize=8)
    return finish(fig)


def draw_profiles(profiles: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], labels: tuple[str, str]) -> Figure:
    """Draw how well attributes agree with one RDM against how well they agree with another; one panel a pair.

    Parameters
    ----------
    profiles : dict of title to (x, y)
        Each with a column value, and low and high where there is an interval; one row an attribute.
    labels : (str, str)
        Of the axes.
    """
    fig, axes = plt.subplots(1, len(profiles), figsize=(4.4 * len(profiles), 4.3), sharex=True, layout="constrained")
    for ax, (title, (x, y)) in zip(np.atleast_1d(axes), profiles.items(), strict=True):
        y = y.loc[x.index]
        for table, line, at in ((x, ax.hlines, y), (y, ax.vlines, x)):
            if "low" in table:
                line(at["value"], table["low"], table["high"], color=FAINT, lw=0.7, alpha=0.6)
        ax.axhline(0, color=FAINT, lw=0.8, ls=":")
        ax.axvline(0, color=FAINT, lw=0.8, ls=":")
        ax.plot(x["value"], y["value"], "o", color=RANDOM, ms=5)
        known = np.isfinite(x["value"] + y["value"]).to_numpy()
        name_points(ax, x["value"].to_numpy()[known], y["value"].to_numpy()[known], list(x.index[known]))
        ax.set_title(title, fontsize=10)
        ax.set(xlabel=labels[0], ylabel=labels[1])
    return finish(fig)


def draw_chance(found: xr.Dataset, names: Sequence[str]) -> Figure:
    """Draw the best of all neurons' normal scores under relabelled emotions as a histogram, and the real best as a line."""
    fig, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 2.9), sharey=True, sharex=True, layout="constrained")
    for ax, name in zip(np.atleast_1d(axes), names, strict=True):
        one = found.sel(attribute=name)
        best = float(one.score.max())
        ax.hist(one.peak.values, 30, color=RANDOM, alpha=0.55)
        ax.axvline(float(one.peak.median()), color=RANDOM, ls="--", lw=1.4)
        ax.axvline(best, color=SELECTIVE, lw=2.2)
        share = float((one.peak >= best - 1e-12).mean())
        ax.set_title(f"{name}: {share:.1%} of relabellings reach the real best", fontsize=9)
        ax.set(xlabel="normal score of the best neuron", ylabel="relabellings" if ax is np.atleast_1d(axes)[0] else "")
    handles = [
        plt.Rectangle(
            (0, 0), 1, 1, color=RANDOM, alpha=0.55, label=f"emotions relabelled ({found.sizes['permutation']:,} times)"
        ),
        plt.Line2D([], [], color=RANDOM, ls="--", label="their median"),
        plt.Line2D([], [], color=SELECTIVE, lw=2.2, label="as it is"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return finish(fig)


def draw_sharing(between: xr.DataArray, shared: xr.DataArray, chance: float) -> Figure:
    """Draw what two attributes' masks have in common against how alike the two attributes are; one point a pair.

    Parameters
    ----------
    between, shared : DataArray, dims (attribute, other)
        Correlation of two attributes' RDMs; share of their neurons in common.
    chance : float
        Share in common by chance.
    """
    names = between.attribute.values
    i, j = np.triu_indices(len(names), 1)
    alike, common = (values.sel(attribute=names, other=names).to_numpy()[i, j] for values in (between, shared))
    known = np.isfinite(alike + common)
    i, j, alike, common = i[known], j[known], alike[known], common[known]
    fig, ax = plt.subplots(figsize=(6.6, 3.9))
    ax.plot(alike, common, "o", color=RANDOM, ms=5, alpha=0.7)
    ax.axhline(chance, color=FAINT, ls="--", lw=1)
    ax.annotate(
        "by chance", (1, chance), xycoords=("axes fraction", "data"), xytext=(3, -3), textcoords="offset points", fontsize=8
    )
    first = np.argsort(-common)[:5]
    name_points(
        ax, alike[first], common[first], [f"{names[a]}, {names[b]}" for a, b in zip(i[first], j[first], strict=True)]
    )
    ax.set(xlabel="likeness of two attributes (Kendall tau-b of their RDMs)", ylabel="share of neurons in common")
    return finish(fig)
