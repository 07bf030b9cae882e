"""Jobs in the caller's own process: no limits, no protection, and a debugger sees everything."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from traceback import format_exc

from ihc_quant.execution.endings import fault
from ihc_quant.execution.executor import Done, Ended, Job, Lost, Prepare, Task, ignore_start


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs one job after the other in the caller; limits are not kept, and a crash is the caller's.

    Attributes
    ----------
    threads : int
        What ``prepare`` is told.
    """

    threads: int = 1

    def run(
        self,
        task: Task,
        jobs: Iterable[Job],
        *,
        prepare: Prepare | None = None,
        on_start: Callable[[Job], None] = ignore_start,
    ) -> Iterator[Ended]:
        """Run the task once for each job; see ``Executor.run``."""
        prepared = prepare is None
        for job in jobs:
            if not prepared and prepare is not None:
                prepare(self.threads)
                prepared = True
            on_start(job)
            yield _run_one(task, job)


def _run_one(task: Task, job: Job) -> Ended:
    started = time.perf_counter()
    try:
        value = task(job.argument)
    except Exception as error:  # noqa: BLE001 - whatever a task raises costs its own job only
        return Lost(job.key, fault(error), "fault", 1, format_exc())
    return Done(job.key, value, time.perf_counter() - started)
