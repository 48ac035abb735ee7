"""Figures of the chapter on attributes: how far neurons beat chance, two profiles, the best by chance, shared neurons."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish, name_points
from emonb.book.verdict import Evidence

_LOOKS = {
    "yes": (SELECTIVE, "o", "beyond chance"),
    "undecided": (FAINT, "D", "undecided"),
    "no": (RANDOM, "X", "smaller than what would matter"),
}


def draw_verdicts(effects: Mapping[str, pd.DataFrame], smallest: float, xlabel: str) -> Figure:
    """Draw effects of attributes side by side, thin: 95 % interval, thick: 90 %, and the verdict by colour and marker.

    Parameters
    ----------
    effects : dict of title to DataFrame
        Columns value, low, high, low90, high90 and p (two-sided); one row an attribute, the same in all, drawn in the order
        of the first one's values.
    smallest : float
        Smallest effect of interest.
    xlabel : str
    """
    order = next(iter(effects.values()))["value"].sort_values(ascending=False, na_position="last").index
    fig, axes = plt.subplots(
        1,
        len(effects),
        figsize=(4.1 * len(effects), 0.29 * len(order) + 1.5),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for ax, (title, table) in zip(np.atleast_1d(axes), effects.items(), strict=True):
        ax.axvline(0, color=INTACT, lw=0.9)
        ax.axvline(smallest, color=FAINT, lw=1, ls="--")
        for y, row in enumerate(table.loc[order].itertuples()):
            evidence = Evidence(*(getattr(row, name) for name in Evidence._fields))
            if (verdict := evidence.decide(smallest)) == "not tested":
                ax.text(0, y, " not defined", va="center", fontsize=7.5, color=FAINT)
                continue
            colour, marker, _ = _LOOKS[verdict.partition(",")[0]]
            ax.plot([row.low, row.high], [y, y], color=colour, lw=1.1)
            ax.plot([row.low90, row.high90], [y, y], color=colour, lw=3)
            ax.plot(row.value, y, marker, color=colour, ms=7, mec="white")
        ax.set_title(title, fontsize=10)
        ax.set(yticks=range(len(order)), yticklabels=order, xlabel=xlabel)
    np.atleast_1d(axes)[0].invert_yaxis()
    handles = [
        plt.Line2D([], [], color=c, marker=m, lw=2, ms=7, mec="white", label=label) for c, m, label in _LOOKS.values()
    ]
    handles.append(plt.Line2D([], [], color=FAINT, lw=1, ls="--", label="smallest effect that would matter"))
    fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
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
