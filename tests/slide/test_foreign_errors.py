"""Whatever a library raises becomes a SlideError, in one place for each library."""

import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import RegionUnreadable, SlideError, SlideUnreadable
from ihc_quant.slide import openslide_reader, picture_reader, tiff_layout
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.overview import read_overview

Translator = Callable[[str, type[SlideError]], AbstractContextManager[None]]

LIBRARIES: list[tuple[Translator, tuple[type[Exception], ...], list[Any]]] = [
    (openslide_reader.openslide_errors, openslide_reader.FOREIGN_ERRORS, [openslide, openslide.lowlevel]),
    (tiff_layout.tifffile_errors, tiff_layout.FOREIGN_ERRORS, [tifffile, tifffile.tifffile, imagecodecs]),
    (picture_reader.pillow_errors, picture_reader.FOREIGN_ERRORS, [Image, PngImagePlugin]),
]


def exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    """The exception classes that a library's module names, warnings left out."""
    for name in dir(module):
        value = getattr(module, name, None)
        if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning):
            yield value


@pytest.mark.parametrize(("translate", "mapped", "modules"), LIBRARIES)
def test_every_exception_class_is_mapped(
    translate: Translator, mapped: tuple[type[Exception], ...], modules: list[ModuleType]
) -> None:
    found = {error for module in modules for error in exceptions_of(module)}
    assert found, "the libraries name their exceptions"
    assert [error for error in found if not issubclass(error, mapped)] == []
    for error in mapped:
        made = error.__new__(error)
        for kind in (SlideUnreadable, RegionUnreadable):
            with pytest.raises(kind) as caught, translate("S1", kind):
                raise made
            assert str(caught.value).startswith("S1: ")
            assert caught.value.__cause__ is made
            assert isinstance(pickle.loads(pickle.dumps(caught.value)), kind)


@pytest.mark.parametrize("translate", [entry[0] for entry in LIBRARIES])
def test_our_own_errors_and_interruptions_pass(translate: Translator) -> None:
    for error in (SlideUnreadable("S1", "x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), translate("S2", RegionUnreadable):
            raise error


def test_codec_errors_are_mapped() -> None:
    for codec in ("JPEG8", "JPEG2K", "LZW", "DEFLATE", "ZSTD", "WEBP", "PNG"):
        error = getattr(imagecodecs, f"{codec.title()}Error", None) or getattr(imagecodecs, f"{codec}Error", None)
        if error is not None:
            assert issubclass(error, tiff_layout.FOREIGN_ERRORS)
    assert issubclass(UnidentifiedImageError, picture_reader.FOREIGN_ERRORS)


@pytest.mark.parametrize("kind", ["tiles", "strips", "ome", "png", "jpg"])
def test_a_damaged_file_is_one_error_or_readable(
    kind: str, make_tiff: Any, make_ome: Any, tmp_path: Path, tissue_rgb: np.ndarray[Any, np.dtype[np.uint8]]
) -> None:
    makers: dict[str, Callable[[], Path]] = {
        "tiles": make_tiff,
        "strips": lambda: Path(make_tiff(tile=None, compression="lzw", rowsperstrip=64)),
        "ome": make_ome,
    }
    if kind in makers:
        path = makers[kind]()
    else:
        path = tmp_path / f"slide.{kind}"
        Image.fromarray(tissue_rgb).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(11)
    refused = 0
    for trial in range(60):
        data = bytearray(whole)
        if trial % 4 == 0:
            del data[int(random.integers(1, len(data))) :]
        else:
            span = len(data) if trial % 2 else min(len(data), 600)
            for _ in range(1 + trial % 5):
                data[int(random.integers(0, span))] = int(random.integers(0, 256))
        path.write_bytes(data)
        message = error_of(path)
        refused += message != ""
        assert "\n" not in message
    assert refused >= 10


def error_of(path: Path) -> str:
    """The one error of a file, empty where it is readable; any other error fails the test."""
    try:
        with open_slide(path, mpp=Mpp.square(0.5)) as slide:
            read_overview(slide, 200)
    except SlideError as error:
        return str(error)
    return ""
