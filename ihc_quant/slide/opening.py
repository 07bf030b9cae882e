"""From a path to an open slide, whichever library reads it."""

from pathlib import Path

from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import SlideUnreadable
from ihc_quant.slide.brightfield import require_brightfield
from ihc_quant.slide.files import TIFF_MAGIC, file_head, require_file, shown
from ihc_quant.slide.openslide_reader import OpenSlideReader, knows
from ihc_quant.slide.picture_reader import PictureReader, is_picture
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.tiff_layout import peek
from ihc_quant.slide.tifffile_reader import open_tiff, open_tiles_of

PLAIN_TIFF_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are tiled TIFF pages without overlap or offset."""


def open_slide(
    path: Path, *, slide_id: str | None = None, mpp: Mpp | None = None, series: int | None = None
) -> SlideReader:
    """Open a slide and check that it is an upright 8-bit RGB bright-field image.

    Parameters
    ----------
    path : Path
        Any format that OpenSlide knows, TIFF and OME-TIFF, PNG or JPEG.
    slide_id : str or None
        The name under which results are kept and by which messages call the slide; the file's stem, and its path in
        messages, where it is not given.
    mpp : Mpp or None
        µm per level-0 pixel instead of what the file states. Where both are missing the slide opens all the same and
        ``info.require_mpp()`` raises.
    series : int or None
        Image of a file that holds several, from 0; the largest where it is not given.

    Returns
    -------
    SlideReader
        To be closed by the caller, or used in a ``with`` block.

    Raises
    ------
    SlideUnreadable
        No such file, not a slide, damaged, or too large to decode.
    NotBrightfield
        Fluorescence, one channel, 16 bit, rotated by an orientation tag.
    RegionUnreadable
        Where the pixels that are looked at here cannot be decoded.
    """
    name = slide_id if slide_id is not None else shown(path)
    reader = _open(path, slide_id if slide_id is not None else shown(Path(path.stem)), name, mpp, series)
    try:
        require_brightfield(reader, name)
    except BaseException:
        reader.close()
        raise
    return reader


def _open(path: Path, slide_id: str, name: str, mpp: Mpp | None, series: int | None) -> SlideReader:
    """Choose the reader.

    OME-TIFF goes to tifffile, which knows its images and levels; what OpenSlide knows goes to OpenSlide, which leaves
    the tiles of formats that are plain TIFF to tifffile; any other TIFF goes to tifffile; a picture to Pillow.
    """
    require_file(path, name)
    head = file_head(path, name)
    is_tiff = head.startswith(TIFF_MAGIC)
    outline = peek(path) if is_tiff else None
    vendor = None if outline is not None and outline.is_ome else knows(path, name)
    if vendor is None and is_tiff:
        return open_tiff(path, slide_id=slide_id, name=name, mpp=mpp, series=series)
    if series not in {None, 0}:
        raise SlideUnreadable(name, f"the file holds one image, so there is no series {series}; leave the series out")
    if vendor is not None:
        if outline is not None:
            outline.require_safe(name)
        slide = OpenSlideReader(path, slide_id=slide_id, name=name, mpp=mpp)
        try:
            tiles = open_tiles_of(path, slide.info, name) if vendor in PLAIN_TIFF_VENDORS else None
        except BaseException:
            slide.close()
            raise
        if tiles is None:
            return slide
        slide.close()
        return tiles
    if is_picture(head):
        return PictureReader(path, slide_id=slide_id, name=name, mpp=mpp)
    raise SlideUnreadable(name, "no reader knows this as a slide; export it as pyramidal TIFF, OME-TIFF or PNG")
