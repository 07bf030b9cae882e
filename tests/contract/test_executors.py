"""What every executor must keep: each job ends once, and what goes wrong costs one job."""

import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.execution.dask_cluster import DaskCluster
from ihc_quant.execution.executor import Done, Ended, Executor, Job, Limits, Lost
from ihc_quant.execution.in_process import InProcess
from ihc_quant.execution.worker_processes import WorkerProcesses
from tests.contract import executor_tasks as tasks

ROOT = Path(__file__).parents[2]

Make = Callable[[Limits], Executor]


@pytest.fixture(scope="module", autouse=True)
def _tests_are_found() -> Iterator[None]:
    """Let worker processes import the tasks' module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield


@pytest.fixture(scope="module")
def cluster(_tests_are_found: None) -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as local:
        yield local


def _make(kind: str, request: pytest.FixtureRequest) -> Make:
    if kind == "processes":
        return lambda limits: WorkerProcesses(2, limits)
    if kind == "dask":
        address = request.getfixturevalue("cluster").scheduler_address
        return lambda limits: DaskCluster(address, limits)
    return lambda _limits: InProcess()


@pytest.fixture(params=["in process", "processes", "dask"])
def make(request: pytest.FixtureRequest) -> Make:
    return _make(request.param, request)


@pytest.fixture(params=["processes", "dask"])
def protected(request: pytest.FixtureRequest) -> Make:
    """Return those that keep limits and outlive a crash."""
    return _make(request.param, request)


def _jobs(*arguments: Any) -> list[Job]:
    return [Job(f"{i}", argument) for i, argument in enumerate(arguments)]


def _by_key(ended: Iterator[Ended]) -> dict[str, Ended]:
    found = list(ended)
    assert len({one.key for one in found}) == len(found)
    return {one.key: one for one in found}


def _only(ended: Iterator[Ended]) -> Ended:
    (one,) = ended
    return one


def _lost(ended: Ended) -> Lost:
    assert isinstance(ended, Lost)
    return ended


def _value(ended: Ended) -> Any:
    assert isinstance(ended, Done), ended
    return ended.value


def _descendants() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _gone(pids: set[int]) -> bool:
    """Wait until the processes are gone; say whether they are."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not alive


# Every executor


def test_each_job_ends_once_with_its_own_result(make: Make) -> None:
    ended = _by_key(make(Limits(jobs_per_worker=20)).run(tasks.square, _jobs(*range(60))))
    assert {key: _value(one) for key, one in ended.items()} == {str(i): i * i for i in range(60)}
    assert all(isinstance(one, Done) and one.seconds >= 0 for one in ended.values())


def test_no_jobs_give_nothing(make: Make) -> None:
    assert list(make(Limits()).run(tasks.square, [])) == []


def test_a_fault_costs_one_job_and_brings_its_traceback(make: Make) -> None:
    ended = _by_key(make(Limits()).run(tasks.misbehave, _jobs("a", "raise", "b", "slide")))
    fault = _lost(ended["1"])
    assert (fault.kind, fault.tries) == ("fault", 1)
    assert fault.reason == "the program failed (KeyError); report it with the traceback"
    assert "misbehave" in fault.traceback
    assert _lost(ended["3"]).reason == "it is not a slide"
    assert [_value(ended[key]) for key in "02"] == ["a", "b"]


def test_jobs_are_taken_only_as_workers_come_free(make: Make) -> None:
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        for taken in itertools.count(1):
            yield Job(str(taken), taken)

    with closing(cast("Any", make(Limits()).run(tasks.square, endless()))) as ended:
        seen = sum(1 for _ in itertools.islice(ended, 10))
    assert seen == 10
    assert taken <= 10 + 5


def test_starts_are_told_before_results(make: Make) -> None:
    started: list[str] = []
    for one in make(Limits()).run(tasks.square, _jobs(1, 2, 3), on_start=lambda job: started.append(job.key)):
        assert one.key in started
    assert sorted(started) == ["0", "1", "2"]


def test_preparation_that_fails_stops_the_run_in_its_own_words(make: Make) -> None:
    with pytest.raises(WeightsError, match="fetch them again"):
        list(make(Limits()).run(tasks.square, _jobs(1, 2), prepare=tasks.refuse))


