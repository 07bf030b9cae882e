"""From trained checkpoints to weights with a card.

Where patients are held out for it, the operating point is chosen on the validation part and the test part is looked at
once. Weights that learned from everything get theirs from the folds of the same recipe, see ``folds``.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.card import (
    ARCHITECTURES,
    WEIGHTS_FOLDER,
    Calibration,
    DataSource,
    FoldsNetwork,
    Thresholds,
    WeightsCard,
    file_sha256,
    read_card,
)
from ihc_quant.network.torch_predictor import arrays_of, network_of
from ihc_quant.network.weights import load_arrays, save_arrays
from ihc_quant.training.assessment import run_network
from ihc_quant.training.charts import draw_reliability
from ihc_quant.training.figures import (
    count_figures,
    count_positive,
    held_out_figures,
    judge,
    measurement_errors,
)
from ihc_quant.training.operating_point import OperatingPoint, choose_operating_point
from ihc_quant.training.runs import note_finished
from ihc_quant.training.sources import Counted
from ihc_quant.training.splits import Split
from ihc_quant.training.starts import LEARNED_BEFORE, learned_before
from ihc_quant.training.state import START
from ihc_quant.training.statements import (
    STAINED,
    inherited_sources,
    known_failures,
    licence_of,
    sources_of,
    validated_for,
)

UNKNOWN_ORIGIN = "nobody states what the starting weights learned from, so held-out images may be among it"
"""Caution on the figures of weights that started from others without a card."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A run that has been trained, and what was held out from it.

    Attributes
    ----------
    folder : Path
        Of the run; ``best.safetensors`` is what it made.
    split : Split
        As in training.
    counted : mapping of image name to (rgb, count)
        Crops of the LYSTO set that it did not learn from.
    settings : mapping
        The run's settings, for the card; ``encoder``, ``pixel_um`` and ``seed`` among them.
    """

    folder: Path
    split: Split
    counted: Counted
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the run and of its weights."""
        return self.folder.name

    @property
    def checkpoint(self) -> Path:
        """What the run made."""
        return self.folder / "best.safetensors"

    @property
    def pixel_um(self) -> float:
        """The network's pixel size."""
        return float(self.settings["pixel_um"])

    def network(self) -> CellNetwork:
        """Return the trained network in evaluation mode, on the GPU where there is one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        architecture = ARCHITECTURES[self.settings["encoder"]]
        return network_of(load_arrays(self.checkpoint), architecture).to(device)

    def sources(self) -> list[DataSource]:
        """Return what the card says of each set: what it was used for, and how many of its images were."""
        parts = {"training": self.split.training, "validation": self.split.validation, "test": self.split.test}
        return sources_of(parts, len(self.counted))

    def groups(self) -> dict[str, list[str]]:
        """Return the groups of each part, the counted crops among the tested ones."""
        groups = self.split.groups()
        return groups | {"test": sorted([*groups["test"], *(f"lysto/{name}" for name in self.counted)])}


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What was measured of weights, and where they work.

    Attributes
    ----------
    point : OperatingPoint
    fitted_on : str
        What the point was chosen on.
    metrics : mapping
        Figures by source.
    measurement : tuple of MeasurementError
    figures_of : str
        Which weights the figures are of, where not of those that the card belongs to.
    split : mapping of part to groups
    training : mapping
        What the card says of the training beside the settings.
    """

    point: OperatingPoint
    fitted_on: str
    metrics: Mapping[str, Any]
    measurement: tuple[MeasurementError, ...]
    split: Mapping[str, list[str]]
    figures_of: str = ""
    training: Mapping[str, Any] | None = None


def finish_weights(trained: Trained, target: Path) -> WeightsCard:
    """Choose the operating point on the validation part, test once, write ``<target>.safetensors`` and ``.json``.

    Raises
    ------
    SettingsError
        Where no stained field is held out for validation.
    WeightsError
        Where the checkpoint cannot be read.
    """
    stained = [field for field in trained.split.validation if field.source in STAINED]
    if not stained:
        raise SettingsError(f"the validation part holds no field of {' or '.join(STAINED)} to choose on.")
    network = trained.network()
    point = choose_operating_point(run_network(network, stained), trained.pixel_um)
    judged = judge(run_network(network, trained.split.test), trained.pixel_um, point)
    counts = count_positive(network, trained.counted, trained.pixel_um, point)
    verdict = Verdict(
        point=point,
        fitted_on="matched cells of the validation part",
        metrics={**held_out_figures(judged), "lysto": count_figures(*counts)},
        measurement=measurement_errors(judged, "on held-out images"),
        split=trained.groups(),
    )
    return write_weights(trained, target, verdict)


def write_weights(trained: Trained, target: Path, verdict: Verdict) -> WeightsCard:
    """Write weights and card, and ``reliability.png`` into the run's folder."""
    point = verdict.point
    # Checked before earlier weights of this name are replaced.
    calibration = Calibration(slope=point.scaling.slope, intercept=point.scaling.intercept, fitted_on=verdict.fitted_on)
    thresholds = Thresholds(
        centre=point.cells.centre_threshold,
        presence=point.cells.presence_threshold,
        extent=point.cells.extent_threshold,
        positive=point.positive,
        uncertain=point.uncertain,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    network = trained.network()
    digest = save_arrays(arrays_of(network.state_dict()), target.with_name(f"{target.name}.safetensors"))
    note_finished(trained.folder, digest)
    start, kept_card = trained.folder / f"{START}.safetensors", trained.folder / f"{START}.json"
    start_card = read_card(kept_card) if kept_card.exists() else None
    inherited = inherited_sources(start, start_card)
    split = dict(verdict.split) | ({LEARNED_BEFORE: sorted(learned_before(start_card))} if start_card else {})
    sources = (*trained.sources(), *inherited)
    origin_known = start_card is not None or bool(inherited) or not start.exists()
    cautions = [text for text in (trained.settings.get("caution", ""), "" if origin_known else UNKNOWN_ORIGIN) if text]
    card = WeightsCard(
        name=trained.name,
        created=datetime.now(UTC).date().isoformat(),
        sha256=digest,
        pixel_um=trained.pixel_um,
        normalisation="1 - sRGB / 255",
        architecture=network.architecture,
        calibration=calibration,
        thresholds=thresholds,
        licence=licence_of(sources, origin_known=origin_known),
        validated_for=validated_for(sources, verdict.measurement),
        sources=sources,
        split=split,
        seed=int(trained.settings["seed"]),
        metrics=dict(verdict.metrics),
        known_failures=known_failures(sources, verdict.metrics),
        training={**trained.settings, **(verdict.training or {})},
        figures_of="; ".join([verdict.figures_of or "these weights", *cautions]) if cautions else verdict.figures_of,
        started_from=file_sha256(start) if start.exists() else "",
        measurement=verdict.measurement,
        folds=_folds_named_before(target.with_name(f"{target.name}.json")) or _folds_of(start_card),
    )
    target.with_name(f"{target.name}.json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draw_reliability(card.metrics, trained.folder / "reliability.png")
    return card


def _folds_named_before(path: Path) -> FoldsNetwork | None:
    """Return the network for folds that the card named before: cells taught anew change nothing of it."""
    with suppress(WeightsError):
        return read_card(path).folds
    return None


def _folds_of(start: WeightsCard | None) -> FoldsNetwork | None:
    """Return the network for folds of the weights that training started from, where it is still the one they name."""
    if start is None or start.folds is None:
        return None
    path = WEIGHTS_FOLDER / "folds" / f"{start.folds.name}.safetensors"
    return start.folds if path.is_file() and file_sha256(path) == start.folds.sha256 else None
