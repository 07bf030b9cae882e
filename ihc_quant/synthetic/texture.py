"""Periodic noise from which the painter takes chromatin, fibres, haze and irregular outlines."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

TILE_PX = 1024
"""Side of a noise tile; the tile repeats without a seam."""

TEXELS_PER_UM = 4.0
"""Texels of a tile in one µm, so that a tile spans 256 µm."""

SCALES_UM: tuple[float, ...] = (0.2, 0.55, 1.4, 4.0, 12.0, 30.0)
"""Standard deviation of the Gaussian that correlates each tile, finest first, in µm."""

FINE, GRAIN, BLOTCH, CELL, PATCH, FIELD = range(len(SCALES_UM))

_SEED = 20_012_001


@lru_cache(maxsize=1)
def noise_tiles() -> NDArray[np.float32]:
    """Return one periodic noise tile a scale, each with mean 0 and standard deviation 1.

    Returns
    -------
    ndarray of float32, (6, 1024, 1024)
        Read-only; the scales of ``SCALES_UM`` in order.
    """
    rng = np.random.default_rng(_SEED)
    frequency_y = fft.fftfreq(TILE_PX).astype(np.float32)[:, None]
    frequency_x = fft.rfftfreq(TILE_PX).astype(np.float32)[None, :]
    squared = frequency_x**2 + frequency_y**2
    tiles = np.empty((len(SCALES_UM), TILE_PX, TILE_PX), np.float32)
    for index, scale_um in enumerate(SCALES_UM):
        sigma = scale_um * TEXELS_PER_UM
        white = rng.standard_normal((TILE_PX, TILE_PX), dtype=np.float32)
        smooth = fft.irfft2(fft.rfft2(white) * np.exp(-2 * (np.pi * sigma) ** 2 * squared), s=white.shape)
        tiles[index] = (smooth - smooth.mean()) / smooth.std()
    tiles.flags.writeable = False
    return tiles


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float, *, pad: int | None = None
) -> NDArray[np.float32]:
    """Return smooth noise of an array's own, with mean near 0 and standard deviation 1 over the whole process.

    Parameters
    ----------
    rng : Generator
    shape : (int, int)
        Height and width in pixels.
    sigma : float
        Standard deviation of the correlating Gaussian, in pixels.
    pad : int, optional
        Margin that is made and cut away again, so that opposite borders do not agree; 3 sigma by default.

    Returns
    -------
    ndarray of float32, (H, W)
    """
    margin = int(3 * sigma) if pad is None else pad
    height, width = (fft.next_fast_len(side + margin, real=True) for side in shape)
    white = rng.standard_normal((height, width), dtype=np.float32)
    frequency_y = fft.fftfreq(height).astype(np.float32)[:, None]
    frequency_x = fft.rfftfreq(width).astype(np.float32)[None, :]
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (frequency_x**2 + frequency_y**2))
    smooth: NDArray[np.float32] = fft.irfft2(fft.rfft2(white) * transfer, s=white.shape).astype(np.float32)
    # The gain of the filter is known, so short arrays are not stretched to an artificial unit variance.
    gain = 1.0 / (2 * np.sqrt(np.pi) * max(sigma, 0.3))
    return np.ascontiguousarray(smooth[: shape[0], : shape[1]] / np.float32(gain))
