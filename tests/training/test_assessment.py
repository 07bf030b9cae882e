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
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.errors import SettingsError
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.card import ARCHITECTURES, Architecture, read_card
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import load_weights, save_arrays
from ihc_quant.training.assessment import (
    AROUND_PX,
    FieldMaps,
    cells_of,
    count_in_valid,
    detect_cells,
    matched_calls,
    percent_error,
    quick_scores,
    run_network,
)
from ihc_quant.training.calibration import MatchedCalls, PlattScaling, fit_platt, log_loss
from ihc_quant.training.field import UNKNOWN, TrainingField
from ihc_quant.training.figures import (
    count_error,
    count_figures,
    count_positive,
    held_out_figures,
    judge,
    measurement_errors,
)
from ihc_quant.training.finishing import Trained, finish_weights
from ihc_quant.training.folds import finish_folds, finish_from_folds
from ihc_quant.training.operating_point import (
    QUICK_POINT,
    OperatingPoint,
    Trials,
    calibrate,
    choose_operating_point,
    choose_positive,
)
from ihc_quant.training.splits import Split
from ihc_quant.training.statements import STAINED
from ihc_quant.training.targets import targets_of

MakeField = Callable[..., TrainingField]


class Oracle(CellNetwork):
    """Answers with the targets of the fields it was given, recognised by their pixels."""

    def __init__(self, fields: list[TrainingField]) -> None:
        super().__init__(Architecture(widths=(4, 4), encoder_blocks=(0, 0), decoder_blocks=(0,), fold=2))
        self.answers = {field.rgb.tobytes(): targets_of(field, 0.5).values for field in fields}
        self.sizes = {field.rgb.shape[:2] for field in fields}

    def forward(self, image: Tensor) -> Tensor:
        rgb = torch.round(255 * (1 - image[0])).to(torch.uint8).permute(1, 2, 0).numpy()
        values = np.full((3, *rgb.shape[:2]), 0.01, np.float32)
        for height, width in self.sizes:
            within = np.s_[AROUND_PX : AROUND_PX + height, AROUND_PX : AROUND_PX + width]
            known = self.answers.get(np.ascontiguousarray(rgb[within]).tobytes())
            if known is not None:
                values[:, *within] = np.clip(known, 0.01, 0.99)
        return torch.from_numpy(np.log(values / (1 - values)))[None]


@pytest.fixture
def fields(make_field: MakeField) -> list[TrainingField]:
    return [make_field("cd138", "a", 0), make_field("bcdata", "b", 1), make_field("painted", "c", 2)]


def test_a_network_that_knows_scores_full_marks(fields: list[TrainingField]) -> None:
    scores = quick_scores(Oracle(fields), fields, 0.5)
    assert scores.pop("mean") == 1
    assert scores == {f"{f.source}_{call}_f1": 1 for f in fields for call in ("negative", "positive")}


def test_a_network_that_says_nothing_scores_nothing(fields: list[TrainingField]) -> None:
    network = CellNetwork(ARCHITECTURES["plain"]).eval()
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
    positive = int((half.calls == 1).sum())
    assert count_in_valid(found, 0.5, positive=True) == (positive, positive)
    assert count_in_valid(found, 0.5, positive=False) == (left.sum(), left.sum())


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
    assert count_in_valid(found, 0.5, positive=True) is None, "how many are positive is not known"
    assert count_in_valid(found, 0.5, positive=False) == (len(calls), len(calls))


@pytest.mark.parametrize("call", [0, 1])
def test_cells_of_unknown_call_are_neither_rightly_nor_wrongly_called(fields: list[TrainingField], call: int) -> None:
    of_call = np.flatnonzero(fields[0].calls == call)
    calls = fields[0].calls.copy()
    calls[of_call[:2]] = UNKNOWN
    (maps,) = run_network(Oracle(fields), fields[:1])
    (found,) = cells_of([FieldMaps(replace(fields[0], calls=calls), maps.logits)], 0.5, CellSettings())
    detection = detect_cells(found, 0.5)
    assert (detection.positive.f1, detection.negative.f1) == (1, 1)
    assert detection.positive.tp + detection.negative.tp == len(calls) - 2
    assert detection.either.tp == len(calls)
    assert percent_error(found, 0.5) == pytest.approx(0)


