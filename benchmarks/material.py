"""Slides for the benchmarks, built from real pixels: a plane of mirrored pictures, streamed to disk at any size.

A picture is continued by its own mirror image, so it has no seam, and the plane changes from one picture to the next
only at the edges of wide bands. Halving a picture and mirroring it give the same in either order, so every level of a
pyramid is a plane of its own and a slide of any size is written tile by tile, without ever being in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Mpp
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.writing import halved

PROJECT = Path(__file__).resolve().parents[1]
SHARED_DATA = PROJECT.parent / "shared" / "data"
"""Real images; not a part of the project."""

NODE_PICTURES = {
    "pair1_cd3.png": GridBox(1376, 16, 2032, 1808),
    "ihc_a.png": GridBox(816, 1232, 1952, 2032),
    "ihc_b.png": GridBox(64, 112, 720, 2032),
}
"""CD3 (DAB) on lymph node, and the part of each that is tissue: a slide is to be as crowded as a node is."""

NODE_UM = 0.5
"""µm per pixel taken for these pictures, by the size of their lymphocytes."""

NODE_MPP = Mpp.square(0.25)
"""Of the slides built of them: enlarged, so softer than a scan of that resolution."""

PAINTED_SLIDES = ("sample-lymph_node-CD4.tiff", "sample-lymph_node-CCR4.tiff")
PAINTED_PART = GridBox(1024, 1024, 2560, 2560)
"""Stand in where the real pictures are missing."""

TILE_PX = 256
JPEG_QUALITY = 85
LEVELS = 3
"""Of the slides' pyramids."""

LEVEL_STEP = 4
"""How much coarser each level is than the one before, a power of two: 4 as Aperio writes them, so that the network's
0.5 µm have to be read from 0.25 µm. With 2 reading would be three times as fast."""

_UM_IN_CM = 10_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """An endless plane of mirrored pictures.

    Attributes
    ----------
    pictures : tuple of ndarray, each (H, W, 3), uint8
        Each fills a vertical band; after the last band the first comes again.
    band_px : int
        Width of a band.
    source : str
        What the pictures are, for the head of a table.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    band_px: int
    source: str

    def read(self, box: GridBox) -> NDArray[np.uint8]:
        """Return the pixels of a box, uint8 (H, W, 3)."""
        rgb = np.empty((box.height, box.width, 3), np.uint8)
        for band in range(box.x0 // self.band_px, -(-box.x1 // self.band_px)):
            picture = self.pictures[band % len(self.pictures)]
            x0, x1 = max(box.x0, band * self.band_px), min(box.x1, (band + 1) * self.band_px)
            rows = mirrored(np.arange(box.y0, box.y1), picture.shape[0])
            columns = mirrored(np.arange(x0, x1), picture.shape[1])
            rgb[:, x0 - box.x0 : x1 - box.x0] = picture[rows[:, None], columns]
        return rgb

    def coarser(self, factor: int) -> "Plane":
        """Return the plane coarser by a power of two."""
        plane = self
        for _ in range(factor.bit_length() - 1):
            plane = Plane(tuple(halved(picture) for picture in plane.pictures), plane.band_px // 2, self.source)
        return plane


def mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return which pixel of a line shows at each place when the line is continued by its mirror image."""
    within = places % (2 * length)
    return np.where(within < length, within, 2 * length - 1 - within)


def node_plane(side_px: int, *, whole: bool = False) -> Plane:
    """Return a plane of lymph node that shows all its pictures within ``side_px``: real ones, else painted ones.

    Of the real pictures the parts that are tissue are taken, or with ``whole`` all of them, glass and fat included.
    """
    folder = SHARED_DATA / "unlabelled" / "lymphnode_cd3"
    if all((folder / name).is_file() for name in NODE_PICTURES):
        parts = (picture(folder / name, None if whole else part) for name, part in NODE_PICTURES.items())
        pictures = tuple(enlarged(part, round(NODE_UM / NODE_MPP.x)) for part in parts)
        source = f"real lymph node (CD3, DAB), enlarged and mirrored: {', '.join(NODE_PICTURES)}"
    else:
        pictures = tuple(picture(PROJECT / "slides_sample" / name, PAINTED_PART) for name in PAINTED_SLIDES)
        source = f"PAINTED lymph node, as the real pictures are not here: {', '.join(PAINTED_SLIDES)}"
    # Halving keeps pictures and bands in step as long as both are multiples of the coarsest level's step.
    step = LEVEL_STEP ** (LEVELS - 1)
    return Plane(pictures, -(-side_px // (len(pictures) * step)) * step, source)


def picture(path: Path, part: GridBox | None = None) -> NDArray[np.uint8]:
    """Return the pixels of level 0 of a slide or picture, or of a part of it, uint8 (H, W, 3)."""
    with open_slide(path) as reader:
        size = reader.info.size
        return reader.read(0, part or GridBox(0, 0, size.width, size.height))


def enlarged(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return a picture with that many times the pixels along each side."""
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def write_slide(
    path: Path,
    plane: Plane,
    width: int,
    height: int,
    *,
    mpp: Mpp = NODE_MPP,
    compression: Literal["jpeg", "deflate"] = "jpeg",
) -> None:
    """Write the upper left part of a plane as a tiled pyramidal TIFF, tile by tile.

    Parameters
    ----------
    path : Path
    plane : Plane
    width, height : int
        Of level 0.
    mpp : Mpp
        µm per pixel of level 0.
    compression : {"jpeg", "deflate"}
        JPEG with chroma at half resolution, as scanners write it; or without loss.
    """
    jpeg: dict[str, Any] = (
        {"compressionargs": {"level": JPEG_QUALITY}, "subsampling": (2, 2)} if compression == "jpeg" else {}
    )
    with tifffile.TiffWriter(path, bigtiff=width * height > 1 << 30) as file:
        for level in range(LEVELS):
            plane = plane.coarser(LEVEL_STEP) if level else plane
            downsample = LEVEL_STEP**level
            columns, rows = -(-width // downsample), -(-height // downsample)
            if level and min(columns, rows) < TILE_PX:
                break
            file.write(
                _tiles(plane, columns, rows),
                shape=(rows, columns, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression=compression,
                resolution=(_UM_IN_CM / (mpp.x * downsample), _UM_IN_CM / (mpp.y * downsample)),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
                software=False,
                **jpeg,
            )


def _tiles(plane: Plane, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the tiles of a level, row by row; the last ones reach past the slide and show the plane going on."""
    for y in range(0, height, TILE_PX):
        for x in range(0, width, TILE_PX):
            yield plane.read(GridBox(x, y, x + TILE_PX, y + TILE_PX))


@contextmanager
def node_slide(width: int, height: int, *, whole: bool = False) -> Iterator[tuple[Path, str]]:
    """Build a slide of lymph node in a folder that is removed at the end; yields its path and what it is made of."""
    plane = node_plane(width, whole=whole)
    with TemporaryDirectory(prefix="ihc_quant_bench_") as folder:
        path = Path(folder) / f"node-{width}x{height}.tiff"
        write_slide(path, plane, width, height)
        yield path, plane.source
