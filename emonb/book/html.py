"""The book as HTML, warnings as errors, built where what it shows has changed; it or one of its pages as PDF."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from emonb.artifacts import file_digest, make_key, write_text
from emonb.errors import EmonbError
from emonb.paths import data_dir

SOURCES = ("_config.yml", "_toc.yml", "book/**/*", "benchmarks/*.md", "data/*.yml", "emonb/**/*.py", "constraints.txt")
"""What the pages are made from, by pattern: pages and notebooks, what they include, and the code that writes them."""


def build_html(clean: bool = False) -> Path:
    """Build the book from what is committed, unless it is built; return the path of its first page.

    Parameters
    ----------
    clean : bool
        Build it in any case, from nothing.

    Raises
    ------
    EmonbError
        The build failed; the first complaint is in the message, all it said in ``_build/build.log``.
    """
    root = data_dir().parent
    if clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    built = find_built()
    if built is not None:
        return built
    # read before the build: what is edited meanwhile is built next time
    key, page = _key(), _page()
    _note().unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "-W", "-n", "--keep-going", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    if done.returncode or not page.is_file():
        log = write_text(done.stdout + done.stderr, root / "_build" / "build.log")
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = next((line for line in lines if re.search("WARNING|ERROR|Error", line)), lines[-1] if lines else "nothing")
        raise EmonbError(f"the book did not build: {said} (all of it: {log})")
    # where no page is out of date, Sphinx leaves a stylesheet that was changed as it was
    shutil.copytree(root / "book" / "_static", page.parent / "_static", dirs_exist_ok=True)
    write_text(key, _note())
    return page


def find_built() -> Path | None:
    """Path of the first page where the book is built from just what is there now, else nothing."""
    note, page = _note(), _page()
    current = page.is_file() and note.is_file() and note.read_text(encoding="utf-8") == _key()
    return page if current else None


def describe(page: Path) -> str:
    """Say which file to open."""
    return f"book: open {page}"


def _page() -> Path:
    return data_dir().parent / "_build" / "html" / "index.html"


def _note() -> Path:
    """Where it is noted what the book was built from."""
    return data_dir().parent / "_build" / "built"


def _key() -> str:
    root = data_dir().parent
    found = sorted({path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()})
    shown = [path for path in found if "chapters" not in path.parts and "__pycache__" not in path.parts]
    return make_key(**{path.relative_to(root).as_posix(): file_digest(path) for path in shown})


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARTICLE = re.compile(r'<article class="bd-article">(.*?)</article>', re.DOTALL)


def print_book(html_dir: Path, out: Path, only: str | None = None) -> Path:
    """Print the built book.

    Parameters
    ----------
    html_dir : Path
        The built site (``_build/html``).
    out : Path
        The PDF to write.
    only : str, optional
        Print this page alone, such as ``book/paper``.

    Raises
    ------
    EmonbError
        No Chromium, or it did not print.
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
    """Number figures from one, in the order in which they are named.

    >>> _number("Fig. 42 and Fig. 43: <i>Fig. 42</i>")
    'Fig. 1 and Fig. 2: <i>Fig. 1</i>'
    """
    numbers: dict[str, int] = {}
    return re.sub(r"\bFig\. (\d+)", lambda found: f"Fig. {numbers.setdefault(found[1], len(numbers) + 1)}", body)


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
