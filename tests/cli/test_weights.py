"""The command ``weights``: what a card says in a few lines and whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from ihc_quant.cli import console
from ihc_quant.cli.card_text import brief_lines, card_lines
from ihc_quant.domain.measurement_error import LogCountError
from ihc_quant.network.card import WEIGHTS_FOLDER, MeasurementError, WeightsCard

FIGURES = {
    "images": 101,
    "positive": {"f1": 0.8412, "precision": 0.83, "recall": 0.85, "tp": 85, "fp": 17, "fn": 15},
    "negative": {"f1": None, "precision": None, "recall": None, "tp": 0, "fp": 0, "fn": 0},
    "calibration_error": 0.0213,
    "specificity": None,
}


@pytest.fixture
def card(painted_predictor: Any) -> WeightsCard:
    card: WeightsCard = painted_predictor.card
    measured = MeasurementError(
        "cd138", "CD138", "marrow", "out-of-fold, by patient", 101, 5, -0.4, 2.2, 80, 90, 0.96, 1,
        LogCountError(48, 5, 10, 950, 0.03, 0.2),
    )  # fmt: skip
    return card.model_copy(
        update={
            "metrics": {
                "cd138": {
                    **FIGURES,
                    "reliability": [(0.05, 0.04, 700), (0.93, 0.95, 70)],
                    "by_group": {"003": {**FIGURES, "images": 23}},
                },
                "lysto": {"crops_with_1": {"images": 15, "mean_absolute_error_interval": (0.1, 0.5)}},
            },
            "measurement": (measured,),
            "figures_of": "the fold models",
            "started_from": "ab" * 32,
            "known_failures": ("melanin",),
        }
    )


def test_in_brief_the_card_says_what_it_may_be_used_for_and_how_good_it_is(card: WeightsCard) -> None:
    text = "\n".join(brief_lines(card))
    assert "licence: none" in text
    assert "validated for: nothing" in text
    assert "cd138: F1 of positive cells 0.841 on 101 images" in text
    assert "lysto" not in text, "a count has no F1"
    assert "these are figures of the fold models" in text
    assert "positive 0.5; calls from 0.4 to 0.6 are uncertain" in text
    assert "CD138, marrow (101 images in 5 groups, out-of-fold, by patient): -0.4 points on average" in text
    assert "sensitivity 0.960 of 80 cells" in text
    assert (
        "own error of the number of cells: CD138, marrow, positive cells (48 images in 5 groups with at least 10): "
        "found / true 1.030 as geometric mean, its logarithm +0.030 with standard deviation 0.200"
    ) in text


def test_whole_the_card_says_everything(card: WeightsCard) -> None:
    lines = card_lines(card)
    assert lines[: len(brief_lines(card))] == brief_lines(card)
    text = "\n".join(lines)
    for part in (
        "  calibration error: 0.0213",
        "  specificity: none",
        "  negative: f1 none",
        "    0.050 → 0.040, 700",
        "  group 003:\n    positive: f1 0.8412",
        "    images: 23",
        "  crops with 1: images 15, mean absolute error interval [0.1, 0.5]",
        "started from: the weights of sha256 abababababab…",
        "known failures:\n  melanin",
        "training: none stated",
    ):
        assert part in text, part


def test_what_was_not_measured_is_said(painted_predictor: Any) -> None:
    lines = card_lines(painted_predictor.card)
    assert "  own error of the percentage: not measured" in lines
    assert "  own error of the number of cells: not measured" in lines
    assert lines[lines.index("known failures:") + 1] == "  none stated"


def test_a_card_by_path_and_one_that_is_not_there(run: Any, card: WeightsCard, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(card.model_dump_json())
    assert "group 003" in run("weights", path).stdout
    assert json.loads(run("weights", path, "--json").stdout)["name"] == card.name
    missing = run("weights", "nowhere")
    assert missing.exit_code == console.EXIT_CANNOT_START
    assert "no such weights" in missing.stderr


@pytest.mark.skipif(not (WEIGHTS_FOLDER / "default.json").is_file(), reason="the default weights are not here")
def test_the_list_names_every_shipped_set(run: Any) -> None:
    listed = run("weights").stdout
    for path in WEIGHTS_FOLDER.glob("*.json"):
        assert f"{path.stem} (of " in listed
        assert run("weights", path.stem).stdout.startswith(f"{path.stem} (of ")
