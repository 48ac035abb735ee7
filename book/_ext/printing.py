"""The built book, or one of its pages, as PDF: ``make pdf``, ``make paper``, or python book/_ext/printing.py --help."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from booksite import list_pages

from emonb.artifacts import write_text
from emonb.book.html import build_html
from emonb.cli import main
from emonb.errors import EmonbError
from emonb.paths import data_dir

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARTICLE = re.compile(r'<article class="bd-article">(.*?)</article>', re.DOTALL)


def print_book(html_dir: Path, out: Path, only: str | None = None) -> Path:
    """Print the built site (``_build/html``), or ``only`` one page such as ``book/paper``, as PDF.

    An EmonbError where there is no Chromium, or it did not print.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise EmonbError(f"printing the book needs Chromium ({', '.join(BROWSERS)}); on Debian: apt install chromium")
    names = list_pages((data_dir().parent / "_toc.yml").read_text(encoding="utf-8"))
    if only is not None and only not in names:
        raise EmonbError(f"the book has no page '{only}'; it has {', '.join(names)}")
    pages = [html_dir / f"{name}.html" for name in names if only in (None, name)]
    joined = write_text(join_pages(pages, html_dir), html_dir.parent / "print" / f"{out.stem}.html")
    out.unlink(missing_ok=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={out}"]
    done = subprocess.run([browser, *options, joined.as_uri()], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode or not out.is_file():
        raise EmonbError(f"Chromium did not print the book: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return out


def join_pages(pages: list[Path], html_dir: Path) -> str:
    """One page of all, in the light theme: anchors carry their page's name, links to other pages lead to them."""
    first = pages[0].read_text(encoding="utf-8")
    sheets = re.findall(r'<link[^>]*href="([^"]*\.css[^"]*)"', first)
    links = "".join(f'<link rel="stylesheet" href="{_place(pages[0], sheet)}" />' for sheet in dict.fromkeys(sheets))
    names = {page.resolve(): re.sub(r"\W", "-", page.relative_to(html_dir).with_suffix("").as_posix()) for page in pages}
    parts = []
    for page in pages:
        found = _ARTICLE.search(page.read_text(encoding="utf-8"))
        if found is None:
            raise EmonbError(f"{page} has no article; build the book first: emonb html")
        body = _anchor(found[1], page, names)
        parts.append(
            f'<section class="page" id="{names[page.resolve()]}">{_number(body) if len(pages) == 1 else body}</section>'
        )
    return (
        '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8" />'
        f"<title>{re.sub('<[^>]+>', '', re.findall('<title>(.*?)</title>', first)[0])}</title>{links}"
        "<style>@page { size: A4; margin: 18mm 16mm; @bottom-center { content: counter(page); font: 9px sans-serif; } } "
        "html { font-size: 11px; } .page { break-before: page; } "
        ".page:first-child { break-before: auto; }</style></head>"
        f'<body><main class="bd-content"><article class="bd-article">{"".join(parts)}</article></main></body></html>'
    )


def _number(body: str) -> str:
    """Number figures, and tables, from one, in the order in which they are named.

    >>> _number("Fig. 42 and Fig. 43: <i>Fig. 42</i>, Table 9")
    'Fig. 1 and Fig. 2: <i>Fig. 1</i>, Table 1'
    """
    for kind in (r"Fig\.", "Table"):
        numbers: dict[str, int] = {}
        body = re.sub(rf"\b({kind}) (\d+)", lambda m, n=numbers: f"{m[1]} {n.setdefault(m[2], len(n) + 1)}", body)  # type: ignore[misc]
    return body


def _anchor(body: str, page: Path, names: dict[Path, str]) -> str:
    own = names[page.resolve()]

    def link(found: re.Match[str]) -> str:
        kind, target, fragment = found[1], found[2], found[3] or ""
        if ":" in target.split("/")[0]:
            return found[0]
        path = (page.parent / target).resolve() if target else page.resolve()
        if kind == "href" and path in names:
            return f'href="#{names[path]}{f"--{fragment[1:]}" if fragment else ""}"'
        return f'{kind}="{path.as_uri()}{fragment}"'

    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{own}--\1"', body)
    body = re.sub(r"url\(#", f"url(#{own}--", body)
    pictures = re.split(r"(<svg\b.*?</svg>)", body, flags=re.DOTALL)
    for k, part in enumerate(pictures):  # every other one
        if k % 2:
            pictures[k] = part.replace('href="#', f'href="#{own}--')
        else:
            pictures[k] = re.sub(r'\b(href|src)="([^"#]*)(#[^"]*)?"', link, part)
    return "".join(pictures)


def _place(page: Path, target: str) -> str:
    return (page.parent / target.split("?")[0]).resolve().as_uri()


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def pdf(
    out: Annotated[Path | None, typer.Option(help="File; default _build/emonb.pdf.")] = None,
    page: Annotated[str | None, typer.Option(help="Only this page, such as book/paper.")] = None,
) -> None:
    """Print the book, built if it is not, as one PDF; needs Chromium."""
    first = build_html()
    typer.echo(print_book(first.parent, (out or first.parents[1] / "emonb.pdf").absolute(), page))


if __name__ == "__main__":
    main(app)
