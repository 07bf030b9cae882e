"""A manifest of painted slides and runs over it in this process, for tests of runs."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ihc_quant.batch.manifest import read_manifest
from ihc_quant.batch.run import RunProgress, RunSettings, RunWatch, run_batch
from ihc_quant.batch.run_plan import Step, plan_run
from ihc_quant.batch.run_summary import RunRecord, SlideLine
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_worker import NetworkChoice
from ihc_quant.execution.executor import Executor
from ihc_quant.execution.in_process import InProcess
from ihc_quant.scoring.calls import CallRule

MEASURE = {"tile_px": 256}
REQUIRED = ("slide_id", "biopsy_id", "patient_id", "site", "marker", "chromogen", "slide")


class Watch(RunWatch):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def planned(self, words: str, notes: Sequence[str], total: int) -> None:
        self.lines.append(words)
        self.notes += notes

    def ended(self, line: SlideLine, progress: RunProgress, trace: str) -> None:
        assert progress.ended <= progress.total
        self.lines.append(f"{line.step.slide_id}: {line.doing}")


@dataclass
class Bench:
    """A manifest of slides and a run over it in this process."""

    folder: Path
    predictor: Any
    out: Path
    slides: dict[str, Path] = field(default_factory=dict)
    stains: dict[str, tuple[str, str]] = field(default_factory=dict)
    annotations: dict[str, Path] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    propose_infiltrate: bool = True
    measured: list[str] = field(default_factory=list)
    counted: Any = None

    def manifest(self) -> Path:
        path = self.folder / "manifest.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow((*REQUIRED, "fragments", "annotations"))
            for slide_id, slide in self.slides.items():
                stain = self.stains.get(slide_id, ("CCR4", "DAB"))
                limits = (self.fragments.get(slide_id, ""), self.annotations.get(slide_id, ""))
                writer.writerow((slide_id, "b1", "p1", "skin", *stain, slide, *limits))
        return path

    def plan(
        self, measure: MeasureSettings, rule: CallRule, *, force: bool = False, retry_failed: bool = False
    ) -> tuple[Step, ...]:
        rows = read_manifest(self.manifest(), need_files=False)
        card = self.predictor.card
        return plan_run(
            rows, self.out, measure, rule, card, force=force, retry_failed=retry_failed,
            propose_infiltrate=self.propose_infiltrate,
        )  # fmt: skip

    def run(
        self,
        executor: Executor | None = None,
        watch: RunWatch | None = None,
        rule: CallRule | None = None,
        force: bool = False,
        retry_failed: bool = False,
        **measure: Any,
    ) -> RunRecord:
        settings = MeasureSettings.model_validate(MEASURE | measure)
        used = rule or CallRule()
        return run_batch(
            lambda: self.plan(settings, used, force=force, retry_failed=retry_failed),
            self.manifest(),
            self.out,
            RunSettings(settings, used, NetworkChoice("default", "float32", "auto", "cpu"), {}),
            executor or InProcess(),
            watch,
        )

    def steps(self, rule: CallRule | None = None, **options: Any) -> dict[str, tuple[str, str]]:
        """Return what a further run would do, and why."""
        flags = {key: options.pop(key) for key in ("force", "retry_failed") if key in options}
        settings = MeasureSettings.model_validate(MEASURE | options)
        return {step.slide_id: (step.action, step.why) for step in self.plan(settings, rule or CallRule(), **flags)}


def files_in(folder: Path) -> dict[str, bytes]:
    """Return all results in a folder; times left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "slide.json":
                values = json.loads(data)
                values["timings_s"] = {}
                data = json.dumps(values).encode()
            found[path.relative_to(folder).as_posix()] = data
    return found


def words(bench: Bench) -> str:
    return (bench.out / "summary.md").read_text(encoding="utf-8")
