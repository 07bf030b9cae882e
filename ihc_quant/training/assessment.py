"""How good a network is: cells found and called on labelled fields, by the same post-processing as on slides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ihc_quant.cells.find import CellSettings, find_cells
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.tile import Tile, TileImage
from ihc_quant.evaluation.matching import ClassDetection, detect_by_class, match_points
from ihc_quant.network.architecture import normalise
from ihc_quant.network.predictor import cropped_maps, padded_to_stride
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.training.field import UNKNOWN, TrainingField

QUICK_THRESHOLD = 0.5
"""Probability from which a cell counts as positive while the network still trains."""


@dataclass(frozen=True, slots=True)
class FieldMaps:
    """A field and the logits of its maps.

    Attributes
    ----------
    field : TrainingField
    logits : ndarray, shape (3, H, W), float32
        Centre, extent, positivity; uncalibrated.
    """

    field: TrainingField
    logits: NDArray[np.float32]

    def maps(self, slope: float = 1.0, intercept: float = 0.0) -> CellMaps:
        """Return probabilities, the positivity calibrated."""
        centre, extent, positivity = self.logits
        return CellMaps(sigmoid(centre), sigmoid(extent), sigmoid(slope * positivity + intercept))


@dataclass(frozen=True, slots=True, eq=False)
class MatchedCalls:
    """Cells that were found where a person marked one: what the network said and what the person called them.

    Attributes
    ----------
    p_positive : ndarray, shape (n,), float64
    positive : ndarray, shape (n,), bool
    """

    p_positive: NDArray[np.float64]
    positive: NDArray[np.bool_]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + e^−x)."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def run_network(network: nn.Module, fields: Sequence[TrainingField], stride_px: int) -> list[FieldMaps]:
    """Run a network in evaluation mode over whole fields."""
    device = next(network.parameters()).device
    results = []
    with torch.inference_mode():
        for field in fields:
            padded = torch.from_numpy(padded_to_stride(field.rgb, stride_px))[None].to(device)
            logits = network(normalise(padded))[0].float().cpu().numpy()
            maps = cropped_maps(logits, field.rgb)
            results.append(FieldMaps(field, np.stack([maps.centre, maps.extent, maps.positivity])))
    return results


def cells_of(maps: CellMaps, rgb: NDArray[np.uint8], pixel_um: float, settings: CellSettings) -> CellTable:
    """Return the cells of a whole image, uint8 (H, W, 3), taken as one tile of tissue."""
    box = GridBox(0, 0, rgb.shape[1], rgb.shape[0])
    grid = Grid(pixel_um, Mpp.square(pixel_um))
    image = TileImage(Tile(0, box, box), rgb)
    return find_cells(maps, image, reference_stains(), grid, lambda x, _y: np.ones(len(x), np.int16), settings)


def detect_cells(field: TrainingField, cells: CellTable, pixel_um: float, threshold: float) -> ClassDetection:
    """Match found with marked cells of a field; what lies outside its valid part is no error."""
    found = np.column_stack([cells.x_um, cells.y_um])
    true, calls = marked_cells(field)
    return detect_by_class(
        found,
        cells.p_positive >= threshold,
        true * pixel_um,
        calls == 1,
        found_counts=is_valid(field, found / pixel_um),
        true_counts=is_valid(field, true),
    )


def marked_cells(field: TrainingField) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return the places (n, 2) in pixels and the calls of the cells that people marked."""
    if field.points_px is None:
        return np.empty((0, 2)), np.empty(0, np.int8)
    return field.points_px, field.calls


def is_valid(field: TrainingField, points_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which places (n, 2), in pixels, lie where cells were marked."""
    height, width = field.valid.shape
    x = np.clip(points_px[:, 0].astype(np.intp), 0, width - 1)
    y = np.clip(points_px[:, 1].astype(np.intp), 0, height - 1)
    return np.asarray(field.valid[y, x], np.bool_)


def matched_calls(field: TrainingField, cells: CellTable, pixel_um: float) -> MatchedCalls:
    """Return the calls of the cells that were found where a person marked one, whatever the machine called them."""
    true, calls = marked_cells(field)
    matches = match_points(np.column_stack([cells.x_um, cells.y_um]), true * pixel_um)
    known = calls[matches.true] != UNKNOWN
    return MatchedCalls(cells.p_positive[matches.found][known].astype(np.float64), calls[matches.true][known] == 1)


def quick_scores(network: nn.Module, fields: Sequence[TrainingField], pixel_um: float) -> dict[str, float]:
    """Return the F1 of positive and of negative cells for each source, and their mean, which chooses the checkpoint."""
    totals: dict[str, ClassDetection] = {}
    settings = CellSettings()
    for result in run_network(network, fields, 16):
        cells = cells_of(result.maps(), result.field.rgb, pixel_um, settings)
        found = detect_cells(result.field, cells, pixel_um, QUICK_THRESHOLD)
        totals[result.field.source] = totals.get(result.field.source, ClassDetection()) + found
    scores = {}
    for source, detection in totals.items():
        for call in ("negative", "positive"):
            counts = getattr(detection, call)
            if counts.tp + counts.fn:
                scores[f"{source}_{call}_f1"] = round(counts.f1 or 0.0, 4)
    return scores | {"mean": float(np.mean(list(scores.values())))}
