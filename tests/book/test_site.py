"""What makes the book one site: drawings, toggles, tables, definitions, references, the head, the printed book."""

import html
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import booksite
import matplotlib.pyplot as plt
import pytest
import yaml
from printing import join_pages

from emonb.book import cards, figures, pages, svg
from emonb.book.instrument import count_alarms, read_rates
from emonb.book.ledger import declarations, read_ledgers
from emonb.paths import book_dir, data_dir

ROOT = data_dir().parent


def _draw() -> str:
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.plot([1, 2, 3], [3, 1, 2], "o-", color=figures.RANDOM)
    ax.text(1.5, 2, "a < b & c", color="white", bbox={"facecolor": "black"})
    ax.fill_between([1, 3], [1, 1], [2, 2], color="white")
    plt.close(fig)
    drawn = io.StringIO()
    fig.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def test_a_drawing_is_the_same_every_time() -> None:
    assert _draw() == _draw()


def test_a_drawing_on_a_page_takes_the_page_s_colours_and_shares_no_id() -> None:
    first, second = (svg.put_on_page(_draw(), prefix, 'two "lines"') for prefix in ("a-", "b-"))
    tree = ElementTree.fromstring(first)  # well-formed
    drawing = next(iter(tree))
    assert drawing.get("aria-label") == 'two "lines"' and drawing.get("width") == "288"
    assert svg.INK not in first and "#000000" not in first and "currentColor" in first
    assert "fill: var(--page, #fff)" in first and "var(--blue, #0072b2)" in first
    text = next(element for element in tree.iter() if element.tag.endswith("text") and element.text == "a < b & c")
    assert "#ffffff" in text.get("style", "")  # on a dark box it stays white
    ids = [set(re.findall(r' id="([^"]+)"', shown)) for shown in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for shown, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", shown)) | set(re.findall(r'href="#([^"]+)"', shown)) <= known
    assert not re.search(r"\d\.\d{3}", first)


def _notebook() -> dict:
    figure = {"mystnb": {"figure": {"name": "fig-x", "caption": "c"}}, "tags": ["test"]}
    return {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": "# Lesions\n\nSee {numref}`fig-x`, {numref}`as <fig-x>`."},
            {
                "cell_type": "code",
                "metadata": figure,
                "source": "# Masks by depth. Unit:\n# the mask\ndraw()",
                "outputs": [],
            },
            {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "study = 1", "outputs": []},
        ]
    }


def test_other_editions_have_titles_and_figures_of_their_own() -> None:
    own, other = (booksite.prepare_cells(_notebook(), f"book/{name}/lesions") for name in ("published", "control"))
    assert own["cells"][0]["source"].startswith("# Lesions\n") and "`fig-x`" in own["cells"][0]["source"]
    assert (
        other["cells"][0]["source"] == "# Lesions (control)\n\nSee {numref}`control-fig-x`, {numref}`as <control-fig-x>`."
    )
    settings = other["cells"][1]["metadata"]["mystnb"]
    assert settings["figure"]["name"] == "control-fig-x"
    assert settings["code_prompt_show"] == settings["code_prompt_hide"] == "Test: Masks by depth"


def test_code_of_tests_is_folded_and_all_other_code_is_kept_for_who_asks() -> None:
    cells = [("x = 1", ["parameters"]), ("# Is it so? Unit: the mask\ntest()", ["test"]), ("%%say\nIt is.", ["live"])]
    cells += [("run", ["hide-cell"]), ("draw()", ["hide-input"])]
    made = [{"cell_type": "code", "metadata": {"tags": tags}, "source": source} for source, tags in cells]
    shown = [cell["metadata"] for cell in booksite.prepare_cells({"cells": made}, "book/published/lesions")["cells"]]
    assert [cell["tags"] for cell in shown] == [
        ["parameters", "plumbing"], ["test", "hide-input"], ["live", "remove-input"],
        ["plumbing", "plumbing-output"], ["plumbing"],
    ]  # fmt: skip
    assert shown[1]["mystnb"]["code_prompt_show"] == "Test: Is it so?"
    page = '<h1>A</h1><div class="cell tag_plumbing"></div>'
    offered = booksite.offer_code(page, "../a.ipynb")
    assert "<button" in offered and 'href="../a.ipynb"' in offered and offered.index("<button") > offered.index("</h1>")
    assert booksite.offer_code("<h1>A</h1>", "a.ipynb") == "<h1>A</h1>"


