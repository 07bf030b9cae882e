"""Jobs on a Dask cluster: paths and settings go out, plain results come back."""

import re
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ihc_quant.errors import IhcQuantError, SettingsError
from ihc_quant.execution.endings import fault
from ihc_quant.execution.executor import Done, Ended, Job, Limits, Lost, Prepare, Task, ignore_start
from ihc_quant.execution.messages import Setup
from ihc_quant.execution.worker_processes import require_findable

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 2
"""Jobs that are with the cluster for each that it can run at once, so that no worker waits for the network."""

CONNECT_SECONDS = 30
"""How long to wait for the scheduler's file and for its answer."""

RESULT_SECONDS = 10.0
"""A result that is not there after so long was lost with its worker, and is made again."""

SCHEDULER_LOST = "The Dask scheduler was lost: start it and run again; what is done is kept."

LOOK_SECONDS = 1.0
"""How often the number of workers is asked for."""


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """Runs jobs on the workers of a Dask scheduler that runs already.

    Attributes
    ----------
    scheduler : str
        Its address (``tcp://host:8786``, ``tls://…``), or the path of its scheduler file.
    limits : Limits
        Kept on each machine by a worker process below the Dask worker. ``tries`` counts those; how many Dask workers
        a job may cost is the scheduler's own setting ``allowed-failures``.
    threads : int or None
        Threads for each job; None shares the cores that a Dask worker may use among the tasks that it runs at once.
    wait_seconds : float
        How long to wait for the first worker, or for another one where all are lost.
    """

    scheduler: str
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    wait_seconds: float = 600.0

    def run(
        self,
        task: Task,
        jobs: Iterable[Job],
        *,
        prepare: Prepare | None = None,
        on_start: Callable[[Job], None] = ignore_start,
    ) -> Iterator[Ended]:
        """Run the task once for each job; see ``Executor.run``. A job starts, for the caller, when it is sent.

        A job may run twice where a machine is lost: what it writes must be written whole or not at all.
        """
        require_findable(task, prepare)
        with self._client() as client:
            yield from _Run(client, self, Setup(task, prepare)).results(jobs, on_start)

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        try:
            from distributed import Client
        except ImportError as error:
            raise SettingsError("A Dask cluster needs the extra: pip install 'ihc-quant[cluster]'.") from error
        given = {"address": self.scheduler} if _is_address(self.scheduler) else {"scheduler_file": self._file()}
        try:
            client = Client(**given, timeout=CONNECT_SECONDS, set_as_default=False, name="ihc-quant")
        except (OSError, TimeoutError, ValueError, KeyError, ImportError) as error:
            raise SettingsError(
                f"The Dask scheduler at {self.scheduler} does not answer ({type(error).__name__}): "
                "check that it runs and that this machine reaches it."
            ) from error
        try:
            yield client
        finally:
            client.close()

    def _file(self) -> str:
        file = Path(self.scheduler)
        until = time.monotonic() + CONNECT_SECONDS
        while not file.is_file() and file.parent.is_dir() and time.monotonic() < until:
            time.sleep(0.1)  # it may have been started a moment ago
        if not file.is_file():
            raise SettingsError(
                f"{self.scheduler} is neither an address (tcp://host:8786) nor a scheduler file: "
                "start the scheduler with --scheduler-file, in a folder that all machines share."
            )
        return self.scheduler


def _is_address(scheduler: str) -> bool:
    return "://" in scheduler or re.fullmatch(r"[\w.-]+:\d+", scheduler) is not None


