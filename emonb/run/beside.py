"""Commands side by side, a core each: their lines come whole and say whose they are."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

INTERRUPTED = 130


def count_cores() -> int:
    """Count the processors that this process may use.

    >>> 1 <= count_cores() <= os.cpu_count()
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_beside(
    commands: Mapping[str, Sequence[str]], log: Callable[[str], None], cores: int | None = None
) -> dict[str, tuple[int, str]]:
    """Run commands in processes of their own, as many at once as there are cores, in the order given.

    Each computes with its share of the cores, unless ``OMP_NUM_THREADS`` or ``NUMBA_NUM_THREADS``
    say otherwise. Where this process is interrupted (Ctrl-C) or told to end, every command is
    interrupted once, and waited for.

    Parameters
    ----------
    commands : mapping of str to sequence of str
        Program and arguments by name.
    log : callable
        Receives each line that a command says, after its name, as it comes; but not its last one.
    cores : int, optional
        Default: all that this process may use.

    Returns
    -------
    dict of str to (int, str)
        Exit status and last line by name, in the order given; the status of a command that was
        ended by a signal is negative.

    Raises
    ------
    KeyboardInterrupt
        After all commands have ended.
    """
    cores = cores or count_cores()
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
