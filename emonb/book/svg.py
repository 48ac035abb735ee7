"""Pictures as SVG: the same file for the same figure, and on a page in the colours of its light or dark theme.

A figure names two colours by their role: :data:`INK`, what text and lines are drawn with, and white, what lies behind.
On a page they become the page's own; the palette's blue and orange become variables that the style sheet may lighten.
"""

import html
import re
from collections.abc import Iterator

INK = "#14181f"
FONT = "DejaVu Sans"  # comes with matplotlib: text has the same width on every machine
WRITER = {"svg.hashsalt": "emonb", "svg.fonttype": "none", "font.family": FONT}
WRITER |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
"""Settings (rcParams) that make a figure's SVG the same on every run, and its ink recognisable."""

PALETTE = {"#0072b2": "blue", "#d55e00": "orange", "#009e73": "green", "#9a9a9a": "faint"}
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COLOUR = re.compile(r"(fill|stroke): (#[0-9a-f]{6})")


def show_svg() -> None:
    """Let figures that notebooks show be SVG; outside of a notebook, nothing."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})


def put_on_page(svg: str, prefix: str, alt: str) -> str:
    """Turn an SVG file that matplotlib wrote into an element of a page.

    Returned is an ``svg`` element without metadata, in CSS pixels, its ink and background the page's, in a frame that
    scrolls where a screen is too narrow to read it. ``prefix`` comes before the ids that the picture refers to, so that
    two pictures of one page share none; ``alt`` says what it shows, for those who do not see it.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", "", body, count=1, flags=re.DOTALL)
    used = set(re.findall(r"url\(#([^)]+)\)", body)) | set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", body).replace("xlink:href", "href")
    body = re.sub(r"<(path|use|text|g|rect|circle)\b[^>]*>", _recolour, body)
    body = _NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), body)
    body = re.sub(r"\s*\n\s*", " ", body).replace(f"font-family: '{FONT}'", "")
    opening, _, rest = body.partition(">")
    sizes = {name: float(re.search(rf'{name}="([\d.]+)pt"', opening)[1]) for name in ("width", "height")}  # type: ignore[index]
    box = re.search(r'viewBox="[^"]*"', opening)
    size = " ".join(f'{name}="{round(points * 4 / 3)}"' for name, points in sizes.items())  # in CSS pixels
    named = f'role="img" aria-label="{html.escape(alt)}"'
    return f'<span class="frame"><svg class="picture" {named} {size} {box[0] if box else ""}>{rest.strip()}</span>'


def _recolour(tag: re.Match[str]) -> str:
    """Colours of one element by role; white is the background but in text, where it stands on something dark."""

    def role(colour: re.Match[str]) -> str:
        name, value = colour[1], colour[2]
        if value in (INK, "#000000"):
            return f"{name}: currentColor"
        if value == "#ffffff" and tag[1] != "text":
            return f"{name}: var(--page, #fff)"
        return f"{name}: var(--{PALETTE[value]}, {value})" if value in PALETTE else colour[0]

    return _COLOUR.sub(role, tag[0])


def find_pictures(body: str) -> Iterator[tuple[str, str, str]]:
    """Find the SVG files a page shows: its ``img`` element, the file's name and the alternative text.

    >>> list(find_pictures('<p><img alt="a &lt; b" src="../_images/x.svg" /></p>'))
    [('<img alt="a &lt; b" src="../_images/x.svg" />', 'x.svg', 'a < b')]
    """
    for image in re.finditer(r'<img\b[^>]*\bsrc="[^"]*?_images/([^"/]+\.svg)"[^>]*>', body):
        alt = re.search(r'\balt="([^"]*)"', image[0])
        yield image[0], image[1], html.unescape(alt[1]) if alt else ""
