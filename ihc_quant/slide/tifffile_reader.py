"""OME-TIFF, and TIFF that OpenSlide refuses, through tifffile: only the tiles or strips that a box needs."""

import math
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Box, GridBox, Mpp, Size
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import NotBrightfield, SlideError, SlideUnreadable
from ihc_quant.slide import facts
from ihc_quant.slide.reader import ClosingReader, clipped, white_box
from ihc_quant.slide.tiff_calibration import stated_mpp
from ihc_quant.slide.tiff_layout import MAX_SEGMENT_BYTES, PageOutline, first_pages, require_plausible, tifffile_errors
from ihc_quant.slide.tiff_pieces import Pieces, cut_into_pieces, decode_piece, decodes_as_rgb

CACHE_BYTES = 96 << 20
"""Decoded tiles or strips that one slide keeps; the latest one stays even where it is larger."""

ALONE_BYTES = 16 << 20
"""Pieces of more decoded bytes than this are decoded one at a time, so that threads do not multiply them."""

PLAIN_COMPRESSIONS = frozenset({1, 5, 7, 8, 33003, 33005, 32946})
"""None, LZW, JPEG, deflate, Aperio's JPEG 2000: the pages that are read around OpenSlide."""


class TiffReader(ClosingReader):
    """One image of a TIFF, its levels cut into tiles or strips.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        The open file; closed with the reader.
    levels : list of Pieces
        Finest first, as in ``info``.
    info : SlideInfo
        The facts.
    name : str
        The slide in messages.
    """

    def __init__(self, tiff: Any, levels: list[Pieces], info: SlideInfo, name: str) -> None:
        super().__init__()
        self.info = info
        self._tiff, self._levels, self._name = tiff, levels, name
        self._cache: OrderedDict[tuple[int, int], NDArray[np.uint8] | None] = OrderedDict()
        self._cached_bytes = 0
        self._lock, self._alone, self._seeking = Lock(), Lock(), Lock()

    def read(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return the pixels of a box of one level; see ``SlideReader.read``."""
        self._require_open()
        rgb = white_box(box)
        size = self.info.levels[level].size
        inside = clipped(box, size.width, size.height)
        if inside is None:
            return rgb
        pieces = self._levels[level]
        for row in range(inside.y0 // pieces.height, math.ceil(inside.y1 / pieces.height)):
            for column in range(inside.x0 // pieces.width, math.ceil(inside.x1 / pieces.width)):
                piece = self._piece(level, row * pieces.across + column)
                if piece is None:
                    continue
                left, top = column * pieces.width, row * pieces.height
                x0, x1 = max(left, inside.x0), min(left + piece.shape[1], inside.x1)
                y0, y1 = max(top, inside.y0), min(top + piece.shape[0], inside.y1)
                part = piece[y0 - top : y1 - top, x0 - left : x1 - left]
                rgb[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = part
        return rgb

    def _piece(self, level: int, index: int) -> NDArray[np.uint8] | None:
        """Return a tile or strip (H, W, 3), from memory where it was read lately; None where it was not scanned."""
        key = (level, index)
        found, piece = self._cached(key)
        if found:
            return piece
        pieces = self._levels[level]
        if pieces.width * pieces.height * 3 <= ALONE_BYTES:
            return self._keep(key, decode_piece(self._bytes, pieces, index, self._name))
        with self._alone:
            found, piece = self._cached(key)
            return piece if found else self._keep(key, decode_piece(self._bytes, pieces, index, self._name))

    def _cached(self, key: tuple[int, int]) -> tuple[bool, NDArray[np.uint8] | None]:
        """Return whether a piece is in memory, and the piece."""
        with self._lock:
            if key not in self._cache:
                return False, None
            self._cache.move_to_end(key)
            return True, self._cache[key]

    def _keep(self, key: tuple[int, int], piece: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
        """Keep a piece in memory and let the oldest ones go."""
        with self._lock:
            if key not in self._cache:
                self._cache[key] = piece
                self._cached_bytes += 0 if piece is None else piece.nbytes
            while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
                _, oldest = self._cache.popitem(last=False)
                self._cached_bytes -= 0 if oldest is None else oldest.nbytes
        return piece

    def _bytes(self, offset: int, length: int) -> bytes:
        """Return bytes of the file; one thread at a time, since they share its position."""
        with self._seeking:
            self._require_open()
            self._tiff.filehandle.seek(offset)
            return bytes(self._tiff.filehandle.read(length))

    def _release(self) -> None:
        with self._seeking:
            self._tiff.close()
        with self._lock:
            self._cache.clear()
            self._cached_bytes = 0


def open_tiff(path: Path, *, slide_id: str, name: str, mpp: Mpp | None, series: int | None) -> TiffReader:
    """Open a TIFF or OME-TIFF.

    Parameters
    ----------
    path, slide_id, name, mpp
        As of ``OpenSlideReader``.
    series : int or None
        Image to read, from 0; the largest where it is not given.

    Raises
    ------
    SlideUnreadable, NotBrightfield
    """
    with tifffile_errors(name, SlideUnreadable):
        tiff = tifffile.TiffFile(path)
    try:
        with tifffile_errors(name, SlideUnreadable):
            images = list(tiff.series)
            chosen = _choose_image(images, series, name)
            if any(page is not None and page.parent is not tiff for page in images[chosen].pages):
                raise SlideUnreadable(name, "its pixels lie in other files; export the slide as one file")
            levels = _levels(images[chosen], path.stat().st_size, name)
            stated = stated_mpp(tiff, levels[0].page, chosen)
            info = _slide_info(path, slide_id, tiff, levels, facts.calibration(*stated, mpp))
            return TiffReader(tiff, levels, replace(info, series=chosen, series_count=len(images)), name)
    except BaseException:
        tiff.close()
        raise


def open_tiles_of(path: Path, info: SlideInfo, name: str) -> TiffReader | None:
    """Open the tiles of a slide of which OpenSlide told the facts, where its levels are plain pages of a TIFF.

    The pixels are the same as OpenSlide's, decoded three times as fast, and those of a level with a fractional
    downsample are not interpolated.

    Returns
    -------
    TiffReader or None
        None where a level is no complete tiled page of its size: then OpenSlide reads the slide itself.

    Raises
    ------
    SlideUnreadable
        Where the file ends early or its table of tiles is incomplete. OpenSlide would not notice before it came there.
    """
    try:
        with tifffile_errors(name, SlideUnreadable):
            tiff = tifffile.TiffFile(path)
    except SlideError:
        return None
    try:
        levels = _tiled_levels(tiff, info, path.stat().st_size, name)
    except BaseException:
        tiff.close()
        raise
    if levels is None:
        tiff.close()
        return None
    return TiffReader(tiff, levels, replace(info, reader="tifffile"), name)


def _tiled_levels(tiff: Any, info: SlideInfo, file_bytes: int, name: str) -> list[Pieces] | None:
    """Return one tiled page for each level of ``info``, or None where one is missing, doubtful or has holes."""
    with tifffile_errors(name, SlideUnreadable):
        pages = [page for page in first_pages(tiff) if page.keyframe.is_tiled and not PageOutline.of(page).problem]
        levels = []
        for level in info.levels:
            same_size = [p for p in pages if (p.imagewidth, p.imagelength) == (level.size.width, level.size.height)]
            if len(same_size) != 1 or not decodes_as_rgb(same_size[0].keyframe):
                return None
            if same_size[0].keyframe.compression not in PLAIN_COMPRESSIONS:
                return None
            levels.append(cut_into_pieces(same_size[0], file_bytes, name))
            if not all(levels[-1].lengths):
                return None
        return levels


def _choose_image(images: list[Any], series: int | None, name: str) -> int:
    """Return the index of the image to read."""
    if not images:
        raise SlideUnreadable(name, "the TIFF holds no image; export the slide again")
    if series is None:
        areas = [_outline(image).width * _outline(image).height for image in images]
        return areas.index(max(areas))
    if not 0 <= series < len(images):
        raise SlideUnreadable(name, f"there is no series {series}; the file holds 0 to {len(images) - 1}")
    return series


def _outline(image: Any) -> PageOutline:
    return PageOutline.of(image.pages[0].keyframe)


def _levels(image: Any, file_bytes: int, name: str) -> list[Pieces]:
    """Return the levels of an image, finest first, each checked before anything is decoded.

    Levels after the first that are no upright 8-bit RGB images are left out.
    """
    outline = _outline(image)
    require_plausible(outline, file_bytes, name)
    planes = sum(1 for page in image.pages if page is not None)
    if planes > 1:
        raise NotBrightfield(
            name,
            f"the image has {planes} planes (channels, focal planes or time points); export one RGB plane",
        )
    if outline.problem:
        raise NotBrightfield(name, outline.problem)
    levels: list[Pieces] = []
    for level in image.levels:
        declared = PageOutline.of(level.pages[0].keyframe)
        if levels and (declared.problem or declared.segment_bytes > MAX_SEGMENT_BYTES):
            continue
        levels.append(cut_into_pieces(level.pages[0], file_bytes, name))
    return levels


def _slide_info(
    path: Path,
    slide_id: str,
    tiff: Any,
    levels: list[Pieces],
    calibration: tuple[Mpp | None, str, str],
) -> SlideInfo:
    """Return the facts of an image of a TIFF."""
    sizes = [(int(level.page.imagewidth), int(level.page.imagelength)) for level in levels]
    calibrated, source, problem = calibration
    size = Size(*sizes[0])
    tags = tiff.pages[0].tags
    words = [str(tags.valueof(tag, default="")).strip() for tag in ("Make", "Model")]
    return SlideInfo(
        slide_id=slide_id,
        reader="tifffile",
        vendor="ome-tiff" if tiff.is_ome else "tiff",
        size=size,
        levels=facts.pyramid(sizes),
        mpp=calibrated,
        mpp_source=source,
        mpp_problem=problem,
        bounds_l0=Box(0, 0, size.width, size.height),
        objective=None,
        scanner=" ".join(word for word in words if word) or None,
        background=(255, 255, 255),
        quick_hash=facts.quick_hash(path),
    )
