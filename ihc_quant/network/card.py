"""The card of a set of weights: what they are, what they learned from and how far they may be trusted.

Reading a card imports no torch, so that commands which only list weights start at once.
"""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ihc_quant.domain.measurement_error import MeasurementError as MeasurementError
from ihc_quant.domain.measurement_error import PatientCalls
from ihc_quant.errors import WeightsError
from ihc_quant.network.inverted_residuals import widths_of

WEIGHTS_FOLDER = Path(__file__).resolve().parents[2] / "weights"
"""Where the shipped weights lie."""


class CardPart(BaseModel):
    """A frozen part of a card that refuses unknown fields and numbers that are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Architecture(CardPart):
    """Shape of the network.

    Attributes
    ----------
    widths : tuple of int
        Channels of each level, finest first.
    encoder_blocks, decoder_blocks : tuple of int
        Convolutions that follow the first one of a level; the coarsest level has no decoder.
    fold : int
        Pixels folded into channels along each axis before the first level.
    encoder : str
        "plain" convolutions, or "efficientnet_lite0": the first ``inverted_residuals`` of each level, whose widths are
        theirs.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    encoder_blocks: tuple[int, ...] = (1, 2, 2, 2)
    decoder_blocks: tuple[int, ...] = (1, 1, 1)
    fold: int = 2
    encoder: Literal["plain", "efficientnet_lite0"] = "plain"

    @model_validator(mode="after")
    def _fits(self) -> "Architecture":
        levels = len(self.widths)
        if levels < 2 or len(self.encoder_blocks) != levels or len(self.decoder_blocks) != levels - 1:
            raise ValueError(f"an architecture of {levels} levels needs as many encoder and one fewer decoder entries")
        if min(*self.widths, self.fold) < 1 or min(*self.encoder_blocks, *self.decoder_blocks) < 0:
            raise ValueError("widths and fold are positive, numbers of blocks are not negative")
        if self.encoder == "efficientnet_lite0" and self.widths != widths_of(self.encoder_blocks):
            raise ValueError(f"an architecture with this encoder has widths {widths_of(self.encoder_blocks)}")
        return self

    @property
    def margin_px(self) -> int:
        """Least margin of a tile, in pixels; a network that sees farther needs more (``benchmarks/tiling.py``)."""
        if self.encoder == "plain":
            return 32
        # Of the level of 16 pixels, the residuals that convolve 5 × 5 come fourth and later.
        return 112 if len(self.encoder_blocks) > 3 and self.encoder_blocks[3] > 3 else 48

    @property
    def stride_px(self) -> int:
        """Pixels of the input in one of the coarsest level; sizes and positions of tiles are multiples of it."""
        return int(self.fold * 2 ** (len(self.widths) - 1))


ARCHITECTURES: dict[str, Architecture] = {
    "plain": Architecture(),
    "efficientnet_lite0": Architecture(
        widths=widths_of((1, 2, 2, 3)),
        encoder_blocks=(1, 2, 2, 3),
        decoder_blocks=(2, 1, 1),
        encoder="efficientnet_lite0",
    ),
}
"""What ``train.py`` makes, by the name of the encoder."""


class Calibration(CardPart):
    """Platt scaling of the positivity logit and where it was fitted.

    A slope of 0 or less would call the cells positive that the network takes for negative.
    """

    slope: float = Field(gt=0)
    intercept: float
    fitted_on: str


class Thresholds(CardPart):
    """Operating points, chosen on patients that the training never saw.

    Attributes
    ----------
    centre : float
        Least height of a peak of the centre map.
    presence : float
        Least mean extent around such a peak; 0 in cards of weights that were made without.
    extent : float
        Least probability of a nucleus pixel.
    positive : float
        Least calibrated probability of a positive cell.
    uncertain : tuple of float
        Band of ``p_positive`` within which a call is uncertain; holds ``positive``.
    """

    centre: float = Field(gt=0, lt=1)
    extent: float = Field(gt=0, lt=1)
    positive: float = Field(gt=0, lt=1)
    uncertain: tuple[float, float]
    presence: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _runs_upwards(self) -> "Thresholds":
        low, high = self.uncertain
        if not 0 <= low <= high <= 1:
            raise ValueError(f"the band of uncertain calls lies within 0 to 1, got {low} to {high}")
        if not low <= self.positive <= high:
            raise ValueError(f"the band of uncertain calls, {low} to {high}, must hold the threshold {self.positive}")
        return self


class DataSource(CardPart):
    """A set that the weights learned from or were tested on.

    Attributes
    ----------
    name, licence : str
    role : str
        What its images were used for.
    images : int
    marker, tissue : str
        What they show, where the name does not tell it, as of a laboratory's own; such a set has an entry for each.
    """

    name: str
    licence: str
    role: str
    images: int
    marker: str = ""
    tissue: str = ""


