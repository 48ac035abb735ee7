"""A claim as a card: its sentence, the effect drawn with its interval, the verdict by icon, word and colour."""

import html
from collections.abc import Mapping
from typing import Any

from emonb.book.claims import Claim
from emonb.book.tables import format_number

Entry = Mapping[str, Any]

HOLDS = {"yes": "✔ holds", "no": "✘ does not hold", "undecided": "? undecided", "not tested": "– not tested"}
REPRODUCED = {
    "yes": "✔ the paper's number comes out",
    "no": "✘ the paper's number does not come out",
    "not printed": "– no number in the abstracts",
    "not tested": "– number not tested",
}
SYMBOLS = {"yes": "✔", "no": "✘", "undecided": "?", "not tested": "–", "not printed": "–"}


class Card:
    """A judged claim; in a notebook a card, as text one line.

    Parameters
    ----------
    claim : Claim
    entry : dict
        From :func:`emonb.book.ledger.judge_claim`, or of a committed ledger.
    links : dict of str to str, optional
        Text and target of links at the card's foot.
    """

    def __init__(self, claim: Claim, entry: Entry, links: Mapping[str, str] | None = None) -> None:
        self.claim, self.entry, self.links = claim, entry, dict(links or {})

    def __str__(self) -> str:
        entry = self.entry
        truth = f", true in this world: {entry['truth']}" if "truth" in entry else ""
        return (
            f"claim {self.claim.id}: holds {entry['holds']}, reproduced {entry['reproduced']}{truth} "
            f"({describe_effect(self.claim, entry)}; unit of inference: {describe_unit(self.claim, entry)})"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        claim, entry = self.claim, self.entry
        brief = bool(self.links)  # on a page that has them all; the whole card stands where the claim is judged
        badges = [
            f'<span class="badge holds-{kind_of(entry)}">{say_holds(entry)}</span>',
            f'<span class="badge reproduced">{REPRODUCED[entry["reproduced"]]}</span>',
        ]
        if "truth" in entry:
            badges.append(f'<span class="badge truth">planted here: {entry["truth"]}</span>')
        anchor = "" if self.links else f' id="claim-{claim.id}"'  # links come from other pages to where it is judged
        feet = " · ".join(f'<a href="{target}">{html.escape(text)}</a>' for text, target in self.links.items())
        effect, unit = describe_effect(claim, entry), f"the {describe_unit(claim, entry)}"
        if brief:
            effect = "" if claim.is_count else describe_estimate(claim, entry)
            unit = claim.unit if entry["n"] is None else f"{entry['n']} {claim.unit}s"
        return (
            f'<div class="claim-card"{anchor}><p class="claim-title">{html.escape(claim.title)}</p>'
            f'<p class="claim-badges">{"".join(badges)}</p>'
            + ("" if brief else f'<p class="claim-sentence">{html.escape(claim.sentence)}</p>')
            + (draw_count if claim.is_count else draw_effect)(claim, entry, 200 if brief else 320)
            + f'<p class="claim-effect">{html.escape(effect)}</p>'
            f'<p class="claim-reads">{html.escape(read_verdict(claim, entry))}</p>'
            f'<details class="claim-unit"><summary>Counted as one: {html.escape(unit)}</summary>'
            f"{html.escape(_foot(claim, entry))}</details>"
            + (f'<p class="claim-links">{feet}</p>' if feet else "")
            + "</div>"
        )


def kind_of(entry: Entry) -> str:
    """The verdict as one of few words, for colour and text: a count is ``all``, ``some`` or ``none``.

    >>> kind_of({"holds": "6 of 14"}), kind_of({"holds": "not tested"})
    ('some', 'not-tested')
    """
    count, of, total = entry["holds"].partition(" of ")
    if not of:
        return str(entry["holds"]).replace(" ", "-")
    return "all" if count == total else "some" if int(count) else "none"


def say_holds(entry: Entry) -> str:
    """The verdict with its icon."""
    return HOLDS.get(entry["holds"]) or f"{entry['holds']} hold"


def read_verdict(claim: Claim, entry: Entry) -> str:
    """The verdict in a sentence; empty where nothing was tested."""
    text = claim.reads.get(kind_of(entry), "")  # type: ignore[call-overload]
    small = " It is smaller than what would matter." if entry.get("small") else ""
    return f"{text}{small}"


def describe_effect(claim: Claim, entry: Entry) -> str:
    """The effect with its 95 % interval, and p with its side."""
    if claim.is_count:
        by = {kind: [name for name, one in entry.get("each", {}).items() if one["holds"] == kind] for kind in HOLDS}
        return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by.items() if names) or "not computed"
    if entry["estimate"] is None:
        return "not computed"
    text = describe_estimate(claim, entry)
    if entry["p"] is not None:
        p = format_number(entry["p"], "p")
        text += f", p {p if p.startswith('<') else f'= {p}'} ({entry['side']})"
    return text + (f", Bayes factor {_odds(entry['bf'])}" if "bf" in entry else "")


def describe_estimate(claim: Claim, entry: Entry) -> str:
    """The effect on its scale with its 95 % interval."""
    if entry["estimate"] is None:
        return "not computed"
    text = f"{entry.get('scale', claim.scale)} {_digits(claim, entry['estimate'])}"
    if entry["low"] is None:
        return text
    return f"{text} [{_digits(claim, entry['low'])}, {_digits(claim, entry['high'])}]"


