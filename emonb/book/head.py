"""The head of a page: what search engines, reference managers and previews of a link read."""

import html
import re
from functools import cache
from typing import Any

import yaml

from emonb.paths import data_dir

PAPER = "10.1016/j.isci.2024.111401"
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


@cache
def read_citation() -> dict[str, Any]:
    """Read title, authors, date and address of this book from ``CITATION.cff``, and the paper's title."""
    given = yaml.safe_load((data_dir().parent / "CITATION.cff").read_text(encoding="utf-8"))
    people = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in given["authors"]]
    return {
        "title": given["title"],
        "authors": people,
        "date": given["date-released"].replace("-", "/"),
        "version": given["version"],
        "repository": given.get("repository-code"),
        "paper": given["references"][0]["title"],
    }


def write_byline() -> str:
    """Authors, version and date of this book, for its first page."""
    cite = read_citation()
    parts = [", ".join(cite["authors"]), f"version {cite['version']}", cite["date"].replace("/", "-")]
    return f'<p class="byline">{html.escape(" · ".join(parts))}</p>'


def describe(body: str, most: int = 200) -> str:
    """First paragraph of a page as text, cut between words.

    >>> describe("<h1>A</h1><p>Do the <em>emotions</em> lie so?</p><p>No.</p>")
    'Do the emotions lie so?'
    """
    found = re.search(r"<p>(.*?)</p>", body, re.DOTALL)
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[1])).split()) if found else ""
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"
