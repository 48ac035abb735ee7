"""The still pictures of :mod:`emonb.book.interactive`: what paper, Jupyter and a browser without scripts show."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, RANDOM, SELECTIVE, name_points
from emonb.book.saying import write_number
from emonb.book.svg import INK

VERDICTS = ("yes", "yes, too small to matter", "no", "undecided", "not tested")


def draw_maps(people: np.ndarray, model: np.ndarray, emotions: Sequence[str]) -> Figure:
    """Draw both maps side by side, each emotion named."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 4.0), layout="constrained")
    for ax, points, title in zip(axes, (people, model), ("people", "model, all layers"), strict=True):
        ax.plot(*points.T, "o", color=RANDOM, ms=4)
        name_points(ax, points[:, 0], points[:, 1], emotions)
        ax.set(title=title, xticks=[], yticks=[])
    return _closed(fig)


def draw_lottery(masks: Mapping[str, xr.DataArray], observed: float, null: np.ndarray) -> Figure:
    """Draw the masks as dots, and the differences of shuffled labels as a histogram with the observed one."""
    fig, (ax, below) = plt.subplots(2, 1, figsize=(6.8, 4.2), layout="constrained", height_ratios=(2, 3))
    for y, (rows, colour) in enumerate(zip(masks.values(), (SELECTIVE, RANDOM), strict=True)):
        ax.plot(rows.values, np.full(rows.size, y), "o", color=colour, alpha=0.6, ms=6, mew=0)
        ax.plot([rows.mean()] * 2, [y - 0.3, y + 0.3], color=colour, lw=2.5)
    labels = [f"{name.replace('_', ', ')} ({rows.size})" for name, rows in masks.items()]
    ax.set(yticks=range(len(masks)), yticklabels=labels, ylim=(-0.6, 1.6), xlabel="recognised under one mask (%)")
    ax.invert_yaxis()
    below.hist(null, bins=31, color=FAINT)
    below.axvline(observed, color=SELECTIVE, lw=2.5)
    beyond = np.mean(np.abs(null) >= abs(observed))
    below.set(xlabel="difference of the means (points)", ylabel=f"of {len(null)} shuffles")
    measured = write_number(f"{observed:+.1f}")
    below.set_title(f"orange: as measured, {measured}; as far or farther by lot: {100 * beyond:.0f} %", fontsize=9)
    return _closed(fig)


def draw_card(numbers: pd.DataFrame) -> Figure:
    """Draw every numeric column of a table as a panel of dots, one row an attribute."""
    shown = numbers.apply(pd.to_numeric, errors="coerce").dropna(axis="columns", how="all").iloc[:, :4]
    columns = max(1, shown.shape[1])
    fig, axes = plt.subplots(
        1, columns, figsize=(7.2, 0.26 * len(numbers) + 1.1), sharey=True, layout="constrained", squeeze=False
    )
    for ax, name in zip(axes[0], shown.columns, strict=False):
        ax.plot(shown[name], range(len(shown)), "o", color=RANDOM, ms=5)
        ax.axvline(0, color=FAINT, lw=0.8)
        ax.set(yticks=range(len(shown)), yticklabels=numbers.index)
        ax.set_xlabel(str(name), fontsize=8)
    axes[0, 0].invert_yaxis()
    return _closed(fig)


def draw_worlds(table: pd.DataFrame) -> Figure:
    """Draw, for every claim and world, how many seeds had which verdict, and what is true."""
    claims, worlds = (list(dict.fromkeys(table[name])) for name in ("claim", "world"))
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(claims) + 1.5), layout="constrained")
    for x, world in enumerate(worlds):
        for y, claim in enumerate(claims):
            rows = table[(table["world"] == world) & (table["claim"] == claim)]
            if rows.empty:
                continue
            counts = rows["holds"].value_counts()
            text = ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS if kind in counts)
            truth = rows["truth"].iloc[0]
            short = [holds.partition(",")[0] for holds in rows["holds"]]
            wrong = truth in ("yes", "no") and {"yes": "no", "no": "yes"}[truth] in short
            ax.text(x, y, text, ha="center", va="bottom", fontsize=8, color=SELECTIVE if wrong else INK)
            ax.text(x, y, f"true: {truth}" if truth else "", ha="center", va="top", fontsize=7, color=INK)
    ax.set(xticks=range(len(worlds)), yticks=range(len(claims)), yticklabels=claims)
    ax.set_xticklabels([world.replace("-", "\n", 1) for world in worlds])
    ax.set(xlim=(-0.5, len(worlds) - 0.5), ylim=(len(claims) - 0.5, -0.5))
    ax.tick_params(length=0)
    return _closed(fig)


def _closed(fig: Figure) -> Figure:
    plt.close(fig)
    return fig
