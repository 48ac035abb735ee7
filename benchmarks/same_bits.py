"""Whether results are the same bits on every processor: all stages, once for each way of computing.

``python benchmarks/same_bits.py`` makes the control in every variant, two at a time on one core
each, and prints a table of checksums, which ``--keep`` keeps for the re-run page (``same_bits.md``);
it ends with an error where the network's work differs, or an analysis by more than the last digits.
``--furthest`` takes the two variants that lie furthest apart, and what this processor's best has
already made from the store; ``--small`` a small world and the stages that run the network.
``--study published`` (or ``minilm``) tells of another study.

A variant is what an older processor, or another choice of kernels, would compute.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TABLE = Path(__file__).resolve().with_name("same_bits.md")
NATIVE, OLDEST = "this processor's best", "none of AVX, FMA"
# NumPy names groups of instructions, and ignores names it does not know: X86_V3 holds AVX2 and FMA, X86_V4 AVX-512
VARIANTS = {
    NATIVE: {},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "MKL compatible": {"MKL_CBWR": "COMPATIBLE"},
    "NumPy plain": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    OLDEST: {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Prescott",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+sse,+sse2",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
    },
}
LAST_DIGITS = 1e-9  # how far an analysis may lie apart that adds in another order
PROBE = "what any product of matrices gives"
NETWORK = ("backbone", "prompts", "activations", "masks", "lesions", "untrained/prompts", "untrained/activations")
UNTRAINED = ("prompts", "activations", "rdms", "searchlight_null", "own_neurons")
SMALL = {
    "seeds": [1, 3],
    "lesions.selection_seeds": [1],
    "lesions.examples": 8,
    "lesions.draws": 1,
    "world.comments": {"train": 20, "dev": 8, "test": 8},
    "world.steps": 100,
}


def make(study: str, stages: list[str], threads: int, parameters: dict) -> None:
    """Make results of a study here; print the path of each."""
    from emonb.run.runs import open_run
    from emonb.run.stages import stages_of

    run = open_run(study, progress=False, threads=threads, **parameters)
    every = [name for name, stage in stages_of(run.study).items() if stage.stored]
    if run.study.world is not None:
        baseline = [f"untrained/{name}" for name in UNTRAINED if name in every]
        every = ["backbone", *every, *baseline]
    paths = {}
    for name in stages or every:
        *untrained, stage = name.split("/")
        of = run.untrained() if untrained else run
        made = Path(of.backbone().name) / "model.safetensors" if name == "backbone" else of.path(stage)
        paths[name] = str(made)
        print(f"{name} made", file=sys.stderr, flush=True)
    paths[PROBE] = str(probe())
    print(json.dumps(paths))


def probe() -> Path:
    """Write what kernels round differently: exponentials of a product, by PyTorch and by NumPy."""
    import numpy as np
    import torch

    from emonb.paths import runs_dir

    values = np.random.default_rng(0).standard_normal((2, 200, 200))
    product = (torch.from_numpy(values[0]) @ torch.from_numpy(values[1])).exp()
    path = runs_dir() / "probe.npy"
    np.save(path, np.stack([product.numpy(), np.exp(values[0] @ values[1])]))
    return path


def made_here() -> str:
    """The store of this checkout."""
    from emonb.paths import store_dir

    return str(store_dir().absolute())


def start(variant: str, folder: str, arguments: list[str], store: str = "") -> dict[str, str]:
    """Make the results in a process of its own, in a variant; their paths by name."""
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "EMONB_RUNS": f"{folder}/{variant}", "EMONB_STORE": store}
    settings = {**os.environ, **one, **VARIANTS[variant]}
    command = [sys.executable, __file__, "--make", "--threads", settings["OMP_NUM_THREADS"], *arguments]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    paths: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return paths


def compare(paths: list[str]) -> tuple[list[str], float]:
    """Checksums of a result in every variant, and its largest relative difference (0: the same bits)."""
    import numpy as np

    from emonb import artifacts

    if not paths[0].endswith(".nc"):
        sums = [artifacts.file_digest(Path(path)) for path in paths]
        return sums, 0.0 if len(set(sums)) == 1 else np.inf
    results = [artifacts.read(Path(path)) for path in paths]
    sums = [artifacts.checksum(result) for result in results]
    if len(set(sums)) == 1:
        return sums, 0.0
    gaps = [measure_gap(results[0][name].values, r[name].values) for r in results[1:] for name in results[0].data_vars]
    return sums, max(gaps)


def measure_gap(first: "np.ndarray", second: "np.ndarray") -> float:
    """Largest difference relative to the largest number; infinite where more than numbers differ."""
    import numpy as np

    if first.dtype.kind != "f" or not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return 0.0 if np.array_equal(first, second) else np.inf
    known = np.isfinite(first)
    gap = np.abs(first[known] - second[known]).max(initial=0.0)
    return float(gap / np.abs(first[known]).max()) if gap else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="control")
    parser.add_argument("--furthest", action="store_true", help="only the two variants that lie furthest apart")
    parser.add_argument("--small", action="store_true", help="a small world and what runs the network")
    parser.add_argument("--keep", action="store_true", help=f"write the table to {TABLE.name}")
    parser.add_argument("--jobs", type=int, default=2, help="variants at a time")
    parser.add_argument("--stages", nargs="*", default=[], help="only these")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    stages = given.stages or (list(NETWORK) if given.small else [])
    if given.make:
        make(given.study, stages, given.threads, SMALL if given.small else {})
        return
    names = [NATIVE, OLDEST] if given.furthest else list(VARIANTS)
    arguments = ["--study", given.study, *(["--small"] if given.small else [])]
    arguments += ["--stages", *given.stages] if given.stages else []
    with tempfile.TemporaryDirectory(prefix="emonb-bits-") as folder, ThreadPoolExecutor(given.jobs) as pool:
        stores = [made_here() if given.furthest and name == NATIVE else "" for name in names]
        made = list(pool.map(lambda name, store: start(name, folder, arguments, store), names, stores))
        rows = {stage: compare([paths[stage] for paths in made]) for stage in made[0]}
    lines = [f"| result | {' | '.join(names)} | |", "|---" * (len(names) + 2) + "|"]
    for stage, (sums, gap) in rows.items():
        words = f"to {gap:.0e}" if 0 < gap < math.inf else "different" if gap else "the same bits"
        lines.append(f"| {stage} | {' | '.join(f'`{one[:8]}`' for one in sums)} | {words} |")
    print("\n".join(lines))
    if given.keep:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    allowed = {PROBE: math.inf} | dict.fromkeys(NETWORK, 0.0)
    wrong = [stage for stage, (_, gap) in rows.items() if gap > allowed.get(stage, LAST_DIGITS)]
    if wrong:
        sys.exit(f"other numbers in another variant: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