def test_cells_of_a_table_that_stacks_are_named_and_others_are_not() -> None:
    head_, row = "<thead><tr><th>claim</th><th>met</th></tr></thead>", "<tr><td>a</td><td>yes</td></tr>"
    stacked = booksite.wrap_tables(f'<table class="results">{head_}<tbody>{row}</tbody></table>')
    assert stacked.startswith('<div class="scroll"><table class="results">')
    assert '<td data-label="claim">a</td><td data-label="met">yes</td>' in stacked
    plain = f'<table class="dataframe">{head_}<tbody>{row}</tbody></table>'
    assert booksite.wrap_tables(plain).replace(' scope="col"', "") == f'<div class="scroll">{plain}</div>'


def test_the_paragraph_before_a_table_is_its_caption_and_headings_have_a_scope() -> None:
    table = "<table><thead><tr><th>a</th></tr></thead><tbody><tr><th>b</th><td>1</td></tr></tbody></table>"
    said = '<p><strong>Table 2.</strong> What <em>is</em>.</p>\n<div class="cell"><pre>draw(<span>x</span>)</pre>'
    shown = booksite.wrap_tables(f"{said}<style>td {{ a: b }}</style>{table}</div><p>So.</p>{table}")
    assert (
        shown.count("<caption>") == 1 and "<caption><strong>Table 2.</strong> What <em>is</em>.</caption><thead>" in shown
    )
    assert "<p><strong>Table" not in shown and shown.count('scope="col"') == shown.count('scope="row"') == 2
    cell = {"outputs": [{"data": {"text/html": table}}, {"data": {"text/plain": "1"}}]}
    booksite.caption_tables(cell, "Do masks differ? Unit: a < b")
    told = cell["outputs"][0]["data"]["text/html"]
    assert told.startswith("<table><caption><strong>Table.</strong> Do masks differ? Unit: a &lt; b</caption><thead>")
    apart = booksite.wrap_tables(f"<p><strong>Table 2.</strong> What.</p><p>So.</p>{table}")
    assert "<caption>" not in apart and "<p><strong>Table 2.</strong>" in apart


def test_a_term_carries_its_definition() -> None:
    link = '<a class="reference internal" href="../glossary.html#term-mask"><span class="xref std std-term">mask</span></a>'
    named = booksite.name_definitions(link, {"term-mask": 'A "set"'})
    assert named.startswith('<a class="term" href="../glossary.html#term-mask" data-definition="A &quot;set&quot;">')
    assert booksite.name_definitions(link, {}) == link


def test_references_have_a_doi_or_are_known_to_have_none_and_are_cited_by_a_key_that_exists() -> None:
    text = (book_dir() / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"@\w+\{(\w+),(.*?)(?=\n@|\Z)", text, re.DOTALL))
    without = {key for key, entry in entries.items() if not re.search(r"doi = \{10\.\d{4,9}/\S+\}", entry)}
    assert without == {"kendall1970", "mantel1967", "westfall1993", "farah1994"}
    sources = [*(book_dir() / "chapters").glob("*.md"), *book_dir().glob("*.md")]
    for path in sources:
        for keys in re.findall(r"\{cite:[pt]s?\}`([^`]+)`", path.read_text(encoding="utf-8")):
            named = {key.removeprefix("paper-") for key in re.split(r"\s*,\s*", keys)}  # the paper has a list of its own
            assert named <= set(entries), (path.name, keys)