def test_a_missed_cell_of_unknown_call_takes_no_found_one_from_its_neighbour(fields: list[TrainingField]) -> None:
    field = fields[0]
    assert field.points_px is not None
    beside = field.points_px[:1] + np.array(
        [4, 0]
    )  # 2 µm: near enough to be paired, farther than the found cell's own mark
    marked = replace(
        field,
        points_px=np.vstack([field.points_px, beside]),
        calls=np.append(field.calls, np.int8(UNKNOWN)),
    )
    (maps,) = run_network(Oracle(fields), fields[:1])
    (found,) = cells_of([FieldMaps(marked, maps.logits)], 0.5, CellSettings())
    detection = detect_cells(found, 0.5)
    assert detection.positive.tp + detection.negative.tp == len(field.calls)
    assert (detection.positive.fn, detection.negative.fn, detection.either.fn) == (0, 0, 1)


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
    assert 0.2 <= choose_positive(cells_of(results, 0.5, settings, scaling)) <= 0.9


def test_the_figures_of_a_perfect_network_are_perfect(fields: list[TrainingField]) -> None:
    oracle = Oracle(fields)
    point = choose_operating_point(run_network(oracle, fields[:2]), 0.5)
    judged = judge(run_network(oracle, fields), 0.5, point)
    figures = held_out_figures(judged)
    assert list(figures) == ["cd138", "bcdata", "painted"]
    for of_source in figures.values():
        assert of_source["positive"]["f1"] == of_source["negative"]["f1"] == of_source["either"]["f1"] == 1
        assert of_source["sensitivity"] == of_source["specificity"] == 1
        assert of_source["percent_positive_bias_points"] == 0
        assert sum(count for _, _, count in of_source["reliability"]) == of_source["either"]["tp"]
        assert "by_group" not in of_source
    errors = measurement_errors(judged, "here")
    assert [(e.source, e.marker, e.images, e.patients) for e in errors] == [
        ("cd138", "CD138", 1, 1),
        ("bcdata", "Ki-67", 1, 1),
    ]
    assert all((e.sensitivity, e.specificity, e.bias_points) == (1, 1, 0) for e in errors)
    assert [e.positive_cells + e.negative_cells for e in errors] == [len(field.calls) for field in fields[:2]]
    counted = {field.name: (field.rgb, int((field.calls == 1).sum())) for field in fields}
    counts = count_figures(*count_positive(oracle, counted, 0.5, point))
    assert sum(each["images"] for each in counts.values()) == 3
    assert all(each["bias"] == each["relative_bias"] == 0 for each in counts.values())
    assert all(each["relative_bias_interval"] == [0, 0] for each in counts.values())


