"""What quality control found, on a picture: each cause outlined in its colour, hatched where it is left out.

The band along the edges of tissue is not drawn: it runs around every piece and would hide all other lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from ihc_quant.domain.quality import CAUSE_WORDS, Cause, QualityMap
from ihc_quant.report.lettering import width, write
from ihc_quant.report.picture_sheet import EDGE_PX, NARROWEST_PX, TEXT_PX

CAUSE_COLOURS: dict[Cause, tuple[int, int, int]] = {
    Cause.PEN: (190, 0, 110),
    Cause.FOLD: (110, 70, 0),
    Cause.BLANK: (95, 95, 0),
    Cause.SATURATED: (160, 0, 0),
    Cause.BLUR: (75, 40, 190),
}
"""None of them is a colour of a region or of stain; causes are told apart by their hatching as well."""

HATCHES: dict[Cause, tuple[tuple[int, int], ...]] = {
    Cause.PEN: ((1, 1),),
    Cause.FOLD: ((0, 1),),
    Cause.BLANK: ((1, -1),),
    Cause.SATURATED: ((1, 0),),
    Cause.BLUR: ((1, 1), (1, -1)),
}
"""Lines of a hatching: where x and y, so multiplied and added, are multiples of ``PERIOD_PX``."""

PERIOD_PX = 12

_LINE_PX = 2
_ROW_PX = 26
_SWATCH_PX = 34


@dataclass(frozen=True, slots=True, eq=False)
class SpoiledPlaces:
    """What quality control found on a slide.

    Attributes
    ----------
    quality : QualityMap
        On the thumbnail's pixels.
    excluded : tuple of Cause
        Causes that are left out; the others are told only.
    """

    quality: QualityMap
    excluded: tuple[Cause, ...]

    def drawn(self) -> tuple[Cause, ...]:
        """Return the causes that a picture shows."""
        there = np.unique(self.quality.causes)
        return tuple(cause for cause in CAUSE_COLOURS if cause in there)


def cause_words(cause: Cause, *, excluded: bool) -> str:
    """Return how a picture names a cause.

    Examples
    --------
    >>> cause_words(Cause.PEN, excluded=True), cause_words(Cause.FOLD, excluded=False)
    ('pen: left out', 'fold: only reported')
    """
    return f"{CAUSE_WORDS[cause]}: {'left out' if excluded else 'only reported'}"


def draw_spoiled(canvas: NDArray[np.uint8], spoiled: SpoiledPlaces | None) -> NDArray[np.uint8]:
    """Return a picture with the places of each cause.

    Parameters
    ----------
    canvas : ndarray, shape (H, W, 3), uint8
        Picture of the whole slide.
    spoiled : SpoiledPlaces or None
    """
    drawn = canvas.copy()
    if spoiled is None:
        return drawn
    size = (canvas.shape[1], canvas.shape[0])
    for cause in spoiled.drawn():
        here = (spoiled.quality.causes == cause).astype(np.float32)
        mask = cv2.resize(here, size, interpolation=cv2.INTER_AREA if size[0] < here.shape[1] else cv2.INTER_LINEAR)
        place = mask >= 0.5
        if cause in spoiled.excluded:
            drawn[place & _hatching(cause, size)] = CAUSE_COLOURS[cause]
        contours, _ = cv2.findContours(place.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        # A white rim sets every colour off from every tissue.
        cv2.drawContours(drawn, contours, -1, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.drawContours(drawn, contours, -1, CAUSE_COLOURS[cause], _LINE_PX, cv2.LINE_AA)
    return drawn


def spoiled_key_height_px(spoiled: SpoiledPlaces | None, panel_width_px: int) -> int:
    """Return the height of the key that ``write_spoiled_key`` writes."""
    rows = [row for *_, row in _places(spoiled, panel_width_px)]
    return _ROW_PX * (max(rows) + 1) if rows else 0


def write_spoiled_key(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], spoiled: SpoiledPlaces | None, panel_width_px: int
) -> None:
    """Write which outline stands for which cause and what became of it, in rows as wide as the panel."""
    for cause, words, left, row in _places(spoiled, panel_width_px):
        x, y = place[0] + left, place[1] + row * _ROW_PX
        assert spoiled is not None
        if cause in spoiled.excluded:
            rows, columns = np.nonzero(_hatching(cause, (22, 16)))
            draw.point([(x + int(u), y + 2 + int(v)) for v, u in zip(rows, columns, strict=True)], CAUSE_COLOURS[cause])
        draw.rectangle((x, y + 2, x + 22, y + 18), outline=CAUSE_COLOURS[cause], width=_LINE_PX)
        write(draw, (x + _SWATCH_PX, y), words, TEXT_PX)


def _hatching(cause: Cause, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the lines of a cause's hatching on a picture of a width and height, bool (H, W)."""
    y, x = np.mgrid[: size[1], : size[0]]
    lines = [(along * x + down * y) % PERIOD_PX < _LINE_PX for along, down in HATCHES[cause]]
    return np.asarray(np.logical_or.reduce(lines), np.bool_)


def _places(spoiled: SpoiledPlaces | None, panel_width_px: int) -> Iterator[tuple[Cause, str, int, int]]:
    """Yield the entries of the key: cause, words, left end and row."""
    left, row, room = 0, 0, max(panel_width_px, NARROWEST_PX)
    for cause in () if spoiled is None else spoiled.drawn():
        assert spoiled is not None
        words = cause_words(cause, excluded=cause in spoiled.excluded)
        wide = _SWATCH_PX + round(width(words, TEXT_PX)) + EDGE_PX
        if left and left + wide > room + EDGE_PX:
            left, row = 0, row + 1
        yield cause, words, left, row
        left += wide
