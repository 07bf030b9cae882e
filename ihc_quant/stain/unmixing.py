"""Optical density to stain densities, by inverting the stain matrix.

The convention is QuPath's (Ruifrok and Johnston 2001, PMID 11531144): the optical density of a pixel is the sum of the
stains' unit vectors, each times its density; with two stains the third row is the residual, the normalised cross
product of the two, and takes what neither explains. Densities are linear in the lookup table of optical densities, so
one table for each stain and channel makes the whole work three lookups and two additions a pixel.

Densities may be negative (noise on empty glass, colours outside the stains' cone) and are kept so: clipping them would
bias every mean upwards.
"""

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.stain import StainMatrix
from ihc_quant.stain.density import density_table, require_rgb

MIN_TRIPLE_PRODUCT = 0.02
"""Smallest volume spanned by the unit rows; below it two stains have almost one colour and unmixing amplifies noise.
Hematoxylin and DAB span 0.60; two vectors 1.1° apart span 0.02."""


@lru_cache(maxsize=16)
def unmixing_matrix(stains: StainMatrix) -> NDArray[np.float64]:
    """Return the matrix that turns optical densities into stain densities.

    Parameters
    ----------
    stains : StainMatrix
        Hematoxylin and one or two chromogens.

    Returns
    -------
    ndarray, shape (3, 3), float64
        ``densities = od @ matrix``; columns hematoxylin, chromogen, and residual or second chromogen. Read-only.

    Raises
    ------
    ValueError
        Where two stains have almost the same colour, or three lie almost in one plane.
    """
    vectors = (stains.hematoxylin, *stains.chromogens)
    rows = [np.array([vector.red, vector.green, vector.blue], np.float64) for vector in vectors]
    if len(rows) == 2:
        residual = np.cross(rows[0], rows[1])
        rows.append(residual / max(float(np.linalg.norm(residual)), 1e-12))
    matrix = np.stack(rows)
    if abs(np.linalg.det(matrix)) < MIN_TRIPLE_PRODUCT:
        names = ", ".join(vector.name for vector in vectors)
        raise ValueError(f"the stains {names} have almost the same colour and cannot be told apart")
    inverse = np.asarray(np.linalg.inv(matrix), np.float64)
    inverse.flags.writeable = False
    return inverse


@lru_cache(maxsize=16)
def _stain_tables(stains: StainMatrix) -> NDArray[np.float32]:
    """Return what each 8-bit value adds to the density, (1 + chromogens, 3, 256) float32."""
    wanted = unmixing_matrix(stains)[:, : 1 + len(stains.chromogens)]
    tables = wanted.T[:, :, np.newaxis] * density_table(stains.white).astype(np.float64)
    return np.ascontiguousarray(tables, np.float32)


def unmix(rgb: NDArray[np.uint8], stains: StainMatrix) -> NDArray[np.float32]:
    """Return the density of hematoxylin and of each chromogen.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB pixels.
    stains : StainMatrix
        Stain vectors and white point of the slide.

    Returns
    -------
    ndarray, shape (H, W, 1 + chromogens), float32
        Optical density (log10) of hematoxylin, then of each chromogen; may be negative.

    Raises
    ------
    TypeError, ValueError
        Where the pixels are not uint8 (H, W, 3), or the stains cannot be told apart.
    """
    pixels = _contiguous(rgb)
    tables = _stain_tables(stains)
    density = np.empty((*rgb.shape[:2], len(tables)), np.float32)
    if len(tables) == 2:
        _sum_two(pixels, tables, density.reshape(-1, 2))
    else:
        _sum_three(pixels, tables, density.reshape(-1, 3))
    return density


def chromogen_density(rgb: NDArray[np.uint8], stains: StainMatrix, slot: int = 0) -> NDArray[np.float32]:
    """Return the density of one chromogen alone, the fastest way to it.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB pixels.
    stains : StainMatrix
        Stain vectors and white point of the slide.
    slot : int
        Which chromogen, from 0.

    Returns
    -------
    ndarray, shape (H, W), float32
        Optical density (log10); may be negative. Equal to ``unmix(rgb, stains)[..., 1 + slot]``.

    Raises
    ------
    IndexError
        Where the section has no such chromogen.
    TypeError, ValueError
        As ``unmix``.
    """
    if not 0 <= slot < len(stains.chromogens):
        raise IndexError(f"the section has {len(stains.chromogens)} chromogens, there is no slot {slot}")
    pixels = _contiguous(rgb)
    density = np.empty(rgb.shape[:2], np.float32)
    _sum_one(pixels, _stain_tables(stains)[1 + slot], density.reshape(-1))
    return density


def _contiguous(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    require_rgb(rgb)
    if rgb.ndim != 3:
        raise ValueError(f"an image has shape (H, W, 3), got {rgb.shape}")
    return np.ascontiguousarray(rgb).reshape(-1, 3)


@njit(nogil=True, cache=True)
def _sum_one(pixels: NDArray[np.uint8], table: NDArray[np.float32], density: NDArray[np.float32]) -> None:
    for i in range(pixels.shape[0]):
        density[i] = table[0, pixels[i, 0]] + table[1, pixels[i, 1]] + table[2, pixels[i, 2]]


@njit(nogil=True, cache=True)
def _sum_two(pixels: NDArray[np.uint8], tables: NDArray[np.float32], density: NDArray[np.float32]) -> None:
    for i in range(pixels.shape[0]):
        red, green, blue = pixels[i, 0], pixels[i, 1], pixels[i, 2]
        density[i, 0] = tables[0, 0, red] + tables[0, 1, green] + tables[0, 2, blue]
        density[i, 1] = tables[1, 0, red] + tables[1, 1, green] + tables[1, 2, blue]


@njit(nogil=True, cache=True)
def _sum_three(pixels: NDArray[np.uint8], tables: NDArray[np.float32], density: NDArray[np.float32]) -> None:
    for i in range(pixels.shape[0]):
        red, green, blue = pixels[i, 0], pixels[i, 1], pixels[i, 2]
        density[i, 0] = tables[0, 0, red] + tables[0, 1, green] + tables[0, 2, blue]
        density[i, 1] = tables[1, 0, red] + tables[1, 1, green] + tables[1, 2, blue]
        density[i, 2] = tables[2, 0, red] + tables[2, 1, green] + tables[2, 2, blue]