def test_the_paper_s_doi_is_the_one_that_is_cited() -> None:
    assert pages.PAPER in (book_dir() / "references.bib").read_text(encoding="utf-8")
    assert pages.PAPER in (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert read_titles()[0] == pages.read_citation()["paper"]


def read_titles() -> list[str]:
    return re.findall(r"title = \{(.*?)\}", (book_dir() / "references.bib").read_text(encoding="utf-8"))


def test_the_manifest_names_files_that_exist() -> None:
    text = pages.write_manifest(declarations(), read_ledgers())
    given = yaml.safe_load(text)
    for entry in given["manifest"]:
        assert (ROOT / entry["file"]).is_file()
    assert (ROOT / "codecheck.yml").read_text(encoding="utf-8") == text


def test_the_manifest_is_by_its_specification() -> None:
    """The errors of the register's list of rules for 2.0, by their numbers: what is missing is what the head says."""
    text = pages.write_manifest(declarations(), read_ledgers())
    given = yaml.safe_load(text)
    paper, files, checkers = given["paper"], given["manifest"], given.get("codechecker", [])
    orcids = [person.get("ORCID", "") for person in (*paper["authors"], *checkers)]
    rules = {
        "001": text.encode("utf-8").decode("utf-8") == text and isinstance(given, dict),
        "002": text.startswith("---\n"),
        "003": (ROOT / "codecheck.yml").is_file(),
        "004": isinstance(files, list) and bool(files),
        "005": all(entry["file"] for entry in files),
        "006": not any(Path(entry["file"]).is_absolute() or ".." in entry["file"] for entry in files),
        "007": all(entry["comment"] for entry in files),
        "008": bool(checkers),
        "011": bool(given.get("report")),
        "015": given["version"] == "https://codecheck.org.uk/spec/config/2.0/",
        "017": bool(paper["title"]),
        "018": isinstance(paper["authors"], list) and bool(paper["authors"]),
        "019": all(author["name"] for author in paper["authors"]),
        "020": all(re.fullmatch(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", orcid) for orcid in orcids),
        "021": bool(paper["reference"]) and pages.PAPER not in paper["reference"],
        "023": not re.search("FIXME|TODO|XXXX", text),
        "024": bool(given["summary"]),
        "025": bool(re.fullmatch(r"\d{4}-\d{3}", str(given.get("certificate", "")))),
        "029": isinstance(paper["reference-other"], list),
        "030": paper["reference-other"] == [f"https://doi.org/{pages.PAPER}"],
    }
    missing = {"008": "codechecker", "011": "report", "020": "ORCID", "025": "certificate"}
    assert [rule for rule, met in rules.items() if not met] == list(missing)
    head = text[: text.index("version:")]
    assert all(f" {word}" in head for word in missing.values())


def test_pages_joined_for_print_lead_to_each_other(tmp_path) -> None:
    page = '<html><head><title>T</title><link href="s.css"></head><article class="bd-article">{}</article></html>'
    first = '<h1 id="x">A</h1><a href="b.html#y">to b</a><a href="https://c.org#z">out</a>'
    texts = {"a": first, "b": '<h1 id="y">B</h1><a href="a.html">a</a>'}
    for name, text in texts.items():
        (tmp_path / f"{name}.html").write_text(page.format(text))
    joined = join_pages([tmp_path / "a.html", tmp_path / "b.html"], tmp_path)
    targets = set(re.findall(r'href="#([^"]+)"', joined))
    assert targets == {"b--y", "a"} and targets <= set(re.findall(r'id="([^"]+)"', joined))
    assert 'href="https://c.org#z"' in joined


@pytest.mark.parametrize("name", ["book.css", "book.js", "interactive.js", "favicon.svg", "social.png"])
def test_files_of_the_site_are_small_and_ask_for_nothing(name: str) -> None:
    body = (book_dir() / "_static" / name).read_bytes()
    assert len(body) < 100_000
    assert not re.search(rb"https?://(?!www\.w3\.org/)", body)


def _complete(alarms: dict[str, tuple[int, int]], page: str = "book/published/structure") -> str:
    card = '<div class="claim-card" id="claim-words"><details>n = 27</details></div>'
    return booksite.complete_cards(card, page, declarations(), read_ledgers(), alarms)


def test_a_card_is_whole_in_its_chapter_and_leads_to_source_parameters_and_the_claim_elsewhere() -> None:
    said = _complete({"words": (4, 200)})
    assert "4 of 200" in said and said.count("<div") == said.count("</div>") == 3
    links = re.findall(r'href="([^"]+)"', said)
    assert {"../control/structure.html#claim-words", "../index.html#row-words", "../../source/claims.html#words"} <= set(
        links
    )
    assert "../../source/words.html" in links and "../../source/published.html" in links
    assert not [link for link in links if "published/structure" in link]
    assert "emonb check published --chapter structure" in said and "has not been measured" in _complete({})
    assert _complete({}, "book/index") == '<div class="claim-card" id="claim-words"><details>n = 27</details></div>'


def test_a_verdict_can_be_disputed_whether_or_not_the_repository_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booksite, "read_citation", lambda: {"repository": None})
    unknown = _complete({})
    folded = r"<details><summary>Dispute this verdict</summary>.*?<pre>(.*?)</pre>.*?</details>"
    (copied,) = re.findall(folded, unknown, re.S)
    assert "issues/new" not in unknown and "REVIEW.md" in unknown
    monkeypatch.setattr(booksite, "read_citation", lambda: {"repository": "https://example.org/book"})
    known = _complete({})
    (asked,) = re.findall(r'href="(https://example.org/book/issues/new[^"]+)"', known)
    given = parse_qs(urlsplit(html.unescape(asked)).query)
    ledger = read_ledgers()["published"]
    assert given["title"] == ["Verdict on words (published)"] and "Dispute this verdict" not in known
    assert html.unescape(copied) == f"{given['title'][0]}\n\n{given['body'][0]}"
    for said in ("claim: words\n", "words.partial", ledger["study_hash"], ledger["claims"]["words"]["holds"]):
        assert said in given["body"][0]


def test_no_page_shows_a_yes_of_a_test_that_is_too_ready_without_saying_so() -> None:
    declared, ledgers = declarations(), read_ledgers()
    measured = count_alarms(read_rates(), declared)
    for alarms in (measured, dict.fromkeys(measured, (11, 100)), dict.fromkeys(measured, (10, 100))):
        for claim in declared.claims:
            entry = ledgers["published"]["claims"][claim.id]
            k, n = alarms.get(claim.id, (0, 1))
            warned = entry["holds"].startswith("yes") and k / n > 0.10
            assert ("too ready" in cards.say_holds(entry, alarms.get(claim.id))) == warned, claim.id
            assert ("too ready" in cards.write_card(claim, entry, alarm=alarms.get(claim.id))) == warned, claim.id
    ready = {name for name, (k, n) in measured.items() if k / n > 0.10}
    shown = [
        pages.verdict_table(declared, ledgers),
        pages.versions_table(declared, ledgers),
        pages.readme_table(declared, ledgers),
    ]
    for claim in declared.claims:
        if claim.id in ready and ledgers["published"]["claims"][claim.id]["holds"].startswith("yes"):
            assert "too ready" in next(row for row in shown[0].split("<tr") if f"row-{claim.id}" in row)
    assert all(table.count("too ready") <= 3 * len(ready) for table in shown)


def test_the_picture_of_the_readme_is_that_of_the_ledger() -> None:
    picture = (book_dir() / "_static" / "main-result.svg").read_text(encoding="utf-8")
    said = {
        html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in re.findall(r"<text.*?</text>", picture, re.DOTALL)
    }
    declared, ledger = declarations(), read_ledgers()["published"]
    assert "(book/_static/main-result.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")
    for claim in map(declared.claim, declared.primary):
        entry = ledger["claims"][claim.id]
        assert {claim.title, cards.say_holds(entry), cards.describe_estimate(claim, entry)} <= said, claim.id


@pytest.mark.parametrize(("name", "unit"), [("main-result.svg", 4 / 3), ("three-steps.svg", 1)])
def test_letters_in_pictures_are_large_enough_to_read(name: str, unit: float) -> None:
    picture = (book_dir() / "_static" / name).read_text(encoding="utf-8")
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:\d+ )?([\d.]+)px", picture)]
    assert sizes and min(sizes) * unit >= 11
