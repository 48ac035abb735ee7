"""The book's figures: one style, colour-blind-safe, labelled axes; each function draws one kind of picture.

Every function returns a closed matplotlib figure, which a notebook shows when it is the last value of a cell.
"""

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
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import fcluster, leaves_list
from scipy.stats import rankdata

from emonb.analysis.rdm import align_map, cluster, map_emotions, pair_labels, to_square, varies
from emonb.book import svg
from emonb.book.claims import Evidence, Side
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


def draw_input(prompt_length: int) -> Figure:
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
    ax.text(0.85, 2.05, "read at <mask>: 'positive' against 'negative', and the neurons", fontsize=9)
    for x in (0.66, 3.2, 7.2):
        ax.annotate("", (x, 1.08), (x, 0.62), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0.8})
    ax.text(3.3, -0.22, "tuned, one for each emotion and seed", ha="center", fontsize=9, color=SELECTIVE)
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
    fig, ax = plt.subplots(figsize=(6.6, 0.32 * len(names) + 1.2))
    offsets = np.linspace(-0.18, 0.18, len(groups)) if len(groups) > 1 else [0.0]
    for (group, table), offset, colour in zip(groups.items(), offsets, (RANDOM, SELECTIVE, OTHER, FAINT), strict=False):
        for y, (_, row) in enumerate(table.loc[names].iterrows()):
            draw_line(ax, y + offset, {"estimate": row["value"], **row}, colour)
        ax.plot([], [], "o-", color=colour, label=group)
    if reference is not None:
        ax.axvline(reference, color=FAINT, lw=1)
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel)
    ax.invert_yaxis()
    if len(groups) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


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


