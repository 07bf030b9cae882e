"""The figures of a card: how good a network is at its operating point, on fields that chose nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.evaluation.counting import count_errors
from ihc_quant.evaluation.matching import Detection
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.training.assessment import (
    FieldCells,
    cells_of,
    detect_by_source,
    matched_calls,
    percent_error,
    run_network,
)
from ihc_quant.training.calibration import calibration_error
from ihc_quant.training.field import TrainingField
from ihc_quant.training.operating_point import OperatingPoint


def held_out_figures(
    network: CellNetwork, fields: Sequence[TrainingField], pixel_um: float, point: OperatingPoint
) -> dict[str, Any]:
    """Return the figures of each source among the fields."""
    found = cells_of(run_network(network, fields), pixel_um, point.cells, point.scaling)
    return {
        source: source_figures([each for each in found if each.field.source == source], point.positive)
        for source in dict.fromkeys(field.source for field in fields)
    }


def source_figures(found: Sequence[FieldCells], threshold: float) -> dict[str, Any]:
    """Return the figures of the fields of one source; None where a figure has nothing to stand on."""
    (detection,) = detect_by_source(found, threshold).values()
    calls = matched_calls(found)
    called = calls.p_positive >= threshold
    errors = [error for each in found if (error := percent_error(each, threshold)) is not None]
    return {
        "images": len(found),
        "positive": _figures(detection.positive),
        "negative": _figures(detection.negative),
        "either": _figures(detection.either),
        "sensitivity": _share(called[calls.positive]),
        "specificity": _share(~called[~calls.positive]),
        "calibration_error": _rounded(calibration_error(calls), 4),
        "percent_positive_bias_points": _rounded(float(np.mean(errors)), 2) if errors else None,
        "percent_positive_sd_points": _rounded(float(np.std(errors)), 2) if errors else None,
    }


def count_figures(
    network: CellNetwork,
    counted: Mapping[str, tuple[NDArray[np.uint8], int]],
    pixel_um: float,
    point: OperatingPoint,
) -> dict[str, Any]:
    """Return the errors of the count of positive cells, for each true count apart.

    ``counted`` gives for each image its pixels, uint8 (H, W, 3), and the number of positive cells in it.
    """
    fields = [
        TrainingField("counted", name, name, rgb, None, np.empty(0, np.int8), None, np.zeros(rgb.shape[:2], np.bool_))
        for name, (rgb, _) in counted.items()
    ]
    cells = cells_of(run_network(network, fields), pixel_um, point.cells, point.scaling)
    found = np.array([(each.cells.p_positive >= point.positive).sum() for each in cells], np.int64)
    true = np.array([count for _, count in counted.values()], np.int64)
    figures = {}
    for count in np.unique(true):
        errors = count_errors(found[true == count], true[true == count])
        if errors is not None:
            figures[f"crops_with_{count}"] = asdict(errors)
    return figures


def _figures(detection: Detection) -> dict[str, float | int | None]:
    ratios = {"f1": detection.f1, "precision": detection.precision, "recall": detection.recall}
    return {name: _rounded(ratio, 4) for name, ratio in ratios.items()} | asdict(detection)


def _share(values: NDArray[np.bool_]) -> float | None:
    return _rounded(float(values.mean()), 4) if len(values) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
