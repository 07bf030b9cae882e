"""The panel's pictures share one size, one physical scale and one colour scale."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.report.density_map import DensityMap, viridis
from ihc_quant.report.panel_picture import CANVAS_PX, draw_panel
from ihc_quant.report.slide_pictures import SlidePictures, Thumbnail


def section(side_um: float, pixel_um: float, per_mm2: float) -> tuple[Thumbnail, DensityMap]:
    """Return a square of tissue in the middle of a slide of 4 × 3 mm."""
    height, width = round(3000 / pixel_um), round(4000 / pixel_um)
    half = round(side_um / pixel_um / 2)
    analysed = np.zeros((height, width), np.bool_)
    analysed[height // 2 - half : height // 2 + half, width // 2 - half : width // 2 + half] = True
    rgb = np.where(analysed[:, :, np.newaxis], np.uint8(120), np.uint8(240)).repeat(3, axis=2).astype(np.uint8)
    return Thumbnail(rgb, pixel_um), DensityMap((analysed * per_mm2).astype(np.float32), analysed, pixel_um)


def tissue_px(heat: NDArray[np.uint8]) -> int:
    """Return the width of the coloured part."""
    coloured = (np.ptp(heat.astype(int), axis=2) > 20).any(axis=0)
    return int(np.count_nonzero(coloured))


def test_all_pictures_have_one_size_and_one_scale() -> None:
    slides = [section(2000, 8, 1000), section(1000, 4, 500), section(1000, 16, 2000)]
    panel = draw_panel(slides)
    pictures = [picture for frame in panel.frames for picture in (frame.thumbnail, frame.heat_map)]
    sizes = {picture.shape for picture in pictures if picture is not None}
    assert len(sizes) == 1
    assert max(sizes.pop()) == CANVAS_PX
    widths = [tissue_px(frame.heat_map) for frame in panel.frames if frame.heat_map is not None]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.05)
    assert widths[1] == pytest.approx(widths[2], rel=0.05), "whatever the size of the pixels"
    assert panel.bar_mm == 0.5


def test_one_colour_is_one_density() -> None:
    panel = draw_panel([section(1000, 8, 1000), section(1000, 8, 2000)])
    assert panel.scale_end_per_mm2 == 2000
    for frame, level in zip(panel.frames, (127, 255), strict=True):
        assert frame.heat_map is not None
        height, width = frame.heat_map.shape[:2]
        colour = viridis(np.full((1, 1), level, np.uint8))[0, 0]
        assert frame.heat_map[height // 2, width // 2].tolist() == colour.tolist()


def test_a_section_that_is_shown_has_no_heat_map() -> None:
    thumbnail, density = section(1000, 8, 100)
    panel = draw_panel([(thumbnail, density), (thumbnail, None)])
    assert panel.frames[1].heat_map is None
    assert panel.frames[0].thumbnail.shape == panel.frames[1].thumbnail.shape


def test_a_slide_without_positive_cells_or_tissue_is_drawn() -> None:
    empty = Thumbnail(np.full((30, 40, 3), 250, np.uint8), 8.0)
    nothing = DensityMap(np.zeros((30, 40), np.float32), np.zeros((30, 40), np.bool_), 8.0)
    panel = draw_panel([(empty, nothing)])
    assert panel.scale_end_per_mm2 == 1
    assert panel.frames[0].heat_map is not None


def test_what_does_not_belong_together_is_refused() -> None:
    _, density = section(1000, 8, 100)
    with pytest.raises(ValueError, match="sections"):
        draw_panel([])
    with pytest.raises(ValueError, match="pixels of its thumbnail"):
        SlidePictures(thumbnail=Thumbnail(np.zeros((3, 3, 3), np.uint8), 8.0), density=density)
    with pytest.raises(ValueError, match="uint8"):
        Thumbnail(np.zeros((3, 3), np.uint8), 8.0)
    with pytest.raises(ValueError, match="finite"):
        DensityMap(np.full((2, 2), np.nan, np.float32), np.ones((2, 2), np.bool_), 8.0)
