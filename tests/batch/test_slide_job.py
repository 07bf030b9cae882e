"""The slide job: what becomes of good, empty, coarse, damaged slides and of faults, and what results may tell."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from ihc_quant.batch.cell_store import METADATA_KEY
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.outcome import Failed, NoTissue, Scored
from ihc_quant.domain.provenance import Provenance
from ihc_quant.errors import CalibrationMissing, OutputError, RegionUnreadable, SlideError
from ihc_quant.network.card import Architecture
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid


class Faulty:
    """A network that fails at its second tile."""

    def __init__(self, painted: Any, error: BaseException) -> None:
        self.card, self.description, self.painted, self.error, self.calls = painted.card, "faulty", painted, error, 0
        self.caution = ""

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        self.calls += 1
        if self.calls > 1:
            raise self.error
        maps: CellMaps = self.painted.predict(rgb)
        return maps


class Blind:
    """A network that sees no cells."""

    def __init__(self, painted: Any) -> None:
        self.card, self.description, self.caution = painted.card, "blind", ""

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        nothing = np.zeros(rgb.shape[:2], np.float32)
        return CellMaps(nothing, nothing, nothing)


def settings_digest(outcome: object) -> str:
    assert isinstance(outcome, Scored)
    return outcome.provenance.settings_sha256


def test_finds_the_painted_cells(scored: Path) -> None:
    outcome, measurement, timings = read_slide_json(scored)
    assert isinstance(outcome, Scored)
    assert 200 < outcome.score.counts.total == measurement.cells < 420
    assert 0.2 < (outcome.score.positive_fraction.value or 0) < 0.5
    assert sum(counts.total for _, counts in outcome.fragments) == outcome.score.counts.total
    tiles = pq.read_table(scored / "tiles.parquet")
    assert sum(tiles[name].to_numpy().sum() for name in ("negative", "one_plus", "two_plus", "three_plus")) == len(
        pq.read_table(scored / "cells.parquet")
    )
    assert min(timings.values()) >= 0


def test_results_tell_neither_the_file_name_nor_a_path(scored: Path, tiny_slide: Path) -> None:
    assert scored.name.startswith("slide-")
    for file in (path for path in scored.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for secret in (tiny_slide.stem, str(tiny_slide.parent), str(scored.parent), "accession"):
            assert secret.encode() not in data, (file.name, secret)


def test_provenance_is_complete(scored: Path) -> None:
    outcome, measurement, _ = read_slide_json(scored)
    assert isinstance(outcome, Scored)
    provenance: Provenance = outcome.provenance
    for name in Provenance.__dataclass_fields__:
        assert getattr(provenance, name), name
    assert "not installed" not in provenance.libraries.values()
    assert provenance.slide_hash == measurement.facts.quick_hash
    assert provenance.settings["calls"]["rule"]["p_threshold"] == 0.5  # type: ignore[index]
    metadata = json.loads(pq.read_schema(scored / "cells.parquet").metadata[METADATA_KEY])
    assert metadata["slots"] == {"1": {"marker": "CCR4", "chromogen": "DAB", "chromogen_assumed": False}}
    assert metadata["calls"]["cuts_od"] == [0.2, 0.4, 0.6]
    assert metadata["settings"] == measurement.settings


def test_digest_follows_measurement_and_calls_only(scored: Path, tiny_slide: Path, score: Any, tmp_path: Path) -> None:
    reference = settings_digest(read_slide_json(scored)[0])
    other_workers = score(tiny_slide, tmp_path / "a", workers=2, slide_id="other name")
    assert settings_digest(other_workers.outcome) == reference
    other_tile = score(tiny_slide, tmp_path / "b", tile_px=512)
    other_rule = score(tiny_slide, tmp_path / "c", rule=CallRule(p_threshold=0.6))
    assert len({reference, settings_digest(other_tile.outcome), settings_digest(other_rule.outcome)}) == 3


def test_slide_without_tissue(score: Any, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "white.tif", np.full((500, 600, 3), 244, np.uint8), 0.5)
    run = score(tmp_path / "white.tif", tmp_path / "out")
    assert isinstance(run.outcome, NoTissue)
    assert run.error is None
    assert run.folder is not None
    assert read_slide_json(run.folder)[0] == run.outcome
    assert cv2.imread(str(run.folder / "overview.png")) is not None
    assert cv2.imread(str(run.folder / "gallery.png")) is not None


def test_tissue_without_cells_has_reasons_instead_of_figures(
    tiny_slide: Path, score: Any, painted_predictor: Any, tmp_path: Path
) -> None:
    run = score(tiny_slide, tmp_path, predictor=Blind(painted_predictor))
    assert isinstance(run.outcome, Scored)
    assert run.outcome.score.counts.total == 0
    assert run.outcome.score.positive_fraction.value is None
    assert run.outcome.score.positive_fraction.reason
    assert run.outcome.score.counts.area_um2 > 0


def test_unreadable_slide_is_a_value(score: Any, tmp_path: Path) -> None:
    (tmp_path / "text.svs").write_text("no slide")
    run = score(tmp_path / "text.svs", tmp_path / "out", slide_id="s1")
    assert isinstance(run.outcome, Failed)
    assert run.outcome.slide_id == "s1"
    assert isinstance(run.error, SlideError)
    assert "text" not in run.outcome.reason
    assert not (tmp_path / "out").exists()


def test_missing_mpp_names_the_option(score: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "crop.png"), np.full((300, 300, 3), 200, np.uint8))
    run = score(tmp_path / "crop.png", tmp_path / "out")
    assert isinstance(run.error, CalibrationMissing)
    assert "--mpp" in run.outcome.reason


def test_coarse_slide_needs_consent(tiny_slide: Path, score: Any, tmp_path: Path) -> None:
    coarse = tmp_path / "coarse.tif"
    image = cv2.imread(str(tiny_slide))
    assert image is not None
    write_pyramid(coarse, np.ascontiguousarray(image[:, :, ::-1].astype(np.uint8)), 0.8)
    run = score(coarse, tmp_path / "out")
    assert isinstance(run.error, CalibrationMissing)
    assert "--allow-coarse" in run.outcome.reason
    assert isinstance(score(coarse, tmp_path / "out", allow_coarse=True).outcome, Scored)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [RegionUnreadable("s", "a tile is damaged; copy it anew"), ZeroDivisionError("bug")])
def test_error_in_a_tile_leaves_nothing(
    tiny_slide: Path, score: Any, painted_predictor: Any, tmp_path: Path, workers: int, error: Exception
) -> None:
    out = tmp_path / "new" / "out"
    run = score(tiny_slide, out, workers=workers, predictor=Faulty(painted_predictor, error))
    assert isinstance(run.outcome, Failed)
    assert run.error is error
    assert run.folder is None
    assert ("traceback" in run.outcome.reason) == (not isinstance(error, SlideError))
    assert list(tmp_path.iterdir()) == []


def test_output_error_and_interruption_stop_the_run(
    tiny_slide: Path, score: Any, painted_predictor: Any, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        score(tiny_slide, tmp_path / "a", predictor=Faulty(painted_predictor, KeyboardInterrupt()))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file stands where a folder is needed"):
        score(tiny_slide, tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "place",
    [
        "slide_measuring.save_thumbnail", "slide_measuring.estimate_stains", "slide_measuring.cut_examples",
        "example_bank.read_grid", "slide_drawing.positive_density", "derivation.save_od_histogram",
        "slide_drawing.draw_overview", "slide_drawing.draw_gallery",
    ],
)  # fmt: skip
def test_an_error_of_what_is_done_side_by_side_is_told_and_leaves_nothing(
    tiny_slide: Path, score: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    error: Exception = RegionUnreadable("s", "a tile is damaged; copy it anew")

    def failing(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(f"ihc_quant.batch.{place}", failing)
    run = score(tiny_slide, tmp_path / "out")
    assert (run.error, run.folder) == (error, None)
    assert list(tmp_path.iterdir()) == []
    error = OutputError("the disk is full")
    with pytest.raises(OutputError, match="disk is full"):
        score(tiny_slide, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_earlier_results(tiny_slide: Path, score: Any, painted_predictor: Any, tmp_path: Path) -> None:
    run = score(tiny_slide, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run.folder is not None
    score(tiny_slide, tmp_path, predictor=Faulty(painted_predictor, ZeroDivisionError()))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def hostile_files() -> list[str]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "hostile"
    return sorted(path.name for path in folder.glob("*") if path.is_file()) or ["missing"]


@pytest.mark.shared
@pytest.mark.parametrize("name", hostile_files())
def test_hostile_file_fails_in_one_sentence(shared_data: Path, score: Any, tmp_path: Path, name: str) -> None:
    run = score(shared_data / "hostile" / name, tmp_path / "out", slide_id="s1")
    assert isinstance(run.outcome, Failed)
    assert isinstance(run.error, SlideError), run.error
    assert "\n" not in str(run.error)
    assert str(run.error).endswith(".")
    assert run.outcome.reason
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("margin_px", "used_px"), [(48, 112), (128, 128)])
def test_a_network_that_sees_farther_gets_a_wider_margin(
    tiny_slide: Path, score: Any, painted_predictor: Any, tmp_path: Path, margin_px: int, used_px: int
) -> None:
    farther = Blind(painted_predictor)
    deep = Architecture(
        widths=(16, 24, 40, 112), encoder_blocks=(1, 2, 2, 6), decoder_blocks=(2, 1, 1), encoder="efficientnet_lite0"
    )
    farther.card = farther.card.model_copy(update={"architecture": deep})
    run = score(tiny_slide, tmp_path, predictor=farther, margin_px=margin_px)
    assert run.folder is not None, run.error
    assert read_slide_json(run.folder)[1].margin_px == used_px
