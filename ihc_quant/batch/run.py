"""A run over the slides of a manifest: what is missing is done, whatever becomes of single slides."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.run_files import RunFiles, utc_now
from ihc_quant.batch.run_lock import run_lock
from ihc_quant.batch.run_plan import Step, plan_in_words, plan_notes
from ihc_quant.batch.run_state import slide_folder, state_of, write_state
from ihc_quant.batch.run_summary import RunRecord, SlideLine
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_worker import NetworkChoice, Settled, SlideWork, prepare_worker, settle_slide
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.errors import OutputError
from ihc_quant.execution.executor import Done, Ended, Executor, Job, Lost, Prepare, Task
from ihc_quant.scoring.calls import CallRule


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Attributes
    ----------
    ended, total : int
        Slides that this run had something to do about.
    seconds_left : float or None
        As the pace so far lets expect; None before the first slide has ended.
    """

    ended: int
    total: int
    seconds_left: float | None


class RunWatch:
    """Follows a run; the methods do nothing here."""

    def planned(self, words: str, notes: Sequence[str], total: int) -> None:
        """Say what there is to do, in one line and as a number of slides, and what is worth knowing before."""

    def started(self, line: SlideLine) -> None:
        """Say that a slide was given to a worker."""

    def ended(self, line: SlideLine, progress: RunProgress, trace: str) -> None:
        """Say what became of a slide; ``trace`` is filled after a fault of the program."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run is made with.

    Attributes
    ----------
    measure : MeasureSettings
    rule : CallRule
    network : NetworkChoice
    shown : mapping
        Settings as ``run.json`` states them.
    """

    measure: MeasureSettings
    rule: CallRule
    network: NetworkChoice
    shown: Mapping[str, Any]


def run_batch(
    plan: Callable[[], Sequence[Step]],
    manifest: Path,
    out: Path,
    settings: RunSettings,
    executor: Executor,
    watch: RunWatch | None = None,
    *,
    task: Task = settle_slide,
    prepare: Prepare | None = None,
) -> RunRecord:
    """Do what a plan says, slides side by side, and keep the state of each as soon as it is settled.

    Parameters
    ----------
    plan : callable
        Gives the steps; called when no other run can change what is there any more.
    manifest : Path
        For ``run.json``.
    out : Path
        Output folder; no other run may write to it meanwhile.
    settings : RunSettings
    executor : Executor
    watch : RunWatch, optional
    task : Task
        What a worker does about a slide.
    prepare : Prepare, optional
        What a worker does first; loads the network where not given.

    Returns
    -------
    RunRecord
        What became of every slide.

    Raises
    ------
    OutputError
        Where results cannot be written or another run writes there; what was done is kept.
    WeightsError, SettingsError
        Where workers cannot begin.
    """
    watch = watch or RunWatch()
    out = out.resolve()
    with run_lock(out) as weaker:
        steps = tuple(plan())
        record = RunRecord(
            str(manifest), settings.shown, utc_now(), {step.slide_id: _line(step) for step in steps}
        )  # fmt: skip
        record.notes += [*([weaker] if weaker else []), *plan_notes(steps)]
        files = RunFiles(out, record)
        todo = [step for step in steps if step.action != "keep"]
        watch.planned(plan_in_words(steps), record.notes, len(todo))
        files.log(f"run of {manifest}: {plan_in_words(steps)}")
        files.follow(now=True)
        run = _Run(record, files, watch, out, len(todo), time.monotonic())
        jobs = (Job(step.slide_id, _work(step, out, settings)) for step in todo)
        record.phase = "stopped"
        try:
            prepared = prepare or partial(prepare_worker, settings.network)
            results = executor.run(task, jobs, prepare=prepared, on_start=run.started) if todo else iter(())
            with closing(_closable(results)) as endings:
                for ended in endings:
                    run.ended(ended)
            record.phase = "done"
        except (KeyboardInterrupt, GeneratorExit):
            record.phase = "interrupted"
            raise
        except Exception as error:
            record.stop = str(error)
            raise
        finally:
            run.close()
    return record


