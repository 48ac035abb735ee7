"""Parts of a page, from notebook to HTML: toggles with names, figures named by edition, tables for phones, definitions."""

import ast
import html
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from emonb.book.saying import read_cell

OWN = "published"  # the edition whose figures have plain names
_PLAIN = re.compile(  # calls that say how, and not what
    "add|append|apply|assign|assign_coords|astype|describe|drop|dropna|format|isel|items|iterrows|join|keys|load|max|mean|min|"
    "rename|replace|reset_index|round|sel|set_axis|set_option|sort_index|sort_values|split|std|sum|to_[a-z]+|update|values|xs"
)
_TABLE = re.compile(r"<table\b[^>]*>.*?</table>", re.DOTALL)


def prepare_cells(notebook: dict[str, Any], page: str) -> dict[str, Any]:
    """Name what a reader can unfold, and tell editions apart.

    Parameters
    ----------
    notebook : dict
        An executed notebook's JSON.
    page : str
        Its place in the book, ``book/EDITION/CHAPTER``.

    Returns
    -------
    dict
        The notebook, changed: a folded cell's prompt says what its code does (:func:`name_code`);
        of a cell of prose (:mod:`emonb.book.saying`) only the prose stays; both parameter cells are
        folded; in an edition other than the published one, figures' names and references to them
        begin with the edition's name, and the title ends with it.
    """
    place = PurePosixPath(page)
    edition = place.parent.name if len(place.parts) == 3 else ""
    names = {cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") for cell in notebook["cells"]} - {None}
    titled = False
    for cell in notebook["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown" and edition and edition != OWN:
            if not titled and text.startswith("# "):
                text, titled = re.sub(r"^# (.*)$", rf"# \1 ({edition})", text, count=1, flags=re.MULTILINE), True
            text = _rename(text, names, edition)
            cell["source"] = text
        if cell["cell_type"] != "code":
            continue
        if read_cell(text) is not None:
            cell["metadata"]["tags"] = [*tags, "remove-input"]
        given = {"parameters": "Parameters of this chapter", "injected-parameters": "Parameters it was run with"}
        prompt = next((name for tag, name in given.items() if tag in tags), "") or f"Code: {name_code(text)}"
        if given.keys() & set(tags) and "hide-input" not in tags:
            cell["metadata"]["tags"] = [*tags, "hide-input"]
        settings = cell["metadata"].setdefault("mystnb", {})
        settings.setdefault("code_prompt_show", html.escape(prompt))
        settings.setdefault("code_prompt_hide", html.escape(prompt))
        if edition and edition != OWN and settings.get("figure", {}).get("name"):
            settings["figure"]["name"] = f"{edition}-{settings['figure']['name']}"
        for output in cell.get("outputs", []) if edition and edition != OWN else []:
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


def name_code(code: str, most: int = 3) -> str:
    r"""Say what a cell does: its first comment, or the functions it calls.

    >>> name_code("# permutation test of masks")
    'permutation test of masks'
    >>> name_code("rows = lesions.compare(a)\nrun.ledger.record(rows.to_dict())")
    'compare, numbers kept'
    >>> name_code("alpha, draws = 0.05, 999")
    'alpha, draws'
    """
    comment = re.match(r"\s*#\s*(.+)", code)
    if comment:
        return comment[1].strip()
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return "this cell"
    if all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body[:2]) and tree.body:
        return "imports and the run"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    names = {"say": "sentence", "record": "numbers kept", "claim": "the claim judged"}
    called = [call.func.attr for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset))]  # type: ignore[attr-defined]
    kept = [names.get(name, name) for name in dict.fromkeys(called) if not _PLAIN.fullmatch(name)]
    set_here = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return ", ".join(name.replace("_", " ") for name in (kept or list(dict.fromkeys(set_here)))[:most]) or "this cell"


def mend_labels(text: str) -> str:
    """Let toggles and the search button be called what they show, and drop a role that misses what it asks for."""
    text = text.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    text = re.sub(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"', r"\1", text)
    return text.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def wrap_tables(body: str) -> str:
    """Put every table into a box that scrolls where it must; name each cell of a table that stacks on a phone.

    A table stacks when it has the class ``stack``, ``verdicts`` or ``results``: its rows become blocks, and a cell shows
    its column's heading (``data-label``) before its content.
    """
    return _TABLE.sub(lambda m: f'<div class="scroll">{_label_cells(m[0])}</div>', body)


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
