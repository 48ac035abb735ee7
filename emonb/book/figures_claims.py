"""Figures of claims: all effects on one axis, and every verdict against its bound."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, VERDICT_COLOURS, finish
from emonb.book.verdict import Evidence, Side

Effect = Mapping[str, float]


def draw_effects(effects: Mapping[str, Mapping[str, Effect]], editions: Sequence[str], reach: float = 6.0) -> Figure:
    """Draw effects in units of the smallest effect of interest; thin: 95 % interval, thick: 90 %.

    Parameters
    ----------
    effects : dict of title to dict of edition to dict
        ``estimate``, ``low``, ``high``, ``low90``, ``high90``.
    editions : sequence of str
        In the order of colours.
    reach : float
        Where the axis ends at the latest; an interval that goes on ends in an arrow.
    """
    fig, ax = plt.subplots(figsize=(7.6, 0.34 * sum(map(len, effects.values())) + 1.4))
    colours = dict(zip(editions, sns.color_palette("colorblind", len(editions)), strict=True))
    ticks, y = {}, 0.0
    for title, found in effects.items():
        for offset, (edition, effect) in enumerate(found.items()):
            row, colour = y + 0.8 * offset, colours[edition]
            low, high = np.clip([effect["low"], effect["high"]], -reach, reach)
            ax.plot([low, high], [row, row], color=colour, lw=1.2)
            ax.plot(np.clip([effect["low90"], effect["high90"]], -reach, reach), [row, row], color=colour, lw=3.5)
            ax.plot(np.clip(effect["estimate"], -reach, reach), row, "o", color=colour, ms=6.5, mec="white")
            for end, beyond in ((high, effect["high"] > reach), (low, effect["low"] < -reach)):
                if beyond:
                    ax.plot(end, row, ">" if end > 0 else "<", color=colour, ms=5)
        ticks[y + 0.4 * (len(found) - 1)] = title
        y += 0.8 * len(found) + 0.7
    ax.axvspan(-1, 1, color=FAINT, alpha=0.18, lw=0)
    ax.axvline(0, color="black", lw=0.8)
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
    fig, ax = plt.subplots(figsize=(7.6, 0.3 * len(rows) + 1.4), layout="constrained")
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
