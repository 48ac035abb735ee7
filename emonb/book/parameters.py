"""Parameters that papermill injects into a notebook: refused where the notebook does not know them."""

import ast
import difflib
import sys

from emonb.errors import StudyError


def check_injected() -> None:
    """Refuse parameters that papermill injected into this notebook and that it does not know (StudyError).

    Papermill itself only warns, and the chapter would run with its defaults.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cells = shell.user_ns.get("In", []) if shell is not None else []
    known: set[str] = set()
    for cell in cells:
        names = _assigned(cell)
        if cell.lstrip().startswith("# Parameters\n"):
            for name in sorted(names - known):
                if not known:
                    raise StudyError(f"unknown parameter '{name}'; this page takes no parameters")
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'" if close else f"is it one of {', '.join(sorted(known))}"
                raise StudyError(f"unknown parameter '{name}'; {hint}? Any other field goes into overrides")
        known |= names


def _assigned(cell: str) -> set[str]:
    """Names a cell of plain assignments assigns."""
    try:
        body = ast.parse(cell).body
    except SyntaxError:
        return set()
    return {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
