"""How good a network is: cells found and called on labelled fields, by the same post-processing as on slides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ihc_quant.cells.find import CellSettings, find_cells
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.tile import Tile, TileImage
from ihc_quant.evaluation.matching import ClassDetection, detect_by_class, match_points
from ihc_quant.network.architecture import CellNetwork, normalise
from ihc_quant.network.predictor import padded_to_stride
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.training.calibration import MatchedCalls, PlattScaling
from ihc_quant.training.field import UNKNOWN, TrainingField

QUICK_CENTRE = 0.5
"""Height of a centre peak from which a cell is found while the network still trains; earlier runs settled near it."""
AROUND_PX = 48
"""How much of its mirror image surrounds a field: the margin of a tile."""
QUICK_THRESHOLD = 0.5
"""Probability from which a cell counts as positive while the network still trains."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldMaps:
    """A field and what the network says of it.

    Attributes
    ----------
    field : TrainingField
    logits : ndarray, shape (3, H, W), float32
        Centre, extent, positivity; uncalibrated.
    """

    field: TrainingField
    logits: NDArray[np.float32]

    def maps(self, scaling: PlattScaling) -> CellMaps:
        """Return probabilities, the positivity of each pixel calibrated."""
        centre, extent, positivity = self.logits
        return CellMaps(sigmoid(centre), sigmoid(extent), sigmoid(scaling.slope * positivity + scaling.intercept))


@dataclass(frozen=True, slots=True, eq=False)
class FieldCells:
    """A field and the cells that were found on it.

    Attributes
    ----------
    field : TrainingField
    cells : CellTable
    pixel_um : float
        Pixel size of the field.
    """

    field: TrainingField
    cells: CellTable
    pixel_um: float

    @property
    def found_um(self) -> NDArray[np.float64]:
        """Places (n, 2) of the found cells, µm."""
        return np.column_stack([self.cells.x_um, self.cells.y_um])

    @property
    def marked_um(self) -> NDArray[np.float64]:
        """Places (m, 2) of the marked cells, µm."""
        points_px = self.field.points_px
        return np.empty((0, 2)) if points_px is None else points_px * self.pixel_um

    @property
    def of_known_call(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which found (n,) and marked cells (m,) tell of calls: none of unknown call, and none found where one is.

        Neither a positive nor a negative call is wrong there. Pairs are made among all marks, lest a missed cell of
        unknown call take the found one of its neighbour.
        """
        known = self.field.calls != UNKNOWN
        tells = np.ones(len(self.cells), np.bool_)
        if not known.all():
            matches = match_points(self.found_um, self.marked_um)
            tells[matches.found[~known[matches.true]]] = False
        return tells, known

    def in_valid(self, places_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places (n, 2), in µm, lie where cells were marked."""
        height, width = self.field.valid.shape
        x, y = np.floor(places_um / self.pixel_um).astype(np.intp).T
        return np.asarray(self.field.valid[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], np.bool_)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + e^−x)."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def run_network(network: CellNetwork, fields: Sequence[TrainingField]) -> list[FieldMaps]:
    """Run a network in evaluation mode over whole fields, which go on beyond their border as slides do."""
    device = next(network.parameters()).device
    results = []
    with torch.inference_mode():
        for field in fields:
            around = cv2.copyMakeBorder(field.rgb, AROUND_PX, AROUND_PX, AROUND_PX, AROUND_PX, cv2.BORDER_REFLECT_101)
            padded = torch.from_numpy(padded_to_stride(np.asarray(around), network.architecture.stride_px))[None]
            maps = network(normalise(padded.to(device)))[0].float().cpu().numpy()
            height, width = field.rgb.shape[:2]
            within = maps[:, AROUND_PX : AROUND_PX + height, AROUND_PX : AROUND_PX + width]
            results.append(FieldMaps(field, np.ascontiguousarray(within)))
    return results


