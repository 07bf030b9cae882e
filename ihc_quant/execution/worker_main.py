"""The worker process: a fresh interpreter that runs one job after the other until its parent ends it.

Started by ``worker`` as ``python -P -m ihc_quant.execution.worker_main CONNECTION LIFELINE THREADS CORES``. It leads a
process group of its own. The lifeline is a pipe into which nobody writes: its end means that the parent is gone, and
the kernel then kills the group, even where a C library holds the interpreter.
"""

import contextlib
import faulthandler
import fcntl
import os
import resource
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from traceback import format_exc

from ihc_quant.errors import IhcQuantError
from ihc_quant.execution.endings import fault
from ihc_quant.execution.executor import Task
from ihc_quant.execution.messages import Broken, Call, Raised, Ready, Returned, Setup

FIRST_TO_GO = "500"
"""OOM score that is added (0 to 1000), so that a machine short of memory ends a worker and never its parent."""


def main() -> None:
    """Serve the parent until it ends this process or is gone."""
    connection_fd, lifeline = int(sys.argv[1]), int(sys.argv[2])
    threads, cores = int(sys.argv[3]), [int(core) for core in sys.argv[4].split(",") if core]
    for descriptor in (connection_fd, lifeline):
        os.set_inheritable(descriptor, False)
    _die_with_parent(lifeline)
    _protect_others()
    if cores:
        os.sched_setaffinity(0, cores)  # before anything that counts cores is imported
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    with contextlib.suppress(EOFError, OSError):
        _serve(Connection(connection_fd), threads)


def _die_with_parent(lifeline: int) -> None:
    """End the process group when the parent is gone, however it went.

    ``PR_SET_PDEATHSIG`` would follow the parent's thread instead of the parent, and spare the worker's children.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def _protect_others() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not fill the disk
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)


def _serve(connection: Connection, threads: int) -> None:
    try:
        setup = connection.recv()
        assert isinstance(setup, Setup)
        if setup.prepare is not None:
            setup.prepare(threads)
    except Exception as error:  # noqa: BLE001 - told to the parent, who decides
        connection.send(Broken(error if isinstance(error, IhcQuantError) else None, format_exc()))
        return
    connection.send(Ready())
    while True:
        answer = _answer(setup.task, connection.recv_bytes())
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send_bytes(answer)


def _answer(task: Task, asked: bytes) -> memoryview:
    """Run the task as asked; return the pickled ``Returned`` or ``Raised``."""
    try:
        call = ForkingPickler.loads(asked)
        assert isinstance(call, Call)
        _forget_peak()
        started = time.perf_counter()
        value = task(call.argument)
        return ForkingPickler.dumps(Returned(value, time.perf_counter() - started, _peak()))
    except Exception as error:  # noqa: BLE001 - whatever a task raises costs its own job only
        return ForkingPickler.dumps(Raised(fault(error), format_exc()))


def _forget_peak() -> None:
    """Let the kernel measure the highest resident memory anew (Linux; see proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int | None:
    """Return the highest resident memory since ``_forget_peak``, bytes; None elsewhere than on Linux."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


if __name__ == "__main__":
    main()
