"""Example cells by call, so that a reader sees at a glance what was called what."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ihc_quant.domain.cell_table import OUTLINE_STEPS_PER_PX
from ihc_quant.domain.geometry import GridBox
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.figures import format_marker
from ihc_quant.report.lettering import QUIET, shorten, wrap, write

NEAR_THRESHOLD = "closest to the threshold"
CALLS: tuple[str, ...] = ("negative", "1+", "2+", "3+")
"""Names of the grades 0 to 3."""

EXAMPLE_UM = 25.0
"""Width of an example: a lymphocyte and its neighbours."""
EXAMPLES_PER_CALL = 8
ENLARGE = 4
"""Picture pixels in one pixel of an example."""
OUTLINE_COLOUR = (0, 255, 255)
"""Cyan: far from brown and from blue-violet, also to colour-blind readers."""

_CLOSE_POOL = 5
"""The cells closest to the threshold are drawn from so many times the number shown, so that they can be spread."""
_TITLE_PX = 26
_TEXT_PX = 18
_EDGE_PX = 24
_GAP_PX = 8
_CAPTION_PX = 26
_LABEL_PX = 132


@dataclass(frozen=True, slots=True, eq=False)
class ExampleRow:
    """Cells chosen for one row of the gallery.

    Attributes
    ----------
    call : str
        One of ``CALLS``, or ``NEAR_THRESHOLD``.
    cells : ndarray, shape (k,), int64
        Row numbers in the cell table.
    """

    call: str
    cells: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One cell as the gallery shows it.

    Attributes
    ----------
    crop : ndarray, shape (h, w, 3), uint8
        sRGB around the cell; all examples of a gallery have one shape.
    outline : ndarray, shape (m, 2), float64
        Outline of the nucleus, x and y in pixels of the crop, the centre of its first pixel at (0.5, 0.5).
    p_positive : float
        The network's probability.
    od : float
        Chromogen OD over the compartment that is graded.
    """

    crop: NDArray[np.uint8]
    outline: NDArray[np.float64]
    p_positive: float
    od: float


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """One row of the gallery; without examples it says so."""

    call: str
    examples: tuple[Example, ...]


