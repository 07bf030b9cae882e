"""Laying one scan of a section over another: an affine map from cell places alone.

A coarse fit first: the cells of both scans are spread into density maps, and the turn and shift that bring one map best
over the other are taken (cross-correlation by Fourier transform, for each of the turns that are tried). Then iterated
closest points: each cell is paired with its nearest neighbour where the two are each other's nearest and near enough,
and the affine map that brings the pairs together by least squares replaces the last one, in an ever smaller radius.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

MAP_UM = 4.0
"""Pixel of the density maps."""
SPREAD_UM = 6.0
"""Standard deviation by which each cell is spread; less than the distance of most neighbours."""
QUARTER_TURNS = (0, 90, 180, 270)
TILTS_DEGREES = tuple(float(tilt) for tilt in range(-6, 7, 2))
"""Tried about each quarter turn; at 2° apart, cells 100 µm from the middle are at most 2 µm off."""
RADII_UM = (16.0, 12.0, 8.0, 6.0, 4.0, 4.0, 3.0, 3.0)
"""Radius of a pair in each round of iterated closest points."""
LEAST_PAIRS = 12
"""Fewer pairs do not fix the six numbers of an affine map."""


@dataclass(frozen=True, slots=True, eq=False)
class AffineMap:
    """A place x goes to ``matrix @ x + shift``.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2), float64
    shift_um : ndarray, shape (2,), float64
    """

    matrix: NDArray[np.float64]
    shift_um: NDArray[np.float64]

    def __call__(self, places_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where places (n, 2) go."""
        return np.asarray(places_um @ self.matrix.T + self.shift_um)

    @property
    def scales(self) -> tuple[float, float]:
        """Greatest and least stretch of any direction."""
        large, small = np.linalg.svd(self.matrix, compute_uv=False)
        return float(large), float(small)

    @property
    def turn_degrees(self) -> float:
        """Turn of the best rotation within the map."""
        return math.degrees(math.atan2(self.matrix[1, 0] - self.matrix[0, 1], self.matrix[0, 0] + self.matrix[1, 1]))


def fit_affine(moving_um: NDArray[np.float64], fixed_um: NDArray[np.float64]) -> AffineMap:
    """Fit the affine map that lays moving over fixed places.

    Parameters
    ----------
    moving_um, fixed_um : ndarray, shape (n, 2) and (m, 2), float64
        Cells of the same tissue in two scans, µm; neither need hold all cells of the other.

    Raises
    ------
    ValueError
        Where too few cells find a partner.
    """
    return closest_points(moving_um, fixed_um, coarse_fit(moving_um, fixed_um))


def coarse_fit(moving_um: NDArray[np.float64], fixed_um: NDArray[np.float64]) -> AffineMap:
    """Return the turn and shift that bring the density maps of two sets of cells best over each other."""
    turns = [quarter + tilt for quarter in QUARTER_TURNS for tilt in TILTS_DEGREES]
    fits = (_best_shift(moving_um, fixed_um, turn) for turn in turns)
    return max(fits, key=lambda fit: fit[0])[1]


def _best_shift(
    moving_um: NDArray[np.float64], fixed_um: NDArray[np.float64], turn_degrees: float
) -> tuple[float, AffineMap]:
    """Return the height of the correlation's peak at a turn, and the map that it stands for."""
    cos, sin = math.cos(math.radians(turn_degrees)), math.sin(math.radians(turn_degrees))
    matrix = np.array([[cos, -sin], [sin, cos]])
    turned = moving_um @ matrix.T
    corners = turned.min(axis=0), fixed_um.min(axis=0)
    sizes = [np.ceil(np.ptp(places, axis=0) / MAP_UM).astype(int) + 1 for places in (turned, fixed_um)]
    shape = tuple(int(side) for side in (sizes[0] + sizes[1])[::-1])
    maps = [_density(places - corner, shape) for places, corner in zip((turned, fixed_um), corners, strict=True)]
    spectra = [np.fft.rfft2(each - each.mean()) for each in maps]
    correlation = np.fft.irfft2(spectra[1] * np.conj(spectra[0]), s=shape)
    peak = np.array(np.unravel_index(int(np.argmax(correlation)), shape))
    wrapped = np.where(peak > np.array(shape) // 2, peak - np.array(shape), peak)[::-1] * MAP_UM
    return float(correlation.max()), AffineMap(matrix, wrapped + corners[1] - corners[0])


def _density(places_um: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    counts = np.zeros(shape)
    columns, rows = np.floor(places_um / MAP_UM).astype(int).T
    np.add.at(counts, (rows, columns), 1.0)
    return np.asarray(ndimage.gaussian_filter(counts, SPREAD_UM / MAP_UM, mode="constant"))


def closest_points(
    moving_um: NDArray[np.float64],
    fixed_um: NDArray[np.float64],
    start: AffineMap,
    radii_um: Iterable[float] = RADII_UM,
) -> AffineMap:
    """Improve a map by iterated closest points.

    Raises
    ------
    ValueError
        Where fewer than ``LEAST_PAIRS`` cells find a partner.
    """
    fit, tree = start, cKDTree(fixed_um)
    for radius_um in radii_um:
        moved = fit(moving_um)
        distance, nearest = tree.query(moved)
        partner = np.asarray(nearest, np.intp)
        back = np.asarray(cKDTree(moved).query(fixed_um)[1], np.intp)
        mutual = (distance <= radius_um) & (back[partner] == np.arange(len(moved)))
        if mutual.sum() < LEAST_PAIRS:
            raise ValueError(f"only {mutual.sum()} cells of one scan lie near one of the other; they do not fit")
        design = np.column_stack([moving_um[mutual], np.ones(mutual.sum())])
        solution = np.linalg.lstsq(design, fixed_um[partner[mutual]], rcond=None)[0]
        fit = AffineMap(solution[:2].T, solution[2])
    return fit