def draw_curves(table: pd.DataFrame, xlabel: str, ylabel: str, reference: float | None = None) -> Figure:
    """Draw each column against the index as a thin line, the ends of the highest and lowest named, and their mean."""
    fig, ax = plt.subplots(figsize=(7, 3.4))
    ax.plot(table.index, table, color=FAINT, lw=0.8)
    ax.plot([], [], color=FAINT, lw=0.8, label=f"single {table.columns.name}s ({table.shape[1]})")
    ax.plot(table.index, table.mean(axis=1), "o-", color=INTACT, label="mean")
    last = table.iloc[-1]
    for name in (last.idxmax(), last.idxmin()):
        ax.annotate(name, (table.index[-1], last[name]), xytext=(4, -3), textcoords="offset points", fontsize=9)
    if reference is not None:
        ax.axhline(reference, color=RANDOM, ls="--", lw=1, label="chance")
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=table.index)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def name_points(ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points, moved off the points and each other (adjustText; the same picture every time)."""
    ax.margins(0.08)
    points = ax.scatter(x, y, s=30, alpha=0)  # what names keep clear of
    texts = [ax.text(a, b, name, fontsize=9) for a, b, name in zip(x, y, names, strict=True)]
    line = {"arrowstyle": "-", "color": FAINT, "lw": 0.5}
    force = (0.3, 0.5)
    adjust_text(texts, x, y, points, ax=ax, iter_lim=300, expand=(1.2, 1.6), force_text=force, force_static=force,
                arrowprops=line)  # fmt: skip


def finish(fig: Figure) -> Figure:
    """Close a figure, so that a notebook shows it once, as its cell's value."""
    plt.close(fig)
    return fig


Effect = Mapping[str, float]
PLEASANT = LinearSegmentedColormap.from_list("pleasant", ["#A6611A", "#9A9A9A", "#018571"])
"""From unpleasant to pleasant, each readable on light and on dark."""


def draw_cover(
    people: xr.DataArray,
    model: xr.DataArray,
    valence: xr.DataArray,
    rows: Mapping[str, tuple[str, str, Effect]],
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
    target = map_emotions(rankdata(people) / len(people))
    other = align_map(map_emotions(rankdata(model) / len(model)), target)
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


def spread_points(points: np.ndarray) -> np.ndarray:
    """Positions in -1..1, half way between coordinate and rank."""
    scaled = points / np.abs(points).max(0)
    spread: np.ndarray = (scaled + 2 * (rankdata(points, axis=0) - 1) / (len(points) - 1) - 1) / 2
    return spread


def draw_effects(effects: Mapping[str, Mapping[str, Effect]], editions: Sequence[str], reach: float = 6.0) -> Figure:
    """Draw effects in units of the smallest effect of interest.

    Parameters
    ----------
    effects : dict of title to dict of edition to dict
        ``estimate``, ``low``, ``high``, ``low90``, ``high90``.
    editions : sequence of str
        In the order of colours.
    reach : float
        Where the axis ends at the latest; an interval that goes on ends in an arrow.
    """
    fig, ax = plt.subplots(figsize=(7.2, 0.34 * sum(map(len, effects.values())) + 1.4))
    colours = dict(zip(editions, (RANDOM, OTHER, FAINT, SELECTIVE), strict=False))
    ticks, y = {}, 0.0
    for title, found in effects.items():
        for offset, (edition, effect) in enumerate(found.items()):
            draw_line(ax, y + 0.8 * offset, effect, colours[edition], reach)
        ticks[y + 0.4 * (len(found) - 1)] = title
        y += 0.8 * len(found) + 0.7
    ax.axvspan(-1, 1, color=FAINT, alpha=0.18, lw=0)
    ax.axvline(0, color=INTACT, lw=0.8)
    ax.set(yticks=list(ticks), yticklabels=list(ticks.values()), xlabel="effect / smallest effect that would matter")
    ax.invert_yaxis()
    handles = [plt.Line2D([], [], color=colour, marker="o", lw=2.5, label=edition) for edition, colour in colours.items()]
    ax.legend(handles=handles, ncols=len(handles), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return finish(fig)


def draw_bounds(verdicts: Mapping[str, Mapping[str, tuple[Evidence, float, Side]]], times: float = 4.0) -> Figure:
    """Draw each verdict against its bound: what it would be were the bound smaller or larger.

    Parameters
    ----------
    verdicts : dict of title to dict of edition to (evidence, bound, side)
    times : float
        The bound is changed from one in ``times`` to ``times`` what it is.
    """
    rows = [(title, edition, *given) for title, mine in verdicts.items() for edition, given in mine.items()]
    fig, ax = plt.subplots(figsize=(7.2, 0.3 * len(rows) + 1.4), layout="constrained")
    for y, (_, _, evidence, bound, side) in enumerate(rows):
        turn = (evidence.turns_at(side) or np.inf) / bound
        for left, right in ((1 / times, min(turn, times)), (max(turn, 1 / times), times)):
            if left < right:
                said = evidence.decide(bound * np.sqrt(left * right), side)
                ax.barh(y, right - left, 0.7, left, color=VERDICT_COLOURS.get(said, "white"), edgecolor="white")
    ax.axvline(1, color="black", lw=0.9)
    ticks = [1 / times, 0.5, 1, 2, times]
    ax.set(xscale="log", xlim=(1 / times, times), xlabel="bound / the bound that was argued")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(rows)), [f"{title}, {edition}" for title, edition, *_ in rows])
    ax.invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, fc=c, label=name) for name, c in VERDICT_COLOURS.items()]
    fig.legend(handles=handles, ncols=4, loc="outside lower center")
    return finish(fig)


