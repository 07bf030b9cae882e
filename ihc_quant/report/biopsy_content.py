"""All that a biopsy's report says, in order, whoever prints it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.report.page_blocks import Bullets, Chapter, Text
from ihc_quant.report.page_examples import distribution_chapter, examples_chapter, overview_chapter, sensitivity_chapter
from ihc_quant.report.page_head import Head, make_head
from ihc_quant.report.page_origin import provenance_chapter, records_chapter, weights_chapter
from ihc_quant.report.page_results import analysed_chapter, results_chapter
from ihc_quant.report.page_together import bounds_chapter, ratios_chapter, schemes_chapter
from ihc_quant.report.page_words import limits_chapter, method_chapter
from ihc_quant.report.slide_pictures import SlidePictures

PICTURE_ROOM_BYTES = 3_300_000
"""All pictures of a page together; base64 adds a third, so a page stays under 5 MB."""
LARGEST_PICTURE_BYTES = 900_000
"""One picture; sharper serves no reader of a page."""


@dataclass(frozen=True, slots=True)
class BiopsyContent:
    """A report in words, tables and pictures.

    Attributes
    ----------
    biopsy_id : str
    head : Head
        Which biopsy, the panel, the headline.
    chapters : tuple of Chapter
        What a reader needs, most important first.
    origin : tuple of Chapter
        After the reviewer's field: for who checks or repeats.
    """

    biopsy_id: str
    head: Head
    chapters: tuple[Chapter, ...]
    origin: tuple[Chapter, ...]


def make_content(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> BiopsyContent:
    """Return what a report says.

    Parameters
    ----------
    report : BiopsyReport
    pictures : mapping of slide_id to SlidePictures
        Slides without an entry are shown without pictures.

    Raises
    ------
    ValueError
        Where a picture is neither PNG nor JPEG.
    """
    kept = [pictures[outcome.slide_id] for outcome in report.outcomes if outcome.slide_id in pictures]
    shown = sum(bool(each.overview_png) + bool(each.gallery_png) for each in kept)
    head = make_head(report, pictures)
    left = PICTURE_ROOM_BYTES - sum(len(picture.data) for frame in head.frames for picture in frame.pictures)
    room = min(LARGEST_PICTURE_BYTES, max(0, left) // max(1, shown))
    chapters = (
        analysed_chapter(report),
        flags_chapter(report),
        results_chapter(report),
        ratios_chapter(report.panel),
        examples_chapter(report, pictures, room),
        distribution_chapter(report, pictures),
        sensitivity_chapter(report),
        schemes_chapter(report.panel),
        bounds_chapter(report.panel),
        records_chapter(report),
        method_chapter(),
        limits_chapter(),
        weights_chapter(report),
    )
    origin = (overview_chapter(report, pictures, room), provenance_chapter(report))
    return BiopsyContent(report.biopsy_id, head, chapters, origin)


def flags_chapter(report: BiopsyReport) -> Chapter:
    """Return what may fool the figures."""
    flags = (Bullets(report.flags, "warn"),) if report.flags else (Text("None was raised."),)
    return Chapter("flags", "Flags for the reader", flags)
