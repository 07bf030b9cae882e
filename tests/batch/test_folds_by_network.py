"""Folds that the network of the weights' card tells, from the tiles of a slide to its results."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.quality_control import RULES
from ihc_quant.batch.slide_job import SlideRun
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.quality import CAUSE_WORDS, Cause
from ihc_quant.network.card import FoldsNetwork
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.tissue.fold_chances import CERTAIN, FoldChances
from ihc_quant.tissue.fold_planes import SQUARE, PlaneRaster

STATED = FoldsNetwork(name="dense", sha256="ab" * 32)


class DensePlaces:
    """A network that calls every square with something dark in it a sure fold."""

    def chances(self, planes: PlaneRaster, pixel_um: float) -> FoldChances:
        side = max(planes.shape)
        seen = planes.window(0, 0, side)
        assert seen is not None
        by_square = seen.reshape(side, SQUARE, side, SQUARE, -1).max(axis=(1, 3, 4))
        dark = by_square[: planes.shape[0], : planes.shape[1]] > 6
        return FoldChances(np.where(dark, np.uint8(CERTAIN), np.uint8(0)), pixel_um * 8)


@pytest.mark.parametrize("tile_px", [128, 1024])
def test_what_the_network_of_the_card_tells_is_the_fold_of_the_slide(
    tiny_slide: Path,
    painted_predictor: MapPredictor,
    score: Callable[..., SlideRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tile_px: int,
) -> None:
    asked: list[FoldsNetwork] = []

    def load(stated: FoldsNetwork, cores: int) -> DensePlaces:
        asked.append(stated)
        assert cores >= 1
        return DensePlaces()

    monkeypatch.setattr("ihc_quant.batch.quality_control.load_fold_network", load)
    predictor = painted_predictor
    monkeypatch.setattr(predictor, "card", predictor.card.model_copy(update={"folds": STATED}))
    run = score(tiny_slide, tmp_path / "out", tile_px=tile_px, predictor=predictor)
    assert isinstance(run.outcome, Scored), run.error
    assert run.folder is not None
    assert asked == [STATED]
    quality = read_slide_json(run.folder)[1].quality
    assert quality is not None
    assert quality.found.folds_by == f"network dense, SHA-256 {STATED.sha256}"
    assert quality.findings.shares[CAUSE_WORDS[Cause.FOLD]] > 0.25
    assert any("fold (" in note for note in run.outcome.notes)


def test_rules_tell_folds_where_a_card_names_no_network(scored: Path) -> None:
    quality = read_slide_json(scored)[1].quality
    assert quality is not None
    assert quality.found.folds_by == RULES
    assert not any("fold" in words for words in quality.findings.shares)
