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
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.errors import SettingsError
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.training.field import TrainingField, calls_of
from ihc_quant.training.painted_cache import painted_field

CD138_MPP = 0.25
"""µm per pixel of the CD138 tiles (stated by the set)."""
CD138_BORDER_PX = 32
"""Border of a CD138 tile, in its own pixels, in which cells were not marked."""
BCDATA_MPP = 0.25
"""µm per pixel of BCData; not stated, taken from the size of its nuclei."""
LYSTO_MPP = 0.25
"""µm per pixel of the LYSTO crops; not stated. JPEG's squares of 8 pixels are 7.67 wide in them, so a pixel holds 1.04
scanned ones, and at 0.24 µm, usual for a scan at 40 times, this is 0.25."""
HE_MPP = 0.5
"""µm per pixel of the H&E lymph node; not stated. Its lymphocytes measure 10 pixels across, so it cannot be 0.25."""
HE_PIECE_PX = 512
"""Side of the pieces that an H&E slide is cut into, in pixels of the network."""
PAINTED_UM = 0.5
"""µm per pixel of painted images."""
NUCLEUS_DIAMETER_UM = 8.0
"""Median nuclear diameter to which images of unknown scale are brought."""

Counted = dict[str, tuple[NDArray[np.uint8], int]]
"""Crops of which only the number of positive cells is known: name to pixels, uint8 (H, W, 3), and that number."""


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture as sRGB uint8 of shape (H, W, 3); ``SettingsError`` where it cannot be read."""
    return np.asarray(_picture(path, "RGB"))


def read_labels(path: Path) -> NDArray[np.int32]:
    """Return instance numbers of shape (H, W), 0 elsewhere; ``SettingsError`` where they cannot be read."""
    return np.asarray(_picture(path, None)).astype(np.int32)


def _picture(path: Path, mode: str | None) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert(mode) if mode else picture.copy()
    except OSError as error:
        raise SettingsError(f"{path}: the training image cannot be read; check the data folder.") from error


def pictures_in(folder: Path, pattern: str = "*.png") -> list[Path]:
    """Return the pictures of a folder in order of name.

    Raises
    ------
    SettingsError
        Where there are none.
    """
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise SettingsError(f"{folder}: there are no training images {pattern} here; check the data folder.")
    return paths


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
    paths = pictures_in(folder / "images")
    marks = read_points_csv(folder / "points.csv")
    if absent := sorted(set(marks) - {path.name for path in paths}):
        raise SettingsError(f"{folder}: points.csv names {absent[0]}, which is not among the images; fetch them all.")
    factor = mpp / pixel_um
    fields = []
    for path in paths:
        rgb = rescaled(read_rgb(path), factor)
        border = round(border_px * factor)
        valid = np.zeros(rgb.shape[:2], np.bool_)
        valid[border : rgb.shape[0] - border, border : rgb.shape[1] - border] = True
        points = marks.get(path.name)
        xy = points.xy_px * factor if points else np.empty((0, 2))
        calls = calls_of(points) if points else np.empty(0, np.int8)
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
    for path in pictures_in(folder / "images"):
        rgb, labels = read_rgb(path), read_labels(folder / "labels" / path.name)
        areas = np.bincount(labels.ravel())[1:]
        if not areas.any():
            continue  # without a nucleus its scale is unknown
        diameter_px = float(np.median(2 * np.sqrt(areas[areas > 0] / np.pi)))
        factor = NUCLEUS_DIAMETER_UM / pixel_um / diameter_px
        rgb = rescaled(rgb, factor)
        size = (rgb.shape[1], rgb.shape[0])
        # The exact variant picks the pixel under the new one's centre; the plain one is off by half a pixel.
        labels = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
        centres = centroids(labels)
        negative, everywhere = np.zeros(len(centres), np.int8), np.ones(labels.shape, np.bool_)
        fields.append(TrainingField("dsb2018", path.name, path.stem, rgb, centres, negative, labels, everywhere))
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
    for path in pictures_in(folder, "*_he.png"):
        rgb = rescaled(read_rgb(path), mpp / pixel_um)
        nowhere = np.zeros(rgb.shape[:2], np.bool_)
        calls = np.empty(0, np.int8)
        fields.append(TrainingField("he", path.name, path.stem, rgb, None, calls, None, nowhere, no_marker=True))
    return fields


def read_he_slide(path: Path, mpp: float, pixel_um: float) -> list[TrainingField]:
    """Read an H&E slide in pieces of ``HE_PIECE_PX``: no marks, but no chromogen anywhere.

    Raises
    ------
    SlideError
        Where it cannot be read.
    """
    fields = []
    with open_slide(path, mpp=Mpp.square(mpp)) as reader:
        grid = Grid(pixel_um, reader.info.require_mpp())
        extent = grid.extent(reader.info.size)
        for y in range(0, extent.height - HE_PIECE_PX, HE_PIECE_PX):
            for x in range(0, extent.width - HE_PIECE_PX, HE_PIECE_PX):
                rgb = read_grid(reader, grid, GridBox(x, y, x + HE_PIECE_PX, y + HE_PIECE_PX))
                nowhere, calls = np.zeros(rgb.shape[:2], np.bool_), np.empty(0, np.int8)
                name = f"{path.name} {x} {y}"
                fields.append(TrainingField("he", name, path.stem, rgb, None, calls, None, nowhere, no_marker=True))
    return fields


def read_counted(folder: Path, mpp: float, pixel_um: float) -> Counted:
    """Read crops of which only the number of positive cells is known: name to (image, count)."""
    path = folder / "counts.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            counts = {row["image"]: int(row["lymphocytes"]) for row in csv.DictReader(stream)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise SettingsError(f"{path}: the counts cannot be read; check its columns image and lymphocytes.") from error
    return {
        name: (rescaled(read_rgb(folder / "images" / name), mpp / pixel_um), count) for name, count in counts.items()
    }


def counted_fields(counted: Counted) -> list[TrainingField]:
    """Return counted crops as fields to learn from: no marks, but the number of positive cells."""
    return [
        TrainingField(
            "lysto", name, name, rgb, None, np.empty(0, np.int8), None, np.zeros(rgb.shape[:2], np.bool_), count=count
        )
        for name, (rgb, count) in counted.items()
    ]


def paint_fields(seeds: range, size_px: int, kept: Path | None = None) -> list[TrainingField]:
    """Paint fields whose cells are known by construction, or take them from the folder ``kept``."""
    fields = []
    for seed in seeds:
        painted = painted_field(seed, size_px, kept)
        name = f"painted-{seed}"
        calls = painted.positive.astype(np.int8)
        everywhere = np.ones(painted.labels.shape, np.bool_)
        fields.append(
            TrainingField("painted", name, name, painted.rgb, painted.centres_px, calls, painted.labels, everywhere)
        )
    return fields
