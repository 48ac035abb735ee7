"""emonb: a re-executable audit of emotion knowledge in a language model (Li et al., arXiv 2302.09582).

Six folders, imports go one way: ``data`` (what others measured), ``model`` (the network), ``analysis`` (one question a
module), ``world`` (the planted one), ``book`` (what a reader sees), ``run`` (how it is made). Importing the package is
cheap; the names below are loaded on first use.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Study": "study",
    "load_study": "study",
    "list_studies": "study",
    "open_run": "run.runs",
    "Run": "run.runs",
    "Ledger": "book.ledger",
    "EmonbError": "errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"emonb.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'emonb' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
