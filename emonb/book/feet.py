"""The foot of a claim's card on the built page: how often its test says yes of nothing, and where else it is judged."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from emonb.book.instrument import say_rate
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
    r"""How often the claim's own test was wrong in simulated studies, where it was worst; empty where none was made.

    >>> cell = {"claim": "words", "silent": False, "lot": False, "strength": 0.0, "yes": 4, "no": 90, "n": 200}
    >>> rates = pd.DataFrame([cell, {**cell, "strength": 1.0, "yes": 150, "no": 2}])
    >>> print(count_alarms(rates, "words").replace("; ", ";\n"))
    At worst, this test said in simulated studies: <i>yes</i> with nothing to find, 4 of 200 [0.01, 0.05];
    <i>no</i> of what was planted, 2 of 200 [0.00, 0.04].
    """
    mine = rates[rates["claim"] == claim]
    silent, lot = mine["silent"].astype(bool), mine["lot"].astype(bool)
    kinds = {
        ("yes", "with nothing to find"): (mine["strength"] == 0) & ~silent & ~lot,
        ("yes", "with only a close attribute carried"): (mine["strength"] > 0) & silent,
        ("yes", "with an attribute's neurons drawn by lot"): lot,
        ("no", "of what was planted"): (mine["strength"] >= 0.5) & ~silent & ~lot,
    }
    parts = []
    for (verdict, where), those in kinds.items():
        if those.any():
            worst = mine[those].assign(rate=mine[verdict] / mine["n"]).nlargest(1, "rate").iloc[0]
            parts.append(f"<i>{verdict}</i> {where}, {say_rate(int(worst[verdict]), int(worst['n']))}")
    return f"At worst, this test said in simulated studies: {'; '.join(parts)}." if parts else ""
