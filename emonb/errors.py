"""Errors a reader or re-runner can act on: what was expected, what was found, what was done, what to do next."""


class EmonbError(Exception):
    """Base of every error this package raises on purpose; the command line prints its message, one line, and exits 2."""

    def __init__(self, message: object = "") -> None:
        text = " ".join(str(message).split())  # what a file or another package says may have line ends
        super().__init__(text.encode("utf-8", "backslashreplace").decode())


class StudyError(EmonbError):
    """A study that does not exist, an unknown parameter, or a value of the wrong type."""


class SourceError(EmonbError):
    """Upstream data that cannot be had, or that is not what the registry says it is."""


class UnreachableError(SourceError):
    """Upstream data that cannot be had: neither here nor on a network that answers."""


class LabelError(EmonbError):
    """Labels (emotions, attributes, seeds, columns) that do not match those of the study."""


class ClaimError(EmonbError):
    """A claim or quantity the ledger does not know, or a criterion it cannot evaluate."""


class ArtifactError(EmonbError):
    """A stored result that is cut short or was changed; it is never used."""


class StoreError(EmonbError):
    """A store that cannot be read or written just now; nothing is made anew for that."""


class PartError(EmonbError):
    """Parts of a result that are missing, that do not belong together, or that need more memory than there is."""
