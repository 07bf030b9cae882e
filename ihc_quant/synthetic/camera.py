"""From pigment to a picture: absorption, focus, sharpening, sensor."""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.synthetic.look import Look
from ihc_quant.synthetic.painting import Pigment

REACH_UM = 6.0
"""How far a pixel's colour reaches through blur and sharpening; parts of a section are painted with this margin."""


@njit(cache=True, nogil=True, fastmath=True)
def _transmit(
    hematoxylin: NDArray[np.float32],
    dab: NDArray[np.float32],
    melanin: NDArray[np.float32],
    eosin: NDArray[np.float32],
    vectors: NDArray[np.float32],
    light: NDArray[np.float32],
) -> None:
    """Write the share of light that passes, 10 to the power of minus the optical density."""
    for row in range(light.shape[0]):
        for column in range(light.shape[1]):
            h, d, m, e = hematoxylin[row, column], dab[row, column], melanin[row, column], eosin[row, column]
            for channel in range(3):
                density = h * vectors[0, channel] + d * vectors[1, channel]
                density += m * vectors[2, channel] + e * vectors[3, channel]
                light[row, column, channel] = np.exp(np.float32(-2.3025851) * density)


def photograph(
    pigment: Pigment, look: Look, focus: NDArray[np.float32], pixel_um: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the picture that a scanner takes of painted pigment.

    Parameters
    ----------
    pigment : Pigment
    look : Look
    focus : ndarray of float32, (H, W)
        How far out of focus each place is, 0 to 1.
    pixel_um : float
    rng : Generator
        For the sensor's noise.

    Returns
    -------
    ndarray of uint8, (H, W, 3)
    """
    stains = (look.hematoxylin, look.dab, look.melanin, look.eosin)
    vectors = np.array([(stain.red, stain.green, stain.blue) for stain in stains], np.float32)
    light = np.empty((*pigment.dab.shape, 3), np.float32)
    _transmit(pigment.hematoxylin, pigment.dab, pigment.melanin, pigment.eosin, vectors, light)
    sharp = _blurred(light, look.blur_um / pixel_um)
    if look.defocus_um > 0.05:
        soft = _blurred(sharp, look.defocus_um / pixel_um)
        sharp = sharp + (soft - sharp) * focus[..., None]
    if look.sharpening > 0:
        sharp = sharp + np.float32(look.sharpening) * (sharp - _blurred(sharp, 0.5 / pixel_um))
    picture = sharp * np.array(look.white, np.float32)
    grey = rng.standard_normal((*picture.shape[:2], 1), dtype=np.float32)
    colour = rng.standard_normal(picture.shape, dtype=np.float32)
    noise = (np.float32(0.8) * grey + np.float32(0.6) * colour) * np.sqrt(np.maximum(sharp, np.float32(0.05)))
    return np.asarray(np.clip(picture + np.float32(look.noise) * noise + 0.5, 0, 255), np.uint8)


def _blurred(light: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return the picture blurred by a Gaussian of that standard deviation."""
    return np.asarray(cv2.GaussianBlur(light, (0, 0), max(sigma_px, 0.2)), np.float32)
