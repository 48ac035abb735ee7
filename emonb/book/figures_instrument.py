"""Figures of the instrument: verdicts in planted worlds, and power in simulated studies."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, RANDOM, SELECTIVE, finish
from emonb.book.instrument import NOMINAL

COLOURS = {"yes": "#0072B2", "undecided": "#D9D9D9", "no": "#E69F00", "not tested": "#FFFFFF", "not run": "#FFFFFF"}
_MARKS = {"yes": "true", "no": "false", "attributes": "", "": "no truth"}


def draw_worlds(table: pd.DataFrame, titles: Sequence[str], worlds: Mapping[str, str]) -> Figure:
    """Draw claims x worlds: in each cell a bar of the shares of verdicts, and what is true.

    Parameters
    ----------
    table : DataFrame
        From :func:`emonb.book.instrument.tally`.
    titles : sequence of str
        Claims, from the top.
    worlds : dict of str to str
        World -> what its column is called.
    """
    fig, ax = plt.subplots(figsize=(0.92 * len(worlds) + 2.4, 0.5 * len(titles) + 1.5))
    for x, world in enumerate(worlds):
        for y, title in enumerate(titles):
            cell = table.loc[(title, world)]
            shown = {name: int(cell[name]) for name in COLOURS if cell[name]}
            left, total = x + 0.06, max(1, sum(shown.values()))
            for name, count in shown.items():
                width, blank = 0.88 * count / total, name in ("not tested", "not run")
                hatch = {"not tested": "////", "not run": "...."}.get(name, "")
                edge = FAINT if blank else "white"
                ax.barh(y, width, 0.5, left, color=COLOURS[name], edgecolor=edge, hatch=hatch, lw=0.5)
                if not blank:
                    dark = name == "yes"
                    ax.text(
                        left + width / 2,
                        y,
                        str(count),
                        ha="center",
                        va="center",
                        fontsize=8.6,
                        color="white" if dark else "black",
                    )
                left += width
            mark = _MARKS[cell["truth"]] if shown else "none there"
            ax.text(x + 0.5, y - 0.36, mark, ha="center", va="center", fontsize=8.5, color="#444444")
    ax.set(xlim=(0, len(worlds)), ylim=(len(titles) - 0.4, -0.6), yticks=range(len(titles)), yticklabels=titles)
    ax.set_xticks([x + 0.5 for x in range(len(worlds))], list(worlds.values()))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)
    handles = [
        plt.Rectangle((0, 0), 1, 1, fc=c, ec=FAINT, hatch={"not tested": "////", "not run": "...."}.get(n, ""), label=n)
        for n, c in COLOURS.items()
    ]
    ax.legend(handles=handles, ncols=5, loc="upper center", bbox_to_anchor=(0.45, -0.01))
    return finish(fig)


def draw_power(rates: pd.DataFrame, titles: Mapping[str, str], disputed: Mapping[str, float]) -> Figure:
    """Draw how often the rule says yes and no, by planted strength: a panel a claim.

    Parameters
    ----------
    rates : DataFrame
        From :func:`emonb.book.instrument.read_rates`.
    titles : dict of str to str
        Claim -> title of its panel.
    disputed : dict of str to float
        Claim -> strength that is marked in its panel.
    """
    columns = 4
    fig, axes = plt.subplots(
        -(-len(titles) // columns), columns, figsize=(9.6, 2.5 * -(-len(titles) // columns)), sharex=True, sharey=True
    )
    hues = dict(zip((0.0, 0.5, 0.9), sns.color_palette("colorblind", 3), strict=True))
    styles = {1: "-", 4: "--", 28: ":"}
    for ax, (claim, title) in zip(axes.flat, titles.items(), strict=False):
        mine = rates[(rates["claim"] == claim) & ~rates["silent"].astype(bool) & ~rates["lot"].astype(bool)]
        for (correlation, draws), line in mine.groupby(["correlation", "draws"]):
            line = line.sort_values("strength")
            ax.plot(line["strength"], line["yes_rate"], styles[draws], color=hues[correlation], marker="o", ms=3.5)
            ax.fill_between(line["strength"], line["yes_low"], line["yes_high"], color=hues[correlation], alpha=0.12, lw=0)
        ax.axhline(NOMINAL, color=FAINT, lw=0.8, ls="--")
        if claim in disputed:
            ax.axvline(disputed[claim], color=FAINT, lw=0.8)
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
    axes.flat[-1].legend(handles=handles, loc="center")
    return finish(fig)


def draw_alarms(alarms: pd.DataFrame) -> Figure:
    """Draw rates with their exact intervals, the cells of a claim in one row, and the nominal rate.

    Parameters
    ----------
    alarms : DataFrame
        From :func:`emonb.book.instrument.false_alarms`; may be empty.
    """
    rows = list(dict.fromkeys(alarms.index))
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * max(len(rows), 4) + 1.0))
    for y, name in enumerate(rows):
        mine = alarms.loc[[name]]
        for shift, cell in zip(
            np.linspace(-0.32, 0.32, len(mine)) if len(mine) > 1 else [0], mine.itertuples(), strict=True
        ):
            colour = SELECTIVE if cell.over else RANDOM
            ax.plot([cell.low, cell.high], [y + shift] * 2, color=colour, lw=1)
            ax.plot(cell.value, y + shift, "o", color=colour, ms=3.2)
        ax.axhline(y + 0.5, color=FAINT, lw=0.4)
    ax.axvline(NOMINAL, color=FAINT, lw=0.9, ls="--")
    ax.set(yticks=range(len(rows)), yticklabels=rows, xlim=(0, 0.6), xlabel="share of simulated studies judged yes")
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
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
