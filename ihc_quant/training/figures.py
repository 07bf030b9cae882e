"""The figures of a card: how good a network is at its operating point, on fields that chose nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError, PatientCalls
from ihc_quant.evaluation.counting import count_errors
from ihc_quant.evaluation.matching import ClassDetection, Detection
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.training.assessment import (
    FieldCells,
    FieldMaps,
    cells_of,
    count_in_valid,
    detect_cells,
    matched_calls,
    percent_error,
    run_network,
)
from ihc_quant.training.calibration import MatchedCalls, calibration_error, reliability_bins
from ihc_quant.training.field import TrainingField
from ihc_quant.training.operating_point import OperatingPoint
from ihc_quant.training.sources import Counted
from ihc_quant.training.statements import shown_in

RESAMPLES = 2000
"""Resamples of a bootstrap interval."""
LEAST_TRUE_CELLS = 10
"""True cells from which on an image tells the error of a count: one cell is then at most a tenth of them."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedField:
    """Cells of a field, and the operating point at which they were found and are called."""

    found: FieldCells
    point: OperatingPoint


def judge(results: Sequence[FieldMaps], pixel_um: float, point: OperatingPoint) -> list[JudgedField]:
    """Return the cells of fields at an operating point."""
    return [JudgedField(found, point) for found in cells_of(results, pixel_um, point.cells, point.scaling)]


def held_out_figures(judged: Sequence[JudgedField]) -> dict[str, Any]:
    """Return the figures of each source, and of each group of a source whose groups have several images."""
    figures: dict[str, Any] = {}
    for source, fields in _by(judged, lambda field: field.source).items():
        figures[source] = source_figures(fields)
        groups = _by(fields, lambda field: field.group)
        if max(map(len, groups.values())) > 1:
            figures[source]["by_group"] = {group: source_figures(of_group) for group, of_group in groups.items()}
    return figures


def source_figures(judged: Sequence[JudgedField]) -> dict[str, Any]:
    """Return the figures of fields; None where a figure has nothing to stand on."""
    detection = sum((detect_cells(each.found, each.point.positive) for each in judged), ClassDetection())
    matched = [matched_calls([each.found]) for each in judged]
    calls = MatchedCalls.concatenate(matched)
    called = _called(judged, matched)
    errors = _percent_errors(judged)
    return {
        "images": len(judged),
        "positive": _figures(detection.positive),
        "negative": _figures(detection.negative),
        "either": _figures(detection.either),
        "sensitivity": _share(called[calls.positive]),
        "specificity": _share(~called[~calls.positive]),
        "uncertain_share": _share(np.concatenate([_uncertain(each) for each in judged])),
        "calibration_error": _rounded(calibration_error(calls), 4),
        "reliability": [[round(p, 4), round(share, 4), count] for p, share, count in reliability_bins(calls)],
        "percent_positive_images": len(errors),
        "percent_positive_bias_points": _rounded(float(np.mean(errors)), 2) if errors else None,
        "percent_positive_sd_points": _rounded(_spread(errors), 2) if errors else None,
    }


def measurement_errors(judged: Sequence[JudgedField], how: str) -> tuple[MeasurementError, ...]:
    """Return the network's own error on each source with a real chromogen, and for each marker and tissue of it apart.

    ``how`` says how it was measured: ``"out-of-fold, by patient"``.
    """
    measured = []
    for (source, shown), fields in _by(judged, lambda field: (field.source, shown_in(field))).items():
        errors = _percent_errors(fields)
        if shown is None or not errors:
            continue
        calls = _calls(fields)
        measured.append(
            MeasurementError(
                source=source,
                marker=shown[0],
                tissue=shown[1],
                how=how,
                images=len(errors),
                patients=len({each.found.field.group for each in fields if _percent_errors([each])}),
                bias_points=round(float(np.mean(errors)), 3),
                sd_points=round(_spread(errors), 3),
                **asdict(calls),
                by_patient=tuple(_calls(of_patient) for of_patient in _by(fields, lambda field: field.group).values()),
                positive_count=count_error(fields, positive=True),
                cell_count=count_error(fields, positive=False),
            )
        )
    return tuple(measured)


def _calls(judged: Sequence[JudgedField]) -> PatientCalls:
    """Return how found cells were called, of one patient or of several taken together."""
    matched = [matched_calls([each.found]) for each in judged]
    positive = MatchedCalls.concatenate(matched).positive
    called = _called(judged, matched)
    return PatientCalls(
        positive_cells=int(positive.sum()),
        negative_cells=int((~positive).sum()),
        sensitivity=_share(called[positive]),
        specificity=_share(~called[~positive]),
    )


def count_error(judged: Sequence[JudgedField], *, positive: bool) -> LogCountError | None:
    """Return the error of the number of cells, or of positive cells alone, on a logarithmic scale.

    None where no image holds ``LEAST_TRUE_CELLS`` true ones. Cells outside the part in which they were marked count
    neither as found nor as true.
    """
    counts = [(each, count_in_valid(each.found, each.point.positive, positive=positive)) for each in judged]
    kept = [(each, *count) for each, count in counts if count is not None and count[1] >= LEAST_TRUE_CELLS]
    if not kept:
        return None
    errors = [math.log((found + 0.5) / (true + 0.5)) for _, found, true in kept]
    return LogCountError(
        images=len(kept),
        patients=len({each.found.field.group for each, _, _ in kept}),
        least_cells=LEAST_TRUE_CELLS,
        cells=sum(true for _, _, true in kept),
        bias_log=round(float(np.mean(errors)), 4),
        sd_log=round(_spread(errors), 4),
    )