def test_a_partial_of_a_function_is_a_task(make: Make) -> None:
    assert _value(_only(make(Limits()).run(functools.partial(int, base=16), _jobs("ff")))) == 255


# Those with processes of their own


def test_crashes_cost_their_jobs_only(protected: Make) -> None:
    ended = _by_key(protected(Limits(tries=2)).run(tasks.misbehave, _jobs("a", "segfault", "b", "exit", "c")))
    segfault, left = _lost(ended["1"]), _lost(ended["3"])
    assert (segfault.kind, segfault.tries) == (left.kind, left.tries) == ("crash", 2)
    assert "SIGSEGV" in segfault.reason
    assert "misbehave" in segfault.traceback  # where it crashed
    assert "exit code 3" in left.reason
    assert [_value(ended[key]) for key in "024"] == ["a", "b", "c"]


def test_a_job_whose_worker_dies_once_is_done_by_the_next(protected: Make, tmp_path: Path) -> None:
    marker = str(tmp_path / "died")
    assert _value(_only(protected(Limits(tries=2)).run(tasks.crash_once, _jobs(marker)))) == "second try"
    Path(marker).unlink()
    lost = _lost(_only(protected(Limits(tries=1)).run(tasks.crash_once, _jobs(marker))))
    assert (lost.kind, lost.tries) == ("crash", 1)


def test_a_job_over_its_time_is_stopped(protected: Make) -> None:
    ended = _by_key(protected(Limits(seconds=0.5)).run(tasks.misbehave, _jobs("hang", "a", "b")))
    lost = _lost(ended["0"])
    assert (lost.kind, lost.tries) == ("timeout", 1)
    assert "0.5 s" in lost.reason
    assert "misbehave" in lost.traceback  # where it stood
    assert [_value(ended[key]) for key in "12"] == ["a", "b"]


def test_a_result_that_comes_with_the_end_of_its_time_costs_no_other_job() -> None:
    ended = _by_key(WorkerProcesses(1, Limits(seconds=0.5)).run(tasks.misbehave, _jobs("late", "a", "late", "b")))
    assert [_value(ended[key]) for key in "0123"] == ["late", "a", "late", "b"]


@pytest.mark.parametrize("how", ["fill", "child"])
def test_a_job_over_its_memory_is_stopped(protected: Make, how: str) -> None:
    ended = _by_key(protected(Limits(seconds=60, memory_bytes=200_000_000)).run(tasks.misbehave, _jobs(how, "a")))
    lost = _lost(ended["0"])
    assert (lost.kind, lost.tries) == ("memory", 1)
    assert "0.2 GB" in lost.reason
    assert _value(ended["1"]) == "a"


def test_a_result_that_cannot_be_sent_is_a_fault(protected: Make) -> None:
    assert _lost(_only(protected(Limits()).run(tasks.misbehave, _jobs("unpicklable")))).kind == "fault"


def test_workers_stay_and_are_prepared_once(protected: Make) -> None:
    values = [
        _value(one) for one in protected(Limits()).run(tasks.where, _jobs(*range(20)), prepare=tasks.note_threads)
    ]
    assert len({value["pid"] for value in values}) <= 2
    assert all(len(value["prepared"]) == 1 for value in values)
    assert {str(value["prepared"][0]) for value in values} == {value["threads"] for value in values}


def test_workers_are_replaced_after_their_jobs(protected: Make) -> None:
    values = [_value(one) for one in protected(Limits(jobs_per_worker=2)).run(tasks.where, _jobs(*range(8)))]
    per_worker = [len(list(group)) for _, group in itertools.groupby(sorted(value["pid"] for value in values))]
    assert max(per_worker) <= 2


def test_workers_that_cannot_start_stop_the_run(protected: Make) -> None:
    with pytest.raises(SettingsError, match="exit code 7"):
        list(protected(Limits()).run(tasks.square, _jobs(1), prepare=tasks.die_preparing))


def test_memory_that_a_job_took_is_told(protected: Make) -> None:
    one = _only(protected(Limits()).run(tasks.square, _jobs(1)))
    assert isinstance(one, Done)
    assert sys.platform != "linux" or cast("int", one.peak_bytes) > 1_000_000


