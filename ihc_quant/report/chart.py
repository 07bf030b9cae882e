"""Small charts as marks on a plane, drawn by whoever prints them: as SVG on a page, as vectors in a PDF."""

from dataclasses import dataclass
from typing import Literal

INK = "#202124"
QUIET = "#5f6368"
NEGATIVE = "#6f7479"
POSITIVE = "#8a4b08"
"""Brown, as the chromogen: 7 : 1 on white."""
SHADE = "#e8eaed"


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Words; ``x``, ``y`` is where their base line begins, has its middle or ends."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = INK
    size: float = 11.0
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Marks in the order in which they are drawn; y runs downwards.

    Attributes
    ----------
    title : str
        Stands above it.
    description : str
        What it shows, for those who do not see it.
    width, height : float
    marks : tuple of Bar, Rule or Label
    """

    title: str
    description: str
    width: float
    height: float
    marks: tuple[Bar | Rule | Label, ...]
