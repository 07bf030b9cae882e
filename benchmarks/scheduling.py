"""Ten thousand jobs without pixels through the real plan, scheduling, state and summary code.

One job in a hundred fails (as a slide, by a fault, by a crash at each try); one in two hundred kills its worker once.
It runs over two worker processes, then over a Dask cluster of two workers in processes of their own, of which one is
killed with all below it in the middle. What takes time is mostly the start of workers in place of those that died: each
imports what a slide's worker imports. Bars: every slide is accounted for and ends the same way in both, a job costs
less than 50 ms, and the memory of the process that schedules does not grow with the slides that have ended.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import stub_slides
from tables import Bar, show

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.run import RunProgress, RunSettings, RunWatch, run_batch
from ihc_quant.batch.run_plan import plan_run
from ihc_quant.batch.run_state import read_state
from ihc_quant.batch.run_summary import SlideLine
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_worker import NetworkChoice
from ihc_quant.domain.stain import SectionStain
from ihc_quant.execution.dask_cluster import DaskCluster
from ihc_quant.execution.executor import Executor, Limits
from ihc_quant.execution.worker_processes import WorkerProcesses
from ihc_quant.network.weights import load_weights
from ihc_quant.scoring.calls import CallRule

WORKERS = 2
LIMITS = Limits(seconds=60, memory_bytes=2_000_000_000, jobs_per_worker=1000, tries=2)
OVERHEAD_LIMIT_MS = 50.0
GROWTH_LIMIT_PERCENT = 10.0
EARLY_SHARE = 0.1
MB = 1e6
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run gave.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Wall time of the run; processor time of this process alone, which other load on the machine changes less.
    counts : dict
        Slides by state, from ``run.json``.
    early_mb, late_mb : float
        Resident memory of this process when a tenth of the slides had ended, and all.
    """

    seconds: float
    cpu_seconds: float
    counts: dict[str, int]
    early_mb: float
    late_mb: float
    endings: dict[str, list[Any]]


class MemoryWatch(RunWatch):
    """Reads the memory of this process while slides end, and calls a function once in the middle."""

    def __init__(self, jobs: int, in_the_middle: Any) -> None:
        self._marks = {max(1, round(jobs * EARLY_SHARE)), jobs}
        self._middle = jobs // 2
        self._in_the_middle = in_the_middle
        self.resident: list[float] = []

    def ended(self, _line: SlideLine, progress: RunProgress, _trace: str) -> None:
        """Take note."""
        if progress.ended in self._marks:
            self.resident.append(psutil.Process().memory_info().rss / MB)
        if progress.ended == self._middle:
            self._in_the_middle()


def measure(executor: Executor, jobs: int, folder: Path, in_the_middle: Any = lambda: None) -> Figures:
    """Run the jobs over an executor."""
    card = load_weights("default").card
    measure, rule = MeasureSettings(weights="default"), CallRule(p_threshold=card.thresholds.positive)
    rows = [_row(number, folder) for number in range(1, jobs + 1)]
    settings = RunSettings(measure, rule, NetworkChoice("default", "float32", "auto", "cpu"), {})
    out = folder / "out"
    watch = MemoryWatch(jobs, in_the_middle)
    began, cpu_began = time.perf_counter(), time.process_time()
    run_batch(
        partial(plan_run, rows, out, measure, rule, card),
        folder / "manifest.csv",
        out,
        settings,
        executor,
        watch,
        task=stub_slides.settle,
        prepare=stub_slides.prepare,
    )
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    counts = json.loads((out / "run.json").read_text())["counts"]
    states = {row.slide_id: read_state(out, row.slide_id) for row in rows}
    endings = {key: [state.ending, state.cells, state.reason] for key, state in states.items() if state is not None}
    early, late = watch.resident
    return Figures(seconds, cpu_seconds, counts, early, late, endings)


