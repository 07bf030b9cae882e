"""One image to learn from, and what is known of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.points_csv import LabelledPoints

UNKNOWN: int = -1
"""Call of a cell whose marker status nobody stated."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingField:
    """An image at the network's pixel size with the marks that belong to it. What is None is not supervised.

    Attributes
    ----------
    source, name, group : str
        Set, image and patient (or image, where patients are unknown): splits go by group.
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    points_px : ndarray, shape (n, 2), float64, or None
        x, y of the centre of every cell inside ``valid``; the centre of pixel (0, 0) is (0.5, 0.5).
    calls : ndarray, shape (n,), int8
        1 positive, 0 negative, ``UNKNOWN``.
    labels : ndarray, shape (H, W), int32, or None
        Instance numbers of nuclei, 0 elsewhere; None where outlines are unknown.
    valid : ndarray, shape (H, W), bool
        Where cells were marked exhaustively.
    no_marker : bool
        True where the whole image is known to carry no chromogen (an H&E section).
    count : int or None
        Number of positive cells in the whole image, where only that is known.
    marker, tissue, licence : str
        What the image shows and on what terms, where images of one source differ in it; empty where the source's name
        tells it, see ``statements``.
    """

    source: str
    name: str
    group: str
    rgb: NDArray[np.uint8]
    points_px: NDArray[np.float64] | None
    calls: NDArray[np.int8]
    labels: NDArray[np.int32] | None
    valid: NDArray[np.bool_]
    no_marker: bool = False
    count: int | None = None
    marker: str = ""
    tissue: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        shape = self.rgb.shape[:2]
        if self.valid.shape != shape or (self.labels is not None and self.labels.shape != shape):
            raise ValueError(f"{self.source}/{self.name}: labels and valid have the image's shape {shape}")
        if len(self.calls) != (0 if self.points_px is None else len(self.points_px)):
            raise ValueError(f"{self.source}/{self.name}: every marked cell has a call")


def calls_of(points: LabelledPoints) -> NDArray[np.int8]:
    """Return the calls (n,) of a points table: 1 positive, 0 negative, ``UNKNOWN``."""
    return np.where(points.judged, points.positive, UNKNOWN).astype(np.int8)
