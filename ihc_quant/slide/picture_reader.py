"""A PNG or JPEG picture as a slide of one level. It states no µm per pixel: the user does."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from ihc_quant.domain.geometry import Box, GridBox, Mpp, Size
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import NotBrightfield, SlideError, SlideUnreadable
from ihc_quant.slide import facts
from ihc_quant.slide.files import JPEG_MAGIC, PNG_MAGIC
from ihc_quant.slide.reader import ClosingReader, clipped, white_box

FOREIGN_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for a damaged picture."""

MAX_PICTURE_PX = 100_000_000
"""A picture is decoded whole, 300 MB at this size; anything larger belongs into a tiled format."""

ORIENTATION_TAG = 274


@contextmanager
def pillow_errors(name: str, kind: type[SlideError]) -> Iterator[None]:
    """Turn whatever Pillow raises into one sentence about the slide."""
    try:
        yield
    except MemoryError as error:
        raise kind(name, "there is not enough memory to read it; close other programs") from error
    except FOREIGN_ERRORS as error:
        raise kind(name, "the picture is damaged or ends early; copy it anew or export it again") from error


class PictureReader(ClosingReader):
    """A picture, decoded once when it is opened. Parameters as ``OpenSlideReader``."""

    def __init__(self, path: Path, *, slide_id: str, name: str, mpp: Mpp | None) -> None:
        super().__init__()
        self._rgb, vendor = _decode(path, name)
        height, width, _ = self._rgb.shape
        calibrated, source, problem = facts.calibration(None, None, mpp)
        self.info = SlideInfo(
            slide_id=slide_id,
            reader="picture",
            vendor=vendor,
            size=Size(width, height),
            levels=facts.pyramid([(width, height)]),
            mpp=calibrated,
            mpp_source=source,
            mpp_problem=problem and "a PNG or JPEG picture states no µm per pixel",
            bounds_l0=Box(0, 0, width, height),
            objective=None,
            scanner=None,
            background=(255, 255, 255),
            quick_hash=facts.quick_hash(path),
        )

    def read(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return the pixels of a box of the one level; see ``SlideReader.read``."""
        self._require_open()
        if level != 0:
            raise IndexError(f"a picture has one level, got {level}")
        rgb = white_box(box)
        inside = clipped(box, self.info.size.width, self.info.size.height)
        if inside is not None:
            part = self._rgb[inside.y0 : inside.y1, inside.x0 : inside.x1]
            rgb[inside.y0 - box.y0 : inside.y1 - box.y0, inside.x0 - box.x0 : inside.x1 - box.x0] = part
        return rgb

    def _release(self) -> None:
        self._rgb = np.empty((0, 0, 3), np.uint8)


def is_picture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a PNG or a JPEG."""
    return head.startswith((PNG_MAGIC, JPEG_MAGIC))


def _decode(path: Path, name: str) -> tuple[NDArray[np.uint8], str]:
    """Return the pixels (H, W, 3) and ``"png"`` or ``"jpeg"``."""
    # The plug-ins are called by name: Image.open would try every format it knows, and warns of sizes in its own way.
    with pillow_errors(name, SlideUnreadable), path.open("rb") as file:
        is_png = file.read(8) == PNG_MAGIC
        file.seek(0)
        picture = PngImageFile(file) if is_png else JpegImageFile(file)
        with picture:
            width, height = picture.size
            # Before anything else: asking a PNG for its orientation decodes it.
            if width * height > MAX_PICTURE_PX:
                raise SlideUnreadable(
                    name,
                    f"a picture of {width} × {height} px is too large to decode at once "
                    f"(limit {MAX_PICTURE_PX // 1_000_000} million px); export it as pyramidal TIFF",
                )
            problem = _problem(picture)
            if problem:
                raise NotBrightfield(name, problem)
            vendor = "png" if is_png else "jpeg"
            transparent = picture.mode == "RGBA" or "transparency" in picture.info
            if transparent:
                straight = picture.convert("RGBA")
                white = Image.new("RGBA", straight.size, (255, 255, 255, 255))
                return np.asarray(Image.alpha_composite(white, straight).convert("RGB")), vendor
            return np.asarray(picture.convert("RGB")), vendor


def _problem(picture: PngImageFile | JpegImageFile) -> str:
    """Return why the picture is no upright 8-bit RGB image; empty where it is one."""
    raw_modes = [str(tile[3]) for tile in picture.tile]
    if picture.mode not in {"RGB", "RGBA", "P"} or any("16" in mode for mode in raw_modes):
        return f"the picture is not 8-bit RGB (its mode is {picture.mode}); export it as an 8-bit RGB picture"
    orientation = picture.getexif().get(ORIENTATION_TAG, 1)
    if orientation not in {0, 1}:
        return f"the picture is rotated or mirrored by its orientation tag ({orientation}); save it upright"
    return ""
