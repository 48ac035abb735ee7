"""The book's figures: one style, colour-blind-safe, labelled axes; each function draws one kind of picture.

Every function returns a closed matplotlib figure, which a notebook shows when it is the last value of a cell.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.stats import rankdata
from seaborn.utils import relative_luminance

from emonb.analysis.rdm import align_map, map_emotions, pair_labels
from emonb.book import svg
from emonb.book.cards import Entry, Ledgers, read_evidence
from emonb.book.claims import Claim, Declarations
from emonb.book.networks import NAMES
from emonb.book.tables import format_number

SELECTIVE, RANDOM, INTACT, OTHER, FAINT = "#D55E00", "#0072B2", "#000000", "#009E73", "#9A9A9A"  # Okabe & Ito 2008
DARK = "#010101"  # text on a light fill, dark also where the page is
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


def draw_scatter(x: xr.DataArray, y: xr.DataArray, label: str, xlabel: str, ylabel: str) -> Figure:
    """Draw two numbers per label against each other, each point named."""
    x, y = xr.align(x, y, join="exact")
    fig, ax = plt.subplots(figsize=(7, 4.6))
    ax.plot(x, y, "o", color=RANDOM, ms=5)
    name_points(ax, x.values, y.values, list(x[label].values))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return finish(fig)


def draw_matrix(
    values: xr.DataArray, label: str, centre: float | None = None, digits: int = 2, height: float | None = None
) -> Figure:
    """Draw a labelled two-dimensional array as a heat map with its numbers in the cells."""
    rows, columns = values.shape
    fig, ax = plt.subplots(figsize=(min(0.44 * columns + 2.6, 7.2), height or 0.28 * rows + 1.6))
    shown = (values if digits < 0 else values.where(abs(values) >= 0.5 * 10.0**-digits, 0)).to_pandas()  # no "-0"
    # ".45" has room where "0.45" has none
    numbers = shown.map(lambda value: re.sub(r"\b0\.", ".", format_number(float(value), digits))) if digits >= 0 else False
    sns.heatmap(
        shown, ax=ax, cmap="cividis" if centre is None else "vlag", center=centre, annot=numbers,
        vmin=min(0.0, float(values.min())) if centre is None else None,
        fmt="", annot_kws={"size": 8.5}, cbar_kws={"label": label, "shrink": 0.8}, linewidths=0.3,
    )  # fmt: skip
    fills = np.asarray(ax.collections[0].get_facecolor()).reshape(rows, columns, 4)
    for text in ax.texts:
        column, row = (int(at) for at in text.get_position())
        text.set_color(DARK if relative_luminance(fills[row, column]) > 0.179 else "white")  # of equal contrast there
    ax.set(xlabel=values.dims[1], ylabel=values.dims[0])
    ax.tick_params(axis="x", rotation=90)
    ax.tick_params(axis="y", rotation=0)
    return finish(fig)


def draw_intervals(
    groups: Mapping[str, pd.DataFrame], xlabel: str, zero: float = 0.0, mark: tuple[float, str] | None = None
) -> Figure:
    """Draw estimates with intervals (columns value or rho, low, high), a row a label, a colour a group.

    A row may be in one group only. A dashed line marks a number that rows are to be compared with, and what it is.
    """
    names = list(dict.fromkeys(name for table in groups.values() for name in table.index))
    fig, ax = plt.subplots(figsize=(6.8, 0.34 * len(names) + 1.3), layout="constrained")
    offsets = np.linspace(-0.18, 0.18, len(groups)) if len(groups) > 1 else [0.0]
    for (group, table), offset, colour in zip(groups.items(), offsets, (RANDOM, SELECTIVE, OTHER, FAINT), strict=False):
        effects = table.rename(columns={"value": "estimate", "rho": "estimate"}).to_dict("index")
        for name, effect in effects.items():
            draw_line(ax, names.index(name) + offset, effect, colour)
        ax.plot([], [], "o-", color=colour, label=group)
    ax.axvline(zero, color=FAINT, lw=1)
    if mark is not None and np.isfinite(mark[0]):
        ax.axvline(mark[0], color=INTACT, lw=1, ls="--", label=mark[1])
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
    return finish(fig, legend=len(groups) > 1 or mark is not None)


def draw_line(ax: Axes, y: float, effect: Mapping[str, float], colour: str, reach: float = np.inf) -> None:
    """Draw one row of a forest plot: a dot, thin its 95 % interval, thick its 90 %; an arrow where the axis ends first."""
    for ends, width in ((("low", "high"), 1.4), (("low90", "high90"), 3.6)):
        if set(ends) <= set(effect):
            ax.plot(np.clip([effect[end] for end in ends], -reach, reach), [y, y], color=colour, lw=width)
    for end, side in (("low", -1), ("high", 1)):
        if side * effect.get(end, 0.0) > reach:
            ax.plot(side * reach, y, ">" if side > 0 else "<", color=colour, ms=6, clip_on=False)
    if abs(effect["estimate"]) <= reach:
        ax.plot(effect["estimate"], y, "o", color=colour, ms=6.5, mec="white")


def name_points(ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points, moved off the points and each other (adjustText; the same picture every time)."""
    ax.margins(0.08)
    points = ax.scatter(x, y, s=30, alpha=0)  # what names keep clear of
    texts = [ax.text(a, b, name, fontsize=9) for a, b, name in zip(x, y, names, strict=True)]
    line = {"arrowstyle": "-", "color": FAINT, "lw": 0.5}
    force = (0.3, 0.5)
    adjust_text(texts, x, y, points, ax=ax, iter_lim=300, expand=(1.2, 1.6), force_text=force, force_static=force,
                arrowprops=line)  # fmt: skip


