"""Regions that people draw after a slide was scored: applied to what is kept, with the bytes of a new measurement."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.pixel_store import load_fragments
from ihc_quant.batch.redrawn import Redrawn, why_slide_is_needed
from ihc_quant.batch.region_export import export_regions
from ihc_quant.batch.rescoring import rescore_slide
from ihc_quant.batch.run import StoredOutcomes
from ihc_quant.batch.run_state import STATES_FOLDER
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.stain import SectionStain
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid
from tests.batch.bench import Bench, Watch, files_in

CCR4 = SectionStain("CCR4", "DAB", chromogen_assumed=False)
REDRAWN = ("rescore", "annotations changed: scores made anew, no slide needed")

Boxes = dict[str, tuple[float, float, float, float]]

FIRST: Boxes = {"Analyse": (60, 110, 200, 300)}
"""A small part of the left piece of tissue."""
SECOND: Boxes = {"Dermis": (0, 180, 1350, 500), "Ignore*": (200, 250, 300, 350), "Infiltrate": (1050, 150, 1200, 300)}
CONTROL: Boxes = {"Control tissue": (600, 0, 1350, 500), "Epidermis": (0, 0, 600, 220)}


def geojson(path: Path, boxes: Boxes) -> Path:
    """Write boxes in level-0 pixels by the names of their classes, as QuPath exports them."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[a, b], [c, b], [c, d], [a, d], [a, b]]]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for name, (a, b, c, d) in boxes.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture(scope="module")
