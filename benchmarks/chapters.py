"""Chapters of the editions: the published one cold and warm (needs the released files), the control live from nothing.

Peak memory is that of the largest process an edition starts; pass ``published`` or ``control`` to measure one of them.
"""

import os
import resource
import statistics
import sys
import tempfile

from common import machine, save, timed

from emonb.data import sources
from emonb.run import editions, stages
from emonb.study import load_study


def measure(row: str, reach: str, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    save(row, {"row": row, "against": "nothing", "reach": reach, "unit": "edition", "ours_seconds": seconds, "ratio": None,
               "ours_per_second": 1 / seconds, "peak_mb": peak, "machine": machine()})  # fmt: skip


wanted = sys.argv[1:] or ["control", "published"]  # the smaller first: a process's peak is never forgotten
reason = sources.available(stages.study_files(load_study("published")))
if reason and "published" in wanted:
    print(f"the published edition is not measured: {reason}")
    wanted.remove("published")
with tempfile.TemporaryDirectory() as folder:
    os.environ |= {"EMONB_RUNS": folder, "EMONB_STORE": ""}
    out = editions.Path(folder) / "book"
    if "control" in wanted:
        measure("control_cold", "<= 5 min, <= 2 GB", timed(lambda: editions.run_edition("control", out=out / "control")))
    if "published" in wanted:
        measure("chapters_cold", "<= 2 min, <= 4 GB", timed(lambda: editions.run_edition("published", out=out)))
        warm = [timed(lambda: editions.run_edition("published", out=out, force=True)) for _ in range(3)]
        measure("chapters_warm", "<= 60 s", statistics.median(warm))
