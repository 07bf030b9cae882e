"""Bland and Altman's plot as SVG: the difference of two readers against their mean, with bias and limits."""

import math
from collections.abc import Sequence
from html import escape

from ihc_quant.domain.agreement import PairAgreement
from ihc_quant.report.figures import one_line

WIDTH, HEIGHT = 460, 320
"""Of a plot, in SVG's units."""
LEFT, TOP, RIGHT, BOTTOM = 58, 12, 104, 44
"""Margins outside the axes."""
INK, QUIET, LINE, BAND, DOT = "#202124", "#5f6368", "#c4c7cb", "#e3eef8", "#0072b2"
DOT_RADIUS = 3.5
LABEL = 15.0
"""Least distance of two labels."""


def plot_range(pairs: Sequence[PairAgreement]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ranges of means and differences that hold every pair, so that plots can be laid side by side."""
    means = [mean for pair in pairs for mean, _ in _points(pair)] or [0.0]
    differences = [difference for pair in pairs for _, difference in _points(pair)] or [0.0]
    for pair in pairs:
        for estimate in (pair.limits.low, pair.limits.bias, pair.limits.high):
            differences += [end for interval in estimate.intervals for end in (interval.low, interval.high)]
    return _wide(min(means), max(means)), _wide(min(differences), max(0.0, *differences))


def bland_altman_svg(pair: PairAgreement, x_range: tuple[float, float], y_range: tuple[float, float], unit: str) -> str:
    """Return the plot of one pair; every text in it is escaped.

    Parameters
    ----------
    pair : PairAgreement
    x_range, y_range : tuple of float
        From ``plot_range``.
    unit : str
        Of the figures; may be empty.
    """
    (x0, x1), (y0, y1) = x_range, y_range
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + (right - LEFT) * (x - x0) / (x1 - x0), bottom - (bottom - TOP) * (y - y0) / (y1 - y0)

    levels = [
        (name, estimate, dashes)
        for name, estimate, dashes in (
            ("+1.96 SD", pair.limits.high, "6 4"),
            ("mean", pair.limits.bias, "none"),
            ("−1.96 SD", pair.limits.low, "6 4"),
        )
        if estimate.value is not None
    ]
    parts = []
    for _, estimate, _ in levels:
        for interval in estimate.intervals:
            top, height = at(x0, interval.high)[1], at(x0, interval.low)[1] - at(x0, interval.high)[1]
            parts.append(f'<rect x="{LEFT}" y="{top:.1f}" width="{right - LEFT}" height="{height:.1f}" fill="{BAND}"/>')
    for mark in _marks(x0, x1):
        x = at(mark, y0)[0]
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{LINE}"/>')
        parts.append(_text(x, bottom + 15, f"{mark:g}", "middle"))
    for mark in _marks(y0, y1):
        y = at(x0, mark)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{INK if mark == 0 else LINE}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{mark:g}", "end"))
    heights = [at(x0, estimate.value or 0.0)[1] for _, estimate, _ in levels]
    for (name, estimate, dashes), y, beside in zip(levels, heights, _apart(heights), strict=True):
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{DOT}" stroke-width="1.5" stroke-dasharray="{dashes}"/>'
        )
        parts.append(_text(right + 6, beside + 4, f"{name} {estimate.value:.3g}", "start"))
    parts += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT_RADIUS}" fill="{DOT}" fill-opacity="0.75"/>'
        for x, y in (at(*point) for point in _points(pair))
    ]
    units = f", {unit}" if unit else ""
    middle = (TOP + bottom) / 2
    parts.append(_text((LEFT + right) / 2, HEIGHT - 8, f"mean of both{units}", "middle"))
    parts.append(
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"difference{escape(units)}</text>"
    )
    title = escape(one_line(f"Differences {pair.one} minus {pair.other} against the mean of both"))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="{INK}">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )


def _points(pair: PairAgreement) -> list[tuple[float, float]]:
    """Return mean and difference of each target."""
    return [((one + other) / 2, one - other) for one, other in zip(pair.of_one, pair.of_other, strict=True)]


def _apart(heights: Sequence[float]) -> list[float]:
    """Return heights of labels, from top to bottom, moved until none covers the next; the middle one stays.

    Examples
    --------
    >>> _apart([100.0, 104.0, 180.0])
    [89.0, 104.0, 180.0]
    """
    if len(heights) < 3:
        return list(heights)
    top, middle, bottom = heights
    return [min(top, middle - LABEL), middle, max(bottom, middle + LABEL)]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _wide(low: float, high: float) -> tuple[float, float]:
    """Return a range with a little room at both ends, of some width."""
    low, high = min(low, high), max(low, high)
    room = 0.06 * (high - low) or max(1.0, 0.1 * abs(high))
    return low - room, high + room


def _marks(low: float, high: float) -> list[float]:
    """Return about five round numbers inside a range.

    Examples
    --------
    >>> _marks(-3.0, 22.0)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 6)
    return [round(step * number, 10) + 0.0 for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
