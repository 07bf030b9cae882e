"""The shipped fold network on painted tissue: a band that lies double is told, what lies single is not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox, Size
from ihc_quant.network.card import WEIGHTS_FOLDER, read_card
from ihc_quant.network.fold_network import FoldNetwork, load_fold_network
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.density import from_optical_density, optical_density
from ihc_quant.tissue.fold_chances import likely_folds
from ihc_quant.tissue.fold_planes import PlaneRaster, fold_planes
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY

SAMPLE = Path(__file__).resolve().parents[2] / "slides_sample" / "sample-lymph_node-CD8.tiff"
SIDE_PX = 1600
WHITE = (240.0, 240.0, 240.0)


@pytest.fixture(scope="module")
def network() -> FoldNetwork:
    stated = read_card(WEIGHTS_FOLDER / "default.json").folds
    assert stated is not None
    return load_fold_network(stated, 1)


@pytest.fixture(scope="module")
def tissue() -> NDArray[np.uint8]:
    """Return tissue from the middle of a painted node, at 0.5 µm per pixel."""
    with open_slide(SAMPLE) as reader:
        grid = Grid(0.5, reader.info.require_mpp())
        extent = grid.extent(reader.info.size)
        left, top = (extent.width - SIDE_PX) // 2, (extent.height - SIDE_PX) // 2
        return read_grid(reader, grid, GridBox(left, top, left + SIDE_PX, top + SIDE_PX))


def told(network: FoldNetwork, rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where folds are told, on squares of 4 µm."""
    raster, box = PlaneRaster.empty(Size(SIDE_PX, SIDE_PX)), GridBox(0, 0, SIDE_PX, SIDE_PX)
    raster.put(box, box, fold_planes(rgb, WHITE))
    everywhere = np.ones((SIDE_PX // 8, SIDE_PX // 8), np.bool_)
    return likely_folds(network.chances(raster, 0.5), everywhere, 4.0, DEFAULT_QUALITY)


def test_tissue_that_lies_single_is_no_fold(network: FoldNetwork, tissue: NDArray[np.uint8]) -> None:
    assert told(network, tissue).mean() <= 0.01


@pytest.mark.parametrize("width_px", [120, 160])
def test_a_band_that_lies_double_is_told_where_it_lies(
    network: FoldNetwork, tissue: NDArray[np.uint8], width_px: int
) -> None:
    density = optical_density(tissue, WHITE)
    band = slice(SIDE_PX // 2 - width_px // 2, SIDE_PX // 2 + width_px // 2)
    density[band] += np.maximum(density[band.stop : band.stop + width_px][::-1], 0)
    found = told(network, from_optical_density(density, WHITE))
    truth = np.zeros(found.shape, np.bool_)
    truth[band.start // 8 : band.stop // 8] = True
    assert (found & truth).sum() >= 0.75 * truth.sum()
    assert (found & truth).sum() >= 0.8 * found.sum()
