"""Chapters of the published edition, artifacts cold and warm; needs the released files (EMONB_MIRROR or network)."""

import os
import resource
import statistics
import tempfile

from common import machine, save, timed

from emonb import editions

with tempfile.TemporaryDirectory() as folder:
    os.environ["EMONB_RUNS"] = folder
    out = editions.Path(folder) / "book"
    cold = timed(lambda: editions.run_edition("published", out=out))
    warm = statistics.median(timed(lambda: editions.run_edition("published", out=out, force=True)) for _ in range(3))
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
for row, seconds, reach in (("chapters_cold", cold, "<= 2 min"), ("chapters_warm", warm, "<= 60 s")):
    save(row, {"row": row, "against": "nothing", "reach": reach, "unit": "edition", "ours_seconds": seconds, "ratio": None,
               "ours_per_second": 1 / seconds, "peak_mb": children, "machine": machine()})  # fmt: skip
