"""What a worker process and its parent say to each other over their pipe."""

from dataclasses import dataclass
from typing import Any

from ihc_quant.execution.executor import Prepare, Task


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker process runs, and with how much.

    Attributes
    ----------
    threads : int
        Threads that it may use.
    cores : tuple of int
        Cores that it is held to; empty for none in particular.
    gpu : str or None
        The one GPU that it sees (an index or UUID, as CUDA names it); None leaves the environment as it is.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    gpu: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """Parent to worker, once: what to run."""

    task: Task
    prepare: Prepare | None


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to parent, once: prepared, waiting for jobs. A job is then sent as its bare argument in a ``Call``."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Worker to parent, at most once: the preparation raised.

    ``error`` is the exception where it is an ``IhcQuantError``, which the caller can show.
    """

    error: Exception | None
    traceback: str


@dataclass(frozen=True, slots=True)
class Call:
    """Parent to worker: run the task."""

    argument: Any


@dataclass(frozen=True, slots=True)
class Returned:
    """Worker to parent: the task returned."""

    value: Any
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Raised:
    """Worker to parent: the task raised an exception."""

    reason: str
    traceback: str
