"""Time, memory and disk of every command that README and the re-run page give, in a fresh clone with an empty home.

``python benchmarks/commands.py [PART_OF_A_COMMAND ...]`` measures all of them, or those that contain the words, and keeps
them in ``commands.json``; they run in order in one clone, as a reader would, so that what one leaves another finds. The
table (``commands.md``) is on the re-run page. Where ``EMONB_MIRROR`` is set no download is measured.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from common import machine

HERE = Path(__file__).resolve().parent
KEPT, TABLE = HERE / "commands.json", HERE / "commands.md"
COMMANDS = {
    "make book": "in a fresh clone: environment, three editions, HTML",
    # the same command a second time: two spaces tell the entries apart, and bash does not see them
    "make  book": "again, with nothing changed",
    "make pdf": "the book as one PDF",
    "emonb check published": "",
    "emonb check control": "",
    "emonb spot-check minilm --prompts 2 --masks 4 --seed 7": "",
    "emonb claims": "",
    "emonb run published -p distance=euclidean": "",
    'emonb run published -p seeds="[1, 3, 5]" -p size=3000': "",
    "emonb run published --chapter structure -p inference.permutations=99999": "",
    "emonb run published -p inference.searchlight_permutations=10000": "on the processor",
    "emonb run control -p world.seed=21": "",
    "emonb run control -p lesions.ablation=zero -p lesions.measure=accuracy": "",
    "emonb run control-encoded": "",
    "python -m instrument trials --seeds 10 --world control": "one of the 80 of `--seeds 10-19`",
    "python -m instrument rates -n 10": "a twentieth of the simulated studies",
    "papermill book/published/structure.ipynb out.ipynb -p study published -p distance euclidean": "",
    "emonb export control --out control.zip": "",
    "emonb artifact published searchlight": "",
    "make test": "in a fresh clone: environment, all tests, three editions' outputs, a strict build, a browser",
}
NOT_A_NEWCOMER_S = (
    "XDG_CACHE_HOME", "VIRTUAL_ENV", "EMONB_RUNS", "EMONB_STORE", "EMONB_CACHE", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"
)  # fmt: skip
"""Variables of the environment that are left out."""
NOT_MEASURED = {
    "make bench": "its own table has every row",
    "emonb run roberta-base -p device=cuda ...": "needs a card; counted, on the re-run page",
    "emonb fetch roberta-base": "a download of 0.5 GB",
    "snakemake ...": "a cluster's; its jobs are on the re-run page",
}


def measure(command: str, folder: Path, environment: dict[str, str]) -> dict[str, object]:
    """Run a command; memory is the largest sum of proportional set sizes of its processes, at least twice a second."""
    before, start, peak = used(folder.parent), time.monotonic(), 0
    shell = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(shell.stdout or []))
    reader.start()
    while shell.poll() is None:
        peak = max(peak, memory(shell.pid))
        time.sleep(0.02 if time.monotonic() - start < 5 else 0.5)
    seconds = time.monotonic() - start
    reader.join()
    if shell.returncode:
        print(b"".join(said[-30:]).decode(errors="replace"))
    disk = used(folder.parent) - before
    return {
        "seconds": seconds,
        "peak_mb": peak / 2**20,
        "disk_mb": disk / 2**20,
        "exit": shell.returncode,
        "machine": machine(),
    }


def memory(pid: int) -> int:
    total = 0
    try:
        for process in [root := psutil.Process(pid), *root.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # ended meanwhile
                continue
    except psutil.Error:
        pass
    return total


def used(folder: Path) -> int:
    return int(subprocess.run(["du", "-s", "--block-size=1", str(folder)], stdout=subprocess.PIPE).stdout.split()[0])


def write_table(results: dict[str, dict[str, float]]) -> str:
    """Lay out what was measured, one row a command."""
    lines = ["| command | what is special | time | memory | disk |", "|---|---|---|---|---|"]
    for command, note in COMMANDS.items():
        if command in results:
            r = results[command]
            disk = f"{r['disk_mb']:,.0f} MB" if r["disk_mb"] >= 1 else "–"
            cells = [f"`{' '.join(command.split())}`", note, spell(r["seconds"]), f"{r['peak_mb'] / 1024:.1f} GB", disk]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [f"| `{command}` | not measured: {why} | – | – | – |" for command, why in NOT_MEASURED.items()]
    where = sorted({str(r["machine"]) for r in results.values()})
    return f"Measured on: {'; '.join(where)}.\n\n" + "\n".join(lines) + "\n"


def keep_table(table: str) -> None:
    """Write the table to its file."""
    TABLE.write_text(table)


def spell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def main(words: list[str]) -> None:
    """Measure in a fresh clone of what is committed."""
    results = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    chosen = [c for c in COMMANDS if not words or c.startswith("make book") or any(word in c for word in words)]
    with tempfile.TemporaryDirectory(prefix="emonb-commands-") as top:
        folder, home = Path(top) / "emonb", Path(top) / "home"
        subprocess.run(["git", "clone", "--quiet", str(HERE.parent), str(folder)], check=True)
        home.mkdir()
        environment = {k: v for k, v in os.environ.items() if k not in NOT_A_NEWCOMER_S}
        environment |= {"HOME": str(home), "PATH": f"{folder}/.venv/bin:{environment['PATH']}"}
        for command in chosen:
            results[command] = found = measure(command, folder, environment)
            print(f"{command}: {found}", flush=True)
            KEPT.write_text(json.dumps(results, indent=1) + "\n")
            keep_table(write_table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
