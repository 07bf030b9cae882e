"""A report's blocks as flowables of ReportLab, which nothing else imports; itself imported only where needed."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.graphics import shapes
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Image, KeepTogether, Paragraph, Spacer, Table, TableStyle

from ihc_quant.report import chart, page_blocks
from ihc_quant.report.encoding import picture_size
from ihc_quant.report.figures import one_line

WIDTH = A4[0] - 28 * mm
"""Between the margins, in points."""
PADDING = 6.0
"""What ReportLab leaves free on either side of a sheet's text, in points."""
PICTURE_HEIGHT, FRAME_HEIGHT = 104 * mm, 48 * mm
CHAPTER_ROOM, HEADING_ROOM = 50 * mm, 40 * mm
"""What must be left of a sheet below a heading, in points."""
FONT, BOLD = "Vera", "VeraBd"
"""Bitstream Vera, which ReportLab carries, so that a PDF is the same on every machine."""
QUIET, WARN, LINE, WARN_PAPER = HexColor("#5f6368"), HexColor("#8a3a00"), HexColor("#c4c7cb"), HexColor("#fff4e5")
SPLIT_ROW = 200
"""A row is cut by the end of a sheet only where both parts are so high, in points; other rows move on whole."""
FIGURE_PT = 4.6
"""Width of a digit of a table."""
WORD_PT, VALUE_PT, WIDEST_WORD = 4.0, 5.8, 135.0
"""Width of a sign of a cell's words and of its value, and the widest word that is kept whole."""
LONGEST_COLUMN = 44
"""Signs after which a column claims no more room."""

FLUSH: list[tuple[Any, ...]] = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
]
"""Style of a grid without lines."""

Flow = list[Any]


@cache
def set_up() -> None:
    """Make the fonts known to ReportLab, and how it packs, once."""
    pdfmetrics.registerFont(TTFont(FONT, "Vera.ttf"))
    pdfmetrics.registerFont(TTFont(BOLD, "VeraBd.ttf"))
    # Base 85 is for lines that carry seven bits; packing pictures so takes most of the time and a quarter of the bytes.
    rl_config.useA85 = 0
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def spell(text: str) -> str:
    """Return the text on one line, with a question mark for each sign that the font lacks."""
    known = pdfmetrics.getFont(FONT).face.charToGlyph
    return "".join(sign if ord(sign) in known else "?" for sign in one_line(text))


def paragraph(text: str, size: float = 8.0, *, bold: bool = False, colour: Any = None, after: str = "") -> Any:
    """Return words as a paragraph; nothing in them is taken for markup."""
    style = ParagraphStyle(
        "words",
        fontName=BOLD if bold else FONT,
        fontSize=size,
        leading=1.28 * size,
        textColor=colour or HexColor("#202124"),
        spaceAfter=0,
    )
    tail = (
        f' <font size="{0.85 * size:.2f}" color="#5f6368" name="{FONT}">{escape(spell(after))}</font>' if after else ""
    )
    return Paragraph(escape(spell(text)) + tail, style)


def room_for(following: Sequence[page_blocks.Block], least: float) -> Any:
    """Return what begins a new sheet where a heading would stand alone at the end of one."""
    pictured = any(isinstance(block, page_blocks.Picture) for block in following[:2])
    return CondPageBreak(PICTURE_HEIGHT + least if pictured else least)


def heading(text: str, size: float, quiet: str = "") -> Any:
    """Return a heading that stays with what follows."""
    words = paragraph(text, size, bold=True, after=quiet)
    words.keepWithNext = True
    words.style.spaceBefore, words.style.spaceAfter = 0.7 * size, 0.3 * size
    return words


def lines_flow(lines: Sequence[page_blocks.Line], size: float = 6.8) -> Flow:
    """Return the lines of a cell."""
    colours = {"quiet": QUIET, "warn": WARN, "absent": WARN}
    return [
        paragraph(
            line.text,
            size + (1.8 if line.tone == "value" else 0.0),
            bold=line.tone in ("value", "absent"),
            colour=colours.get(line.tone),
            after=line.after,
        )
        for line in lines
    ]


def picture_flow(data: bytes, width: float, height: float) -> Any:
    """Return a picture that fits into width and height, in points."""
    across, down = picture_size(data)
    scale = min(width / across, height / down)
    return Image(io.BytesIO(data), across * scale, down * scale, hAlign="LEFT")


