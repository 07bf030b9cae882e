"""Write a picture as a pyramidal TIFF that OpenSlide opens with its µm per pixel."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

TILE_PX = 256
"""Side of the JPEG tiles."""

_UM_IN_CM = 10_000.0


def write_pyramid(path: Path, rgb: NDArray[np.uint8], mpp: float, *, quality: int = 85, levels: int = 3) -> None:
    """Write an image as a tiled, JPEG-compressed pyramidal TIFF.

    Parameters
    ----------
    path : Path
        Written anew; an existing file is replaced.
    rgb : ndarray of uint8, (H, W, 3)
        The finest level.
    mpp : float
        µm per pixel of the finest level, written as the TIFF's resolution.
    quality : int
        Of the JPEG tiles, 1 to 100.
    levels : int
        Levels, each half as fine as the one before (exact average of 2 × 2 pixels); fewer where the image would shrink
        below one tile.

    Raises
    ------
    ValueError
        If the image is not 8-bit RGB, or µm per pixel are not positive.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a slide is written from 8-bit RGB, got {rgb.dtype} of shape {rgb.shape}")
    if not mpp > 0:
        raise ValueError(f"µm per pixel are positive, got {mpp}")
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            if level and min(rgb.shape[:2]) < 2 * TILE_PX:
                break
            rgb = halved(rgb) if level else rgb
            pixels_per_cm = _UM_IN_CM / (mpp * 2**level)
            # Stored as YCbCr with chroma at half resolution, as scanners do, and without software or date, so that the
            # same pixels give the same bytes.
            file.write(
                rgb,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                subsampling=(2, 2),
                compression="jpeg",
                compressionargs={"level": quality},
                resolution=(pixels_per_cm, pixels_per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                description=None if level else "Painted by ihc_quant; not from a patient.",
                metadata=None,
                software=False,
            )


def halved(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image half as fine: the rounded mean of 2 × 2 pixels, an odd last row or column counted twice.

    Parameters
    ----------
    rgb : ndarray of uint8, (H, W, 3)

    Returns
    -------
    ndarray of uint8, (⌈H/2⌉, ⌈W/2⌉, 3)
    """
    height, width = rgb.shape[:2]
    even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(np.uint16)
    total = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)
