"""Pixels folded into channels, and maps unfolded again, before and after the network.

Runtimes do both on floats, plane by plane, at a tenth of the whole time; here bytes are moved once. The order of the
channels is that of ``torch.nn.functional.pixel_unshuffle``: colour, then row, then column within the fold.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.maps import CellMaps
from ihc_quant.network.card import Architecture
from ihc_quant.network.predictor import check_colour


def fold_pixels(rgb: NDArray[np.uint8], architecture: Architecture) -> NDArray[np.uint8]:
    """Return what the network takes: 255 − sRGB, 0 on white glass, exact in bfloat16 and as an integer.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
    architecture : Architecture

    Returns
    -------
    ndarray, shape (1, h, w, 3 · fold²), uint8
        H and W are filled up with white to a multiple of the network's stride, then divided by the fold.

    Raises
    ------
    ValueError
        Where the image is no 8-bit colour.
    """
    check_colour(rgb)
    folded = np.zeros(folded_shape(rgb.shape[0], rgb.shape[1], architecture), np.uint8)
    _fold(np.ascontiguousarray(rgb), (0,) * architecture.fold, folded[0])
    return folded


def folded_shape(height_px: int, width_px: int, architecture: Architecture) -> tuple[int, int, int, int]:
    """Return the shape of what the network takes for an image of a height and width."""
    fold, stride = architecture.fold, architecture.stride_px
    height, width = (-(-size // stride) * stride // fold for size in (height_px, width_px))
    return 1, height, width, 3 * fold * fold


def unfold_maps(folded: NDArray[np.float32], rgb: NDArray[np.uint8], architecture: Architecture) -> CellMaps:
    """Return the maps of an image from what the network gave, the filling cut off.

    Parameters
    ----------
    folded : ndarray, shape (h, w, 3 · fold²), float32
    rgb : ndarray, shape (H, W, 3), uint8
        The image.
    architecture : Architecture

    Returns
    -------
    CellMaps

    Raises
    ------
    ValueError
        Where what the network gave is not of the size of the image; compiled loops would read beyond it.
    """
    wanted = folded_shape(rgb.shape[0], rgb.shape[1], architecture)[1:]
    if folded.shape != wanted:
        raise ValueError(f"the maps of this image have shape {wanted} when folded, got {folded.shape}")
    maps = np.empty((3, *rgb.shape[:2]), np.float32)
    _unfold(folded, (0,) * architecture.fold, maps)
    return CellMaps(*maps)


@njit(nogil=True, cache=True)
def _fold(rgb: NDArray[np.uint8], places: tuple[int, ...], folded: NDArray[np.uint8]) -> None:
    """Fold; ``places`` is as long as the fold, as the length of a tuple is known when the loops are compiled."""
    height, width, _ = rgb.shape
    fold = len(places)
    whole = width // fold
    for y in range(height):
        source, target = rgb[y], folded[y // fold]
        first = (y % fold) * fold
        for column in range(whole):
            for dx in range(fold):
                for colour in range(3):
                    target[column, colour * fold * fold + first + dx] = 255 - source[column * fold + dx, colour]
        for x in range(whole * fold, width):
            for colour in range(3):
                target[whole, colour * fold * fold + first + x % fold] = 255 - source[x, colour]


@njit(nogil=True, cache=True)
def _unfold(folded: NDArray[np.float32], places: tuple[int, ...], maps: NDArray[np.float32]) -> None:
    _, height, width = maps.shape
    fold = len(places)
    whole = width // fold
    for plane in range(3):
        for y in range(height):
            source, target = folded[y // fold], maps[plane, y]
            first = plane * fold * fold + (y % fold) * fold
            for column in range(whole):
                for dx in range(fold):
                    target[column * fold + dx] = source[column, first + dx]
            for x in range(whole * fold, width):
                target[x] = source[whole, first + x % fold]
