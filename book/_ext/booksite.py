"""What makes the built book one site, as a Sphinx extension: names of figures, folded code, tables, cards, head, icons.

Notebooks are changed as they are read (:func:`prepare_notebook`), pages as they are written (:func:`finish_page`), and
what the theme brings and no page uses is left out at the end (:func:`finish_site`).
"""

import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlencode

import yaml
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

from emonb.artifacts import write_text
from emonb.book import svg
from emonb.book.cards import Alarm, Ledgers, write_card
from emonb.book.claims import Claim, Declarations
from emonb.book.instrument import count_alarms, read_rates
from emonb.book.ledger import declarations, read_ledgers
from emonb.book.pages import PAPER, name_place, read_citation, say_paper, write_byline
from emonb.book.saying import read_cell
from emonb.paths import data_dir

DESCRIPTION = (
    "Does a language model hold a human-like map of 27 emotions, and does it use it? The claims of Li et al. recomputed "
    "from their data, each with its verdict, beside worlds where the answer is known."
)


def write_head(page: str, context: dict[str, Any], config: Any) -> str:
    """Write the lines of a page's head: description, preview (Open Graph), citation, and where it stands."""
    cite = read_citation()
    title = re.sub(r"<[^>]+>", "", context.get("title") or config.project)
    first = describe(context.get("body", "")) or DESCRIPTION
    book = config.html_title or config.project
    base = (config.html_baseurl or "").rstrip("/")
    picture = f"{base}/_static/social.png" if base else context["pathto"]("_static/social.png", 1)
    tags = {
        "name": {
            "description": DESCRIPTION if page.endswith("index") else first,
            "author": ", ".join(cite["authors"]),
            "twitter:card": "summary_large_image",
            "citation_title": cite["title"],
            "citation_publication_date": cite["date"],
            "citation_language": "en",
            "citation_reference": f"citation_title={cite['paper']}; citation_doi={PAPER}",
        },
        "property": {
            "og:title": title,
            "og:site_name": book,
            "og:type": "website" if page.endswith("index") else "article",
            "og:description": first,
            "og:image": picture,
        },
    }
    lines = [
        f'<meta {kind}="{name}" content="{html.escape(value)}" />'
        for kind, named in tags.items()
        for name, value in named.items()
    ]
    lines += [f'<meta name="citation_author" content="{html.escape(name)}" />' for name in cite["authors"]]
    if base:
        lines.append(f'<link rel="canonical" href="{base}/{page}.html" />')
    return "\n    ".join(["", *lines]) + "\n"


def describe(body: str, most: int = 200) -> str:
    """First paragraph of a page as text, cut between words.

    >>> describe("<h1>A</h1><p>Do the <em>emotions</em> lie so?</p><p>No.</p>")
    'Do the emotions lie so?'
    """
    found = re.search(r"<p>(.*?)</p>", body, re.DOTALL)
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[1])).split()) if found else ""
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


_SCRIPT = re.compile(r'\s*<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>')
_BY_SCRIPT = {"xmark"}  # named by the theme's script, not in a page
_NOT_ICONS = {"solid", "regular", "brands", "lg"}


def write_icons(static: Path, pages: Mapping[Path, str]) -> None:
    """Replace the theme's script of 1.5 MB in every page by the outlines of the icons that pages name.

    ``icons.css`` is written into the site's ``_static``, the script removed, and the pages are rewritten.
    """
    script = static / "scripts" / "fontawesome.js"
    if not script.is_file():
        return
    names = {name for text in pages.values() for name in re.findall(r"\bfa-([a-z0-9-]+)", text)} - _NOT_ICONS | _BY_SCRIPT
    write_text(draw_icons(script.read_text(encoding="utf-8"), names), static / "icons.css")
    for path, text in pages.items():
        found = _SCRIPT.search(text)
        if found:
            place = re.search(r'src="([^"]*)scripts/fontawesome', found[0])
            assert place is not None
            link = f'\n  <link rel="stylesheet" href="{place[1]}icons.css" />'
            write_text(text.replace(found[0], link), path)
    script.unlink()


