"""Means over known places only, and masks without specks."""

import cv2
import numpy as np
from numpy.typing import NDArray


def smoothed(values: NDArray[np.float32], known: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    """Return a Gaussian mean over known places only, float32 (H, W); 0 far from any.

    Parameters
    ----------
    values : ndarray, shape (H, W), float32
        May be NaN where not known.
    known : ndarray, shape (H, W), bool
    sigma_px : float
        Standard deviation.
    """
    weight = np.maximum(_blurred(known, sigma_px), np.float32(1e-6))
    return np.asarray(_blurred(np.where(known, values, 0), sigma_px) / weight, np.float32)


def weighted(
    values: NDArray[np.float32], weights: NDArray[np.float32], sigma_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a weighted Gaussian mean and the mean weight, both float32 (H, W)."""
    weight = _blurred(weights, sigma_px)
    mean = _blurred(values * weights, sigma_px) / np.maximum(weight, np.float32(1e-6))
    return np.asarray(mean, np.float32), weight


def _blurred(values: NDArray[np.generic], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(
        cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigmaX=sigma_px, borderType=cv2.BORDER_REFLECT), np.float32
    )


def without_specks(mask: NDArray[np.bool_], least_px: float) -> NDArray[np.bool_]:
    """Return a mask without connected pieces of fewer pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= least_px
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)
