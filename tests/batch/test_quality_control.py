"""Quality control from the tiles of a slide to its results: what is told, what is left out, and what is kept."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.batch.block_store import read_blocks
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.quality_control import QualityFound, QualityUsed, quality_notes
from ihc_quant.batch.rescoring import rescore_slide
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import SlideRun, run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import NoTissue, Scored
from ihc_quant.domain.quality import Cause, ControlProposal, QualityFindings, QualityMap
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import OutputError
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.quality_settings import QualitySettings

CCR4 = SectionStain("CCR4", "DAB", chromogen_assumed=False)
INK = (20, 40, 150)
PEN_BOX = (250, 100, 400, 500)
"""Of the painted stroke, left, top, right and lower end in level-0 pixels of 0.5 µm."""

Score = Callable[..., SlideRun]


@pytest.fixture(scope="module")
def inked(tiny_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny slide with a blue stroke across its tissue."""
    image = cv2.imread(str(tiny_slide))
    assert image is not None
    rgb: NDArray[np.uint8] = np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)
    left, top, right, lower = PEN_BOX
    rgb[top:lower, left:right] = INK
    path = tmp_path_factory.mktemp("inked") / "accession-5150.tif"
    write_pyramid(path, rgb, 0.5, quality=95, levels=2)
    return path


@pytest.fixture
def run(painted_predictor: Any, tmp_path: Path) -> Score:
    """Return a function that scores a slide: ``run(path, "exclude", tile_px=…, workers=…, annotations=…)``."""

    def ran(path: Path, quality: str, *, tile_px: int = 256, workers: int = 1, **task: Any) -> SlideRun:
        done = SlideTask(path, CCR4, task.pop("slide_id", "s1"), propose_infiltrate=False, **task)
        measure = MeasureSettings.model_validate({"tile_px": tile_px, "quality": quality})
        return run_slide(done, tmp_path / "out", painted_predictor, measure, CallRule(), workers)

    return ran


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)


def outcome_of(run: SlideRun) -> Scored:
    assert isinstance(run.outcome, Scored), run.error
    return run.outcome


