"""What the pages around the editions say their sentences from: all committed ledgers, and what a page counts."""

import math
from collections.abc import Mapping
from typing import Any

from emonb.book import saying
from emonb.book.cards import read_verdict
from emonb.book.ledgers import declarations, read_ledgers
from emonb.errors import ClaimError


class Front:
    """Numbers and verdicts of a page around the editions, for its ``%%say`` cells.

    A quantity is called by its edition and name, ``published.structure.fit.value``; what the page
    counts itself is recorded first (:meth:`record`). Verdicts are those of the ledgers:
    ``verdict("published.lesions")``, ``reads("minilm.words")``, ``smallest("lesions")``.
    """

    def __init__(self) -> None:
        self.declared, self.ledgers = declarations(), read_ledgers()
        self.quantities = {
            f"{edition}.{name}": math.nan if value is None else float(value)
            for edition, ledger in self.ledgers.items()
            for name, value in ledger["quantities"].items()
        }

    def record(self, values: Mapping[str, float], prefix: str = "") -> None:
        """Record what the page counted, under ``prefix + name``.

        Raises
        ------
        ClaimError
            A name recorded before with another value.
        """
        for name, value in values.items():
            full = f"{prefix}{name}"
            if self.quantities.setdefault(full, float(value)) != float(value):
                raise ClaimError(f"quantity '{full}' was recorded as {self.quantities[full]}, now as {value}")

    def fill(self, text: str, notebook: Mapping[str, Any]) -> str:
        """Fill a ``%%say`` cell (:func:`emonb.book.saying.render`)."""
        return saying.render(
            text,
            self.quantities,
            notebook,
            verdict=lambda name: self._entry(name).get("holds", "not tested"),
            reads=self._read,
            smallest=lambda name: self.declared.claim(name).smallest.effect,
        )

    def _entry(self, name: str) -> Mapping[str, Any]:
        edition, _, claim = name.partition(".")
        if edition not in self.ledgers:
            raise ClaimError(f"no ledger of an edition '{edition}'; name a claim as published.structure")
        entry: Mapping[str, Any] = self.ledgers[edition]["claims"].get(self.declared.claim(claim).id, {})
        return entry

    def _read(self, name: str) -> str:
        entry = self._entry(name)
        claim = self.declared.claim(name.partition(".")[2])
        return (read_verdict(claim, entry) if entry else "") or "Not tested."


def open_front() -> Front:
    """Read the committed ledgers, and let the notebook that runs this have cells that begin with ``%%say``."""
    front = Front()
    saying.register(front.fill)
    return front
