"""Ledgers of editions: chapters' records merged into one, the committed ones read, and two of them compared."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from emonb.book.claims import Declarations, read_declarations
from emonb.errors import ClaimError
from emonb.paths import book_dir, data_dir

KINDS = ("claims", "quantities")


def merge_records(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge the records of an edition's chapters, sorted by name; primary claims get their ``p_holm``.

    Raises
    ------
    ClaimError
        Two chapters recorded one name with different values.
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

    A quantity that is undefined in both (null) is the same. Verdicts must be the same, unless
    a quantity they rest on lies within its own tolerance of the criterion's bound.

    Returns
    -------
    list of dict
        One row per quantity and verdict: ``name``, ``committed``, ``recomputed``, ``tolerance``, ``same``.
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
    known = {claim.id for claim in declared.claims}  # a committed claim may be one that is no more
    for name in sorted({*committed["claims"], *fresh["claims"]}):
        before, after = (_verdicts(ledger["claims"].get(name, {})) for ledger in (committed, fresh))
        near = {name} <= known & {*committed["claims"]} and declared.is_near(name, committed["quantities"], study)
        for kind in sorted({*before, *after}):
            old, new = before.get(kind), after.get(kind)
            same = old == new or (near and kind != "reproduced" and None not in (old, new))
            rows.append({"name": f"{name}: {kind}", "committed": old, "recomputed": new, "tolerance": 0.0, "same": same})
    return rows


def _verdicts(entry: dict[str, Any]) -> dict[str, str]:
    """Verdicts of a claim's entry."""
    return {kind: entry[kind] for kind in ("reproduced", "released", "holds") if kind in entry}


def describe_row(row: dict[str, Any]) -> str:
    """One row of a comparison as a line."""
    cells = [_cell(row[field]) for field in ("committed", "recomputed", "tolerance")]
    return f"{row['name']:58} {cells[0]:>12} {cells[1]:>12} {cells[2]:>10}  {'yes' if row['same'] else 'NO'}"


def _cell(value: object) -> str:
    return "missing" if value is None else value if isinstance(value, str) else f"{value:.6g}"
