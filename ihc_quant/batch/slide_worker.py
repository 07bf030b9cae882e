"""One slide of a run in a worker process: what is missing is done, and the slide's state is kept beside its results.

The network is loaded once a process. Nothing but plain data goes in and out.
"""

import os
import time
import traceback
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import pyarrow as pa

from ihc_quant.batch.file_stamp import file_stamp
from ihc_quant.batch.measurement import Measurement, read_slide_json
from ihc_quant.batch.outputs import ResultsBusy
from ihc_quant.batch.redrawn import Redrawn, why_slide_is_needed
from ihc_quant.batch.rescoring import rescore_slide
from ihc_quant.batch.run_plan import Action, Step
from ihc_quant.batch.run_state import Asked, SlideState, slide_folder, state_of, write_state
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.errors import IhcQuantError, OutputError, SlideError
from ihc_quant.network import predictor as network
from ihc_quant.network.predictor import MapPredictor, RuntimeName
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.opening import open_slide

Doing = Literal["measured", "rescored", "found whole", "failed"]
"""What a worker did about a slide."""

BUSY_PAUSE_S = 2.0
BUSY_TRIES = 300
"""How long another process that writes the same results is waited for: ten minutes."""

TOO_LARGE = "it needs more memory than this machine has left; score it on a larger one or with fewer --workers"


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """Which network runs where; see ``MeasureSettings`` and ``ExecutionSettings``."""

    weights: str
    precision: Literal["float32", "bfloat16", "int8"]
    runtime: RuntimeName
    device: str


