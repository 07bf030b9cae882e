"""The picture of a section that is shown and not scored, as H&E: its thumbnail and what was drawn on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.figures import format_marker
from ihc_quant.report.picture_sheet import Sheet, fit_panel, resized
from ihc_quant.report.region_outlines import draw_regions, key_height_px, name_regions, write_key


def draw_shown_picture(
    rgb: NDArray[np.uint8], grid: Grid, *, slide_id: str, marker: str, regions: Sequence[Region] = ()
) -> NDArray[np.uint8]:
    """Draw the slide's thumbnail with a scale bar and the outlines of drawn regions.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        Thumbnail, sRGB.
    grid : Grid
        The thumbnail's pixels.
    slide_id, marker : str
        For the caption.
    regions : sequence of Region

    Returns
    -------
    ndarray, shape (H', W', 3), uint8
        sRGB.
    """
    panel = fit_panel(rgb.shape[1], rgb.shape[0])
    notes = f"One thumbnail pixel is {grid.pixel_um:.3g} µm. {RESEARCH_USE_ONLY}"
    height = 24 + key_height_px(regions, panel.width)
    sheet = Sheet.of(panel, stacked=True, notes=notes, panels=1, legend_px=height)
    sheet.head(f"{slide_id}  {format_marker(marker)}", "shown, not scored")
    sheet.panel(
        0, "Section", draw_regions(resized(rgb, panel), regions, grid, panel.scale), grid.pixel_um / panel.scale
    )
    name_regions(sheet.draw, sheet.corner(0), regions, grid, panel)
    write_key(sheet.draw, sheet.below(0), regions, panel.width)
    return np.asarray(sheet.picture)
