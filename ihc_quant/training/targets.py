"""From marks to what each pixel should say, and where nothing is known."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.stain.density import optical_density
from ihc_quant.training.field import UNKNOWN, TrainingField

CENTRE_SIGMA_UM = 1.7
"""Standard deviation of the peak that marks a centre. People's marks scatter by a µm or two, and a narrower peak is
smeared by that until it hardly rises; half the distance of touching lymphocytes is 3.5 µm, where this one has fallen to
an eighth."""
CALL_RADIUS_UM = 2.5
"""Around a mark, pixels within this radius carry its call; a small nucleus measures 5 µm."""
NUCLEUS_RADIUS_UM = 2.5
"""Around a mark, pixels within this radius are nucleus …"""
OUTSIDE_RADIUS_UM = 5.5
"""… and those farther than this from every mark are not, as every cell was marked. What lies between, where the outline
runs, is not known. So the extent map learns whether a cell is there even from marks that scatter by a µm or two and
from sheets of cells whose middles cannot be told, where no peak of the centre map can be high."""
BROWN_FROM_UM = 3.0
"""Brown that lies farther than this from every mark is no cell's."""
BROWN_OD = (0.03, 0.18)
"""Density of blue over that of red at which a place begins to be brown, and at which it fully is."""
REACH_UM = 8.0
"""Farther from every mark a pixel is plain background; the peak has fallen below a thousandth there."""


@dataclass(frozen=True, slots=True)
class Emphasis:
    """How much marks of a source weigh, against 1 for places without any.

    Attributes
    ----------
    positive, negative : float
        Centre and extent within a nucleus' radius of a mark. Positive cells are fewer and their nuclei are hidden under
        chromogen.
    call : float
        The call of a cell.
    brown : float
        Added to the weight of centre and extent on brown that is no nucleus: caps of positive cells whose nucleus lies
        in another section, rims, pigment.
    outlines : bool
        Whether outlines weigh like marks, as every cell's is known; otherwise all that is known of extent weighs 1.
    """

    positive: float = 2.0
    negative: float = 1.0
    call: float = 1.0
    brown: float = 0.0
    outlines: bool = False


MARKED = Emphasis()
"""Of marks that people made."""
EXACT = Emphasis(positive=2.5, negative=2.0, call=2.0, brown=6.0, outlines=True)
"""Of painted images, whose truth has no error: all that a reader could see is a cell, and nothing else."""


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


def targets_of(field: TrainingField, pixel_um: float, emphasis: Emphasis = MARKED) -> Targets:
    """Return the targets of a field."""
    shape = field.rgb.shape[:2]
    values = np.zeros((3, *shape), np.float32)
    weights = np.zeros((3, *shape), np.float32)
    if field.no_marker:
        weights[2] = 1
    if field.points_px is not None:
        _mark(field, field.points_px, pixel_um, emphasis, values, weights)
    if field.labels is not None:
        values[1] = field.labels > 0
        weights[1] = weights[0] if emphasis.outlines else field.valid
    return Targets(values, weights)


def _mark(
    field: TrainingField,
    points_px: NDArray[np.float64],
    pixel_um: float,
    emphasis: Emphasis,
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    """Write what the marks of cells say into values and weights, both (3, H, W)."""
    square_px, nearest = nearest_points(points_px, field.rgb.shape[:2], REACH_UM / pixel_um)
    square_um = square_px * np.float32(pixel_um**2)
    calls = np.append(field.calls, UNKNOWN)[nearest]  # -1, where no mark is near, takes the last
    nucleus = square_um <= NUCLEUS_RADIUS_UM**2
    weighed = np.where(calls == 1, np.float32(emphasis.positive), np.float32(emphasis.negative))
    importance = np.where(nucleus, weighed, np.float32(1))
    if emphasis.brown:
        importance *= 1 + np.float32(emphasis.brown) * _brown(field.rgb) * (square_um > BROWN_FROM_UM**2)
    importance *= field.valid
    values[0] = np.exp(-0.5 / CENTRE_SIGMA_UM**2 * square_um)
    weights[0] = importance
    values[1] = nucleus
    weights[1] = importance * (nucleus | (square_um > OUTSIDE_RADIUS_UM**2))
    values[2] = calls == 1
    called = (square_um <= CALL_RADIUS_UM**2) & (calls != UNKNOWN) & field.valid
    weights[2] = np.maximum(weights[2], np.float32(emphasis.call) * called)


def _brown(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how brown each pixel is, 0 to 1, whatever the stain vectors: hematoxylin takes more red than blue."""
    low, high = BROWN_OD
    density = optical_density(rgb)
    return np.asarray(np.clip((density[..., 2] - density[..., 0] - low) / (high - low), 0, 1), np.float32)


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
