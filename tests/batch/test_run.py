"""Runs over a manifest: what is done, what is left, why; whatever becomes of single slides."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from ihc_quant.batch import slide_worker
from ihc_quant.batch.manifest import read_manifest
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.outputs import whole_folder
from ihc_quant.batch.run import RunProgress, RunSettings, RunWatch, StoredOutcomes, run_batch
from ihc_quant.batch.run_plan import Step, plan_run
from ihc_quant.batch.run_state import STATES_FOLDER, read_state
from ihc_quant.batch.run_summary import RunRecord, SlideLine
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_worker import NetworkChoice
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.errors import OutputError
from ihc_quant.execution.executor import Ended, Executor, Job, Lost, Prepare, Task, ignore_start
from ihc_quant.execution.in_process import InProcess
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid
from ihc_quant.tissue.mask import find_tissue

MEASURE = {"tile_px": 256}


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
    propose_infiltrate: bool = True
    measured: list[str] = field(default_factory=list)
    counted: Any = None

    def manifest(self) -> Path:
        path = self.folder / "manifest.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("slide_id", "biopsy_id", "patient_id", "site", "marker", "chromogen", "slide"))
            for slide_id, slide in self.slides.items():
                stain = self.stains.get(slide_id, ("CCR4", "DAB"))
                writer.writerow((slide_id, "b1", "p1", "skin", *stain, slide))
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


@pytest.fixture(scope="module")
def small_slide(tiny_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a slide of one tile with some 30 painted nuclei."""
    path = tmp_path_factory.mktemp("small") / "small.tif"
    write_pyramid(path, tifffile.imread(tiny_slide, key=0)[40:280, 40:280], 0.5, quality=95, levels=1)
    return path


