"""Light that each nucleus takes away: what tells a nucleus from an empty hole in stained tissue."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.stain import StainMatrix
from ihc_quant.stain.density import density_table


def nuclear_density(
    labels: NDArray[np.int32], rgb: NDArray[np.uint8], stains: StainMatrix, n: int
) -> NDArray[np.float64]:
    """Return the mean optical density of each nucleus over its pixels and the three channels.

    Parameters
    ----------
    labels : ndarray, shape (H, W), int32
        Number of the nucleus at each pixel, from 1; 0 elsewhere.
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    stains : StainMatrix
        For the white point.
    n : int
        Nuclei.

    Returns
    -------
    ndarray, shape (n,), float64
        OD (log10); 0 for a nucleus without pixels.
    """
    return np.asarray(_means(labels, rgb, density_table(stains.white), n), np.float64)


@njit(nogil=True, cache=True)
def _means(  # type: ignore[no-untyped-def]
    labels, rgb, table, n
):
    sums = np.zeros(n)
    pixels = np.zeros(n, np.int64)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if 0 < label <= n:
                sums[label - 1] += table[0, rgb[y, x, 0]] + table[1, rgb[y, x, 1]] + table[2, rgb[y, x, 2]]
                pixels[label - 1] += 1
    for i in range(n):
        if pixels[i]:
            sums[i] /= 3 * pixels[i]
    return sums
