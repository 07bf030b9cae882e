"""The page of one biopsy: one file that carries its style and its pictures and asks for nothing from a network."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report import figures
from ihc_quant.report.biopsy_content import make_content
from ihc_quant.report.encoding import data_uri, encode_png, picture_size
from ihc_quant.report.panel_picture import draw_colour_bar
from ihc_quant.report.slide_pictures import SlidePictures as SlidePictures


def _printable(value: object) -> object:
    """Return text from outside without signs that no page can carry, such as lone surrogates of odd file names."""
    return figures.one_line(value) if type(value) is str else value


def _kind(value: object) -> str:
    """Return what kind of block or mark a value is, so that the template knows how to print it."""
    return type(value).__name__


_ENVIRONMENT = Environment(
    loader=PackageLoader("ihc_quant.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printable,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"kind": _kind, "data_uri": data_uri, "picture_size": picture_size}


def render_biopsy(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> str:
    """Return the page of a biopsy as one HTML document of less than 5 MB.

    Everything that comes from outside is escaped. The same report and pictures give the same text, byte for byte.

    Parameters
    ----------
    report : BiopsyReport
        What to show.
    pictures : mapping of slide_id to SlidePictures
        Slides without an entry are shown without pictures. Large pictures are embedded as JPEG.

    Raises
    ------
    ValueError
        Where a picture is neither PNG nor JPEG.
    """
    content = make_content(report, pictures)
    return _ENVIRONMENT.get_template("biopsy.html.j2").render(
        notice=RESEARCH_USE_ONLY,
        biopsy_id=content.biopsy_id,
        head=content.head,
        chapters=content.chapters,
        origin=content.origin,
        colour_bar=encode_png(draw_colour_bar()) if content.head.scale_end else b"",
    )