def draw_icons(script: str, names: set[str]) -> str:
    r"""Write the style sheet: each icon a mask in the colour of the text around it.

    >>> rule = draw_icons('{"sun":[512,512,[9728],"f185","M1 2z"]}', {"sun"}).splitlines()[-1]
    >>> print(rule[:45], rule[-43:])
    .fa-sun { --icon: url("data:image/svg+xml,%3C 512'%3E%3Cpath d='M1 2z'/%3E%3C/svg%3E"); }
    """
    rules = [
        ".fa-solid::before { content: ''; display: inline-block; width: 1em; height: 1em; vertical-align: -0.125em; "
        "background: currentColor; mask: var(--icon) center / contain no-repeat; }"
    ]
    for name in sorted(names):
        drawn = re.findall(rf'[{{,]"?{re.escape(name)}"?:\[(\d+),(\d+),\[[^\]]*\],"\w+","([^"]+)"\]', script)
        if drawn:
            width, height, path = drawn[-1]  # the solid ones come last
            picture = f"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'%3E" + (
                f"%3Cpath d='{path}'/%3E%3C/svg%3E"
            )
            rules.append(f'.fa-{name} {{ --icon: url("data:image/svg+xml,{picture}"); }}')
    return "\n".join(rules) + "\n"


PLAIN = "published"  # the edition whose figures have plain names
_TABLE = re.compile(r"<table\b[^>]*>.*?</table>", re.DOTALL)
_NOTHING = (  # is read between a caption and its table, but code and style
    r"(?:\s|<(?:/?div|/?section)\b[^>]*>|<(?P<code>details|pre|style)\b.*?</(?P=code)>)*"
)
_TYPED = re.compile(r"\*\*Table \d+\.\*\*(?:(?!\n\n).)*\Z", re.DOTALL)  # a caption, in a chapter's text
_NUMBERED = re.compile(r"(?P<caption><caption><strong>Table)(?: (?P<own>\d+))?\.|\bTable (?P<other>\d+)\b")
_CAPTION = re.compile(
    rf"<p\b[^>]*>(<strong>Table \d+\.</strong>(?:(?!</p>).)*)</p>(?P<between>{_NOTHING})(?P<table><table\b[^>]*>)",
    re.DOTALL,
)


