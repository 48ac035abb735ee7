"""The same study on two networks: each claim's verdicts side by side, their difference, and what that means."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from emonb.book.cards import Alarm, Entry, Ledgers, describe_effect, format_effect, say_holds, say_sentence
from emonb.book.claims import Claim, Declarations
from emonb.book.tables import Html, write_table

NAMES = {"published": "RoBERTa", "minilm": "MiniLM", "control": "planted world"}
OUTCOMES = {
    "both hold": "Shown in both networks, on the same comments and emotions.",
    "neither holds": "Effects that would matter are ruled out in both.",
    "differ": "Shown in {shown} and ruled out in {ruled}: not to be said of language models in general.",
    "shown in one": "Shown in {shown}; {other} can neither confirm nor contradict it.",
    "ruled out in one": "Ruled out in {ruled}; {other} can neither confirm nor contradict that.",
    "open": "Open in both: a second network of this size does not help; more {sampled} would.",
    "not yet": "Not tested in both.",
}


@dataclass(frozen=True)
class Pair:
    """One claim in two editions."""

    claim: Claim
    entries: tuple[Entry | None, Entry | None]
    editions: ClassVar = ("published", "minilm")

    @property
    def outcome(self) -> str:
        """One of :data:`OUTCOMES`."""
        found = [None if entry is None else str(entry["holds"]).partition(",")[0] for entry in self.entries]
        if None in found or "not tested" in found:
            return "not yet"
        pair = frozenset(map(str, found))
        return {
            frozenset({"yes"}): "both hold",
            frozenset({"no"}): "neither holds",
            frozenset({"yes", "no"}): "differ",
            frozenset({"yes", "undecided"}): "shown in one",
            frozenset({"no", "undecided"}): "ruled out in one",
            frozenset({"undecided"}): "open",
        }[pair]

    def difference(self) -> tuple[float, float, float] | None:
        """Second minus first, with a 95 % interval as if they were independent; None where one has no interval.

        Both share emotions and people, so their errors agree in part and the interval is too wide, if anything.
        """
        ends = [entry[field] for entry in self.entries if entry is not None for field in ("estimate", "low", "high")]
        if self.claim.is_count or len(ends) < 6 or None in ends:
            return None
        first, low, high, second, low2, high2 = map(float, ends)
        half = math.hypot((high - low) / 2, (high2 - low2) / 2)
        return second - first, second - first - half, second - first + half

    def say(self) -> str:
        """What the two verdicts mean together."""
        kinds = {
            NAMES.get(e, e): entry and str(entry["holds"]).partition(",")[0]
            for e, entry in zip(self.editions, self.entries, strict=True)
        }
        names = {
            "shown": next((n for n, kind in kinds.items() if kind == "yes"), ""),
            "ruled": next((n for n, kind in kinds.items() if kind == "no"), ""),
            "other": next((n for n, kind in kinds.items() if kind == "undecided"), ""),
            "sampled": " or ".join(self.claim.sampled),
        }
        text = OUTCOMES[self.outcome].format(**names)
        tested = [name for name, kind in kinds.items() if kind not in (None, "not tested")]
        if len(tested) == 1:
            return f"Tested in {tested[0]} only: {kinds[tested[0]]}."
        gap = self.difference()
        if gap is not None and self.outcome in ("differ", "shown in one", "ruled out in one"):
            apart = gap[1] > 0 or gap[2] < 0
            text += " The two effects differ." if apart else " That the two effects differ is not shown."
        return text


def pair_claims(declared: Declarations, ledgers: Ledgers) -> list[Pair]:
    """Every claim in both editions, in the order of their declaration; an edition may lack claims, or be missing."""
    one, other = (ledgers.get(edition, {}).get("claims", {}) for edition in Pair.editions)
    return [Pair(claim, (one.get(claim.id), other.get(claim.id))) for claim in declared.claims]


def pair_table(pairs: list[Pair], alarms: Mapping[str, Alarm] = {}) -> Html:
    """Table of claims: effect, interval and verdict in each edition, their difference, and what it means."""
    names = [NAMES[edition] for edition in Pair.editions]
    rows = []
    for pair in pairs:
        claim, gap = pair.claim, pair.difference()
        cells = [f"<b>{claim.title}</b>: {html.escape(say_sentence(claim, pair.entries[0] or {}))}"]
        for edition, entry in zip(pair.editions, pair.entries, strict=True):
            if entry is None:
                cells.append("not yet")
                continue
            link = f'<a href="{edition}/{claim.chapter}.html#claim-{claim.id}">{say_holds(entry, alarms.get(claim.id))}</a>'
            cells.append(f"{link}<br><small>{html.escape(describe_effect(claim, entry))}</small>")
        difference = [format_effect(claim, value) for value in gap] if gap else []
        cells.append(f"{difference[0]} [{difference[1]}, {difference[2]}]" if gap else "–")
        rows.append([*cells, html.escape(pair.say())])
    return write_table(("claim", *names, f"{names[1]} − {names[0]}", "what it means"), rows)


def count_outcomes(pairs: list[Pair]) -> dict[str, float]:
    """How many claims came out how: by outcome, with ``_`` for spaces, and ``judged`` for all that both editions judge."""
    counts = {outcome.replace(" ", "_"): 0.0 for outcome in OUTCOMES}
    for pair in pairs:
        counts[pair.outcome.replace(" ", "_")] += 1
    return counts | {"judged": len(pairs) - counts["not_yet"]}


def count_differences(pairs: list[Pair]) -> dict[str, float]:
    """How many pairs of effects have a difference with an interval (``compared``), and how many of those leave out zero."""
    gaps = [gap for gap in (pair.difference() for pair in pairs) if gap is not None]
    return {"compared": float(len(gaps)), "apart": float(sum(low > 0 or high < 0 for _, low, high in gaps))}


BASELINES = {
    "prompts on RoBERTa": ("published.structure.fit.value", "published.prompts.accuracy"),
    "prompts on RoBERTa, less what all share": ("published.structure.centred.rho", "published.prompts.accuracy"),
    "prompts on MiniLM": ("minilm.structure.fit.value", "minilm.prompts.accuracy"),
    "prompts on MiniLM, less what all share": ("minilm.structure.centred.rho", "minilm.prompts.accuracy"),
    "prompts on MiniLM, random layers": ("minilm.knowledge.layers.fit", "minilm.knowledge.layers.accuracy"),
    "prompts on MiniLM, all random": ("minilm.knowledge.untrained.fit", "minilm.knowledge.untrained.accuracy"),
    "sentence embeddings of the comments": ("minilm.words.centroids.rho", ""),
    "sentence embeddings, less what all share": ("minilm.words.centroids.centred.rho", ""),
    "bag-of-words classifiers": ("published.words.classifier.rho", ""),
    "their scores on the comments": ("published.words.profiles.rho", ""),
    "mean word counts (tf-idf)": ("published.words.tfidf.rho", ""),
}
"""What stands in for the network: where its fit with people and the accuracy of its prompts are recorded."""
FORMS = {"untrained": "all weights random", "layers": "random layers over trained embeddings"}


def find_baselines(quantities: Mapping[str, float]) -> pd.DataFrame:
    """Fit with people (``value``, ``low``, ``high``) and prompts' ``accuracy`` of every stand-in that is known."""
    rows = {}
    for label, (fit, accuracy) in BASELINES.items():
        prefix = fit.removesuffix(".value").removesuffix(".rho")
        ends = [f"{prefix}.{end}" for end in ("low", "high")] if prefix != fit else ["", ""]  # else those of a difference
        if fit in quantities:
            rows[label] = [quantities.get(name, math.nan) for name in (fit, *ends, accuracy)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high", "accuracy"])
