"""Settings of a run, in three parts: what is measured, how it is called and scored, and how it is executed.

The first decides the cell table and needs the slide; the second can be changed afterwards by ``rescore``; the third
never changes a figure beyond the stated tolerance and stands in no digest.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field

from ihc_quant.cells.find import CellSettings
from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard
from ihc_quant.network.precision import Precision
from ihc_quant.network.predictor import usable_cores
from ihc_quant.tissue.mask import TissueSettings
from ihc_quant.tissue.quality_settings import QualitySettings

COARSEST_MPP_UM = 0.55
"""A slide coarser than this shows nuclei with too few pixels; it is refused unless the user allows it."""


QualityMode = Literal["off", "report", "exclude"]
"""Quality control is not done; is done and told; or also leaves out the causes that its settings exclude."""


class SettingsPart(BaseModel):
    """Frozen settings that refuse unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasureSettings(SettingsPart):
    """What is measured. Every field may change the cell table.

    Attributes
    ----------
    weights : str
        Name of shipped weights or path of a card.
    tile_px, margin_px : int
        Core and margin of a tile, in network pixels; multiples of 16. Nuclei and their rings reach 30 pixels, so a
        margin below 32 would let the tiling show in the results. A network that sees farther takes a wider margin.
    overview_um : float
        Coarsest pixel of the overview on which tissue is found.
    allow_coarse : bool
        Whether a slide coarser than ``COARSEST_MPP_UM`` is scored all the same.
    precision : {"float32", "bfloat16", "int8"}
        How exactly the network computes.
    tissue : TissueSettings
    cells : CellSettings or None
        None takes the thresholds of the weights' card.
    quality : {"off", "report", "exclude"}
        What quality control does.
    quality_thresholds : QualitySettings
        From where on, and which causes it excludes where it does.
    """

    weights: str = "default"
    tile_px: int = Field(default=1024, ge=64, le=8192, multiple_of=16)
    margin_px: int = Field(default=48, ge=32, le=512, multiple_of=16)
    overview_um: float = Field(default=8.0, gt=0, le=10)
    allow_coarse: bool = False
    precision: Precision = "float32"
    tissue: TissueSettings = TissueSettings()
    cells: CellSettings | None = None
    quality: QualityMode = "report"
    quality_thresholds: QualitySettings = QualitySettings()

    def cells_with(self, card: WeightsCard) -> CellSettings:
        """Return the settings of the post-processing, thresholds taken from the card where none are set."""
        if self.cells is not None:
            return self.cells
        chosen = card.thresholds
        return CellSettings(
            centre_threshold=chosen.centre, presence_threshold=chosen.presence, extent_threshold=chosen.extent
        )

    def network_with(self, card: WeightsCard) -> dict[str, Any]:
        """Return what of the weights and the post-processing decides the results, as JSON values.

        The card counts as well as the weights: finished anew, the same weights may have another calibration or other
        errors.
        """
        return {
            "weights": card.name,
            "weights_sha256": card.sha256,
            "card_sha256": settings_sha256(card.model_dump(mode="json")),
            "cells": asdict(self.cells_with(card)),
        }


class ExecutionSettings(SettingsPart):
    """How the work is done.

    Attributes
    ----------
    runtime : {"auto", "torch", "openvino"}
    device : str
        ``"auto"``, ``"cpu"`` or a CUDA device.
    workers : int
        Tiles worked on at once.
    """

    runtime: Literal["auto", "torch", "openvino"] = "auto"
    device: str = "auto"
    workers: int = Field(default_factory=usable_cores, ge=1, le=256)


def known_quality_mode(name: str) -> QualityMode:
    """Return a mode of quality control by its name.

    Raises
    ------
    SettingsError
        Where there is none of that name.
    """
    for mode in get_args(QualityMode):
        if mode == name:
            return cast(QualityMode, mode)
    raise SettingsError(f"--quality {name}: unknown; use {', '.join(get_args(QualityMode))}.")


def settings_sha256(values: dict[str, Any]) -> str:
    """Return the digest of settings as canonical JSON."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
