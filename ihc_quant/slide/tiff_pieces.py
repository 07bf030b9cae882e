"""Tiles and strips of one level of a TIFF, decoded one at a time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.errors import RegionUnreadable, SlideUnreadable
from ihc_quant.slide.tiff_layout import tifffile_errors

JPEG_COMPRESSIONS = frozenset({6, 7, 33007, 34892})
JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 of ITU T.81, table B.1: the headers that declare an image's size."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """How one level is cut into tiles or strips.

    Attributes
    ----------
    page : tifffile page
        The level; what its like share.
    offsets, lengths : sequence of int
        Where each piece lies in the file, bytes.
    width, height : int
        Pixels of a piece; strips are as wide as the level.
    across, down : int
        Pieces in a row and in a column.
    planes : int
        1 where the channels of a pixel lie together, else the number of planes.
    """

    page: Any
    offsets: Sequence[int]
    lengths: Sequence[int]
    width: int
    height: int
    across: int
    down: int
    planes: int


def cut_into_pieces(frame: Any, file_bytes: int, name: str) -> Pieces:
    """Return how a page is cut, checked against the file's size before anything is decoded.

    Raises
    ------
    SlideUnreadable
    """
    page = frame.keyframe
    width, height = int(page.imagewidth), int(page.imagelength)
    if page.is_tiled:
        piece_width, piece_height = int(page.tilewidth), int(page.tilelength)
    else:
        piece_width, piece_height = width, min(int(page.rowsperstrip), height)
    if width <= 0 or height <= 0 or piece_width <= 0 or piece_height <= 0 or int(page.imagedepth) != 1:
        raise SlideUnreadable(name, "the TIFF states an empty or deep image; export the slide again")
    if not decodes_as_rgb(page):
        raise SlideUnreadable(name, "its YCbCr colours are not JPEG-compressed; export the slide as 8-bit RGB")
    across, down = math.ceil(width / piece_width), math.ceil(height / piece_height)
    planes = int(page.samplesperpixel) if int(page.planarconfig) == 2 else 1
    offsets = np.asarray(frame.dataoffsets, np.float64)
    lengths = np.asarray(frame.databytecounts, np.float64)
    if len(offsets) != len(lengths) or len(offsets) < across * down * planes:
        raise SlideUnreadable(name, "its table of tiles is incomplete; copy the file anew or export the slide again")
    if (offsets + lengths > file_bytes).any():
        raise SlideUnreadable(name, "the file ends early; copy it anew or export the slide again")
    limit = 2 * piece_width * piece_height * int(page.samplesperpixel) + (1 << 20)
    if (lengths > limit).any():
        raise SlideUnreadable(name, "a tile holds more bytes than pixels; export the slide again")
    return Pieces(page, frame.dataoffsets, frame.databytecounts, piece_width, piece_height, across, down, planes)


def decodes_as_rgb(page: Any) -> bool:
    """Whether a page's colours come out as RGB; YCbCr is turned into it by the JPEG codecs alone."""
    return int(page.photometric) == 2 or int(page.compression) in JPEG_COMPRESSIONS | {33003, 34712}


def decode_piece(read: Callable[[int, int], bytes], pieces: Pieces, index: int, name: str) -> NDArray[np.uint8] | None:
    """Decode a tile or strip.

    Parameters
    ----------
    read : callable
        Returns bytes of the file for an offset and a length.
    pieces : Pieces
        The level.
    index : int
        Row by row.
    name : str
        The slide in messages.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8, or None
        None where the piece was not scanned.

    Raises
    ------
    RegionUnreadable
    """
    with tifffile_errors(name, RegionUnreadable):
        per_plane = pieces.across * pieces.down
        planes = [_decode_plane(read, pieces, index + plane * per_plane, name) for plane in range(pieces.planes)]
        present = [plane for plane in planes if plane is not None]
        if len(present) < len(planes):
            return None
        samples = np.concatenate(present, axis=2) if len(present) > 1 else present[0]
        return _on_white(samples, pieces.page)


def _decode_plane(read: Callable[[int, int], bytes], pieces: Pieces, index: int, name: str) -> NDArray[np.uint8] | None:
    """Decode one segment of the file to (H, W, samples); None where it is empty."""
    page = pieces.page
    offset, length = pieces.offsets[index], pieces.lengths[index]
    if length == 0:
        return None
    data = read(offset, length)
    if len(data) < length:
        raise RegionUnreadable(name, "the file ends early; copy it anew or export the slide again")
    if page.compression in JPEG_COMPRESSIONS:
        _require_jpeg_size(data, pieces.width, pieces.height, name)
    segment, _, shape = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
    if segment is None:
        return None
    return np.asarray(segment, np.uint8).reshape(shape[1:])


def _require_jpeg_size(data: bytes, width: int, height: int, name: str) -> None:
    """Refuse a JPEG stream that declares a much larger image than its tile, before memory is taken for it."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in JPEG_FRAME_MARKERS:
            declared_height = int.from_bytes(data[at + 5 : at + 7], "big")
            declared_width = int.from_bytes(data[at + 7 : at + 9], "big")
            if declared_width * declared_height > 4 * width * height + (1 << 20):
                raise RegionUnreadable(name, "a tile declares more pixels than it has; export the slide again")
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _on_white(samples: NDArray[np.uint8], page: Any) -> NDArray[np.uint8]:
    """Return RGB (H, W, 3); a fourth sample that the file calls alpha is laid on white, another is left out."""
    rgb = samples[..., :3]
    extra = page.extrasamples[0] if samples.shape[2] == 4 and page.extrasamples else 0
    if extra not in {1, 2}:
        return np.ascontiguousarray(rgb)
    alpha = samples[..., 3:].astype(np.uint16)
    if extra == 1:  # the colours are multiplied by alpha already
        laid = np.minimum(rgb + (255 - alpha), 255)
    else:
        laid = (rgb.astype(np.uint32) * alpha + 255 * (255 - alpha.astype(np.uint32)) + 127) // 255
    return np.asarray(laid, np.uint8)
