"""What ``make test`` runs: every part, whatever the others say; the last lines say how each ended.

Each part is a target of the Makefile, and a group of them runs side by side. The outputs of the
editions come after the tests, as they take results from the store that tests have filled.
"""

import sys
import time

from emonb.run.beside import run_beside

GROUPS = (("tests", "types", "lint"), ("outputs-control", "outputs", "strict"), ("browser",))


def run_parts(groups: tuple[tuple[str, ...], ...] = GROUPS, make: str = "make") -> int:
    """Run all parts; return how many failed."""
    failed = []
    lines = []
    for group in groups:
        start = time.monotonic()
        ended = run_beside({part: [make, "--silent", part] for part in group}, say, cores=len(group))
        lines += [f"{part:16} {'ok' if status == 0 else 'FAILED'}: {last}" for part, (status, last) in ended.items()]
        say(f"{', '.join(group)}: {time.monotonic() - start:.0f} s")
        failed += [part for part, (status, _) in ended.items() if status]
    say("\n".join(["", *lines]))
    if failed:
        say(f"{len(failed)} of {len(lines)} parts failed; each again: {'; '.join(f'make {part}' for part in failed)}")
    return len(failed)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(min(1, run_parts()))
