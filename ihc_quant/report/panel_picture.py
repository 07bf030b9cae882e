"""The panel's pictures: thumbnails and heat maps, all at one size, one physical scale and one colour scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.report.density_map import DensityMap, round_up, viridis
from ihc_quant.report.slide_pictures import Thumbnail

CANVAS_PX = 480
"""Largest width and height of one picture."""
SMALL_CANVAS_PX = 320
"""The same where a biopsy has many sections."""
MANY_SECTIONS = 6
FRAME_UM = 200.0
"""Glass that is shown around the tissue."""
NO_TISSUE_COLOUR = (241, 243, 244)
GLASS_LEVEL = 225
"""A pixel whose darkest channel reaches it shows no tissue, where nobody says what does."""


@dataclass(frozen=True, slots=True, eq=False)
class PanelFrame:
    """One section of the panel.

    Attributes
    ----------
    thumbnail : ndarray, shape (H, W, 3), uint8
        sRGB; what was analysed is outlined, the rest is dimmed.
    heat_map : ndarray, shape (H, W, 3), uint8, or None
        sRGB; None for a section that is shown only.
    """

    thumbnail: NDArray[np.uint8]
    heat_map: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True, eq=False)
class PanelPictures:
    """All frames of a panel and the scales they share.

    Attributes
    ----------
    frames : tuple of PanelFrame
        In the order of the slides; all pictures have one height and width.
    bar_mm : float
        Length of the bar at the lower right of each picture.
    scale_end_per_mm2 : float
        Density of the last colour.
    """

    frames: tuple[PanelFrame, ...]
    bar_mm: float
    scale_end_per_mm2: float


@dataclass(frozen=True, slots=True)
class _Window:
    """A rectangle on the slide in µm, shown on a canvas in pixels."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, tissue: NDArray[np.bool_], pixel_um: float) -> "_Window":
        """Return the window that holds the tissue; the whole slide where there is none."""
        rows, columns = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
        if len(rows) == 0:
            return cls(0.0, 0.0, tissue.shape[1] * pixel_um, tissue.shape[0] * pixel_um)
        x, y = columns[0] * pixel_um - FRAME_UM, rows[0] * pixel_um - FRAME_UM
        return cls(x, y, (columns[-1] + 1) * pixel_um + FRAME_UM - x, (rows[-1] + 1) * pixel_um + FRAME_UM - y)

    def grown_to(self, width: float, height: float) -> "_Window":
        return _Window(self.x - (width - self.width) / 2, self.y - (height - self.height) / 2, width, height)


def draw_panel(slides: Sequence[tuple[Thumbnail, DensityMap | None]]) -> PanelPictures:
    """Draw the sections of a biopsy so that they can be compared by eye.

    Parameters
    ----------
    slides : sequence of (Thumbnail, DensityMap or None)
        In the order of the panel. A density map has the pixels of its thumbnail.

    Raises
    ------
    ValueError
        Where there are no slides.
    """
    if not slides:
        raise ValueError("a panel has sections")
    own = [_Window.around(_tissue(thumbnail, density), thumbnail.pixel_um) for thumbnail, density in slides]
    width, height = max(window.width for window in own), max(window.height for window in own)
    um_per_px = max(width, height) / (CANVAS_PX if len(slides) <= MANY_SECTIONS else SMALL_CANVAS_PX)
    size = max(1, round(width / um_per_px)), max(1, round(height / um_per_px))
    highest = max((float(density.per_mm2.max(initial=0.0)) for _, density in slides if density), default=0.0)
    end = round_up(highest)
    bar_mm = _bar_mm(width)
    frames = []
    for (thumbnail, density), window in zip(slides, own, strict=True):
        place = window.grown_to(width, height)
        picture = _shown(thumbnail.rgb, place, thumbnail.pixel_um, size, 255)
        heat = None
        if density is not None:
            mask = _shown(density.analysed.astype(np.float32), place, density.pixel_um, size, 0) >= 0.5
            picture = _marked(picture, mask)
            heat = _coloured(density, place, size, end, mask)
        bar_px = bar_mm * 1000 / um_per_px
        frames.append(PanelFrame(_with_bar(picture, bar_px), None if heat is None else _with_bar(heat, bar_px)))
    return PanelPictures(tuple(frames), bar_mm, end)


def draw_colour_bar(width: int = 256, height: int = 12) -> NDArray[np.uint8]:
    """Return the colours of the heat maps from 0 to the scale's end, left to right."""
    return viridis(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)))


def _tissue(thumbnail: Thumbnail, density: DensityMap | None) -> NDArray[np.bool_]:
    return density.analysed if density is not None else thumbnail.rgb.min(axis=2) < GLASS_LEVEL


def _shown(
    values: NDArray[np.uint8] | NDArray[np.float32],
    window: _Window,
    pixel_um: float,
    size: tuple[int, int],
    fill: float,
) -> NDArray[np.uint8]:
    """Return what the window shows, resized to the canvas; ``fill`` where it reaches beyond the slide."""
    x0, y0 = round(window.x / pixel_um), round(window.y / pixel_um)
    x1, y1 = round((window.x + window.width) / pixel_um), round((window.y + window.height) / pixel_um)
    height, width = values.shape[:2]
    inside = values[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    rim = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    padded = cv2.copyMakeBorder(np.ascontiguousarray(inside), *rim, cv2.BORDER_CONSTANT, value=(fill, fill, fill, fill))
    method = cv2.INTER_AREA if padded.shape[1] > size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(padded, size, interpolation=method))


def _marked(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Dim what was not analysed and draw a line around what was."""
    marked = picture.copy()
    marked[~mask] = (marked[~mask].astype(np.float32) * 0.45 + np.float32(0.55 * 235)).astype(np.uint8)
    _outline(marked, mask, (32, 33, 36))
    return marked


def _coloured(
    density: DensityMap, window: _Window, size: tuple[int, int], end: float, mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    level = np.clip(density.per_mm2 / np.float32(end) * 255, 0, 255).astype(np.uint8)
    # The colour at the edge goes on beneath the mask, or resizing would mix it with the nothing outside.
    level = np.where(density.analysed, level, cv2.dilate(level, np.ones((5, 5), np.uint8))).astype(np.uint8)
    coloured = viridis(_shown(level, window, density.pixel_um, size, 0))
    coloured[~mask] = NO_TISSUE_COLOUR
    _outline(coloured, mask, (128, 134, 139))
    return coloured


def _outline(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, colour, 1, cv2.LINE_AA)


def _bar_mm(width_um: float) -> float:
    """Return a round length of at most 3/10 of the width."""
    longest = 0.3 * width_um / 1000
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in (5, 2, 1) if step * power <= longest * (1 + 1e-9))


def _with_bar(picture: NDArray[np.uint8], length_px: float) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    x1, y1 = width - 12, height - 12
    x0 = round(x1 - length_px)
    drawn = picture.copy()
    cv2.rectangle(drawn, (x0 - 2, y1 - 8), (x1 + 2, y1 + 2), (255, 255, 255), -1)
    cv2.rectangle(drawn, (x0, y1 - 6), (x1, y1), (0, 0, 0), -1)
    return drawn
