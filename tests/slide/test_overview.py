"""The whole slide at a coarse grid."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Mpp
from ihc_quant.errors import CalibrationMissing
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.overview import BLOCK_LEVEL_PX, read_overview
from ihc_quant.slide.resample import read_grid


def test_an_overview_is_the_grid_read_at_once(make_tiff: Any) -> None:
    with open_slide(make_tiff()) as slide:
        rgb, grid = read_overview(slide, 77)
        extent = grid.extent(slide.info.size)
        assert rgb.shape == (extent.height, extent.width, 3)
        assert max(rgb.shape) == 77
        np.testing.assert_array_equal(rgb, read_grid(slide, grid, GridBox(0, 0, extent.width, extent.height)))


def test_an_overview_is_never_finer_than_the_slide(make_tiff: Any) -> None:
    with open_slide(make_tiff()) as slide:
        rgb, grid = read_overview(slide, 5000)
        assert grid.pixel_um == slide.info.require_mpp().coarser
        assert rgb.shape == (200, 300, 3)


def test_memory_does_not_grow_with_the_slide(formula_reader: Any) -> None:
    def column_ramp(_: int, box: GridBox) -> NDArray[np.uint8]:
        row = (np.arange(box.x0, box.x1) // 1000).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (box.height, box.width, 3)))

    reader = formula_reader(column_ramp, [(20_000, 4_000)], Mpp.square(0.25))
    rgb, _ = read_overview(reader, 20)
    assert rgb[:, :, 0].tolist() == [list(range(20))] * 4
    assert reader.largest_read_px <= BLOCK_LEVEL_PX


def test_an_overview_needs_a_calibration(make_tiff: Any) -> None:
    path = make_tiff(um=352.8)
    with open_slide(path) as slide, pytest.raises(CalibrationMissing, match=r"352\.8.*--mpp"):
        read_overview(slide)
    with open_slide(path, mpp=Mpp.square(0.5)) as slide:
        assert read_overview(slide)[0].shape == (200, 300, 3)
