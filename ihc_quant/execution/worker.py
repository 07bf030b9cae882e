"""A worker process as its parent sees it: started, given jobs, listened to, watched, ended."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

import psutil

from ihc_quant.execution.endings import too_big, too_slow, why_died
from ihc_quant.execution.executor import Job, Limits, LostKind
from ihc_quant.execution.messages import Broken, Call, Place, Raised, Ready, Returned, Setup
from ihc_quant.execution.worker_start import open_log, start_worker

START_SECONDS = 600.0
"""A worker that is not ready after so long hangs; loading libraries and weights over a slow network takes minutes."""

END_SECONDS = 10.0
"""A process that was killed is gone after so long, unless it hangs in the system (a dead network folder)."""

STACK_SECONDS = 0.3
"""Time that a worker over its limit of time gets to write where it stands."""

LOG_BYTES = 1 << 20
"""A worker's log is cut when it grows beyond this."""

LAST_WORDS_BYTES = 8192
"""End of the log that goes with a lost job."""

CHILDREN_EVERY = 5
"""Children of a worker are looked for at each fifth look at its memory: that reads the whole process table."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job that a worker has, and which try it is."""

    job: Job
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker went, in one clause, and the end of its log."""

    kind: LostKind
    reason: str
    last_words: str


class Worker:
    """One worker process.

    ``hear``, ``give`` and ``close`` are called by one thread; ``look`` by the watchdog, beside it.

    Parameters
    ----------
    place : Place
    setup : Setup
    limits : Limits
    """

    def __init__(self, place: Place, setup: Setup, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._log = open_log()
        self._process, self.connection, self._lifeline = start_worker(place, self._log)
        self._watched = psutil.Process(self._process.pid)
        self._begun = time.monotonic()
        self._killed: tuple[float, LostKind, str] | None = None
        self._closed = False
        self._ended = False
        self._looks = 0
        self._children: list[psutil.Process] = []
        self.ready = False
        self.jobs_done = 0
        self.assignment: Assignment | None = None
        self.peak_bytes = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died at once: heard as an end of file
            self.connection.send(setup)

    @property
    def idle(self) -> bool:
        """Whether it waits for a job. One that was killed and whose result came all the same waits for none."""
        return self.ready and self.assignment is None and self._killed is None

    def give(self, assignment: Assignment) -> None:
        """Hand it a job. One that died in the meantime is heard of later, and its job is tried again."""
        with self._lock:
            self.assignment = assignment
            self.peak_bytes = 0
            self._begun = time.monotonic()
            self._log.truncate(0)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(Call(assignment.job.argument))

    def hear(self) -> Ready | Broken | Returned | Raised | None:
        """Return what it says; None where it is dead. Blocks until there is something."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._ended = True
            return None
        assert isinstance(message, Ready | Broken | Returned | Raised)
        with self._lock:
            if isinstance(message, Ready):
                self.ready = True
            else:
                self.assignment = None
                self.jobs_done += 1
        return message

    def look(self) -> None:
        """Kill it where it is over a limit, and its group where it died and left children."""
        with self._lock:
            if self._closed or self._killed is not None or self.connection.poll():
                return
            if os.fstat(self._log.fileno()).st_size > LOG_BYTES:
                self._log.truncate(0)
            limit = self._limits.seconds if self.ready else START_SECONDS
            running = not self.ready or self.assignment is not None
            if running and limit is not None and time.monotonic() - self._begun > limit:
                self._say_where_it_stands()
                self._kill("timeout", too_slow(limit))
            elif running and (memory := self._limits.memory_bytes) is not None and self._memory() > memory:
                self._kill("memory", too_big(memory))
            elif _has_died(self._watched):
                _kill_group(self._process.pid)  # a child that lives on would keep the pipe open

    def hangs(self) -> bool:
        """Whether it was killed and lives on."""
        return self._killed is not None and time.monotonic() - self._killed[0] > END_SECONDS

    def close(self, times: int = 1) -> Death:
        """End it and its children, and say how it went where it had ended already.

        Parameters
        ----------
        times : int
            How many workers the job has cost, for the reason's text.
        """
        with self._lock:
            self._closed = True
            code = self._exit_code_or_kill()
            words = _last_words(self._log)
            self._log.close()
            self.connection.close()
            os.close(self._lifeline)
        if self._killed is not None:
            return Death(self._killed[1], self._killed[2], words)
        return Death("crash", why_died(code, times), words)

    def _exit_code_or_kill(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._ended:  # its end of the pipe is shut a moment before it has an exit code
                self._process.wait(timeout=1.0)
        _kill_group(self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=END_SECONDS)
        return None

    def _memory(self) -> int:
        """Return resident memory of the process and its children, bytes; pages they share count for each."""
        if self._looks % CHILDREN_EVERY == 0:
            with contextlib.suppress(psutil.Error):
                self._children = self._watched.children(recursive=True)
        self._looks += 1
        used = sum(map(_resident, (self._watched, *self._children)))
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def _say_where_it_stands(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
            time.sleep(STACK_SECONDS)

    def _kill(self, kind: LostKind, reason: str) -> None:
        self._killed = (time.monotonic(), kind, reason)
        _kill_group(self._process.pid)


def _last_words(log: BinaryIO) -> str:
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), LAST_WORDS_BYTES, max(0, size - LAST_WORDS_BYTES)).decode(errors="replace").strip()


def _has_died(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _kill_group(leader: int) -> None:
    """Kill a worker that was not waited for yet, and all that it started: its number is still its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