def cells_of(
    results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings, scaling: PlattScaling | None = None
) -> list[FieldCells]:
    """Return the cells of whole fields, each taken as one tile of tissue; uncalibrated without a ``scaling``."""
    grid, stains = Grid(pixel_um, Mpp.square(pixel_um)), reference_stains()
    found = []
    for result in results:
        rgb = result.field.rgb
        box = GridBox(0, 0, rgb.shape[1], rgb.shape[0])
        image, maps = TileImage(Tile(0, box, box), rgb), result.maps(scaling or PlattScaling())
        cells = find_cells(maps, image, stains, grid, lambda x, _y: np.ones(len(x), np.int16), settings)
        found.append(FieldCells(result.field, cells, pixel_um))
    return found


def detect_cells(found: FieldCells, threshold: float) -> ClassDetection:
    """Match found with marked cells of a field; what lies outside its valid part is no error.

    Cells of unknown call, and those found there, count whatever their call alone.
    """
    tells, known = found.of_known_call

    def matched(of_found: NDArray[np.bool_], of_marked: NDArray[np.bool_]) -> ClassDetection:
        found_um, marked_um = found.found_um[of_found], found.marked_um[of_marked]
        return detect_by_class(
            found_um,
            found.cells.p_positive[of_found] >= threshold,
            marked_um,
            found.field.calls[of_marked] == 1,
            found_counts=found.in_valid(found_um),
            true_counts=found.in_valid(marked_um),
        )

    all_cells = matched(np.ones_like(tells), np.ones_like(known))
    return all_cells if known.all() else replace(matched(tells, known), either=all_cells.either)


def detect_by_source(found: Sequence[FieldCells], threshold: float) -> dict[str, ClassDetection]:
    """Return the matches over all fields of each source."""
    totals: dict[str, ClassDetection] = {}
    for one in found:
        source = one.field.source
        totals[source] = totals.get(source, ClassDetection()) + detect_cells(one, threshold)
    return totals


def matched_calls(found: Sequence[FieldCells]) -> MatchedCalls:
    """Return the calls of the cells that were found where a person marked one, whatever the machine called them."""
    parts = []
    for one in found:
        matches = match_points(one.found_um, one.marked_um)
        calls = one.field.calls[matches.true]
        p_positive = one.cells.p_positive[matches.found].astype(np.float64)
        parts.append(MatchedCalls(p_positive[calls != UNKNOWN], calls[calls != UNKNOWN] == 1))
    return MatchedCalls.concatenate(parts)


def percent_error(found: FieldCells, threshold: float) -> float | None:
    """Return found less true percentage of positive cells of one field, in points.

    Only cells inside the valid part count, found and true alike, and of those only cells whose call is known; None
    where there are none of either.
    """
    tells, known = found.of_known_call
    called = (found.cells.p_positive >= threshold)[found.in_valid(found.found_um) & tells]
    true = found.field.calls[found.in_valid(found.marked_um) & known]
    if len(called) == 0 or len(true) == 0:
        return None
    return 100 * float(called.mean() - (true == 1).mean())


def count_in_valid(found: FieldCells, threshold: float, *, positive: bool) -> tuple[int, int] | None:
    """Return how many cells of one field were found and how many are true, inside its valid part.

    Parameters
    ----------
    found : FieldCells
    threshold : float
        Of ``p_positive``.
    positive : bool
        Whether positive cells alone are counted; None where the call of a marked cell is not known.
    """
    of_found = found.in_valid(found.found_um)
    true = found.field.calls[found.in_valid(found.marked_um)]
    if not positive:
        return int(of_found.sum()), len(true)
    if (true == UNKNOWN).any():
        return None
    return int((of_found & (found.cells.p_positive >= threshold)).sum()), int((true == 1).sum())


def quick_scores(network: CellNetwork, fields: Sequence[TrainingField], pixel_um: float) -> dict[str, float]:
    """Return the F1 of positive and of negative cells for each source, and their mean, which chooses the checkpoint.

    A call of which a source has no cell is left out; without any cell the mean is 0.
    """
    scores = {}
    found = cells_of(run_network(network, fields), pixel_um, CellSettings(centre_threshold=QUICK_CENTRE))
    for source, detection in detect_by_source(found, QUICK_THRESHOLD).items():
        for call, counts in (("negative", detection.negative), ("positive", detection.positive)):
            if counts.tp + counts.fn:
                scores[f"{source}_{call}_f1"] = round(counts.f1 or 0.0, 4)
    return scores | {"mean": float(np.mean(list(scores.values()) or [0.0]))}
