"""Figures of the page that compares two networks."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emonb.book.figures import FAINT, INTACT, RANDOM, SELECTIVE, finish

HEADS = {"accuracy": "accuracy", "auc": "AUC", "zero": "silenced to zero", "mean": "mean put in place"}


def draw_fits(fits: pd.DataFrame, xlabel: str) -> Figure:
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