class FoldsNetwork(CardPart):
    """The network that tells folds on slides scored with these weights, by its name in ``weights/folds``."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    sha256: str


OF_FOLDS = "folds"
"""The ``kind`` that the card of a network for folds states."""
CALLED = (("positive", "sensitivity"), ("negative", "specificity"))
"""Each call, and the rate at which cells of it are called so, as ``metrics`` names them."""


class WeightsCard(CardPart):
    """All that is stated of a set of weights.

    Attributes
    ----------
    figures_of : str
        Which weights the figures were measured on where that is not these themselves: "the fold models of the same
        recipe; these weights retrain it on everything".
    started_from : str
        SHA-256 of the weights that the training started from; empty where it started from chance.
    measurement : tuple of MeasurementError
        The network's own error, one entry a source; empty where it was not measured.
    folds : FoldsNetwork or None
        None leaves folds to rules.
    metrics : dict
        Figures by source, and within a source by group and by reliability bin where they were made.
    """

    name: str
    created: str
    sha256: str
    pixel_um: float = Field(gt=0)
    normalisation: str
    architecture: Architecture
    calibration: Calibration
    thresholds: Thresholds
    licence: str
    validated_for: str
    sources: tuple[DataSource, ...]
    split: dict[str, list[str]]
    seed: int
    metrics: dict[str, Any]
    known_failures: tuple[str, ...]
    training: dict[str, Any]
    figures_of: str = ""
    started_from: str = ""
    measurement: tuple[MeasurementError, ...] = ()
    folds: FoldsNetwork | None = None

    def errors_by_patient(self) -> tuple[MeasurementError, ...]:
        """Return ``measurement`` with the calls of each patient.

        Cards that were written before they held them have figures by group; these are taken where the source has one
        marker and as many groups as patients.
        """
        sources = Counter(error.source for error in self.measurement)
        errors = []
        for error in self.measurement:
            by_group = () if error.by_patient else _calls_by_patient(self.metrics.get(error.source))
            alone = sources[error.source] == 1 and len(by_group) == error.patients
            errors.append(replace(error, by_patient=by_group) if alone else error)
        return tuple(errors)


def _calls_by_patient(figures: Any) -> tuple[PatientCalls, ...]:
    """Return the calls of each group of a source's figures; nothing where they do not have all that is needed."""
    try:
        groups = list(figures["by_group"].values())
        return tuple(
            PatientCalls(
                *(_matched_cells(group[call], group[rate]) for call, rate in CALLED),
                *(group[rate] for _, rate in CALLED),
            )
            for group in groups
        )
    except (ArithmeticError, KeyError, TypeError, ValueError, AttributeError):
        return ()  # metrics are free in form


def _matched_cells(detection: dict[str, int], rate: float | None) -> int:
    """Return of how many cells a rate is: found ones that people called so, of which ``tp`` were called alike."""
    if rate is None:
        return 0
    # Where none was called alike, those found cannot be told from those missed.
    return round(detection["tp"] / rate) if rate else max(1, detection["tp"] + detection["fn"])


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def resolve_card(weights: str | Path) -> Path:
    """Return the path of a card, given the name of shipped weights or the path of a card or of a weights file.

    Raises
    ------
    WeightsError
        Where there is no such card.
    """
    named = WEIGHTS_FOLDER / f"{weights}.json"
    path = named if named.is_file() else Path(weights)
    if path.suffix == ".safetensors":
        path = path.with_suffix(".json")
    if not path.is_file():
        shipped = ", ".join(sorted(card.stem for card in WEIGHTS_FOLDER.glob("*.json"))) or "none"
        raise WeightsError(f"{weights}: no such weights; name a card file, or one of the shipped weights ({shipped}).")
    return path


def read_card(path: Path) -> WeightsCard:
    """Read and validate a card.

    Raises
    ------
    WeightsError
        Where it cannot be read or is not a card.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("kind") == OF_FOLDS:
            raise WeightsError(
                f"{path}: this is the card of a network that tells folds and finds no cells; use weights that do, "
                "such as default."
            )
        return WeightsCard.model_validate(values)
    except OSError as error:
        raise WeightsError(f"{path}: the weights' card cannot be read; check the file and its permissions.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where, why = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise WeightsError(
            f"{path}: this is not a valid weights' card ({where}: {why}); fetch shipped weights again, and write your "
            "own anew with train.py --finish."
        ) from error
    except ValueError as error:  # neither text nor JSON
        raise WeightsError(f"{path}: this is not a valid weights' card; fetch the weights again.") from error
