"""Tiny slides made on the spot, and slides that exist only as a formula."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Box, GridBox, Mpp, Size
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.slide.facts import pyramid

TiffMaker = Callable[..., Path]


class FormulaReader:
    """A slide of any size whose pixels are computed; notes the largest read."""

    def __init__(
        self, pixels: Callable[[int, GridBox], NDArray[np.uint8]], sizes: list[tuple[int, int]], mpp: Mpp
    ) -> None:
        self._pixels = pixels
        self.largest_read_px = 0
        size = Size(*sizes[0])
        self.info = SlideInfo(
            "formula", "picture", "formula", size, pyramid(sizes), mpp, "file", "",
            Box(0, 0, size.width, size.height), None, None, (255, 255, 255), "",
        )  # fmt: skip

    def read(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        self.largest_read_px = max(self.largest_read_px, box.width * box.height)
        return self._pixels(level, box)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@pytest.fixture(scope="session")
def formula_reader() -> type[FormulaReader]:
    return FormulaReader


@pytest.fixture(scope="session")
def tissue_rgb() -> NDArray[np.uint8]:
    """A light picture (200, 300, 3) with blots, lossless to under 8 KB."""
    y, x = np.mgrid[:200, :300]
    rgb = np.full((200, 300, 3), 240, np.uint8)
    rgb[(x // 23 + y // 17) % 5 == 0] = (150, 110, 60)
    rgb[(x // 31 + y // 13) % 7 == 0] = (120, 120, 190)
    return rgb


@pytest.fixture
def make_tiff(tmp_path: Path, tissue_rgb: NDArray[np.uint8]) -> TiffMaker:
    """Write a TIFF; by default tiled, JPEG-compressed, with two levels as plain pages and 0.25 µm/px."""

    def make(name: str = "slide.tif", rgb: NDArray[Any] = tissue_rgb, *, um: float = 0.25, **changed: Any) -> Path:
        path = tmp_path / name
        options: dict[str, Any] = {
            "tile": (64, 64), "compression": "jpeg", "photometric": "rgb", "metadata": None,
            "resolutionunit": "CENTIMETER", "resolution": (1e4 / um, 1e4 / um),
        }  # fmt: skip
        options |= changed
        options = {key: value for key, value in options.items() if value is not None or key == "metadata"}
        with tifffile.TiffWriter(path) as writer:
            writer.write(rgb, **options)
            if rgb.ndim == 3 and rgb.shape[2] == 3:
                writer.write(np.ascontiguousarray(rgb[::2, ::2]), subfiletype=1, **options)
        assert path.stat().st_size < 64_000
        return path

    return make


@pytest.fixture
def make_ome(tmp_path: Path, tissue_rgb: NDArray[np.uint8]) -> Callable[..., Path]:
    """Write an OME-TIFF of one or more images, each with a half-size level in a SubIFD."""

    def make(name: str = "slide.ome.tif", images: int = 1, unit: str = "µm", size: float = 0.25) -> Path:
        path = tmp_path / name
        metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
        metadata |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
        options: dict[str, Any] = {"tile": (64, 64), "compression": "zlib", "photometric": "rgb"}
        with tifffile.TiffWriter(path, ome=True) as writer:
            for index in range(images):
                rgb = np.ascontiguousarray(tissue_rgb[: 200 - 40 * index])
                writer.write(rgb, subifds=1, metadata=metadata, **options)
                writer.write(np.ascontiguousarray(rgb[::2, ::2]), subfiletype=1, metadata=None, **options)
        return path

    return make