def choose_examples(
    p_positive: NDArray[np.float32],
    grade: NDArray[np.int8],
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    *,
    threshold: float,
    per_call: int = EXAMPLES_PER_CALL,
    seed: int = 0,
) -> tuple[ExampleRow, ...]:
    """Choose example cells at random, spread over the slide: the same cells each time.

    The cells of a call are cut into ``per_call`` neighbourhoods that hold equally many of them, and one cell is drawn
    from each. The row closest to the threshold draws from the cells whose probability is nearest to it.

    Parameters
    ----------
    p_positive : ndarray, shape (n,), float32
        Probability of each cell, or what else the rule compares with ``threshold``.
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3.
    x_um, y_um : ndarray, shape (n,), float64
        Places in µm.
    threshold : float
        From which a cell is positive.
    per_call : int
        At most so many cells a row.
    seed : int
        Of the draw.

    Returns
    -------
    tuple of ExampleRow
        ``CALLS`` in order, then ``NEAR_THRESHOLD``; a row may be empty.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number, call in enumerate(CALLS):
        rows.append(ExampleRow(call, _spread(np.flatnonzero(grade == number), x_um, y_um, per_call, rng)))
    distance = np.abs(p_positive.astype(np.float64) - threshold)
    close = np.argsort(distance, kind="stable")[: _CLOSE_POOL * per_call]
    rows.append(ExampleRow(NEAR_THRESHOLD, _spread(close, x_um, y_um, per_call, rng)))
    return tuple(rows)


def example_box(x_um: float, y_um: float, pixel_um: float, width_um: float = EXAMPLE_UM) -> GridBox:
    """Return the grid box of an example, its middle within half a pixel of the cell's centroid.

    Examples
    --------
    >>> example_box(100.0, 50.0, 0.5)
    GridBox(x0=175, y0=75, x1=225, y1=125)
    """
    side = max(1, round(width_um / pixel_um))
    x0, y0 = round(x_um / pixel_um - side / 2), round(y_um / pixel_um - side / 2)
    return GridBox(x0, y0, x0 + side, y0 + side)


def outline_in(
    box: GridBox, x_um: float, y_um: float, offsets: NDArray[np.int16], pixel_um: float
) -> NDArray[np.float64]:
    """Return a cell's outline in pixels of its example.

    Parameters
    ----------
    box : GridBox
        From ``example_box``.
    x_um, y_um : float
        Centroid.
    offsets : ndarray, shape (m, 2), int16
        The cell table's outline: eighths of a grid pixel from the centroid.
    pixel_um : float
        Of the grid.

    Returns
    -------
    ndarray, shape (m, 2), float64
        x and y.
    """
    centroid = np.array([x_um / pixel_um - box.x0, y_um / pixel_um - box.y0])
    return centroid + offsets.astype(np.float64) / OUTLINE_STEPS_PER_PX


def draw_gallery(
    rows: Sequence[GalleryRow], *, slide_id: str, marker: str, rule: str, pixel_um: float
) -> NDArray[np.uint8]:
    """Draw example cells by call, enlarged, each with its outline, its probability and its OD.

    Parameters
    ----------
    rows : sequence of GalleryRow
        From top to bottom.
    slide_id, marker : str
        For the caption.
    rule : str
        The rule of the call for the caption, for example ``"positive from p 0.50"``.
    pixel_um : float
        Width of a pixel of the crops in µm.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        sRGB.

    Raises
    ------
    ValueError
        Where the crops have several shapes.
    """
    shapes = {example.crop.shape for row in rows for example in row.examples}
    if len(shapes) > 1:
        raise ValueError(f"examples of a gallery have one shape, got {sorted(shapes)}")
    height, width = next(iter(shapes))[:2] if shapes else (round(EXAMPLE_UM / pixel_um),) * 2
    tile_w, tile_h = width * ENLARGE, height * ENLARGE
    columns = max([4, *(len(row.examples) for row in rows)])
    total = 2 * _EDGE_PX + _LABEL_PX + columns * (tile_w + _GAP_PX)
    notes = wrap(
        f"Each example is {width * pixel_um:.3g} µm wide; call: {rule}. p: the network's probability of positive. "
        f"OD: the chromogen OD (log10) that grades are taken from; the cuts between 1+, 2+ and 3+ are "
        f"not validated. Examples are drawn at random over the slide. {RESEARCH_USE_ONLY}",
        _TEXT_PX - 2,
        total - 2 * _EDGE_PX,
    )
    heights = [tile_h + _CAPTION_PX + _GAP_PX if row.examples else 2 * _CAPTION_PX for row in rows]
    top = 72
    picture = Image.new("RGB", (total, top + sum(heights) + 22 * len(notes) + _EDGE_PX), "white")
    draw = ImageDraw.Draw(picture)
    write(
        draw,
        (_EDGE_PX, 18),
        shorten(f"{slide_id}  {format_marker(marker)}", _TITLE_PX, total - 2 * _EDGE_PX),
        _TITLE_PX,
    )
    for row, row_height in zip(rows, heights, strict=True):
        _row(picture, draw, top, row, (tile_w, tile_h))
        top += row_height
    for index, line in enumerate(notes):
        write(draw, (_EDGE_PX, top + 6 + 22 * index), line, _TEXT_PX - 2, colour=QUIET)
    return np.asarray(picture)


def _row(picture: Image.Image, draw: ImageDraw.ImageDraw, top: int, row: GalleryRow, tile: tuple[int, int]) -> None:
    for index, line in enumerate(wrap(row.call, _TEXT_PX + 2, _LABEL_PX - 12)):
        write(draw, (_EDGE_PX, top + 4 + 24 * index), line, _TEXT_PX + 2)
    left = _EDGE_PX + _LABEL_PX
    if not row.examples:
        write(draw, (left, top + 4), "none found", _TEXT_PX + 2, colour=QUIET)
    for index, example in enumerate(row.examples):
        x = left + index * (tile[0] + _GAP_PX)
        picture.paste(Image.fromarray(_enlarged(example)), (x, top))
        caption = f"p {example.p_positive:.2f}  OD {round(example.od, 2) + 0.0:.2f}"
        write(draw, (x, top + tile[1] + 3), shorten(caption, _TEXT_PX - 1, tile[0]), _TEXT_PX - 1)


def _enlarged(example: Example) -> NDArray[np.uint8]:
    """Return an example at ``ENLARGE`` times its size with a thin outline around the nucleus."""
    height, width = example.crop.shape[:2]
    size = (width * ENLARGE, height * ENLARGE)
    canvas = np.asarray(cv2.resize(np.ascontiguousarray(example.crop), size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if len(example.outline) > 1:
        # OpenCV counts from the centre of the first pixel, and here in sixteenths of a pixel.
        points = np.rint((example.outline * ENLARGE - 0.5) * 16).astype(np.int32)
        cv2.polylines(canvas, [points.reshape(-1, 1, 2)], True, OUTLINE_COLOUR, 1, cv2.LINE_AA, shift=4)
    return canvas


def _spread(
    cells: NDArray[np.int64],
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw one cell from each of ``count`` neighbourhoods of equally many cells; all cells where they are fewer."""
    if len(cells) <= count:
        return np.sort(cells)
    columns = max(1, round(count**0.5))
    shares = np.full(columns, count // columns) + (np.arange(columns) < count % columns)
    by_x = cells[np.argsort(x_um[cells], kind="stable")]
    ends = np.rint(np.cumsum(shares) / count * len(cells)).astype(np.int64)[:-1]
    chosen: list[int] = []
    for column, share in zip(np.split(by_x, ends), shares, strict=True):
        by_y = column[np.argsort(y_um[column], kind="stable")]
        chosen.extend(int(rng.choice(part)) for part in np.array_split(by_y, int(share)))
    return np.array(sorted(chosen), np.int64)