@pytest.fixture
def bench(painted_predictor: Any, small_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a manifest of two good slides; ``measured`` names each slide whose pixels were measured."""
    monkeypatch.setattr("ihc_quant.network.predictor.load_predictor", lambda *_args, **_options: painted_predictor)
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None, raising=False)
    slide_worker._loaded.cache_clear()
    here = Bench(tmp_path, painted_predictor, tmp_path / "out")
    for name in ("s1", "s2"):
        here.slides[name] = tmp_path / f"accession {name} µ.tif"
        shutil.copy(small_slide, here.slides[name])
    real = run_slide

    def counted(task: Any, *rest: Any) -> Any:
        here.measured.append(str(task.slide_id))
        return real(task, *rest)

    here.counted = counted
    monkeypatch.setattr(slide_worker, "run_slide", counted)
    return here


def files_in(folder: Path) -> dict[str, bytes]:
    """Return all results; times left out."""
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


def test_run_is_done_and_done_again_does_nothing(bench: Bench) -> None:
    watch = Watch()
    record = bench.run(watch=watch)
    assert record.counts() == {"scored": 2}
    assert watch.lines == ["2 slides; measure: 2", "s1: measured", "s2: measured"]
    before = files_in(bench.out / "slides")
    assert bench.steps() == dict.fromkeys(("s1", "s2"), ("keep", "done already"))
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 2}
    assert watch.lines == ["2 slides; done already: 2"]
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before
    assert "2 slides: 2 scored." in words(bench)


def test_results_are_those_of_one_slide_alone(bench: Bench, score: Callable[..., Any], tmp_path: Path) -> None:
    bench.propose_infiltrate = False  # `score` proposes none unasked
    bench.run()
    for name, path in bench.slides.items():
        alone = score(path, tmp_path / "alone", slide_id=name)
        assert files_in(alone.folder) == files_in(bench.out / "slides" / name)


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


def test_new_threshold_needs_no_slide(bench: Bench) -> None:
    first = StoredOutcomes(bench.run(), bench.out)["s1"]
    assert isinstance(first, Scored)
    bench.slides["s1"].unlink()
    rule = CallRule(p_threshold=0.9, cuts_od=(0.1, 0.3, 0.5))
    assert bench.steps(rule)["s1"] == ("rescore", "settings changed: cuts, threshold")
    second = StoredOutcomes(bench.run(rule=rule), bench.out)["s1"]
    assert isinstance(second, Scored)
    assert second.score.counts != first.score.counts
    assert bench.measured == ["s1", "s2"]
    assert bench.steps(rule)["s1"] == ("keep", "done already; the slide is no longer there")
    bench.run()
    assert StoredOutcomes(bench.run(), bench.out)["s1"] == first


def test_without_a_proposed_infiltrate_scores_are_made_anew_without_slides(bench: Bench) -> None:
    def proposed() -> bool:
        outcome, measurement, _ = read_slide_json(bench.out / "slides" / "s1")
        assert isinstance(outcome, Scored)
        stated = outcome.provenance.settings["calls"]
        assert isinstance(stated, dict)
        assert (stated["proposed_infiltrate"] is not None) == measurement.propose_infiltrate
        return measurement.propose_infiltrate

    bench.run()
    before = files_in(bench.out / "slides")
    assert proposed()
    bench.propose_infiltrate = False
    for slide in bench.slides.values():
        slide.unlink()
    assert bench.steps()["s1"] == ("rescore", "settings changed: proposed infiltrate")
    bench.run()
    assert not proposed()
    assert bench.steps()["s1"] == ("keep", "done already; the slide is no longer there")
    bench.propose_infiltrate = True
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


def test_results_are_kept_where_slides_and_states_are_gone(bench: Bench) -> None:
    bench.stains["s2"] = ("H&E", "none")
    bench.run()
    before = files_in(bench.out / "slides")
    for slide in bench.slides.values():
        slide.unlink()
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 1, "shown": 1}
    kept = "2 slides are not where the manifest says; results of the same settings are kept without: s1, s2"
    assert watch.notes == [kept]
    shutil.rmtree(bench.out / STATES_FOLDER)
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 1, "shown": 1}
    assert watch.lines[1:] == ["s1: found whole", "s2: found whole"]
    assert watch.notes == [kept]
    assert files_in(bench.out / "slides") == before


def test_earlier_settings_find_their_results_although_the_slide_is_gone(bench: Bench) -> None:
    bench.run()
    bench.slides["s1"].unlink()
    record = bench.run(tile_px=512)
    assert [state.slide_id for state in record.failures()] == ["s1"], "other settings need the slide"
    assert bench.steps()["s1"] == ("check", "failed before; settings changed: tile")
    record = bench.run()
    assert record.lines["s1"].doing == "found whole"
    assert record.counts() == {"scored": 2}


def test_a_section_that_is_only_shown_does_not_follow_settings_of_scores(bench: Bench) -> None:
    bench.stains["s1"] = ("H&E", "none")
    bench.run()
    bench.propose_infiltrate = False
    assert bench.steps(CallRule(p_threshold=0.9), tile_px=512)["s1"] == ("keep", "done already")


def test_other_measurement_is_measured(bench: Bench) -> None:
    bench.run()
    assert bench.steps(tile_px=512)["s1"] == ("measure", "settings changed: tile")
    bench.run(tile_px=512)
    assert bench.measured == ["s1", "s2"] * 2
    assert bench.steps(tile_px=512, force=True)["s1"] == ("measure", "--force")


def test_other_slide_in_the_same_place_is_measured(bench: Bench) -> None:
    bench.run()
    white = np.full((300, 300, 3), 244, np.uint8)
    write_pyramid(bench.slides["s1"], white, 0.5)
    assert bench.steps()["s1"] == ("check", "the slide's file was written or moved since")
    assert bench.run().counts() == {"scored": 1, "no tissue": 1}
    assert bench.measured == ["s1", "s2", "s1"]


def test_same_slide_copied_elsewhere_is_not_measured(bench: Bench) -> None:
    bench.run()
    moved = bench.folder / "elsewhere.tif"
    shutil.copy(bench.slides["s1"], moved)
    bench.slides["s1"] = moved
    watch = Watch()
    bench.run(watch=watch)
    assert watch.lines[1:] == ["s1: found whole"]
    assert bench.measured == ["s1", "s2"]
    assert bench.steps()["s1"] == ("keep", "done already")


@pytest.mark.parametrize("damage", ["no states", "half a state", "another state"])
def test_results_are_found_without_their_states(bench: Bench, damage: str) -> None:
    bench.run()
    before = files_in(bench.out / "slides")
    state = bench.out / STATES_FOLDER / "s1.json"
    match damage:
        case "no states":
            shutil.rmtree(bench.out / STATES_FOLDER)
        case "half a state":
            state.write_bytes(state.read_bytes()[:50])
        case "another state":
            shutil.copy(bench.out / STATES_FOLDER / "s2.json", state)
    assert bench.steps()["s1"] == ("check", "results of unknown settings are there")
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


def test_results_that_are_gone_or_damaged_are_made_again(bench: Bench) -> None:
    bench.run()
    before = files_in(bench.out / "slides")
    shutil.rmtree(bench.out / "slides" / "s1")
    (bench.out / "slides" / "s2" / "slide.json").write_text("{")
    assert [action for action, _ in bench.steps().values()] == ["measure", "check"]
    bench.run()
    assert files_in(bench.out / "slides") == before


def test_results_of_another_command_are_called_anew(bench: Bench) -> None:
    from ihc_quant.batch.rescoring import rescore_slide

    bench.run()
    before = files_in(bench.out / "slides")
    rescore_slide(bench.out / "slides" / "s1", lambda _: CallRule(mode="od"))
    assert bench.steps()["s1"] == ("check", "its results were changed by another command")
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


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


def test_run_json_names_paths_and_reasons(bench: Bench) -> None:
    bench.run()
    values = json.loads((bench.out / "run.json").read_text(encoding="utf-8"))
    assert values["state"] == "done"
    assert values["counts"] == {"scored": 2}
    assert values["slides"][0]["path"] == str(bench.slides["s1"])
    assert (values["slides"][0]["why"], values["slides"][0]["did"]) == ("new", "measured")
    assert not list(bench.out.rglob("*.partial"))


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
