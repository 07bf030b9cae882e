"""What a report is made of: chapters of paragraphs, lists, tables, pictures and charts, in words that any page prints.

The HTML page and the PDF print the same chapters, so that neither says what the other does not.
"""

from dataclasses import dataclass
from typing import Literal

from ihc_quant.report.chart import Chart

Tone = Literal["", "value", "quiet", "warn", "absent"]
"""``"value"``: the figure itself. ``"absent"``: there is no figure. ``"warn"``: must be read with the figure."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cell."""

    text: str
    tone: Tone = ""
    after: str = ""
    """Quiet words on the same line: a unit, or how an interval was made."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; figures stand at the right."""

    lines: tuple[Line, ...]
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows; each row has one cell a column.

    ``wide`` tables become one card a row on a narrow screen.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    words: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what stands behind them. ``lines``: sentences, one below the other; otherwise in columns."""

    entries: tuple[tuple[str, str], ...]
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a chapter."""

    title: str
    quiet: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG or JPEG."""

    data: bytes
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side, where there is room."""

    charts: tuple[Chart, ...]
    caption: str


Block = Table | Text | Bullets | Facts | Heading | Picture | Charts


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter; ``anchor`` is unique on the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def plain(text: str, tone: Tone = "") -> Cell:
    """Return a cell of one line."""
    return Cell((Line(text, tone),))


def number(text: str) -> Cell:
    """Return a cell of one figure."""
    return Cell((Line(text),), number=True)