def count_positive(
    network: CellNetwork, counted: Counted, pixel_um: float, point: OperatingPoint
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the found and the true number of positive cells of each crop, both int64 of shape (n,)."""
    nothing = np.empty(0, np.int8)
    fields = [
        TrainingField("counted", name, name, rgb, None, nothing, None, np.zeros(rgb.shape[:2], np.bool_))
        for name, (rgb, _) in counted.items()
    ]
    judged = judge(run_network(network, fields), pixel_um, point)
    found = [int((each.found.cells.p_positive >= point.positive).sum()) for each in judged]
    return np.array(found, np.int64), np.array([count for _, count in counted.values()], np.int64)


def count_figures(found: NDArray[np.int64], true: NDArray[np.int64]) -> dict[str, Any]:
    """Return the errors of the number of positive cells, for each true number apart, with bootstrap intervals.

    Relative errors are shares of the true number; each interval holds 95 % of the figures of ``RESAMPLES`` draws of the
    same crops with replacement.
    """
    figures: dict[str, Any] = {}
    for count in np.unique(true):
        error = (found - true)[true == count].astype(np.float64)
        relative = error / max(1, int(count))
        errors = count_errors(found[true == count], true[true == count])
        assert errors is not None  # each number comes from a crop
        figures[f"crops_with_{count}"] = {
            **asdict(errors),
            "mean_absolute_error_interval": bootstrap_interval(np.abs(error), np.mean),
            "median_relative_error": round(float(np.median(np.abs(relative))), 4),
            "median_relative_error_interval": bootstrap_interval(np.abs(relative), np.median),
            "relative_bias": round(float(relative.mean()), 4),
            "relative_bias_interval": bootstrap_interval(relative, np.mean),
        }
    return figures


def summary_of(metrics: Mapping[str, Any]) -> str:
    """Return the main figures of a card, a line for each source and for each number of cells of the counted crops.

    Examples
    --------
    >>> figures = {"positive": {"f1": 0.84}, "negative": {"f1": None}, "calibration_error": 0.0312}
    >>> print(summary_of({"cd138": {**figures, "percent_positive_bias_points": -0.4}}))
    cd138: F1 positive 0.840, negative none; calibration error 0.031; percentage off by -0.400 points
    """

    def text(value: float | None) -> str:
        return "none" if value is None else f"{value:.3f}"

    lines = [
        f"{source}: F1 positive {text(each['positive']['f1'])}, negative {text(each['negative']['f1'])}; "
        f"calibration error {text(each['calibration_error'])}; "
        f"percentage off by {text(each['percent_positive_bias_points'])} points"
        for source, each in metrics.items()
        if "positive" in each
    ]
    lines += [
        f"{source}, {name.replace('_', ' ')}: mean absolute error {text(each['mean_absolute_error'])}, "
        f"median relative error {text(each['median_relative_error'])}, relative bias {text(each['relative_bias'])}"
        for source, figures in metrics.items()
        for name, each in figures.items()
        if name.startswith("crops_with_")
    ]
    return "\n".join(lines)


def bootstrap_interval(values: NDArray[np.float64], statistic: Callable[..., Any]) -> list[float]:
    """Return the percentile interval of 95 % of a statistic of values (n,), n > 0, always from the same draws."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return [round(float(end), 4) for end in np.quantile(statistic(values[drawn], axis=1), (0.025, 0.975))]


def _by(judged: Sequence[JudgedField], key: Callable[[TrainingField], K]) -> dict[K, list[JudgedField]]:
    parts: dict[K, list[JudgedField]] = {}
    for each in judged:
        parts.setdefault(key(each.found.field), []).append(each)
    return parts


def _called(judged: Sequence[JudgedField], matched: Sequence[MatchedCalls]) -> NDArray[np.bool_]:
    """Return which matched cells are called positive, each at the threshold of its own field."""
    calls = [calls.p_positive >= each.point.positive for each, calls in zip(judged, matched, strict=True)]
    return np.concatenate([np.empty(0, np.bool_), *calls])


def _uncertain(judged: JudgedField) -> NDArray[np.bool_]:
    found, (low, high) = judged.found, judged.point.uncertain
    p = found.cells.p_positive[found.in_valid(found.found_um)]
    return np.asarray((p >= low) & (p < high), np.bool_)


def _percent_errors(judged: Sequence[JudgedField]) -> list[float]:
    errors = (percent_error(each.found, each.point.positive) for each in judged)
    return [error for error in errors if error is not None]


def _spread(errors: Sequence[float]) -> float:
    return float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0


def _figures(detection: Detection) -> dict[str, float | int | None]:
    # Where no such cell is marked, one false one would make F1 0: as a verdict on the network that says nothing.
    f1 = None if detection.recall is None else detection.f1
    ratios = {"f1": f1, "precision": detection.precision, "recall": detection.recall}
    return {name: _rounded(ratio, 4) for name, ratio in ratios.items()} | asdict(detection)


def _share(values: NDArray[np.bool_]) -> float | None:
    return _rounded(float(values.mean()), 4) if len(values) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
