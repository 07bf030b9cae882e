"""From a trained checkpoint to weights with a card.

The operating points and the calibration are chosen on the validation patients; the test patients are looked at once, at
those points, and their figures stand in the card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ihc_quant.cells.find import CellSettings
from ihc_quant.evaluation.counting import count_errors
from ihc_quant.evaluation.matching import ClassDetection
from ihc_quant.network.architecture import Architecture, CellNetwork
from ihc_quant.network.card import (
    ArchitectureCard,
    Calibration,
    DataSource,
    Thresholds,
    WeightsCard,
)
from ihc_quant.network.torch_predictor import arrays_of, network_of
from ihc_quant.network.weights import load_arrays, save_arrays
from ihc_quant.training.assessment import FieldMaps, MatchedCalls, cells_of, detect_cells, matched_calls, run_network
from ihc_quant.training.field import TrainingField
from ihc_quant.training.splits import Split

CENTRE_THRESHOLDS = np.round(np.arange(0.15, 0.61, 0.05), 2)
"""Heights of a centre peak that are tried."""
POSITIVE_THRESHOLDS = np.round(np.arange(0.2, 0.81, 0.05), 2)
"""Calibrated probabilities that are tried as the threshold of a positive cell."""
UNCERTAIN_HALF_WIDTH = 0.25
"""Calls with a calibrated probability this near to the threshold are uncertain."""
CALIBRATION_BINS = 15
"""Equal-count bins of the expected calibration error."""
STAINED_SOURCES = ("cd138", "bcdata")
"""Sources with a real chromogen, on which operating points and calibration are chosen."""


def finish_weights(
    checkpoint: Path,
    target: Path,
    split: Split,
    counted: Mapping[str, tuple[NDArray[np.uint8], int]],
    sources: Sequence[DataSource],
    settings: Mapping[str, Any],
) -> WeightsCard:
    """Choose the operating points, test once, write ``<target>.safetensors`` and ``<target>.json``.

    Parameters
    ----------
    checkpoint : Path
        Weights to finish.
    target : Path
        Where they go, without suffix.
    split : Split
        As in training.
    counted : mapping of image name to (rgb, count)
        Crops of which only the number of positive cells is known; only tested on.
    sources : sequence of DataSource
        What the card says of the data.
    settings : mapping
        The run's settings, for the card.

    Returns
    -------
    WeightsCard
    """
    pixel_um = float(settings["pixel_um"])
    architecture = Architecture()
    network = network_of(load_arrays(checkpoint), architecture)
    stained = [field for field in split.validation if field.source in STAINED_SOURCES]
    validation = run_network(network, stained, architecture.stride_px)
    centre = choose_centre(validation, pixel_um)
    cell_settings = CellSettings(centre_threshold=centre)
    slope, intercept = fit_platt(gathered_calls(validation, pixel_um, cell_settings))
    positive = choose_positive(validation, pixel_um, cell_settings, slope, intercept)
    metrics: dict[str, Any] = {}
    for source in dict.fromkeys(field.source for field in split.test):
        fields = [field for field in split.test if field.source == source]
        results = run_network(network, fields, architecture.stride_px)
        metrics[source] = source_metrics(results, pixel_um, cell_settings, slope, intercept, positive)
    metrics["lysto"] = count_metrics(network, counted, pixel_um, cell_settings, slope, intercept, positive)
    digest = save_arrays(arrays_of(network.state_dict()), target.with_suffix(".safetensors"))
    card = WeightsCard(
        name=target.name,
        created=datetime.now(UTC).date().isoformat(),
        sha256=digest,
        pixel_um=pixel_um,
        normalisation="1 - sRGB / 255",
        architecture=ArchitectureCard(**asdict(architecture)),
        calibration=Calibration(
            slope=round(slope, 5), intercept=round(intercept, 5), fitted_on="matched cells of the validation patients"
        ),
        thresholds=Thresholds(
            centre=centre,
            extent=cell_settings.extent_threshold,
            positive=positive,
            uncertain=(
                round(max(0.0, positive - UNCERTAIN_HALF_WIDTH), 3),
                round(min(1.0, positive + UNCERTAIN_HALF_WIDTH), 3),
            ),
        ),
        licence=(
            "Research use only: learned in part from image sets that state no licence (see sources). "
            "The code's licence does not extend to these weights."
        ),
        validated_for=VALIDATED_FOR,
        sources=tuple(sources),
        split=split.groups(),
        seed=int(settings["seed"]),
        metrics=metrics,
        known_failures=KNOWN_FAILURES,
        training=dict(settings),
    )
    text = card.model_dump_json(indent=2)
    target.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    return card


VALIDATED_FOR = (
    "CD138 (marrow) on one held-out patient and Ki-67 (breast) on held-out images; not validated for CCR4, CD4 or CD8"
)

KNOWN_FAILURES = (
    "nuclei hidden under strong chromogen are missed or merged",
    "brown pigment (melanin, hemosiderin) may be called positive",
    "elongated stromal nuclei and out-of-focus nuclei are found less often than lymphocytes",
)


def choose_centre(results: Sequence[FieldMaps], pixel_um: float) -> float:
    """Return the height of a centre peak that gives the best mean F1 of detection over the sources."""
    scores = []
    for threshold in CENTRE_THRESHOLDS:
        settings = CellSettings(centre_threshold=float(threshold))
        by_source = total_detection(results, pixel_um, settings, 1.0, 0.0, 0.5)
        scores.append(np.mean([detection.either.f1 or 0.0 for detection in by_source.values()]))
    return float(CENTRE_THRESHOLDS[int(np.argmax(scores))])


def choose_positive(
    results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings, slope: float, intercept: float
) -> float:
    """Return the calibrated probability that gives the best mean F1 of positive cells over the sources."""
    scores = []
    for threshold in POSITIVE_THRESHOLDS:
        by_source = total_detection(results, pixel_um, settings, slope, intercept, float(threshold))
        scores.append(np.mean([detection.positive.f1 or 0.0 for detection in by_source.values()]))
    return float(POSITIVE_THRESHOLDS[int(np.argmax(scores))])


def total_detection(
    results: Sequence[FieldMaps],
    pixel_um: float,
    settings: CellSettings,
    slope: float,
    intercept: float,
    threshold: float,
) -> dict[str, ClassDetection]:
    """Return the matches of all fields of each source."""
    totals: dict[str, ClassDetection] = {}
    for result in results:
        cells = cells_of(result.maps(slope, intercept), result.field.rgb, pixel_um, settings)
        found = detect_cells(result.field, cells, pixel_um, threshold)
        totals[result.field.source] = totals.get(result.field.source, ClassDetection()) + found
    return totals


def gathered_calls(
    results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings, slope: float = 1.0, intercept: float = 0.0
) -> MatchedCalls:
    """Return the matched cells of several fields."""
    parts = []
    for result in results:
        cells = cells_of(result.maps(slope, intercept), result.field.rgb, pixel_um, settings)
        parts.append(matched_calls(result.field, cells, pixel_um))
    return MatchedCalls(
        np.concatenate([part.p_positive for part in parts]), np.concatenate([part.positive for part in parts])
    )


def fit_platt(calls: MatchedCalls) -> tuple[float, float]:
    """Return slope and intercept of Platt scaling (Platt 1999) of the positivity logit."""
    p = np.clip(calls.p_positive, 1e-4, 1 - 1e-4)
    logit = np.log(p / (1 - p))

    def loss(parameters: NDArray[np.float64]) -> float:
        z = parameters[0] * logit + parameters[1]
        return float(np.mean(np.logaddexp(0, z) - calls.positive * z))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(intercept)


def calibration_error(calls: MatchedCalls, bins: int = CALIBRATION_BINS) -> float | None:
    """Return the expected calibration error over bins of equal count; None without cells."""
    if len(calls.positive) == 0:
        return None
    order = np.argsort(calls.p_positive, kind="stable")
    error = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            error += abs(calls.p_positive[part].mean() - calls.positive[part].mean()) * len(part) / len(order)
    return float(error)


def source_metrics(
    results: Sequence[FieldMaps],
    pixel_um: float,
    settings: CellSettings,
    slope: float,
    intercept: float,
    threshold: float,
) -> dict[str, Any]:
    """Return the figures of one source at the chosen operating points."""
    (detection,) = total_detection(results, pixel_um, settings, slope, intercept, threshold).values()
    calls = gathered_calls(results, pixel_um, settings, slope, intercept)
    percent_errors = [error for result in results if (error := _percent_error(result, pixel_um, settings, slope,
                      intercept, threshold)) is not None]  # fmt: skip
    called = calls.p_positive >= threshold
    return {
        "images": len(results),
        "positive": _rounded(detection.positive),
        "negative": _rounded(detection.negative),
        "either": _rounded(detection.either),
        "sensitivity": _share(called[calls.positive]),
        "specificity": _share(~called[~calls.positive]),
        "calibration_error": None if (ece := calibration_error(calls)) is None else round(ece, 4),
        "percent_positive_bias_points": round(float(np.mean(percent_errors)), 2) if percent_errors else None,
        "percent_positive_sd_points": round(float(np.std(percent_errors)), 2) if percent_errors else None,
    }


def _percent_error(result: FieldMaps, pixel_um: float, settings: CellSettings, slope: float, intercept: float,
                   threshold: float) -> float | None:  # fmt: skip
    """Return found less true percentage of positive cells of one image, in points; None without cells."""
    field: TrainingField = result.field
    cells = cells_of(result.maps(slope, intercept), field.rgb, pixel_um, settings)
    if len(cells) == 0 or len(field.calls) == 0:
        return None
    return 100 * float((cells.p_positive >= threshold).mean() - (field.calls == 1).mean())


def count_metrics(
    network: CellNetwork,
    counted: Mapping[str, tuple[NDArray[np.uint8], int]],
    pixel_um: float,
    settings: CellSettings,
    slope: float,
    intercept: float,
    threshold: float,
) -> dict[str, Any]:
    """Return the errors of the count of positive cells, for each true count apart."""
    found, true = [], []
    for name, (rgb, count) in counted.items():
        nothing = np.zeros(rgb.shape[:2], np.bool_)
        field = TrainingField("lysto", name, name, rgb, None, np.empty(0, np.int8), None, nothing)
        (result,) = run_network(network, [field], network.architecture.stride_px)
        cells = cells_of(result.maps(slope, intercept), rgb, pixel_um, settings)
        found.append(int((cells.p_positive >= threshold).sum()))
        true.append(count)
    metrics = {}
    for count in sorted(set(true)):
        rows = np.array(true) == count
        errors = count_errors(np.array(found)[rows], np.array(true)[rows])
        if errors is not None:
            metrics[f"crops_with_{count}"] = asdict(errors)
    return metrics


def _rounded(detection: Any) -> dict[str, float | int | None]:
    ratios = {name: getattr(detection, name) for name in ("f1", "precision", "recall")}
    return {name: None if value is None else round(value, 4) for name, value in ratios.items()} | asdict(detection)


def _share(values: NDArray[np.bool_]) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None
