"""Pictures to play with, each from a table, with a still one for paper, Jupyter and browsers without scripts.

Every function returns an :class:`Interactive`, which a notebook shows as HTML: a drawing (matplotlib's SVG), the data as
JSON, and room for ``book/_static/interactive.js``, which only pages that show one load. The data are what the book shows
anyway: positions on a map, orders, thirds, means over prompts; never what others released.
"""

import html
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats
from scipy.stats import rankdata

from emonb.analysis.rdm import align_map, map_emotions, order_emotions, pair_labels, to_square
from emonb.book import svg
from emonb.book.claims import Declarations
from emonb.book.figures import FAINT, RANDOM, SELECTIVE, name_points
from emonb.book.ledger import Truths, find_truth
from emonb.book.saying import write_number
from emonb.book.svg import INK
from emonb.book.tables import format_number
from emonb.errors import LabelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


VERDICTS = ("yes", "yes, too small to matter", "no", "undecided", "not tested")


def draw_maps(people: np.ndarray, model: np.ndarray, emotions: Sequence[str]) -> Figure:
    """Draw both maps side by side, each emotion named."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 4.0), layout="constrained")
    for ax, points, title in zip(axes, (people, model), ("people", "model, all layers"), strict=True):
        ax.plot(*points.T, "o", color=RANDOM, ms=4)
        name_points(ax, points[:, 0], points[:, 1], emotions)
        ax.set(title=title, xticks=[], yticks=[])
    return _closed(fig)


def draw_lottery(masks: Mapping[str, xr.DataArray], observed: float, null: np.ndarray) -> Figure:
    """Draw the masks as dots, and the differences of shuffled labels as a histogram with the observed one."""
    fig, (ax, below) = plt.subplots(2, 1, figsize=(6.8, 4.2), layout="constrained", height_ratios=(2, 3))
    for y, (rows, colour) in enumerate(zip(masks.values(), (SELECTIVE, RANDOM), strict=True)):
        ax.plot(rows.values, np.full(rows.size, y), "o", color=colour, alpha=0.6, ms=6, mew=0)
        ax.plot([rows.mean()] * 2, [y - 0.3, y + 0.3], color=colour, lw=2.5)
    labels = [f"{name.replace('_', ', ')} ({rows.size})" for name, rows in masks.items()]
    ax.set(yticks=range(len(masks)), yticklabels=labels, ylim=(-0.6, 1.6), xlabel="recognised under one mask (%)")
    ax.invert_yaxis()
    below.hist(null, bins=31, color=FAINT)
    below.axvline(observed, color=SELECTIVE, lw=2.5)
    beyond = np.mean(np.abs(null) >= abs(observed))
    below.set(xlabel="difference of the means (points)", ylabel=f"of {len(null)} shuffles")
    measured = write_number(f"{observed:+.1f}")
    below.set_title(f"orange: as measured, {measured}; as far or farther by lot: {100 * beyond:.0f} %", fontsize=9)
    return _closed(fig)


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
        ax.set_xlabel(str(name), fontsize=8)
    axes[0, 0].invert_yaxis()
    return _closed(fig)


def draw_worlds(table: pd.DataFrame) -> Figure:
    """Draw, for every claim and world, how many seeds had which verdict, and what is true."""
    claims, worlds = (list(dict.fromkeys(table[name])) for name in ("claim", "world"))
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(claims) + 1.5), layout="constrained")
    for x, world in enumerate(worlds):
        for y, claim in enumerate(claims):
            rows = table[(table["world"] == world) & (table["claim"] == claim)]
            if rows.empty:
                continue
            counts = rows["holds"].value_counts()
            text = ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS if kind in counts)
            truth = rows["truth"].iloc[0]
            short = [holds.partition(",")[0] for holds in rows["holds"]]
            wrong = truth in ("yes", "no") and {"yes": "no", "no": "yes"}[truth] in short
            ax.text(x, y, text, ha="center", va="bottom", fontsize=8, color=SELECTIVE if wrong else INK)
            ax.text(x, y, f"true: {truth}" if truth else "", ha="center", va="top", fontsize=7, color=INK)
    ax.set(xticks=range(len(worlds)), yticks=range(len(claims)), yticklabels=claims)
    ax.set_xticklabels([world.replace("-", "\n", 1) for world in worlds])
    ax.set(xlim=(-0.5, len(worlds) - 0.5), ylim=(len(claims) - 0.5, -0.5))
    ax.tick_params(length=0)
    return _closed(fig)


def _closed(fig: Figure) -> Figure:
    plt.close(fig)
    return fig


MOST = 60_000  # bytes of data a page may hold
NEAREST = 5


class Interactive:
    """A picture that answers, and the still one it replaces.

    Parameters
    ----------
    kind : str
        Which of the script's pictures: ``map``, ``lottery``, ``card`` or ``worlds``.
    data : dict
        What the script draws from; JSON.
    still : Figure
    alt : str
        What the picture shows, for those who do not see it.
    """

    def __init__(self, kind: str, data: dict[str, Any], still: "Figure", alt: str) -> None:
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

    Parameters
    ----------
    people, model : DataArray
        Mean human RDM and the model's over all layers (pair).
    layers : DataArray, optional
        The model's RDM by layer (layer, pair).
    score : DataArray
        (emotion, attribute). Only the third an emotion is in (low, middle, high) is shown.

    Returns
    -------
    Interactive
        Each map is a classical scaling of rank percentiles, the model's rotated onto the people's; positions lie half way
        between coordinate and rank, so that outlying emotions do not squeeze all others into a corner.
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


def mask_lottery(
    accuracy: xr.DataArray,
    comparison: str = "random",
    drawn: Mapping[str, xr.DataArray] | None = None,
    seed: int = 1,
    shuffles: int = 500,
) -> Interactive:
    """Masks as dots; labels shuffled, and the difference counted in prompts or in masks.

    Parameters
    ----------
    accuracy : DataArray
        Accuracy or AUC (kind, attribute, ..., emotion) for one number of neurons, ``selective`` among the kinds; all
        other dimensions (seeds, emotions) are prompts.
    comparison : str
        The kind it is compared with.
    drawn : dict of str to DataArray, optional
        Mean of every single mask of both kinds (attribute, draw), where accuracy is a mean of several draws
        (:func:`emonb.analysis.lesions.mask_means`).
    seed : int
        Of the shuffles in the still picture.
    shuffles : int
        How many these are.

    Returns
    -------
    Interactive
        The difference selective minus comparison in points, its 95 % interval by a paired t over prompts and by Welch's t
        over masks, and its share of label shuffles.
    """
    kinds = {"selective": accuracy.sel(kind="selective"), comparison: accuracy.sel(kind=comparison)}
    prompts = [dim for dim in accuracy.dims if dim not in ("kind", "attribute")]
    drawn = {name: rows.mean(prompts) for name, rows in kinds.items()} if drawn is None else drawn
    masks = {name: 100 * _stack_draws(drawn[name]) for name in kinds}
    ours, others = (rows.values for rows in masks.values())
    paired = 100 * (kinds["selective"] - kinds[comparison]).values.ravel()
    paired = paired[np.isfinite(paired)]
    by_mask = stats.ttest_ind(ours, others, equal_var=False).confidence_interval()
    by_prompt = stats.ttest_1samp(paired, 0).confidence_interval()
    values, observed = np.concatenate([ours, others]), float(ours.mean() - others.mean())
    draws = np.random.default_rng(seed).permuted(np.tile(values, (shuffles, 1)), axis=1)
    null = draws[:, : len(ours)].mean(1) - draws[:, len(ours) :].mean(1)
    data = {
        "kinds": list(kinds),
        "masks": [
            {"kind": name, "name": str(label), "value": round(float(value), 3)}
            for name, rows in masks.items()
            for label, value in zip(rows.attribute.values, rows.values, strict=True)  # several may be of one attribute
        ],
        "counted": {
            "masks": {"n": len(values), "low": round(float(by_mask.low), 3), "high": round(float(by_mask.high), 3)},
            "prompts": {"n": len(paired), "low": round(float(by_prompt.low), 3), "high": round(float(by_prompt.high), 3)},
        },
        "difference": round(observed, 3),
    }
    still = draw_lottery(masks, observed, null)
    return Interactive(
        "lottery", data, still, "Accuracy under each mask as dots, and the difference of the means when labels are shuffled"
    )


def attribute_card(
    score: xr.DataArray,
    numbers: pd.DataFrame,
    layers: xr.DataArray | None = None,
    drop: xr.DataArray | None = None,
    overlap: xr.DataArray | None = None,
) -> Interactive:
    """One attribute at a time: the emotions in order, its numbers, its neurons by layer, what silencing them costs.

    Parameters
    ----------
    score : DataArray
        (emotion, attribute); only the order of the emotions is shown.
    numbers : DataFrame
        One row an attribute, columns as they are headed; numbers, or texts already formatted.
    layers : DataArray, optional
        (attribute, layer), neurons or shares of them.
    drop : DataArray, optional
        (attribute, size), points lost against the comparison masks.
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
            "numbers": [[str(column), _text(numbers.loc[name, column])] for column in numbers.columns],
            "layers": _series(layers, name, "layer"),
            "drop": _series(drop, name, "size"),
            "overlap": _series(overlap, name, "other"),
        }
    data = {"emotions": [str(e) for e in score.emotion.values], "attributes": attributes, "cards": cards}
    return Interactive(
        "card", data, draw_card(numbers), "What was found about each attribute: people, neurons, layers, lesions"
    )


