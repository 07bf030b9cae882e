"""Runs over a manifest, whatever becomes of single slides, of the disk and of the run itself."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from ihc_quant.batch import slide_worker
from ihc_quant.batch.outputs import whole_folder
from ihc_quant.batch.run import StoredOutcomes
from ihc_quant.batch.run_state import STATES_FOLDER, read_state
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.errors import OutputError
from ihc_quant.execution.executor import Ended, Job, Lost, Prepare, Task, ignore_start
from ihc_quant.execution.in_process import InProcess
from ihc_quant.tissue.mask import find_tissue
from tests.batch.bench import Bench, words


def test_bad_slides_fail_alone_and_say_why(bench: Bench) -> None:
    (bench.folder / "bad.tif").write_text("no slide")
    (bench.folder / "circle.tif").symlink_to(bench.folder / "circle.tif")
    link = bench.folder / "link.tif"
    shutil.copy(bench.slides["s1"], bench.folder / "linked.tif")
    link.symlink_to(bench.folder / "linked.tif")
    bench.slides = {
        "bad": bench.folder / "bad.tif",
        "gone": bench.folder / "gone.tif",
        "circle": bench.folder / "circle.tif",
        "folder": bench.folder,
        "link": link,
        **bench.slides,
    }
    record = bench.run()
    assert record.counts() == {"scored": 3, "failed": 4}
    assert [state.slide_id for state in record.failures()] == ["bad", "gone", "circle", "folder"]
    assert all("; " in state.reason for state in record.failures())
    assert "in a circle" in next(state.reason for state in record.failures() if state.slide_id == "circle")
    text = words(bench)
    assert "## Not scored" in text
    assert str(bench.folder) not in text
    outcomes = StoredOutcomes(record, bench.out)
    assert list(outcomes) == list(bench.slides)
    assert isinstance(outcomes["bad"], Failed)
    assert isinstance(outcomes["s2"], Scored)


def test_failed_slides_wait_until_something_changes(bench: Bench) -> None:
    good = bench.slides["s1"].read_bytes()
    bench.slides["s1"].write_bytes(good[:1000])
    bench.run()
    assert bench.steps()["s1"] == ("keep", "failed before: use --retry-failed")
    assert bench.run().counts() == {"scored": 1, "failed": 1}
    assert bench.steps(retry_failed=True)["s1"] == ("measure", "failed before; --retry-failed")
    assert bench.steps(allow_coarse=True)["s1"] == ("measure", "failed before; settings changed: allow-coarse")
    bench.slides["s1"].write_bytes(good)
    assert bench.steps()["s1"] == ("measure", "failed before; the slide changed")
    assert bench.run().counts() == {"scored": 2}
    assert bench.measured == ["s1", "s2", "s1"]


class Losing:
    """Loses the first job, as a worker that dies does."""

    def run(
        self,
        task: Task,
        jobs: Iterable[Job],
        *,
        prepare: Prepare | None = None,
        on_start: Callable[[Job], None] = ignore_start,
    ) -> Iterator[Ended]:
        jobs = iter(jobs)
        lost = next(jobs)
        on_start(lost)
        yield Lost(lost.key, "its process was killed; score it alone", "crash", 2, "last words")
        yield from InProcess().run(task, jobs, prepare=prepare, on_start=on_start)


def test_lost_slide_is_a_failed_one(bench: Bench) -> None:
    record = bench.run(Losing())
    assert record.counts() == {"scored": 1, "failed": 1}
    assert bench.steps()["s1"] == ("keep", "failed before: use --retry-failed")
    state = read_state(bench.out, "s1")
    assert state is not None
    assert state.reason == "its process was killed; score it alone"
    assert "last words" in (bench.out / "run.log").read_text()
    assert bench.run(retry_failed=True).counts() == {"scored": 2}


def test_full_disk_stops_the_run_and_keeps_what_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_slide

    def full(task: Any, *rest: Any) -> Any:
        if task.slide_id == "s2":
            raise OutputError("out: the disk is full; free some space or name another folder with -o.")
        return real(task, *rest)

    monkeypatch.setattr(slide_worker, "run_slide", full)
    with pytest.raises(OutputError, match="disk is full"):
        bench.run()
    values = json.loads((bench.out / "run.json").read_text())
    assert values["state"] == "stopped"
    assert [slide["state"] for slide in values["slides"]] == ["scored", "waiting"]
    monkeypatch.setattr(slide_worker, "run_slide", bench.counted)
    assert bench.run().counts() == {"scored": 2}
    assert bench.measured == ["s2"]


def test_interrupted_run_keeps_what_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_slide

    def stopped(task: Any, *rest: Any) -> Any:
        if task.slide_id == "s2":
            raise KeyboardInterrupt
        return real(task, *rest)

    monkeypatch.setattr(slide_worker, "run_slide", stopped)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert "interrupted" in words(bench)
    assert bench.steps() == {"s1": ("keep", "done already"), "s2": ("measure", "new")}


def test_slide_that_changes_while_it_is_read_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_tissue

    def growing(*args: Any, **options: Any) -> Any:
        with bench.slides["s1"].open("ab") as file:
            file.write(b"more")
        return real(*args, **options)

    def vanishing(*args: Any, **options: Any) -> Any:
        bench.slides["s2"].unlink(missing_ok=True)
        return real(*args, **options)

    both = dict(bench.slides)
    for name, spoil, word in (("s1", growing, "changed"), ("s2", vanishing, "vanished")):
        bench.slides = {name: both[name]}
        monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", spoil)
        (failed,) = bench.run().failures()
        assert f"the file {word} while it was read" in failed.reason
        assert not (bench.out / "slides" / name).exists()


def test_fault_of_the_program_is_kept_apart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", fail)
    record = bench.run()
    assert all(state.fault for state in record.failures())
    assert "ZeroDivisionError: here" in (bench.out / "run.log").read_text()
    assert "ZeroDivisionError" not in (bench.out / STATES_FOLDER / "s1.json").read_text().replace(
        "the program failed (ZeroDivisionError)", ""
    )


def test_too_little_memory_is_no_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", fail)
    failed = bench.run().failures()[0]
    assert not failed.fault
    assert "memory" in failed.reason


def test_results_that_another_process_writes_are_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = ExitStack()
    locked.enter_context(whole_folder(bench.out / "slides" / "s1"))
    pauses = []

    def pause(_: float) -> None:
        pauses.append(1)
        if len(pauses) == 2:
            with suppress(OutputError):
                locked.close()

    monkeypatch.setattr("ihc_quant.batch.slide_worker.time.sleep", pause)
    assert bench.run().counts() == {"scored": 2}
    assert len(pauses) == 2
