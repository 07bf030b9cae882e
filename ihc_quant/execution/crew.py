"""Several worker processes, kept while there is work: hands jobs out, hears results, replaces what died."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from ihc_quant.errors import SettingsError
from ihc_quant.execution.executor import Done, Ended, Job, Limits, Lost, ignore_start
from ihc_quant.execution.messages import Broken, Place, Raised, Ready, Returned, Setup
from ihc_quant.execution.worker import Assignment, Worker

START_TRIES = 3
"""So many workers in a row that fail to start stop the run."""

BEAT_SECONDS = 0.1
"""How often limits are looked after."""


class _Seat:
    """The place of one worker, who may be replaced; holds the job that waits for one to be ready."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.worker: Worker | None = None
        self.waiting: Assignment | None = None

    @property
    def busy(self) -> bool:
        return self.waiting is not None or (self.worker is not None and self.worker.assignment is not None)


class Crew:
    """Worker processes that outlive a call of ``run``; a context manager that ends them.

    Parameters
    ----------
    places : sequence of Place
        One for each worker.
    setup : Setup
    limits : Limits
    """

    def __init__(self, places: Sequence[Place], setup: Setup, limits: Limits) -> None:
        self._seats = [_Seat(place) for place in places]
        self._setup = setup
        self._limits = limits
        self._failed_starts = 0
        self._ever_ready = False
        self._abandoned = False
        self._stop = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, daemon=True, name="watchdog of worker processes")
        self._watchdog.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers and whatever they started."""
        self._stop.set()
        for seat in self._seats:
            self._dismiss(seat)
        self._watchdog.join()

    def abandon(self) -> None:
        """Let a ``run`` in another thread end within a moment, without results for the jobs that it has."""
        self._abandoned = True

    def run(self, jobs: Iterable[Job], on_start: Callable[[Job], None] = ignore_start) -> Iterator[Ended]:
        """Run the jobs; see ``Executor.run``. Where the iterator is closed early, busy workers are ended."""
        source = iter(jobs)
        try:
            for seat in self._seats:
                self._fill(seat, source, on_start)
            while not self._abandoned and any(seat.busy for seat in self._seats):
                for seat in self._heard():
                    ended = self._hear(seat)
                    self._fill(seat, source, on_start)  # before the caller takes its time over the result
                    if ended is not None:
                        yield ended
        finally:
            for seat in self._seats:
                if seat.busy:
                    self._dismiss(seat)

    def _fill(self, seat: _Seat, source: Iterator[Job], on_start: Callable[[Job], None]) -> None:
        """Give the seat a job where it has none, a worker where it needs one, and the worker the job where it can."""
        if seat.busy and seat.waiting is None:
            return
        if seat.waiting is None:
            job = next(source, None)
            if job is None:
                return
            seat.waiting = Assignment(job)
        if seat.worker is None:
            seat.worker = Worker(seat.place, self._setup, self._limits)
        if seat.worker.idle:
            assignment, seat.waiting = seat.waiting, None
            on_start(assignment.job)
            seat.worker.give(assignment)

    def _heard(self) -> list[_Seat]:
        """Wait a moment; return the seats whose workers said something, died, or hang after they were killed."""
        manned = {seat.worker.connection: seat for seat in self._seats if seat.worker is not None}
        speaking = [manned[connection] for connection in wait(list(manned), BEAT_SECONDS)]  # type: ignore[index]
        hanging = [seat for seat in manned.values() if seat.worker is not None and seat.worker.hangs()]
        return [*speaking, *(seat for seat in hanging if seat not in speaking)]

    def _hear(self, seat: _Seat) -> Ended | None:
        worker = seat.worker
        assert worker is not None
        assignment = worker.assignment
        message = None if worker.hangs() else worker.hear()
        match message:
            case None:
                return self._bury(seat)
            case Ready():
                self._ever_ready, self._failed_starts = True, 0
                return None
            case Broken(error, trace):
                self._dismiss(seat, keep_job=True)
                self._count_failed_start(error, trace)
                return None
        assert assignment is not None
        peak = worker.peak_bytes
        if worker.jobs_done >= self._limits.jobs_per_worker:
            self._dismiss(seat)
        key = assignment.job.key
        if isinstance(message, Raised):
            return Lost(key, message.reason, "fault", assignment.tries, message.traceback)
        assert isinstance(message, Returned)
        return Done(key, message.value, message.seconds, max(peak, message.peak_bytes or 0) or None)

    def _bury(self, seat: _Seat) -> Lost | None:
        """Do what is needed after a worker died: try its job again, give it up, or count a start that failed."""
        worker = seat.worker
        assert worker is not None
        assignment, was_ready = worker.assignment, worker.ready
        death = worker.close(0 if assignment is None else assignment.tries)
        seat.worker = None
        if not was_ready:
            self._count_failed_start(None, f"{death.reason}\n{death.last_words}")
            return None
        if assignment is None:  # it died between two jobs, which costs nothing
            return None
        if death.kind == "crash" and assignment.tries < self._limits.tries:
            seat.waiting = Assignment(assignment.job, assignment.tries + 1)
            return None
        return Lost(assignment.job.key, death.reason, death.kind, assignment.tries, death.last_words)

    def _count_failed_start(self, error: Exception | None, trace: str) -> None:
        self._failed_starts += 1
        if self._failed_starts < START_TRIES and (self._ever_ready or error is None):
            return
        if error is not None:
            raise error
        raise SettingsError(
            f"Worker processes cannot be made ready for work; of the last one is known: {trace.strip()}"
        )

    def _dismiss(self, seat: _Seat, keep_job: bool = False) -> None:
        if seat.worker is not None:
            seat.worker.close()
        seat.worker = None
        if not keep_job:
            seat.waiting = None

    def _watch(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            for seat in self._seats:
                worker = seat.worker
                if worker is not None:
                    worker.look()
