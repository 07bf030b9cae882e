"""Where tissue lies double, from the chances that the fold network gives."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.tissue.quality_settings import QualitySettings

CERTAIN = 255
"""Kept for a chance of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldChances:
    """How likely each square of a slide is part of a fold.

    Attributes
    ----------
    values : ndarray, shape (H, W), uint8
        In steps of 1 / ``CERTAIN``; 0 where no tile was read.
    step_um : float
        Side of a square.
    """

    values: NDArray[np.uint8]
    step_um: float

    def on_pixels(self, shape: tuple[int, ...], pixel_um: float) -> NDArray[np.float32]:
        """Return the chances on a grid of the same origin, float32 of ``shape``: averaged, or between squares."""
        squares = max(1, round(pixel_um / self.step_um))
        averaged = cv2.blur(self.values.astype(np.float32) / CERTAIN, (squares, squares))
        # The mean of an even number of squares stands half a square after the middle of what it averages.
        after = 0.5 * (squares % 2 == 0)
        rows, columns = (
            ((np.arange(length) + 0.5) * (pixel_um / self.step_um) - 0.5 + after).astype(np.float32) for length in shape
        )
        across, down = np.meshgrid(columns, rows)
        taken = cv2.remap(averaged, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(taken, np.float32)


def likely_folds(
    chances: FoldChances, tissue: NDArray[np.bool_], pixel_um: float, settings: QualitySettings
) -> NDArray[np.bool_]:
    """Return where folds lie: places of tissue that are likely, large enough, and sure somewhere.

    Parameters
    ----------
    chances : FoldChances
    tissue : ndarray, shape (H, W), bool
        On pixels of ``pixel_um``.
    pixel_um : float
    settings : QualitySettings
    """
    chance = chances.on_pixels(tissue.shape, pixel_um)
    likely = ((chance >= settings.fold_chance) & tissue).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(likely, connectivity=8)
    surest = ndimage.maximum(chance, np.asarray(labels, np.int32), np.arange(count))
    large = stats[:, cv2.CC_STAT_AREA] * pixel_um**2 >= settings.fold_chance_um2
    kept = large & (np.asarray(surest) >= settings.fold_sure)
    kept[0] = False
    return np.asarray(kept[labels], np.bool_)
