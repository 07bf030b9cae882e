"""Which cells and which tissue of a section are analysed, and as what: regions and named fragments applied together.

Cells follow the drawn outlines exactly; tissue is counted in whole pixels of its map, each for the place of its centre.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from ihc_quant.annotation.region_places import Place, assign, places_on_grid, tissue_areas_um2
from ihc_quant.annotation.regions import Region, Regions
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.outcome import LeftOut

CAUSES: dict[Place, str] = {
    Place.EXCLUDED: "drawn exclusion",
    Place.OUTSIDE: "outside the drawn area",
    Place.CONTROL_TISSUE: "control tissue",
}
"""Why tissue of a named fragment is not analysed."""

NOT_NAMED = "fragments that are not named"
"""Why the rest is not."""


@dataclass(frozen=True, slots=True, eq=False)
class TissuePlaces:
    """The tissue of a section by place.

    Attributes
    ----------
    places : ndarray, shape (H, W), int8
        Values of ``Place``; ``OUTSIDE`` off the tissue and in fragments that are not named.
    fragments : ndarray, shape (H, W), int16
        Number of the tissue fragment, 0 = none.
    pixel_um : float
        Side of a pixel, µm.
    """

    places: NDArray[np.int8]
    fragments: NDArray[np.int16]
    pixel_um: float

    def __post_init__(self) -> None:
        if self.places.shape != self.fragments.shape or not self.pixel_um > 0:
            raise ValueError("places and fragments share a shape, and pixels have a size")

    @property
    def analysed(self) -> NDArray[np.bool_]:
        """Whether each pixel is analysed as the patient's tissue."""
        return np.asarray(self.places >= Place.UNASSIGNED, np.bool_)


def place_cells(
    x_l0: NDArray[np.float64],
    y_l0: NDArray[np.float64],
    fragment: NDArray[np.int16],
    regions: Regions,
    named: Sequence[int],
) -> NDArray[np.int8]:
    """Return the place of each cell.

    Parameters
    ----------
    x_l0, y_l0 : ndarray, shape (n,), float64
        Level-0 pixels.
    fragment : ndarray, shape (n,), int16
        Tissue fragment of each cell, from 1.
    regions : Regions
    named : sequence of int
        Fragments that are this section; empty for all. Control tissue may lie on any.

    Returns
    -------
    ndarray, shape (n,), int8
        Values of ``Place``; ``OUTSIDE`` in fragments that are not named.
    """
    if not regions.drawn:  # nothing is looked up, which takes a second for a million cells
        places = np.full(len(x_l0), Place.UNASSIGNED, np.int8)
    else:
        places = assign(np.stack([x_l0, y_l0], axis=1), regions)
    return _named_only(places, fragment, named)


def place_tissue(
    fragments: NDArray[np.int16], grid: Grid, regions: Regions, named: Sequence[int]
) -> tuple[TissuePlaces, tuple[LeftOut, ...]]:
    """Return the place of all tissue, and what is left out of the analysis.

    Parameters
    ----------
    fragments : ndarray, shape (H, W), int16
        Number of the tissue fragment, 0 = none, on ``grid``.
    grid : Grid
    regions : Regions
    named : sequence of int
        As in ``place_cells``.

    Returns
    -------
    TissuePlaces
    tuple of LeftOut
        Largest first. Together with what is analysed they add up to all tissue.
    """
    drawn = places_on_grid(regions, grid, fragments > 0)
    areas = tissue_areas_um2(drawn, fragments, grid.pixel_um)
    taken = np.isin(np.arange(1, len(areas) + 1), list(named)) if named else np.ones(len(areas), np.bool_)
    causes = {cause: float(areas[taken, place].sum()) for place, cause in CAUSES.items()}
    causes[CAUSES[Place.CONTROL_TISSUE]] += float(areas[~taken, Place.CONTROL_TISSUE].sum())
    unnamed = areas[~taken].sum() - areas[~taken, Place.CONTROL_TISSUE].sum()
    causes[NOT_NAMED] = float(unnamed)
    left_out = [LeftOut(cause, area) for cause, area in causes.items() if area > 0]
    left_out.sort(key=lambda one: -one.area_um2)
    return TissuePlaces(_named_only(drawn, fragments, named), fragments, grid.pixel_um), tuple(left_out)


def off_tissue(regions: Regions, mask: NDArray[np.bool_], grid: Grid) -> tuple[Region, ...]:
    """Return the drawn regions in which no tissue lies, as where they were drawn on another slide.

    Parameters
    ----------
    regions : Regions
    mask : ndarray, shape (H, W), bool
        Tissue, on ``grid``.
    grid : Grid
    """
    return tuple(region for region in regions.drawn if not _holds_tissue(region, mask, grid))


def _holds_tissue(region: Region, mask: NDArray[np.bool_], grid: Grid) -> bool:
    left, upper, right, lower = region.area_l0.bounds
    rows = slice(max(0, int(upper // grid.scale_y)), max(0, int(lower // grid.scale_y) + 1))
    columns = slice(max(0, int(left // grid.scale_x)), max(0, int(right // grid.scale_x) + 1))
    row, column = np.nonzero(mask[rows, columns])
    x, y = (column + columns.start + 0.5) * grid.scale_x, (row + rows.start + 0.5) * grid.scale_y
    shapely.prepare(region.area_l0)
    return bool(shapely.intersects_xy(region.area_l0, x, y).any())


def _named_only(places: NDArray[np.int8], fragment: NDArray[np.int16], named: Sequence[int]) -> NDArray[np.int8]:
    if named:
        places[~np.isin(fragment, list(named)) & (places != Place.CONTROL_TISSUE)] = Place.OUTSIDE
    return places