def world_picker(table: pd.DataFrame, worlds: dict[str, str] | None = None) -> Interactive:
    """Verdicts in planted worlds beside what is true there: claims by world seeds, one world at a time.

    Parameters
    ----------
    table : DataFrame
        One row a claim in a world of a seed: ``world``, ``seed``, ``claim``, ``holds`` (a verdict),
        ``truth`` (as verdicts, or empty where there is none) and, if there, ``value``, ``low``, ``high``.
    worlds : dict of str to str, optional
        A sentence about each world.
    """
    needed = ["world", "seed", "claim", "holds", "truth"]
    if missing := set(needed) - set(table.columns):
        raise LabelError(f"a table of verdicts needs columns {', '.join(needed)}; missing: {', '.join(sorted(missing))}")
    numbers = [name for name in ("value", "low", "high") if name in table]
    rows = [
        [*("" if pd.isna(row[name]) else str(row[name]) for name in needed),
         *(None if pd.isna(row[name]) else round(float(row[name]), 4) for name in numbers)]
        for _, row in table.iterrows()
    ]  # fmt: skip
    names = list(dict.fromkeys(str(name) for name in table["world"]))
    data = {"rows": rows, "worlds": [[name, (worlds or {}).get(name, "")] for name in names]}
    return Interactive("worlds", data, draw_worlds(table), "Verdicts on every claim in every kind of planted world")


