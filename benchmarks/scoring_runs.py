"""``score`` as a user runs it (a process of its own), and the same in this process without the start-up."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.stain import SectionStain
from ihc_quant.network.precision import settled_precision
from ihc_quant.network.predictor import MapPredictor, RuntimeName, load_predictor
from ihc_quant.scoring.calls import CallRule

PROGRAM = Path(sys.executable).with_name("ihc-quant")
"""The installed program of this environment."""

SLIDE_ID = "bench"
POLL_S = 0.02

SWITCHES = frozenset({"PYTHONDONTWRITEBYTECODE"})
"""Not passed on to the program: with it, and without compiled files from the installation, every start would compile a
thousand modules, which a user's second start does not."""


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """One run of the program.

    Attributes
    ----------
    seconds : float
        From starting the process to its end.
    cpu_seconds : float
        Processor time of all its threads.
    peak_bytes : int or None
        Greatest resident memory of the process; None where the system does not tell (it is read from /proc).
    counts : CellCounts
        With the analysed tissue area.
    timings_s : dict of str to float
        As ``slide.json`` states them.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    counts: CellCounts
    timings_s: dict[str, float]


def usual_predictor(weights: str, runtime: RuntimeName = "auto", workers: int = 2) -> MapPredictor:
    """Return the network as ``score`` runs it unasked on a CPU: in integers where the weights were taught so."""
    precision = settled_precision("auto", weights, runtime=runtime, device="cpu")
    return load_predictor(weights, runtime=runtime, device="cpu", workers=workers, precision=precision)


def run_program(slide: Path, out: Path, marker: str, *options: str) -> ScoreRun:
    """Run ``ihc-quant score`` and watch its memory.

    Raises
    ------
    RuntimeError
        Where it fails; the text is what it wrote on stderr.
    """
    command = [str(PROGRAM), "score", str(slide), "--marker", marker, "-o", str(out), "--slide-id", SLIDE_ID, *options]
    out.mkdir(parents=True, exist_ok=True)
    log = out / "stderr.txt"
    surroundings = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    started, busy = time.perf_counter(), _child_seconds()
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=surroundings) as process,
    ):
        peak: int | None = None
        while process.poll() is None:
            peak = _peak_bytes(process.pid) or peak
            time.sleep(POLL_S)
        seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {log.read_text(errors='replace')}")
    outcome, _, timings = read_slide_json(out / "slides" / SLIDE_ID)
    return ScoreRun(seconds, _child_seconds() - busy, peak, _counts(outcome), timings)


def run_here(slide: Path, out: Path, predictor: MapPredictor, workers: int, marker: str = "other") -> CellCounts:
    """Score a slide in this process at the program's own settings."""
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    task = SlideTask(slide, stain, slide_id=SLIDE_ID, propose_infiltrate=False)  # as `score` does unasked
    rule = CallRule(p_threshold=predictor.card.thresholds.positive)
    run = run_slide(task, out, predictor, MeasureSettings(), rule, workers)
    if run.error is not None:
        raise run.error
    return _counts(run.outcome)


def positive_percent(counts: CellCounts) -> float | None:
    """Return positive cells in per cent of all cells; None where there are none."""
    return 100 * counts.positive / counts.total if counts.total else None


def _counts(outcome: Any) -> CellCounts:
    if not isinstance(outcome, Scored):
        raise TypeError(f"a slide of tissue was not scored: {json.dumps(str(outcome))}")
    return outcome.score.counts


def _child_seconds() -> float:
    """Return the processor time of all processes that this one started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _peak_bytes(pid: int) -> int | None:
    """Return the high-water mark of a process's resident memory.

    The rusage of a child would do but for one thing: it starts from the parent's own peak, which lives on over exec.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