def test_the_error_of_counts_is_that_of_images_with_enough_cells(
    make_field: MakeField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ihc_quant.training.figures.LEAST_TRUE_CELLS", 4)
    fields = [replace(make_field("cd138", name, seed), group=name[0]) for seed, name in enumerate(("a1", "a2", "b1"))]
    marked = [len(field.calls) for field in fields]
    judged = judge(run_network(Oracle(fields), fields), 0.5, QUICK_POINT)
    # Of the first image three cells are marked, which are too few, and of the second half of those that were found.
    few = replace(fields[0], points_px=fields[0].points_px[:3], calls=np.ones(3, np.int8))  # type: ignore[index]
    half = marked[1] // 2
    fewer = replace(fields[1], points_px=fields[1].points_px[:half], calls=fields[1].calls[:half])  # type: ignore[index]
    changed = [
        replace(each, found=replace(each.found, field=field))
        for each, field in zip(judged, (few, fewer, fields[2]), strict=True)
    ]
    error = count_error(changed, positive=False)
    assert error is not None
    assert (error.images, error.patients, error.least_cells) == (2, 2, 4)
    assert error.cells == half + marked[2]
    logs = [np.log((marked[1] + 0.5) / (half + 0.5)), 0.0]
    assert (error.bias_log, error.sd_log) == pytest.approx((np.mean(logs), np.std(logs, ddof=1)), abs=1e-4)
    assert count_error(changed[:1], positive=False) is None
    assert count_error(changed[:1], positive=True) is None
    (whole,) = measurement_errors(judged, "here")
    assert whole.cell_count == count_error(judged, positive=False)
    assert whole.positive_count == count_error(judged, positive=True)


def test_groups_of_several_images_have_figures_of_their_own(make_field: MakeField) -> None:
    fields = [replace(make_field("cd138", name, seed), group=name[0]) for seed, name in enumerate(("a1", "a2", "b1"))]
    judged = judge(run_network(Oracle(fields), fields), 0.5, QUICK_POINT)
    figures = held_out_figures(judged)["cd138"]
    assert {group: each["images"] for group, each in figures["by_group"].items()} == {"a": 2, "b": 1}
    assert sum(each["either"]["tp"] for each in figures["by_group"].values()) == figures["either"]["tp"]
    (error,) = measurement_errors(judged, "here")
    assert (error.images, error.patients) == (3, 2)
    assert [each.positive_cells + each.negative_cells for each in error.by_patient] == [
        figures["by_group"][group]["either"]["tp"] for group in ("a", "b")
    ]


def test_each_marker_has_the_calls_of_its_own_patients(make_field: MakeField) -> None:
    shown = (("a", "CCR4"), ("a", "CD4"), ("b", "CD4"))
    fields = [
        replace(make_field("laboratory", f"{group}{marker}", seed), group=group, marker=marker, tissue="skin")
        for seed, (group, marker) in enumerate(shown)
    ]
    errors = measurement_errors(judge(run_network(Oracle(fields), fields), 0.5, QUICK_POINT), "here")
    assert [(each.marker, each.patients, len(each.by_patient)) for each in errors] == [("CCR4", 1, 1), ("CD4", 2, 2)]
    for error in errors:
        assert sum(each.positive_cells for each in error.by_patient) == error.positive_cells
        assert sum(each.negative_cells for each in error.by_patient) == error.negative_cells


def test_markers_and_tissues_of_a_laboratory_have_errors_of_their_own(make_field: MakeField) -> None:
    shown = [("CCR4", "skin"), ("CCR4", "skin"), ("CCR4", "lymph node"), ("CD4", "skin")]
    fields = [
        replace(make_field("laboratory", f"f{seed}", seed), marker=marker, tissue=tissue)
        for seed, (marker, tissue) in enumerate(shown)
    ]
    errors = measurement_errors(judge(run_network(Oracle(fields), fields), 0.5, QUICK_POINT), "here")
    assert [(e.source, e.marker, e.tissue, e.images) for e in errors] == [
        ("laboratory", "CCR4", "skin", 2),
        ("laboratory", "CCR4", "lymph node", 1),
        ("laboratory", "CD4", "skin", 1),
    ]


def test_each_field_is_called_at_its_own_threshold(fields: list[TrainingField]) -> None:
    maps = run_network(Oracle(fields), fields[:1])
    strict = replace(QUICK_POINT, positive=0.999)
    lenient, severe = (judge(maps, 0.5, point) for point in (QUICK_POINT, strict))
    both = held_out_figures([*lenient, *severe])["cd138"]
    assert held_out_figures(lenient)["cd138"]["sensitivity"] == 1
    assert held_out_figures(severe)["cd138"]["sensitivity"] == 0
    assert both["sensitivity"] == pytest.approx(0.5)
    assert both["positive"]["fn"] == both["positive"]["tp"]


def test_where_no_positive_cell_is_marked_false_ones_give_no_f1(fields: list[TrainingField]) -> None:
    unmarked = replace(fields[0], calls=np.zeros_like(fields[0].calls))
    figures = held_out_figures(judge(run_network(Oracle(fields), [unmarked]), 0.5, QUICK_POINT))["cd138"]["positive"]
    assert figures["fp"] > 0
    assert (figures["f1"], figures["precision"], figures["recall"]) == (None, 0, None)


def trained(folder: Path, split: Split, settings: dict[str, object]) -> Trained:
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(arrays_of(CellNetwork(ARCHITECTURES["plain"]).state_dict()), folder / "best.safetensors")
    return Trained(folder, split, {}, settings)


def test_weights_are_finished_even_where_nothing_was_learned(fields: list[TrainingField], tmp_path: Path) -> None:
    split = Split((), tuple(fields[:2]), (fields[2],))
    run = trained(tmp_path / "v1.5", split, {"encoder": "plain", "pixel_um": 0.5, "seed": 3})
    target = tmp_path / "new" / "folder" / "v1.5"
    card = finish_weights(run, target)
    assert read_card(target.with_name("v1.5.json")) == card
    assert load_weights(target.with_name("v1.5.json")).card.name == "v1.5"
    assert np.isfinite(card.calibration.slope)
    assert [(source.name, source.role, source.images) for source in card.sources] == [
        ("cd138", "validation", 1),
        ("bcdata", "validation", 1),
        ("painted", "test", 1),
    ]
    json.loads(target.with_name("v1.5.json").read_text(), parse_constant=pytest.fail)
    with pytest.raises(SettingsError, match="validation"):
        finish_weights(
            trained(tmp_path / "bare", Split((), (), ()), {"encoder": "plain", "pixel_um": 0.5, "seed": 3}), target
        )


def test_the_operating_point_is_chosen_without_a_look_at_the_test(
    fields: list[TrainingField], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watched(network: CellNetwork, looked_at: list[TrainingField]) -> list[FieldMaps]:
        seen.extend(field.name for field in looked_at)
        return run_network(network, looked_at)

    def chosen(results: list[FieldMaps], pixel_um: float) -> OperatingPoint:
        seen.append("chosen")
        return OperatingPoint(CellSettings(), PlattScaling(), 0.5, (0.3, 0.8))

    monkeypatch.setattr("ihc_quant.training.finishing.run_network", watched)
    monkeypatch.setattr("ihc_quant.training.finishing.choose_operating_point", chosen)
    run = trained(
        tmp_path / "x",
        Split((), tuple(fields[:1]), tuple(fields[1:])),
        {"encoder": "plain", "pixel_um": 0.5, "seed": 3},
    )
    card = finish_weights(run, tmp_path / "x")
    assert seen == ["a", "chosen", "b", "c"]
    assert card.thresholds.uncertain == (0.3, 0.8)
    assert asdict(PlattScaling()) == {"slope": card.calibration.slope, "intercept": card.calibration.intercept}


def test_no_patient_chooses_the_point_it_is_measured_at(
    make_field: MakeField, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def chosen(results: list[FieldMaps], pixel_um: float, trials: Trials) -> OperatingPoint:
        seen.append({result.field.name for result in results})
        return QUICK_POINT

    monkeypatch.setattr("ihc_quant.training.folds.choose_operating_point", chosen)
    fields = [make_field("cd138", name, seed) for seed, name in enumerate("abc")]
    foreign = [make_field("bcdata", name, seed) for seed, name in enumerate("def")]
    folds = [
        trained(
            tmp_path / f"fold-{number}",
            Split(tuple(field for field in fields if field is not held), (), (held, foreign[number])),
            {"encoder": "plain", "pixel_um": 0.5, "seed": 3},
        )
        for number, held in enumerate(fields)
    ]
    cards = finish_folds(folds, range(3))
    # A set that no fold learned from, d to f, chooses nothing.
    assert seen == [{"b", "c"}, {"a", "c"}, {"a", "b"}]
    assert [card.split["test"] for card in cards] == [
        [f"bcdata/{f}", f"cd138/{c}"] for c, f in zip("abc", "def", strict=True)
    ]
    assert [card.metrics["cd138"]["images"] for card in cards] == [1, 1, 1]
    assert (tmp_path / "fold-1" / "weights.safetensors").exists()
    # Which images of BCData are of one patient nobody knows, so folds cannot be by patient there.
    whole = trained(tmp_path / "whole", Split(tuple(fields), (), ()), {"encoder": "plain", "pixel_um": 0.5, "seed": 3})
    monkeypatch.setattr("ihc_quant.training.folds.measurement_errors", lambda _, how: list(map(error_on, STAINED[:2])))
    card = finish_from_folds(whole, tmp_path / "w", folds)
    assert [error.how for error in card.measurement] == [
        "out-of-fold, 3 folds by patient",
        "out-of-fold, 3 folds by image",
    ]


def error_on(source: str) -> MeasurementError:
    return MeasurementError(source, "x", "y", "out-of-fold", 1, 1, 0.0, 0.0, 0, 0, None, None)
