"""What a TIFF declares, checked before a pixel is decoded: the only place where tifffile parses."""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import tifffile

from ihc_quant.errors import NotBrightfield, SlideError, SlideUnreadable

FOREIGN_ERRORS = (
    tifffile.TiffFileError,
    tifffile.OmeXmlError,
    ParseError,
    struct.error,
    zlib.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What tifffile and its codecs raise for a damaged file; measured on damaged files, so it is wide. ``tifffile_errors``
is put around their calls alone."""

MAX_SEGMENT_BYTES = 256 << 20
"""Largest tile or strip that is decoded, in decoded bytes: one strip of about 9,400 × 9,400 px RGB."""

MAX_SLIDE_PX = 200_000_000_000
"""Largest level 0: a glass of 75 × 25 mm at 0.1 µm per pixel has 187,500 million px."""

MAX_EXPANSION = 20_000
"""Decoded bytes for one byte of file. White in zstd reaches 6,200 in a real pyramid; a file beyond this states a size
that it does not hold."""

UNCHECKED_PX = 50_000_000
"""Below this size the expansion is not judged: reading it is harmless whatever the file holds."""

MAX_PAGES_SEARCHED = 64

ORIENTATION_TAG = 274

logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").setLevel(logging.CRITICAL)
"""tifffile reports every oddity of a file; here an oddity is an error of ours or nothing."""


@contextmanager
def tifffile_errors(name: str, kind: type[SlideError]) -> Iterator[None]:
    """Turn whatever tifffile and its codecs raise into one sentence about the slide."""
    try:
        yield
    except SlideError:
        raise
    except MemoryError as error:
        raise kind(name, "there is not enough memory to read it; close other programs") from error
    except FOREIGN_ERRORS as error:
        if kind is SlideUnreadable:
            raise kind(name, "the TIFF structure is damaged; copy the file anew or export the slide again") from error
        raise kind(
            name, "some of its pixels cannot be decoded; copy the file anew or export the slide again"
        ) from error


@dataclass(frozen=True, slots=True)
class PageOutline:
    """What one page declares.

    Attributes
    ----------
    width, height : int
        Pixels.
    segment_bytes : int
        Decoded bytes of one tile or strip.
    problem : str
        Why it is no upright 8-bit RGB image; empty where it is one.
    """

    width: int
    height: int
    segment_bytes: int
    problem: str

    @classmethod
    def of(cls, page: Any) -> "PageOutline":
        """Return the outline of a tifffile page."""
        width, height = int(page.imagewidth), int(page.imagelength)
        across, down = (page.tilewidth, page.tilelength) if page.is_tiled else (width, page.rowsperstrip)
        sample_bytes = max(1, int(np.dtype(page.dtype).itemsize)) if page.dtype is not None else 1
        rows = int(down) if page.is_tiled else min(int(down), height)
        segment_bytes = int(across) * rows * int(page.samplesperpixel) * sample_bytes
        return cls(width, height, segment_bytes, _problem(page))


@dataclass(frozen=True, slots=True)
class TiffOutline:
    """What a TIFF declares of the page that holds level 0.

    Attributes
    ----------
    is_ome : bool
        Whether it is an OME-TIFF.
    page : PageOutline or None
        The largest of the first pages; None where tifffile cannot parse the file.
    file_bytes : int
        Size of the file.
    """

    is_ome: bool
    page: PageOutline | None
    file_bytes: int

    def require_safe(self, name: str) -> None:
        """Refuse what must not reach a decoder, and what is no upright 8-bit RGB image."""
        if self.page is not None:
            require_plausible(self.page, self.file_bytes, name)
            if self.page.problem:
                raise NotBrightfield(name, self.page.problem)


def peek(path: Path) -> TiffOutline:
    """Return what a TIFF declares; without ``page`` where it is beyond tifffile, which is for the reader to judge."""
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = [PageOutline.of(page) for page in first_pages(tiff)]
            largest = max(pages, key=lambda page: page.width * page.height)
            return TiffOutline(bool(tiff.is_ome), largest, size)
    except FOREIGN_ERRORS:
        return TiffOutline(False, None, size)


def require_plausible(page: PageOutline, file_bytes: int, name: str) -> None:
    """Refuse sizes that no slide has, or that the file cannot hold.

    Raises
    ------
    SlideUnreadable
    """
    pixels = page.width * page.height
    if page.width <= 0 or page.height <= 0:
        raise SlideUnreadable(name, "the file states an empty image; export the slide again")
    stated = f"the file states {page.width} × {page.height} px"
    if pixels > MAX_SLIDE_PX:
        raise SlideUnreadable(name, f"{stated}, more than any slide has; export the slide again")
    if pixels > UNCHECKED_PX and pixels * 3 > file_bytes * MAX_EXPANSION:
        raise SlideUnreadable(name, f"{stated} but has only {file_bytes} bytes; copy it anew or export it again")
    if page.segment_bytes > MAX_SEGMENT_BYTES:
        raise SlideUnreadable(
            name,
            f"its pixels lie in pieces of {page.segment_bytes >> 20} MB, too large to decode "
            f"(limit {MAX_SEGMENT_BYTES >> 20} MB); export it as tiled pyramidal TIFF",
        )


def first_pages(tiff: Any) -> list[Any]:
    """Return the first pages; later ones of long files are labels and focal planes."""
    pages = []
    for index in range(MAX_PAGES_SEARCHED):
        try:
            pages.append(tiff.pages[index])
        except IndexError:
            break
    return pages


def _problem(page: Any) -> str:
    """Return why a page is no upright 8-bit RGB image; empty where it is one."""
    cure = "export the slide as an upright 8-bit RGB bright-field image"
    orientation = page.tags.valueof(ORIENTATION_TAG, default=1)
    if orientation not in {0, 1}:  # 0 is no valid value; writers that do not know the tag leave it so
        return f"the image is rotated or mirrored by its orientation tag ({orientation}); {cure}"
    samples = int(page.samplesperpixel)
    if samples < 3:
        return f"the image has {'one channel' if samples == 1 else f'{samples} channels'} instead of RGB; {cure}"
    bits = page.bitspersample
    if page.dtype is None or np.dtype(page.dtype) != np.uint8 or bits not in {8, (8, 8, 8), (8, 8, 8, 8)}:
        return f"the image does not have 8 bits per channel; {cure}"
    photometric = int(page.photometric)
    if photometric not in {2, 6}:  # RGB, YCbCr
        return f"the image's colours are not RGB (photometric {photometric}); {cure}"
    if samples > 4:
        return f"the image has {samples} channels instead of RGB; {cure}"
    return ""
