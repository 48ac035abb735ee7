"""Measure ours and the peer in turns in one run; keep the ratio, the median of at least five, and the peak memory."""

import gc
import json
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

UNITS = {"avx512f": "AVX-512", "avx512_bf16": "bfloat16 dot products", "amx_bf16": "bfloat16 matrix unit (AMX)"}
RESULTS = Path(__file__).resolve().parent / "results"


def timed(function: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(
    row: str,
    ours: Callable[[], object],
    peer: Callable[[], object] | None,
    ours_units: float,
    peer_units: float,
    unit: str,
    reach: str,
    against: str,
    repeats: int = 5,
    warm: bool = True,
    flops: float | None = None,
    bound: tuple[float, str] | None = None,
    who: int = resource.RUSAGE_SELF,
    **notes: object,
) -> dict[str, object]:
    """Time ours and the peer alternately; units are what each call gets through, so that the peer may do a sample.

    ``flops`` is what one call of ours has to compute, ``bound`` the operations a second that could be had and where that
    number is from. The peak memory is that of ours: it is read before the peer runs for the first time. ``who`` says whose:
    this process's, or that of the largest one it started.
    """
    if warm:
        ours()
    peak = resource.getrusage(who).ru_maxrss / 1024
    pairs = [(timed(ours), timed(peer) if peer else float("nan")) for _ in range(repeats)]
    ours_rate = ours_units / statistics.median(a for a, _ in pairs)
    ratios = [(ours_units / a) / (peer_units / b) for a, b in pairs] if peer else []
    result = {
        "row": row,
        "against": against,
        "reach": reach,
        "unit": unit,
        "ours_per_second": ours_rate,
        "ours_seconds": statistics.median(a for a, _ in pairs),
        "peer_per_second": peer_units / statistics.median(b for _, b in pairs) if peer else None,
        "ratio": statistics.median(ratios) if ratios else None,
        "ratio_range": [min(ratios), max(ratios)] if ratios else None,
        "peer_sampled": peer is not None and peer_units != ours_units,
        "repeats": repeats,
        "peak_mb": peak if warm else resource.getrusage(who).ru_maxrss / 1024,
        "machine": machine(),
        **notes,
    }
    if flops is not None and bound is not None:
        result["utilisation"] = flops * ours_rate / ours_units / bound[0]
        result["bound_flops_per_second"], result["bound_source"] = bound
    save(row, result)
    return result


def machine() -> str:
    """Cores, processor and the widest instructions it has for vectors and matrices."""
    model, units = platform.processor() or platform.machine(), ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line.split() for line in lines if line.startswith("flags"))
        units = "".join(f", {name}" for flag, name in UNITS.items() if flag in flags)
    except (OSError, StopIteration):
        pass
    return f"{os.cpu_count()} cores, {model}{units}"


def place(result: dict[str, object]) -> str:
    """Where a row was measured: the card's name, or the machine."""
    return str(result["machine"] if result.get("device", "cpu") == "cpu" else result["device"])


def save(row: str, result: dict[str, object]) -> None:
    """Keep a row; every place has a folder of its own, so that one place's run leaves the others' rows alone."""
    name = re.sub(r"\(r\)|processor|dot products|matrix unit", "", place(result).lower())
    folder = RESULTS / re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{row}.json").write_text(json.dumps(result, indent=1) + "\n")
    ratio = f"{result['ratio']:.1f}x" if result.get("ratio") else "-"
    print(
        f"{row}: ours {result['ours_seconds']:.3g} s, {ratio} against {result['against']}, peak {result['peak_mb']:.0f} MB"
    )
