"""Figures of the people: how far judges agree."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emonb.book.figures import INTACT, RANDOM, SELECTIVE, finish


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
