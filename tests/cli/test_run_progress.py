"""A run on a terminal: a bar over all, what is running, one line a slide that has ended."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ihc_quant.batch.run import RunProgress
from ihc_quant.batch.run_plan import Step
from ihc_quant.batch.run_state import Asked, SlideState
from ihc_quant.batch.run_summary import SlideLine
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.cli import console, run_progress
from ihc_quant.domain.stain import SectionStain

ASKED = Asked(measurement={}, places={}, calls={})
TASK = SlideTask(Path("a.svs"), SectionStain("CCR4", "DAB", chromogen_assumed=False), "s1")
STEP = Step(TASK, "s1", ASKED, "measure", "new", None, None)
SCORED = SlideState(slide_id="s1", ending="scored", asked=ASKED, slide=None, cells=200, positive=50, seconds=12.0)


def test_terminal_shows_what_runs_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False, color_system=None)
    for module in (console, run_progress):
        monkeypatch.setattr(module, "errors", screen)
    with run_progress.run_progress() as watch:
        assert isinstance(watch, run_progress.ShownRun)
        watch.planned("2 slides; measure: 2", [], 2)
        line = SlideLine(STEP, running=True)
        watch.started(line)
        assert "s1: running" in shown(watch)
        assert "0/2 slides" in shown(watch)
        line.state, line.doing, line.running = SCORED, "measured", False
        watch.ended(line, RunProgress(1, 2, 12.0), "")
        assert "s1: running" not in shown(watch)
        assert "1/2 slides" in shown(watch)
        assert "12 s left" in shown(watch)
    assert isinstance(screen.file, io.StringIO)
    assert "[1/2, 12 s left] s1 CCR4: scored, 50 of 200 cells positive (25.0%); measured in 12.0 s" in (
        screen.file.getvalue()
    )


def shown(watch: run_progress.ShownRun) -> str:
    paper = Console(file=io.StringIO(), width=120, color_system=None)
    paper.print(watch)
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue()
