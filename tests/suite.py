"""What ``make test`` runs: every part, whatever the others say; the last lines say how each ended.

Each part is a target of the Makefile. As many run at once as there are cores: types and style are
looked at beside the tests, then outputs are compared, edition by edition, each executed once with
results from the checkout's store. The strict build comes when nothing else writes, and a browser
reads what it built. ``make test-all`` adds what takes longer: tests marked so, the control as two
very different processors compute it, which must be the same bits, and the workflow on a real Slurm.
"""

import sys

from emonb.run.updating import list_names, run_beside

GROUPS = (("tests", "types", "lint", *(f"outputs-{name}" for name in list_names())), ("strict",), ("browser",))
LONG = (("bits", "long", "slurm"),)


def run_parts(groups: tuple[tuple[str, ...], ...] = GROUPS, make: str = "make") -> int:
    """Run the groups in their order, the parts of each side by side; return how many parts failed."""
    ended: dict[str, tuple[int, str]] = {}
    for group in groups:
        cores = len(group) if group in LONG else None  # of these one mostly waits
        ended |= run_beside({part: [make, "--silent", part] for part in group}, say, cores)
    say("")
    for part, (status, last) in ended.items():
        say(f"{part:17} {'FAILED' if status else 'ok'}: {last}")
    failed = [part for part, (status, _) in ended.items() if status]
    if failed:
        say(f"{len(failed)} of {len(ended)} parts failed; each again: {'; '.join(f'make {part}' for part in failed)}")
    return len(failed)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(min(1, run_parts(GROUPS + LONG if "--all" in sys.argv else GROUPS)))
