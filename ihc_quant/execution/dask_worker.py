"""What runs inside a Dask worker: each job in a worker process of its own, so that a crash costs one job there too."""

import threading

from ihc_quant.execution.crew import Crew
from ihc_quant.execution.executor import Ended, Job, Limits
from ihc_quant.execution.messages import Place, Setup
from ihc_quant.execution.worker_processes import usable_cores

_REMEMBERED = 1000
"""Runs that are over and remembered, so that a job that comes late for one starts nothing."""

_lock = threading.Lock()
_idle: dict[str, list[Crew]] = {}
_working: dict[str, list[Crew]] = {}
_over: list[str] = []


def run_job(run: str, setup: Setup, limits: Limits, threads: int | None, job: Job) -> Ended | None:
    """Run one job within limits, in a process that stays for the next jobs of the same run.

    Parameters
    ----------
    run : str
        Name of the run.
    setup : Setup
    limits : Limits
    threads : int or None
        Threads for the job; None shares the cores that this Dask worker may use among the tasks that it runs at once.
    job : Job

    Returns
    -------
    Done or Lost or None
        None where the run is over.
    """
    crew = _take(run, setup, limits, threads)
    ended: Ended | None = None
    try:
        for ended in () if crew is None else crew.run([job]):  # noqa: B007 - there is one
            pass
    finally:
        if crew is not None:
            _bring_back(run, crew)
    return ended


def end_run(run: str) -> None:
    """End what this Dask worker still does for a run, and its processes."""
    with _lock:
        _over.append(run)
        del _over[:-_REMEMBERED]
        for crew in _working.get(run, ()):
            crew.abandon()
        idle = _idle.pop(run, [])
    for crew in idle:
        crew.close()


def _take(run: str, setup: Setup, limits: Limits, threads: int | None) -> Crew | None:
    with _lock:
        if run in _over:
            return None
        idle = _idle.setdefault(run, [])
        crew = idle.pop() if idle else Crew([Place(threads=threads or _share())], setup, limits)
        _working.setdefault(run, []).append(crew)
        return crew


def _bring_back(run: str, crew: Crew) -> None:
    with _lock:
        _working[run].remove(crew)
        if not _working[run]:
            del _working[run]
        if run not in _over:
            _idle.setdefault(run, []).append(crew)
            return
    crew.close()


def _share() -> int:
    from distributed import get_worker

    at_once: int = get_worker().state.nthreads
    return max(1, len(usable_cores()) // at_once)
