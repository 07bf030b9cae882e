"""The report of one biopsy as a PDF, for paper: the chapters of the page on A4, by ReportLab where it is installed."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.biopsy_content import BiopsyContent, make_content
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.headline import Card
from ihc_quant.report.page_head import Frame, Head
from ihc_quant.report.panel_picture import draw_colour_bar
from ihc_quant.report.slide_pictures import SlidePictures

FRAMES_IN_A_ROW = 4


@dataclass(frozen=True, slots=True)
class PdfMissing:
    """There is no PDF, because the library for it is not installed; ``reason`` is one line that names the cure."""

    reason: str = "No PDF was written: ReportLab is not installed; install it with: pip install 'ihc-quant[pdf]'"


def render_pdf(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> bytes | PdfMissing:
    """Return the report of a biopsy as a PDF, or why there is none.

    It says what the HTML page says; the page is the report. The same report and pictures give the same bytes. Write
    the bytes beside ``report.html``; print ``PdfMissing.reason`` once and go on where it is returned.

    Parameters
    ----------
    report : BiopsyReport
        What to show.
    pictures : mapping of slide_id to SlidePictures
        As for the page.

    Raises
    ------
    ValueError
        Where a picture is neither PNG nor JPEG.
    """
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.units import mm
        from reportlab.platypus import SimpleDocTemplate

        from ihc_quant.report import pdf_flow
    except ImportError:
        return PdfMissing()
    pdf_flow.set_up()
    content = make_content(report, pictures)
    title = f"Biopsy {content.biopsy_id}"
    buffer = io.BytesIO()
    margin, room = 14 * mm, 20 * mm
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=margin - pdf_flow.PADDING,
        rightMargin=margin - pdf_flow.PADDING,
        topMargin=room,
        bottomMargin=room,
        title=pdf_flow.spell(title),
        author="ihc-quant",
        subject=RESEARCH_USE_ONLY,
        lang="en",
        invariant=1,
    )
    write = pdf_flow.sheet_writer(RESEARCH_USE_ONLY, title)
    document.build(_story(content, pdf_flow), onFirstPage=write, onLaterPages=write)
    return buffer.getvalue()


def _story(content: BiopsyContent, flow: Any) -> list[Any]:
    from reportlab.platypus import PageBreak

    story = [*_head(content.biopsy_id, content.head, flow), PageBreak()]
    for chapter in content.chapters:
        story += flow.chapter_flow(chapter)
    story += _review(flow)
    for chapter in content.origin:
        story += flow.chapter_flow(chapter)
    return story


def _head(biopsy_id: str, head: Head, flow: Any) -> list[Any]:
    from reportlab.platypus import Spacer

    state = "INCOMPLETE" if head.missing else "Complete"
    story = [flow.heading(f"Biopsy {biopsy_id} – {state}", 15)]
    story += flow.side_by_side([[flow.paragraph(name, 6.5, colour=flow.QUIET), flow.paragraph(words, 8, bold=True)]
                                for name, words in head.facts], 4)  # fmt: skip
    if head.missing:
        from ihc_quant.report.page_blocks import Bullets

        said = "Incomplete. What is missing must not be read as if it had shown nothing."
        story += [flow.paragraph(said, 8.5, bold=True, colour=flow.WARN), Spacer(1, 2)]
        story += flow.bullets_flow(Bullets(head.missing, "warn"))
    story.append(flow.heading("Panel", 11.5))
    columns = max(1, min(FRAMES_IN_A_ROW, len(head.frames)))
    story += flow.side_by_side([_frame(frame, columns, flow) for frame in head.frames], columns)
    if head.scale_end:
        ramp = flow.picture_flow(encode_png(draw_colour_bar()), 0.33 * flow.WIDTH, 8)
        words = (
            f"Colours from 0 to {head.scale_end} positive cells per mm², one scale for all. Black bar: {head.bar}, one "
            "scale for all. Outlined: analysed; dimmed: not analysed. In brackets: the widest interval."
        )
        story += [ramp, Spacer(1, 3), flow.paragraph(words, 7), Spacer(1, 6)]
    if head.advice:
        story += [flow.paragraph(head.advice, 8.5, bold=True, colour=flow.WARN), Spacer(1, 4)]
    story += flow.side_by_side([_card(card, flow) for card in head.cards], 4, boxed=True)
    return [*story, *(flow.paragraph(note, 7, colour=flow.QUIET) for note in head.notes)]


def _frame(frame: Frame, columns: int, flow: Any) -> list[Any]:
    cell = [flow.paragraph(frame.title, 9, bold=True)]
    cell += [flow.paragraph(words, 6.8) for words in (frame.slide_id, frame.figure) if words]
    if not frame.pictures:
        return [*cell, flow.paragraph(frame.problem, 8, bold=True, colour=flow.WARN)]
    width = flow.WIDTH / columns - 8
    return [*cell, *(flow.picture_flow(picture.data, width, flow.FRAME_HEIGHT) for picture in frame.pictures)]


def _card(card: Card, flow: Any) -> list[Any]:
    return [flow.paragraph(card.title, 8, bold=True), *flow.lines_flow(card.lines, 7.0)]


def _review(flow: Any) -> list[Any]:
    from reportlab.platypus import HRFlowable, KeepTogether, Spacer

    def line() -> Any:
        return HRFlowable(width="100%", thickness=0.7, color=flow.HexColor("#202124"), spaceBefore=0, spaceAfter=2)

    fields = [
        [Spacer(1, 22), line(), flow.paragraph(name, 7, colour=flow.QUIET)] for name in ("Name", "Date", "Signature")
    ]
    choice = "[  ] I agree with the calls shown     [  ] I disagree     [  ] in part, see remarks"
    return [
        KeepTogether(
            [
                flow.heading("Reviewed by", 11.5),
                *flow.side_by_side(fields, 3),
                Spacer(1, 6),
                flow.paragraph(choice, 8),
                Spacer(1, 6),
                flow.paragraph("Remarks", 7, colour=flow.QUIET),
                *(flowable for _ in range(3) for flowable in (Spacer(1, 20), line())),
            ]
        )
    ]
