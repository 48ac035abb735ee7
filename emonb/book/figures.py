"""The book's figures: one seaborn style, colour-blind-safe, labelled axes; each function draws one kind of picture.

Every function returns a closed matplotlib figure, which a notebook shows when it is the last value of a cell.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from emonb.book import svg
from emonb.book.tables import format_number

SELECTIVE, RANDOM, INTACT, OTHER, FAINT = "#D55E00", "#0072B2", "#000000", "#009E73", "#9A9A9A"  # Okabe & Ito 2008
VERDICT_COLOURS = {
    "yes": "#0072B2",
    "yes, too small to matter": "#56B4E9",
    "undecided": "#D9D9D9",
    "no": "#E69F00",
}
sns.set_theme(
    context="notebook",
    style="ticks",
    palette="colorblind",
    font_scale=0.85,
    rc={"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, **svg.WRITER},
)
svg.show_svg()


def draw_input(prompt_length: int, read_at: str = "<mask>") -> Figure:
    """Draw the input of a prompted model: what is tuned, what is frozen, where it is read."""
    fig, ax = plt.subplots(figsize=(8.6, 2.4))
    boxes = [("<mask>", 1.4, "#F0E442"), (f"{prompt_length} soft-prompt vectors", 3.6, SELECTIVE)]
    boxes += [("<s>", 0.7, "#DDDDDD"), ("the comment's tokens", 3.0, "#DDDDDD"), ("</s>", 0.7, "#DDDDDD")]
    left = 0.0
    for text, width, colour in boxes:
        ax.add_patch(Rectangle((left, 0), width - 0.08, 0.6, facecolor=colour, edgecolor="black", alpha=0.85))
        ax.text(left + width / 2 - 0.04, 0.3, text, ha="center", va="center", fontsize=9)
        left += width
    ax.add_patch(Rectangle((0, 1.1), left - 0.08, 0.6, facecolor="#CCE5F2", edgecolor="black"))
    ax.text(left / 2, 1.4, "masked language model, frozen", ha="center", va="center", fontsize=10)
    ax.annotate("", (0.66, 2.3), (0.66, 1.75), arrowprops={"arrowstyle": "-|>", "color": "black"})
    ax.text(0.85, 2.05, f"read at {read_at}: 'positive' against 'negative', and the neurons", fontsize=9)
    for x in (0.66, 3.2, 7.2):
        ax.annotate("", (x, 1.08), (x, 0.62), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0.8})
    ax.text(3.3, -0.22, "tuned, one for each emotion and seed", ha="center", fontsize=8, color=SELECTIVE)
    ax.set(xlim=(-0.1, left + 0.1), ylim=(-0.35, 2.45))
    ax.axis("off")
    return finish(fig)


def draw_scatter(x: xr.DataArray, y: xr.DataArray, label: str, xlabel: str, ylabel: str) -> Figure:
    """Draw two numbers per label against each other, each point named."""
    x, y = xr.align(x, y, join="exact")
    fig, ax = plt.subplots(figsize=(7, 4.6))
    ax.plot(x, y, "o", color=RANDOM, ms=5)
    name_points(ax, x.values, y.values, list(x[label].values))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return finish(fig)


def draw_quantiles(quantiles: pd.DataFrame, ylabel: str, floor: float | None = None) -> Figure:
    """Draw bands between quantiles (columns, in fractions) over rows (layers)."""
    fig, ax = plt.subplots(figsize=(7, 3.4))
    columns, ticks = sorted(quantiles.columns), quantiles.index
    if len(ticks) == 1:  # a band needs two ends
        quantiles = pd.concat([quantiles, quantiles]).set_axis([ticks[0] - 0.4, ticks[0] + 0.4])
    for low, high in zip(columns[: len(columns) // 2], columns[::-1], strict=False):
        ax.fill_between(quantiles.index, quantiles[low], quantiles[high], color=RANDOM, alpha=0.22, lw=0)
        ax.annotate(f"{low * 100:g}-{high * 100:g} %", (quantiles.index[-1], quantiles[high].iloc[-1]), fontsize=8)
    ax.plot(quantiles.index, quantiles[columns[len(columns) // 2]], color=INTACT, label="median")
    if floor is not None:
        ax.axhline(floor, color=SELECTIVE, ls="--", lw=1, label="minimum of GELU")
    ax.set(xlabel="layer", ylabel=ylabel, xticks=ticks)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def draw_layers(
    fit: xr.DataArray, whole: float, seeds: xr.DataArray | None, ylabel: str, ceiling: tuple[float, float] | None = None
) -> Figure:
    """Draw a fit by layer, with single seeds, the whole model and the noise ceiling where given."""
    fig, ax = plt.subplots(figsize=(7, 3.6))
    if seeds is not None:
        for seed in seeds.seed.values:
            ax.plot(seeds.layer, seeds.sel(seed=seed), ".-", color=FAINT, lw=0.7, ms=3, alpha=0.7)
        ax.plot([], [], ".-", color=FAINT, lw=0.7, ms=3, label="single seeds")
    ax.plot(fit.layer, fit, "o-", color=SELECTIVE, label="seed-mean pattern")
    ax.axhline(whole, color=RANDOM, ls="--", lw=1.2, label="all layers")
    if ceiling is not None:
        ax.axhspan(*ceiling, color="#009E73", alpha=0.5, lw=0, label="noise ceiling")
    ax.set(xlabel="layer", ylabel=ylabel, xticks=fit.layer.values)
    ax.set_ylim(bottom=min(0, float(fit.min()) - 0.02))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def draw_matrix(
    values: xr.DataArray, label: str, centre: float | None = None, digits: int = 2, height: float | None = None
) -> Figure:
    """Draw a labelled two-dimensional array as a heat map with its numbers in the cells."""
    rows, columns = values.shape
    fig, ax = plt.subplots(figsize=(min(0.44 * columns + 2.6, 8.8), height or 0.28 * rows + 1.6))
    shown = (values if digits < 0 else values.where(abs(values) >= 0.5 * 10.0**-digits, 0)).to_pandas()  # no "-0"
    numbers = shown.map(lambda value: format_number(float(value), digits)) if digits >= 0 else False
    sns.heatmap(
        shown, ax=ax, cmap="cividis" if centre is None else "vlag", center=centre, annot=numbers,
        vmin=min(0.0, float(values.min())) if centre is None else None,
        fmt="", annot_kws={"size": 8}, cbar_kws={"label": label, "shrink": 0.8}, linewidths=0.3,
    )  # fmt: skip
    ax.set(xlabel=values.dims[1], ylabel=values.dims[0])
    ax.tick_params(axis="x", rotation=90)
    ax.tick_params(axis="y", rotation=0)
    return finish(fig)


def draw_intervals(groups: Mapping[str, pd.DataFrame], xlabel: str, reference: float | None = 0.0) -> Figure:
    """Draw estimates with intervals (columns value, low, high; one row a label), one colour a group."""
    names = list(next(iter(groups.values())).index)
    fig, ax = plt.subplots(figsize=(6.2, 0.3 * len(names) + 1.2))
    offsets = np.linspace(-0.18, 0.18, len(groups)) if len(groups) > 1 else [0.0]
    for (group, table), offset, colour in zip(groups.items(), offsets, (INTACT, SELECTIVE, RANDOM, OTHER), strict=False):
        y = np.arange(len(names)) + offset
        table = table.loc[names]
        if {"low", "high"} <= set(table.columns):
            ax.hlines(y, table["low"], table["high"], color=colour, lw=1.6)
        ax.plot(table["value"], y, "o", color=colour, ms=5, label=group)
    if reference is not None:
        ax.axvline(reference, color=FAINT, lw=1)
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel)
    ax.invert_yaxis()
    if len(groups) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def draw_curves(table: pd.DataFrame, xlabel: str, ylabel: str, reference: float | None = None) -> Figure:
    """Draw each column against the index as a thin line, the ends of the highest and lowest named, and their mean."""
    fig, ax = plt.subplots(figsize=(7, 3.4))
    ax.plot(table.index, table, color=FAINT, lw=0.8)
    ax.plot([], [], color=FAINT, lw=0.8, label=f"single {table.columns.name}s ({table.shape[1]})")
    ax.plot(table.index, table.mean(axis=1), "o-", color=INTACT, label="mean")
    last = table.iloc[-1]
    for name in (last.idxmax(), last.idxmin()):
        ax.annotate(name, (table.index[-1], last[name]), xytext=(4, -3), textcoords="offset points", fontsize=8)
    if reference is not None:
        ax.axhline(reference, color=RANDOM, ls="--", lw=1, label="chance")
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=table.index)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def name_points(ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points, moved off the points and each other (adjustText; the same picture every time)."""
    ax.margins(0.08)
    points = ax.scatter(x, y, s=30, alpha=0)  # what names keep clear of
    texts = [ax.text(a, b, name, fontsize=8) for a, b, name in zip(x, y, names, strict=True)]
    line = {"arrowstyle": "-", "color": FAINT, "lw": 0.5}
    force = (0.3, 0.5)
    adjust_text(texts, x, y, points, ax=ax, iter_lim=300, expand=(1.2, 1.6), force_text=force, force_static=force,
                arrowprops=line)  # fmt: skip


def finish(fig: Figure) -> Figure:
    """Close a figure, so that a notebook shows it once, as its cell's value."""
    plt.close(fig)
    return fig
