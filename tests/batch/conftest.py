"""Fixtures of the tests of runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tifffile

from ihc_quant.batch import slide_worker
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.slide.writing import write_pyramid
from tests.batch.bench import Bench


@pytest.fixture(scope="session")
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