def _odds(bayes: float) -> str:
    """A Bayes factor in digits.

    >>> [_odds(bayes) for bayes in (0.314, 1.41, 384.2, 7.3e7)]
    ['0.31', '1.4', '384', 'above 1,000']
    """
    return "above 1,000" if bayes > 1000 else f"{bayes:.0f}" if bayes >= 10 else f"{bayes:.2g}"


def describe_unit(claim: Claim, entry: Entry) -> str:
    """The unit of inference and how many there are."""
    return claim.unit + ("" if entry["n"] is None else f", n = {entry['n']}")


def draw_effect(claim: Claim, entry: Entry, width: int = 320) -> str:
    """The effect on its own scale: dot, 95 % (thin) and 90 % (thick) interval, zero; shaded: too small to matter.

    Dashed is what it can be held against, such as the noise ceiling or how much random masks differ among each other.
    """
    if entry["estimate"] is None or entry["low"] is None:
        return ""
    smallest = claim.smallest.effect
    mark = entry.get("mark") or {"value": None}
    ends = [entry["low"], entry["high"], -smallest, smallest, 0.0, *([mark["value"]] if mark["value"] is not None else [])]
    if "difference" not in claim.scale and smallest >= 0.1:
        ends.append(0.5 if "share" in claim.scale else 1.0)  # the scale ends there
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low)
    low, high = low - room, high + room

    def at(value: float) -> str:
        return f"{10 + (width - 20) * (min(max(value, low), high) - low) / (high - low):.0f}"

    ticks = {0.0: "0"} | {value: _digits(claim, value) for value in (smallest, *([1.0] if high > 1 else []))}
    label, top, yardstick = describe_effect(claim, entry), 0, ""
    if mark["value"] is not None:
        ticks[mark["value"]], top = _digits(claim, mark["value"]), -14
        label += f"; {mark['words']}: {ticks[mark['value']]}"
        x, side = at(mark["value"]), "end" if float(at(mark["value"])) > width / 2 else "start"
        yardstick = f'<line class="mark" x1="{x}" x2="{x}" y1="4" y2="38"/>'
        yardstick += f'<text x="{x}" y="0" text-anchor="{side}">{mark["words"]}</text>'
    labels = "".join(f'<text x="{at(v)}" y="52" text-anchor="middle">{text}</text>' for v, text in ticks.items())
    return (
        f'<svg class="claim-drawing" viewBox="0 {top} {width} {58 - top}" role="img" aria-label="{html.escape(label)}">'
        f'<rect class="small" x="{at(-smallest)}" y="4" width="{int(at(smallest)) - int(at(-smallest))}" height="34"/>'
        f'<line class="axis" x1="10" x2="{width - 10}" y1="38" y2="38"/>'
        f'<line class="zero" x1="{at(0)}" x2="{at(0)}" y1="4" y2="38"/>'
        f'<line class="wide" x1="{at(entry["low"])}" x2="{at(entry["high"])}" y1="21" y2="21"/>'
        f'<line class="narrow" x1="{at(entry["low90"])}" x2="{at(entry["high90"])}" y1="21" y2="21"/>'
        f'<circle class="dot" cx="{at(entry["estimate"])}" cy="21" r="6"/>{yardstick}{labels}</svg>'
    )


def draw_count(claim: Claim, entry: Entry, width: int = 320) -> str:
    """One dot an attribute: filled where the claim holds, a ring where it is undecided, a cross where it does not hold."""
    order = sorted(entry.get("each", {}).items(), key=lambda item: list(HOLDS).index(item[1]["holds"]))
    if not order:
        return ""
    step, size = (width - 20) / max(len(order), 14), 7 if width > 300 else 5
    marks = []
    for k, (name, one) in enumerate(order):
        x = 10 + step * (k + 0.5)
        shape = f'<circle class="each-{one["holds"].replace(" ", "-")}" cx="{x:.0f}" cy="21" r="{size}"/>'
        if one["holds"] == "no":
            arm, long = size - 2, 2 * (size - 2)
            shape = f'<path class="each-no" d="M{x - arm:.0f} {21 - arm}l{long} {long}m0 -{long}l-{long} {long}"/>'
        marks.append(f"<g><title>{html.escape(name)}: {one['holds']}</title>{shape}</g>")
    label = html.escape(f"{entry['holds']}: {describe_effect(claim, entry)}")
    return f'<svg class="claim-drawing" viewBox="0 0 {width} 42" role="img" aria-label="{label}">{"".join(marks)}</svg>'


def _foot(claim: Claim, entry: Entry) -> str:
    parts = [
        f"About: {claim.population}. Another study would draw other {' and '.join(claim.sampled)}; all else is kept.",
        f"Test: {claim.test}.",
        f"Smallest effect that would matter: {entry['sesoi']:g} ({claim.smallest.because}).",
    ]
    if "released" in entry:
        parts.append(f"Numbers of the released files come out: {entry['released']}.")
    return " ".join(parts)


def _digits(claim: Claim, value: float) -> str:
    return format_number(float(value), 2 if claim.smallest.effect >= 0.1 else 3)
