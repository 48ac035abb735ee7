"""Figures of the lesions: pairs of masks, depth, importance, and every claim under every choice."""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from emonb.analysis.ties import varies
from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish, name_points


def draw_pairs(panels: Mapping[str, tuple[xr.DataArray, xr.DataArray]], baseline: float, xlabel: str) -> Figure:
    """Draw an attribute's own mask beside its random masks, one row an attribute, one panel a choice of sizes.

    Parameters
    ----------
    panels : dict of title to (selective, random)
        dims (attribute,) and (attribute, draw). Shaded: mean of the random masks and one standard deviation of theirs.
    baseline : float
        The intact network.
    xlabel : str
    """
    first = next(iter(panels.values()))[0]
    names = list(first.sortby(first, ascending=False).attribute.values)
    shape = (4.3 * len(panels), 0.26 * len(names) + 1.5)
    fig, axes = plt.subplots(1, len(panels), figsize=shape, sharey=True, layout="constrained", squeeze=False)
    y = np.arange(len(names))
    for ax, (title, (selective, random)) in zip(axes.flat, panels.items(), strict=True):
        own = selective.sel(attribute=names).values
        other = random.sel(attribute=names).transpose("attribute", "draw").values
        middle, spread = other.mean(), other.std(ddof=1)
        ax.axvspan(middle - spread, middle + spread, color=RANDOM, alpha=0.13, lw=0, label="random masks: mean ± SD")
        ax.axvline(middle, color=RANDOM, lw=1)
        ax.axvline(baseline, color=INTACT, lw=1, ls="--", label="nothing silenced")
        ax.hlines(y, own, other.mean(1), color=FAINT, lw=1, zorder=1)
        for draw, column in enumerate(other.T):
            ax.plot(column, y, "s", color=RANDOM, ms=5, alpha=0.7, mew=0, label="" if draw else "neurons drawn by lot")
        ax.plot(own, y, "o", color=SELECTIVE, ms=6.5, mec="white", label="the attribute's neurons")
        ax.set(title=title, xlabel=xlabel, yticks=y, yticklabels=names)
    axes.flat[0].invert_yaxis()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8)
    return finish(fig)


def draw_depth(
    selective: xr.DataArray, depth: xr.DataArray, random: xr.DataArray, random_depth: xr.DataArray, ylabel: str
) -> Figure:
    """Draw accuracy on the mean layer of masks (attribute; random ones attribute, draw), selective ones named."""
    fig, ax = plt.subplots(figsize=(7, 4.2))
    depth, random_depth = depth.sel(attribute=selective.attribute), random_depth.sel(attribute=random.attribute)
    ax.plot(random_depth.values.ravel(), random.values.ravel(), "s", color=RANDOM, alpha=0.6, mew=0, label="drawn by lot")
    ax.plot(depth, selective, "o", color=SELECTIVE, mec="white", label="an attribute's own")
    if varies(depth.values):
        slope, intercept = np.polyfit(depth.values, selective.values, 1)
        ends = np.array([min(float(depth.min()), float(random_depth.mean())), float(depth.max())])
        ax.plot(ends, slope * ends + intercept, color=SELECTIVE, lw=1.5)
    name_points(ax, depth.values, selective.values, list(selective.attribute.values))
    ax.set(xlabel="mean layer of the silenced neurons (1 = first)", ylabel=ylabel)
    ax.legend(loc="lower right")
    return finish(fig)


