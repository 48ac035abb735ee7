"""A real browser for tests: Chromium driven by playwright, axe-core fetched by hash, and what a page is asked."""

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from emonb.paths import cache_dir, data_dir

SITE = data_dir().parent / "_build" / "html"
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
AXE = "4.14.1", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # version; sha256 of axe.min.js
NOT_OURS = {"region"}  # the theme's logo and search lie outside of landmarks


def missing() -> str:
    """Say what a test in a browser lacks; nothing where it can run."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no playwright (make env)"
    if CHROMIUM is None:
        return "no chromium (apt install chromium)"
    return ""


def missing_site() -> str:
    """The same, for a test of the built book."""
    return missing() or ("" if (SITE / "index.html").is_file() else "the book is not built (make html)")


@cache
def axe() -> str:
    """Source of axe-core, from npm's cache or registry, verified; empty where it cannot be had."""
    version, sha256 = AXE
    path = cache_dir() / f"axe-core-{version}.js"
    if not path.is_file():
        npm = shutil.which("npm")
        if npm is None:
            return ""
        path.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "pack", f"axe-core@{version}", "--silent"], cwd=path.parent, capture_output=True, timeout=120, check=False
        )
        archive = path.parent / f"axe-core-{version}.tgz"
        if done.returncode or not archive.is_file():
            return ""
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member is not None
            path.write_bytes(member.read())
        archive.unlink()
    body = path.read_bytes()
    assert hashlib.sha256(body).hexdigest() == sha256, f"{path} is not axe-core {version}; delete it"
    return body.decode()


@contextmanager
def open_page(browser: Any, path: Path, size: str = "desktop", theme: str = "light", **options: Any) -> Iterator[Any]:
    """A page from disk with ``page.faults``: errors on the console, and requests for anything that is not on disk."""
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme, has_touch=size == "phone", **options)
    page = context.new_page()
    page.faults = []
    page.on("console", lambda m: page.faults.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: page.faults.append(f"script: {error}"))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else page.faults.append(f"asks for {r.url}"),
    )
    page.goto(path.as_uri())
    yield page
    context.close()


LAYOUT = """() => {
  const faults = [];
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  const name = (e) => `${e.tagName.toLowerCase()} '${(e.textContent || "").trim().slice(0, 30)}'`;
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  for (const table of document.querySelectorAll("article table")) {
    const box = table.closest(".scroll");
    const right = table.getBoundingClientRect().right;
    if (right > wide + 1 && !(box && scrolls(box))) faults.push(`cut off: ${name(table)}`);
    if (wide < 600 && table.matches(".stack, .verdicts, .results") && box && box.scrollWidth > box.clientWidth + 1)
      faults.push(`does not stack: ${name(table)}`);
    for (const cell of table.querySelectorAll("td, th"))
      if (cell.clientWidth && cell.scrollWidth > cell.clientWidth + 1) faults.push(`cut off: ${name(cell)}`);
  }
  for (const picture of document.querySelectorAll("article img, article svg.picture")) {
    const box = picture.getBoundingClientRect();
    const frame = picture.closest(".frame");
    if (box.width && (box.right > wide + 1 || box.left < -1) && !(frame && scrolls(frame)))
      faults.push("a picture leaves the page");
    if (picture.tagName === "IMG" && picture.complete && !picture.naturalWidth) faults.push(`no picture: ${picture.src}`);
  }
  if (wide >= 1000) {
    const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); ) {
      const parent = node.parentElement;
      const other = parent.closest("math, .visually-hidden, script, style, sub, sup");
      if (!node.data.trim() || !parent.checkVisibility() || other) continue;
      const drawing = parent.closest("svg");
      const scale = drawing && drawing.viewBox.baseVal.width
        ? drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width : 1;
      const px = parseFloat(getComputedStyle(parent).fontSize) * scale;
      if (px < 11) faults.push(`text of ${px.toFixed(1)} px: ${node.data.trim().slice(0, 20)}`);
    }
  }
  return [...new Set(faults)].slice(0, 12);
}"""


# Text in drawings against what is drawn under its middle, on the page's own background; WCAG 2.2, 1.4.3
CONTRAST = """() => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const page = numbers(getComputedStyle(document.body).backgroundColor).slice(0, 3), faults = [];
  for (const drawing of document.querySelectorAll("article svg.picture")) {
    if (!drawing.checkVisibility()) continue;
    const drawn = [...drawing.querySelectorAll("path, rect, text")].filter((e) => !e.closest("defs, clipPath"));
    for (const text of drawing.querySelectorAll("text")) {
      const box = text.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
      if (!text.textContent.trim()) continue;
      let under = page;
      for (const shape of drawn.slice(0, drawn.indexOf(text)).filter((e) => e.tagName !== "text")) {
        const style = getComputedStyle(shape), fill = numbers(style.fill);
        const at = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
        if (fill.length < 3 || !shape.isPointInFill(at)) continue;
        const opaque = (fill[3] ?? 1) * style.fillOpacity * style.opacity;
        under = under.map((v, k) => v * (1 - opaque) + fill[k] * opaque);
      }
      const [high, low] = [light(numbers(getComputedStyle(text).fill).slice(0, 3)), light(under)].sort((a, b) => b - a);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(1)}: ${text.textContent.trim().slice(0, 20)}`);
    }
  }
  return [...new Set(faults)].slice(0, 12);
}"""


def look(page: Any) -> list[str]:
    """What is wrong with a page's layout, once it stands still."""
    page.wait_for_timeout(150)
    return [*page.faults, *page.evaluate(LAYOUT)]


def judge(page: Any) -> list[str]:
    """Serious violations that axe-core finds, those of the theme's frame left out, and faint text in drawings."""
    page.wait_for_timeout(250)  # colours of a theme fade in
    page.evaluate(axe())
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    ours = [rule for rule in found if rule["impact"] in ("serious", "critical") and rule["id"] not in NOT_OURS]
    said = [f"{rule['id']} ({len(rule['nodes'])}): {rule['nodes'][0]['html'][:100]}" for rule in ours]
    return said + list(page.evaluate(CONTRAST))
