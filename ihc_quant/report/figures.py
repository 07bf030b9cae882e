"""Figures as a page prints them: digits that the interval bears out, units, and words where there is no figure.

A figure that is not zero never prints as zero, and a percentage short of 100 never prints as 100: the sign ``<`` or
``>`` stands before the nearest printable figure instead.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.domain.stain import SectionStain

UM2_PER_MM2 = 1e6
"""Square micrometres in a square millimetre."""

SURFACE_MARKERS = ("CD4", "CD8", "CCR4")
"""Markers whose positive cells are named by them, "CD4+ cells"; never by a lineage, which one stain cannot show."""


def format_count(count: int) -> str:
    """Return a whole number with separators.

    Examples
    --------
    >>> format_count(1234567)
    '1,234,567'
    """
    return f"{count:,d}"


def format_area(area_um2: float) -> str:
    """Return an area in mm², with about three significant digits.

    Parameters
    ----------
    area_um2 : float
        In µm².

    Examples
    --------
    >>> format_area(12_345_678.0), format_area(65_536.0), format_area(0.0)
    ('12.3 mm²', '0.0655 mm²', '0 mm²')
    """
    area_mm2 = area_um2 / UM2_PER_MM2
    if area_mm2 == 0:
        return "0 mm²"
    decimals = min(4, max(0, 2 - math.floor(math.log10(area_mm2))))
    return f"{_number(area_mm2, decimals)} mm²"


def format_estimate(estimate: Estimate) -> str:
    """Return the figure with its unit, or why there is none.

    Examples
    --------
    >>> format_estimate(Estimate(0.12345, "fraction"))
    '12.3 %'
    >>> format_estimate(Estimate(1234.5, "cells/mm²"))
    '1,234 cells/mm²'
    >>> format_estimate(Estimate(1.256, "ratio"))
    '1.26'
    >>> format_estimate(Estimate(None, "fraction", reason="no cells were found"))
    'not evaluable: no cells were found'
    """
    if estimate.value is None:
        return f"not evaluable: {estimate.reason}"
    unit = {"fraction": " %", "H-score": "", "ratio": ""}.get(estimate.unit, f" {estimate.unit}")
    return f"{_printed(estimate.value, estimate)}{unit}"


def format_bounds(estimate: Estimate, interval: Interval) -> str:
    """Return the bounds of an interval with the digits of its estimate, without the unit.

    Examples
    --------
    >>> wilson = Interval(0.101, 0.1482, 0.95, "Wilson")
    >>> format_bounds(Estimate(0.123, "fraction", (wilson,)), wilson)
    '10.1–14.8'
    """
    return format_limits(estimate, interval.low, interval.high)


def format_limits(estimate: Estimate, low: float, high: float) -> str:
    """Return two limits with the digits of an estimate, without the unit."""
    return f"{_printed(low, estimate)}–{_printed(high, estimate)}"


def format_method(interval: Interval) -> str:
    """Return level and method of an interval, and the caution where it is not reliable.

    Examples
    --------
    >>> format_method(Interval(0.0, 0.1, 0.95, "Wilson"))
    '95 % Wilson'
    >>> format_method(Interval(0.0, 0.1, 0.95, "block bootstrap", reliable=False, note="only 3 blocks"))
    '95 % block bootstrap, interval unreliable: only 3 blocks'
    """
    method = f"{100 * interval.level:g} % {interval.method}"
    if interval.reliable:
        return method
    return f"{method}, interval unreliable: {interval.note}" if interval.note else f"{method}, interval unreliable"


def doubt(intervals: Iterable[Interval]) -> str:
    """Return that an interval is unreliable, for where there is no room for why; empty where all can be trusted.

    Examples
    --------
    >>> doubt([Interval(0.0, 0.1, 0.95, "Wilson"), Interval(0.0, 0.1, 0.95, "block bootstrap", False, "9 blocks")])
    'interval unreliable'
    """
    return "" if all(interval.reliable for interval in intervals) else "interval unreliable"


def format_short_method(interval: Interval, *, caution: bool = True) -> str:
    """Return level and method without the method's details, which follow its first comma, and the caution if asked for.

    Examples
    --------
    >>> format_short_method(Interval(0.0, 0.1, 0.95, "Wilson, cells taken as independent"))
    '95 % Wilson'
    """
    short = replace(interval, method=interval.method.partition(",")[0])
    return format_method(short if caution else replace(short, reliable=True))


def format_with_intervals(estimate: Estimate) -> str:
    """Return the figure with its unit and its intervals, or why there is none.

    Examples
    --------
    >>> format_with_intervals(Estimate(0.123, "fraction", (Interval(0.101, 0.1482, 0.95, "Wilson"),)))
    '12.3 % (10.1–14.8, 95 % Wilson)'
    """
    intervals = "; ".join(
        f"{format_bounds(estimate, interval)}, {format_method(interval)}" for interval in estimate.intervals
    )
    return f"{format_estimate(estimate)}{f' ({intervals})' if intervals else ''}"


def format_chromogen(stain: SectionStain) -> str:
    """Return the chromogen, with a word where it was not stated but assumed.

    Examples
    --------
    >>> format_chromogen(SectionStain("CD4", "DAB", chromogen_assumed=True))
    'DAB (assumed)'
    """
    return f"{stain.chromogen} (assumed)" if stain.chromogen_assumed else stain.chromogen


def format_marker(marker: str) -> str:
    """Return a marker in words.

    Examples
    --------
    >>> format_marker("CCR4"), format_marker("negative_control")
    ('CCR4', 'negative control')
    """
    return "other marker" if marker == "other" else marker.replace("_", " ")


def positive_cells(marker: str) -> str:
    """Return how positive cells of a marker are called.

    Examples
    --------
    >>> positive_cells("CCR4"), positive_cells("negative_control")
    ('CCR4+ cells', 'positive cells')
    """
    return f"{marker}+ cells" if marker in SURFACE_MARKERS else "positive cells"


def one_line(text: str) -> str:
    r"""Return the text on one line: whatever cannot be printed (control characters, line breaks) becomes a space.

    Examples
    --------
    >>> one_line("a\x1b[31m\nb")
    'a [31m b'
    """
    if text.isprintable():  # pictures as text are megabytes long
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _printed(value: float, estimate: Estimate) -> str:
    """Return a value or bound of the estimate in printed units, with the estimate's digits."""
    if estimate.unit == "fraction":
        return _percent(100 * value, 2 if estimate.value is not None and 0 < estimate.value < 0.01 else 1)
    # Where nothing was found the upper bound says how finely it was measured.
    reference = abs(estimate.value or max((interval.high for interval in estimate.intervals), default=0.0))
    if estimate.unit == "ratio":
        return _number(value, 1 if reference >= 10 else 2)
    if estimate.unit == "H-score":
        return _number(value, 0 if reference >= 10 else 1)
    return _number(value, 0 if reference >= 100 else 1 if reference >= 1 else 2)


def _percent(percent: float, decimals: int) -> str:
    """Return a percentage, never rounded up to 100 nor down to 0."""
    step = 10.0**-decimals
    if percent < 100 and float(f"{percent:.{decimals}f}") >= 100:
        return f">{100 - step:.{decimals}f}"
    return _number(percent, decimals)


def _number(value: float, decimals: int) -> str:
    """Return a number with separators; one that is not zero never prints as zero."""
    if value == 0:
        return "0"
    step = 10.0**-decimals
    if abs(float(f"{value:.{decimals}f}")) < step / 2:
        return f"<{step:.{decimals}f}" if value > 0 else f"{0:.{decimals}f}"
    return f"{value:,.{decimals}f}"
