"""A claim as a card: its sentence, the effect drawn with its interval, the verdict by icon, word and colour."""

import html
from collections.abc import Callable, Mapping
from typing import Any

from emonb.book.claims import ALPHA, Claim, Evidence, fill_counts
from emonb.book.tables import format_number

Entry = Mapping[str, Any]
Alarm = tuple[int, int] | None
Ledgers = Mapping[str, Mapping[str, Any]]
"""Committed ledgers by edition (:func:`emonb.book.ledger.read_ledgers`)."""

HOLDS = {
    "yes": "✔ holds",
    "yes, too small to matter": "✔ holds, too small to matter",
    "no": "✘ does not hold",
    "undecided": "? undecided",
    "not tested": "– not tested",
}
TOO_READY = 0.10
"""Where a claim's own test says *yes* of nothing more often than this, its *yes* is not shown without saying so."""
WIDTH = 320
"""Of a card's drawing."""
ROLES = {
    "primary": "the authors' main claim",
    "authors": "the authors' claim",
    "question": "this book's question",
}


class Card:
    """A judged claim (an entry of :func:`emonb.book.ledger.judge_claim`, or of a ledger): a card, or as text one line."""

    def __init__(self, claim: Claim, entry: Entry) -> None:
        self.claim, self.entry = claim, entry

    def __str__(self) -> str:
        entry = self.entry
        truth = f", true in this world: {entry['truth']}" if "truth" in entry else ""
        return (
            f"claim {self.claim.id}: holds {entry['holds']}, reproduced {entry['reproduced']}{truth} "
            f"({describe_effect(self.claim, entry)}; unit of inference: {describe_unit(self.claim, entry)})"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return write_card(self.claim, self.entry)


def write_card(claim: Claim, entry: Entry, said: str = "", alarm: Alarm = None, foot: str | None = None) -> str:
    """Write a claim's card.

    ``said`` is what the paper says, and its number; ``alarm``, in how many simulated studies of how many the claim's own
    test said *yes* of nothing; ``foot``, HTML that ends the card: links, commands. Where there is none, the card stands in
    a notebook, and the built page has one with a foot in its place.
    """
    kind = "some" if claim.is_count and kind_of(entry) == "yes" else kind_of(entry)
    badges = f'<span class="badge holds-{kind}">{say_holds(entry, alarm)}</span>'
    if "truth" in entry:
        badges += f' <span class="badge">planted here: {describe_truth(entry)}</span>'
    lines = {
        "sentence": say_sentence(claim, entry) + ("" if claim.role == "primary" else f" ({describe_role(claim, entry)})"),
        "said": said,
        "effect": describe_effect(claim, entry),
        "reads": read_verdict(claim, entry),
        "test": f"Test: {claim.test}. Unit: the {describe_unit(claim, entry)}.",
        "alarm": "" if foot is None else say_alarm(alarm),
    }
    written = {name: f'<p class="claim-{name}">{html.escape(text)}</p>' for name, text in lines.items() if text}
    written["effect"] = (draw_count if claim.is_count else draw_effect)(claim, entry) + written["effect"]
    return (
        f'<div class="claim-card" id="claim-{claim.id}"><p class="claim-title">{html.escape(claim.title)} {badges}</p>'
        f"{''.join(written.values())}<details><summary>Population, bound and edge</summary>"
        f"<p>{html.escape(_foot(claim, entry))}</p></details>{foot or ''}</div>"
    )


def say_holds(entry: Entry, alarm: Alarm = None) -> str:
    """The verdict in a few words; a *yes* of a test that says so of nothing too often, not without saying that.

    >>> say_holds({"holds": "yes"}, (3, 50)), say_holds({"holds": "yes"}, (9, 50)), say_holds({"holds": "no"}, (9, 50))
    ('✔ holds', '✔ holds, by a test that is too ready to say so', '✘ does not hold')
    """
    shown = kind_of(entry) == "yes"
    holds = f"◐ at least {entry['estimate']:.0f} of {entry['of']}" if shown and "of" in entry else HOLDS[entry["holds"]]
    ready = shown and alarm is not None and alarm[0] > TOO_READY * alarm[1]
    return holds + (", by a test that is too ready to say so" if ready else "")


def say_alarm(alarm: Alarm) -> str:
    """How often the claim's own test said *yes* of nothing, where it was worst.

    >>> say_alarm((3, 50))
    'Where nothing was there to be found, this test said yes in 3 of 50 simulated studies, at worst.'
    """
    if alarm is None:
        return "How often this test says yes where nothing is there has not been measured."
    return (
        f"Where nothing was there to be found, this test said yes in {alarm[0]} of {alarm[1]} simulated studies, at worst."
    )


def kind_of(entry: Entry) -> str:
    """The verdict as a class for its colour.

    >>> kind_of({"holds": "yes, too small to matter"}), kind_of({"holds": "not tested"})
    ('yes', 'not-tested')
    """
    return str(entry["holds"]).partition(",")[0].replace(" ", "-")


def say_sentence(claim: Claim, entry: Entry) -> str:
    """What is claimed, with how many units there are."""
    return fill_counts(claim.sentence, {"n": entry.get("n"), "of": entry.get("of")})


def read_verdict(claim: Claim, entry: Entry) -> str:
    """The verdict in a sentence, and what would turn it where little would; empty where nothing was tested."""
    counts = {"k": entry["estimate"], "n": entry.get("n"), "of": entry.get("of")}
    text = fill_counts(claim.reads.get(kind_of(entry), ""), counts)  # type: ignore[call-overload]
    if entry["holds"] == "yes, too small to matter":
        text += " It is smaller than what would matter."
    if "withheld" in entry:
        text += f" The rule says {entry['withheld']}, but this test may not: {claim.no_yes}."
    if entry.get("p_holm") is not None and entry["p"] < ALPHA <= entry["p_holm"]:
        text += f" At the edge: as one of the main claims (Holm), its p is no longer below {ALPHA:g}."
    if edges := entry.get("edges"):
        text += f" At the edge: {'; '.join(edges)}."
    return text


def ask_claims(judge: Callable[[str], tuple[Claim, Entry]]) -> dict[str, Callable[[str], str]]:
    """What a cell of prose may ask of a claim by its name: ``verdict``, in the rule's words, and ``reads``, a sentence."""

    def read(name: str) -> str:
        claim, entry = judge(name)
        return (read_verdict(claim, entry) if entry else "") or "Not tested."

    return {"verdict": lambda name: str(judge(name)[1].get("holds", "not tested")), "reads": read}


def describe_role(claim: Claim, entry: Entry) -> str:
    """Whose claim it is, and whether it was found after looking."""
    return ROLES[claim.role] + (", exploratory here" if entry["exploratory"] else "")


def describe_truth(entry: Entry) -> str:
    """What is true in a planted world.

    >>> describe_truth({"truth": "yes", "true_count": 8}), describe_truth({"truth": "no"})
    ('8', 'no')
    """
    return str(entry.get("true_count", entry["truth"]))


def describe_effect(claim: Claim, entry: Entry) -> str:
    """The effect with its 95 % interval, and p with its side."""
    if entry["estimate"] is None:
        return "not computed"
    text = describe_estimate(claim, entry)
    if entry["p"] is not None:
        text += f", p {_say_p(entry['p'])} ({entry['side']})"
    if entry.get("p_holm") is not None:
        text += f", {format_number(entry['p_holm'], 'p')} after Holm"
    return text + (f", Bayes factor {_odds(entry['bf'])}" if "bf" in entry else "")


def describe_estimate(claim: Claim, entry: Entry) -> str:
    """The effect on its scale with its 95 % interval; of a count, how many at least."""
    if entry["estimate"] is None:
        return "not computed"
    if claim.is_count:
        return f"at least {entry['estimate']:.0f} of {entry['of']} attributes (95 %)"
    text = f"{entry.get('scale', claim.scale)} {format_effect(claim, entry['estimate'])}"
    if entry["low"] is None:
        return text
    return f"{text} [{format_effect(claim, entry['low'])}, {format_effect(claim, entry['high'])}]"


def describe_turn(claim: Claim, entry: Entry) -> str:
    """What the verdict would be under other bounds; empty where it is the same under every one.

    >>> from emonb.book.ledger import declarations
    >>> entry = {"holds": "no", "low": -0.1, "high": 0.15, "low90": -0.08, "high90": 0.13, "p": 0.6}
    >>> describe_turn(declarations().claim("structure"), {**entry, "estimate": 0.0})
    'No for any bound above 0.13.'
    """
    if claim.is_count:
        return ""
    evidence = read_evidence(entry)
    if (end := evidence.turns_at(claim.side)) is None:
        return ""
    above = evidence.decide(2 * end, claim.side)
    return f"{above.capitalize()} for any bound above {end:.3g}."


def read_evidence(entry: Entry) -> Evidence:
    """The numbers that a verdict was made of, from its entry in a ledger."""
    return Evidence(entry["estimate"], *(entry[name] for name in Evidence._fields[1:]))


def _say_p(value: float) -> str:
    text = format_number(value, "p")
    return text if text.startswith("<") else f"= {text}"


def _odds(bayes: float) -> str:
    """A Bayes factor in digits.

    >>> [_odds(bayes) for bayes in (0.314, 1.41, 384.2, 7.3e7)]
    ['0.31', '1.4', '384', 'above 1,000']
    """
    return "above 1,000" if bayes > 1000 else f"{bayes:.0f}" if bayes >= 10 else f"{bayes:.2g}"


def describe_unit(claim: Claim, entry: Entry) -> str:
    """The unit of inference and how many there are."""
    return claim.unit + ("" if entry["n"] is None else f", n = {entry['n']}")


def draw_effect(claim: Claim, entry: Entry) -> str:
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
        return f"{10 + (WIDTH - 20) * (min(max(value, low), high) - low) / (high - low):.0f}"

    ticks = {0.0: "0"} | {value: format_effect(claim, value) for value in (smallest, *([1.0] if high > 1 else []))}
    label, top, yardstick = describe_effect(claim, entry), 0, ""
    if mark["value"] is not None:
        ticks[mark["value"]], top = format_effect(claim, mark["value"]), -14
        label += f"; {mark['words']}: {ticks[mark['value']]}"
        x, side = at(mark["value"]), "end" if float(at(mark["value"])) > WIDTH / 2 else "start"
        yardstick = f'<line class="mark" x1="{x}" x2="{x}" y1="4" y2="38"/>'
        yardstick += f'<text x="{x}" y="0" text-anchor="{side}">{mark["words"]}</text>'
    labels = "".join(f'<text x="{at(v)}" y="52" text-anchor="middle">{text}</text>' for v, text in ticks.items())
    return (
        f'<svg class="claim-drawing" viewBox="0 {top} {WIDTH} {58 - top}" role="img" aria-label="{html.escape(label)}">'
        f'<rect class="small" x="{at(-smallest)}" y="4" width="{int(at(smallest)) - int(at(-smallest))}" height="34"/>'
        f'<line class="axis" x1="10" x2="{WIDTH - 10}" y1="38" y2="38"/>'
        f'<line class="zero" x1="{at(0)}" x2="{at(0)}" y1="4" y2="38"/>'
        f'<line class="wide" x1="{at(entry["low"])}" x2="{at(entry["high"])}" y1="21" y2="21"/>'
        f'<line class="narrow" x1="{at(entry["low90"])}" x2="{at(entry["high90"])}" y1="21" y2="21"/>'
        f'<circle class="dot" cx="{at(entry["estimate"])}" cy="21" r="6"/>{yardstick}{labels}</svg>'
    )


def draw_count(claim: Claim, entry: Entry) -> str:
    """One dot an attribute: as many filled as are shown at least; the test does not say which."""
    if entry["estimate"] is None or not entry["of"]:
        return ""
    count, total = round(entry["estimate"]), entry["of"]
    step = (WIDTH - 20) / max(total, 14)
    kinds = ["yes"] * count + ["undecided"] * (total - count)
    marks = [
        f'<circle class="each-{kind}" cx="{10 + step * (k + 0.5):.0f}" cy="21" r="7"/>' for k, kind in enumerate(kinds)
    ]
    label = html.escape(describe_effect(claim, entry))
    return f'<svg class="claim-drawing" viewBox="0 0 {WIDTH} 42" role="img" aria-label="{label}">{"".join(marks)}</svg>'


def _foot(claim: Claim, entry: Entry) -> str:
    parts = [
        f"About: {claim.population}. Another study would draw other {' and '.join(claim.sampled)}; all else is kept.",
        f"Smallest effect that would matter: {entry['sesoi']:g} ({claim.smallest.because}).",
        describe_turn(claim, entry),
    ]
    if "released" in entry:
        parts.append(f"Numbers of the released files come out: {entry['released']}.")
    return " ".join(filter(None, parts))


def format_effect(claim: Claim, value: float) -> str:
    """An effect of a claim with as many decimals as its smallest effect of interest asks for."""
    return format_number(float(value), 2 if claim.smallest.effect >= 0.1 else 3)
