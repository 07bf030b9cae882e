"""Charts of a section: how chromogen density is spread over its cells, and how far its figures move with the cuts."""

from typing import Literal

from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.sensitivity import ThresholdSensitivity
from ihc_quant.report.chart import INK, NEGATIVE, POSITIVE, QUIET, SHADE, Bar, Chart, Label, Rule
from ihc_quant.report.figures import format_count, format_estimate

_WIDTH, _LEFT, _RIGHT = 360.0, 12.0, 348.0
_TICKS_OD = 0.5


def od_chart(histogram: OdHistogram, title: str) -> Chart:
    """Return the distribution of chromogen density with the cuts, cells called negative below those called positive."""
    top, floor, height = 48.0, 172.0, 208.0
    totals = [sum(pair) for pair in zip(histogram.negative, histogram.positive, strict=True)]
    highest, bins = max(totals), len(totals)
    reach = bins * histogram.step_od
    per_od, per_cell = (_RIGHT - _LEFT) / reach, (floor - top) / max(1, highest)
    marks: list[Bar | Rule | Label] = [
        Bar(_LEFT, 8, 9, 9, NEGATIVE),
        Label(_LEFT + 13, 16, f"called negative: {format_count(sum(histogram.negative))}"),
        Bar(_LEFT + 168, 8, 9, 9, POSITIVE),
        Label(_LEFT + 181, 16, f"called positive: {format_count(sum(histogram.positive))}"),
    ]
    for index, (negative, positive) in enumerate(zip(histogram.negative, histogram.positive, strict=True)):
        x, wide = _LEFT + index * histogram.step_od * per_od, histogram.step_od * per_od - 0.6
        if negative:
            marks.append(
                Bar(_tidy(x), _tidy(floor - negative * per_cell), _tidy(wide), _tidy(negative * per_cell), NEGATIVE)
            )
        if positive:
            upper = floor - (negative + positive) * per_cell
            marks.append(Bar(_tidy(x), _tidy(upper), _tidy(wide), _tidy(positive * per_cell), POSITIVE))
    for grade, cut in enumerate(histogram.cuts_od, start=1):
        x = _tidy(_LEFT + min(cut, reach) * per_od)
        marks += [Rule(x, 36, x, floor, INK, 1.0, dashed=True), Label(x, 33, f"{grade}+", "middle", bold=True)]
    marks.append(Rule(_LEFT, floor, _RIGHT, floor, INK))
    for tick in range(int(reach / _TICKS_OD + 1e-6) + 1):
        x = _tidy(_LEFT + tick * _TICKS_OD * per_od)
        anchor: Literal["start", "middle", "end"] = "start" if tick == 0 else "end" if x > _RIGHT - 8 else "middle"
        marks += [Rule(x, floor, x, floor + 4, INK), Label(x, floor + 16, f"{tick * _TICKS_OD:g}", anchor)]
    marks.append(Label(_LEFT, height - 4, f"optical density, {histogram.measured_in}", colour=QUIET))
    marks.append(Label(_RIGHT, height - 4, f"tallest bar: {format_count(highest)} cells", "end", QUIET))
    cuts = ", ".join(f"{cut:g}" for cut in histogram.cuts_od)
    description = (
        f"Histogram of {format_count(sum(totals))} cells by optical density of the chromogen from 0 to {reach:g}: "
        f"{format_count(sum(histogram.negative))} called negative, {format_count(sum(histogram.positive))} called "
        f"positive. Cuts of 1+, 2+ and 3+ at {cuts}."
    )
    return Chart(title, description, _WIDTH, height, tuple(marks))


def sensitivity_chart(sensitivity: ThresholdSensitivity, title: str) -> Chart:
    """Return bars of percentage and H-score under the run's own and under other thresholds."""
    rows = (sensitivity.chosen, *sensitivity.others)
    marks: list[Bar | Rule | Label] = []
    y = 0.0
    for heading, unit in (("Percent positive", " %"), ("H-score", "")):
        estimates = [row.positive_fraction if unit else row.h_score for row in rows]
        longest = max((each.value or 0.0 for each in estimates), default=0.0) or 1.0
        marks.append(Label(_LEFT, y + 14, heading, bold=True))
        y += 20
        for row, each in zip(rows, estimates, strict=True):
            chosen = row is sensitivity.chosen
            marks.append(Label(_LEFT, y + 12, row.name, bold=chosen))
            marks.append(Bar(176, y + 3, 112, 11, SHADE))
            if each.value:
                marks.append(Bar(176, y + 3, _tidy(112 * each.value / longest), 11, POSITIVE if chosen else NEGATIVE))
            marks.append(Label(_RIGHT, y + 12, _short(each), "end", bold=chosen))
            y += 17
        y += 6
    described = "; ".join(
        f"{row.name}: {_short(row.positive_fraction)} positive, H-score {_short(row.h_score)}" for row in rows
    )
    return Chart(title, f"Bars. {described}.", _WIDTH, y, tuple(marks))


def _short(estimate: Estimate) -> str:
    return format_estimate(estimate) if estimate.value is not None else "none"


def _tidy(value: float) -> float:
    """Return the value with as many digits as a page needs."""
    return round(value, 2)