def draw_importance(
    loss: xr.DataArray, importance: xr.DataArray, tests: Mapping[str, pd.DataFrame], xlabel: str, ylabel: str
) -> Figure:
    """Draw loss on importance (attribute), each point named; beside it r at every N with its interval, by kind of loss."""
    fig, axes = plt.subplots(1, 2, figsize=(8.8, 4.2), layout="constrained", width_ratios=[3, 2])
    x, y = importance.sel(attribute=loss.attribute).values, loss.values
    axes[0].plot(x, y, "o", color=SELECTIVE, mec="white")
    if varies(x) and varies(y):
        slope, intercept = np.polyfit(x, y, 1)
        axes[0].plot(np.sort(x), slope * np.sort(x) + intercept, color=SELECTIVE, lw=1.5)
    name_points(axes[0], x, y, list(loss.attribute.values))
    axes[0].set(xlabel=xlabel, ylabel=ylabel)
    for shift, colour, (label, table) in zip((-0.12, 0.12), (SELECTIVE, RANDOM), tests.items(), strict=False):
        at = np.arange(len(table)) + shift
        axes[1].hlines(at, table["low"], table["high"], color=colour, lw=1.5)
        axes[1].plot(table["value"], at, "o", color=colour, ms=5, label=label)
    axes[1].axvline(0, color=FAINT, lw=1)
    axes[1].set(yticks=range(len(table)), yticklabels=[str(n) for n in table.index], ylabel="N", xlabel="r over attributes")
    axes[1].invert_yaxis()
    axes[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    return finish(fig)


def draw_standing(standing: np.ndarray, loss: np.ndarray, measured: str) -> Figure:
    """Draw losses on how emotions stand out (:func:`~emonb.analysis.profile.pair_tables`), in ten groups too; the slope."""
    x, y = standing.ravel(), 100 * loss.ravel()
    fig, ax = plt.subplots(figsize=(6.2, 4.0))
    ax.plot(x, y, ".", color=FAINT, ms=5, mew=0)
    groups = np.array_split(np.argsort(x), min(10, len(x)))
    means = [(x[group].mean(), y[group].mean()) for group in groups]
    ax.plot(*np.transpose(means), "o", color=SELECTIVE, ms=8, mec="white", label="means of ten groups")
    if varies(x):
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, ends * (x @ y) / (x @ x), color=SELECTIVE, lw=1.5)
    ax.axhline(0, color=INTACT, lw=0.8)
    ax.set(
        xlabel="how an emotion stands out on the attribute (SD)", ylabel=f"{measured} lost (% of what random masks cost)"
    )
    ax.legend(loc="upper left")
    return finish(fig)


def draw_specifications(curves: pd.DataFrame, titles: Mapping[str, str], across: int = 3) -> Figure:
    """Draw every claim's effect under every combination of choices, sorted, with its 95 % interval; orange where it passes.

    Parameters
    ----------
    curves : DataFrame
        Columns ``claim``, ``value``, ``low``, ``high``, ``passes``.
    titles : dict of claim to str
        Its panel's title and the unit of its effect, two lines.
    """
    down = -(-len(titles) // across)
    fig, axes = plt.subplots(down, across, figsize=(3.1 * across, 2.5 * down), layout="constrained", squeeze=False)
    for ax, (claim, title) in zip(axes.flat, titles.items(), strict=False):
        mine = curves[curves["claim"] == claim].sort_values("value")
        at, passes = np.arange(len(mine)), mine["passes"].to_numpy(bool)
        for chosen, colour in ((~passes, FAINT), (passes, SELECTIVE)):
            ax.vlines(at[chosen], mine["low"][chosen], mine["high"][chosen], color=colour, lw=0.8, alpha=0.5)
            ax.plot(at[chosen], mine["value"][chosen], ".", color=colour, ms=4)
        ax.axhline(0, color=INTACT, lw=0.8)
        name, unit = title.split("\n")
        ax.set_title(f"{name}\n{passes.sum()} of {len(mine)} pass", fontsize=9)
        ax.set_ylabel("\n".join(textwrap.wrap(unit, 20)), fontsize=9)
        seen = np.r_[mine["value"], np.nanquantile(mine["low"], 0.02), np.nanquantile(mine["high"], 0.98), 0]
        room = 0.05 * np.ptp(seen)  # few intervals are so wide that no other could be seen beside them
        ax.set(xlabel="specifications, sorted", xticks=[], ylim=(seen.min() - room, seen.max() + room))
    for ax in list(axes.flat)[len(titles) :]:
        ax.axis("off")
    return finish(fig)
