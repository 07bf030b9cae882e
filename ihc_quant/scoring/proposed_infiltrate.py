"""An infiltrate that the software proposes where nobody drew one: tissue in which small nuclei lie close together.

Nobody reviewed it, so it never enters the figures of anything that was drawn, and its own figures stand beside the
words "proposed, not reviewed". How well it does, and where it fails, stands in ``docs/decisions/0012``.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry import MultiPolygon, Polygon

from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Grid
from ihc_quant.scoring.pixel_places import count_on_grid, pixels_at
from ihc_quant.scoring.wide_gaussian import gaussian_sums

SMALL_NUCLEUS_UM2 = 42.0
"""Largest nuclear profile of a lymphocyte, µm²: a disk of 7.3 µm. Lymphocytes are 7 to 10 µm wide; cell and nucleus
differ little, and most sections miss the middle of a nucleus. The limit goes with how wide weights draw outlines."""

SMOOTHING_UM = 25.0
"""Standard deviation of the Gaussian kernel, µm: three lymphocytes, so that a cuff around a vessel is still seen."""

FEWEST_PER_MM2 = 2500.0
"""Density of small nuclei from which tissue is infiltrated; 20 µm from one to the next."""

SMALL_SHARE = 0.75
"""Share of all nuclei that are small. Epidermis is as dense, but many of its nuclei are larger."""

SMALLEST_UM2 = 5000.0
"""Pieces below this size are dropped: a disk of 80 µm."""

PROPOSED_NAME = "proposed infiltrate"
"""Class name of the region."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A proposed infiltrate.

    Attributes
    ----------
    region : Region
        Of kind ``INFILTRATE``, proposed, numbered 0 because it is in no file, along the edges of grid pixels.
    mask : ndarray, shape (H, W), bool
        The grid pixels within it.
    grid : Grid
    """

    region: Region
    mask: NDArray[np.bool_]
    grid: Grid

    def holds(self, x_l0: NDArray[np.float64], y_l0: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places, in level-0 pixels, lie in its pixels: what its outline says, without looking it up."""
        inside, pixel = pixels_at(x_l0 / self.grid.scale_x, y_l0 / self.grid.scale_y, self.mask.shape)
        held = np.zeros(len(inside), np.bool_)
        held[inside] = self.mask.ravel()[pixel]
        return held


def propose_infiltrate(
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    area_um2: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    grid: Grid,
) -> Proposal | None:
    """Return the tissue in which small nuclei lie close together and are most of all nuclei.

    Cells and tissue are smoothed alike and divided, so that density does not fall towards the tissue's edge.

    Parameters
    ----------
    x_um, y_um : ndarray, shape (n,), float64
        Places of all cells of that tissue, µm in the level-0 plane.
    area_um2 : ndarray, shape (n,), float32
        Areas of their nuclei.
    tissue : ndarray, shape (H, W), bool
        Where an infiltrate may lie.
    grid : Grid
        Whose pixel (0, 0) is the first of the tissue.

    Returns
    -------
    Proposal or None
        None where there is none.
    """
    sigma_px = SMOOTHING_UM / grid.pixel_um
    x_px, y_px, small = x_um / grid.pixel_um, y_um / grid.pixel_um, area_um2 <= np.float32(SMALL_NUCLEUS_UM2)
    dense = gaussian_sums(count_on_grid(x_px[small], y_px[small], tissue.shape), sigma_px)
    every = gaussian_sums(count_on_grid(x_px, y_px, tissue.shape), sigma_px)
    room = gaussian_sums(tissue.astype(np.float32), sigma_px)
    per_pixel = np.float32(FEWEST_PER_MM2 * grid.pixel_um**2 / 1e6)
    # Products in the place of quotients: nothing is divided by an empty neighbourhood.
    found = tissue & (dense >= per_pixel * room) & (dense >= np.float32(SMALL_SHARE) * every) & (dense > 0)
    labels, count = ndimage.label(found)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    large = pixels * grid.pixel_um**2 >= SMALLEST_UM2
    large[0] = False
    pixels_within = large[labels]
    if not pixels_within.any():
        return None
    outline = pixel_outline(pixels_within)
    placed = shapely.transform(outline, lambda places: places * [grid.scale_x, grid.scale_y])
    return Proposal(Region(RegionKind.INFILTRATE, placed, PROPOSED_NAME, 0, proposed=True), pixels_within, grid)


def pixel_outline(mask: NDArray[np.bool_]) -> Area:
    """Return the area of a mask along the edges of its pixels; pixel (row, col) covers [col, col + 1) × [row, row + 1).

    Examples
    --------
    >>> pixel_outline(np.array([[False, True], [True, True]])).area
    3.0
    """
    # Of every pixel doubled in size, the contour runs through cells whose parity tells which edge is meant.
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, family = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [(contour[:, 0, :].astype(np.int64) + 1) // 2 for contour in contours]
    holes: dict[int, list[NDArray[np.int64]]] = {}
    for index, ring in enumerate(rings):
        holes.setdefault(int(family[0][index][3]), []).append(ring)
    shells = [Polygon(rings[index], holes.get(index)) for index in range(len(rings)) if family[0][index][3] < 0]
    # Pixels that meet at a corner make a ring touch itself.
    pieces = shapely.get_parts(shapely.make_valid(shapely.simplify(np.array(shells, object), 0)))
    return MultiPolygon([piece for piece in pieces if piece.geom_type == "Polygon" and piece.area > 0])
