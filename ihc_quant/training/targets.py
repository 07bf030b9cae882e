"""From marks to what each pixel should say, and where nothing is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ihc_quant.training.field import UNKNOWN, TrainingField

CENTRE_SIGMA_UM = 1.3
"""Standard deviation of the peak that marks a centre; half the distance of touching lymphocytes is 3.5 µm."""
CALL_RADIUS_UM = 2.5
"""Around a mark, pixels within this radius carry its call; a small nucleus measures 5 µm."""


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
        if len(field.points_px):
            rows, columns = np.indices(shape)
            pixels = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
            distance_px, nearest = cKDTree(field.points_px).query(pixels, workers=1)
            distance_um = np.asarray(distance_px).reshape(shape) * pixel_um
            values[0] = np.exp(-0.5 * (distance_um / CENTRE_SIGMA_UM) ** 2)
            call = field.calls[np.asarray(nearest).reshape(shape)]
            values[2] = call == 1
            weights[2] = np.maximum(weights[2], (distance_um <= CALL_RADIUS_UM) & (call != UNKNOWN) & field.valid)
    if field.labels is not None:
        values[1] = field.labels > 0
        weights[1] = field.valid
    return Targets(values, weights)
