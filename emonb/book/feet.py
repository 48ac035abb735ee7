"""The foot of a claim's card on the built page: how often its test says yes of nothing, and where else it is judged."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from emonb.book.claims import Declarations
from emonb.book.instrument import count_simulated, say_rate
from emonb.book.ledgers import declarations
from emonb.book.pages import name_place

_CARD = re.compile(r'(<div class="claim-card" id="claim-([a-z-]+)">.*?</details>)(?=</div>)', re.DOTALL)


def add_feet(body: str, page: str, ledgers: Mapping[str, Mapping[str, Any]], rates: pd.DataFrame) -> str:
    """Add a foot to the cards of a chapter.

    Parameters
    ----------
    body : str
        HTML of the page.
    page : str
        Its place in the book, ``book/EDITION/CHAPTER``; other pages are left as they are.
    ledgers : dict of edition to ledger
        From :func:`emonb.book.ledgers.read_ledgers`.
    rates : DataFrame
        From :func:`emonb.book.instrument.read_rates`.
    """
    place = PurePosixPath(page)
    if len(place.parts) != 3:
        return body
    edition, chapter = place.parent.name, place.name
    declared = declarations()

    def foot(match: re.Match[str]) -> str:
        claim = match[2]
        links = {"all claims": "../index.html", "the instrument": "../instrument.html"}
        for other, ledger in ledgers.items():
            if other != edition and claim in ledger["claims"]:
                links[name_place(other)] = f"../{other}/{chapter}.html#claim-{claim}"
        linked = " · ".join(f'<a href="{target}">{text}</a>' for text, target in links.items())
        alarms = count_alarms(rates, declared, claim)
        return f'{match[1]}<p class="claim-alarm">{alarms}</p><p class="claim-links">{linked}</p>'

    return _CARD.sub(foot, body)


def count_alarms(rates: pd.DataFrame, declared: Declarations, claim: str) -> str:
    r"""How often the claim's own test was wrong in simulated studies, where it was worst; empty where none was made.

    >>> counts = dict.fromkeys(("yes, too small to matter", "undecided", "not tested"), 0)
    >>> cell = {"claim": "words", "kind": "", "strength": 0.0, "correlation": 0.0, "draws": 1, "effect": 0.0}
    >>> rows = [{**cell, **counts, "yes": 4, "no": 90, "n": 200}]
    >>> rows += [{**cell, **counts, "kind": "bound", "effect": 0.2, "yes": 150, "no": 2, "n": 200}]
    >>> from emonb.book.ledgers import declarations
    >>> print(count_alarms(pd.DataFrame(rows), declarations(), "words").replace("; ", ";\n"))
    At worst, this test said in simulated studies: <i>yes</i> with nothing to find, 4 of 200 [0.01, 0.05];
    no <i>yes</i> of an effect at the bound, 50 of 200 [0.19, 0.32];
    <i>no</i> of it, 2 of 200 [0.00, 0.04].
    """
    errors = count_simulated(rates, declared)
    errors = errors[errors["claim"] == claim]
    kinds = {
        "false alarm": "<i>yes</i> with nothing to find",
        "miss": "no <i>yes</i> of an effect at the bound",
        "false no": "<i>no</i> of it",
    }
    parts = []
    for error, words in kinds.items():
        mine = errors[errors["error"] == error]
        if len(mine):
            worst = mine.assign(rate=mine["k"] / mine["n"]).nlargest(1, "rate").iloc[0]
            parts.append(f"{words}, {say_rate(int(worst['k']), int(worst['n']))}")
    return f"At worst, this test said in simulated studies: {'; '.join(parts)}." if parts else ""
