"""The foot of a claim's card on the built page: how often its test says yes of nothing, and where else it is judged."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

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

    def foot(match: re.Match[str]) -> str:
        claim = match[2]
        links = {"all claims": "../index.html", "the instrument": "../instrument.html"}
        for other, ledger in ledgers.items():
            if other != edition and claim in ledger["claims"]:
                links[name_place(other)] = f"../{other}/{chapter}.html#claim-{claim}"
        linked = " · ".join(f'<a href="{target}">{text}</a>' for text, target in links.items())
        return f'{match[1]}<p class="claim-alarm">{count_alarms(rates, claim)}</p><p class="claim-links">{linked}</p>'

    return _CARD.sub(foot, body)


def count_alarms(rates: pd.DataFrame, claim: str) -> str:
    """How often the claim's own test said yes of simulated studies where nothing was planted; empty where none was made.

    >>> rows = [("words", False, 0.0, 4, 200), ("words", True, 1.0, 9, 100), ("words", False, 1.0, 150, 200)]
    >>> count_alarms(pd.DataFrame(rows, columns=["claim", "silent", "strength", "yes", "n"]), "words")
    'This test said yes of 4 in 200 simulated studies with nothing to find, of 9 in 100 with a close attribute only.'
    """
    mine = rates[rates["claim"] == claim]
    nothing = mine[(mine["strength"] == 0) & ~mine["silent"].astype(bool)]
    silent = mine[(mine["strength"] > 0) & mine["silent"].astype(bool)]
    if nothing.empty:
        return ""
    text = (
        f"This test said yes of {nothing['yes'].sum():,} in {nothing['n'].sum():,} simulated studies with nothing to find"
    )
    if not silent.empty:
        text += f", of {silent['yes'].sum():,} in {silent['n'].sum():,} with a close attribute only"
    return f"{text}."