def _row(number: int, folder: Path) -> ManifestRow:
    slide_id = f"stub-{number}"
    stain = SectionStain("CD4", "DAB", chromogen_assumed=False)
    return ManifestRow(slide_id, f"B{number}", f"P{number}", "skin", stain, folder / f"{slide_id}.tif", None, None, ())


@contextmanager
def dask_cluster(folder: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """Start a scheduler and two workers as a user would, on this machine alone; yield its file and the workers."""
    file = folder / "scheduler.json"
    own = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    processes: list[subprocess.Popen[bytes]] = []
    with (folder / "dask.log").open("wb") as log:

        def start(*command: str) -> "subprocess.Popen[bytes]":
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *command],
                    env=paths,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
            return processes[-1]

        try:
            start("scheduler", *own, "--port", "0")
            while not file.exists():
                time.sleep(0.1)
            yield str(file), [start("worker", *own, "--nthreads", "1") for _ in range(WORKERS)]
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def run_one(name: str, jobs: int) -> Figures:
    """Measure one executor, in this process."""
    with TemporaryDirectory(prefix="ihc_quant_bench_") as text:
        folder = Path(text)
        if name == "processes":
            return measure(WorkerProcesses(WORKERS, LIMITS), jobs, folder)
        with dask_cluster(folder) as (file, workers):

            def kill_one() -> None:
                os.killpg(workers[0].pid, signal.SIGKILL)

            return measure(DaskCluster(file, LIMITS), jobs, folder, kill_one)


def in_own_process(name: str, jobs: int) -> Figures:
    """Measure one executor in a process of its own, so that memory is told apart."""
    print(f"{name}: {jobs} jobs …", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--only", name, "--jobs", str(jobs)]
    return Figures(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Scheduling, state and summary of many jobs without pixels.")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--only", choices=["processes", "dask"], help="one executor, its figures as JSON")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(asdict(run_one(options.only, options.jobs))))
        return
    runs = {name: in_own_process(name, options.jobs) for name in ("processes", "dask")}
    failed = sum(map(stub_slides.fails, range(1, options.jobs + 1)))
    expected = {"scored": options.jobs - failed, "failed": failed}
    rows = [
        {
            "executor": name,
            "seconds": run.seconds,
            "ms/job": 1000 * run.seconds / options.jobs,
            "CPU ms/job here": 1000 * run.cpu_seconds / options.jobs,
            "scored": run.counts.get("scored", 0),
            "failed": run.counts.get("failed", 0),
            "MB after a tenth": run.early_mb,
            "MB at the end": run.late_mb,
        }
        for name, run in runs.items()
    ]
    bars = _bars(runs, options.jobs, expected)
    killed = sum(map(stub_slides.kills_once, range(1, options.jobs + 1)))
    notes = [
        f"{options.jobs} jobs on {WORKERS} workers; {failed} fail, {killed} kill their worker once",
        "dask: one of its two workers is killed, with all below it, when half of the jobs have ended",
    ]
    show("Scheduling", notes, rows, bars, as_json=options.json)


def _bars(runs: dict[str, Figures], jobs: int, expected: dict[str, int]) -> list[Bar]:
    slowest = max(1000 * run.seconds / jobs for run in runs.values())
    growth = max(100 * (run.late_mb / run.early_mb - 1) for run in runs.values())
    return [
        Bar("slower executor, ms for each job", slowest, OVERHEAD_LIMIT_MS),
        Bar("summaries that are wrong", sum(run.counts != expected for run in runs.values()), 0),
        Bar("slides that end otherwise on the cluster", _differing(runs["processes"], runs["dask"]), 0),
        Bar("growth of memory from a tenth to all, %", growth, GROWTH_LIMIT_PERCENT),
    ]


def _differing(one: Figures, other: Figures) -> int:
    return sum(one.endings.get(key) != other.endings.get(key) for key in one.endings | other.endings)


if __name__ == "__main__":
    main()