def draw_judges(with_others: pd.Series, two: np.ndarray) -> Figure:
    """Draw two strips of correlations with their means: each judge with the mean of the others, every two judges.

    Parameters
    ----------
    with_others : Series
        One row a judge (:func:`emonb.analysis.people.compare_judges`).
    two : array, shape (n_judges * (n_judges - 1) / 2,)
        From :func:`emonb.analysis.people.compare_pairs_of_judges`.
    """
    fig, ax = plt.subplots(figsize=(7, 2.2))
    rng = np.random.default_rng(0)  # spreads dots that would cover each other
    strips = {f"a judge and the mean of\nthe others ({len(with_others)} judges)": (with_others.to_numpy(), 0.5, 5.0)}
    strips[f"two judges\n({len(two):,} pairs of judges)"] = (np.asarray(two), 0.12, 3.0)
    for row, (values, alpha, size) in enumerate(strips.values()):
        known = values[~np.isnan(values)]
        ax.plot(known, row + rng.uniform(-0.25, 0.25, len(known)), "o", color=RANDOM, alpha=alpha, ms=size, mew=0)
        if len(known):
            ax.plot([known.mean()] * 2, [row - 0.38, row + 0.38], color=SELECTIVE, lw=3)
            ax.annotate(
                f"{known.mean():.2f}", (known.mean(), row - 0.4), ha="center", va="bottom", color=INTACT, fontsize=9
            )
    ax.set(yticks=range(len(strips)), yticklabels=strips, xlabel="Spearman correlation of judgments", ylim=(1.5, -0.75))
    return finish(fig)


def draw_pair(rdms: Mapping[str, xr.DataArray]) -> Figure:
    """Draw RDMs (pair) side by side as rank percentiles, emotions in the order of the first one's clustering.

    Average linkage, optimally ordered; lines divide the first one's two largest clusters.
    """
    first = next(iter(rdms.values()))
    tree, names = cluster(first.values), np.array(pair_labels(first))
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
        ax.set_xticklabels(names[order], rotation=90, fontsize=9)
        if ax is axes[0, 0]:
            ax.set_yticklabels(names[order], fontsize=9)
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
    fig.legend(loc="outside lower center", ncols=3, fontsize=9)
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
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
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
        "by chance", (1, chance), xycoords=("axes fraction", "data"), xytext=(3, -3), textcoords="offset points", fontsize=9
    )
    first = np.argsort(-common)[:5]
    name_points(
        ax, alike[first], common[first], [f"{names[a]}, {names[b]}" for a, b in zip(i[first], j[first], strict=True)]
    )
    ax.set(xlabel="likeness of two attributes (Kendall tau-b of their RDMs)", ylabel="share of neurons in common")
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
        ax.fill_between(np.arange(1, len(row) + 1), layer, layer - high[row], color=RANDOM, alpha=0.3, lw=0)
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


def draw_lesion_pairs(panels: Mapping[str, tuple[xr.DataArray, xr.DataArray]], baseline: float, xlabel: str) -> Figure:
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
    fig.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=9)
    return finish(fig)