@dataclass(frozen=True, slots=True)
class SlideWork:
    """What a worker needs to know of a slide: paths and settings.

    Attributes
    ----------
    task : SlideTask
    slide_id : str
    out : Path
        Output folder of the run; absolute, and the same on every machine.
    measure : MeasureSettings
    rule : CallRule
    network : NetworkChoice
    asked : Asked
    action : Action
    """

    task: SlideTask
    slide_id: str
    out: Path
    measure: MeasureSettings
    rule: CallRule
    network: NetworkChoice
    asked: Asked
    action: Action

    @classmethod
    def of(cls, step: Step, out: Path, measure: MeasureSettings, rule: CallRule, chosen: NetworkChoice) -> "SlideWork":
        """Return the work of a step."""
        return cls(step.task, step.slide_id, out, measure, rule, chosen, step.asked, step.action)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it.

    Attributes
    ----------
    doing : Doing
    state : SlideState or None
        As kept; None where results cannot be written, which stops the run.
    why : str
        Why a slide was measured although results are there, where the plan could not say; empty otherwise.
    stop : str
        Why the run must stop; empty where it goes on.
    trace : str
        Of a fault of the program; may name paths.
    """

    doing: Doing
    state: SlideState | None
    why: str = ""
    stop: str = ""
    trace: str = ""


_threads = 1


def prepare_worker(chosen: NetworkChoice, threads: int) -> None:
    """Load the network, for slides of which ``threads`` tiles are worked on at once.

    Raises
    ------
    WeightsError, SettingsError
        Where it cannot run here.
    """
    global _threads
    _threads = threads
    cv2.setNumThreads(1)
    pa.set_cpu_count(threads)
    _loaded(chosen, threads)


@cache
def _loaded(chosen: NetworkChoice, threads: int) -> MapPredictor:
    return network.load_predictor(
        chosen.weights,
        runtime=chosen.runtime,
        device=chosen.device,
        workers=threads,
        precision=chosen.precision,
        cores=threads,
    )


def settle_slide(work: SlideWork) -> Settled:
    """Do what is missing of a slide and keep its state.

    Everything that concerns this slide alone comes back as a value. ``stop`` is filled where results cannot be written.
    Where another process writes the same results, as one that a cluster has given up may do, that is waited for.
    """
    for _ in range(BUSY_TRIES):
        try:
            return _settle(work)
        except ResultsBusy:
            time.sleep(BUSY_PAUSE_S)
            work = replace(work, action="check") if work.action == "measure" else work
    busy = Failed(work.slide_id, work.task.stain, "another command is writing its results; wait for it and run again")
    return Settled("failed", _kept(work.out, state_of(busy, work.out, work.asked, None)))


def _settle(work: SlideWork) -> Settled:
    """Do what is missing of a slide once; ``ResultsBusy`` where another process writes the same results."""
    started = time.perf_counter()
    before = file_stamp(work.task.path)
    doing: Doing
    why, trace, fault = "", "", False
    try:
        found = _without_measuring(work)
        if isinstance(found, tuple):
            doing, outcome = found
        else:
            why = found
            run = run_slide(work.task, work.out, _predictor(work), work.measure, work.rule, _threads)
            doing, outcome = "measured", run.outcome
            if run.error is not None:
                doing, outcome = "failed", _failure(work, run.error)
                fault = not isinstance(run.error, SlideError | MemoryError)
                trace = "".join(traceback.format_exception(run.error)) if fault else ""
        seconds = round(time.perf_counter() - started, 3)
        state = state_of(outcome, work.out, work.asked, before, seconds=seconds, fault=fault)
        write_state(work.out, state)
    except ResultsBusy:
        raise
    except OutputError as error:
        return Settled("failed", None, stop=str(error))
    except IhcQuantError as error:
        state = state_of(_failure(work, error), work.out, work.asked, before)
        return Settled("failed", _kept(work.out, state))
    return Settled(doing, state, why=why, trace=trace)


def _kept(out: Path, state: SlideState) -> SlideState | None:
    write_state(out, state)
    return state


def _predictor(work: SlideWork) -> MapPredictor:
    return _loaded(work.network, _threads)


def _failure(work: SlideWork, error: Exception) -> Failed:
    """Return the failure that an error means, without paths: it stands in shared files."""
    if isinstance(error, MemoryError):
        reason = TOO_LARGE
    elif isinstance(error, SlideError):
        reason = error.reason
    elif isinstance(error, IhcQuantError):
        reason = str(error).removesuffix(".")
    else:
        reason = f"the program failed ({type(error).__name__}); report it with the traceback in run.log"
    return Failed(work.slide_id, work.task.stain, for_a_list(without_paths(reason, work)))


def for_a_list(reason: str) -> str:
    """Return a reason whose cure is that of a slide in a manifest.

    Examples
    --------
    >>> for_a_list("the file states no µm per pixel; state it with --mpp, for example --mpp 0.25")
    "the file states no µm per pixel; state it in the manifest's column mpp"
    """
    return reason.replace("with --mpp, for example --mpp 0.25", "in the manifest's column mpp")


def without_paths(text: str, work: SlideWork) -> str:
    """Return a reason without the places of the files that it is about."""
    places = {work.task.path: "the slide", work.out: "the output"}
    if work.task.annotations is not None:
        places[work.task.annotations] = "the annotation file"
    for path, words in places.items():
        for name in (os.path.realpath(path), str(path), path.name):
            text = text.replace(name, words) if len(name) > 1 else text
    return text


def _without_measuring(work: SlideWork) -> tuple[Doing, SlideOutcome] | str:
    """Return what results that are there give, placed and called anew where need be, or why they do not serve."""
    if work.action == "measure":
        return ""
    folder = slide_folder(work.out, work.slide_id)
    try:
        outcome, measurement, _ = read_slide_json(folder)
        if work.action == "check" and not _is_of(measurement, work):
            return "the results there are of another slide or of other settings"
        redrawn = None if _placed_as_asked(measurement, work.asked) else Redrawn.of(work.task, measurement)
        if redrawn is None and called_as_asked(outcome, work.asked):
            return "found whole", outcome
        if redrawn is not None and (needed := why_slide_is_needed(folder, measurement, redrawn)):
            return needed
        return "rescored", rescore_slide(folder, lambda _: work.rule, work.task.propose_infiltrate, redrawn)
    except ResultsBusy:
        raise
    except OutputError:
        # Where it is the disk that fails, the measurement says so.
        return "the results there are damaged or of another version"


def _placed_as_asked(measurement: Measurement, asked: Asked) -> bool:
    """Return whether a slide was scored with the regions and fragments that are asked for."""
    made = {"annotations_sha256": measurement.annotations_sha256, "fragments": list(measurement.fragments)}
    return all(made[key] == value for key, value in asked.places.items())


def called_as_asked(outcome: SlideOutcome, asked: Asked) -> bool:
    """Return whether an outcome was called by the rule that is asked for, its infiltrate proposed or not as asked."""
    if isinstance(outcome, Failed):
        return False
    if not asked.calls:
        return True
    calls = outcome.provenance.settings.get("calls")
    return (
        isinstance(calls, dict)
        and calls.get("rule") == asked.calls["rule"]
        and (calls.get("proposed_infiltrate") is not None) == asked.calls["propose_infiltrate"]
    )


def _is_of(measurement: Measurement, work: SlideWork) -> bool:
    """Return whether a measurement is what is asked for, of the slide that lies there now."""
    stain = measurement.stain
    made = measurement.settings | {
        "marker": stain.marker,
        "chromogen": stain.chromogen,
    }
    # Which image of a file is the largest stands in its hash.
    asked = {key: value for key, value in work.asked.measurement.items() if (key, value) != ("series", None)}
    if stain != work.task.stain or any(key not in made or made[key] != value for key, value in asked.items()):
        return False
    if file_stamp(work.task.path) is None:
        # The slide was put away. Nothing contradicts the results.
        return True
    with open_slide(work.task.path, mpp=work.task.mpp, series=work.task.series) as reader:
        return reader.info.quick_hash == measurement.facts.quick_hash