def finish(fig: Figure, legend: bool = False) -> Figure:
    """Close a figure, so that a notebook shows it once, as its cell's value; its legend stands above, in two columns."""
    if legend:
        fig.axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    plt.close(fig)
    return fig


def percentiles(rdm: xr.DataArray) -> np.ndarray:
    """Each distance's percentile among all, 0..100 (pair)."""
    ranks: np.ndarray = 100 * (rankdata(rdm) - 0.5) / rdm.size
    return ranks


ENDS = ("estimate", "low", "high", "low90", "high90")
PLEASANT = LinearSegmentedColormap.from_list("pleasant", ["#A6611A", "#9A9A9A", "#018571"])
"""From unpleasant to pleasant, each readable on light and on dark."""


def spread_points(points: np.ndarray) -> np.ndarray:
    """Positions in -1..1, half way between coordinate and rank."""
    scaled = points / np.abs(points).max(0)
    spread: np.ndarray = (scaled + 2 * (rankdata(points, axis=0) - 1) / (len(points) - 1) - 1) / 2
    return spread


def draw_claims(declared: Declarations, ledgers: Ledgers) -> Figure:
    """Draw the claims that have one effect, in every edition, each in units of its smallest effect of interest.

    The axis ends at six of these; an interval that goes on ends in an arrow.
    """
    reach, rows = 6.0, group_effects(declared, ledgers)
    fig, ax = plt.subplots(figsize=(7.2, 0.34 * sum(len(entries) for _, entries in rows) + 1.4))
    colours = dict(zip(ledgers, (RANDOM, OTHER, FAINT, SELECTIVE), strict=False))
    ticks, y = {}, 0.0
    for claim, entries in rows:
        for offset, (edition, entry) in enumerate(entries.items()):
            effect = {name: entry[name] / claim.smallest.effect for name in ENDS}
            draw_line(ax, y + 0.8 * offset, effect, colours[edition], reach)
        ticks[y + 0.4 * (len(entries) - 1)] = claim.title
        y += 0.8 * len(entries) + 0.7
    ax.axvspan(-1, 1, color=FAINT, alpha=0.18, lw=0)
    ax.axvline(0, color=INTACT, lw=0.8)
    ax.set(yticks=list(ticks), yticklabels=list(ticks.values()), xlabel="effect / smallest effect that would matter")
    ax.invert_yaxis()
    for edition, colour in colours.items():
        ax.plot([], [], color=colour, marker="o", lw=2.5, label=NAMES.get(edition, edition))
    ax.legend(ncols=len(colours), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return finish(fig)


def draw_bounds(declared: Declarations, ledgers: Ledgers) -> Figure:
    """Draw each verdict as it would be were its bound smaller or larger, from a quarter to four times what it is."""
    most, verdicts = 4.0, group_effects(declared, ledgers)
    rows = [(claim, edition, entry) for claim, entries in verdicts for edition, entry in entries.items()]
    fig, ax = plt.subplots(figsize=(7.2, 0.3 * len(rows) + 1.4), layout="constrained")
    for y, (claim, _, entry) in enumerate(rows):
        evidence, bound = read_evidence(entry), claim.smallest.effect
        turn = (evidence.turns_at(claim.side) or np.inf) / bound
        for left, right in ((1 / most, min(turn, most)), (max(turn, 1 / most), most)):
            if left < right:
                said = evidence.decide(bound * np.sqrt(left * right), claim.side)
                ax.barh(y, right - left, 0.7, left, color=VERDICT_COLOURS.get(said, "white"), edgecolor="white")
    ax.axvline(1, color="black", lw=0.9)
    ticks = [1 / most, 0.5, 1, 2, most]
    ax.set(xscale="log", xlim=(1 / most, most), xlabel="bound / the bound that was argued")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(rows)), [f"{claim.title}, {NAMES.get(edition, edition)}" for claim, edition, _ in rows])
    ax.invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, fc=c, label=name) for name, c in VERDICT_COLOURS.items()]
    fig.legend(handles=handles, ncols=4, loc="outside lower center")
    return finish(fig)


