"""OME-TIFF, and TIFF that OpenSlide refuses, through tifffile: only the tiles or strips that a box needs."""

import math
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Box, GridBox, Mpp, Size
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import NotBrightfield, SlideUnreadable
from ihc_quant.slide import facts
from ihc_quant.slide.reader import ClosingReader, clipped, white_box
from ihc_quant.slide.tiff_calibration import stated_mpp
from ihc_quant.slide.tiff_layout import MAX_SEGMENT_BYTES, PageOutline, require_plausible, tifffile_errors
from ihc_quant.slide.tiff_pieces import Pieces, cut_into_pieces, decode_piece

CACHE_BYTES = 96 << 20
"""Decoded tiles or strips that one slide keeps; the latest one stays even where it is larger."""

ALONE_BYTES = 16 << 20
"""Pieces of more decoded bytes than this are decoded one at a time, so that threads do not multiply them."""


class TiffReader(ClosingReader):
    """One image of a TIFF.

    Parameters
    ----------
    path, slide_id, name, mpp
        As of ``OpenSlideReader``.
    series : int or None
        Image to read, from 0; the largest where it is not given.
    """

    def __init__(self, path: Path, *, slide_id: str, name: str, mpp: Mpp | None, series: int | None) -> None:
        super().__init__()
        self._name = name
        with tifffile_errors(name, SlideUnreadable):
            self._tiff = tifffile.TiffFile(path)
        try:
            with tifffile_errors(name, SlideUnreadable):
                images = list(self._tiff.series)
                chosen = _choose_image(images, series, name)
                self._levels = _levels(images[chosen], path.stat().st_size, name)
                sizes = [(int(level.page.imagewidth), int(level.page.imagelength)) for level in self._levels]
                x_um, y_um = stated_mpp(self._tiff, self._levels[0].page, chosen)
                self.info = _slide_info(path, slide_id, self._tiff, sizes, (x_um, y_um), mpp, chosen, len(images))
            self._descriptor = os.open(path, os.O_RDONLY)
        except BaseException:
            self._tiff.close()
            raise
        self._cache: OrderedDict[tuple[int, int], NDArray[np.uint8] | None] = OrderedDict()
        self._cached_bytes = 0
        self._lock, self._alone = Lock(), Lock()

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
            return self._keep(key, decode_piece(self._descriptor, pieces, index, self._name))
        with self._alone:
            found, piece = self._cached(key)
            return piece if found else self._keep(key, decode_piece(self._descriptor, pieces, index, self._name))

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

    def _release(self) -> None:
        os.close(self._descriptor)
        self._tiff.close()
        with self._lock:
            self._cache.clear()
            self._cached_bytes = 0


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
    sizes: Sequence[tuple[int, int]],
    stated: tuple[float | None, float | None],
    mpp: Mpp | None,
    series: int,
    series_count: int,
) -> SlideInfo:
    """Return the facts of an image of a TIFF."""
    calibrated, source, problem = facts.calibration(*stated, mpp)
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
        series=series,
        series_count=series_count,
    )
