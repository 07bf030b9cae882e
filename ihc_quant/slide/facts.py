"""Facts that every reader parses the same way: calibration, levels, bounds, identity."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ihc_quant.domain.geometry import MPP_RANGE_UM, Box, Mpp, Size
from ihc_quant.domain.slide import Level

HASHED_BYTES = 1 << 20
"""Bytes of the head and of the tail of a file that go into its quick hash."""

UM_PER_INCH = 25_400.0
UM_PER_CM = 10_000.0


def calibration(x_um: float | None, y_um: float | None, override: Mpp | None) -> tuple[Mpp | None, str, str]:
    """Return ``mpp``, ``mpp_source`` and ``mpp_problem`` of ``SlideInfo``.

    Parameters
    ----------
    x_um, y_um : float or None
        µm per level-0 pixel as the file states them; None where it does not.
    override : Mpp or None
        What the user states; it wins.
    """
    if override is not None:
        return override, "override", ""
    if x_um is None or y_um is None:
        return None, "missing", "the file states no µm per pixel"
    low, high = MPP_RANGE_UM
    if not (low <= x_um <= high and low <= y_um <= high):
        stated = f"{x_um:.4g}" if x_um == y_um else f"{x_um:.4g} × {y_um:.4g}"
        return None, "missing", f"the file states {stated} µm per pixel, which is not plausible ({low} to {high})"
    return Mpp(x_um, y_um), "file", ""


def number(text: str | None) -> float | None:
    """Return a finite number above 0, or None where the text is missing or is none."""
    try:
        value = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def pyramid(sizes: Sequence[tuple[int, int]]) -> tuple[Level, ...]:
    """Return the levels for their sizes (width, height), finest first.

    A level whose size is that of level 0 divided by a whole number and rounded, up or down, was made with that number:
    dividing the sizes instead would stretch it by up to one pixel over the slide.
    """
    width, height = sizes[0]
    levels = []
    for index, (w, h) in enumerate(sizes):
        factor = _whole_factor((width, height), (w, h))
        across, down = (factor, factor) if factor else (width / w, height / h)
        levels.append(Level(index, Size(w, h), float(across), float(down)))
    return tuple(levels)


def _whole_factor(size: tuple[int, int], level_size: tuple[int, int]) -> int | None:
    """Return the whole number that leads from one size to the other, a power of two first; None where none does."""
    ratio = math.sqrt(size[0] / level_size[0] * size[1] / level_size[1])
    for factor in (2 ** max(0, round(math.log2(ratio))), max(1, round(ratio))):
        if all(n in {full // factor, -(-full // factor)} for full, n in zip(size, level_size, strict=True)):
            return factor
    return None


def bounds(properties: Mapping[str, str], size: Size) -> Box:
    """Return the scanned part of the level-0 plane from OpenSlide's bounds, or the whole plane."""
    values = [properties.get(f"openslide.bounds-{name}") for name in ("x", "y", "width", "height")]
    try:
        x, y, width, height = (int(value) for value in values if value is not None)
    except ValueError:
        return Box(0, 0, size.width, size.height)
    if not (width > 0 and height > 0 and 0 <= x < size.width and 0 <= y < size.height):
        return Box(0, 0, size.width, size.height)
    return Box(x, y, min(x + width, size.width), min(y + height, size.height))


def background(properties: Mapping[str, str]) -> tuple[int, int, int]:
    """Return OpenSlide's background colour; white where the file states none."""
    text = properties.get("openslide.background-color", "")
    try:
        red, green, blue = bytes.fromhex(text)
    except ValueError:
        return (255, 255, 255)
    return (red, green, blue)


def quick_hash(path: Path) -> str:
    """Return the SHA-256 (hexadecimal) of a file's size, head and tail."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(HASHED_BYTES))
        file.seek(max(0, size - HASHED_BYTES))
        digest.update(file.read(HASHED_BYTES))
    return digest.hexdigest()
