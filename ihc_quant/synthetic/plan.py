"""Where the regions of a biopsy lie: the architecture that the population fills."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


class Region(IntEnum):
    """What a place belongs to."""

    GLASS = 0
    DERMIS = 1
    INFILTRATE = 2
    EPIDERMIS = 3
    BASAL = 4
    CORNEUM = 5
    PARACORTEX = 6
    MANTLE = 7
    GERMINAL_CENTRE = 8
    SINUS = 9
    CAPSULE = 10
    VESSEL_WALL = 11
    LUMEN = 12
    GLAND = 13
    FAT = 14
    SEPTUM = 15


MATTER: dict[Region, tuple[float, float, float]] = {
    Region.GLASS: (0.0, 0.0, 0.0),
    Region.DERMIS: (0.12, 1.0, 0.0),
    Region.INFILTRATE: (0.45, 0.4, 0.0),
    Region.EPIDERMIS: (1.0, 0.0, 0.0),
    Region.BASAL: (1.0, 0.0, 0.0),
    Region.CORNEUM: (0.1, 0.0, 1.0),
    Region.PARACORTEX: (0.95, 0.05, 0.0),
    Region.MANTLE: (0.9, 0.0, 0.0),
    Region.GERMINAL_CENTRE: (0.95, 0.0, 0.0),
    Region.SINUS: (0.25, 0.12, 0.0),
    Region.CAPSULE: (0.15, 1.0, 0.0),
    Region.VESSEL_WALL: (0.45, 0.7, 0.0),
    Region.LUMEN: (0.10, 0.0, 0.0),
    Region.GLAND: (0.8, 0.2, 0.0),
    Region.FAT: (0.02, 0.0, 0.0),
    Region.SEPTUM: (0.75, 0.15, 0.0),
}
"""Amount of ground substance and cytoplasm, of collagen, and of horn in each region, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Architecture of a biopsy on a coarse raster; the same for all of its thin slab.

    Attributes
    ----------
    pixel_um : float
        Side of a raster pixel.
    region : ndarray of uint8, (h, w)
        Values of ``Region``.
    angle : ndarray of float32, (h, w)
        Direction that long cells follow, radians.
    crowding : ndarray of float32, (h, w)
        Share of the thrown cells that may stay, 0 to 1.
    ground, collagen, horn : ndarray of float32, (h, w)
        Amount of each kind of matter between the cells, 0 to 1, with soft borders.
    along, across : ndarray of float32, (h, w)
        Coordinates in µm that run along the fibres and across them; they need not be straight.
    """

    pixel_um: float
    region: NDArray[np.uint8]
    angle: NDArray[np.float32]
    crowding: NDArray[np.float32]
    ground: NDArray[np.float32]
    collagen: NDArray[np.float32]
    horn: NDArray[np.float32]
    along: NDArray[np.float32]
    across: NDArray[np.float32]


def plan_of(
    region: NDArray[np.uint8],
    angle: NDArray[np.float32],
    crowding: NDArray[np.float32],
    fibres: tuple[NDArray[np.float32], NDArray[np.float32]],
    pixel_um: float,
) -> Plan:
    """Return the plan of a raster of regions.

    Parameters
    ----------
    region : ndarray of uint8, (h, w)
    angle, crowding : ndarray of float32, (h, w)
    fibres : pair of ndarray of float32, (h, w)
        Coordinates along and across the fibres, µm.
    pixel_um : float

    Returns
    -------
    Plan
    """
    table = np.array([MATTER[Region(value)] for value in range(max(Region) + 1)], np.float32)
    matter = [ndimage.gaussian_filter(table[region, column], 1.2 / pixel_um) for column in range(3)]
    return Plan(pixel_um, region, angle, crowding, matter[0], matter[1], matter[2], *fibres)


def direction_along(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the direction of the contour lines of a field, radians from x towards y, at each of its places."""
    down, across = np.gradient(ndimage.gaussian_filter(field, 2))
    return np.asarray(np.arctan2(across, -down), np.float32)
