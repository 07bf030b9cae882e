"""The sheet on which pictures of a slide are laid out: head, panels with scale bars, legends, notes."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ihc_quant.report.lettering import QUIET, shorten, wrap, write

PANEL_PX = (760, 900)
"""Largest width and height of one panel."""
ENLARGE_MOST = 8.0
"""A thumbnail is enlarged at most so often."""
WIDE = 1.8
"""Slides wider than this many times their height have the panels one above the other."""

TITLE_PX = 26
TEXT_PX = 19
EDGE_PX = 24


_HEAD_PX = 92
_CAPTION_PX = 34
LEGEND_PX = 66
NOTE_PX = 22
NARROWEST_PX = 480
"""A narrow slide still gets a picture wide enough for its words."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Size of one panel in picture pixels, and picture pixels in one overview pixel."""

    width: int
    height: int
    scale: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """The picture: a head, two panels side by side or one above the other with room for a legend, notes at the foot."""

    picture: Image.Image
    draw: ImageDraw.ImageDraw
    size: Panel
    stacked: bool
    legend_px: int

    @classmethod
    def of(cls, size: Panel, *, stacked: bool, notes: str, panels: int = 2, legend_px: int = LEGEND_PX) -> "Sheet":
        """Return an empty sheet.

        Parameters
        ----------
        size : Panel
        stacked : bool
            Whether panels stand one above the other.
        notes : str
            At the foot.
        panels : int
        legend_px : int
            Height below each panel.
        """
        column = max(size.width, NARROWEST_PX)
        width = 2 * EDGE_PX + (column if stacked else panels * column + (panels - 1) * EDGE_PX)
        lines = wrap(notes, TEXT_PX - 3, width - 2 * EDGE_PX)
        block = _CAPTION_PX + size.height + legend_px
        height = _HEAD_PX + block * (panels if stacked else 1) + EDGE_PX + len(lines) * NOTE_PX
        picture = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(picture)
        for index, line in enumerate(lines):
            top = height - EDGE_PX // 2 - NOTE_PX * (len(lines) - index)
            write(draw, (EDGE_PX, top), line, TEXT_PX - 3, colour=QUIET)
        return cls(picture, draw, size, stacked, legend_px)

    def head(self, title: str, line: str) -> None:
        """Write title and second line."""
        room = self.picture.width - 2 * EDGE_PX
        write(self.draw, (EDGE_PX, 18), shorten(title, TITLE_PX, room), TITLE_PX)
        write(self.draw, (EDGE_PX, 54), shorten(line, TEXT_PX, room), TEXT_PX, colour=QUIET)

    def corner(self, index: int) -> tuple[int, int]:
        """Return the upper left corner of a panel's pixels."""
        top = _HEAD_PX + _CAPTION_PX
        if self.stacked:
            return EDGE_PX, top + index * (_CAPTION_PX + self.size.height + self.legend_px)
        return EDGE_PX + index * (max(self.size.width, NARROWEST_PX) + EDGE_PX), top

    def below(self, index: int) -> tuple[int, int]:
        """Return where a panel's legend begins."""
        x, y = self.corner(index)
        return x, y + self.size.height + 12

    def panel(self, index: int, title: str, pixels: NDArray[np.uint8], um_per_px: float) -> None:
        """Paste a panel's pixels, with its title and a scale bar."""
        x, y = self.corner(index)
        write(self.draw, (x, y - _CAPTION_PX), title, TEXT_PX)
        self.picture.paste(Image.fromarray(pixels), (x, y))
        self.draw.rectangle((x, y, x + self.size.width - 1, y + self.size.height - 1), outline=(189, 193, 198))
        _scale_bar(self.draw, (x, y), um_per_px, self.size)


def fit_panel(width: int, height: int) -> Panel:
    """Return the size in which a thumbnail is drawn."""
    most_wide, most_high = PANEL_PX
    if width > WIDE * height:
        most_wide = 2 * most_wide + EDGE_PX
    scale = min(most_wide / width, most_high / height, ENLARGE_MOST)
    return Panel(max(1, round(width * scale)), max(1, round(height * scale)), scale)


def resized(values: NDArray[np.uint8], panel: Panel) -> NDArray[np.uint8]:
    """Return the thumbnail, uint8 (H, W) or (H, W, 3), in the size of a panel."""
    method = cv2.INTER_AREA if panel.scale < 1 else cv2.INTER_CUBIC
    size = (panel.width, panel.height)
    return np.asarray(cv2.resize(np.ascontiguousarray(values), size, interpolation=method), np.uint8)


def _scale_bar(draw: ImageDraw.ImageDraw, corner: tuple[int, int], um_per_px: float, panel: Panel) -> None:
    longest_mm = 0.3 * panel.width * um_per_px / 1000
    power = 10.0 ** math.floor(math.log10(longest_mm))
    length_mm = next(step * power for step in (5, 2, 1) if step * power <= longest_mm * (1 + 1e-9))
    length = length_mm * 1000 / um_per_px
    x1, y = corner[0] + panel.width - 14, corner[1] + panel.height - 16
    draw.rectangle((x1 - length - 3, y - 3, x1 + 3, y + 8), fill="white")
    draw.rectangle((x1 - length, y, x1, y + 5), fill="black")
    write(draw, (x1 - length / 2, y - 28), f"{length_mm:g} mm", TEXT_PX, align=0.5, halo=True)
