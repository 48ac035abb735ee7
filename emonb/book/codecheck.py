"""The manifest of a code check (``codecheck.yml``): which outputs there are to reproduce, made from the ledgers."""

from typing import Any

import yaml

from emonb.book.claims import Declarations
from emonb.book.head import PAPER, read_citation

HEAD = "# What a code checker reproduces (https://codecheck.org.uk); made from the ledgers by `emonb update --accept`.\n"


def write_manifest(declared: Declarations, ledgers: dict[str, dict[str, Any]]) -> str:
    """Write the manifest: each chapter of each edition with the claims it judges, and each edition's ledger.

    Returns
    -------
    str
        YAML, in the order of the editions and of the claims.
    """
    manifest = []
    for edition, ledger in ledgers.items():
        chapters: dict[str, list[str]] = {}
        for claim in declared.claims:
            if claim.id in ledger["claims"]:
                chapters.setdefault(claim.chapter, []).append(claim.title)
        for chapter, titles in chapters.items():
            manifest.append({"file": f"book/{edition}/{chapter}.ipynb", "comment": f"claims: {'; '.join(titles)}"})
        count = len(ledger["quantities"])
        comment = f"{count} quantities and every verdict; compared by: emonb check {edition}"
        manifest.append({"file": f"book/{edition}/claims.json", "comment": comment})
    cite = read_citation()
    given = {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {
            "title": cite["title"],
            "authors": [{"name": name} for name in cite["authors"]],
            "reference": f"https://doi.org/{PAPER}",
        },
        "manifest": manifest,
    }
    return HEAD + yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=120)
