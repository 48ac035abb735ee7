"""What makes the built book one site, as a Sphinx extension: names of figures, toggles, pictures, tables, head and icons.

Notebooks are changed as they are read (:func:`prepare_notebook`), pages as they are written (:func:`finish_page`), and
what the theme brings and no page uses is left out at the end (:func:`finish_site`).
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from emonb.book import feet, head, parts, svg
from emonb.book.icons import write_icons
from emonb.book.instrument import read_rates
from emonb.book.ledgers import read_ledgers

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
        source[0] = json.dumps(parts.prepare_cells(json.loads(source[0]), page))


def finish_page(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Put pictures, tables, definitions and the head's lines into a page."""
    body = context.get("body")
    if not body:
        return
    origins = {name: Path(app.srcdir) / origin for origin, name in _image_names(app).items()}
    for number, (image, name, alt) in enumerate(svg.find_pictures(body)):
        if name in origins and origins[name].is_file():
            body = body.replace(image, svg.put_on_page(origins[name].read_text(encoding="utf-8"), f"p{number}-", alt), 1)
    body = feet.add_feet(body, page, *_known())
    body = parts.name_definitions(parts.wrap_tables(parts.mend_labels(body)), _glossary(app))
    context["body"] = body.replace("</h1>", f"</h1>{head.write_byline()}", 1) if page.endswith("index") else body
    context["metatags"] = context.get("metatags", "") + head.write_head(page, context, app.config)
    if INTERACTIVE in body:
        for script in INTERACTIVE_SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def finish_site(app: Any, failed: Exception | None) -> None:
    """Leave out what no page loads; draw the icons that pages name."""
    if failed is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    pages = {path: parts.mend_labels(path.read_text(encoding="utf-8")) for path in Path(app.outdir).rglob("*.html")}
    write_icons(static, pages)
    shown = "".join(pages.values())
    for path in (Path(app.outdir) / "_sources").rglob("*.ipynb"):
        path.write_text(parts.leave_out_pictures(path.read_text(encoding="utf-8")), encoding="utf-8")
    unused = ["**/*.map", "**/*.ttf", "**/*.po", "**/*.mo", "**/*webpack-macros.html"]  # fonts are there as woff2
    for path in [*(p for kind in unused for p in static.glob(kind)), *(Path(app.outdir) / "_images").glob("*.svg")]:
        if path.name not in shown:
            path.unlink()


@cache
def _known() -> tuple[dict[str, Any], pd.DataFrame]:
    return read_ledgers(), read_rates()


def _cite_in_round_brackets() -> None:
    """Register the reference style ``author_year_round``."""
    from dataclasses import dataclass, field

    from sphinxcontrib.bibtex import plugin
    from sphinxcontrib.bibtex.style.referencing import BracketStyle
    from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

    def brackets() -> BracketStyle:
        return BracketStyle(left="(", right=")", sep="; ")

    @dataclass
    class Round(AuthorYearReferenceStyle):
        bracket_parenthetical: BracketStyle = field(default_factory=brackets)
        bracket_textual: BracketStyle = field(default_factory=brackets)
        bracket_author: BracketStyle = field(default_factory=brackets)
        bracket_label: BracketStyle = field(default_factory=brackets)
        bracket_year: BracketStyle = field(default_factory=brackets)

    plugin.register_plugin("sphinxcontrib.bibtex.style.referencing", "author_year_round", Round)


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
