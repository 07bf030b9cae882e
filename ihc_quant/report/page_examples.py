"""Chapters on how the calls came about: example cells, chromogen density, other thresholds, overviews."""

from collections.abc import Mapping

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, Scored, SlideOutcome
from ihc_quant.domain.sensitivity import ThresholdSensitivity, Variant
from ihc_quant.report import figures
from ihc_quant.report.encoding import fit_bytes
from ihc_quant.report.page_blocks import (
    Block,
    Bullets,
    Cell,
    Chapter,
    Charts,
    Line,
    Picture,
    Table,
    Text,
)
from ihc_quant.report.page_charts import od_chart, sensitivity_chart
from ihc_quant.report.slide_pictures import SlidePictures

NO_PICTURES = "No pictures were made."


def examples_chapter(report: BiopsyReport, pictures: Mapping[str, SlidePictures], room: int) -> Chapter:
    """Return example cells of every section by grade; ``room`` is the bytes of one picture."""
    shown: list[Block] = [
        Picture(
            fit_bytes(pictures[outcome.slide_id].gallery_png, room),
            f"Gallery of slide {outcome.slide_id}: example cells called negative, 1+, 2+ and 3+ and those closest to "
            "the threshold, each with its outline, probability and optical density.",
            f"{_name(outcome)}: example cells by call.",
        )
        for outcome in _scored(report)
        if outcome.slide_id in pictures and pictures[outcome.slide_id].gallery_png
    ]
    asked = Text(
        "Are these calls right? Cells of each call were drawn at random; the last row holds the doubtful ones."
    )
    return Chapter("examples", "Example cells by grade", (asked, *shown) if shown else (Text(NO_PICTURES, "quiet"),))


def distribution_chapter(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> Chapter:
    """Return the distribution of chromogen density over the cells of every section, with the cuts."""
    charts, by_network = [], False
    for outcome in _scored(report):
        histogram = pictures[outcome.slide_id].od_histogram if outcome.slide_id in pictures else None
        if histogram is not None and sum(histogram.negative) + sum(histogram.positive):
            charts.append(od_chart(histogram, _name(outcome)))
            by_network |= histogram.by_network
    if not charts:
        return Chapter(
            "distribution", "Distribution of chromogen density", (Text("No distribution was kept.", "quiet"),)
        )
    words = (
        "Dashed lines are the cuts of 1+, 2+ and 3+, which are not validated. The tallest bar of each chart has its "
        "full height; what lies above the right end stands in the last bar."
    )
    if by_network:
        words += (
            " The network called these cells: positive cells below the cut of 2+ are 1+, and the cut of 1+ calls none."
        )
    return Chapter("distribution", "Distribution of chromogen density", (Charts(tuple(charts), words),))


def sensitivity_chapter(report: BiopsyReport) -> Chapter:
    """Return how far the figures of every section move with threshold and cuts."""
    title = "How far the figures move with the thresholds"
    named = [(_name(outcome), outcome.sensitivity) for outcome in _scored(report) if outcome.sensitivity]
    if not named:
        return Chapter("sensitivity", title, (Text("Not evaluable: other thresholds were not tried.", "quiet"),))
    charts = tuple(sensitivity_chart(sensitivity, name) for name, sensitivity in named)
    words = (
        "The run's own thresholds in brown, other choices in grey. A figure that moves much hangs on a cut that is not "
        "validated."
    )
    notes = tuple(dict.fromkeys(note for _, sensitivity in named for note in sensitivity.notes))
    tables = tuple(_variants(name, sensitivity) for name, sensitivity in named)
    return Chapter("sensitivity", title, (Charts(charts, words), *((Bullets(notes),) if notes else ()), *tables))


def overview_chapter(report: BiopsyReport, pictures: Mapping[str, SlidePictures], room: int) -> Chapter:
    """Return the overview of every section: tissue, tiles and density on its own scale."""
    shown: list[Block] = [
        _overview(outcome, fit_bytes(pictures[outcome.slide_id].overview_png, room))
        for outcome in report.outcomes
        if outcome.slide_id in pictures and pictures[outcome.slide_id].overview_png and not isinstance(outcome, Failed)
    ]
    return Chapter("overviews", "Tissue and tiles", tuple(shown) or (Text(NO_PICTURES, "quiet"),))


def _overview(outcome: SlideOutcome, picture: bytes) -> Picture:
    if not isinstance(outcome, Scored):
        return Picture(picture, f"Overview of slide {outcome.slide_id}.", f"{_name(outcome)}: the slide, not scored.")
    return Picture(
        picture,
        f"Overview of slide {outcome.slide_id}: the tissue that was found and the tiles that were read, beside a heat "
        f"map of the density of {figures.positive_cells(outcome.stain.marker)}.",
        f"{_name(outcome)}: tissue and tiles; density of positive cells on this section's own scale.",
    )


def _scored(report: BiopsyReport) -> tuple[Scored, ...]:
    return tuple(outcome for outcome in report.outcomes if isinstance(outcome, Scored))


def _name(outcome: SlideOutcome) -> str:
    return f"{figures.format_marker(outcome.stain.marker)}, {outcome.slide_id}"


def _variants(name: str, sensitivity: ThresholdSensitivity) -> Table:
    rows = tuple(_variant(each) for each in (sensitivity.chosen, *sensitivity.others))
    return Table(
        f"{name}: figures under other thresholds, without intervals.",
        ("Choice", "Percent positive", "Positive density", "H-score"),
        rows,
        wide=False,
    )


def _variant(each: Variant) -> tuple[Cell, ...]:
    cuts = ", ".join(f"{cut:.3g}" for cut in each.cuts_od)
    threshold = "" if each.p_threshold is None else f"p from {each.p_threshold:.2f}; "
    return (
        Cell((Line(each.name), Line(f"{threshold}OD cuts {cuts}", "quiet"))),
        *(
            Cell((Line(figures.format_estimate(estimate)),), number=True)
            if estimate.value is not None
            else Cell((Line("not evaluable", "absent"), Line(estimate.reason)))
            for estimate in (each.positive_fraction, each.positive_density_per_mm2, each.h_score)
        ),
    )
