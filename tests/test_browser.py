"""The built book in a real browser: every page, on a desk and on a phone, light and dark; every link of it."""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import browser as browsing
import pytest
from printing import print_book

from emonb.book.cards import describe_effect
from emonb.book.ledger import declarations, read_ledgers

PAGES = sorted(path.relative_to(browsing.SITE).as_posix() for path in browsing.SITE.rglob("*.html"))
READ = [page for page in PAGES if page.startswith("book/")] or ["book/index.html"]
pytestmark = pytest.mark.skipif(bool(browsing.missing_site()), reason=browsing.missing_site())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browsing.CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(browsing.SIZES))
@pytest.mark.parametrize("page", READ)
def test_a_page_fits_asks_for_nothing_and_is_accessible(browser: Any, page: str, size: str, theme: str) -> None:
    with browsing.open_page(browser, browsing.SITE / page, size, theme) as opened:
        wrong = browsing.look(opened)
        for toggle in opened.locator("details.hide > summary").all():
            toggle.evaluate("e => e.parentElement.open = true")
        wrong += [fault for fault in browsing.look(opened) if fault not in wrong]
        if browsing.axe():
            wrong += browsing.judge(opened)
    assert not wrong, "\n".join(wrong)


def test_accessibility_was_judged() -> None:
    if not browsing.axe():
        pytest.skip("accessibility NOT CHECKED: npm cannot give axe-core here")


@pytest.mark.parametrize("page", READ)
def test_without_a_script_the_text_the_pictures_and_the_code_are_there(browser: Any, page: str) -> None:
    with browsing.open_page(browser, browsing.SITE / page, java_script_enabled=False) as opened:
        article = opened.locator("article")
        assert article.inner_text().strip()
        for still in opened.locator(".interactive .still").all():
            assert still.is_visible()
        assert not [stage for stage in opened.locator(".interactive .stage").all() if stage.is_visible()]
        assert not opened.faults


@cache
def _anchors(path: Path) -> frozenset[str]:
    return frozenset(unescape(name) for name in re.findall(r'\b(?:id|name)="([^"]+)"', path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    path = browsing.SITE / page
    text = re.sub(r"<script\b.*?</script>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in set(re.findall(r'\b(?:href|src)="([^"]*)"', text)):
        parts = urlsplit(unescape(link))
        if parts.scheme:
            assert parts.scheme in ("https", "mailto", "data"), link
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
        assert target.is_file(), link
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in _anchors(target), link


@pytest.mark.parametrize("claim", ["importance", "own"])
def test_a_verdict_leads_to_its_number_the_code_of_its_test_and_the_command_that_makes_it_again(
    browser: Any, claim: str
) -> None:
    """From the first page in two clicks, without leaving the site."""
    declared, entry = declarations().claim(claim), read_ledgers()["published"]["claims"][claim]
    with browsing.open_page(browser, browsing.SITE / "book" / "index.html") as opened:
        opened.locator(f"#row-{claim} a[href*='published/']").click()
        card = opened.locator(f"#claim-{claim}")
        assert opened.evaluate("e => e.getBoundingClientRect().top < innerHeight", card.element_handle())
        assert describe_effect(declared, entry) in card.inner_text()
        assert f"emonb check published --chapter {declared.chapter}" in card.inner_text()
        card.get_by_role("link", name="the test's source").click()
        assert opened.url.startswith(browsing.SITE.as_uri()) and "def " in opened.locator("pre").inner_text()
        assert not opened.faults


@pytest.mark.parametrize("page", READ)
def test_a_page_has_few_toggles_of_code_and_every_table_has_a_caption_and_a_number(browser: Any, page: str) -> None:
    with browsing.open_page(browser, browsing.SITE / page) as opened:
        assert opened.locator("article details.hide").count() <= 8
        captions = [table.locator("caption").all_text_contents() for table in opened.locator("article table").all()]
    numbers = [re.match(r"Table (\d+)\. \S|What this page|The numbers of", *caption) for caption in captions]
    assert all(numbers)
    counted = [int(found[1]) for found in numbers if found and found[1]]
    assert counted == list(range(counted[0], counted[0] + len(counted))) if counted else True


def test_the_paper_is_five_a4_pages(tmp_path: Path) -> None:
    printed = print_book(browsing.SITE, tmp_path / "paper.pdf", "book/paper").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 5
    assert set(re.findall(rb"/MediaBox \[0 0 (\d+)\.\d+ (\d+)\.\d+\]", printed)) == {(b"594", b"841")}


def test_pages_and_book_are_light(browser: Any) -> None:
    files = [path for path in browsing.SITE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15e6
    for page in READ:
        with browsing.open_page(browser, browsing.SITE / page) as opened:
            asked = opened.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
        loaded = {unquote(urlsplit(url).path) for url in asked if url.startswith("file:")} | {str(browsing.SITE / page)}
        assert sum(Path(name).stat().st_size for name in loaded) <= 1.5e6, (page, sorted(loaded))


def test_a_word_of_the_glossary_explains_itself_to_mouse_keyboard_and_finger(browser: Any) -> None:
    page = browsing.SITE / "book" / "glossary.html"
    with browsing.open_page(browser, page) as opened:
        word, bubble = opened.locator("a.term").first, opened.locator("#definition")
        word.hover()
        assert bubble.inner_text() == word.get_attribute("data-definition")
        opened.keyboard.press("Escape")
        assert bubble.count() == 0
        opened.mouse.move(0, 0)
        word.evaluate("e => e.previousElementSibling?.focus()")
        opened.keyboard.press("Tab")
        while not opened.evaluate("document.activeElement.matches('a.term')"):
            opened.keyboard.press("Tab")
        assert bubble.is_visible()
    with browsing.open_page(browser, page, "phone") as opened:
        opened.locator("a.term").first.tap()
        assert opened.locator("#definition").is_visible()
        assert opened.evaluate("location.hash") == ""
        assert not browsing.look(opened)
        opened.locator("a.term").first.tap()
        assert opened.evaluate("location.hash").startswith("#term-")
