"""Colour to optical density and back.

Optical density here is −log10(I / white), as in QuPath. Other scales are in the wild; ``SCIKIT_IMAGE_PER_LOG10``
converts at the border. Intensity 0 counts as 1, so the largest density of a channel is log10(white), 2.41 for white
255. A pixel brighter than the white point has a negative density, and it stays negative: clipping it would lift the
mean of empty places and of everything measured on them.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

White = tuple[float, float, float]
"""Intensity (R, G, B) of empty glass, above 0 and up to 255."""

FULL_WHITE: Final[White] = (255.0, 255.0, 255.0)
"""The white point taken where a slide shows no background (QuPath's default)."""

SCIKIT_IMAGE_PER_LOG10: Final = 1 / 6
"""scikit-image's stain values are ln(I / 255) / ln(1e-6), one sixth of −log10(I / 255) (separate_stains, 0.25)."""


@lru_cache(maxsize=16)
def density_table(white: White) -> NDArray[np.float32]:
    """Return the optical density of each 8-bit value in each channel.

    Parameters
    ----------
    white : tuple of float
        Intensity (R, G, B) of empty glass.

    Returns
    -------
    ndarray, shape (3, 256), float32
        −log10(max(value, 1) / white), read-only.

    Raises
    ------
    ValueError
        Where a channel of the white point is not above 0 and up to 255.
    """
    if not all(0 < channel <= 255 for channel in white):
        raise ValueError(f"a white point is three intensities above 0 and up to 255, got {white}")
    values = np.maximum(np.arange(256), 1)
    table = (np.log10(np.asarray(white, np.float64))[:, np.newaxis] - np.log10(values)).astype(np.float32)
    table.flags.writeable = False
    return table


def optical_density(rgb: NDArray[np.uint8], white: White = FULL_WHITE) -> NDArray[np.float32]:
    """Return the optical density of each channel.

    Parameters
    ----------
    rgb : ndarray, shape (..., 3), uint8
        sRGB intensities, 0 to 255.
    white : tuple of float
        Intensity (R, G, B) of empty glass.

    Returns
    -------
    ndarray, shape (..., 3), float32
        −log10(I / white); negative where the pixel is brighter than the white point.

    Raises
    ------
    TypeError
        Where the pixels are not uint8.
    ValueError
        Where the last axis is not R, G, B, or the white point is out of range.

    Examples
    --------
    >>> optical_density(np.array([[[255, 128, 25]]], np.uint8)).round(2)
    array([[[0.  , 0.3 , 1.01]]], dtype=float32)
    """
    require_rgb(rgb)
    table = density_table(white)
    density = np.empty(rgb.shape, np.float32)
    for channel in range(3):
        np.take(table[channel], rgb[..., channel], out=density[..., channel])
    return density


def from_optical_density(density: NDArray[np.float32], white: White = FULL_WHITE) -> NDArray[np.uint8]:
    """Return the colour that has these optical densities; the inverse of ``optical_density`` for values from 1 to 255.

    Parameters
    ----------
    density : ndarray, shape (..., 3), float
        Optical density (log10) of each channel.
    white : tuple of float
        Intensity (R, G, B) of empty glass.

    Returns
    -------
    ndarray, shape (..., 3), uint8
        white · 10^−OD, rounded and kept within 0 to 255.
    """
    intensity = np.asarray(white, np.float64) * np.power(10.0, -density.astype(np.float64))
    return np.clip(np.rint(intensity), 0, 255).astype(np.uint8)


def require_rgb(rgb: NDArray[np.uint8]) -> None:
    """Raise unless the pixels are uint8 with R, G, B on the last axis.

    Raises
    ------
    TypeError
        Where the pixels are not uint8.
    ValueError
        Where the last axis does not hold three channels.
    """
    if rgb.dtype != np.uint8:
        raise TypeError(f"pixels are uint8, got {rgb.dtype}")
    if rgb.ndim < 1 or rgb.shape[-1] != 3:
        raise ValueError(f"pixels have R, G, B on the last axis, got shape {rgb.shape}")


def averaged(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return means of factor × factor pixels; blocks cut by the border are filled up by repeating it."""
    if factor == 1:
        return rgb
    height, width = rgb.shape[:2]
    below, right = -height % factor, -width % factor
    padded = cv2.copyMakeBorder(np.ascontiguousarray(rgb), 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // factor, padded.shape[0] // factor)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.uint8)