def list_pages(contents: str) -> list[str]:
    r"""Names of the book's pages in the order of its table of contents.

    >>> list_pages("root: a\nparts:\n- chapters:\n  - file: b\n    sections:\n    - file: c\n")
    ['a', 'b', 'c']
    """

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "file" in node:
                yield node["file"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    given = yaml.safe_load(contents)
    return [given["root"], *walk({key: value for key, value in given.items() if key != "root"})]


def prepare_cells(notebook: dict[str, Any], page: str) -> dict[str, Any]:
    """Fold the code of an executed notebook's JSON, and tell editions apart by its place, ``book/EDITION/CHAPTER``.

    The code of cells tagged ``test`` is folded under what it tests (:func:`name_code`), and no other code is shown until a
    reader asks for it; of a cell of prose (:mod:`emonb.book.saying`) only the prose stays; in an edition other than the
    published one, figures' names and references to them begin with the edition's name, and the title ends with it; a table
    says what the comment its cell begins with does, unless the text before has a caption for it.
    """
    place = PurePosixPath(page)
    edition = place.parent.name if len(place.parts) == 3 else ""
    marked = edition not in ("", PLAIN)
    names = {cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") for cell in notebook["cells"]} - {None}
    titled, above = False, ""
    for cell in notebook["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and not _TYPED.search(above):
            caption_tables(cell, read_comment(text))
        above = text if cell["cell_type"] == "markdown" else ""
        if cell["cell_type"] == "markdown" and marked:
            if not titled and text.startswith("# "):
                text, titled = re.sub(r"^# (.*)$", rf"# \1 ({edition})", text, count=1, flags=re.MULTILINE), True
            text = _rename(text, names, edition)
            cell["source"] = text
        if cell["cell_type"] != "code":
            continue
        settings = cell["metadata"].setdefault("mystnb", {})
        shown = [tag for tag in tags if tag not in ("hide-input", "hide-cell")]
        if read_cell(text) is not None:
            shown.append("remove-input")
        elif "test" in tags:
            shown.append("hide-input")
            settings["code_prompt_show"] = settings["code_prompt_hide"] = html.escape(name_code(text), quote=False)
        else:
            shown += ["plumbing", "plumbing-output"] if "hide-cell" in tags else ["plumbing"]
        cell["metadata"]["tags"] = shown
        if marked and settings.get("figure", {}).get("name"):
            settings["figure"]["name"] = f"{edition}-{settings['figure']['name']}"
        for output in cell.get("outputs", []) if marked else []:
            said = output.get("data", {}).get("text/markdown")
            if said is not None:
                output["data"]["text/markdown"] = _rename("".join(said), names, edition)
    return notebook


def leave_out_pictures(notebook: str) -> str:
    """Leave drawings out of the notebook that a page offers for download: the page shows them, and its cells draw them.

    >>> drawn = {"outputs": [{"data": {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}}, {"text": "n = 27"}]}
    >>> json.loads(leave_out_pictures(json.dumps({"cells": [drawn]})))["cells"][0]["outputs"]
    [{'data': {'text/plain': '<Figure>'}}, {'text': 'n = 27'}]
    """
    content = json.loads(notebook)
    for cell in content["cells"]:
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            data.pop("image/svg+xml", None)
            if 'class="interactive"' in "".join(data.get("text/html", "")):
                del data["text/html"]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def name_code(code: str) -> str:
    r"""Say what a cell does: the first sentence of the comment it begins with.

    >>> name_code("# Do masks differ? Unit:\n# the mask\ntest()"), name_code("test()")
    ('Test: Do masks differ?', 'Test')
    """
    sentence = re.split(r"(?<=[?])\s|[.;:]\s|[.]$", read_comment(code))[0]
    return f"Test: {sentence}" if sentence else "Test"


def read_comment(code: str) -> str:
    """The comment that a cell begins with, in one line."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), code.lstrip().splitlines())
    return " ".join(line.lstrip("# ") for line in lines)


def caption_tables(cell: dict[str, Any], caption: str) -> None:
    """Give the tables that a cell shows a caption, where they have none; :func:`number_tables` numbers it."""
    named = f"<caption><strong>Table.</strong> {html.escape(caption, quote=False)}</caption>"
    for data in (output.get("data", {}) for output in cell.get("outputs", [])) if caption else ():
        shown = "".join(data.get("text/html", ""))
        if "<table" in shown and "<caption" not in shown and INTERACTIVE not in shown:
            data["text/html"] = re.sub(r"<table\b[^>]*>", lambda found: found[0] + named, shown)


def number_tables(pages: Sequence[str]) -> list[str]:
    """Number the tables of all pages through; what a page says of its own tables by number is said by the new one.

    >>> table = "<table><caption><strong>Table{}.</strong></caption></table>"
    >>> number_tables([table.format(""), f"See Table 1.{table.format(' 1')}"])[1]
    'See Table 2.<table><caption><strong>Table 2.</strong></caption></table>'
    """
    count, numbered = itertools.count(1), []
    for page in pages:
        numbers = [(found["own"], str(next(count))) for found in _NUMBERED.finditer(page) if found["caption"]]
        through, own = iter(numbers), dict(numbers)

        def write(found: re.Match[str], through: Any = through, own: dict[str, str] = own) -> str:
            if found["caption"]:
                return f"{found['caption']} {next(through)[1]}."
            return f"Table {own.get(found['other'], found['other'])}"

        numbered.append(_NUMBERED.sub(write, page))
    return numbered


def offer_code(body: str, notebook: str) -> str:
    """Offer the code that a page hides, below its title: a switch for all of it, and the notebook."""
    if "tag_plumbing" not in body:
        return body
    switch = '<button type="button" aria-pressed="false" hidden>Show all code</button>'
    offer = f'<p class="code-offer">{switch} <a href="{html.escape(notebook)}" download>This page as a notebook</a></p>'
    return body.replace("</h1>", f"</h1>{offer}", 1)


def mend_labels(text: str) -> str:
    """Let toggles and the search button be called what they show, and drop a role that misses what it asks for."""
    text = text.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    text = re.sub(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"', r"\1", text)
    return text.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def wrap_tables(body: str) -> str:
    """Put every table with its caption into a box that scrolls; one that stacks on a phone gets its cells named.

    A table stacks when it has the class ``stack``, ``verdicts`` or ``results``: its rows become blocks, and a cell shows
    its column's heading (``data-label``) before its content.
    """
    body = _CAPTION.sub(r"\g<between>\g<table><caption>\1</caption>", body)
    body = _TABLE.sub(lambda m: f'<div class="scroll">{_label_cells(m[0])}</div>', body)
    for part, scope in (("thead", "col"), ("tbody", "row")):
        body = re.sub(rf"<{part}.*?</{part}>", partial(_scope_heads, scope), body, flags=re.DOTALL)
    return body


def _scope_heads(scope: str, part: re.Match[str]) -> str:
    return re.sub(r"<th(?![^>]*scope)(?=[ >])", f'<th scope="{scope}"', part[0])


def name_definitions(body: str, definitions: Mapping[str, str]) -> str:
    """Give each reference to a term of the glossary its definition, which the page's script shows."""

    def link(found: re.Match[str]) -> str:
        text = definitions.get(found[2])
        return f'<a class="term" href="{found[1]}#{found[2]}" data-definition="{html.escape(text)}">' if text else found[0]

    return re.sub(
        r'<a class="reference internal" href="([^"#]*)#(term-[^"]+)">(?=<span class="xref std std-term">)', link, body
    )


def _rename(text: str, names: set[str], edition: str) -> str:
    for name in names:
        text = re.sub(rf"(?<=[`<]){re.escape(name)}(?=[`>])", f"{edition}-{name}", text)
    return text


def _label_cells(table: str) -> str:
    opening = table[: table.index(">")]
    if not re.search(r'class="[^"]*\b(stack|verdicts|results)\b', opening):
        return table
    top, body = (table.split("<tbody", 1) + [""])[:2]
    rows = re.findall(r"<tr\b.*?</tr>", top, re.DOTALL)
    heads = [
        re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<th\b.*?</th>", rows[-1] if rows else "", re.DOTALL)
    ]

    def row(found: re.Match[str]) -> str:
        cells = re.findall(r"<t[dh]\b", found[0])
        if len(cells) != len(heads):
            return found[0]
        labels = iter(heads)

        def cell(opened: re.Match[str]) -> str:
            name = next(labels)
            return opened[0] if "data-label" in opened[0] else f'{opened[0][:-1]} data-label="{html.escape(name)}">'

        return re.sub(r"<t[dh]\b[^>]*>", cell, found[0])

    return f"{top}<tbody" + re.sub(r"<tr\b.*?</tr>", row, body, flags=re.DOTALL) if body else table


_CARD = re.compile(r'<div class="claim-card" id="claim-([a-z-]+)">.*?</div>', re.DOTALL)


def complete_cards(body: str, page: str, declared: Declarations, ledgers: Ledgers, alarms: Mapping[str, Alarm]) -> str:
    """Write the cards of a chapter (``book/EDITION/CHAPTER``) anew, with all that only the whole book knows."""
    place = PurePosixPath(page)
    if len(place.parts) != 3:
        return body
    edition = place.parent.name

    def write(match: re.Match[str]) -> str:
        claim = declared.claim(match[1])
        entry = ledgers.get(edition, {"claims": {}})["claims"].get(claim.id)
        if entry is None:
            return match[0]
        said = say_paper(claim, declared, ledgers[edition]) if edition == "published" else ""
        return write_card(claim, entry, said, alarms.get(claim.id), _write_foot(claim, edition, ledgers))

    return _CARD.sub(write, body)


def _write_foot(claim: Claim, edition: str, ledgers: Ledgers) -> str:
    """Links from a card in a chapter, and the command that makes its numbers again."""
    links = {
        "row on the first page": f"../index.html#row-{claim.id}",
        "the test's source": f"../../source/{claim.id}.html",
        "declaration": f"../../source/claims.html#{claim.id}",
        "parameters": f"../../source/{edition}.html",
        "how often the test errs": "../instrument.html#how-often-each-test-is-wrong",
    }
    for other, ledger in ledgers.items():
        if other != edition and claim.id in ledger["claims"]:
            links[name_place(other)] = f"../{other}/{claim.chapter}.html#claim-{claim.id}"
    facts = {"claim": claim.id, "edition": edition, "quantity": claim.evidence}
    facts |= {"holds": ledgers[edition]["claims"][claim.id]["holds"], "study": ledgers[edition].get("study_hash", "")}
    dispute = {"title": f"Verdict on {claim.id} ({edition})"}
    dispute["body"] = "".join(f"{name}: {value}\n" for name, value in facts.items()) + "\nWhat speaks against it: "
    copy = ""
    if repository := read_citation()["repository"]:
        links["dispute this verdict"] = f"{repository}/issues/new?{urlencode(dispute)}"
    else:
        asked = "\n\n".join(dispute.values())
        copy = "<details><summary>Dispute this verdict</summary><p>Copy this, say what speaks against it, and send it "
        copy += f"as REVIEW.md says.</p>{_write_box(asked)}</details>"
    linked = " · ".join(f'<a href="{target.replace("&", "&amp;")}">{text}</a>' for text, target in links.items())
    return f'<p class="claim-links">{linked}</p>{_write_box(f"emonb check {edition} --chapter {claim.chapter}")}{copy}'


def _write_box(text: str) -> str:
    """Text in a box with a button that copies it."""
    return f'<div class="highlight"><pre>{html.escape(text, quote=False)}</pre></div>'


INTERACTIVE = "data-interactive="
INTERACTIVE_SCRIPTS = ("vendor/d3-7.9.0.min.js", "interactive.js")


def setup(app: Any) -> dict[str, bool]:
    """Join Sphinx."""
    app.connect("source-read", prepare_notebook)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_site)
    app.add_html_math_renderer("mathml", (_show_formula, None), (_show_formula, None))
    _cite_in_round_brackets()
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def prepare_notebook(_: Any, page: str, source: list[str]) -> None:
    """Give a notebook's toggles a name, and its figures and title that of the edition."""
    if source[0].lstrip().startswith('{"') or source[0].lstrip().startswith("{\n"):
        source[0] = json.dumps(prepare_cells(json.loads(source[0]), page))


def finish_page(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Put pictures, tables, definitions and the head's lines into a page."""
    body = context.get("body")
    if not body:
        return
    origins = {name: Path(app.srcdir) / origin for origin, name in _image_names(app).items()}
    for number, (image, name, alt) in enumerate(svg.find_pictures(body)):
        if name in origins and origins[name].is_file():
            body = body.replace(image, svg.put_on_page(origins[name].read_text(encoding="utf-8"), f"p{number}-", alt), 1)
    body = complete_cards(body, page, *_known())
    body = name_definitions(wrap_tables(mend_labels(body)), _glossary(app))
    body = offer_code(body, context["pathto"](f"_sources/{context['sourcename']}", 1))
    context["body"] = body.replace("</h1>", f"</h1>{write_byline()}", 1) if page.endswith("index") else body
    context["metatags"] = context.get("metatags", "") + write_head(page, context, app.config)
    if INTERACTIVE in body:
        for script in INTERACTIVE_SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def finish_site(app: Any, failed: Exception | None) -> None:
    """Leave out what no page loads; draw the icons that pages name."""
    if failed is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    pages = {path: mend_labels(path.read_text(encoding="utf-8")) for path in Path(app.outdir).rglob("*.html")}
    order = [Path(app.outdir) / f"{name}.html" for name in list_pages((Path(app.srcdir) / "_toc.yml").read_text("utf-8"))]
    for path, text in zip(order, number_tables([pages[path] for path in order]), strict=True):
        pages[path] = text
        write_text(text, path)
    write_icons(static, pages)
    shown = "".join(pages.values())
    for path in (Path(app.outdir) / "_sources").rglob("*.ipynb"):
        path.write_text(leave_out_pictures(path.read_text(encoding="utf-8")), encoding="utf-8")
    _write_sources(Path(app.outdir) / "source")
    unused = ["**/*.map", "**/*.ttf", "**/*.po", "**/*.mo", "**/*webpack-macros.html"]  # fonts are there as woff2
    for path in [*(p for kind in unused for p in static.glob(kind)), *(Path(app.outdir) / "_images").glob("*.svg")]:
        if path.name not in shown:
            path.unlink()


@cache
def _known() -> tuple[Declarations, dict[str, Any], dict[str, tuple[int, int]]]:
    declared = declarations()
    return declared, read_ledgers(), count_alarms(read_rates(), declared)


def _write_sources(folder: Path) -> None:
    """Show what cards lead to: the modules of the claims' tests, the claims' declarations, the studies' settings."""
    names = {path.stem: path for path in [*data_dir().glob("claims.yml"), *(data_dir() / "studies").glob("*.yml")]}
    for claim in declarations().claims:
        names[claim.id] = data_dir().parent / "emonb" / "analysis" / f"{claim.id}.py"
    for name, path in names.items():
        text = path.read_text(encoding="utf-8")
        style = HtmlFormatter(full=True, title=path.name, linenos="inline", cssstyles="font-size: 14px")
        shown = highlight(text, get_lexer_for_filename(path.name), style)
        for claim in re.findall(r"(?m)^  - id: (\S+)", text):
            shown = re.sub(rf"(<span[^>]*>id</span>.*?>{claim}</span>)", rf'<a id="{claim}"></a>\1', shown, count=1)
        write_text(shown, folder / f"{name}.html")


def _cite_in_round_brackets() -> None:
    """Register the reference style ``author_year_round``."""
    from dataclasses import field, make_dataclass

    from sphinxcontrib.bibtex import plugin
    from sphinxcontrib.bibtex.style.referencing import BracketStyle
    from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

    names = [f"bracket_{kind}" for kind in ("parenthetical", "textual", "author", "label", "year")]
    given = [(n, BracketStyle, field(default_factory=lambda: BracketStyle("(", ")", sep="; "))) for n in names]
    style = make_dataclass("Round", given, bases=(AuthorYearReferenceStyle,))
    plugin.register_plugin("sphinxcontrib.bibtex.style.referencing", "author_year_round", style)


def _image_names(app: Any) -> dict[str, str]:
    return {origin: Path(name).name for origin, name in app.builder.images.items()}


@cache
def _glossary(app: Any) -> dict[str, str]:
    """Definitions of the glossary's terms as text, by anchor."""
    document = next((name for name in app.env.found_docs if name.endswith("glossary")), None)
    if document is None:
        return {}
    from docutils import nodes

    found: dict[str, str] = {}
    for item in app.env.get_doctree(document).findall(nodes.definition_list_item):
        text = " ".join(item[-1].astext().split())
        found |= {anchor: text for term in item.findall(nodes.term) for anchor in term["ids"]}
    return found


def _show_formula(writer: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    from docutils import nodes
    from latex2mathml.converter import convert

    block = "block" if node.tagname == "math_block" else "inline"
    formula = convert(node.astext(), display=block)
    writer.body.append(f'<div class="formula">{formula}</div>' if block == "block" else formula)
    raise nodes.SkipNode
