"""What the network says of each pixel of a tile."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class CellMaps:
    """Three maps over the read box of a tile, probabilities in 0 to 1.

    Attributes
    ----------
    centre : ndarray, shape (H, W), float32
        A peak of about 1.3 µm standard deviation at the centre of each nucleus; its height is the confidence in the
        cell.
    extent : ndarray, shape (H, W), float32
        Probability that the pixel belongs to a nucleus.
    positivity : ndarray, shape (H, W), float32
        Calibrated probability that the cell at this place carries the marker; meaningful near cells only.
    """

    centre: NDArray[np.float32]
    extent: NDArray[np.float32]
    positivity: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not (self.centre.shape == self.extent.shape == self.positivity.shape and self.centre.ndim == 2):
            raise ValueError("the three maps of a tile have one shape (H, W)")
