"""What was measured of a slide and how: the part of ``slide.json`` from which every score can be derived again."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ihc_quant import __version__
from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.outputs import RESULT_FILE, write_whole
from ihc_quant.batch.quality_control import QualityUsed
from ihc_quant.batch.settings import SettingsPart, settings_sha256
from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import OutputError
from ihc_quant.network.card import WeightsCard
from ihc_quant.report.report_json import outcome_from_json, outcome_json
from ihc_quant.stain.density import FULL_WHITE
from ihc_quant.stain.estimate import LACKS_CHROMOGEN, SlideColours

SCHEMA: Literal["ihc_quant/slide/5"] = "ihc_quant/slide/5"
"""Name and version of the layout of ``slide.json``; raised whenever what is kept of a score or a measurement changes,
because a run measures slides again whose results are of another one."""

LIBRARIES: tuple[str, ...] = (
    "imagecodecs",
    "numba",
    "numpy",
    "opencv-python-headless",
    "openslide-bin",
    "openslide-python",
    "openvino",
    "pillow",
    "pyarrow",
    "scipy",
    "tifffile",
    "torch",
)
"""Libraries whose versions may change a figure."""


class SlideFacts(SettingsPart):
    """What ``slide.json`` states of the slide itself: nothing that could name a patient."""

    reader: str
    vendor: str
    width_px: int
    height_px: int
    level_downsamples: tuple[float, ...]
    mpp_x: float
    mpp_y: float
    mpp_source: str
    bounds_l0: tuple[float, float, float, float]
    objective: float | None
    scanner: str | None
    quick_hash: str
    series: int


class WhiteAndStains(SettingsPart):
    """White point and stain vectors that were used, and how far the slide's own vectors and colours lie from them.

    ``unfit_share`` is None in results that were written before it was measured, too.
    """

    white: tuple[float, float, float]
    white_source: str
    white_note: str
    vectors: dict[str, tuple[float, float, float]]
    vectors_source: str
    deviation_degrees: float | None
    deviation_note: str
    unfit_share: float | None = None

    @property
    def colours(self) -> SlideColours:
        """What quality control judges; pure 255 is what was never scanned or is clipped, and tells nothing of glass."""
        glass = self.white if self.white_source == "estimated" and self.white != FULL_WHITE else None
        return SlideColours(glass, self.deviation_degrees, self.unfit_share)

    @property
    def lacks_chromogen(self) -> bool:
        """Whether the sampled pixels showed too little chromogen for an estimate."""
        return self.deviation_degrees is None and LACKS_CHROMOGEN in self.deviation_note


class WeightsUsed(SettingsPart):
    """The weights as the results state them; without their path."""

    name: str
    sha256: str
    licence: str
    validated_for: str
    positive_threshold: float
    uncertain: tuple[float, float]
    figures_of: str
    measurement: tuple[MeasurementError, ...]

    @classmethod
    def of(cls, card: WeightsCard) -> "WeightsUsed":
        """Return what results state of a card."""
        return cls(
            name=card.name,
            sha256=card.sha256,
            licence=card.licence,
            validated_for=card.validated_for,
            positive_threshold=card.thresholds.positive,
            uncertain=card.thresholds.uncertain,
            figures_of=card.figures_of,
            measurement=card.errors_by_patient(),
        )

    @classmethod
    def none(cls) -> "WeightsUsed":
        """Return what the results of a section state that is shown and not scored: no weights were used."""
        return cls(
            name="none",
            sha256="",
            licence="",
            validated_for="",
            positive_threshold=0.5,
            uncertain=(0.5, 0.5),
            figures_of="",
            measurement=(),
        )


class MadeWith(SettingsPart):
    """The software that measured the slide; another version may score it again later."""

    software: str
    libraries: dict[str, str]
    platform: str
    runtime: str
    cautions: tuple[str, ...] = ()

    @classmethod
    def here(cls, runtime: str, caution: str = "") -> "MadeWith":
        """Return what this process runs, and what must be said of figures made so."""
        return cls(
            software=f"ihc_quant {__version__}",
            libraries=library_versions(),
            platform=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            runtime=runtime,
            cautions=(caution,) if caution else (),
        )


class Measurement(SettingsPart):
    """Everything about a measured slide that is not in its tables.

    Attributes
    ----------
    stain : SectionStain
    facts : SlideFacts
    stains : WhiteAndStains
    weights : WeightsUsed
    settings : dict
        The settings that decided the cell table, as JSON values.
    network_um, overview_um : float
        Pixel sizes of the network's grid and of the overview's.
    tile_px, margin_px : int
        As planned; smaller than in the settings on a slide smaller than a tile.
    made_with : MadeWith
    cells : int
        Rows of the cell table.
    examples : tuple of int
        Rows of the cells whose pixels are kept for the gallery.
    fragments : tuple of int
        Tissue fragments that are this section, ascending; empty for all.
    annotations_sha256 : str or None
        Of the file from which the kept regions come; None where nothing was drawn.
    propose_infiltrate : bool
        Whether the software proposes an infiltrate where none was drawn.
    quality : QualityUsed or None
        None where quality control was off.
    """

    slide_id: str
    stain: SectionStain
    facts: SlideFacts
    stains: WhiteAndStains
    weights: WeightsUsed
    settings: dict[str, Any]
    network_um: float
    overview_um: float
    tile_px: int
    margin_px: int
    made_with: MadeWith
    cells: int = Field(ge=0)
    examples: tuple[int, ...]
    fragments: tuple[int, ...] = ()
    annotations_sha256: str | None = None
    propose_infiltrate: bool = True
    quality: QualityUsed | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        """Refuse what could not have been measured."""
        _ = self.network_grid, self.overview_grid  # made, so that their own rules are checked
        if self.tile_px <= 0 or self.margin_px < 0 or any(not 0 <= row < self.cells for row in self.examples):
            raise ValueError("tiles or examples are not possible")
        return self

    @property
    def mpp(self) -> Mpp:
        """µm per level-0 pixel."""
        return Mpp(self.facts.mpp_x, self.facts.mpp_y)

    @property
    def network_grid(self) -> Grid:
        """Grid of the network."""
        return Grid(self.network_um, self.mpp)

    @property
    def overview_grid(self) -> Grid:
        """Grid of the overview and of the tissue map."""
        return Grid(self.overview_um, self.mpp)

    def provenance(self, calls: Mapping[str, Any]) -> Provenance:
        """Return where figures come from that are derived from this measurement with these call settings."""
        # As they are read back: tuples become lists.
        settings = json.loads(json.dumps({"measurement": self.settings, "calls": dict(calls)}))
        scored_by = f"ihc_quant {__version__}"
        measured_by = self.made_with.software
        return Provenance(
            software=scored_by if scored_by == measured_by else f"{scored_by}, measured by {measured_by}",
            libraries=self.made_with.libraries,
            platform=self.made_with.platform,
            runtime=self.made_with.runtime,
            weights_name=self.weights.name,
            weights_sha256=self.weights.sha256,
            weights_licence=self.weights.licence,
            settings=settings,
            settings_sha256=settings_sha256(settings),
            slide_hash=self.facts.quick_hash,
            mpp_source=self.facts.mpp_source,
        )


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that touch the numbers."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def write_slide_json(
    folder: Path, outcome: SlideOutcome, measurement: Measurement, timings: Mapping[str, float]
) -> None:
    """Write ``slide.json``: the outcome, what it was derived from, and what it cost.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    values = {
        "schema": SCHEMA,
        "result": outcome_json(outcome),
        "measurement": measurement.model_dump(mode="json"),
        "timings_s": {name: round(seconds, 3) for name, seconds in timings.items()},
    }
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / RESULT_FILE, (text + "\n").encode())


def read_slide_json(folder: Path) -> tuple[SlideOutcome, Measurement, dict[str, float]]:
    """Read ``slide.json`` back.

    Raises
    ------
    OutputError
        Where it is missing, damaged or of another version.
    """
    path = folder / RESULT_FILE
    with reading(path):
        values = json.loads(path.read_text(encoding="utf-8"))
        schema = values["schema"]
    if schema != SCHEMA:
        raise OutputError(f"{path}: these results come from another version; score the slide again.")
    try:
        with reading(path):
            outcome = outcome_from_json(values["result"])
            measurement = Measurement.model_validate_json(json.dumps(values["measurement"]))
            timings = {name: float(seconds) for name, seconds in values["timings_s"].items()}
    except OutputError as error:
        raise OutputError(f"{path}: these results cannot be read back; score the slide again.") from error
    return outcome, measurement, timings