def _closable(results: Iterator[Ended]) -> Generator[Ended, None, None]:
    """Return results that can be closed, and close what gives them."""
    try:
        yield from results
    finally:
        if callable(close := getattr(results, "close", None)):
            close()


def _line(step: Step) -> SlideLine:
    return SlideLine(step, step.state, "kept") if step.action == "keep" else SlideLine(step)


def _work(step: Step, out: Path, settings: RunSettings) -> SlideWork:
    return SlideWork.of(step, out, settings.measure, settings.rule, settings.network)


class _Run:
    """Takes down what happens during a run."""

    def __init__(
        self, record: RunRecord, files: RunFiles, watch: RunWatch, out: Path, total: int, started_s: float
    ) -> None:
        self._record = record
        self._files = files
        self._watch = watch
        self._out = out
        self._total = total
        self._started_s = started_s
        self._ended = 0

    def started(self, job: Job) -> None:
        """Take down that a slide was given to a worker."""
        line = self._record.lines[job.key]
        line.running = True
        line.tries += 1
        self._files.log(f"{job.key}: begun ({line.step.why}), {line.step.task.path}")
        self._watch.started(line)

    def ended(self, ended: Ended) -> None:
        """Take down what became of a slide.

        Raises
        ------
        OutputError
            Where results cannot be written.
        """
        line = self._record.lines[ended.key]
        trace = self._settle(line, ended)
        line.running = False
        self._ended += 1
        elapsed = time.monotonic() - self._started_s
        left = elapsed / self._ended * (self._total - self._ended)
        assert line.state is not None
        self._files.log(f"{ended.key}: {line.doing} in {line.state.seconds:.1f} s {line.state.reason}\n{trace}")
        self._watch.ended(line, RunProgress(self._ended, self._total, left), trace)
        self._files.follow()

    def _settle(self, line: SlideLine, ended: Ended) -> str:
        """Fill the line of a slide and return the traceback of a fault."""
        step = line.step
        match ended:
            case Done(value=Settled(stop=stop)) if stop:
                raise OutputError(stop)
            case Done(value=Settled(doing=doing, state=state, why=why, trace=trace)):
                if why:
                    self._files.log(f"{step.slide_id}: measured: {why}")
                # What was asked came back as a copy, of kilobytes a slide; the plan has it already.
                line.state = state and state.model_copy(update={"asked": step.asked})
                line.doing = doing
                return trace
            case Lost(reason=reason, kind=kind, traceback=trace):
                lost = Failed(step.slide_id, step.task.stain, reason)
                line.state = state_of(lost, self._out, step.asked, step.slide, fault=kind == "fault")
                line.doing = "failed"
                write_state(self._out, line.state)
                return trace
            case Done(value=value):
                raise TypeError(f"a worker returned {type(value).__name__}")

    def close(self) -> None:
        """Write the summary for the last time."""
        for line in self._record.lines.values():
            line.running = False
        if self._record.phase == "done":
            self._files.log("run ended")
            self._files.follow(now=True)
            return
        # Something worse is under way, and is to be told.
        with suppress(OutputError):
            self._files.log(f"run {self._record.phase} {self._record.stop}")
            self._files.follow(now=True)


class StoredOutcomes(Mapping[str, SlideOutcome]):
    """What became of the slides of a run, read from their folders as it is looked up, so that memory does not grow.

    Parameters
    ----------
    record : RunRecord
        Of a run that has ended.
    out : Path
        Its output folder.
    """

    def __init__(self, record: RunRecord, out: Path) -> None:
        self._record = record
        self._out = out

    def __getitem__(self, slide_id: str) -> SlideOutcome:
        """Return the outcome of a slide; ``OutputError`` where its results cannot be read back."""
        line = self._record.lines[slide_id]
        if line.state is None or line.state.failed:
            reason = line.state.reason if line.state else "the run ended before it; run it again"
            return Failed(slide_id, line.step.task.stain, reason)
        return read_slide_json(slide_folder(self._out, slide_id))[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._record.lines)

    def __len__(self) -> int:
        return len(self._record.lines)
