"""Which of the cells that lie in a painted section a reader of its picture could mark.

A section holds more nuclei than can be seen: some lie under others, some are cut so thin or so pale that they do not
stand out. A truth that counts them is one that no reader reaches. The limits come from what people marked and outlined
on real pictures (``benchmarks/visibility.py`` measures them), never from what a network finds.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.stain.density import White, averaged
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.stain.unmixing import unmix

VISIBLE_PROFILE_UM = 3.0
"""A nucleus is seen if the part of it that shows is at least this wide (area-equivalent, µm). Of 3,464 nuclei that
people outlined (DSB 2018, each picture scaled to a median of 8 µm) 99 % are wider than 2.9 µm."""

FAINTEST_CONTRAST_OD = 0.04
"""A nucleus without chromogen is seen if its hematoxylin exceeds what lies around it by this density. Of 9,364 negative
nuclei that people marked (CD138 and BCData) 99 % exceed 0.040, 98 % 0.056."""

_PIXEL_UM = 0.5
_NUCLEUS_UM, _NEAR_UM = 2.0, 1.0
_AROUND_UM = (4.0, 8.0)
_CELLS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class ShownNuclei:
    """The part of each nucleus that no other one hides.

    Attributes
    ----------
    area_um2 : ndarray of float64, (n,)
    x_um, y_um : ndarray of float64, (n,)
        Its middle, from the corner of the picture; 0 where nothing shows.
    """

    area_um2: NDArray[np.float64]
    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]

    @property
    def width_um(self) -> NDArray[np.float64]:
        """Width of a disc of that area, float64 (n,)."""
        return np.asarray(2 * np.sqrt(self.area_um2 / np.pi), np.float64)


def owner_sums(owner: NDArray[np.int32], count: int, top: int = 0) -> NDArray[np.int64]:
    """Return pixels and sums of columns and rows of each nucleus, int64 (3, count); parts of a picture add up.

    Parameters
    ----------
    owner : ndarray of int32, (H, W)
        Which nucleus each pixel shows, −1 where none.
    count : int
        Number of nuclei.
    top : int
        Row of the picture at which this part begins.
    """
    rows, columns = np.nonzero(owner >= 0)
    shown = owner[rows, columns]
    sums = np.zeros((3, count), np.int64)
    np.add.at(sums[0], shown, 1)
    np.add.at(sums[1], shown, columns)
    np.add.at(sums[2], shown, rows + top)
    return sums


def shown_nuclei(sums: NDArray[np.int64], pixel_um: float) -> ShownNuclei:
    """Return what shows of each nucleus, from ``owner_sums`` over a whole picture."""
    pixels = np.maximum(sums[0], 1)
    x_um, y_um = (np.where(sums[0] > 0, (total / pixels + 0.5) * pixel_um, 0) for total in sums[1:])
    return ShownNuclei(sums[0] * pixel_um**2, x_um, y_um)


def nuclear_contrast(
    rgb: NDArray[np.uint8], pixel_um: float, white: White, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return by how much hematoxylin exceeds what lies around each place.

    The mean density of a disc of 4 µm, the densest within 1 µm of the place, as people's marks lie off the middle by as
    much; less the lower quartile of a ring 4 to 8 µm from it, which among crowded nuclei lies between them. Densities
    are unmixed with the reference vectors at 0.5 µm per pixel, as the software does.

    Parameters
    ----------
    rgb : ndarray of uint8, (H, W, 3)
    pixel_um : float
        Finer pixels are averaged to 0.5 µm.
    white : tuple of float
        Intensity of empty glass.
    x_um, y_um : ndarray of float64, (n,)
        Places, from the corner of the picture. Beyond its border the picture repeats its outermost pixels.

    Returns
    -------
    ndarray of float32, (n,)
        Optical density (log10); may be negative.
    """
    factor = max(1, round(_PIXEL_UM / pixel_um))
    step_um = pixel_um * factor
    density = np.ascontiguousarray(unmix(averaged(rgb, factor), reference_stains(white))[..., 0])
    down, across = _offsets(0, _NUCLEUS_UM, step_um)
    disc = np.zeros((2 * int(down.max()) + 1,) * 2, np.float32)
    disc[down + down.max(), across + down.max()] = 1 / len(down)
    inside = np.asarray(cv2.filter2D(density, -1, disc, borderType=cv2.BORDER_REPLICATE), np.float32)
    contrast = np.empty(len(x_um), np.float32)
    for start in range(0, len(x_um), _CELLS_AT_ONCE):
        some = slice(start, start + _CELLS_AT_ONCE)
        row, column = (np.floor(um[some] / step_um).astype(np.intp)[:, None] for um in (y_um, x_um))
        down, across = _offsets(0, _NEAR_UM, step_um)
        means = _at(inside, row + down, column + across)
        best = means.argmax(axis=1)
        row, column = row + down[best][:, None], column + across[best][:, None]
        down, across = _offsets(*_AROUND_UM, step_um)
        contrast[some] = means.max(axis=1) - np.percentile(_at(density, row + down, column + across), 25, axis=1)
    return contrast


def _offsets(least_um: float, most_um: float, step_um: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns, from the middle, of the pixels of a ring."""
    reach = int(np.ceil(most_um / step_um))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance_um = np.hypot(rows, columns) * step_um
    chosen = (distance_um >= least_um) & (distance_um <= most_um)
    return rows[chosen], columns[chosen]


def _at(values: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return values at places; beyond the border those of the border."""
    return values[np.clip(rows, 0, values.shape[0] - 1), np.clip(columns, 0, values.shape[1] - 1)]


def can_be_seen(shown: ShownNuclei, contrast_od: NDArray[np.float32], positive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which nuclei a reader could mark.

    Enough of the nucleus must show, and it must stand out; chromogen tells of a cell whose nucleus it hides, so the
    nucleus of a positive cell needs no contrast.

    Parameters
    ----------
    shown : ShownNuclei
    contrast_od : ndarray of float32, (n,)
        From ``nuclear_contrast``.
    positive : ndarray of bool, (n,)
    """
    stands_out = positive | (contrast_od >= FAINTEST_CONTRAST_OD)
    return np.asarray((shown.width_um >= VISIBLE_PROFILE_UM) & stands_out, np.bool_)