def draw_importance(
    loss: xr.DataArray, importance: xr.DataArray, tests: Mapping[str, pd.DataFrame], xlabel: str, ylabel: str
) -> Figure:
    """Draw loss on importance (attribute), each point named; beside it r at every N with its interval, by kind of loss."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 4.0), layout="constrained", width_ratios=[3, 2])
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
    axes[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)
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


HEADS = {"accuracy": "accuracy", "auc": "AUC", "zero": "silenced to zero", "mean": "mean put in place"}


def draw_network_fits(fits: pd.DataFrame, xlabel: str) -> Figure:
    """Draw fits (columns value, low, high; one row a label), a dot each, with intervals where there are any."""
    fig, ax = plt.subplots(figsize=(6.4, 0.36 * len(fits) + 1.1))
    y = np.arange(len(fits))
    ax.hlines(y, fits["low"], fits["high"], color=INTACT, lw=1.6)
    ax.plot(fits["value"], y, "o", color=INTACT, ms=6)
    ax.axvline(0, color=FAINT, lw=1)
    ax.set(yticks=y, yticklabels=fits.index, xlabel=xlabel, xlim=(min(0.0, *fits.min()) - 0.03, None))
    ax.invert_yaxis()
    return finish(fig)


def draw_masks(masks: pd.DataFrame, intact: pd.DataFrame) -> Figure:
    """Draw performance under every mask, a row a kind, a panel an ablation and measure.

    Parameters
    ----------
    masks : DataFrame
        From :func:`emonb.analysis.ablations.tabulate_masks`.
    intact : DataFrame
        From :func:`emonb.analysis.ablations.find_intact`.
    """
    panels = masks.drop_duplicates(["ablation", "measure"])[["ablation", "measure"]].values.tolist()
    kinds = masks["kind"].drop_duplicates().tolist()
    fig, axes = plt.subplots(1, len(panels), figsize=(2.5 * len(panels), 3.2), sharey=True, squeeze=False)
    for ax, (ablation, measure) in zip(axes[0], panels, strict=True):
        mine = masks[(masks["ablation"] == ablation) & (masks["measure"] == measure)]
        colours = [SELECTIVE if kind == "selective" else RANDOM for kind in kinds]
        sns.stripplot(mine, x="value", y="kind", hue="kind", order=kinds, hue_order=kinds, palette=colours, ax=ax, size=4,
                      alpha=0.6, jitter=0.25, legend=False)  # fmt: skip
        for row, kind in enumerate(kinds):
            median = mine.loc[mine["kind"] == kind, "value"].median()
            ax.plot([median, median], [row - 0.35, row + 0.35], color="black", lw=1.5)
        ax.axvline(intact.loc[ablation, measure], color=INTACT, ls="--", lw=1)
        ax.set(title=f"{HEADS.get(ablation, ablation)}\n{HEADS[measure]}", xlabel="mean over prompts", ylabel="")
        ax.set_yticks(range(len(kinds)), [f"{k.replace('_', ', ')}\n(n = {(mine['kind'] == k).sum()})" for k in kinds])
    return finish(fig)


def draw_doses(doses: pd.DataFrame, intact: float, ylabel: str) -> Figure:
    """Draw performance against dose, and with a mask's neurons only.

    Parameters
    ----------
    doses : DataFrame
        From :func:`emonb.analysis.ablations.summarise_doses`.
    intact : float
    ylabel : str
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    names = doses.index.get_level_values("dose").unique().tolist()
    x = {name: float(name) if name != "only" else 2.6 for name in names}
    kinds = doses.index.get_level_values("kind").unique()
    for kind, aside in zip(kinds, (-0.02, 0.02), strict=False):
        mine, colour = doses.loc[kind], SELECTIVE if kind == "selective" else RANDOM
        at = np.array([x[name] for name in mine.index]) + aside
        ax.errorbar(at, mine["value"], [mine["value"] - mine["low"], mine["high"] - mine["value"]], fmt="o", color=colour,
                    ms=5, lw=1.4, label=f"{kind.replace('_', ', ')} masks")  # fmt: skip
        ax.plot(at[:-1], mine["value"].iloc[:-1], color=colour, lw=1)
    ax.axhline(intact, color=INTACT, ls="--", lw=1, label="intact network")
    ax.axhline(0.5, color=FAINT, lw=1, label="chance")
    ax.set(xlabel="what the mask's neurons are multiplied by", ylabel=ylabel)
    ax.set_xticks(list(x.values()), ["these\nonly" if name == "only" else name for name in names])
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig)


def draw_roc(curves: pd.DataFrame | None) -> Figure:
    """Draw how well scores tell wired neurons from others: a ROC curve an attribute, darker where it weighs more.

    Parameters
    ----------
    curves : DataFrame
        From :attr:`emonb.book.ledger.Grade.curves`; an empty picture where there are none.
    """
    fig, ax = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
    ax.plot([0, 1], [0, 1], "--", color=FAINT, lw=1)
    parts = [] if curves is None else sorted(curves.groupby("attribute"), key=lambda part: -part[1]["importance"].iloc[0])
    for (name, mine), colour in zip(parts, sns.color_palette("cividis", len(parts)), strict=True):
        ax.step(mine["false"], mine["true"], where="post", color=colour, label=f"{name} ({mine['auc'].iloc[0]:.2f})")
    ax.set(xlabel="share of other neurons reached", ylabel="share of wired neurons reached", aspect="equal")
    if parts:
        ax.legend(fontsize=9, loc="lower right", frameon=False)
    return finish(fig)
