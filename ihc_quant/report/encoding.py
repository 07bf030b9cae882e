"""Pictures to bytes, without metadata: the same pixels always give the same file."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

PNG_LEVEL = 1
"""zlib's fastest: four times as fast as its default, and the pictures grow by a fifth."""
JPEG_QUALITY = 88
"""Fine enough for text on a picture; without chroma subsampling thin coloured outlines stay."""
SMALLEST_SIDE_PX = 320
"""A picture is not made narrower than this to save bytes."""


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    """
    buffer = io.BytesIO()
    _picture(rgb).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Return a picture as JPEG without chroma subsampling.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    quality : int
        1 to 95, as Pillow counts it.
    """
    buffer = io.BytesIO()
    # Without "optimize": with it, libjpeg fails on noisy pictures larger than Pillow's buffer.
    _picture(rgb).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def fit_bytes(picture: bytes, room: int) -> bytes:
    """Return the picture in at most ``room`` bytes: as it is, else as JPEG, else as a smaller JPEG.

    Parameters
    ----------
    picture : bytes
        PNG or JPEG.
    room : int
        Bytes. A picture that is ``SMALLEST_SIDE_PX`` wide is returned even where it is larger.

    Raises
    ------
    ValueError
        Where the bytes are neither PNG nor JPEG.
    """
    media_type(picture)
    if len(picture) <= room:
        return picture
    with Image.open(io.BytesIO(picture)) as opened:
        rgb = opened.convert("RGB")
    while True:
        encoded = encode_jpeg(np.asarray(rgb))
        if len(encoded) <= room or rgb.width <= SMALLEST_SIDE_PX:
            return encoded
        rgb = rgb.resize((max(1, rgb.width * 4 // 5), max(1, rgb.height * 4 // 5)), Image.Resampling.LANCZOS)


def picture_size(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG or JPEG in pixels."""
    with Image.open(io.BytesIO(picture)) as opened:
        return opened.size


def data_uri(picture: bytes) -> str:
    """Return a PNG or JPEG as a ``data:`` address, so that a page carries it.

    Raises
    ------
    ValueError
        Where the bytes are neither.
    """
    return f"data:{media_type(picture)};base64,{base64.b64encode(picture).decode('ascii')}"


def media_type(picture: bytes) -> str:
    """Return the media type of a PNG or JPEG, by its first bytes.

    Raises
    ------
    ValueError
        Where the bytes are neither.
    """
    if picture.startswith(PNG_MAGIC):
        return "image/png"
    if picture.startswith(JPEG_MAGIC):
        return "image/jpeg"
    raise ValueError("a picture on a page is PNG or JPEG")


def _picture(rgb: NDArray[np.uint8]) -> Image.Image:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a picture is uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    return Image.fromarray(np.ascontiguousarray(rgb))