def table_flow(table: page_blocks.Table) -> Flow:
    """Return a table whose head is repeated on every sheet."""
    head = [paragraph(name, 6.8, bold=True) for name in table.header]
    body = [[lines_flow(cell.lines) for cell in row] for row in table.rows]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 1, HexColor("#202124")),
        ("LINEBELOW", (0, 1), (-1, -1), 0.5, LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 1.5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    made = Table([head, *body], colWidths=_widths(table), repeatRows=1, splitInRow=SPLIT_ROW, hAlign="LEFT")
    made.setStyle(TableStyle(style))
    caption = paragraph(table.caption, 6.8, colour=QUIET)
    caption.keepWithNext = True
    return [caption, Spacer(1, 3), made, Spacer(1, 6)]


def _widths(table: page_blocks.Table) -> list[float]:
    """Return the widths of the columns: what the longest word needs, and room by how much there is to say."""
    fixed: list[float] = []
    weights: list[float] = []
    needs: list[float] = []
    for index, name in enumerate(table.header):
        lines = [line for row in table.rows for line in row[index].lines]
        longest = max((len(f"{line.text} {line.after}") for line in lines), default=0)
        word = max((len(part) for line in lines for part in line.text.split()), default=0)
        named = max(len(part) for part in name.split())
        figure = any(row[index].number for row in table.rows)
        fixed.append(FIGURE_PT * max(longest, named) + 7 if figure else 0.0)
        least = 7 if index else 16
        weights.append(0.0 if figure else min(LONGEST_COLUMN, max(least, named + 2, min(word, 18), 0.6 * longest)))
        spoken = (
            len(part) * (VALUE_PT if line.tone == "value" else WORD_PT) for line in lines for part in line.text.split()
        )
        needs.append(max(FIGURE_PT * named, *(min(WIDEST_WORD, width) for width in spoken), 0.0) + 5)
    # A column too narrow for its longest word gets what that needs, and the others share the rest.
    for _ in range(2):
        room = (WIDTH - sum(fixed)) / max(1.0, sum(weights))
        for index, weight in enumerate(weights):
            if weight and room * weight < needs[index]:
                fixed[index], weights[index] = needs[index], 0.0
    room = max(0.0, WIDTH - sum(fixed)) / max(1.0, sum(weights))
    return [width or room * weight for width, weight in zip(fixed, weights, strict=True)]


def chart_flow(made: chart.Chart, width: float) -> Flow:
    """Return a chart of that width under its title."""
    scale = width / made.width
    drawing = shapes.Drawing(width, made.height * scale)
    group = shapes.Group()
    group.transform = (scale, 0, 0, scale, 0, 0)
    for mark in made.marks:
        group.add(_shape(mark, made.height))
    drawing.add(group)
    return [paragraph(made.title, 7.5, bold=True), drawing]


def _shape(mark: chart.Bar | chart.Rule | chart.Label, height: float) -> Any:
    """Return a mark; ReportLab's y runs upwards."""
    colour = HexColor(mark.colour)
    match mark:
        case chart.Bar():
            lower = height - mark.y - mark.height
            return shapes.Rect(mark.x, lower, mark.width, mark.height, fillColor=colour, strokeColor=None)
        case chart.Rule():
            dash = [3, 3] if mark.dashed else None
            return shapes.Line(
                mark.x1, height - mark.y1, mark.x2, height - mark.y2,
                strokeColor=colour, strokeWidth=mark.width, strokeDashArray=dash,
            )  # fmt: skip
        case chart.Label():
            return shapes.String(
                mark.x, height - mark.y, spell(mark.text),
                fontName=BOLD if mark.bold else FONT, fontSize=0.88 * mark.size,
                fillColor=colour, textAnchor=mark.anchor,
            )  # fmt: skip


def side_by_side(cells: Sequence[Flow], columns: int, *, boxed: bool = False) -> Flow:
    """Return flows in rows of so many columns."""
    rows: Flow = []
    for first in range(0, len(cells), columns):
        row = [*cells[first : first + columns]]
        row += [[] for _ in range(columns - len(row))]
        made = Table([row], colWidths=[WIDTH / columns] * columns, hAlign="LEFT", splitInRow=SPLIT_ROW)
        style: list[tuple[Any, ...]] = [*FLUSH, ("LEFTPADDING", (0, 0), (-1, -1), 4 if boxed else 0)]
        if boxed:
            style.append(("BOX", (0, 0), (-1, -1), 0.5, LINE))
            style.append(("INNERGRID", (0, 0), (-1, -1), 0.5, LINE))
        made.setStyle(TableStyle(style))
        rows += [made, Spacer(1, 4)]
    return rows


def facts_flow(facts: page_blocks.Facts) -> Flow:
    """Return names and what stands behind them."""
    if facts.lines:
        rows = [[paragraph(name, 7, colour=QUIET), paragraph(words, 7)] for name, words in facts.entries]
        made = Table(rows, colWidths=[0.22 * WIDTH, 0.78 * WIDTH], hAlign="LEFT", splitInRow=SPLIT_ROW)
        made.setStyle(TableStyle(FLUSH))
        return [made, Spacer(1, 4)]
    return side_by_side([[paragraph(name, 6.5, colour=QUIET), paragraph(words, 7)] for name, words in facts.entries], 4)


def bullets_flow(bullets: page_blocks.Bullets) -> Flow:
    """Return sentences; warnings stand on a tinted ground."""
    warn = bullets.tone == "warn"
    if bullets.tone == "quiet":
        return [*(paragraph(item, 6.8, colour=QUIET) for item in bullets.items), Spacer(1, 5)]
    rows = [[paragraph("•", 8), paragraph(item, 8)] for item in bullets.items]
    made = Table(rows, colWidths=[12, WIDTH - 12], hAlign="LEFT", splitInRow=SPLIT_ROW)
    style = [*FLUSH, ("LEFTPADDING", (0, 0), (-1, -1), 4)]
    if warn:
        style += [("BACKGROUND", (0, 0), (-1, -1), WARN_PAPER), ("LINEBEFORE", (0, 0), (0, -1), 3, WARN)]
    made.setStyle(TableStyle(style))
    return [made, Spacer(1, 5)]


def block_flow(block: page_blocks.Block) -> Flow:
    """Return a block of a chapter."""
    match block:
        case page_blocks.Table():
            return table_flow(block)
        case page_blocks.Facts():
            return facts_flow(block)
        case page_blocks.Bullets():
            return bullets_flow(block)
        case page_blocks.Heading():
            return [heading(block.title, 9, block.quiet)]
        case page_blocks.Picture():
            picture = picture_flow(block.data, WIDTH, PICTURE_HEIGHT)
            return [KeepTogether([paragraph(block.caption, 7, colour=QUIET), Spacer(1, 2), picture, Spacer(1, 6)])]
        case page_blocks.Charts():
            charts = [chart_flow(each, WIDTH / 3 - 8) for each in block.charts]
            return [*side_by_side(charts, 3), paragraph(block.caption, 7, colour=QUIET), Spacer(1, 4)]
        case page_blocks.Text():
            colour = {"quiet": QUIET, "warn": WARN, "absent": WARN}.get(block.tone)
            return [paragraph(block.words, 8, colour=colour), Spacer(1, 4)]


def chapter_flow(chapter: page_blocks.Chapter) -> Flow:
    """Return a chapter under its title."""
    flows: Flow = [room_for(chapter.blocks, CHAPTER_ROOM), heading(chapter.title, 11.5)]
    for place, block in enumerate(chapter.blocks):
        if place and isinstance(block, page_blocks.Heading):
            flows.append(room_for(chapter.blocks[place + 1 :], HEADING_ROOM))
        flows += block_flow(block)
    return flows


def sheet_writer(notice: str, running: str) -> Callable[[Any, Any], None]:
    """Return what writes the notice, the biopsy and the page number on every sheet."""

    def write(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setLineWidth(0.7)
        top, bottom = A4[1] - 12 * mm, 12 * mm
        canvas.line(14 * mm, top - 4, A4[0] - 14 * mm, top - 4)
        canvas.line(14 * mm, bottom + 8, A4[0] - 14 * mm, bottom + 8)
        canvas.setFont(BOLD, 7.5)
        canvas.drawString(14 * mm, top, notice)
        canvas.drawString(14 * mm, bottom, notice)
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawRightString(A4[0] - 14 * mm, top, spell(running)[:60])
        canvas.drawRightString(A4[0] - 14 * mm, bottom, f"page {canvas.getPageNumber()}")
        canvas.restoreState()

    return write
