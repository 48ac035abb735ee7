"""Kernels that are there at once: forked from a process that has imported the libraries which every chapter imports.

A chapter runs for seconds, and so does what a new kernel imports before it. Before the fork nothing of ``emonb`` is
imported, no thread started, no random number drawn: a forked kernel computes what a fresh one would.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

LIBRARIES = (
    "tqdm.auto",  # before Jupyter, for which it would want widgets
    *("ipykernel.kernelapp", "matplotlib.pyplot", "numba", "pydantic", "scipy.stats", "seaborn", "xarray"),
)
INLINE = "module://matplotlib_inline.backend_inline"


def fork_kernels() -> None:
    """Have the kernels that this process starts forked, where the system can."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        factory, name = KernelProvisionerFactory.instance(), "emonb-forked"
        factory.provisioners[name] = EntryPoint(name, f"{__name__}:{Forked.__name__}", factory.GROUP_NAME)
        factory.default_provisioner_name = name


class Forked(LocalProvisioner):
    """Starts a kernel as a fork."""

    process: Any

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel of a command ``python -m ipykernel_launcher ...``; any other is started as ever."""
        if cmd[1:3] != ["-m", "ipykernel_launcher"]:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = Fork(cmd[3:], kwargs.get("env") or os.environ, str(kwargs.get("cwd") or os.getcwd()))
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class Fork:
    """A forked kernel, with as much of :class:`subprocess.Popen` as Jupyter asks for."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(LIBRARIES))
        self._process = context.Process(target=_be_kernel, args=(list(arguments), dict(environment), folder))
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Exit status; None while the kernel runs."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Wait for the end; exit status."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End the kernel at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)


def _be_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    os.setsid()  # its signals are its own, as those of every kernel
    os.environ.clear()
    os.environ.update({"MPLBACKEND": INLINE} | environment)
    os.chdir(folder)
    import matplotlib
    from ipykernel.kernelapp import IPKernelApp

    matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]  # imported before that was said
    sys.argv = ["ipykernel_launcher", *arguments]
    IPKernelApp.launch_instance(arguments)
