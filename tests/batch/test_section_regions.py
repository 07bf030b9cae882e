"""Regions, fragments and sections without chromogen, from the file that a person drew to the results on disk."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ihc_quant.batch.block_store import read_blocks
from ihc_quant.batch.exporting import export_geojson
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.page_store import load_density, load_pictures
from ihc_quant.batch.region_export import export_regions
from ihc_quant.batch.region_store import KeptRegions, load_regions, read_annotations, save_regions
from ihc_quant.batch.rescoring import rescore_slide
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import SlideRun, run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.geometry import Box, Point
from ihc_quant.domain.outcome import Failed, LeftOut, NoTissue, Scored, Shown
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import OutputError, SlideError
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide import opening
from ihc_quant.slide.writing import write_pyramid

CCR4 = SectionStain("CCR4", "DAB", chromogen_assumed=False)
HE = SectionStain("H&E", "none", chromogen_assumed=False)

Boxes = dict[str, tuple[float, float, float, float]]
Run = Callable[..., SlideRun]


def geojson(path: Path, boxes: Boxes, extra: tuple[Any, ...] = ()) -> Path:
    """Write boxes in level-0 pixels by the names of their classes, as QuPath exports them."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[a, b], [c, b], [c, d], [a, d], [a, b]]]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for name, (a, b, c, d) in boxes.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, *extra]}))
    return path


