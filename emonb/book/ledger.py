"""The ledger of a chapter: quantities recorded by name, and claims judged by them; a verdict is computed, never typed."""

import fnmatch
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from emonb.artifacts import write_text
from emonb.book import criteria
from emonb.book.cards import Card
from emonb.book.claims import Claim, read_declarations
from emonb.book.criteria import Quantities, known
from emonb.book.tables import Table, name_cells
from emonb.book.truth import Grade, grade, know_truth
from emonb.errors import ClaimError
from emonb.world.world import Truth


def judge_claim(claim: Claim, quantities: Quantities, study: str = "published") -> dict[str, Any]:
    """Judge a claim by recorded quantities: the same rule for every study.

    What the study states about its own data is compared in the published study only.

    Returns
    -------
    dict
        ``holds`` (one of :data:`emonb.book.verdict.Verdict`; where a *yes* is ``withheld``, what
        the rule said stands there), ``edges`` (what would turn it, where
        little would), ``reproduced`` (yes, no, not printed, not tested) and, for numbers only the
        released files give, ``released``; whether it is ``exploratory`` in this study;
        ``estimate``, ``low``, ``high`` (95 %), ``low90``, ``high90``, ``p`` and its ``side``,
        ``bf`` where there is one; of a count ``of``; ``unit``, ``n``, ``population``, the smallest
        effect of interest ``sesoi``, what it is held against, ``mark``.
    """
    evidence, smallest = claim.gather(quantities), claim.smallest.effect
    stated = claim.stated if study == "published" else ()
    printed, released = ([s for s in stated if s.source == source] for source in ("printed", "released"))
    entry: dict[str, Any] = {
        "holds": claim.judge(evidence),
        "reproduced": criteria.judge(printed, quantities),
        **({"released": criteria.judge(released, quantities)} if released else {}),
        "exploratory": study in claim.exploratory,
        "estimate": evidence.value,
        **{field: value for field, value in evidence._asdict().items() if field != "value"},
        "side": "two-sided",
        "unit": claim.unit,
        "n": _whole(quantities, claim.n),
        "population": claim.population,
        "sesoi": smallest,
    }
    if (rule := claim.apply_rule(evidence)) != entry["holds"]:
        entry["withheld"] = rule
    if claim.of is not None:
        entry["of"] = _whole(quantities, claim.of)
    elif edges := list(evidence.edges(smallest, claim.side)):
        entry["edges"] = edges
    if (bayes := known(quantities, f"{claim.evidence}.bf")) is not None:
        entry["bf"] = bayes
    if claim.mark and (marks := fnmatch.filter(sorted(quantities), claim.mark.quantity)):
        entry["mark"] = {"words": claim.mark.words, "value": known(quantities, marks[0])}
    return entry


def _whole(quantities: Quantities, name: str) -> int | None:
    value = known(quantities, name)
    return None if value is None else round(value)


class Ledger:
    """Record of one chapter's quantities and claims.

    Parameters
    ----------
    declarations : Path
        ``data/claims.yml``.
    path : Path
        JSON file this chapter's record is written to; an older record there is replaced.
    chapter : str
    study : str
        Name of the study, which decides which claims and criteria apply.
    truth : Truth, optional
        What is true in the study's planted world; nobody but the ledger is told.
    used : dict of str to str, optional
        Checksums of the artifacts the chapter has loaded, which are kept with its record.
    measure : {'accuracy', 'auc'}
        What lesions are measured by; scales of claims are called so.
    """

    def __init__(
        self,
        declarations: Path,
        path: Path,
        chapter: str,
        study: str = "published",
        truth: Truth | None = None,
        used: dict[str, str] | None = None,
        measure: str = "accuracy",
    ) -> None:
        self.declared = read_declarations(declarations)
        self.path, self.chapter, self.study, self._truth = path, chapter, study, truth
        self.measure = measure
        self.used = {} if used is None else used
        self.quantities: dict[str, float] = {}
        self.undefined: dict[str, str] = {}  # quantities that are NaN, and why
        self.claims: dict[str, dict[str, Any]] = {}

    def record(
        self,
        values: Table | Mapping[Any, float],
        prefix: str = "",
        suffix: str = "",
        main: Any = None,
        undefined: str | None = None,
    ) -> None:
        """Record named numbers.

        A quantity that is not defined for these data is NaN; it is kept with the reason (null in the record), no claim is
        tested on it, and a sentence says "undefined" in its place.

        Parameters
        ----------
        values : mapping, Series, DataFrame, DataArray or Dataset
            The numbers of a mapping are called ``prefix + name + suffix``; the cells of a table as
            :func:`emonb.book.tables.name_cells` says.
        prefix, suffix : str
        main : optional
            Of a table: the row whose cells are also recorded without the row's name.
        undefined : str, optional
            Why values may be NaN; by default as ``data/claims.yml`` says for the quantity.

        Raises
        ------
        ClaimError
            A value that is infinite, or NaN without a reason; a name recorded before with another value.
        """
        if isinstance(values, Table):
            named = name_cells(values, prefix, suffix, main)
        else:
            named = {f"{prefix}{name}{suffix}": number for name, number in values.items()}
        for full, number in named.items():
            value = float("nan") if number is None else float(number)
            reason = (undefined or self.declared.reason(full)) if math.isnan(value) else None
            if not math.isfinite(value) and reason is None:
                raise ClaimError(
                    f"quantity '{full}' is {value}: only finite numbers are reported, and undefined ones with a reason"
                )
            before = self.quantities.get(full, value)
            if before != value and not (math.isnan(before) and math.isnan(value)):
                raise ClaimError(f"quantity '{full}' was recorded as {before}, now as {value}")
            self.quantities[full] = value
            if reason is not None:
                self.undefined[full] = reason
        self._save()

    def claim(self, name: str) -> Card:
        """Judge a claim by what this chapter recorded, keep the verdict and show it.

        Raises
        ------
        ClaimError
            An unknown claim, or one that another chapter judges.
        """
        claim = self.declared.claim(name)
        if claim.chapter != self.chapter:
            raise ClaimError(f"claim '{name}' belongs to chapter '{claim.chapter}', not '{self.chapter}'")
        entry = judge_claim(claim, self.quantities, self.study)
        if self.measure == "auc" and "accuracy" in claim.scale:
            entry["scale"] = claim.scale.replace("accuracy", "AUC")
        self.claims[name] = entry | know_truth(claim, self.study, self._truth)
        self._save()
        return Card(claim, self.claims[name])

    def grade(self, subject: str, found: xr.DataArray) -> Grade:
        """Compare what was found with what is true in the study's world, and record how well it agrees.

        Parameters
        ----------
        subject : {'neurons', 'drops'}
            Neurons found for each attribute (bool; attribute, layer, neuron), or the loss under its mask (attribute,).
        found : DataArray

        Returns
        -------
        Grade
            Empty where nothing is known of the truth, as for any study of the real world.
        """
        result = grade(subject, found, self._truth)
        self.record(result.quantities)
        return result

    def _save(self) -> None:
        numbers = {name: known(self.quantities, name) for name in self.quantities}
        record = {"quantities": numbers, "claims": self.claims, "used": self.used, "undefined": self.undefined}
        write_text(json.dumps(record, indent=1) + "\n", self.path)
