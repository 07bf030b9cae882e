"""µm per pixel as a TIFF states them: OME-XML, Aperio's description, or the resolution tags."""

import re
from typing import Any
from xml.etree import ElementTree

from ihc_quant.slide.facts import UM_PER_CM, UM_PER_INCH, number

UM_PER_UNIT = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,  # micro sign, as the OME schema writes it
    "μm": 1.0,  # Greek mu
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "in": UM_PER_INCH,
}
"""Units of OME-XML's PhysicalSizeXUnit that name a length (OME schema 2016-06); ``pixel`` and the like do not."""

MAX_XML_CHARACTERS = 32 << 20

_APERIO_MPP = re.compile(r"\|\s*MPP\s*=\s*([0-9.]+)")


def stated_mpp(tiff: Any, page: Any, series: int) -> tuple[float | None, float | None]:
    """Return µm per pixel along x and y as the file states them, plausible or not; None where it does not.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        The open file.
    page : tifffile.TiffPage
        Level 0 of the image.
    series : int
        Which image of the file.
    """
    if tiff.is_ome:
        found = _ome_mpp(tiff.ome_metadata or "", series, int(page.imagewidth), int(page.imagelength))
        if found != (None, None):
            return found
    aperio = _APERIO_MPP.search(page.description or "")
    if aperio:
        return number(aperio.group(1)), number(aperio.group(1))
    return _resolution(page, "XResolution"), _resolution(page, "YResolution")


def _ome_mpp(xml: str, series: int, width: int, height: int) -> tuple[float | None, float | None]:
    """Return the physical pixel size of the image ``series``, or of the first of that size."""
    if len(xml) > MAX_XML_CHARACTERS or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return None, None
    root = ElementTree.fromstring(xml)  # noqa: S314 (entities are refused above)
    images = [pixels for pixels in root.iter() if pixels.tag.rpartition("}")[2] == "Pixels"]
    fitting = [p for p in images if p.get("SizeX") == str(width) and p.get("SizeY") == str(height)]
    if series < len(images) and images[series] in fitting:
        return _physical(images[series], "X"), _physical(images[series], "Y")
    return (_physical(fitting[0], "X"), _physical(fitting[0], "Y")) if fitting else (None, None)


def _physical(pixels: ElementTree.Element, axis: str) -> float | None:
    """Return one physical size in µm."""
    size = number(pixels.get(f"PhysicalSize{axis}"))
    factor = UM_PER_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return size * factor if size is not None and factor is not None else None


def _resolution(page: Any, name: str) -> float | None:
    """Return µm per pixel from a resolution tag; None without a unit of length."""
    unit = {2: UM_PER_INCH, 3: UM_PER_CM}.get(int(page.tags.valueof("ResolutionUnit", default=2)))
    value = page.tags.valueof(name)
    if unit is None or not isinstance(value, tuple) or len(value) != 2 or value[0] <= 0 or value[1] <= 0:
        return None
    return float(unit * value[1] / value[0])
