"""Errors of counts, image by image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CountErrors:
    """How counts of cells differ from the true ones.

    Attributes
    ----------
    images : int
    mean_found, mean_true : float
        Cells in an image.
    bias : float
        Mean of found − true.
    mean_absolute_error : float
    median_absolute_error : float
    within : float
        Share of images whose count differs by at most ``tolerance``.
    tolerance : int
    """

    images: int
    mean_found: float
    mean_true: float
    bias: float
    mean_absolute_error: float
    median_absolute_error: float
    within: float
    tolerance: int


def count_errors(found: NDArray[np.int64], true: NDArray[np.int64], tolerance: int = 1) -> CountErrors | None:
    """Compare counts of cells with the true ones.

    Parameters
    ----------
    found, true : ndarray, shape (n,), int64
        Cells in each image, in the same order.
    tolerance : int
        Difference that is still taken as agreement.

    Returns
    -------
    CountErrors or None
        None where there are no images.

    Raises
    ------
    ValueError
        Where the two differ in length.

    Examples
    --------
    >>> errors = count_errors(np.array([1, 2, 30]), np.array([1, 1, 34]))
    >>> errors.bias, round(errors.mean_absolute_error, 3), round(errors.within, 3)
    (-1.0, 1.667, 0.667)
    """
    if found.shape != true.shape:
        raise ValueError(f"{found.shape} counts cannot be compared with {true.shape}")
    if len(found) == 0:
        return None
    error = found.astype(np.float64) - true
    away = np.abs(error)
    return CountErrors(
        images=len(found),
        mean_found=float(found.mean()),
        mean_true=float(true.mean()),
        bias=float(error.mean()),
        mean_absolute_error=float(away.mean()),
        median_absolute_error=float(np.median(away)),
        within=float((away <= tolerance).mean()),
        tolerance=tolerance,
    )
