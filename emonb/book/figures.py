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
from scipy.cluster.hierarchy import fcluster, leaves_list
from scipy.stats import rankdata

from emonb.analysis.rdm import align_map, cluster, map_emotions, pair_labels, to_square, varies
from emonb.book import svg
from emonb.book.cards import Entry, Ledgers, read_evidence
from emonb.book.claims import Claim, Declarations
from emonb.book.networks import NAMES
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


def draw_intervals(
    groups: Mapping[str, pd.DataFrame], xlabel: str, zero: float = 0.0, mark: tuple[float, str] | None = None
) -> Figure:
    """Draw estimates with intervals (columns value or rho, low, high), a row a label, a colour a group.

    A row may be in one group only. A dashed line marks a number that rows are to be compared with, and what it is.
    """
    names = list(dict.fromkeys(name for table in groups.values() for name in table.index))
    fig, ax = plt.subplots(figsize=(6.8, 0.34 * len(names) + 1.3))
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
Effect = Mapping[str, float]
PLEASANT = LinearSegmentedColormap.from_list("pleasant", ["#A6611A", "#9A9A9A", "#018571"])
"""From unpleasant to pleasant, each readable on light and on dark."""


def draw_cover(
    people: xr.DataArray, model: xr.DataArray, valence: xr.DataArray, rows: Mapping[str, tuple[str, str, Effect]]
) -> Figure:
    """Draw people's map over the network's, the same emotions joined, and below them what stands of each claim.

    Each map is a classical scaling of rank percentiles, the network's turned onto the people's, both so that pleasantness
    runs from left to right. ``rows`` has of each claim, by title, verdict and estimate in words, and its effect in units
    of the smallest that would matter (:func:`draw_line`), empty where there is no interval.
    """
    names = pair_labels(people)
    pleasant = valence.sel(emotion=names).values
    target = map_emotions(rankdata(people) / len(people))
    other = align_map(map_emotions(rankdata(model) / len(model)), target)
    slope = np.linalg.lstsq(target - target.mean(0), pleasant - pleasant.mean(), rcond=None)[0]
    axis = slope / np.hypot(*slope)
    turned = [points @ np.array([axis, [-axis[1], axis[0]]]).T for points in (target, other)]
    upper, lower = ((spread_points(points) + [0, level]) for points, level in zip(turned, (2.6, 0), strict=True))
    fig, (ax, below) = plt.subplots(2, 1, figsize=(7.2, 8.2), height_ratios=(5, 1.8))
    ax.set_position([0, 0.28, 1, 0.72])
    below.set_position([0.15, 0.06, 0.34, 0.2])
    colours = PLEASANT(rankdata(pleasant) / len(names))
    for (x, y), (x2, y2), colour in zip(upper, lower, colours, strict=True):
        ax.plot([x, x2], [y, y2], color=colour, lw=1.1, alpha=0.7, zorder=1)
    for points, title in ((upper, "People"), (lower, "RoBERTa")):
        ax.scatter(*points.T, s=42, c=colours, edgecolor="white", lw=0.8, zorder=3)
        where = {"transform": ax.get_yaxis_transform(), "fontsize": 13, "fontweight": "bold"}
        ax.text(0.005, points[:, 1].max() + 0.1, title, **where)
    both = np.concatenate([upper, lower])
    name_points(ax, both[:, 0], both[:, 1], [*names, *names])
    ax.axis("off")
    for y, (title, (verdict, estimate, effect)) in enumerate(rows.items()):
        below.text(-2.2, y, title, ha="right", va="center", fontsize=10)
        below.text(6.3, y - 0.2, verdict, va="center", fontsize=10, fontweight="bold")
        below.text(6.3, y + 0.22, estimate, va="center", fontsize=9)
        if effect:
            draw_line(below, y, effect, RANDOM, 6)
        else:
            below.text(1.2, y, "a count, from below only", va="center", fontsize=9, style="italic")
    below.axvspan(-1, 1, color=FAINT, alpha=0.18, lw=0)
    below.axvline(0, color=INTACT, lw=0.8)
    below.set(xlim=(-2, 6), ylim=(len(rows) - 0.4, -0.6), yticks=[], xlabel="effect / smallest that would matter")
    below.spines["left"].set_visible(False)
    return finish(fig)


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
        square = to_square(percentiles(rdm))[np.ix_(order, order)]
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


def draw_lesion_pairs(panels: Mapping[str, tuple[xr.DataArray, xr.DataArray]], baseline: float, xlabel: str) -> Figure:
    """Draw an attribute's own mask beside its random masks, one row an attribute, one panel a choice of sizes.

    A panel's masks are (attribute,) and (attribute, draw). Shaded: mean of the random masks and one standard deviation.
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


def draw_specifications(curves: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw every claim's effect under every combination of choices, sorted, with its 95 % interval; orange where it passes.

    ``curves`` has the columns ``claim``, ``value``, ``low``, ``high``, ``passes``; ``titles`` say of a claim, in two
    lines, what its panel is called and the unit of its effect.
    """
    across = 3
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


HEADS = {"accuracy": "accuracy", "auc": "AUC", "zero": "silenced to zero", "mean": "mean put in place"}


def draw_masks(masks: pd.DataFrame, intact: pd.DataFrame) -> Figure:
    """Draw performance under every mask, a row a kind, a panel an ablation and measure (``ablations.tabulate_masks``)."""
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
