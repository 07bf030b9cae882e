"""Jobs in worker processes of this machine, each within limits; a crash costs one job."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ihc_quant.errors import SettingsError
from ihc_quant.execution.executor import Ended, Job, Limits, Prepare, Task, ignore_start
from ihc_quant.execution.messages import Place, Setup


@dataclass(frozen=True, slots=True)
class WorkerProcesses:
    """Runs jobs side by side in persistent worker processes (Linux and macOS).

    Attributes
    ----------
    workers : int
        Processes side by side.
    limits : Limits
    threads : int or None
        Threads of each; None shares the machine's cores out.
    pin : bool
        Hold each worker to cores of its own (Linux); a worker's threads are then at most its cores.
    gpus : tuple of str
        GPUs to share out, as CUDA names them: worker i sees the one numbered i modulo their number, and no other.
    """

    workers: int
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    pin: bool = False
    gpus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError("worker processes: at least one is needed")
        if self.threads is not None and self.threads < 1:
            raise ValueError("a worker needs at least one thread")

    def run(
        self,
        task: Task,
        jobs: Iterable[Job],
        *,
        prepare: Prepare | None = None,
        on_start: Callable[[Job], None] = ignore_start,
    ) -> Iterator[Ended]:
        """Run the task once for each job; see ``Executor.run``. Memory is looked at ten times a second."""
        require_findable(task, prepare)
        if os.name == "nt":
            raise SettingsError("Worker processes need Linux or macOS: run without workers (in the caller) on Windows.")
        from ihc_quant.execution.crew import Crew

        with Crew(self.places(), Setup(task, prepare), self.limits) as crew:
            yield from crew.run(jobs, on_start)

    def places(self) -> list[Place]:
        """Return where each worker runs: its threads, cores and GPU."""
        cores = usable_cores()
        shares = [tuple(cores[i :: self.workers]) or (cores[i % len(cores)],) for i in range(self.workers)]
        held = shares if self.pin and hasattr(os, "sched_setaffinity") else [()] * self.workers
        return [
            Place(
                threads=self._threads_of(len(share)),
                cores=tuple(sorted(own)),
                gpu=self.gpus[i % len(self.gpus)] if self.gpus else None,
            )
            for i, (share, own) in enumerate(zip(shares, held, strict=True))
        ]

    def _threads_of(self, share: int) -> int:
        if self.threads is None:
            return share
        return min(self.threads, share) if self.pin else self.threads


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def require_findable(*functions: Callable[..., object] | None) -> None:
    """Raise ``ValueError`` where a function cannot be found by name in another process."""
    for function in functions:
        inner = function
        while isinstance(inner, functools.partial):
            inner = inner.func
        if inner is None:
            continue
        name = getattr(inner, "__qualname__", "")
        if getattr(inner, "__module__", "__main__") == "__main__" or not name or "<" in name:
            raise ValueError(f"{name or inner!r} is not a function of a module that another process can import")
