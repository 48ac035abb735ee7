"""The ledger: quantities that chapters record by name, and claims judged by them; a verdict is computed, never typed.

Records of chapters are merged into the ledger of an edition, and two ledgers are compared within tolerance. Only the ledger
knows what is true in a planted world, and says it beside what a chapter found.
"""

import fnmatch
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.rdm import varies
from emonb.artifacts import write_text
from emonb.book import claims
from emonb.book.cards import Card
from emonb.book.claims import Claim, Declarations, Quantities, known, read_declarations
from emonb.book.tables import Table, format_table, name_cells
from emonb.errors import ClaimError
from emonb.paths import book_dir, data_dir

if TYPE_CHECKING:
    from emonb.world.world import Truth


@dataclass(frozen=True)
class Grade:
    """Quantities for the ledger and a table for the reader; both empty where the truth is not known."""

    quantities: dict[str, float] = field(default_factory=dict)
    table: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    """ROC curves: columns ``attribute``, ``importance``, ``auc``, ``false`` and ``true`` (shares of neurons reached)."""

    def _repr_html_(self) -> str:
        if self.table is None:
            return "<p>This study is about the real world: what is true is not known.</p>"
        return str(self.table.to_html())

    def __repr__(self) -> str:
        return "the truth is not known" if self.table is None else self.table.to_string()


IsTrue = Literal["yes", "yes, too small to matter", "no"]
Truths = Mapping[str, Mapping[str, Mapping[str, float]]]


def read_truths() -> Truths:
    """Effects measured in planted worlds with many more masks and seeds (``book/truths.json``).

    World -> claim -> ``effect``, its standard error ``se`` and the number of worlds ``n``; empty where none were measured.
    """
    path = book_dir() / "truths.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["worlds"]) if path.is_file() else {}


def find_truth(claim: Claim, world: str, truths: Truths) -> IsTrue | None:
    """What is true of a claim in a planted world, in the rule's words; None where nothing settles it.

    A measured effect is true where it reaches the bound, and too small to matter where it is there
    and does not. Where two standard errors do not tell on which side of the bound it lies, nothing
    settles it.
    """
    declared = claim.known_in(world)
    if declared is None or declared.holds == "unknown":
        return None
    if declared.holds != "measured":
        return declared.holds
    if (found := truths.get(world, {}).get(claim.id)) is None:
        return None
    effect = found["effect"] if claim.side == "greater" else -found["effect"]
    beyond, unsure = effect - claim.smallest.effect, 2 * found["se"]
    if abs(beyond) <= unsure:
        return None
    return "yes" if beyond > 0 else "yes, too small to matter" if effect > unsure else "no"


def know_truth(claim: Claim, study: str, truth: "Truth | None") -> dict[str, Any]:
    """What is true of a claim in a planted study, to stand beside its verdict; empty where it is not known.

    A count comes with how many there truly are, ``true_count``: attributes that the texts voice.
    """
    if (holds := find_truth(claim, study, read_truths())) is None:
        return {}
    if not claim.is_count or truth is None:
        return {"truth": holds}
    voiced = sum(weight > 0 for weight in truth.importance.values())
    return {"truth": holds, "true_count": voiced if holds == "yes" else 0}


def grade(subject: str, found: xr.DataArray, truth: "Truth | None") -> Grade:
    """Compare with the truth an attribute's 'neurons', neurons found to be its 'own', or losses under masks, 'drops'.

    ``found`` is bool (attribute, layer, neuron), with the score that puts the neurons in order as a coordinate ``score``
    where there is one; or float (attribute,).
    """
    if truth is None:
        return Grade()
    if subject == "drops":
        return _grade_drops(found, truth)
    return _grade_neurons(found, truth, {"neurons": "truth.", "own": "truth.own."}[subject])