def glass(tiny_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a glass with two pieces of tissue, 325 µm apart, a stroke of ink across the left one."""
    image = cv2.imread(str(tiny_slide))
    assert image is not None
    piece: NDArray[np.uint8] = image[150:450, 200:500, ::-1].astype(np.uint8)
    rgb = np.full((500, 1350, 3), 244, np.uint8)
    rgb[100:400, 50:350] = rgb[100:400, 1000:1300] = piece
    rgb[300:400, 120:230] = (20, 40, 150)
    path = tmp_path_factory.mktemp("glass") / "accession-4713.tif"
    write_pyramid(path, rgb, 0.5, quality=95, levels=2)
    return path


Measure = Callable[..., Path]


@pytest.fixture
def measure(painted_predictor: Any, tmp_path: Path) -> Measure:
    """Return a function that measures a task afresh: ``measure(task, "name of the output", quality="exclude")``."""

    def measured(task: SlideTask, out: str, quality: str = "exclude") -> Path:
        settings = MeasureSettings.model_validate({"tile_px": 256, "quality": quality})
        run = run_slide(task, tmp_path / out, painted_predictor, settings, CallRule(), 1)
        assert run.folder is not None, run.error
        return run.folder

    return measured


def test_regions_drawn_later_give_the_bytes_of_a_new_measurement_without_the_slide(
    glass: Path, measure: Measure, tmp_path: Path
) -> None:
    slide = Path(shutil.copy(glass, tmp_path / "accession-4713.tif"))

    def task(drawn: Path | None, fragments: tuple[int, ...] = ()) -> SlideTask:
        return SlideTask(slide, CCR4, "s1", annotations=drawn, fragments=fragments)

    drawings = [geojson(tmp_path / f"{n}.geojson", boxes) for n, boxes in enumerate((FIRST, SECOND, CONTROL))]
    tasks = [task(drawings[0]), *(task(drawn) for drawn in drawings[1:]), task(drawings[1], (1, 2)), task(None)]
    anew = [files_in(measure(each, f"anew {number}")) for number, each in enumerate(tasks)]
    assert len({files["slide.json"] for files in anew}) == len(tasks)
    assert len({files["gallery.png"] for files in anew[:3]}) == 3
    folder = measure(tasks[-1], "kept")
    slide.unlink()
    for now, expected in zip(tasks, anew, strict=True):
        measurement = read_slide_json(folder)[1]
        redrawn = Redrawn.of(now, measurement)
        assert not why_slide_is_needed(folder, measurement, redrawn)
        outcome = rescore_slide(folder, lambda _: CallRule(), redrawn=redrawn)
        assert isinstance(outcome, Scored)
        found = files_in(folder)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.parametrize(
    ("before", "now", "needed"),
    [
        (((), None), ((1,), None), "fragments measured: 1, 2; asked for: 1"),
        (((1,), None), ((), None), "fragments measured: 1; asked for: 1, 2"),
        (((1,), None), ((1,), CONTROL), "fragments measured: 1; asked for: 1, 2"),
        (((1,), None), ((1,), FIRST), ""),
        (((), None), ((1,), CONTROL), ""),
        (((1,), None), ((1, 7), None), "fragments measured: 1; asked for: 1, 7"),
    ],
)
def test_the_slide_is_needed_where_other_fragments_are_to_be_read(
    glass: Path,
    measure: Measure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[tuple[int, ...], Boxes | None],
    now: tuple[tuple[int, ...], Boxes | None],
    needed: str,
) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)

    def task(limits: tuple[tuple[int, ...], Boxes | None], name: str) -> SlideTask:
        drawn = None if limits[1] is None else geojson(tmp_path / f"{name}.geojson", limits[1])
        return SlideTask(glass, CCR4, "s1", annotations=drawn, fragments=limits[0])

    folder = measure(task(before, "before"), "out", quality="off")
    measurement = read_slide_json(folder)[1]
    assert load_fragments(folder, measurement.overview_grid).fragment_count == 2
    redrawn = Redrawn.of(task(now, "now"), measurement)
    assert why_slide_is_needed(folder, measurement, redrawn) == needed


DRAWN: Boxes = {"Dermis": (60, 60, 150, 200)}


def test_a_run_says_that_it_needs_no_slide_and_needs_none(bench: Bench, tmp_path: Path) -> None:
    bench.stains["s2"], bench.fragments["s2"] = ("H&E", "none"), "1"
    bench.run()
    first = files_in(bench.out / "slides")
    bench.annotations = {name: geojson(tmp_path / f"{name}.geojson", DRAWN) for name in bench.slides}
    bench.out = tmp_path / "anew"
    bench.run()
    anew = files_in(bench.out / "slides")
    assert anew["s1/slide.json"] != first["s1/slide.json"]
    bench.out = tmp_path / "out"
    bench.measured.clear()
    for slide in bench.slides.values():
        slide.unlink()
    assert set(bench.steps().values()) == {REDRAWN}
    assert bench.steps(CallRule(p_threshold=0.9))["s1"] == (
        "rescore",
        "annotations, threshold changed: scores made anew, no slide needed",
    )
    watch = Watch()
    bench.run(watch=watch)
    assert watch.lines == ["2 slides; score again from the cell table: 2", "s1: rescored", "s2: rescored"]
    assert files_in(bench.out / "slides") == anew
    assert {action for action, _ in bench.steps().values()} == {"keep"}
    bench.annotations = {}
    shutil.rmtree(bench.out / STATES_FOLDER)
    assert {action for action, _ in bench.steps().values()} == {"check"}, "also where nothing is known of the results"
    bench.run()
    assert files_in(bench.out / "slides") == first
    assert bench.measured == []


def test_a_drawing_that_cannot_be_used_fails_its_slide_until_it_is_mended(bench: Bench, tmp_path: Path) -> None:
    bench.slides.pop("s2")
    bench.run()
    drawn = tmp_path / "accession-12.geojson"
    drawn.write_text("{")
    bench.annotations["s1"] = drawn
    assert bench.steps()["s1"] == REDRAWN
    (failed,) = bench.run().failures()
    assert failed.reason.startswith("the annotations cannot be used: ")
    assert "accession" not in failed.reason
    assert bench.steps()["s1"] == ("keep", "failed before: use --retry-failed")
    geojson(drawn, DRAWN)
    assert bench.steps()["s1"] == ("check", "failed before; settings changed: annotations")
    outcome = StoredOutcomes(bench.run(), bench.out)["s1"]
    assert isinstance(outcome, Scored)
    assert outcome.annotations is not None
    assert bench.measured == ["s1"]


def test_an_earlier_export_goes_and_corrections_stay(bench: Bench, tmp_path: Path) -> None:
    bench.slides.pop("s2")
    bench.annotations["s1"] = geojson(tmp_path / "a.geojson", DRAWN)
    bench.run()
    folder = bench.out / "slides" / "s1"
    exported = export_regions(folder)
    assert exported is not None
    bench.annotations["s1"] = geojson(tmp_path / "b.geojson", {"Epidermis": (60, 60, 150, 200)})
    bench.run()
    assert not exported.exists()
    assert export_regions(folder) == exported
    exported.write_text(exported.read_text().replace("Epidermis", "Tumour"))
    # Against the advice, the corrected file is named where it lies.
    bench.annotations["s1"] = exported
    outcome = StoredOutcomes(bench.run(), bench.out)["s1"]
    assert isinstance(outcome, Scored)
    assert [part.region.kind for part in outcome.compartments][:1] == ["tumour"]
    assert exported.exists()
    assert bench.measured == ["s1"]


def test_an_export_that_is_named_where_it_lies_stays(bench: Bench, tmp_path: Path) -> None:
    bench.slides.pop("s2")
    bench.annotations["s1"] = geojson(tmp_path / "a.geojson", DRAWN)
    bench.run()
    exported = export_regions(bench.out / "slides" / "s1")
    assert exported is not None
    bench.annotations["s1"] = exported
    assert bench.steps()["s1"] == REDRAWN
    for _ in range(2):
        assert bench.run().failures() == []
        assert exported.exists()
    assert bench.steps()["s1"][0] == "keep"
    assert bench.measured == ["s1"]


def test_a_run_measures_again_where_other_fragments_are_asked_for_and_says_why(bench: Bench, glass: Path) -> None:
    bench.slides = {"s1": glass}
    bench.run()
    bench.fragments["s1"] = "1;2"
    assert bench.steps()["s1"] == ("rescore", "fragments changed: scores made anew, no slide needed")
    bench.fragments["s1"] = "1"
    why = "fragments measured: 1, 2; asked for: 1"
    assert bench.steps()["s1"] == ("measure", f"fragments changed: {why}")
    shutil.rmtree(bench.out / STATES_FOLDER)
    bench.run()
    assert bench.measured == ["s1", "s1"]
    assert f"s1: measured: {why}" in (bench.out / "run.log").read_text()