def test_a_function_that_no_other_process_finds_is_refused(protected: Make) -> None:
    with pytest.raises(ValueError, match="another process can import"):
        list(protected(Limits()).run(lambda number: number, _jobs(1)))


def test_closing_early_leaves_no_process(protected: Make, tmp_path: Path) -> None:
    before = _descendants()
    ended = cast("Any", protected(Limits()).run(tasks.misbehave, itertools.chain(_jobs("a"), _hanging())))
    assert _value(next(ended)) == "a"
    started = _descendants() - before
    assert started
    ended.close()
    assert _gone(started)


def _hanging() -> Iterator[Job]:
    return (Job(f"hang {i}", "hang") for i in itertools.count())


# One machine


def test_workers_are_held_to_their_cores_and_gpus() -> None:
    executor = WorkerProcesses(2, pin=True, gpus=("0", "1"))
    usable = os.sched_getaffinity(0)
    values = [_value(one) for one in executor.run(tasks.where, _jobs(*range(8)))]
    assert {value["gpu"] for value in values} <= {"0", "1"}
    assert all(set(value["cores"]) <= usable for value in values)
    assert all(int(value["threads"]) == len(value["cores"]) for value in values)


@given(workers=st.integers(1, 40), threads=st.none() | st.integers(1, 8), pin=st.booleans())
def test_every_worker_gets_threads_and_cores_are_shared_out(workers: int, threads: int | None, pin: bool) -> None:
    places = WorkerProcesses(workers, threads=threads, pin=pin).places()
    assert len(places) == workers
    assert all(place.threads >= 1 for place in places)
    if pin and hasattr(os, "sched_getaffinity"):
        usable = os.sched_getaffinity(0)
        held = [core for place in places for core in place.cores]
        assert set(held) <= usable
        assert len(held) == max(workers, len(usable))  # no core is left idle, none is shared without need
    if threads is not None and not pin:
        assert {place.threads for place in places} == {threads}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at the end of a pipe is Linux's")
def test_workers_and_their_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from ihc_quant.execution.executor import Job;"
        "from ihc_quant.execution.worker_processes import WorkerProcesses;"
        "from tests.contract.executor_tasks import hang_with_child;"
        "list(WorkerProcesses(1).run(hang_with_child, [Job('a', sys.argv[1])]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(ROOT)})
    while not (tmp_path / "pids").exists():
        assert parent.poll() is None
        time.sleep(0.05)
    worker, child = map(int, (tmp_path / "pids").read_text().split())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _gone({worker, child})


# A cluster


def test_a_scheduler_file_finds_the_cluster(cluster: Any, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    cluster.scheduler.identity()
    file.write_text(f'{{"type": "Scheduler", "id": "x", "address": "{cluster.scheduler_address}", "workers": {{}}}}')
    assert _value(_only(DaskCluster(str(file)).run(tasks.square, _jobs(4)))) == 16


def test_a_dask_worker_that_is_killed_loses_nothing(cluster: Any) -> None:
    nannies = [worker.pid for worker in cluster.workers.values()]
    ended: dict[str, Any] = {}
    for one in DaskCluster(cluster.scheduler_address).run(tasks.square, _jobs(*range(100))):
        ended[one.key] = _value(one)
        if len(ended) == 20:
            os.kill(nannies[0], signal.SIGKILL)
    assert ended == {str(i): i * i for i in range(100)}


@pytest.mark.parametrize("where", ["no/such/file.json", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_named(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("ihc_quant.execution.dask_cluster.CONNECT_SECONDS", 1)
    with pytest.raises(SettingsError, match=where):
        list(DaskCluster(where).run(tasks.square, _jobs(1)))


def test_a_cluster_without_workers_is_not_waited_for_forever() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as empty:
        executor = DaskCluster(empty.scheduler_address, wait_seconds=0.2)
        with pytest.raises(SettingsError, match="No Dask worker"):
            list(executor.run(tasks.square, _jobs(1)))


def test_without_distributed_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"ihc-quant\[cluster\]"):
        list(DaskCluster("tcp://127.0.0.1:1").run(tasks.square, _jobs(1)))


# Values


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"memory_bytes": 0}, {"jobs_per_worker": 0}, {"tries": 0}])
def test_limits_that_allow_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limits(**wrong)
