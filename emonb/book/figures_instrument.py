"""Figures of the instrument: verdicts in planted worlds, and power in simulated studies."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, RANDOM, SELECTIVE, VERDICT_COLOURS, finish
from emonb.book.instrument import NOMINAL, YES
from emonb.book.verdict import ALPHA

COLOURS = {**VERDICT_COLOURS, "not tested": "#FFFFFF", "not run": "#FFFFFF"}
_HATCHES = {"not tested": "////", "not run": "...."}
_MARKS = {"yes": "true", "yes, too small to matter": "true, too small", "no": "false", "": "no truth"}


def draw_worlds(table: pd.DataFrame, titles: Mapping[str, str], worlds: Mapping[str, str]) -> Figure:
    """Draw claims x worlds: in each cell a bar of the shares of verdicts, and what is true.

    Parameters
    ----------
    table : DataFrame
        From :func:`emonb.book.instrument.tally`.
    titles : dict of str to str
        Claim -> its title, from the top.
    worlds : dict of str to str
        World -> what its column is called.
    """
    fig, ax = plt.subplots(figsize=(0.92 * len(worlds) + 2.4, 0.56 * len(titles) + 1.5))
    for x, world in enumerate(worlds):
        for y, claim in enumerate(titles):
            cell = table.loc[(claim, world)]
            _draw_cell(ax, x, y, {name: int(cell[name]) for name in COLOURS if cell[name]})
            mark = _MARKS[cell["truth"]]
            if cell["truth"] == "yes" and pd.notna(cell["true"]):
                mark = f"true of {cell['true']:.0f}"
            ax.text(x + 0.5, y - 0.36, mark, ha="center", va="center", fontsize=8.5, color="#444444")
    ax.set(xlim=(0, len(worlds)), ylim=(len(titles) - 0.4, -0.6))
    ax.set_yticks(range(len(titles)), list(titles.values()))
    ax.set_xticks([x + 0.5 for x in range(len(worlds))], list(worlds.values()))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)
    handles = [
        plt.Rectangle((0, 0), 1, 1, fc=colour, ec=FAINT, hatch=_HATCHES.get(name, ""), label=name)
        for name, colour in COLOURS.items()
    ]
    ax.legend(handles=handles, ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.01))
    return finish(fig)


def _draw_cell(ax: Axes, x: float, y: float, counts: Mapping[str, int]) -> None:
    left, total = x + 0.06, max(1, sum(counts.values()))
    for name, count in counts.items():
        width, blank = 0.88 * count / total, name in _HATCHES
        edge = FAINT if blank else "white"
        ax.barh(y, width, 0.5, left, color=COLOURS[name], edgecolor=edge, hatch=_HATCHES.get(name, ""), lw=0.5)
        if not blank:
            colour = "white" if name == "yes" else "black"
            ax.text(left + width / 2, y, str(count), ha="center", va="center", fontsize=8.6, color=colour)
        left += width


def draw_power(rates: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw how often the rule says yes, by planted strength: a panel a claim.

    Parameters
    ----------
    rates : DataFrame
        From :func:`emonb.book.instrument.read_rates`.
    titles : dict of str to str
        Claim -> title of its panel.
    """
    columns = 4
    rows = -(-(len(titles) + 1) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(9.6, 2.5 * rows), sharex=True, sharey=True)
    hues = dict(zip((0.0, 0.5, 0.9), sns.color_palette("colorblind", 3), strict=True))
    styles = {1: "-", 4: "--", 28: ":"}
    for ax, (claim, title) in zip(axes.flat, titles.items(), strict=False):
        mine = rates[(rates["claim"] == claim) & (rates["kind"] == "")]
        for (correlation, draws), line in mine.groupby(["correlation", "draws"]):
            line = line.sort_values("strength")
            share = line[list(YES)].sum(axis=1) / line["n"]
            ax.plot(line["strength"], share, styles[draws], color=hues[correlation], marker="o", ms=3.5)
        at = rates[(rates["claim"] == claim) & (rates["kind"] == "bound")]["strength"]
        for strength in at:
            ax.axvline(strength, color=FAINT, lw=0.8)
        ax.axhline(NOMINAL, color=FAINT, lw=0.8, ls="--")
        ax.set_title(title, fontsize=9)
        ax.set(ylim=(-0.02, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
    for ax in axes.flat[len(titles) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("planted strength")
    for ax in axes[:, 0]:
        ax.set_ylabel("share judged yes")
    handles = [plt.Line2D([], [], color=c, marker="o", ms=4, label=f"shared variance {r:g}") for r, c in hues.items()]
    handles += [plt.Line2D([], [], color="black", ls=s, label=f"masks a cell: {m}") for m, s in styles.items()]
    handles.append(plt.Line2D([], [], color=FAINT, label="effect at the bound"))
    axes.flat[-1].legend(handles=handles, loc="center")
    return finish(fig)


def draw_alarms(errors: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw how often each claim's test says yes of nothing, with exact intervals; orange: beyond .05 with all of it.

    Parameters
    ----------
    errors : DataFrame
        From :func:`emonb.book.instrument.count_errors`; may be empty.
    titles : dict of str to str
        Claim -> its title, from the top.
    """
    fig, ax = plt.subplots(figsize=(7.2, 0.62 * len(titles) + 1.0))
    marks = {"simulated": "o", "planted": "D"}
    for y, claim in enumerate(titles):
        mine = errors[(errors["claim"] == claim) & (errors["error"] == "false alarm")]
        shifts = np.linspace(-0.38, 0.38, len(mine) + 2)[1:-1]
        for shift, cell in zip(shifts, mine.itertuples(), strict=True):
            colour = SELECTIVE if cell.low > ALPHA else RANDOM
            ax.plot([cell.low, cell.high], [y + shift] * 2, color=colour, lw=0.8)
            ax.plot(cell.k / cell.n, y + shift, marks[cell.source], color=colour, ms=3.2)
        ax.axhline(y + 0.5, color=FAINT, lw=0.4)
    for level, style in ((NOMINAL, ":"), (ALPHA, "--")):
        ax.axvline(level, color=FAINT, lw=0.9, ls=style)
    ax.set_yticks(range(len(titles)), list(titles.values()))
    alarms = errors[errors["error"] == "false alarm"]
    right = max(0.35, 1.05 * float((alarms["k"] / alarms["n"]).max() if len(alarms) else 0))
    ax.set(xlim=(0, right), ylim=(len(titles) - 0.4, -0.6), xlabel="share judged yes where nothing is there")
    handles = [plt.Line2D([], [], color=RANDOM, marker=m, lw=0.8, ms=4, label=name) for name, m in marks.items()]
    ax.legend(handles=handles, loc="lower right")
    return finish(fig)


def draw_roc(curves: pd.DataFrame | None) -> Figure:
    """Draw how well scores tell wired neurons from others: a ROC curve an attribute, darker where it weighs more.

    Parameters
    ----------
    curves : DataFrame
        From :attr:`emonb.book.truth.Grade.curves`; an empty picture where there are none.
    """
    fig, ax = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
    ax.plot([0, 1], [0, 1], "--", color=FAINT, lw=1)
    parts = [] if curves is None else sorted(curves.groupby("attribute"), key=lambda part: -part[1]["importance"].iloc[0])
    for (name, mine), colour in zip(parts, sns.color_palette("cividis", len(parts)), strict=True):
        ax.step(mine["false"], mine["true"], where="post", color=colour, label=f"{name} ({mine['auc'].iloc[0]:.2f})")
    ax.set(xlabel="share of other neurons reached", ylabel="share of wired neurons reached", aspect="equal")
    if parts:
        ax.legend(fontsize=8, loc="lower right", frameon=False)
    return finish(fig)
