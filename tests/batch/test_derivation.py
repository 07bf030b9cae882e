"""What a slide's score says of uncertain calls and of the network's own error, at the card's calls and at others."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ihc_quant.batch.derivation import errors_used
from ihc_quant.batch.flags import weights_flag
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.rescoring import rescore_slide
from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.score import MarkerScore
from ihc_quant.network.card import WeightsCard
from ihc_quant.report.doubts import ACROSS_BAND, UNCERTAIN_CALLS, doubts
from ihc_quant.scoring.calls import CallRule

CD138 = MeasurementError(
    "cd138", "CD138", "marrow", "out-of-fold, by patient", 101, 5, -0.4, 2.2, 800, 9000, 0.96, 0.99,
    LogCountError(48, 5, 10, 950, 0.03, 0.2), LogCountError(101, 5, 10, 9000, 0.05, 0.1),
)  # fmt: skip


class Measured:
    """The painted network's stand-in with a card that states its own error."""

    def __init__(self, painted: Any) -> None:
        card: WeightsCard = painted.card
        self.card = card.model_copy(update={"measurement": (CD138,), "figures_of": "the fold models"})
        self.description, self.predict, self.caution = "measured", painted.predict, "Computed otherwise."


@pytest.fixture
def folder(score: Any, tiny_slide: Path, painted_predictor: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)
    result: Path = score(tiny_slide, tmp_path, predictor=Measured(painted_predictor)).folder
    return result


def score_at(folder: Path, rule: CallRule) -> MarkerScore:
    outcome = rescore_slide(folder, lambda _: rule)
    assert isinstance(outcome, Scored)
    return outcome.score


def test_the_cards_error_and_band_reach_the_score(folder: Path) -> None:
    outcome, measurement, _ = read_slide_json(folder)
    assert isinstance(outcome, Scored)
    score = outcome.score
    for figure in (score.positive_fraction, score.positive_density_per_mm2):
        *sampling, widest = figure.intervals
        assert widest.method.startswith("sampling + measurement")
        assert all(widest.low <= each.low and each.high <= widest.high for each in sampling)
        assert "not validated for CCR4" in widest.note
    assert errors_used(outcome, measurement) == (CD138,)
    p = pq.read_table(folder / "cells.parquet", columns=["p_positive"])["p_positive"].to_numpy()
    assert score.uncertain is not None
    assert (score.uncertain.low, score.uncertain.high) == measurement.weights.uncertain == (0.4, 0.6)
    assert score.uncertain.cells == ((p >= 0.4) & (p < 0.6)).sum()
    assert score.uncertain.total == score.counts.total
    assert weights_flag(measurement.weights).endswith("The figures are those of the fold models.")
    assert score_at(folder, CallRule(p_threshold=0.5)) == score
    assert measurement.made_with.cautions == ("Computed otherwise.",)
    assert "Computed otherwise." in outcome.notes


def test_an_error_measured_with_other_calls_is_not_carried(folder: Path) -> None:
    for rule in (CallRule(p_threshold=0.9), CallRule(mode="od")):
        score = score_at(folder, rule)
        for figure in (score.positive_fraction, score.positive_density_per_mm2):
            assert not any("measurement" in interval.method for interval in figure.intervals)
        outcome, measurement, _ = read_slide_json(folder)
        assert errors_used(outcome, measurement) is None
        assert "called otherwise here" in score.network_error.of_percentage
        assert isinstance(outcome, Scored)
        assert outcome.sensitivity is not None
        assert not any("uncertain" in variant.name for variant in outcome.sensitivity.others)
        said = dict(doubts(score))
        assert ACROSS_BAND not in said
        if rule.mode == "od":
            assert score.uncertain is None
        else:
            assert "the threshold 0.9 lies outside the band of uncertain calls, 0.4 to 0.6" in said[UNCERTAIN_CALLS]


def test_results_of_a_card_that_states_no_error_of_counts_are_read_and_say_so(folder: Path) -> None:
    values = json.loads((folder / "slide.json").read_text())
    (stated,) = values["measurement"]["weights"]["measurement"]
    del stated["positive_count"], stated["cell_count"]
    (folder / "slide.json").write_text(json.dumps(values))
    score = score_at(folder, CallRule(p_threshold=0.5))
    methods = [
        [interval.method for interval in figure.intervals]
        for figure in (score.positive_fraction, score.positive_density_per_mm2)
    ]
    assert methods[0][-1].startswith("sampling + measurement")
    assert not any(method.startswith("sampling + measurement") for method in methods[1])
    said = "measurement error unknown: the card of the weights states none"
    assert score.network_error.of_positive_cells == score.network_error.of_all_cells == said
    assert score.network_error.of_percentage.startswith("measured on CD138")