def group_effects(declared: Declarations, ledgers: Ledgers) -> list[tuple[Claim, dict[str, Entry]]]:
    """Claims that have an effect with an interval, each with its entries by edition; a count has none."""
    found = []
    for claim in (claim for claim in declared.claims if not claim.is_count):
        entries = {edition: ledger["claims"].get(claim.id, {}) for edition, ledger in ledgers.items()}
        mine = {edition: entry for edition, entry in entries.items() if entry.get("low") is not None}
        found += [(claim, mine)] if mine else []
    return found


def draw_cover(
    people: xr.DataArray,
    model: xr.DataArray,
    valence: xr.DataArray,
    rows: Mapping[str, tuple[str, str, Mapping[str, float]]],
    narrow: bool = False,
) -> Figure:
    """Draw people's map over the network's, the same emotions joined, and below them what stands of each claim.

    Each map is a classical scaling of rank percentiles, the network's turned onto the people's, both so that pleasantness
    runs from left to right; positions lie half way between coordinate and rank, so that names do not cover each other.

    Parameters
    ----------
    people, model : DataArray
        RDMs (pair).
    valence : DataArray
        Pleasantness (emotion).
    rows : dict of title to (verdict, estimate, effect)
        Words, words, and ``low``, ``high``, ``low90``, ``high90``, ``estimate`` in units of the
        smallest effect that would matter; a claim that has no interval has no numbers.
    narrow : bool
        As wide as a phone.
    """
    names = pair_labels(people)
    pleasant = valence.sel(emotion=names).values
    target = map_emotions(percentiles(people))
    other = align_map(map_emotions(percentiles(model)), target)
    slope = np.linalg.lstsq(target - target.mean(0), pleasant - pleasant.mean(), rcond=None)[0]
    axis = slope / np.hypot(*slope)
    turned = [points @ np.array([axis, [-axis[1], axis[0]]]).T for points in (target, other)]
    upper, lower = ((spread_points(points) + [0, level]) for points, level in zip(turned, (2.6, 0), strict=True))
    fig, (ax, below) = plt.subplots(2, 1, figsize=(3.3, 10.6) if narrow else (7.2, 8.2))
    ax.set_position([0.02, 0.32, 0.9, 0.68] if narrow else [0, 0.28, 1, 0.72])
    below.set_position([0.04, 0.06, 0.92, 0.24] if narrow else [0.15, 0.06, 0.34, 0.2])
    colours = PLEASANT(rankdata(pleasant) / len(names))
    for (x, y), (x2, y2), colour in zip(upper, lower, colours, strict=True):
        ax.plot([x, x2], [y, y2], color=colour, lw=1.1, alpha=0.7, zorder=1)
    for points, title in ((upper, "People"), (lower, "RoBERTa")):
        ax.scatter(*points.T, s=42, c=colours, edgecolor="white", lw=0.8, zorder=3)
        where = {"transform": ax.get_yaxis_transform(), "fontsize": 13, "fontweight": "bold"}
        ax.text(0.005, points[:, 1].max() + 0.1 + 0.15 * narrow, title, **where)
    both = np.concatenate([upper, lower])
    name_points(ax, both[:, 0], both[:, 1], [*names, *names])
    ax.axis("off")
    for y, (title, (verdict, estimate, effect)) in enumerate(rows.items()):
        at = (-2, -2, 6) if narrow else (-2.2, 6.3, 6.3)  # of title, estimate and verdict
        below.text(at[0], y - 0.5 * narrow, title, ha="left" if narrow else "right", va="center", fontsize=10)
        below.text(at[2], y - (0.5 if narrow else 0.2), verdict, ha="right" if narrow else "left", va="center", fontsize=10,
                   fontweight="bold")  # fmt: skip
        below.text(at[1], y - (0.22 if narrow else -0.22), estimate, va="center", fontsize=9)
        if effect:
            draw_line(below, y + 0.08 * narrow, effect, RANDOM, 6)
    below.axvspan(-1, 1, color=FAINT, alpha=0.18, lw=0)
    below.axvline(0, color=INTACT, lw=0.8)
    below.set(xlim=(-2, 6), ylim=(len(rows) - 0.5, -0.8), yticks=[], xlabel="effect / smallest that would matter")
    below.spines["left"].set_visible(False)
    return finish(fig)