@pytest.fixture(scope="session")
def glass(tiny_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a glass with two pieces of tissue of 300 × 300 px of 0.5 µm, from (50, 100) and from (1000, 100)."""
    image = cv2.imread(str(tiny_slide))
    assert image is not None
    piece = image[150:450, 200:500, ::-1].astype(np.uint8)
    rgb = np.full((500, 1350, 3), 244, np.uint8)
    rgb[100:400, 50:350] = rgb[100:400, 1000:1300] = piece
    path = tmp_path_factory.mktemp("glass") / "accession-4712.tif"
    write_pyramid(path, rgb, 0.5, quality=95, levels=2)
    return path


@pytest.fixture
def run(painted_predictor: Any, tmp_path: Path) -> Run:
    """Return a function that scores a glass: ``run(path, annotations=…, fragments=…)``."""

    def ran(path: Path, *, stain: SectionStain = CCR4, **task: Any) -> SlideRun:
        done = SlideTask(path, stain, task.pop("slide_id", "s1"), **task)
        measure = MeasureSettings(tile_px=256)
        return run_slide(done, tmp_path / "out", painted_predictor, measure, CallRule(), 1)

    return ran


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)


def scored(run: SlideRun) -> Scored:
    assert isinstance(run.outcome, Scored), run.error
    return run.outcome


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


DRAWN: Boxes = {
    "Epidermis": (0, 0, 600, 220),
    "Dermis": (0, 180, 600, 500),
    "Ignore*": (200, 250, 300, 350),
    "Control tissue": (600, 0, 1350, 500),
}


def test_drawn_regions_reach_the_results_and_rescore_needs_neither_slide_nor_file(
    glass: Path, run: Run, tmp_path: Path
) -> None:
    slide = Path(shutil.copy(glass, tmp_path / "accession-4712.tif"))
    drawn = geojson(tmp_path / "accession-4712.geojson", DRAWN)
    done = run(slide, annotations=drawn)
    outcome, folder = scored(done), done.folder
    assert folder is not None
    assert [part.region.kind for part in outcome.compartments][:2] == ["epidermis", "dermis"]
    assert outcome.control is not None
    assert {one.cause for one in outcome.left_out} == {"drawn exclusion", "control tissue"}
    assert outcome.annotations is not None
    assert outcome.annotations.regions == 4
    assert outcome.annotations.excluded == ("Ignore*",)
    assert outcome.sensitivity is not None
    assert outcome.sensitivity.chosen.counts == outcome.score.counts
    assert outcome.hot_spot is not None
    assert read_slide_json(folder)[0] == outcome
    before = contents(folder)
    for data in before.values():
        assert b"accession" not in data
    slide.unlink()
    drawn.unlink()
    rescore_slide(folder, lambda _: CallRule(p_threshold=0.9))
    assert contents(folder)["slide.json"] != before["slide.json"]
    assert rescore_slide(folder, lambda _: CallRule()) == outcome
    assert contents(folder) == before


@pytest.mark.usefixtures("without_pictures")
def test_kept_tables_are_of_what_was_analysed(glass: Path, run: Run, tmp_path: Path) -> None:
    done = run(glass, annotations=geojson(tmp_path / "a.geojson", DRAWN))
    outcome, folder = scored(done), done.folder
    assert folder is not None
    blocks = read_blocks(folder)
    assert [each.total().positive for each in blocks] == [part.score.counts.positive for part in outcome.parts]
    for part, each in zip(outcome.parts, blocks, strict=True):
        assert each.total().area_um2 == pytest.approx(part.score.counts.area_um2)
    density = load_density(folder)
    assert density is not None
    assert density.analysed.sum() * density.pixel_um**2 == pytest.approx(outcome.score.counts.area_um2)
    histogram = load_pictures(folder).od_histogram
    assert histogram is not None
    assert sum(histogram.positive) == outcome.score.counts.positive
    (folder / "blocks.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutputError, match="score the slide again"):
        read_blocks(folder)


@pytest.mark.usefixtures("without_pictures")
def test_regions_are_counted_from_the_corner_of_the_slides_bounds(
    glass: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = scored(run(glass, annotations=geojson(tmp_path / "a.geojson", DRAWN)))
    moved = {name: (a - 60, b - 35, c - 60, d - 35) for name, (a, b, c, d) in DRAWN.items()}
    opened = opening.open_slide

    class Bounded:
        def __init__(self, reader: Any) -> None:
            self._reader, self.info = reader, replace(reader.info, bounds_l0=Box(60, 35, 1350, 500))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._reader, name)

    @contextmanager
    def with_bounds(*arguments: Any, **options: Any) -> Iterator[Any]:
        with opened(*arguments, **options) as reader:
            yield Bounded(reader)

    monkeypatch.setattr("ihc_quant.batch.slide_job.open_slide", with_bounds)
    bounded = scored(run(glass, annotations=geojson(tmp_path / "b.geojson", moved)))
    assert [part.score for part in bounded.parts] == [part.score for part in plain.parts]
    assert bounded.left_out == plain.left_out
    assert scored(run(glass, annotations=geojson(tmp_path / "c.geojson", DRAWN))).left_out != plain.left_out


def test_named_fragments_are_the_section_and_others_are_left_out(glass: Path, run: Run) -> None:
    whole = scored(run(glass, slide_id="both"))
    done = run(glass, fragments=(2,))
    outcome, folder = scored(done), done.folder
    assert folder is not None
    assert [number for number, _ in whole.fragments] == [1, 2]
    assert outcome.fragments == (whole.fragments[1],)
    assert outcome.score.counts == whole.fragments[1][1]
    assert outcome.left_out == (LeftOut("fragments that are not named", whole.fragments[0][1].area_um2),)
    assert "of 2 tissue fragments" in outcome.notes[0].lower()
    before = contents(folder)
    rescore_slide(folder, lambda _: CallRule())
    assert contents(folder) == before


@pytest.mark.usefixtures("without_pictures")
def test_control_tissue_on_a_fragment_that_is_not_named_is_read_and_scored(
    glass: Path, run: Run, tmp_path: Path
) -> None:
    drawn = geojson(tmp_path / "a.geojson", {"Control": (600, 0, 1350, 500)})
    outcome = scored(run(glass, fragments=(1,), annotations=drawn))
    assert outcome.control is not None
    assert outcome.control.counts.total > 20
    assert outcome.score.counts == outcome.fragments[0][1]
    assert [one.cause for one in outcome.left_out] == ["control tissue"]


def test_fragments_that_are_not_there_are_refused_in_a_sentence(glass: Path, run: Run, tmp_path: Path) -> None:
    done = run(glass, fragments=(1, 3, 5))
    assert isinstance(done.error, SlideError)
    assert "there is no fragment 3 or 5, the slide has 2; " in str(done.error)
    assert str(glass) in str(done.error)
    assert not (tmp_path / "out").exists()
    write_pyramid(tmp_path / "white.tif", np.full((400, 400, 3), 244, np.uint8), 0.5)
    assert isinstance(run(tmp_path / "white.tif", fragments=(1,)).outcome, NoTissue)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no complete JSON"),
        ('{"type": "FeatureCollection", "features": []}', "no drawn area"),
        (None, "no such annotation file"),
    ],
)
def test_annotations_that_cannot_be_used_fail_their_slide_alone(
    glass: Path, run: Run, tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "accession-9.geojson"
    if text is not None:
        path.write_text(text)
    done = run(glass, annotations=path)
    assert isinstance(done.outcome, Failed)
    assert isinstance(done.error, SlideError)
    assert words in done.outcome.reason
    assert "accession-9" not in done.outcome.reason
    assert str(done.error).endswith(".")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_pictures")
def test_what_the_drawing_needs_to_be_told_is_told(glass: Path, run: Run, tmp_path: Path) -> None:
    detection = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [5, 5]},
        "properties": {"objectType": "detection", "classification": {"name": "Tumor: Positive"}},
    }
    bow_tie = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [300, 300], [300, 0], [0, 300], [0, 0]]]},
        "properties": {"classification": {"name": "Epidermis"}},
    }
    boxes: Boxes = {"Dermis": (5000, 5000, 6000, 6000)}
    outcome = scored(run(glass, annotations=geojson(tmp_path / "accession-3.geojson", boxes, (detection, bow_tie))))
    assert outcome.annotations is not None
    mended, aside, off = outcome.annotations.notes
    assert "feature 3 (Epidermis)" in mended
    assert aside.startswith("1 objects")
    assert "feature 1 (Dermis) lies on no tissue" in off
    assert not any("accession" in note for note in outcome.annotations.notes)


def test_results_without_the_regions_that_they_were_made_with_are_refused(
    glass: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)
    folder = run(glass, annotations=geojson(tmp_path / "a.geojson", DRAWN)).folder
    assert folder is not None
    kept = (folder / "regions.json").read_text()
    for damaged in (None, "{", kept.replace("dermis", "skin"), kept.replace('"file_sha256": "', '"file_sha256": "0')):
        if damaged is None:
            (folder / "regions.json").unlink()
        else:
            (folder / "regions.json").write_text(damaged)
        with pytest.raises(OutputError, match="score the slide again"):
            rescore_slide(folder, lambda _: CallRule())


def test_regions_come_back_exactly(tmp_path: Path) -> None:
    path = geojson(tmp_path / "a.geojson", {"Dermis": (0.1, 1 / 3, 1e5 + 0.7, 2e4), "Ignore*": (1, 2, 3, 4)})
    kept = read_annotations(path, "s", Point(0.3, 7))
    save_regions(tmp_path, kept)
    back = load_regions(tmp_path)
    assert back.file_sha256 == kept.file_sha256
    assert [(one.kind, one.class_name, one.number) for one in back.regions.drawn] == [
        (one.kind, one.class_name, one.number) for one in kept.regions.drawn
    ]
    assert all(
        one.area_l0.equals_exact(other.area_l0, 0)
        for one, other in zip(back.regions.drawn, kept.regions.drawn, strict=True)
    )
    empty = tmp_path / "empty"
    save_regions(empty, KeptRegions())
    assert not empty.exists()
    assert load_regions(empty).regions.drawn == ()


@pytest.mark.usefixtures("without_pictures")
def test_a_proposed_infiltrate_is_marked_and_can_be_left_out(
    glass: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The painted nuclei are larger than those of lymphocytes, and some of them touch.
    monkeypatch.setattr("ihc_quant.scoring.proposed_infiltrate.SMALL_NUCLEUS_UM2", 100.0)
    with_it, without = (
        scored(run(glass, slide_id=name, propose_infiltrate=propose)) for name, propose in (("a", True), ("b", False))
    )
    proposed = [part for part in with_it.compartments if part.region.origin == "proposed"]
    assert len(proposed) == 1
    assert without.compartments == ()
    assert without.score == with_it.score
    (more,) = set(with_it.notes) - set(without.notes)
    assert "nobody reviewed it" in more
    assert proposed[0].region.label == "infiltrate (proposed, not reviewed)"
    assert with_it.provenance.settings_sha256 != without.provenance.settings_sha256


def test_a_section_without_chromogen_is_shown_and_read_back(glass: Path, run: Run, tmp_path: Path) -> None:
    class NoNetwork:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"a section that is only shown asked the network for its {name}")

    task = SlideTask(glass, HE, "he", annotations=geojson(tmp_path / "a.geojson", {"Dermis": (90, 80, 600, 300)}))
    done = run_slide(task, tmp_path / "out", NoNetwork(), MeasureSettings(), CallRule(), 1)
    assert isinstance(done.outcome, Shown), done.error
    assert done.folder is not None
    assert read_slide_json(done.folder)[0] == done.outcome
    picture = cv2.imread(str(done.folder / "overview.png"))
    assert picture is not None
    assert not (done.folder / "cells.parquet").exists()
    assert load_pictures(done.folder).thumbnail is not None
    before = contents(done.folder)
    assert rescore_slide(done.folder, lambda _: CallRule()) == done.outcome
    assert contents(done.folder) == before
    assert export_geojson(done.folder) is None


@pytest.mark.usefixtures("without_pictures")
def test_an_exported_proposal_named_as_annotations_is_confirmed(
    glass: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ihc_quant.scoring.proposed_infiltrate.SMALL_NUCLEUS_UM2", 100.0)
    done = run(glass, slide_id="a", annotations=geojson(tmp_path / "a.geojson", {"Ignore*": (200, 250, 300, 350)}))
    (proposed,) = scored(done).compartments
    assert done.folder is not None
    path = export_regions(done.folder)
    assert path is not None
    assert export_regions(done.folder) == path, "the same once more"
    saved = path.rename(tmp_path / "confirmed.geojson")
    confirmed = scored(run(glass, slide_id="b", annotations=saved))
    (drawn,) = confirmed.compartments
    assert drawn.region == AnalysedRegion("infiltrate", "drawn")
    assert drawn.score.counts == proposed.score.counts
    assert confirmed.left_out == scored(done).left_out
    assert confirmed.score.counts == scored(done).score.counts
    assert not any("nobody reviewed" in note for note in confirmed.notes)


@pytest.mark.usefixtures("without_pictures")
def test_exported_regions_never_overwrite_corrections(glass: Path, run: Run, tmp_path: Path) -> None:
    done = run(glass, annotations=geojson(tmp_path / "a.geojson", DRAWN), propose_infiltrate=False)
    assert done.folder is not None
    path = export_regions(done.folder)
    assert path is not None
    assert [each["properties"]["classification"]["name"] for each in json.loads(path.read_text())["features"]] == list(
        DRAWN
    )
    path.write_text("{}")
    with pytest.raises(OutputError, match="may hold corrections"):
        export_regions(done.folder)
    plain = run(glass, slide_id="plain", propose_infiltrate=False)
    assert plain.folder is not None
    assert export_regions(plain.folder) is None
