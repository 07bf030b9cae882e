"""Assessment: a network that knows the answer scores full marks, and what was not marked counts for nothing."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ihc_quant.cells.find import CellSettings
from ihc_quant.errors import SettingsError
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.card import Architecture, DataSource, read_card
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import load_weights, save_arrays
from ihc_quant.training.assessment import (
    FieldMaps,
    cells_of,
    detect_cells,
    matched_calls,
    percent_error,
    quick_scores,
    run_network,
)
from ihc_quant.training.calibration import MatchedCalls, PlattScaling, fit_platt, log_loss
from ihc_quant.training.field import UNKNOWN, TrainingField
from ihc_quant.training.figures import count_figures, held_out_figures
from ihc_quant.training.finishing import finish_weights
from ihc_quant.training.operating_point import OperatingPoint, calibrate, choose_operating_point, choose_positive
from ihc_quant.training.splits import Split
from ihc_quant.training.targets import targets_of

MakeField = Callable[..., TrainingField]


class Oracle(CellNetwork):
    """Answers with the targets of the fields it was given, recognised by their pixels."""

    def __init__(self, fields: list[TrainingField]) -> None:
        super().__init__(Architecture(widths=(4, 4), encoder_blocks=(0, 0), decoder_blocks=(0,), fold=2))
        self.answers = {field.rgb.tobytes(): targets_of(field, 0.5).values for field in fields}

    def forward(self, image: Tensor) -> Tensor:
        rgb = torch.round(255 * (1 - image[0])).to(torch.uint8).permute(1, 2, 0).contiguous()
        values = torch.from_numpy(self.answers[rgb.numpy().tobytes()]).clamp(0.01, 0.99)
        return torch.log(values / (1 - values))[None]


@pytest.fixture
def fields(make_field: MakeField) -> list[TrainingField]:
    return [make_field("cd138", "a", 0), make_field("bcdata", "b", 1), make_field("painted", "c", 2)]


def test_a_network_that_knows_scores_full_marks(fields: list[TrainingField]) -> None:
    scores = quick_scores(Oracle(fields), fields, 0.5)
    assert scores.pop("mean") == 1
    assert scores == {f"{f.source}_{call}_f1": 1 for f in fields for call in ("negative", "positive")}


def test_a_network_that_says_nothing_scores_nothing(fields: list[TrainingField]) -> None:
    network = CellNetwork(Architecture()).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        assert network.head.bias is not None
        network.head.bias.fill_(-9)
    assert quick_scores(network, fields, 0.5)["mean"] == 0
    assert quick_scores(network, [], 0.5) == {"mean": 0}


def test_what_lies_outside_the_marked_part_counts_for_nothing(fields: list[TrainingField]) -> None:
    (maps,) = run_network(Oracle(fields), fields[:1])
    field = fields[0]
    assert field.points_px is not None
    left = field.points_px[:, 0] < 32
    valid = field.valid.copy()
    valid[:, 32:] = False
    half = replace(field, valid=valid, points_px=field.points_px[left], calls=field.calls[left])
    (found,) = cells_of([FieldMaps(half, maps.logits)], 0.5, CellSettings())
    assert len(found.cells) == len(field.calls) > left.sum()
    assert detect_cells(found, 0.5).either == type(detect_cells(found, 0.5).either)(int(left.sum()), 0, 0)
    assert percent_error(found, 0.5) == pytest.approx(0)
    # All cells beyond the border are called positive: still nothing changes.
    logits = maps.logits.copy()
    logits[2, :, 32:] = 9
    (found,) = cells_of([FieldMaps(half, logits)], 0.5, CellSettings())
    assert percent_error(found, 0.5) == pytest.approx(0)
    assert matched_calls([found]).positive.sum() == (half.calls == 1).sum()


def test_a_field_without_marks_has_no_figures(fields: list[TrainingField]) -> None:
    (maps,) = run_network(Oracle(fields), fields[:1])
    nothing = np.zeros_like(fields[0].valid)
    bare = replace(fields[0], points_px=None, calls=np.empty(0, np.int8), labels=None, valid=nothing)
    (found,) = cells_of([FieldMaps(bare, maps.logits)], 0.5, CellSettings())
    assert len(found.cells)
    assert percent_error(found, 0.5) is None
    assert len(matched_calls([found])) == 0
    assert detect_cells(found, 0.5).either.f1 is None


def test_cells_of_unknown_call_do_not_calibrate(fields: list[TrainingField]) -> None:
    calls = fields[0].calls.copy()
    calls[0] = UNKNOWN
    (maps,) = run_network(Oracle(fields), fields[:1])
    (found,) = cells_of([FieldMaps(replace(fields[0], calls=calls), maps.logits)], 0.5, CellSettings())
    assert len(matched_calls([found])) == len(calls) - 1


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_cells_are_calibrated_although_the_scaling_acts_on_pixels(make_field: MakeField, noise: float) -> None:
    # The pixels of a cell disagree, so that the mean of their probabilities lies far from that of their mean logit.
    rng = np.random.default_rng(0)
    results = []
    for seed in range(25):
        field = make_field("cd138", str(seed), seed)
        assert field.labels is not None
        belief = rng.normal(0, 1.5, len(field.calls))
        calls = (rng.random(len(belief)) < 1 / (1 + np.exp(-(2 * belief - 1)))).astype(np.int8)
        values = targets_of(field, 0.5).values.clip(0.01, 0.99)
        logits = np.log(values / (1 - values))
        logits[2] = np.concatenate([[0], belief])[field.labels] + rng.normal(0, noise, field.labels.shape)
        results.append(FieldMaps(replace(field, calls=calls), logits))
    settings = CellSettings()

    def calls_at(scaling: PlattScaling) -> MatchedCalls:
        return matched_calls(cells_of(results, 0.5, settings, scaling))

    scaling, once = calibrate(results, 0.5, settings), fit_platt(calls_at(PlattScaling()))
    assert log_loss(calls_at(scaling)) < log_loss(calls_at(once)) + 1e-6
    assert log_loss(calls_at(scaling)) < 0.85 * log_loss(calls_at(PlattScaling()))
    assert 1.5 < scaling.slope < 10
    assert 0.2 <= choose_positive(results, 0.5, settings, scaling) <= 0.9


def test_the_figures_of_a_perfect_network_are_perfect(fields: list[TrainingField]) -> None:
    oracle = Oracle(fields)
    point = choose_operating_point(run_network(oracle, fields[:2]), 0.5)
    figures = held_out_figures(oracle, fields, 0.5, point)
    assert list(figures) == ["cd138", "bcdata", "painted"]
    for of_source in figures.values():
        assert of_source["positive"]["f1"] == of_source["negative"]["f1"] == of_source["either"]["f1"] == 1
        assert of_source["sensitivity"] == of_source["specificity"] == 1
        assert of_source["percent_positive_bias_points"] == 0
    counted = {field.name: (field.rgb, int((field.calls == 1).sum())) for field in fields}
    errors = count_figures(oracle, counted, 0.5, point)
    assert sum(each["images"] for each in errors.values()) == 3
    assert all(each["bias"] == 0 for each in errors.values())


def test_weights_are_finished_even_where_nothing_was_learned(fields: list[TrainingField], tmp_path: Path) -> None:
    network = CellNetwork(Architecture())
    save_arrays(arrays_of(network.state_dict()), tmp_path / "best.safetensors")
    split = Split((), tuple(fields[:2]), (fields[2],))
    settings = {"pixel_um": 0.5, "seed": 3}
    source = DataSource(name="painted", licence="ours", role="test", images=1)
    target = tmp_path / "new" / "folder" / "v1.5"
    card = finish_weights(tmp_path / "best.safetensors", target, split, {}, [source], settings)
    assert read_card(target.with_name("v1.5.json")) == card
    assert load_weights(target.with_name("v1.5.json")).card.name == "v1.5"
    assert np.isfinite(card.calibration.slope)
    json.loads(target.with_name("v1.5.json").read_text(), parse_constant=pytest.fail)
    with pytest.raises(SettingsError, match="validation"):
        finish_weights(tmp_path / "best.safetensors", target, Split((), (), ()), {}, [], settings)


def test_the_operating_point_is_chosen_without_a_look_at_the_test(
    fields: list[TrainingField], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watched(network: CellNetwork, looked_at: list[TrainingField]) -> list[FieldMaps]:
        seen.extend(field.name for field in looked_at)
        return run_network(network, looked_at)

    def chosen(results: list[FieldMaps], pixel_um: float) -> OperatingPoint:
        seen.append("chosen")
        return OperatingPoint(CellSettings(), PlattScaling(), 0.5)

    monkeypatch.setattr("ihc_quant.training.finishing.run_network", watched)
    monkeypatch.setattr("ihc_quant.training.figures.run_network", watched)
    monkeypatch.setattr("ihc_quant.training.finishing.choose_operating_point", chosen)
    save_arrays(arrays_of(CellNetwork(Architecture()).state_dict()), tmp_path / "best.safetensors")
    split = Split((), tuple(fields[:1]), tuple(fields[1:]))
    card = finish_weights(tmp_path / "best.safetensors", tmp_path / "x", split, {}, [], {"pixel_um": 0.5, "seed": 3})
    assert seen == ["a", "chosen", "b", "c"]
    assert card.thresholds.uncertain == (0.25, 0.75)
    assert asdict(PlattScaling()) == {"slope": card.calibration.slope, "intercept": card.calibration.intercept}
