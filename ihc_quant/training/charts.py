"""Pictures of a run: its curves, and how well its probabilities are calibrated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ihc_quant.network.architecture import MAP_NAMES
from ihc_quant.report.lettering import font

PANEL_PX = (520, 400)
"""Width and height of a panel."""
MARGINS_PX = (56, 34, 16, 34)
"""Left, top, right and bottom of a panel outside its axes."""
LETTERS_PX = 13
INK, GREY, PAPER = "#202020", "#c8c8c8", "#ffffff"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6000", "#000000")
"""Okabe and Ito's colours (jfly.uni-koeln.de/color), which colour-blind people tell apart; brown for their yellow."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name and its points, those that are not finite left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def draw_curves(log: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the columns of a log against its steps: losses on the left, scores, where there are any, on the right.

    Parameters
    ----------
    log : mapping of column to values
        ``step`` and the three maps among them.
    path : Path
        Of the PNG.
    """
    if not log:
        return
    steps = log["step"]
    losses = [Line(name, steps, log[name]) for name in MAP_NAMES]
    scores = [Line(name, steps, values) for name, values in log.items() if name not in ("step", *MAP_NAMES)]
    panels = [("loss", losses, max(max(line.y) for line in losses))]
    if scores:
        panels.append(("validation: F1 by call, and their mean", scores, 1.0))
    picture, draw = _paper(len(panels))
    for number, (title, lines, highest) in enumerate(panels):
        _draw_panel(draw, number, title, lines, (float(max(steps)), highest), legend_above=number == 0)
    _save(picture, path)


def draw_reliability(metrics: Mapping[str, Any], path: Path) -> None:
    """Draw, for each source with matched cells, how many of the cells at a stated probability were positive.

    Parameters
    ----------
    metrics : mapping of source to figures
        Of a card; ``reliability`` holds bins of mean stated probability, share positive and number of cells.
    path : Path
        Of the PNG; none is written where no source has bins.
    """
    panels = {source: figures for source, figures in metrics.items() if figures.get("reliability")}
    if not panels:
        return
    picture, draw = _paper(len(panels))
    for number, (source, figures) in enumerate(panels.items()):
        bins = figures["reliability"]
        cells = sum(count for _, _, count in bins)
        title = f"{source}: {cells} cells, expected calibration error {figures['calibration_error']:.3f}"
        stated = Line(
            "share of positive cells at each stated probability", [each[0] for each in bins], [each[1] for each in bins]
        )
        _draw_panel(draw, number, title, [stated, Line("calibrated", (0, 1), (0, 1))], (1.0, 1.0), dots=True)
    _save(picture, path)


def _paper(panels: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (PANEL_PX[0] * panels, PANEL_PX[1]), PAPER)
    return picture, ImageDraw.Draw(picture)


def _save(picture: Image.Image, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    picture.save(partial, format="PNG")
    partial.replace(path)


def _draw_panel(
    draw: ImageDraw.ImageDraw,
    number: int,
    title: str,
    lines: Sequence[Line],
    highest: tuple[float, float],
    *,
    dots: bool = False,
    legend_above: bool = False,
) -> None:
    """Draw one panel with axes from 0 to ``highest``, marks on each, and a legend on the right where it is empty."""
    (width, height), (left, top, right, bottom) = PANEL_PX, MARGINS_PX
    x0, x1, y0, y1 = number * width + left, (number + 1) * width - right, height - bottom, top
    highest_x, highest_y = (max(value, 1e-9) for value in highest)
    letters = font(LETTERS_PX)
    draw.text((x0, 8), title, INK, letters)
    for share in np.linspace(0, 1, 6):
        y, x = y0 + (y1 - y0) * share, x0 + (x1 - x0) * share
        draw.line((x0, y, x1, y), GREY)
        draw.text((x0 - 6, y), f"{highest_y * share:.3g}", INK, letters, anchor="rm")
        draw.text((x, y0 + 6), f"{highest_x * share:.4g}", INK, letters, anchor="mt")
    for index, line in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        points = [
            (x0 + (x1 - x0) * x / highest_x, y0 + (y1 - y0) * min(1.0, y / highest_y))
            for x, y in zip(line.x, line.y, strict=True)
            if np.isfinite(y)
        ]
        draw.line(points, colour, 2)
        if dots or len(points) == 1:
            for x, y in points:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
        row = index if legend_above else index - len(lines)
        draw.text(
            (x1 - 4, (y1 + 6 if legend_above else y0 - 4) + row * (LETTERS_PX + 3)), line.name, colour, letters, "rt"
        )
