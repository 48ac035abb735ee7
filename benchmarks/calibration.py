"""Measure how often every test fires under its null and write the table the book shows (`book/calibration.json`).

python benchmarks/calibration.py [--n 2000] [--seed 1]
"""

import argparse
import json
from pathlib import Path

from emonb.analysis.calibration import TESTS, measure_rates
from emonb.artifacts import write_text

OUT = Path(__file__).resolve().parent.parent / "book" / "calibration.json"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for name in TESTS:
        rows += measure_rates(name, given.n, given.seed, progress=True).to_dict("records")
    write_text(json.dumps({"n": given.n, "seed": given.seed, "rates": rows}, indent=1) + "\n", OUT)