def _grade_neurons(found: xr.DataArray, truth: "Truth", prefix: str) -> Grade:
    """Voiced attributes must have significant neurons, the wired ones, and silent ones none; more where importance is more.

    Precision: of the neurons found, the share that is wired; recall: of the wired neurons, the share found; AUC: how often
    a wired neuron has a higher score than one that is not. Unwired: of the neurons found, the share wired to no attribute.
    """
    names, weight = list(truth.importance), np.array(list(truth.importance.values()))
    flat = found.sel(attribute=names).transpose("attribute", "layer", "neuron").stack(unit=("layer", "neuron"))
    wired = np.zeros(flat.shape, bool)
    for k, name in enumerate(names):
        wired[k, list(truth.neurons[name])] = True
    hits, voiced = flat.to_numpy(), weight > 0
    count, right = hits.sum(1), (hits & wired).sum(1)
    order = float(scipy.stats.spearmanr(weight, count).statistic) if count.std() else 0.0
    quantities = {
        "voiced": float(voiced.sum()),
        "voiced_found": float((count[voiced] > 0).sum()),
        "silent_found": float((count[~voiced] > 0).sum()),
        "order": order,
        "recall": float((right[voiced] / wired[voiced].sum(1)).mean()),
        "precision": float(right[voiced].sum() / max(1, count[voiced].sum())),
        "unwired": float(hits[voiced][:, ~wired.any(0)].sum() / max(1, count[voiced].sum())),
    }
    table = pd.DataFrame(
        {"planted importance": weight, "wired to it": wired.sum(1), "neurons found": count, "of them wired": right},
        index=names,
    )
    curves = None
    table["precision"], table["recall"] = right / np.where(count, count, np.nan), right / wired.sum(1)
    if "score" in flat.coords:
        from sklearn.metrics import roc_auc_score

        ranks = scipy.stats.rankdata(flat.score.to_numpy(), axis=1)
        table["AUC"] = [roc_auc_score(mine, order) for mine, order in zip(wired, ranks, strict=True)]
        quantities["auc"] = float(table["AUC"][voiced].mean())
        parts = [_curve(table.iloc[k], wired[k], ranks[k]) for k in np.flatnonzero(voiced)]
        curves = pd.concat(parts, ignore_index=True)
    table = table.sort_values("planted importance", ascending=False)
    return Grade({prefix + name: value for name, value in quantities.items()}, format_table(table), curves)


def _curve(attribute: pd.Series, wired: np.ndarray, ranks: np.ndarray) -> pd.DataFrame:
    """Shares of wired and of other neurons with at least a score, for every score."""
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(wired, ranks)
    told = {"attribute": attribute.name, "importance": attribute["planted importance"], "auc": attribute["AUC"]}
    return pd.DataFrame({"false": false, "true": true}).assign(**told)


def _grade_drops(found: xr.DataArray, truth: "Truth") -> Grade:
    """The loss under an attribute's mask against the attribute's planted importance; the unit is the attribute."""
    names, weight = list(truth.importance), np.array(list(truth.importance.values()))
    drop = found.sel(attribute=names).to_numpy()
    r = p = float("nan")
    if np.isfinite(drop).all() and varies(drop) and varies(weight):
        permuted = scipy.stats.PermutationMethod(n_resamples=9_999, rng=np.random.default_rng(0))
        r, p = scipy.stats.pearsonr(drop, weight, alternative="greater", method=permuted)
    voiced = weight > 0
    quantities = {
        "truth.drop_r": float(r),
        "truth.drop_p": float(p),
        "truth.drop_voiced": float(drop[voiced].mean()),
        "truth.drop_silent": float(drop[~voiced].mean()) if (~voiced).any() else 0.0,
    }
    table = pd.DataFrame({"planted importance": weight, "loss": drop}, index=names)
    return Grade(quantities, format_table(table.sort_values("planted importance", ascending=False), {"loss": 4}))


KINDS = ("claims", "quantities")


