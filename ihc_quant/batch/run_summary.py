"""What a run tells while it goes on and when it has ended: ``summary.md`` for anybody, ``run.json`` with paths.

Pure text and values, but for the two small records at the top. Paths stand in ``run.json`` alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ihc_quant.batch.run_plan import Step
from ihc_quant.batch.run_state import SlideState
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.figures import one_line

RunPhase = Literal["running", "done", "interrupted", "stopped"]

STATES: tuple[str, ...] = ("scored", "shown", "no tissue", "failed", "running", "waiting")
"""States of a slide, in the order in which they are counted."""

SCHEMA = "ihc_quant/run/1"


@dataclass(slots=True)
class SlideLine:
    """Where one slide stands.

    Attributes
    ----------
    step : Step
    state : SlideState or None
        As far as it is settled.
    doing : str
        What this run did about it; empty so far.
    running : bool
    tries : int
        How often a worker was told to begin with it.
    """

    step: Step
    state: SlideState | None = None
    doing: str = ""
    running: bool = False
    tries: int = 0

    @property
    def word(self) -> str:
        """Its state, one of ``STATES``."""
        if self.state is None:
            return "running" if self.running else "waiting"
        return self.state.ending.replace("_", " ")


@dataclass(slots=True)
class RunRecord:
    """Where a run stands.

    Attributes
    ----------
    manifest : str
        Path, for ``run.json``.
    settings : mapping
        As JSON values.
    started : str
        Time in UTC.
    lines : dict of slide_id to SlideLine
        In the order of the manifest.
    phase : RunPhase
    stop : str
        Why the run was stopped; may name paths.
    """

    manifest: str
    settings: Mapping[str, Any]
    started: str
    lines: dict[str, SlideLine]
    phase: RunPhase = "running"
    stop: str = ""
    notes: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many slides are in each state; states without any are left out."""
        counted = Counter(line.word for line in self.lines.values())
        return {word: counted[word] for word in STATES if counted[word]}

    def failures(self) -> list[SlideState]:
        """Return the slides that failed."""
        return [line.state for line in self.lines.values() if line.state is not None and line.state.failed]


def run_json(record: RunRecord, now: str) -> dict[str, Any]:
    """Return the values of ``run.json``."""
    return {
        "schema": SCHEMA,
        "state": record.phase,
        "stopped_by": record.stop,
        "manifest": record.manifest,
        "started": record.started,
        "updated": now,
        "settings": dict(record.settings),
        "notes": list(record.notes),
        "counts": record.counts(),
        "slides": [_slide_json(slide_id, line) for slide_id, line in record.lines.items()],
    }


def _slide_json(slide_id: str, line: SlideLine) -> dict[str, Any]:
    state = line.state
    return {
        "slide_id": slide_id,
        "path": str(line.step.task.path).encode("utf-8", "replace").decode(),
        "state": line.word,
        "plan": line.step.action,
        "why": line.step.why,
        "did": line.doing,
        "tries": line.tries,
        "cells": state.cells if state else None,
        "positive": state.positive if state else None,
        "seconds": state.seconds if state else None,
        "reason": state.reason if state else "",
    }


PHASES: Mapping[RunPhase, str] = {
    "running": "The run goes on; this page follows it.",
    "done": "The run has ended.",
    "interrupted": "The run was interrupted; the same command goes on with it.",
    "stopped": "The run was stopped because results could not be written; the same command goes on with it.",
}


def summary_text(record: RunRecord, now: str) -> str:
    """Return ``summary.md``: counts, failures with reason and cure, then every slide."""
    counts = ", ".join(f"{number} {word}" for word, number in record.counts().items())
    parts = [
        "# Summary of the run",
        "",
        f"{PHASES[record.phase]} Last change: {now}.",
        "",
        f"{len(record.lines)} slides: {counts}.",
    ]
    if failures := record.failures():
        parts += ["", "## Not scored", "", *_table(("slide", "reason", "cure"), map(_failure_cells, failures))]
    header = ("slide", "marker", "state", "cells", "positive", "seconds")
    parts += ["", "## All slides", "", *_table(header, map(_line_cells, record.lines.values())), "", RESEARCH_USE_ONLY]
    return "\n".join(parts) + "\n"


def _failure_cells(state: SlideState) -> tuple[str, ...]:
    return (state.slide_id, *reason_and_cure(state.reason))


def _line_cells(line: SlideLine) -> tuple[str, ...]:
    state = line.state
    if state is None or state.cells is None or state.positive is None:
        cells = positive = ""
    else:
        cells = str(state.cells)
        positive = f"{state.positive}{f' ({state.positive / state.cells:.1%})' if state.cells else ''}"
    seconds = f"{state.seconds:.1f}" if state is not None and not state.failed else ""
    return line.step.slide_id, line.step.task.stain.marker, line.word, cells, positive, seconds


def reason_and_cure(reason: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it.

    Examples
    --------
    >>> reason_and_cure("the file is empty; copy it anew from its source")
    ('the file is empty', 'copy it anew from its source')
    """
    what, _, cure = reason.partition("; ")
    return what, cure


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(_cell(text) for text in row)} |" for row in rows),
    ]


def _cell(text: str) -> str:
    """Return text for a cell of a Markdown table, in one line and without a meaning of its own."""
    return "".join(f"\\{character}" if character in "\\|`*<>[]" else character for character in one_line(text))


def ended_line(line: SlideLine) -> str:
    """Return in one line what became of a slide."""
    state = line.state
    if state is None:
        return f"{line.step.slide_id}: {line.word}"
    marker = line.step.task.stain.marker
    if state.failed:
        return f"{state.slide_id} {marker}: not scored: {state.reason}"
    figures = ""
    if state.cells is not None and state.positive is not None:
        share = f" ({state.positive / state.cells:.1%})" if state.cells else ""
        figures = f", {state.positive} of {state.cells} cells positive{share}"
    return f"{state.slide_id} {marker}: {line.word}{figures}; {line.doing} in {state.seconds:.1f} s"


def time_in_words(seconds: float) -> str:
    """Return a duration as people say it.

    Examples
    --------
    >>> time_in_words(45), time_in_words(200), time_in_words(11100)
    ('45 s', '3 min', '3 h 5 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
