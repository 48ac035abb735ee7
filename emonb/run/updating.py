"""All that is committed, made again where its sources changed, and compared: editions and pages, a core each."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from emonb.book import html
from emonb.book.ledger import read_ledgers
from emonb.data import weights
from emonb.errors import StudyError
from emonb.run import editions, front
from emonb.run.stages import study_files
from emonb.study import load_study

INTERRUPTED = 130


def run_beside(
    commands: Mapping[str, Sequence[str]], log: Callable[[str], None], cores: int | None = None
) -> dict[str, tuple[int, str]]:
    """Run commands in processes of their own, as many at once as there are cores, in the order given.

    Each computes with its share of the cores, unless ``OMP_NUM_THREADS`` or ``NUMBA_NUM_THREADS`` say otherwise. Where this
    process is interrupted (Ctrl-C) or told to end, every command is interrupted once, and waited for; then it is raised.

    The log receives each line that a command says, after its name, as it comes; but not its last one. Returns exit status
    and last line by name, in the order given; the status of a command that was ended by a signal is negative.
    """
    cores = cores or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1
    workers = max(1, min(cores, len(commands)))
    threads = str(max(1, cores // workers))
    # bars that are drawn over and over do not stay whole beside others
    environment = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads, "TQDM_DISABLE": "1", **os.environ}
    running: list[subprocess.Popen[str]] = []
    lock, stopped = threading.Lock(), threading.Event()

    def follow(name: str, command: Sequence[str]) -> tuple[int, str]:
        with lock:
            if stopped.is_set():
                return INTERRUPTED, ""
            # a group of its own: Ctrl-C reaches it, and what it started, through this process, and once
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                env=environment, process_group=0,
            )  # fmt: skip
            running.append(process)
        last = ""
        assert process.stdout is not None
        for line in process.stdout:
            # what dying kernels say after an interruption helps nobody
            if last and not stopped.is_set():
                log(f"{name}: {last}")
            last = line.rstrip() or last
        return process.wait(), last

    with _ending_as_interrupt(), ThreadPoolExecutor(workers) as pool:
        # starting them, too, may be interrupted
        try:
            waiting = {name: pool.submit(follow, name, command) for name, command in commands.items()}
            return {name: ended.result() for name, ended in waiting.items()}
        except BaseException:
            with lock:
                stopped.set()
                for process in running:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGINT)
            raise


@contextlib.contextmanager
def _ending_as_interrupt() -> Iterator[None]:
    """Take a request to end, or the end of the terminal, for Ctrl-C; commands never ignore an interruption."""
    kinds = [signal.SIGTERM, signal.SIGHUP] if threading.current_thread() is threading.main_thread() else []
    before = {kind: signal.signal(kind, signal.default_int_handler) for kind in kinds}
    if kinds and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # as in the background of a script; what ignores it hands that on to what it starts, a handler is not handed on
        before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


PAGES, BOOK, LONGEST = "pages", "book", "specifications"
Log = Callable[[str], None]


def list_names() -> list[str]:
    """Committed editions, those that are computed live first as they take longest, then the pages around them."""
    studies = [load_study(name) for name in sorted(read_ledgers())]
    return [study.name for study in sorted(studies, key=lambda s: s.stages.prompts != "computed")] + [PAGES]


def update(names: list[str], accept: bool, pages_first: bool, log: Log) -> int:
    """Execute editions and pages whose sources changed, a core each, where data can be had; compare them.

    Parameters
    ----------
    names : list of str
        Editions, or ``pages`` for the pages around them; none for all.
    accept : bool
        Put what came out in the place of what is committed.
    pages_first : bool
        Build the HTML before anything else, from what is committed, if it is not built yet.

    Returns
    -------
    int
        0 where all is (now) as committed, 1 where something differs, 2 where something failed; none of that hides another.
    """
    known = list_names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StudyError(f"'{unknown[0]}' is no committed edition; known: {', '.join(known)}")
    if len(names) == 1 and not pages_first:
        return int(not _update_one(names[0], accept, log))
    chosen = names or known
    # what is accepted changes what the pages show
    groups = [[n for n in chosen if n != PAGES], [n for n in chosen if n == PAGES]] if accept else [chosen]
    done: dict[str, tuple[int, str]] = {}
    for number, group in enumerate(groups):
        done |= _settle_side_by_side(group, accept, pages_first and number == 0, log)
    for name, (status, last) in done.items():
        log(last if last.startswith(f"{name}: ") else f"{name}: {last or f'ended with status {status}'}")
    return max((abs(status) for status, _ in done.values()), default=0)


def _settle_side_by_side(names: list[str], accept: bool, pages_first: bool, log: Log) -> dict[str, tuple[int, str]]:
    """Compare what is unchanged here, and start a process for each of the others; statuses and last lines by name."""
    done: dict[str, tuple[int, str]] = {}
    commands: dict[str, list[str]] = {}
    program = [sys.executable, "-m", "emonb.cli"]
    if pages_first:
        page = html.find_built()
        if page is None:
            commands[BOOK] = [*program, "html"]
        else:
            done[BOOK] = 0, html.describe(page)
    for name in names:
        reason = _lacks(name)
        if reason or _is_current(name):
            said: list[str] = []
            same = _update_one(name, accept, said.append, reason)
            done[name] = int(not same), said[-1]
        else:
            commands[name] = [*program, "update", name, *(["--accept"] if accept else [])]
    waiting = [name for name in names if name in commands and name != PAGES]
    if len(waiting) > 2:
        # what is begun last would leave a core idle at the end: its longest stage is made beside the first
        ahead = {f"{waiting[-1]} {LONGEST}": [*program, "artifact", waiting[-1], LONGEST]}
        started = list(commands)[: list(commands).index(waiting[0]) + 1]
        commands = {name: commands[name] for name in started} | ahead | commands
    done |= run_beside(commands, log) if commands else {}
    return {name: done[name] for name in [BOOK, *names] if name in done}


def _update_one(name: str, accept: bool, log: Log, reason: str | None = None) -> bool:
    """Execute and compare one edition, or the pages."""
    if name == PAGES:
        return front.run_front(accept, log)
    reason = _lacks(name) if reason is None else reason
    if reason:
        log(f"{name}: kept as committed, not re-executed: {reason}")
        return True
    return editions.settle(name, editions.run_edition(name, log=log), accept, log)


def _lacks(name: str) -> str:
    """Say which data an edition needs and cannot have, or nothing."""
    return "" if name == PAGES else weights.available(study_files(load_study(name)))


def _is_current(name: str) -> bool:
    return front.is_current() if name == PAGES else editions.is_current(name)