def merge_records(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge the records of an edition's chapters, sorted by name; primary claims get their ``p_holm``.

    A ClaimError where two chapters recorded one name with different values.
    """
    merged: dict[str, dict[str, Any]] = {kind: {} for kind in (*KINDS, "undefined")}
    for record in records:
        for kind in merged:
            for name, value in record.get(kind, {}).items():
                if merged[kind].get(name, value) != value:
                    raise ClaimError(f"two chapters recorded '{name}' with different values")
                merged[kind][name] = value
    if not merged["undefined"]:
        del merged["undefined"]
    primary = declarations().primary
    if set(primary) <= set(merged["claims"]):  # the family is known once all their chapters have run
        adjusted = adjust_holm([merged["claims"][name]["p"] for name in primary])
        for name, p in zip(primary, adjusted, strict=True):
            merged["claims"][name] = {**merged["claims"][name], "p_holm": p}
    return {kind: dict(sorted(values.items())) for kind, values in merged.items()}


def adjust_holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p values as Holm (1979, Scand J Stat 6:65) does; one that is not known counts as 1 and stays unknown.

    >>> adjust_holm([0.01, None, 0.04, 0.02])
    [0.04, None, 0.08, 0.06]
    """
    known = [1.0 if one is None else one for one in p]
    adjusted, most = [1.0] * len(known), 0.0
    for rank, k in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        most = max(most, min(1.0, (len(known) - rank) * known[k]))
        adjusted[k] = most
    return [None if one is None else new for one, new in zip(p, adjusted, strict=True)]


def read_ledgers() -> dict[str, dict[str, Any]]:
    """Committed ledgers by edition, the published one first."""
    paths = sorted(book_dir().glob("*/claims.json"), key=lambda p: (p.parent.name != "published", p.parent.name))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def declarations() -> Declarations:
    """The claims as ``data/claims.yml`` declares them."""
    return read_declarations(data_dir() / "claims.yml")


def restrict(ledger: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What of a ledger another one speaks of too: for comparing when not all chapters have run."""
    return {**ledger, **{kind: {n: v for n, v in ledger[kind].items() if n in other[kind]} for kind in KINDS}}


def compare_ledgers(committed: dict[str, Any], fresh: dict[str, Any], declared: Declarations) -> list[dict[str, Any]]:
    """Compare two ledgers, quantity by quantity within the declared tolerances.

    A quantity that is undefined in both (null) is the same. Verdicts must be the same. Returns one row per quantity and
    verdict: ``name``, ``committed``, ``recomputed``, ``tolerance``, ``same``.
    """
    study, rows = committed.get("study", "published"), []
    for name in sorted({*committed["quantities"], *fresh["quantities"]}):
        old, new = committed["quantities"].get(name), fresh["quantities"].get(name)
        tolerance = declared.tolerance(name, old, study) if old is not None else 0.0
        in_both = name in committed["quantities"] and name in fresh["quantities"]
        same = in_both and (old is new is None or (old is not None and new is not None and abs(new - old) <= tolerance))
        old, new = (
            "undefined" if name in ledger["quantities"] and value is None else value
            for ledger, value in ((committed, old), (fresh, new))
        )
        rows.append({"name": name, "committed": old, "recomputed": new, "tolerance": tolerance, "same": same})
    for name in sorted({*committed["claims"], *fresh["claims"]}):
        before, after = (ledger["claims"].get(name, {}) for ledger in (committed, fresh))
        for kind in (kind for kind in ("holds", "released", "reproduced") if kind in {*before, *after}):
            old, new = before.get(kind), after.get(kind)
            row = {"committed": old, "recomputed": new, "tolerance": 0.0, "same": old == new}
            rows.append({"name": f"{name}: {kind}", **row})
    return rows


def describe_row(row: dict[str, Any]) -> str:
    """One row of a comparison as a line."""
    cells = [_cell(row[field]) for field in ("committed", "recomputed", "tolerance")]
    return f"{row['name']:58} {cells[0]:>12} {cells[1]:>12} {cells[2]:>10}  {'yes' if row['same'] else 'NO'}"


def _cell(value: object) -> str:
    return "missing" if value is None else value if isinstance(value, str) else f"{value:.6g}"


def judge_claim(claim: Claim, quantities: Quantities, study: str = "published") -> dict[str, Any]:
    """Judge a claim by recorded quantities: the same rule for every study.

    What the study states about its own data is compared in the published study only.

    Returns
    -------
    dict
        ``holds`` (one of :data:`emonb.book.claims.Verdict`), ``withheld`` (the rule's verdict, where the claim's
        test may not say *yes*), ``edges`` (what would turn the verdict, where little would), ``reproduced`` (yes, no,
        not printed, not tested) and, for numbers only the released files give, ``released``; whether it is
        ``exploratory`` in this study;
        ``estimate``, ``low``, ``high`` (95 %), ``low90``, ``high90``, ``p`` and its ``side``,
        ``bf`` where there is one; of a count ``of``; ``unit``, ``n``, ``population``, the smallest
        effect of interest ``sesoi``, what it is held against, ``mark``.
    """
    evidence, smallest = claim.gather(quantities), claim.smallest.effect
    stated = claim.stated if study == "published" else ()
    printed, released = ([s for s in stated if s.source == source] for source in ("printed", "released"))
    entry: dict[str, Any] = {
        "holds": claim.judge(evidence),
        "reproduced": claims.judge(printed, quantities),
        **({"released": claims.judge(released, quantities)} if released else {}),
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


def group_undefined(undefined: Mapping[str, str]) -> list[str]:
    """Undefined quantities in one line for each reason.

    >>> group_undefined({"a.p": "there is no a", "b": "b is constant", "a.low": "there is no a"})
    ['a.p, a.low (there is no a)', 'b (b is constant)']
    """
    lines = []
    for reason in dict.fromkeys(undefined.values()):
        names = [name for name in undefined if undefined[name] == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"{', '.join(names[:3])}{more} ({reason})")
    return lines


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
    study : str
        Name of the study, which decides what is compared with printed numbers, exploratory, and known to be true.
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
        truth: "Truth | None" = None,
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
            A value that is infinite, or NaN without a reason; a name recorded before with another value; what a claim
            reads that was shown already.
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
        for name, shown in self.claims.items():
            if not self._judge(self.declared.claim(name)).items() <= shown.items():
                late = ", ".join(named)
                raise ClaimError(f"claim '{name}' was shown before all that it reads: {late}; show it after that")
        self._save()

    def claim(self, name: str) -> Card:
        """Judge a claim by what this chapter recorded, keep the verdict and show it.

        A ClaimError where the claim is not known, or another chapter judges it.
        """
        claim = self.declared.claim(name)
        if claim.chapter != self.chapter:
            raise ClaimError(f"claim '{name}' belongs to chapter '{claim.chapter}', not '{self.chapter}'")
        self.claims[name] = self._judge(claim) | know_truth(claim, self.study, self._truth)
        self._save()
        return Card(claim, self.claims[name])

    def _judge(self, claim: Claim) -> dict[str, Any]:
        entry = judge_claim(claim, self.quantities, self.study)
        if self.measure == "auc" and "accuracy" in claim.scale:
            entry["scale"] = claim.scale.replace("accuracy", "AUC")
        return entry

    def grade(self, subject: str, found: xr.DataArray) -> Grade:
        """Compare what was found with what is true in the study's world (:func:`grade`), and record how well it agrees."""
        result = grade(subject, found, self._truth)
        self.record(result.quantities)
        return result

    def _save(self) -> None:
        numbers = {name: known(self.quantities, name) for name in self.quantities}
        record = {"quantities": numbers, "claims": self.claims, "used": self.used, "undefined": self.undefined}
        write_text(json.dumps(record, indent=1) + "\n", self.path)
