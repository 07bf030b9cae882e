"""What every executor takes and gives back: jobs go in as plain data, each comes out once, as done or as lost.

An executor knows nothing of what a job does. A job that fails is a value (``Lost``) and never stops the others; an
exception leaves ``run`` only where no job could go on: ``prepare`` failed, no worker can be had, or the caller erred.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Task = Callable[[Any], Any]
"""A function of a module (or a ``functools.partial`` of one, with plain data), found by name in another process."""

Prepare = Callable[[int], None]
"""Called once in each worker process before its first job, with the number of threads that it may use."""

LostKind = Literal["crash", "timeout", "memory", "fault"]
"""Crash: its process died. Timeout, memory: over a limit, and ended. Fault: the task raised an exception."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes
    ----------
    key : str
        Its name, unique in a run.
    argument : Any
        What the task is called with: plain data that can be pickled (paths, settings), never pixels.
    """

    key: str
    argument: Any

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a job needs a key")


@dataclass(frozen=True, slots=True)
class Done:
    """A job whose task returned.

    Attributes
    ----------
    key : str
        The job's.
    value : Any
        What the task returned: plain data, not large arrays.
    seconds : float
        Wall time of the task.
    peak_bytes : int or None
        Highest resident memory that was seen of the worker during the job; None where nothing was measured.
    """

    key: str
    value: Any
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A job without a result.

    Attributes
    ----------
    key : str
        The job's.
    reason : str
        What happened and the cure; one clause without a full stop at its end.
    kind : LostKind
    tries : int
        How often it was begun.
    traceback : str
        The traceback of a fault, or the last words of a worker that died; may be empty. It may name paths: for logs.
    """

    key: str
    reason: str
    kind: LostKind
    tries: int = 1
    traceback: str = ""


Ended = Done | Lost


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may take.

    Attributes
    ----------
    seconds : float or None
        Wall time of one job; None for no limit.
    memory_bytes : int or None
        Resident memory of a worker and its children together; None for no limit.
    jobs_per_worker : int
        After so many jobs a worker process is replaced, so that what libraries leak does not add up.
    tries : int
        How often a job is begun at most where its worker dies; what is over a limit or raises is not tried again.
    """

    seconds: float | None = None
    memory_bytes: int | None = None
    jobs_per_worker: int = 50
    tries: int = 2

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError("the time limit of a job must be over 0 seconds")
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise ValueError("the memory limit of a job must be over 0 bytes")
        if self.jobs_per_worker < 1 or self.tries < 1:
            raise ValueError("jobs_per_worker and tries must be at least 1")


def ignore_start(_job: Job) -> None:
    """Take no note of a job that starts: the default of ``on_start``."""


class Executor(Protocol):
    """Runs a task over jobs."""

    def run(
        self,
        task: Task,
        jobs: Iterable[Job],
        *,
        prepare: Prepare | None = None,
        on_start: Callable[[Job], None] = ignore_start,
    ) -> Iterator[Ended]:
        """Run the task once for each job and yield what became of it, in the order in which jobs end.

        Parameters
        ----------
        task : Task
        jobs : iterable of Job
            Taken lazily, only as workers come free, so that it may be long or endless.
        prepare : Prepare or None
        on_start : callable
            Called in the caller's process with a job when it is handed out, again at each further try.

        Yields
        ------
        Done or Lost
            Exactly one for each job. Closing the iterator ends what still runs.

        Raises
        ------
        IhcQuantError
            What ``prepare`` raised; ``SettingsError`` where no worker can be started or reached.
        ValueError
            The task cannot be found by name in another process.
        """
        ...
