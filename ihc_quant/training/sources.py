"""Sets to learn from, each brought to the network's pixel size and to one type.

The folders are those of the shared image collection; each source is told its own µm per pixel. A source supervises only
what it knows: points say nothing of outlines, an H&E section says only that no chromogen is there.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.annotation.points_csv import read_points_csv
from ihc_quant.errors import SettingsError
from ihc_quant.synthetic.field import paint_training_field
from ihc_quant.training.field import TrainingField

CD138_MPP = 0.25
"""µm per pixel of the CD138 tiles (stated by the set)."""
CD138_BORDER_PX = 32
"""Border of a CD138 tile, in its own pixels, in which cells were not marked."""
BCDATA_MPP = 0.25
"""µm per pixel of BCData; not stated, taken from the size of its nuclei."""
LYSTO_MPP = 0.25
"""µm per pixel of the LYSTO crops; about 0.25 to 0.29, they may have been resized."""
HE_MPP = 0.5
"""µm per pixel of the H&E lymph node; not stated. Its lymphocytes measure 10 pixels across, so it cannot be 0.25."""
NUCLEUS_DIAMETER_UM = 8.0
"""Median nuclear diameter to which images of unknown scale are brought."""


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture as sRGB uint8 of shape (H, W, 3)."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise SettingsError(f"{path}: the training image cannot be read; check the data folder.") from error


def rescaled(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return the image scaled by ``factor``, by area averaging where it shrinks."""
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_AREA if factor <= 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def read_point_set(folder: Path, source: str, mpp: float, pixel_um: float, border_px: int) -> list[TrainingField]:
    """Read a set of images with a ``points.csv``.

    Parameters
    ----------
    folder : Path
        Holds ``images/`` and ``points.csv``.
    source : str
        ``"cd138"`` or ``"bcdata"``; decides how a name tells the patient.
    mpp, pixel_um : float
        µm per pixel of the images and of the network.
    border_px : int
        Border without marks, in pixels of the images.
    """
    marks = read_points_csv(folder / "points.csv")
    factor = mpp / pixel_um
    fields = []
    for path in sorted((folder / "images").iterdir()):
        rgb = rescaled(read_rgb(path), factor)
        border = round(border_px * factor)
        valid = np.zeros(rgb.shape[:2], np.bool_)
        valid[border : rgb.shape[0] - border, border : rgb.shape[1] - border] = True
        points = marks.get(path.name)
        xy = points.xy_px * factor if points else np.empty((0, 2))
        calls = points.positive.astype(np.int8) if points else np.empty(0, np.int8)
        group = patient_of(path.stem) if source == "cd138" else path.stem
        fields.append(TrainingField(source, path.name, group, rgb, xy, calls, None, valid))
    return fields


def patient_of(stem: str) -> str:
    """Return the patient group of a CD138 tile; 003A and 003B are taken for one patient.

    Examples
    --------
    >>> patient_of("CD138-003A_2")
    '003'
    """
    return stem.split("_")[0].removeprefix("CD138-").rstrip("AB")


def read_dsb2018(folder: Path, pixel_um: float) -> list[TrainingField]:
    """Read the bright-field images of DSB 2018: outlines of nuclei, no chromogen; scaled by their own nuclei."""
    fields = []
    for path in sorted((folder / "images").iterdir()):
        rgb = read_rgb(path)
        labels = np.asarray(Image.open(folder / "labels" / path.name)).astype(np.int32)
        areas = np.bincount(labels.ravel())[1:]
        diameter_px = float(np.median(2 * np.sqrt(areas[areas > 0] / np.pi)))
        factor = NUCLEUS_DIAMETER_UM / pixel_um / diameter_px
        rgb = rescaled(rgb, factor)
        size = (rgb.shape[1], rgb.shape[0])
        labels = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
        centres = centroids(labels)
        fields.append(
            TrainingField(
                "dsb2018",
                path.name,
                path.stem,
                rgb,
                centres,
                np.zeros(len(centres), np.int8),
                labels,
                np.ones(labels.shape, np.bool_),
            )
        )
    return fields


def centroids(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the centroid (x, y) of each instance in pixels, in the order of their numbers, shape (n, 2)."""
    present = np.unique(labels)
    present = present[present > 0]
    rows, columns = np.nonzero(labels)
    values = labels[rows, columns]
    counts = np.bincount(values, minlength=int(labels.max(initial=0)) + 1)
    sum_x = np.bincount(values, columns + 0.5, minlength=len(counts))
    sum_y = np.bincount(values, rows + 0.5, minlength=len(counts))
    return np.column_stack([sum_x[present] / counts[present], sum_y[present] / counts[present]])


def read_he(folder: Path, mpp: float, pixel_um: float) -> list[TrainingField]:
    """Read H&E pictures: no marks, but no chromogen anywhere."""
    fields = []
    for path in sorted(folder.glob("*_he.png")):
        rgb = rescaled(read_rgb(path), mpp / pixel_um)
        nowhere = np.zeros(rgb.shape[:2], np.bool_)
        calls = np.empty(0, np.int8)
        fields.append(TrainingField("he", path.name, path.stem, rgb, None, calls, None, nowhere, no_marker=True))
    return fields


def read_counted(folder: Path, mpp: float, pixel_um: float) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """Read crops of which only the number of positive cells is known: name to (image, count)."""
    with (folder / "counts.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        row["image"]: (rescaled(read_rgb(folder / "images" / row["image"]), mpp / pixel_um), int(row["lymphocytes"]))
        for row in rows
    }


def paint_fields(seeds: range, size_px: int) -> list[TrainingField]:
    """Paint fields whose cells are known by construction."""
    fields = []
    for seed in seeds:
        painted = paint_training_field(seed, size_px)
        name = f"painted-{seed}"
        calls = painted.positive.astype(np.int8)
        everywhere = np.ones(painted.labels.shape, np.bool_)
        fields.append(
            TrainingField("painted", name, name, painted.rgb, painted.centres_px, calls, painted.labels, everywhere)
        )
    return fields
