"""From marks to what each pixel should say, and where nothing is known."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.training.field import UNKNOWN, TrainingField

CENTRE_SIGMA_UM = 2.0
"""Standard deviation of the peak that marks a centre. People's marks scatter by a µm or two, and a narrower peak is
smeared by that until it hardly rises; half the distance of touching lymphocytes is 3.5 µm, where this one has fallen to
a fifth."""
POSITIVE_CENTRE_WEIGHT = 2.0
"""Weight of the centre map around positive cells, which are fewer and whose nuclei are hidden under chromogen."""
POSITIVE_CENTRE_RADIUS_UM = 2.5
"""How far from the mark of a positive cell that weight holds."""
CALL_RADIUS_UM = 2.5
"""Around a mark, pixels within this radius carry its call; a small nucleus measures 5 µm."""
NUCLEUS_RADIUS_UM = 2.5
"""Around a mark, pixels within this radius are taken as nucleus, as far as half a small one reaches …"""
OUTSIDE_RADIUS_UM = 5.5
"""… and farther than this from every mark none are, where every cell was marked. What lies between, where the outline
runs, is not known. So the extent map learns whether a cell is there from marks that scatter by a µm or two and from
sheets of cells whose middles cannot be told."""
REACH_UM = 8.0
"""Farther from every mark a pixel is plain background; the peak has fallen below a thousandth there."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Targets and weights of one image; a weight of 0 says that nothing is known.

    Attributes
    ----------
    values : ndarray, shape (3, H, W), float32
        Wanted centre, extent and positivity.
    weights : ndarray, shape (3, H, W), float32
    """

    values: NDArray[np.float32]
    weights: NDArray[np.float32]


def targets_of(field: TrainingField, pixel_um: float) -> Targets:
    """Return the targets of a field."""
    shape = field.rgb.shape[:2]
    values = np.zeros((3, *shape), np.float32)
    weights = np.zeros((3, *shape), np.float32)
    if field.no_marker:
        weights[2] = 1
    if field.points_px is not None:
        weights[0] = field.valid
        square_px, nearest = nearest_points(field.points_px, shape, REACH_UM / pixel_um)
        square_um = square_px * np.float32(pixel_um**2)
        if len(field.points_px):
            values[0] = np.exp(-0.5 / CENTRE_SIGMA_UM**2 * square_um)
            call = np.where(nearest >= 0, field.calls[nearest], UNKNOWN)
            values[2] = call == 1
            around_positive = (call == 1) & (square_um <= POSITIVE_CENTRE_RADIUS_UM**2)
            weights[0] *= np.where(around_positive, np.float32(POSITIVE_CENTRE_WEIGHT), np.float32(1))
            within = (square_um <= CALL_RADIUS_UM**2) & (call != UNKNOWN) & field.valid
            weights[2] = np.maximum(weights[2], within)
    if field.labels is not None:
        values[1] = field.labels > 0
        weights[1] = field.valid
    elif field.points_px is not None:
        nucleus = square_um <= NUCLEUS_RADIUS_UM**2
        values[1] = nucleus
        weights[1] = field.valid & (nucleus | (square_um > OUTSIDE_RADIUS_UM**2))
    return Targets(values, weights)


@njit(nogil=True, cache=True)
def nearest_points(
    points_px: NDArray[np.float64], shape: tuple[int, int], reach_px: float
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return squared distance to and index of the point nearest to each pixel's centre, up to ``reach_px``.

    Parameters
    ----------
    points_px : ndarray, shape (n, 2), float64
        x, y; the centre of pixel (0, 0) is (0.5, 0.5).
    shape : tuple of int
        Height and width of the image.
    reach_px : float
        Points farther away are not looked for.

    Returns
    -------
    square_px : ndarray, shape (H, W), float32
        Squared distance in pixels; infinite beyond the reach.
    nearest : ndarray, shape (H, W), int64
        Index of the point, -1 beyond the reach; of equally near points the first.
    """
    height, width = shape
    square_px = np.full((height, width), np.float32(np.inf))
    nearest = np.full((height, width), -1)
    for index in range(len(points_px)):
        x, y = points_px[index]
        for row in range(max(0, int(y - reach_px)), min(height, int(y + reach_px) + 1)):
            for column in range(max(0, int(x - reach_px)), min(width, int(x + reach_px) + 1)):
                square = np.float32((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2)
                if square <= reach_px * reach_px and square < square_px[row, column]:
                    square_px[row, column] = square
                    nearest[row, column] = index
    return square_px, nearest
