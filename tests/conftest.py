"""Fixtures shared by all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import SlideRun, run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.stain import SectionStain
from ihc_quant.network.card import WeightsCard
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid

# No test fails because the machine is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real labelled images and slides; tests that use it skip where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images of ../shared/data are not here")
    return SHARED_DATA


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that ``train.py`` keeps its runs in."""
    monkeypatch.setattr("train.RUNS", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    """Gives PyTorch back the threads that a test takes from it."""
    import torch  # most tests do without

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class PaintedPredictor:
    """A network's stand-in that sees the painted nuclei of ``tiny_slide``: dark is a nucleus, brown is positive."""

    def __init__(self) -> None:
        self.card = WeightsCard.model_validate(
            {
                "name": "painted", "created": "2026-01-01", "sha256": "0" * 64, "pixel_um": 0.5,
                "normalisation": "none",
                "architecture": {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "fold": 2},
                "calibration": {"slope": 1.0, "intercept": 0.0, "fitted_on": "nothing"},
                "thresholds": {"centre": 0.4, "extent": 0.5, "positive": 0.5, "uncertain": [0.4, 0.6]},
                "licence": "none", "validated_for": "nothing", "sources": [], "split": {}, "seed": 0, "metrics": {},
                "known_failures": [], "training": {},
            }
        )  # fmt: skip
        self.description = "painted"
        self.caution = ""

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        values: NDArray[np.float32] = rgb.astype(np.float32)
        extent = np.clip((200 - values.min(axis=2)) / 60, 0, 1)
        blurred = ndimage.gaussian_filter(extent, 3.0, mode="nearest")
        brown = np.clip((values[..., 0] - values[..., 2]) / 60 + 0.2, 0, 1)
        return CellMaps(blurred, extent, ndimage.uniform_filter(brown, 5, mode="nearest").astype(np.float32))


@pytest.fixture(scope="session")
def painted_predictor() -> PaintedPredictor:
    return PaintedPredictor()


def paint_tissue(height: int, width: int, cells: int = 400, seed: int = 0) -> NDArray[np.uint8]:
    """Return white glass with a rectangle of pale tissue and round nuclei, a third of them brown, at 0.5 µm."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), 244.0)
    top, left = height // 8, width // 8
    rgb[top:-top, left:-left] = (226, 206, 222)
    yy, xx = np.mgrid[-8:9, -8:9]
    for number in range(cells):
        y, x = rng.integers(top + 12, height - top - 12), rng.integers(left + 12, width - left - 12)
        disk = np.hypot(yy, xx) < rng.uniform(5, 7)
        rgb[y - 8 : y + 9, x - 8 : x + 9][disk] = (140, 90, 50) if number % 3 == 0 else (90, 95, 160)
    return np.clip(rgb + rng.normal(0, 2, rgb.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pyramidal slide of 700 × 600 px of 0.5 µm with tissue and some 250 painted nuclei."""
    path = tmp_path_factory.mktemp("tiny") / "accession-4711.tif"
    write_pyramid(path, paint_tissue(600, 700), 0.5, quality=95, levels=2)
    return path


CCR4 = SectionStain("CCR4", "DAB", chromogen_assumed=False)

Score = Callable[..., SlideRun]


@pytest.fixture(scope="session")
def score(painted_predictor: MapPredictor) -> Score:
    """Return a function that scores a slide: ``score(path, out, slide_id=…, tile_px=…, workers=…, predictor=…)``."""

    def scored(
        path: Path,
        out: Path,
        *,
        slide_id: str | None = None,
        workers: int = 1,
        predictor: MapPredictor = painted_predictor,
        rule: CallRule | None = None,
        **settings: object,
    ) -> SlideRun:
        measure = MeasureSettings.model_validate({"tile_px": 256, **settings})
        task = SlideTask(path, CCR4, slide_id, propose_infiltrate=False)  # as the command `score` does unasked
        return run_slide(task, out, predictor, measure, rule or CallRule(), workers)

    return scored


@pytest.fixture(scope="session")
def scored(tiny_slide: Path, score: Score, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of the tiny slide, to be looked at only."""
    run = score(tiny_slide, tmp_path_factory.mktemp("scored"))
    assert run.folder is not None, run.error
    return run.folder