class _Run:
    """One call of ``run``: what is with the cluster, and what came back."""

    def __init__(self, client: "Client", cluster: DaskCluster, setup: Setup) -> None:
        self._client = client
        self._cluster = cluster
        self._setup = setup
        self._name = uuid.uuid4().hex
        self._in_flight: dict[str, tuple[Job, Future]] = {}
        self._landed: SimpleQueue[str] = SimpleQueue()
        self._sent = 0
        self._any_done = False
        self._slots = 0
        self._looked = float("-inf")
        self._last_seen = time.monotonic()

    def results(self, jobs: Iterable[Job], on_start: Callable[[Job], None]) -> Iterator[Ended]:
        source = iter(jobs)
        exhausted = False
        try:
            while True:
                self._look_at_workers()
                while not exhausted and len(self._in_flight) < IN_FLIGHT * self._slots:
                    job = next(source, None)
                    exhausted = job is None
                    if job is not None:
                        on_start(job)
                        self._send(job)
                if exhausted and not self._in_flight:
                    return
                yield from self._fetch()
        finally:
            self._end()

    def _send(self, job: Job) -> None:
        from ihc_quant.execution.dask_worker import run_job

        self._sent += 1
        key = f"job-{self._name}-{self._sent}"  # not the job's own name, which shows on the dashboard
        cluster = self._cluster
        future = self._client.submit(
            run_job, self._name, self._setup, cluster.limits, cluster.threads, job, key=key, pure=False
        )
        self._in_flight[key] = job, future
        self._call_back(key, future)

    def _call_back(self, key: str, future: "Future") -> None:
        landed = self._landed
        future.add_done_callback(lambda _future: landed.put(key))

    def _fetch(self) -> Iterator[Ended]:
        """Wait a moment for a job to end; yield it."""
        try:
            key = self._landed.get(timeout=LOOK_SECONDS)
        except Empty:
            return
        job, future = self._in_flight[key]
        try:
            ended = self._result(job, future)
        except TimeoutError:  # its worker died with the result: the scheduler has it made again
            self._call_back(key, future)
            return
        del self._in_flight[key]
        self._any_done = self._any_done or isinstance(ended, Done)
        yield ended

    def _result(self, job: Job, future: "Future") -> Ended:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            ended = future.result(timeout=RESULT_SECONDS)
        except TimeoutError:
            raise
        except KilledWorker as error:
            times = error.allowed_failures + 1
            return Lost(
                job.key,
                f"{times} Dask workers died while they had it; look at their logs, or give them more memory",
                "crash",
                times,
                str(error),
            )
        except FutureCancelledError as error:
            self._require_scheduler()
            return Lost(job.key, "it was cancelled on the cluster; run again", "crash", 1, str(error))
        except ImportError as error:
            return self._refused(
                job,
                SettingsError(f"A Dask worker has another installation ({error}): install the same on all machines."),
            )
        except IhcQuantError as error:
            return self._refused(job, error)
        except Exception as error:  # noqa: BLE001 - a fault of a worker's machine costs its own job only
            return Lost(job.key, fault(error), "fault", 1, "".join(traceback.format_exception(error)))
        if ended is None:
            return Lost(job.key, "it was cancelled on the cluster; run again", "crash")
        return _checked(ended)

    def _refused(self, job: Job, error: Exception) -> Lost:
        """Stop the run where no job could be done yet; else one machine is at fault and costs its jobs only."""
        if not self._any_done:
            raise error
        return Lost(job.key, fault(error), "fault")

    def _look_at_workers(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS and self._slots:
            return
        self._require_scheduler()
        try:
            self._slots = sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise SettingsError(SCHEDULER_LOST) from error
        self._looked = time.monotonic()
        if self._slots:
            self._last_seen = self._looked
        elif now - self._last_seen > self._cluster.wait_seconds:
            raise SettingsError(
                f"No Dask worker has been there for {self._cluster.wait_seconds:g} s: start workers "
                "(dask worker --scheduler-file FILE) and run again; what is done is kept."
            )
        else:
            time.sleep(min(LOOK_SECONDS, self._cluster.wait_seconds))

    def _require_scheduler(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise SettingsError(SCHEDULER_LOST)

    def _end(self) -> None:
        """Take back what was sent, and end the worker processes that serve this run."""
        from ihc_quant.execution.dask_worker import end_run

        with suppress(Exception):  # the cluster may be gone, which ends all of it as well
            self._client.cancel([future for _, future in self._in_flight.values()], force=True)
            self._client.run(end_run, self._name, on_error="ignore")


def _checked(ended: Any) -> Ended:
    assert isinstance(ended, Done | Lost)
    return ended
