"""Figures show what they are given, in the corner cases too."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import prompts
from emonb.analysis.prompts import mean_accuracy, not_learned
from emonb.book import figures


def test_a_best_neuron_is_marked_in_its_layer_at_the_height_of_the_masks_that_hold_it() -> None:
    rng = np.random.default_rng(0)
    coords = {"attribute": ["a", "b", "c"], "layer": [1, 2], "neuron": range(50)}
    mask = xr.DataArray(rng.random((3, 2, 50)) < 0.4, coords)
    score = xr.DataArray(rng.normal(size=(3, 2, 50)), coords)
    score[2] = np.nan  # follows nothing, and has no best neuron
    ax = figures.draw_places(mask, score).axes[0]
    marks = dict(zip(*(np.round(ends, 9).tolist() for ends in ax.lines[0].get_data()), strict=True))
    for attribute in ("a", "b"):
        best = score.sel(attribute=attribute).to_series().idxmax()
        held = int(mask.sel(layer=best[0], neuron=best[1]).sum())
        heights = mask.sel(layer=best[0]).sum("attribute").to_numpy()
        reached = [x for x, y in marks.items() if y == round(best[0] - 0.8 * held / 3, 9)]
        assert any((heights > held).sum() < x <= (heights >= held).sum() for x in reached)
    named = ", ".join(text.get_text() for text in ax.texts)
    assert len(marks) == 2 and sorted(named.split(", ")) == ["a", "b"]


def test_a_share_is_coloured_from_zero_and_a_difference_around_its_centre() -> None:
    share = xr.DataArray(
        np.full((2, 1), 100.0), dims=("attribute", "layer"), coords={"attribute": ["a", "b"], "layer": [1]}
    )
    colours = figures.draw_matrix(share, "share (%)", digits=0).axes[0].collections[0]
    assert colours.get_clim() == (0, 100)
    drop = xr.DataArray([[-1.0, 3.0]], dims=("attribute", "size"), coords={"attribute": ["a"], "size": [1, 2]})
    colours = figures.draw_matrix(drop, "drop", centre=0).axes[0].collections[0]
    middle, low, high = (colours.cmap(colours.norm(value))[:3] for value in (0.0, -1.0, 3.0))
    assert min(middle) > 0.9 and low[2] > low[0] and high[0] > high[2]  # white; bluish below, reddish above


def test_names_cover_neither_each_other_nor_their_points_and_every_picture_is_the_same() -> None:
    rng = np.random.default_rng(3)
    names = [f"emotion {k}" for k in range(12)]
    coords = {"emotion": names}
    x, y = (xr.DataArray(rng.normal(size=12), dims="emotion", coords=coords) for _ in range(2))
    first, second = (figures.draw_scatter(x, y, "emotion", "a", "b") for _ in range(2))
    texts = [text for text in first.axes[0].texts if text.get_text()]
    assert sorted(text.get_text() for text in texts) == sorted(names)
    first.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts]
    assert not [1 for k, box in enumerate(boxes) for other in boxes[:k] if box.overlaps(other)]
    points = first.axes[0].transData.transform(np.column_stack([x, y]))
    assert not [1 for box in boxes for point in points if box.contains(*point)]
    again = [text.get_position() for text in second.axes[0].texts if text.get_text()]
    assert again == [text.get_position() for text in texts]


def test_prompts_that_did_not_learn_are_found_and_the_mean_is_over_emotions() -> None:
    coords = {"seed": [1, 3, 5], "emotion": ["awe", "joy"]}
    accuracy = xr.DataArray([[0.9, 0.6], [0.8, 0.62], [0.55, 0.61]], coords)
    failed = not_learned(accuracy)
    assert failed.sel(emotion="awe").values.tolist() == [False, False, True] and not failed.sel(emotion="joy").any()
    mean = mean_accuracy(accuracy)
    ends = scipy.stats.ttest_1samp(accuracy.mean("seed"), 0).confidence_interval()
    np.testing.assert_allclose([mean.value, mean.low, mean.high], [accuracy.mean(), *ends])


def test_shares_of_the_variance_add_up() -> None:
    values = xr.DataArray(np.zeros((2, 3, 2, 4)), dims=("seed", "emotion", "layer", "neuron")).assign_coords(layer=[1, 2])
    values = values.assign_coords(neuron=range(4))
    values[:, :, 0, 1], values[:, :, 1, 2] = [0, 1, 2], [0, 2, 4]
    carried = prompts.variance_carried(values)
    assert carried[1, 1] == pytest.approx(0.2) and carried[2, 2] == pytest.approx(0.8) and carried.sum() == pytest.approx(1)


def test_intervals_are_drawn_where_they_are_known_and_a_mark_is_named() -> None:
    groups = {
        "one": pd.DataFrame({"rho": [0.2, 0.3], "low": [0.1, np.nan], "high": [0.4, np.nan]}, ["a", "b"]),
        "other": pd.DataFrame({"value": [0.5], "low": [0.3], "high": [0.9]}, ["c"]),
    }
    ax = figures.draw_intervals(groups, "rho", mark=(0.6, "all")).axes[0]
    drawn = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2 and line.get_lw() == 1.4]
    assert [ends for ends in drawn if not np.isnan(ends).any()] == [(0.1, 0.4), (0.3, 0.9)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other", "all"]