def draw_places(mask: xr.DataArray, score: xr.DataArray) -> Figure:
    """Draw where in the network attributes' neurons lie: a ridge a layer, the best neuron of each attribute marked.

    Along a ridge run the layer's neurons, those in most masks first; its height is the number of masks that hold one.
    Names at its right are those of its marks, from left to right.

    Parameters
    ----------
    mask : DataArray of bool, dims (attribute, layer, neuron)
    score : DataArray, dims (attribute, layer, neuron)
        The highest one is the attribute's best neuron; an attribute without a score has none.
    """
    held = mask.sum("attribute").transpose("layer", "neuron").to_numpy()
    order, attributes = np.argsort(-held, axis=1, kind="stable"), mask.sizes["attribute"]
    height, place = 0.8 * held / attributes, np.argsort(order, axis=1) + 1
    fig, ax = plt.subplots(figsize=(7.2, 0.52 * len(held) + 1.2))
    for layer, row, high in zip(mask.layer.values, order, height, strict=True):
        steps = high[row]
        turns = np.diff(steps, prepend=-1, append=-1) != 0  # a ridge is drawn by its steps, not by thousands of points
        ends = turns[:-1] | turns[1:]
        ax.fill_between(np.flatnonzero(ends) + 1, layer, layer - steps[ends], color=RANDOM, alpha=0.3, lw=0)
    best = score.where(score == score.max(("layer", "neuron"))).stack(at=("layer", "neuron")).to_series().dropna()
    best = best.reset_index().drop_duplicates("attribute")
    at = tuple(mask.indexes[name].get_indexer(best[name]) for name in ("layer", "neuron"))
    best = best.assign(x=place[at], y=best["layer"] - height[at]).sort_values(["layer", "x"])
    ax.plot(best["x"], best["y"], "o", color=SELECTIVE, mec="white", ms=6.5)
    for layer, names in best.groupby("layer")["attribute"]:
        for above, line in enumerate(reversed(textwrap.wrap(", ".join(names), 34, break_on_hyphens=False))):
            ax.text(held.shape[1], layer - 0.12 - 0.32 * above, line, ha="right", va="bottom", fontsize=9)
    ax.set(xlabel="neurons of the layer, those that most attributes hold first", ylabel="layer", yticks=mask.layer.values)
    ax.set(xlim=(-0.01 * held.shape[1], held.shape[1]), ylim=(mask.layer.values[-1] + 0.4, mask.layer.values[0] - 1))
    return finish(fig)
