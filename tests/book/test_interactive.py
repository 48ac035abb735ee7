"""Pictures to play with: what they hold, and how they answer to mouse, finger and keyboard in a real browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as browsing
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from booksite import INTERACTIVE_SCRIPTS
from scipy import stats

from emonb import artifacts
from emonb.analysis.rdm import pair_coords
from emonb.book import interactive
from emonb.errors import LabelError
from emonb.paths import data_dir

EMOTIONS = ["calm", "dread", "glee", "gloom", "pique", "zest", "</script>"]
ATTRIBUTES = ["bright", "loud"]


def _score() -> xr.DataArray:
    coords = {"emotion": EMOTIONS, "attribute": ATTRIBUTES}
    return xr.DataArray(np.random.default_rng(6).random((7, 2)), dims=tuple(coords), coords=coords)


def _map() -> interactive.Interactive:
    rng, pairs = np.random.default_rng(5), pair_coords(EMOTIONS)
    n = len(EMOTIONS) * (len(EMOTIONS) - 1) // 2
    rdm = [xr.DataArray(rng.random(n), dims="pair", coords=pairs) for _ in range(2)]
    layers = xr.concat(rdm, "layer").assign_coords(layer=[1, 2])
    return interactive.emotion_map(rdm[0], rdm[1], layers, _score())


def _accuracy() -> xr.DataArray:
    coords = {"kind": ["selective", "random"], "attribute": list("abcdef"), "seed": [1, 2], "emotion": EMOTIONS}
    values = np.random.default_rng(3).normal(0.7, 0.05, (2, 6, 1, 1)) + np.random.default_rng(4).normal(
        0, 0.01, (2, 6, 2, 7)
    )
    return xr.DataArray(values, dims=tuple(coords), coords=coords)


def _card() -> interactive.Interactive:
    numbers = pd.DataFrame({"tau": [0.31, 0.2], "neurons": [12, 0], "said": [".31 [.1, .5]", "–"]}, ATTRIBUTES)
    layers = xr.DataArray([[1, 2], [0, 4]], dims=("attribute", "layer"), coords={"attribute": ATTRIBUTES, "layer": [1, 2]})
    overlap = xr.DataArray(
        [[np.nan, 0.4], [0.4, np.nan]], dims=("attribute", "other"), coords={"attribute": ATTRIBUTES, "other": ATTRIBUTES}
    )
    return interactive.attribute_card(_score(), numbers, layers, overlap)


PICTURES = {"map": _map, "count": lambda: interactive.count_units(_accuracy()), "card": _card}


def _data(picture: interactive.Interactive) -> dict[str, Any]:
    shown = picture._repr_html_()
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', shown, re.DOTALL).group(1))


@pytest.mark.parametrize("kind", list(PICTURES))
def test_a_picture_is_one_element_with_a_still_and_valid_data(kind: str) -> None:
    shown = PICTURES[kind]()._repr_html_()
    assert shown.count("<script") == shown.count("</script>") == 1  # no name ends the data early
    assert shown.count("<svg") == 1
    assert _data(PICTURES[kind]())
    assert len(shown) < interactive.MOST


def test_neighbours_are_the_nearest_and_scores_are_only_thirds() -> None:
    picture = _map()
    near = picture.data["near"]["people"]
    assert all(k not in row and len(set(row)) == interactive.NEAREST for k, row in enumerate(near))
    assert {third for row in picture.data["thirds"] for third in row} == {0, 1, 2}
    assert set(picture.data["near"]) == {"people", "all", "1", "2"}
    assert picture.data["near"]["all"] == picture.data["near"]["2"]  # the second layer is the whole model here
    few = xr.DataArray(np.ones(3), pair_coords(EMOTIONS[:3]), ("pair",))
    with pytest.raises(LabelError, match="different emotions"):
        interactive.emotion_map(few, few, None, _score())
    with pytest.raises(LabelError, match="RDM and the model's are of different emotions"):
        interactive.emotion_map(few, few.assign_coords(pair_coords(EMOTIONS[2::-1])), None, _score()[:3])


def _interval(values: np.ndarray) -> tuple[float, float]:
    interval = stats.ttest_1samp(values.ravel(), 0).confidence_interval()
    return float(interval.low), float(interval.high)


def _values(accuracy: xr.DataArray) -> list[np.ndarray]:
    more = 100 * (accuracy.sel(kind="random") - accuracy.sel(kind="selective"))
    return [more.values, more.mean("seed").values, more.mean(["seed", "emotion"]).values]


def test_every_unit_gives_the_interval_of_a_t_test_over_it() -> None:
    data = interactive.count_units(_accuracy()).data
    mean = np.mean(data["more"])
    for unit, values in zip(data["units"], _values(_accuracy()), strict=True):
        half = unit["t"] * np.sqrt((unit["squares"] / unit["n"] - mean**2) / (unit["n"] - 1))
        assert unit["n"] == values.size
        assert (mean - half, mean + half) == pytest.approx(_interval(values), abs=2e-3)
    assert [unit["name"] for unit in data["units"]] == ["prompts", "emotions by attribute", "attributes"]


def test_an_attribute_without_a_mask_is_left_out() -> None:
    accuracy = _accuracy()
    accuracy.loc[{"attribute": "c"}] = np.nan
    data = interactive.count_units(accuracy).data
    assert data["attributes"] == list("abdef") and data["units"][2]["n"] == 5


def test_the_card_orders_emotions_and_leaves_out_what_is_not_there() -> None:
    card = _card().data["cards"]["bright"]
    assert sorted(card["order"]) == list(range(7))
    assert card["numbers"] == [["tau", "0.310"], ["neurons", "12"], ["said", ".31 [.1, .5]"]]
    assert card["layers"] == [["1", 1], ["2", 2]] and card["overlap"] == [["bright", None], ["loud", 0.4]]


def test_scripts_are_vendored_as_they_were_published_and_small() -> None:
    static = data_dir().parent / "book" / "_static"
    assert sum((static / name).stat().st_size for name in INTERACTIVE_SCRIPTS) <= 400_000
    digest = "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539"
    assert artifacts.file_digest(static / "vendor" / "d3-7.9.0.min.js") == digest
    assert "Mike Bostock" in (static / "vendor" / "d3-LICENSE.txt").read_text(encoding="utf-8")


# in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if browsing.missing():
        pytest.skip(browsing.missing())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browsing.CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    static = data_dir().parent / "book" / "_static"
    folder = tmp_path_factory.mktemp("pictures")

    def write(kind: str) -> Path:
        path = folder / f"{kind}.html"
        scripts = [(static / name).read_text(encoding="utf-8") for name in ("book.js", *INTERACTIVE_SCRIPTS)]
        style = (static / "book.css").read_text(encoding="utf-8").replace("url(vendor", f"url({static.as_uri()}/vendor")
        head = f"<style>{style}</style>"
        head += "".join(f"<script>{script}</script>" for script in scripts)
        path.write_text(
            f'<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{kind}</title>'
            f'<meta name="viewport" content="width=device-width">{head}</head>'
            f"<body><main><article><h1>{kind}</h1>{PICTURES[kind]()._repr_html_()}</article></main></body></html>",
            encoding="utf-8",
        )
        return path

    return write


@pytest.mark.parametrize("size", list(browsing.SIZES))
@pytest.mark.parametrize("kind", list(PICTURES))
def test_it_fits_is_accessible_and_gives_way_on_paper_and_without_a_script(
    browser: Any, page_of: Any, kind: str, size: str
) -> None:
    with browsing.open_page(browser, page_of(kind), size) as page:
        assert page.locator(".stage").is_visible() and not page.locator(".still").is_visible()
        assert not browsing.look(page)
        if browsing.axe():
            assert not browsing.judge(page)
        page.emulate_media(media="print")
        assert page.locator(".still svg").is_visible() and not page.locator(".stage").is_visible()
    with browsing.open_page(browser, page_of(kind), size, java_script_enabled=False) as page:
        assert page.locator(".still svg").is_visible() and not page.locator(".stage").is_visible()


def _said(page: Any) -> str:
    return page.locator(".said").last.inner_text()


def test_marks_answer_to_mouse_finger_and_arrow_keys(browser: Any, page_of: Any) -> None:
    with browsing.open_page(browser, page_of("map")) as page:
        marks = page.locator('.stage [role="img"]')
        before = _said(page)
        marks.nth(1).hover(force=True)
        hovered = _said(page)
        assert hovered != before
        page.mouse.move(0, 0)
        page.locator('.stage [role="img"][tabindex="0"]').first.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == marks.nth(1).get_attribute(
            "aria-label"
        )
        assert _said(page) == hovered
        assert page.locator('.stage [role="img"][tabindex="0"]').count() == 2  # two maps
        page.keyboard.press("ArrowLeft")
        assert _said(page) != hovered
        for _ in range(marks.count()):
            page.keyboard.press("ArrowDown")
        assert page.locator('.stage [role="img"][tabindex="0"]').count() == 2
    with browsing.open_page(browser, page_of("map"), "phone") as page:
        marks = page.locator('.stage [role="img"]')
        marks.nth(1).tap(force=True)
        assert _said(page) == hovered


def test_the_map_moves_with_the_layer_and_is_coloured_by_an_attribute(browser: Any, page_of: Any) -> None:
    with browsing.open_page(browser, page_of("map")) as page:
        model = page.locator(".panels svg").nth(1)
        before = model.inner_html()
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowRight")
        assert "model, layer 1" in model.text_content() and model.inner_html() != before
        page.locator(".stage select").select_option(label="loud")
        assert "loud, from the lowest third" in _said(page)


def test_counting_is_switched_and_a_coin_is_tossed(browser: Any, page_of: Any) -> None:
    values = _values(_accuracy())
    with browsing.open_page(browser, page_of("count")) as page:
        said, tally = page.locator(".said").nth(0), page.locator(".said").nth(1)
        for name, one in zip(("84 prompts", "42 emotions by attribute", "6 attributes"), values, strict=True):
            page.get_by_role("button", name=name).click()
            shown = ", ".join(f"{end:.1f}" for end in _interval(one)).replace("-", "\u2212")
            assert f"Counted as {name}, attributes' neurons" in said.inner_text() and f"[{shown}]" in said.inner_text()
        page.get_by_role("button", name="500 times").focus()
        page.keyboard.press("Enter")
        found = re.search(r"500 studies.*prompts in (\d+), .* attributes in (\d+)\.", tally.inner_text())
        signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
        for k, one in ((1, values[0]), (2, values[2])):
            flipped = [_interval(s.reshape(-1, *[1] * (one.ndim - 1)) * one)[0] > 0 for s in signs]
            share = np.mean(flipped)
            assert int(found.group(k)) / 500 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 500) + 1e-9)
        page.get_by_role("button", name="as measured").click()
        assert "Let a coin choose" in tally.inner_text() and "attributes' neurons" in said.inner_text()


def test_the_card_turns(browser: Any, page_of: Any) -> None:
    with browsing.open_page(browser, page_of("card")) as page:
        assert "bright" in page.locator(".said").inner_text()
        page.get_by_role("button", name="next").focus()
        page.keyboard.press("Enter")
        assert page.locator(".said").inner_text().startswith("loud:")
        page.locator(".stage select").select_option("bright")
        assert "0.310" in page.locator(".stage table").inner_text()
