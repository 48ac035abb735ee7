"""Opening the package: `import emonb`, `emonb --help` (a test holds both to importing neither torch nor transformers)."""

import resource
import subprocess
import sys
from pathlib import Path

from common import compare

emonb = str(Path(sys.executable).parent / "emonb")
for row, command in (("import", [sys.executable, "-c", "import emonb"]), ("help", [emonb, "--help"])):
    compare(row, lambda command=command: subprocess.run(command, check=True, capture_output=True), None, 1, 1, "call",
            "< 0.5 s", "nothing", who=resource.RUSAGE_CHILDREN)  # fmt: skip
