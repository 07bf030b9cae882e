"""Learning from a count: so many positive cells are in this picture, nobody says where.

The count chooses among what the network itself proposes: of its peaks, the ``n`` that look most like positive cells are
taken for these cells, and what it would call positive beyond them is taken for none. Nothing else of the picture is
supervised, neither its negative cells nor any outline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ihc_quant.cells.peaks import find_peaks
from ihc_quant.training.targets import CALL_RADIUS_UM, CENTRE_SIGMA_UM, Targets, nearest_points

LEAST_PEAK = 0.2
"""Lower peaks are no proposals."""
DISTANCE_UM = 4.0
"""Least distance of two proposals, as of two cells."""
SMOOTHING_UM = 1.0
"""Smoothing of the centre map before, as for cells."""
CENTRE_WEIGHT = 0.5
"""Weight of what a count teaches beside what people marked."""


def count_targets(centre: NDArray[np.float32], positivity: NDArray[np.float32], count: int, pixel_um: float) -> Targets:
    """Return what a count says of the maps that the network now gives.

    Parameters
    ----------
    centre, positivity : ndarray, shape (H, W), float32
        The network's maps, 0 to 1, of the whole picture.
    count : int
        Number of positive cells in it.
    pixel_um : float
        Pixel size, µm.

    Returns
    -------
    Targets
        Known only around the peaks that were chosen or rejected.
    """
    shape = centre.shape
    values, weights = np.zeros((3, *shape), np.float32), np.zeros((3, *shape), np.float32)
    peaks = find_peaks(centre, LEAST_PEAK, DISTANCE_UM / pixel_um, SMOOTHING_UM / pixel_um)
    p_positive = positivity[peaks.row, peaks.col]
    order = np.argsort(-peaks.height * p_positive, kind="stable")
    chosen, beyond = order[:count], order[count:]
    rejected = beyond[p_positive[beyond] >= 0.5]
    named = np.concatenate([chosen, rejected])
    places = np.column_stack([peaks.col[named], peaks.row[named]]) + 0.5
    square_px, nearest = nearest_points(places, shape, CALL_RADIUS_UM / pixel_um)
    of_chosen, known = (nearest >= 0) & (nearest < len(chosen)), nearest >= 0
    peak = np.exp(-0.5 * square_px * np.float32((pixel_um / CENTRE_SIGMA_UM) ** 2))
    values[0] = np.where(of_chosen, peak, 0)
    weights[0] = np.where(known, CENTRE_WEIGHT, 0)
    values[2] = weights[2] = of_chosen
    return Targets(values, weights)


def add_count_targets(
    counts: Sequence[int | None], maps: Tensor, values: Tensor, weights: Tensor, pixel_um: float
) -> None:
    """Write what counts say into the targets of a batch.

    Parameters
    ----------
    counts : sequence of int or None, length N
        None for an image without a count, whose targets stay as they are.
    maps : Tensor, shape (N, 3, H, W), float32
        What the network now gives, as probabilities.
    values, weights : Tensor, shape (N, 3, H, W), float32
        Targets of the batch, changed in place.
    pixel_um : float
    """
    for index, count in enumerate(counts):
        if count is None:
            continue
        centre, _, positivity = maps[index].cpu().numpy()
        targets = count_targets(centre, positivity, count, pixel_um)
        values[index] = torch.from_numpy(targets.values)
        weights[index] = torch.from_numpy(targets.weights)
