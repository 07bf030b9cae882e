"""The labelled images of ``../shared/data`` as ``score`` reads them (a picture, its µm per pixel), and the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ihc_quant.annotation.points_csv import read_points_csv
from ihc_quant.training.sources import (
    BCDATA_MPP,
    CD138_BORDER_PX,
    CD138_MPP,
    LYSTO_MPP,
    NUCLEUS_DIAMETER_UM,
    centroids,
    patient_of,
    pictures_in,
    read_counted,
    read_labels,
    read_rgb,
)

DEEPLIIF_MPP = 0.25
"""µm per pixel of the DeepLIIF pictures; not stated, taken from the size of their nuclei."""
SEGMENTATION_CUT = 128
"""Channel value from which a pixel of a DeepLIIF segmentation picture has that colour; its reds go down to 210."""
MOST_SHIFT_PX = 16
"""Farthest that the truth of a DeepLIIF picture is moved (4 µm, less than a nucleus)."""
LEAST_INSTANCE_PX = 30
"""A smaller piece of a segmentation picture (2 µm²) is a leftover of somebody's brush."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """A picture and what people know of it.

    Attributes
    ----------
    source, name, group : str
        Set, image, and patient where patients are known, else the image: what a card's split lists.
    path : Path
        The picture that is scored.
    mpp_um : float
        µm per pixel.
    size_px : tuple of int
        Width and height.
    places_um : ndarray, shape (n, 2), float64
        x, y of each marked cell, µm from the picture's corner.
    positive : ndarray, shape (n,), bool
        What people called it.
    border_um : float
        Width of the rim in which nobody marked cells.
    labels : ndarray, shape (H, W), int32, or None
        Number of the nucleus at each pixel, in the order of ``places_um`` from 1, where outlines are known.
    count : int or None
        Positive cells in the picture where only their number is known.
    """

    source: str
    name: str
    group: str
    path: Path
    mpp_um: float
    size_px: tuple[int, int]
    places_um: NDArray[np.float64]
    positive: NDArray[np.bool_]
    border_um: float = 0.0
    labels: NDArray[np.int32] | None = None
    count: int | None = None

    @property
    def key(self) -> str:
        """Set and group as a card's split writes them."""
        return f"{self.source}/{self.group}"

    def marked_at(self, places_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places (n, 2), in µm, lie where people marked cells."""
        size_um = np.array(self.size_px) * self.mpp_um
        inside = (places_um >= self.border_um) & (places_um < size_um - self.border_um)
        return np.asarray(inside.all(axis=1), np.bool_)


def read_cd138(folder: Path) -> list[LabelledImage]:
    """Read the CD138 tiles; their groups are patients."""
    return _point_images(folder, "cd138", CD138_MPP, CD138_BORDER_PX, patient_of)


def read_bcdata(folder: Path) -> list[LabelledImage]:
    """Read the BCData images."""
    return _point_images(folder, "bcdata", BCDATA_MPP, 0, lambda stem: stem)


def _point_images(
    folder: Path, source: str, mpp: float, border_px: int, group_of: Callable[[str], str]
) -> list[LabelledImage]:
    marks, images = read_points_csv(folder / "points.csv"), []
    for path in pictures_in(folder / "images"):
        points = marks.get(path.name)
        places = np.empty((0, 2)) if points is None else points.xy_px * mpp
        positive = np.empty(0, np.bool_) if points is None else points.positive
        group, border = group_of(path.stem), border_px * mpp
        images.append(LabelledImage(source, path.name, group, path, mpp, size_of(path), places, positive, border))
    return images


def read_dsb2018(folder: Path) -> list[LabelledImage]:
    """Read the bright-field images of DSB 2018, each at the µm per pixel that brings its nuclei to the usual size."""
    images = []
    for path in pictures_in(folder / "images"):
        labels = _renumbered(read_labels(folder / "labels" / path.name))
        if not labels.any():
            continue  # without a nucleus its scale is unknown
        diameter_px = float(np.median(2 * np.sqrt(np.bincount(labels.ravel())[1:] / np.pi)))
        mpp = NUCLEUS_DIAMETER_UM / diameter_px
        places = centroids(labels) * mpp
        negative = np.zeros(len(places), np.bool_)
        size = (labels.shape[1], labels.shape[0])
        images.append(LabelledImage("dsb2018", path.name, path.stem, path, mpp, size, places, negative, labels=labels))
    return images


def read_deepliif(folder: Path) -> list[LabelledImage]:
    """Read the DeepLIIF pictures; only ever looked at, never learned from.

    Their truth comes from other stains of the section and lies 1.5 to 2 µm beside the picture, enough to undo any
    overlap of outlines, so it is moved to where the picture is dark. No machine has a part in that.
    """
    images = []
    for path in pictures_in(folder, "*_image.png"):
        name = path.name.removesuffix("_image.png")
        labels, positive = read_segmentation(read_rgb(folder / f"{name}_segmentation.png"))
        by_px = best_shift_px(labels, read_rgb(path))
        labels = np.asarray(ndimage.shift(labels, by_px, order=0, mode="constant"), np.int32)
        # A nucleus cut by the edge may be gone, and along the edge from which they moved nobody marked anything.
        positive, labels = positive[np.unique(labels[labels > 0]) - 1], _renumbered(labels)
        border_um = max(map(abs, by_px)) * DEEPLIIF_MPP
        places = centroids(labels) * DEEPLIIF_MPP
        size = size_of(path)
        images.append(
            LabelledImage("deepliif", path.name, name, path, DEEPLIIF_MPP, size, places, positive, border_um, labels)
        )
    return images


def read_segmentation(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Read a DeepLIIF segmentation picture: red positive, blue negative, a green border around each nucleus.

    A nucleus is a connected piece of red or blue. The green border is left out: laid over the pictures, it runs outside
    of the visible edge of the nucleus.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8

    Returns
    -------
    labels : ndarray, shape (H, W), int32
        Nuclei from 1, 0 elsewhere.
    positive : ndarray, shape (n,), bool
        Whether most of a nucleus is red.
    """
    red, green, blue = (np.asarray(rgb[..., channel] >= SEGMENTATION_CUT) for channel in range(3))
    inside = (red | blue) & ~green
    pieces, _ = ndimage.label(inside)
    kept = np.bincount(pieces.ravel()) >= LEAST_INSTANCE_PX
    kept[0] = False
    labels = _renumbered(np.where(kept[pieces], pieces, 0).astype(np.int32))
    share_red = np.bincount(labels.ravel(), (red & ~blue).ravel()) / np.maximum(1, np.bincount(labels.ravel()))
    return labels, np.asarray(share_red[1:] > 0.5, np.bool_)


def best_shift_px(labels: NDArray[np.int32], rgb: NDArray[np.uint8]) -> tuple[int, int]:
    """Return by how many pixels (down, right) nuclei have to move to lie on the dark places of a picture.

    The shift, up to ``MOST_SHIFT_PX`` either way, at which their mask correlates best with the darkest channel.
    """
    mask, dark = (labels > 0).astype(float), 255.0 - rgb.min(axis=2)
    spectrum = np.fft.rfft2(dark - dark.mean()) * np.conj(np.fft.rfft2(mask - mask.mean()))
    correlation = np.fft.fftshift(np.fft.irfft2(spectrum, s=mask.shape))
    middle = np.array(mask.shape) // 2
    window = tuple(slice(at - MOST_SHIFT_PX, at + MOST_SHIFT_PX + 1) for at in middle)
    down, right = np.unravel_index(int(np.argmax(correlation[window])), (2 * MOST_SHIFT_PX + 1,) * 2)
    return int(down) - MOST_SHIFT_PX, int(right) - MOST_SHIFT_PX


def read_lysto(folder: Path) -> list[LabelledImage]:
    """Read the LYSTO crops, of which only the number of positive cells is known."""
    images = []
    for name, (_, count) in read_counted(folder, LYSTO_MPP, LYSTO_MPP).items():
        path = folder / "images" / name
        none, nobody = np.empty((0, 2)), np.empty(0, np.bool_)
        size = size_of(path)
        images.append(LabelledImage("lysto", name, path.stem, path, LYSTO_MPP, size, none, nobody, count=count))
    return images


READERS: dict[str, Callable[[Path], list[LabelledImage]]] = {
    "cd138": read_cd138,
    "bcdata": read_bcdata,
    "dsb2018": read_dsb2018,
    "deepliif": read_deepliif,
    "lysto": read_lysto,
}
"""How each folder of ``labelled/`` is read."""


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of a picture."""
    with Image.open(path) as picture:
        return picture.size


def _renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the same nuclei numbered from 1 without gaps, 0 staying 0."""
    present = np.unique(labels)
    present = present[present > 0]
    return np.asarray(np.where(labels > 0, np.searchsorted(present, labels) + 1, 0), np.int32)
