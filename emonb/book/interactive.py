"""Pictures to play with, each from a table, with a still one for paper, Jupyter and browsers without scripts.

Every function returns an :class:`Interactive`, which a notebook shows as HTML: a drawing (matplotlib's SVG), the data as
JSON, and room for ``book/_static/interactive.js``, which only pages that show one load. The data are what the book shows
anyway: positions on a map, orders, thirds, means over prompts; never what others released.
"""

import html
import io
import json
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats
from scipy.stats import rankdata

from emonb.analysis.rdm import align_map, map_emotions, order_emotions, pair_labels, to_square
from emonb.book import svg
from emonb.book.figures import FAINT, RANDOM, SELECTIVE, finish, name_points, spread_points
from emonb.book.svg import INK
from emonb.book.tables import format_number
from emonb.errors import LabelError

MOST = 60_000  # bytes of data a page may hold
NEAREST = 5


def draw_maps(people: np.ndarray, model: np.ndarray, emotions: Sequence[str]) -> Figure:
    """Draw both maps side by side, each emotion named."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 4.0), layout="constrained")
    for ax, points, title in zip(axes, (people, model), ("people", "model, all layers"), strict=True):
        ax.plot(*points.T, "o", color=RANDOM, ms=4)
        name_points(ax, points[:, 0], points[:, 1], emotions)
        ax.set(title=title, xticks=[], yticks=[])
    return finish(fig)


def draw_count(cells: xr.DataArray, units: Sequence[dict[str, Any]]) -> Figure:
    """Draw one dot an attribute and emotion, a column an attribute, and the mean with its interval in every unit."""
    fig, (ax, beside) = plt.subplots(1, 2, figsize=(7.2, 4.2), sharey=True, width_ratios=(5, 2), layout="constrained")
    for x, row in enumerate(cells.values):
        ax.plot(np.full(row.size, x), row, "o", color=RANDOM, ms=4, mew=0, alpha=0.45)
        ax.plot(x, row.mean(), "o", color=SELECTIVE, ms=7, mec="white")
    ax.set_xticks(range(len(cells)), cells.attribute.values, rotation=90)
    ax.set(ylabel="points lost more than with random neurons")
    for x, unit in enumerate(units):
        mean = float(cells.mean())
        half = unit["t"] * np.sqrt((unit["squares"] / unit["n"] - mean**2) / (unit["n"] - 1))
        beside.errorbar(x, mean, half, fmt="o", color=INK, lw=2, capsize=4)
    beside.set_xticks(range(len(units)), [f"{unit['n']:,} {unit['name']}" for unit in units], rotation=90)
    beside.set(xlim=(-0.6, len(units) - 0.4))
    for axis in (ax, beside):
        axis.axhline(0, color=FAINT, lw=0.8)
    return finish(fig)


def draw_card(numbers: pd.DataFrame) -> Figure:
    """Draw every numeric column of a table as a panel of dots, one row an attribute."""
    shown = numbers.apply(pd.to_numeric, errors="coerce").dropna(axis="columns", how="all").iloc[:, :4]
    columns = max(1, shown.shape[1])
    fig, axes = plt.subplots(
        1, columns, figsize=(7.2, 0.26 * len(numbers) + 1.1), sharey=True, layout="constrained", squeeze=False
    )
    for ax, name in zip(axes[0], shown.columns, strict=False):
        ax.plot(shown[name], range(len(shown)), "o", color=RANDOM, ms=5)
        ax.axvline(0, color=FAINT, lw=0.8)
        ax.set(yticks=range(len(shown)), yticklabels=numbers.index)
        ax.set_xlabel(str(name), fontsize=9.5)
    axes[0, 0].invert_yaxis()
    return finish(fig)


class Interactive:
    """A picture that answers, and the still one it replaces.

    ``kind`` is which of the script's pictures, ``map``, ``count`` or ``card``; ``data``, what the script draws from (JSON);
    ``alt``, what the picture shows, for those who do not see it.
    """

    def __init__(self, kind: str, data: dict[str, Any], still: Figure, alt: str) -> None:
        self.kind, self.data, self.still, self.alt = kind, data, still, alt

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        drawn = io.StringIO()
        self.still.savefig(drawn, format="svg", metadata={"Date": None}, bbox_inches="tight")
        picture = svg.put_on_page(drawn.getvalue(), f"{self.kind}-", self.alt)
        text = json.dumps(self.data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
        return (
            f'<div class="interactive" data-interactive="{self.kind}" data-alt="{html.escape(self.alt)}">'
            f'<div class="still">{picture}</div><div class="stage"></div>'
            f'<script type="application/json">{text}</script></div>'
            f'<p class="interactive-caption"><i>To play with.</i> {html.escape(self.alt)}.</p>'
        )


def emotion_map(people: xr.DataArray, model: xr.DataArray, layers: xr.DataArray | None, score: xr.DataArray) -> Interactive:
    """Maps of the emotions by people and by the model: neighbours of each, colour by attribute, layer by layer.

    Each map is a classical scaling of rank percentiles, the model's rotated onto the people's; positions lie half way
    between coordinate and rank, so that outlying emotions do not squeeze all others into a corner.

    Parameters
    ----------
    people, model : DataArray
        Mean human RDM and the model's over all layers (pair).
    layers : DataArray, optional
        The model's RDM by layer (layer, pair).
    score : DataArray
        (emotion, attribute). Only the third an emotion is in (low, middle, high) is shown.
    """
    score, emotions = order_emotions(score, people), pair_labels(people)
    if pair_labels(model) != emotions:
        raise LabelError("people's RDM and the model's are of different emotions, or have them in another order")
    target = map_emotions(rankdata(people) / len(people))
    views = {"all": model} | ({} if layers is None else {str(k): layers.sel(layer=k) for k in layers.layer.values})
    drawn = {name: align_map(map_emotions(rankdata(rdm) / len(rdm)), target) for name, rdm in views.items()}
    thirds = np.ceil(3 * rankdata(score.values, axis=0) / len(emotions)) - 1
    data = {
        "emotions": emotions,
        "attributes": [str(name) for name in score.attribute.values],
        "thirds": thirds.astype(int).T.tolist(),
        "people": _positions(target),
        "model": {name: _positions(points) for name, points in drawn.items()},
        "near": {"people": _nearest(people)} | {name: _nearest(rdm) for name, rdm in views.items()},
    }
    still = draw_maps(target, drawn["all"], emotions)
    return Interactive(
        "map", data, still, "Two maps of the emotions side by side, from people's judgments and from the model"
    )


def count_units(accuracy: xr.DataArray, comparison: str = "random") -> Interactive:
    """What do you count? One difference in prompts, in emotions, in attributes; and studies in which a coin chose the sets.

    Shown are points that own sets cost more than the comparison's, and of each unit: how many, the sum of squares, and the
    two-sided .05 quantile of Student's t, by which mean and interval follow for every choice of signs.

    Parameters
    ----------
    accuracy : DataArray
        Accuracy or AUC (kind, attribute, emotion, ...) for one number of neurons, ``selective`` among the kinds; what
        varies over other dimensions (seeds) is another prompt.
    comparison : str
        The kind it is compared with.
    """
    more = 100 * (accuracy.sel(kind=comparison) - accuracy.sel(kind="selective", drop=True)).dropna("attribute", how="all")
    cells = more.mean([dim for dim in more.dims if dim not in ("attribute", "emotion")]).transpose("attribute", "emotion")
    counted = {"prompts": more, "emotions by attribute": cells, "attributes": cells.mean("emotion")}
    units = []
    for name, values in counted.items():
        n = int(values.count())
        squares, quantile = float((values**2).sum()), float(stats.t.ppf(0.975, n - 1))
        units.append({"name": name, "n": n, "squares": round(squares, 3), "t": round(quantile, 4)})
    data = {
        "attributes": [str(name) for name in cells.attribute.values],
        "emotions": [str(name) for name in cells.emotion.values],
        "more": cells.round(3).values.tolist(),
        "units": units,
    }
    return Interactive(
        "count",
        data,
        draw_count(cells, units),
        "What attributes' neurons cost more than random ones, counted three ways",
    )


def attribute_card(
    score: xr.DataArray,
    numbers: pd.DataFrame,
    layers: xr.DataArray | None = None,
    overlap: xr.DataArray | None = None,
) -> Interactive:
    """One attribute at a time: the emotions in order, its numbers, its neurons by layer, what it shares with others.

    Parameters
    ----------
    score : DataArray
        (emotion, attribute); only the order of the emotions is shown.
    numbers : DataFrame
        One row an attribute, columns as they are headed; numbers, or texts already formatted.
    layers : DataArray, optional
        (attribute, layer), neurons or shares of them.
    overlap : DataArray, optional
        (attribute, other), share of neurons that two attributes have in common.
    """
    attributes = [str(name) for name in numbers.index]
    if missing := set(attributes) - {str(name) for name in score.attribute.values}:
        raise LabelError(f"no scores of {', '.join(sorted(missing))}")
    cards = {}
    for name in attributes:
        order = np.argsort(-score.sel(attribute=name).values, kind="stable")
        cards[name] = {
            "order": [int(k) for k in order],
            "numbers": [[str(column), format_number(numbers.loc[name, column], 3)] for column in numbers.columns],
            "layers": _series(layers, name, "layer"),
            "overlap": _series(overlap, name, "other"),
        }
    data = {"emotions": [str(e) for e in score.emotion.values], "attributes": attributes, "cards": cards}
    return Interactive("card", data, draw_card(numbers), "What was found about each attribute: people, neurons, layers")


def _positions(points: np.ndarray) -> list[list[float]]:
    return [[round(float(x), 3), round(float(y), 3)] for x, y in spread_points(points)]


def _nearest(rdm: xr.DataArray) -> list[list[int]]:
    square = to_square(np.asarray(rdm))
    np.fill_diagonal(square, np.inf)
    return np.argsort(square, axis=1, kind="stable")[:, :NEAREST].tolist()


def _series(values: xr.DataArray | None, name: str, dim: str) -> list[list[Any]]:
    if values is None:
        return []
    row = values.sel(attribute=name)
    return [[str(k), None if np.isnan(v) else round(float(v), 4)] for k, v in zip(row[dim].values, row.values, strict=True)]
