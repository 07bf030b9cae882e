"""The yardstick: nuclei and their DAB by plain scikit-image, as QuPath's cell detection goes about it.

FROZEN. This pipeline is not to be optimised, tuned or repaired: it stands for what a reader of scikit-image's
documentation would write, and the speed of everything else is stated as a ratio to it. Steps: unmix (``rgb2hed``),
threshold (Otsu on hematoxylin + DAB), distance transform, ``peak_local_max``, ``watershed``, ``regionprops_table``
(area and mean DAB of each nucleus). Tiles of 1024 px at 0.5 µm/px without margins, two processes, pixels in memory: no
file is read, no result is written, and the time to start the processes does not count.

Run by itself it prints its own seconds per mm², on crowded tissue alone and on the whole pictures that the tissue is
cut from, half of which are glass and fat. Watershed and regionprops take time for each nucleus, so the two differ, and
a figure from another picture or machine is no bar: ``speed.py`` measures both sides on the same pixels in one run.
"""

# mypy: allow-untyped-calls
import argparse
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from material import node_slide
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import regionprops_table
from skimage.segmentation import watershed
from tables import show

from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid

PIXEL_UM = 0.5
TILE_PX = 1024
PROCESSES = 2

LOG10_OD = 6.0
"""scikit-image divides ln(I) by ln(1e-6), so that its densities are a sixth of −log10."""

SIGMA_PX = 1.5
PEAK_DISTANCE_PX = 6
"""3 µm, the least distance of two cells in ``ihc_quant`` too."""
LEAST_AREA_PX = 40
"""10 µm², the least nucleus that QuPath keeps by default."""


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Nuclei of a tile: centroid in pixels (row, column), area in pixels, mean DAB density (log10)."""

    centroid: NDArray[np.float64]
    area_px: NDArray[np.float64]
    dab_od: NDArray[np.float64]


def find_nuclei(rgb: NDArray[np.uint8]) -> Nuclei:
    """Find the nuclei of one tile, uint8 (H, W, 3) at 0.5 µm/px, and measure their DAB."""
    hed = rgb2hed(rgb) * LOG10_OD
    dab = hed[..., 2]
    stained = gaussian(hed[..., 0] + dab, SIGMA_PX)
    mask = stained > threshold_otsu(stained)
    distance = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(distance, min_distance=PEAK_DISTANCE_PX, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, markers, mask=mask)
    table = regionprops_table(labels, intensity_image=dab, properties=("centroid", "area", "intensity_mean"))
    kept = table["area"] >= LEAST_AREA_PX
    centroid = np.column_stack([table["centroid-0"], table["centroid-1"]])
    return Nuclei(centroid[kept], table["area"][kept], table["intensity_mean"][kept])


class ClassicalPipeline:
    """Two processes that hold the pixels of a slide; use ``started_on``."""

    def __init__(self, pool: ProcessPoolExecutor, tiles: list[tuple[int, int]]) -> None:
        self._pool, self._tiles = pool, tiles

    def run(self) -> tuple[int, float]:
        """Work through all tiles once; returns the number of nuclei and the processor seconds of both processes."""
        results = list(self._pool.map(_count_nuclei, self._tiles))
        return sum(nuclei for nuclei, _ in results), sum(seconds for _, seconds in results)


@contextmanager
def started_on(rgb: NDArray[np.uint8]) -> Iterator[ClassicalPipeline]:
    """Start the processes on a picture, uint8 (H, W, 3) at 0.5 µm/px, and warm them up."""
    tiles = [(y, x) for y in range(0, rgb.shape[0], TILE_PX) for x in range(0, rgb.shape[1], TILE_PX)]
    with TemporaryDirectory(prefix="ihc_quant_bench_") as folder:
        path = Path(folder) / "pixels.npy"
        np.save(path, rgb)
        # Processes are spawned: a fork would copy the locks of OpenVINO's and OpenCV's threads.
        with ProcessPoolExecutor(
            PROCESSES, mp_context=get_context("spawn"), initializer=_hold_pixels, initargs=(path,)
        ) as pool:
            pipeline = ClassicalPipeline(pool, tiles)
            list(pool.map(_count_nuclei, tiles[: 2 * PROCESSES]))
            yield pipeline


_held: dict[str, NDArray[np.uint8]] = {}


def _hold_pixels(path: Path) -> None:
    _held["rgb"] = np.load(path)


def _count_nuclei(corner: tuple[int, int]) -> tuple[int, float]:
    started = time.process_time()
    y, x = corner
    nuclei = find_nuclei(np.ascontiguousarray(_held["rgb"][y : y + TILE_PX, x : x + TILE_PX]))
    return len(nuclei.area_px), time.process_time() - started


def grid_pixels(path: Path) -> NDArray[np.uint8]:
    """Return a whole slide at 0.5 µm/px, uint8 (H, W, 3)."""
    with open_slide(path) as reader:
        grid = Grid(PIXEL_UM, reader.info.mpp or Mpp.square(PIXEL_UM))
        extent = grid.extent(reader.info.size)
        return read_grid(reader, grid, GridBox(0, 0, extent.width, extent.height))


def main() -> None:
    """Measure the pipeline alone."""
    parser = argparse.ArgumentParser(description="Seconds per mm² of the frozen scikit-image pipeline.")
    parser.add_argument("--tiles", type=int, default=4, help="tiles along each side (default 4: 4.2 mm²)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows, notes = [], [f"median of {options.repeats} repeats, {PROCESSES} processes, {TILE_PX} px tiles"]
    side_px = options.tiles * 2 * TILE_PX
    for name, whole in (("crowded tissue", False), ("whole pictures", True)):
        with node_slide(side_px, side_px, whole=whole) as (path, source):
            rows.append({"pixels": name} | measured(grid_pixels(path), options.repeats))
            notes.append(f"{name}: {source}")
    show("Classical pipeline", notes, rows, [], as_json=options.json)


def measured(rgb: NDArray[np.uint8], repeats: int) -> dict[str, Any]:
    """Return what the pipeline takes on a picture, uint8 (H, W, 3) at 0.5 µm/px, and how many nuclei it finds."""
    area_mm2 = rgb.shape[0] * rgb.shape[1] * (PIXEL_UM / 1000) ** 2
    seconds, nuclei, busy = [], 0, 0.0
    with started_on(rgb) as pipeline:
        for _ in range(repeats):
            start = time.perf_counter()
            nuclei, busy = pipeline.run()
            seconds.append((time.perf_counter() - start) / area_mm2)
    return {
        "mm²": area_mm2,
        "s/mm²": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "cpu s/mm²": busy / area_mm2,
        "nuclei/mm²": round(nuclei / area_mm2),
    }


if __name__ == "__main__":
    main()
