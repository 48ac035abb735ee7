"""The theme's icons as a small style sheet: those that pages name, taken from the theme's script of all of them."""

import re
from collections.abc import Mapping
from pathlib import Path

from emonb.artifacts import write_text

_SCRIPT = re.compile(r'\s*<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>')
_BY_SCRIPT = {"xmark"}  # named by the theme's script, not in a page
_NOT_ICONS = {"solid", "regular", "brands", "lg"}


def write_icons(static: Path, pages: Mapping[Path, str]) -> None:
    """Replace the theme's script of 1.5 MB in every page by the outlines of the icons that pages name.

    Parameters
    ----------
    static : Path
        The site's ``_static``; ``icons.css`` is written into it, and the script removed.
    pages : mapping of Path to str
        The site's pages, which are rewritten.
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
