"""The tissue of a slide: fragments on a coarse grid, and exact areas of any box of the level-0 plane."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Box, Grid
from ihc_quant.tissue.fragments import count_pixels


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """Numbered tissue fragments.

    Attributes
    ----------
    fragments : ndarray, shape (H, W), int16
        Number of the fragment from 1, in reading order; 0 where there is no tissue. Pixels of ``grid``, whose origin is
        that of the level-0 plane.
    grid : Grid
        Pixel size of the map.
    mask : ndarray, shape (H, W), bool
        ``fragments > 0``.
    """

    fragments: NDArray[np.int16]
    grid: Grid
    mask: NDArray[np.bool_] = field(init=False)
    _sums: "_AreaSums" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.fragments.ndim != 2 or self.fragments.dtype != np.int16 or 0 in self.fragments.shape:
            raise ValueError(f"fragments are int16 of shape (H, W), got {self.fragments.dtype} {self.fragments.shape}")
        if self.fragments.min() < 0:
            raise ValueError("fragments are numbered from 1, 0 is no tissue")
        present = count_pixels(self.fragments, int(self.fragments.max()) + 1)[1:] > 0
        if not present.all():
            raise ValueError(f"fragments are numbered without gaps, {int(np.argmin(present)) + 1} is missing")
        mask = self.fragments > 0
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "_sums", _AreaSums.of(mask))

    @property
    def fragment_count(self) -> int:
        """How many fragments there are; the highest number."""
        return int(self.fragments.max())

    def area_um2(self) -> float:
        """Return the area of all tissue, in µm²."""
        return float(np.count_nonzero(self.mask)) * self.grid.pixel_um**2

    def fragment_areas_um2(self) -> tuple[float, ...]:
        """Return the area of each fragment in µm², fragment 1 first."""
        pixels = count_pixels(self.fragments, self.fragment_count + 1)[1:]
        return tuple(float(count) * self.grid.pixel_um**2 for count in pixels)

    def fragment_at(self, x_l0: NDArray[np.float64], y_l0: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return the fragment at each place.

        Parameters
        ----------
        x_l0, y_l0 : ndarray, shape (n,), float64
            Places in level-0 pixels; may lie outside the slide.

        Returns
        -------
        ndarray, shape (n,), int16
            0 where there is no tissue.
        """
        height, width = self.fragments.shape
        column = np.floor(np.asarray(x_l0, np.float64) / self.grid.scale_x)
        row = np.floor(np.asarray(y_l0, np.float64) / self.grid.scale_y)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = np.zeros(inside.shape, np.int16)
        found[inside] = self.fragments[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        return found

    def area_in(self, box: Box) -> float:
        """Return the area of tissue within a box of the level-0 plane, in µm².

        Pixels that the box cuts count by the share inside, so the areas of a partition add up to the whole.
        """
        return self._sums.pixels_in(self._on_grid(box)) * self.grid.pixel_um**2

    def _on_grid(self, box: Box) -> Box:
        x, y = self.grid.scale_x, self.grid.scale_y
        return Box(box.x0 / x, box.y0 / y, box.x1 / x, box.y1 / y)


@dataclass(frozen=True, slots=True, eq=False)
class _AreaSums:
    """Summed-area table of a mask."""

    table: NDArray[np.int32] | NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "_AreaSums":
        counts = np.int32 if mask.size <= np.iinfo(np.int32).max else np.int64
        table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), counts)
        np.cumsum(mask, axis=0, dtype=counts, out=table[1:, 1:])
        np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
        return cls(table)

    def pixels_in(self, box: Box) -> float:
        """Return how many mask pixels, in fractions, lie in a box in pixels of the map."""
        upper = self._until(box.x1, box.y0) - self._until(box.x0, box.y0)
        return max(0.0, self._until(box.x1, box.y1) - self._until(box.x0, box.y1) - upper)

    def _until(self, x: float, y: float) -> float:
        """Return the mask pixels left of ``x`` and above ``y``; bilinear, which is exact for square pixels."""
        rows, columns = self.table.shape[0] - 1, self.table.shape[1] - 1
        x, y = min(max(x, 0.0), columns), min(max(y, 0.0), rows)
        column, row = min(int(x), columns - 1), min(int(y), rows - 1)
        right, down = x - column, y - row
        a, b = float(self.table[row, column]), float(self.table[row, column + 1])
        c, d = float(self.table[row + 1, column]), float(self.table[row + 1, column + 1])
        return float((1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d))