def verdicts_of(
    trials: Sequence[dict[str, Any]], declared: Declarations, worlds: Mapping[str, str], truths: Truths
) -> pd.DataFrame:
    """Table for :func:`world_picker` from trials (``book/trials.json``) and what is true in their worlds."""
    return pd.DataFrame(
        {
            "world": worlds.get(trial["study"], trial["study"]),
            "seed": trial["seed"],
            "claim": claim.title,
            "holds": entry["holds"],
            "truth": find_truth(claim, trial["study"], truths) or "",
            **{key: entry[key] for key in ("value", "low", "high") if key in entry},
        }
        for trial in trials
        for claim in declared.claims
        if (entry := trial["claims"].get(claim.id))
    )


def _stack_draws(rows: xr.DataArray) -> xr.DataArray:
    """Masks in a row (attribute), those that were not drawn left out."""
    if "draw" not in rows.dims:
        return rows.dropna("attribute")
    several = rows.stack(mask=("attribute", "draw"), create_index=False).dropna("mask")
    return several.drop_vars("draw").rename(mask="row")


def _positions(points: np.ndarray) -> list[list[float]]:
    scaled = points / np.abs(points).max(0)
    scaled = (scaled + 2 * (rankdata(points, axis=0) - 1) / (len(points) - 1) - 1) / 2
    return [[round(float(x), 3), round(float(y), 3)] for x, y in scaled]


def _nearest(rdm: xr.DataArray) -> list[list[int]]:
    square = to_square(np.asarray(rdm))
    np.fill_diagonal(square, np.inf)
    return np.argsort(square, axis=1, kind="stable")[:, :NEAREST].tolist()


def _series(values: xr.DataArray | None, name: str, dim: str) -> list[list[Any]]:
    if values is None:
        return []
    row = values.sel(attribute=name)
    return [[str(k), None if np.isnan(v) else round(float(v), 4)] for k, v in zip(row[dim].values, row.values, strict=True)]


def _text(value: Any) -> str:
    return format_number(value, 3)