def geojson(path: Path, name: str, place: tuple[int, int, int, int]) -> Path:
    """Write one box in level-0 pixels by the name of its class, as QuPath exports it."""
    left, top, right, lower = place
    ring = [[left, top], [right, top], [right, lower], [left, lower], [left, top]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_pen_is_left_out_with_its_cells_and_rescore_needs_no_slide(inked: Path, run: Score, tmp_path: Path) -> None:
    slide = Path(shutil.copy(inked, tmp_path / "accession-5150.tif"))
    whole = outcome_of(run(slide, "report", slide_id="told"))
    done = run(slide, "exclude")
    outcome, folder = outcome_of(done), done.folder
    assert folder is not None
    assert "pen" in {one.cause for one in outcome.left_out}
    lost_um2 = sum(one.area_um2 for one in outcome.left_out)
    assert outcome.score.counts.area_um2 + lost_um2 == pytest.approx(whole.score.counts.area_um2)
    assert outcome.score.counts.total < whole.score.counts.total
    assert whole.left_out == ()
    assert any("pen (" in note and "counted" in note for note in whole.notes)
    assert not any("pen (" in note for note in outcome.notes)
    assert read_slide_json(folder)[0] == outcome
    assert [each.total().area_um2 for each in read_blocks(folder)] == pytest.approx([outcome.score.counts.area_um2])
    assert sum(counts.total for _, counts in outcome.fragments) == outcome.score.counts.total
    before = contents(folder)
    for data in before.values():
        assert b"accession" not in data
    slide.unlink()
    rescore_slide(folder, lambda _: CallRule(p_threshold=0.9))
    assert contents(folder)["slide.json"] != before["slide.json"]
    assert rescore_slide(folder, lambda _: CallRule()) == outcome
    assert contents(folder) == before


@pytest.mark.usefixtures("without_pictures")
def test_what_a_drawing_leaves_out_already_is_not_counted_twice(inked: Path, run: Score, tmp_path: Path) -> None:
    left, top, right, lower = PEN_BOX
    path = geojson(tmp_path / "a.geojson", "Ignore*", (left - 8, top, right + 8, lower))
    drawn = {quality: outcome_of(run(inked, quality, annotations=path)) for quality in ("off", "exclude")}
    plain, both = drawn["off"], drawn["exclude"]
    by_hand = [one for one in both.left_out if one.cause == "drawn exclusion"]
    assert by_hand == [one for one in plain.left_out if one.cause == "drawn exclusion"]
    areas = [one.score.counts.area_um2 + sum(left.area_um2 for left in one.left_out) for one in (plain, both)]
    assert areas[0] == pytest.approx(areas[1])
    assert sum(one.area_um2 for one in both.left_out if one.cause == "pen") < 0.1 * by_hand[0].area_um2


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(("tile_px", "workers"), [(64, 1), (208, 2), (1024, 1)])
def test_findings_depend_on_neither_tiles_nor_workers(inked: Path, run: Score, tile_px: int, workers: int) -> None:
    reference = run(inked, "exclude", slide_id="reference")
    other = run(inked, "exclude", tile_px=tile_px, workers=workers)
    assert reference.folder is not None
    assert other.folder is not None
    assert (other.folder / "pixels" / "quality.png").read_bytes() == (
        reference.folder / "pixels" / "quality.png"
    ).read_bytes()
    assert outcome_of(other).left_out == outcome_of(reference).left_out
    assert read_slide_json(other.folder)[1].quality == read_slide_json(reference.folder)[1].quality


@pytest.mark.usefixtures("without_pictures")
def test_off_keeps_nothing_and_clean_tissue_scores_alike_whatever_the_mode(
    tiny_slide: Path, run: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clean(_: object, tissue: TissueMap, *__: object) -> QualityMap:
        return QualityMap(np.zeros(tissue.mask.shape, np.uint8), tissue.grid)

    monkeypatch.setattr("ihc_quant.batch.quality_control.find_causes", clean)
    runs = {quality: run(tiny_slide, quality, slide_id=quality) for quality in ("off", "report", "exclude")}
    off = runs["off"].folder
    assert off is not None
    assert read_slide_json(off)[1].quality is None
    assert not (off / "pixels" / "quality.png").exists()
    outcomes = [outcome_of(one) for one in runs.values()]
    assert len({one.score.counts for one in outcomes}) == 1
    assert all(one.left_out == () for one in outcomes)
    assert len({one.provenance.settings_sha256 for one in outcomes}) == 3


def test_a_slide_without_tissue_has_no_findings(run: Score, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "white.tif", np.full((400, 400, 3), 244, np.uint8), 0.5)
    done = run(tmp_path / "white.tif", "exclude")
    assert isinstance(done.outcome, NoTissue)
    assert done.folder is not None
    assert read_slide_json(done.folder)[1].quality is None


@pytest.mark.usefixtures("without_pictures")
def test_results_whose_map_of_causes_is_damaged_are_refused(inked: Path, run: Score) -> None:
    folder = run(inked, "exclude").folder
    assert folder is not None
    path = folder / "pixels" / "quality.png"
    _, small = cv2.imencode(".png", np.zeros((3, 3), np.uint8))
    _, wrong = cv2.imencode(".png", np.full_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 200))
    for data in (b"", small.tobytes(), wrong.tobytes()):
        path.write_bytes(data)
        with pytest.raises(OutputError, match="score the slide again"):
            rescore_slide(folder, lambda _: CallRule())
    path.unlink()
    with pytest.raises(OutputError, match="score the slide again"):
        rescore_slide(folder, lambda _: CallRule())


@pytest.fixture(scope="module")
def two_pieces(tiny_slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a glass with the tiny slide's tissue and a smaller piece of it far off."""
    image = cv2.imread(str(tiny_slide))
    assert image is not None
    rgb = np.full((600, 1600, 3), 244, np.uint8)
    rgb[:, :700] = image[..., ::-1]
    rgb[150:450, 1200:1500] = image[150:450, 200:500, ::-1]
    path = tmp_path_factory.mktemp("control") / "glass.tif"
    write_pyramid(path, rgb, 0.5, quality=95, levels=2)
    return path


@pytest.mark.usefixtures("without_pictures")
def test_proposed_control_tissue_is_counted_and_flagged_until_somebody_decides(
    two_pieces: Path, run: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = ControlProposal((2,), 1500.0, "1.5 mm apart, more chromogen")
    monkeypatch.setattr("ihc_quant.batch.quality_control.propose_control", lambda *_: (proposal,))
    for quality in ("report", "exclude"):
        outcome = outcome_of(run(two_pieces, quality))
        (flag,) = [note for note in outcome.notes if "control tissue" in note]
        assert flag.startswith("Fragment 2 may be control tissue (1.5 mm apart, more chromogen)")
        assert "name the control" in flag
        assert [number for number, _ in outcome.fragments] == [1, 2]
        assert "control tissue" not in {one.cause for one in outcome.left_out}
    drawn = geojson(tmp_path / "a.geojson", "Control tissue", (1100, 0, 1600, 600))
    for decided in ({"fragments": (1,)}, {"annotations": drawn}):
        outcome = outcome_of(run(two_pieces, "report", **decided))
        assert not any("control tissue" in note for note in outcome.notes)
        assert outcome.left_out != ()


def test_every_cause_is_told_once_and_the_edge_band_is_not() -> None:
    findings = QualityFindings(
        {"pen": 0.1, "fold": 0.0001, "edge of tissue": 0.2}, 0.1, 250_000.0, flags=("A flag of the slide.",)
    )
    found = QualityFound(
        excludes=False,
        thresholds=QualitySettings(excluded=(Cause.PEN, Cause.FOLD)),
        controls=(),
        step_um=8.0,
    )
    told, glass, flag = quality_notes(QualityUsed(found=found, findings=findings))
    assert "pen (10.0 % of the tissue), fold (under 0.1 % of the tissue); they were" in told
    assert "edge" not in told
    assert "0.25 mm² of glass" in glass
    assert flag == "A flag of the slide."
    left_out = found.model_copy(update={"excludes": True})
    (only, *_) = quality_notes(QualityUsed(found=left_out, findings=findings))
    assert only == glass
