"""Light that nuclei and their rings take away: what tells a nucleus from an empty hole in stained tissue."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.stain import StainMatrix
from ihc_quant.stain.density import density_table


def find_holes(
    territory: NDArray[np.int32], rgb: NDArray[np.uint8], stains: StainMatrix, n: int, most_od: float, share: float
) -> NDArray[np.bool_]:
    """Return which nuclei are as pale as glass and much paler than what surrounds them.

    Either alone would not do: hematoxylin may be that pale on a whole slide, and a strongly stained membrane is darker
    than its nucleus.

    Parameters
    ----------
    territory : ndarray, shape (H, W), int32
        Number of the nucleus at each pixel, from 1; with a minus sign in its ring; 0 elsewhere.
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    stains : StainMatrix
        For the white point.
    n : int
        Nuclei.
    most_od : float
        Mean optical density (log10, over the three channels) below which a nucleus is as pale as glass.
    share : float
        Share of its ring's density below which a nucleus is much paler than its surroundings.

    Returns
    -------
    ndarray, shape (n,), bool
    """
    nucleus, ring = _means(territory, rgb, density_table(stains.white), n)
    return np.asarray((nucleus < most_od) & (nucleus < share * ring), np.bool_)


@njit(nogil=True, cache=True)
def _means(  # type: ignore[no-untyped-def]
    territory, rgb, table, n
):
    """Return the mean density of each nucleus and of each ring; 0 without pixels."""
    sums = np.zeros((2, n))
    pixels = np.zeros((2, n), np.int64)
    height, width = territory.shape
    for y in range(height):
        for x in range(width):
            label = territory[y, x]
            if label != 0:
                part = 0 if label > 0 else 1
                density = table[0, rgb[y, x, 0]] + table[1, rgb[y, x, 1]] + table[2, rgb[y, x, 2]]
                sums[part, abs(label) - 1] += density / 3
                pixels[part, abs(label) - 1] += 1
    means = sums / np.maximum(pixels, 1)
    return means[0], means[1]
