"""A slide as a whole: its overview and the tissue found on it."""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.domain.geometry import Grid
from ihc_quant.slide.overview import read_overview
from ihc_quant.slide.reader import SlideReader
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.mask import find_tissue

OVERVIEW_PX = 1024
"""Longer side of the overview of a small slide; a large one gets more pixels of ``MeasureSettings.overview_um``."""


def find_slide_tissue(reader: SlideReader, measure: MeasureSettings) -> tuple[NDArray[np.uint8], TissueMap]:
    """Return the overview of a slide, uint8 (H, W, 3), and the tissue found on it."""
    overview, grid = read_slide_overview(reader, measure)
    return overview, find_tissue(overview, grid, measure.tissue)


def read_slide_overview(reader: SlideReader, measure: MeasureSettings) -> tuple[NDArray[np.uint8], Grid]:
    """Return the overview of a slide, uint8 (H, W, 3), and its grid."""
    info = reader.info
    mpp = info.require_mpp()
    longest_um = max(info.size.width * mpp.x, info.size.height * mpp.y)
    pixel_um = min(max(longest_um / OVERVIEW_PX, mpp.coarser), max(measure.overview_um, mpp.coarser))
    return read_overview(reader, pixel_um=pixel_um)
