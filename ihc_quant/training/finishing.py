"""From a trained checkpoint to weights with a card.

The operating point is chosen on the validation patients; the test patients are looked at once, at that point, and
their figures stand in the card.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import Architecture, Calibration, DataSource, Thresholds, WeightsCard
from ihc_quant.network.torch_predictor import arrays_of, network_of
from ihc_quant.network.weights import load_arrays, save_arrays
from ihc_quant.training.assessment import run_network
from ihc_quant.training.figures import count_figures, held_out_figures
from ihc_quant.training.operating_point import OperatingPoint, choose_operating_point
from ihc_quant.training.splits import Split

STAINED_SOURCES = ("cd138", "bcdata", "painted")
"""Sources with a chromogen, real or painted, on which the operating point is chosen; each weighs the same."""
UNCERTAIN_HALF_WIDTH = 0.25
"""Calls with a calibrated probability this near to the threshold are uncertain."""
LARGE_BIAS_POINTS = 3.0
"""A mean error of the percentage from which the card names it among the known failures."""
LICENCE = (
    "Research use only: learned in part from image sets that state no licence (see sources). "
    "The code's licence does not extend to these weights."
)
VALIDATED_FOR = (
    "CD138 (marrow) on one held-out patient and Ki-67 (breast) on held-out images; not validated for CCR4, CD4 or CD8"
)
KNOWN_FAILURES = (
    "nuclei hidden under strong chromogen are missed or merged",
    "brown pigment (melanin, hemosiderin) may be called positive",
    "elongated stromal nuclei and out-of-focus nuclei are found less often than lymphocytes",
)


def finish_weights(
    checkpoint: Path,
    target: Path,
    split: Split,
    counted: Mapping[str, tuple[NDArray[np.uint8], int]],
    sources: Sequence[DataSource],
    settings: Mapping[str, Any],
) -> WeightsCard:
    """Choose the operating point, test once, write ``<target>.safetensors`` and ``<target>.json``.

    Parameters
    ----------
    checkpoint : Path
        Weights to finish.
    target : Path
        Where they go, without suffix.
    split : Split
        As in training.
    counted : mapping of image name to (rgb, count)
        Crops of the LYSTO set, of which only the number of positive cells is known; only tested on.
    sources : sequence of DataSource
        What the card says of the data.
    settings : mapping
        The run's settings, for the card; ``pixel_um`` and ``seed`` among them.

    Returns
    -------
    WeightsCard

    Raises
    ------
    SettingsError
        Where no stained field is held out for validation.
    WeightsError
        Where the checkpoint cannot be read.
    """
    pixel_um = float(settings["pixel_um"])
    architecture = Architecture()
    network = network_of(load_arrays(checkpoint), architecture)
    stained = [field for field in split.validation if field.source in STAINED_SOURCES]
    if not stained:
        raise SettingsError(f"the validation part holds no field of {' or '.join(STAINED_SOURCES)} to choose on.")
    point = choose_operating_point(run_network(network, stained), pixel_um)
    metrics = held_out_figures(network, split.test, pixel_um, point)
    metrics["lysto"] = count_figures(network, counted, pixel_um, point)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = save_arrays(arrays_of(network.state_dict()), target.with_name(f"{target.name}.safetensors"))
    card = WeightsCard(
        name=target.name,
        created=datetime.now(UTC).date().isoformat(),
        sha256=digest,
        pixel_um=pixel_um,
        normalisation="1 - sRGB / 255",
        architecture=architecture,
        calibration=Calibration(
            slope=point.scaling.slope,
            intercept=point.scaling.intercept,
            fitted_on="matched cells of the validation patients",
        ),
        thresholds=thresholds_of(point),
        licence=LICENCE,
        validated_for=VALIDATED_FOR,
        sources=tuple(sources),
        split=split.groups(),
        seed=int(settings["seed"]),
        metrics=metrics,
        known_failures=(*KNOWN_FAILURES, *biases(metrics)),
        training=dict(settings),
    )
    target.with_name(f"{target.name}.json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def biases(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each source whose percentage is off by ``LARGE_BIAS_POINTS`` or more on the test part."""
    return tuple(
        f"on {source} the percentage of positive cells is off by {bias:+.1f} points on average"
        for source, figures in metrics.items()
        if (bias := figures.get("percent_positive_bias_points")) is not None and abs(bias) >= LARGE_BIAS_POINTS
    )


def thresholds_of(point: OperatingPoint) -> Thresholds:
    """Return the thresholds for the card, with the band of uncertain calls around the positive one."""
    low, high = point.positive - UNCERTAIN_HALF_WIDTH, point.positive + UNCERTAIN_HALF_WIDTH
    return Thresholds(
        centre=point.cells.centre_threshold,
        extent=point.cells.extent_threshold,
        positive=point.positive,
        uncertain=(round(max(0.0, low), 3), round(min(1.0, high), 3)),
    )
