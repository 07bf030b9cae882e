"""Whether the pixels of a slide are those of a bright-field image: light ground, or at least light tissue."""

import numpy as np

from ihc_quant.domain.geometry import GridBox
from ihc_quant.errors import NotBrightfield
from ihc_quant.slide.reader import SlideReader

SAMPLES_PER_SIDE = 5
SAMPLE_PX = 96
"""The coarsest level is looked at in 5 × 5 windows of 96 px, spread evenly; whole where it is smaller."""

DARK = 50
LIT = 100
"""Mean of the channels, 0 to 255. Of the DAPI scan in OpenSlide's format collection 91 % lie below 50 and none above
100; of four CD3 immunostains of lymph node at most 0.1 % lie below 50."""

MIN_DARK_SHARE = 0.5
MAX_LIT_SHARE = 0.05


def require_brightfield(reader: SlideReader, name: str) -> None:
    """Refuse a slide whose pixels are mostly dark and hardly ever light.

    White places are left out: they may be unscanned ones that the reader filled. A slide that is white throughout
    passes; there is no tissue on it, which is a result and no error.

    Raises
    ------
    NotBrightfield
        For fluorescence and dark-field images.
    RegionUnreadable
        Where these pixels cannot be decoded.
    """
    level = reader.info.levels[-1]
    width, height = level.size.width, level.size.height
    parts = []
    for y in _starts(height):
        for x in _starts(width):
            box = GridBox(x, y, min(x + SAMPLE_PX, width), min(y + SAMPLE_PX, height))
            rgb = reader.read(level.index, box).reshape(-1, 3)
            parts.append(rgb[(rgb != 255).any(axis=1)].mean(axis=1))
    brightness = np.concatenate(parts)
    if brightness.size == 0:
        return
    if (brightness < DARK).mean() > MIN_DARK_SHARE and (brightness > LIT).mean() < MAX_LIT_SHARE:
        raise NotBrightfield(
            name, "the image is dark throughout, like fluorescence; choose a bright-field scan of the slide"
        )


def _starts(length: int) -> list[int]:
    """Return where the windows start along one side."""
    if length <= SAMPLES_PER_SIDE * SAMPLE_PX:
        return list(range(0, length, SAMPLE_PX))
    step = (length - SAMPLE_PX) / (SAMPLES_PER_SIDE - 1)
    return [int(i * step) for i in range(SAMPLES_PER_SIDE)]
