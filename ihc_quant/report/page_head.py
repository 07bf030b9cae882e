"""What a report says first: which biopsy, whether it is complete, the panel's pictures, and the headline figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.domain.biopsy import PANEL_MARKERS, BiopsyReport
from ihc_quant.domain.outcome import Scored, Shown, SlideOutcome
from ihc_quant.report import figures
from ihc_quant.report.encoding import encode_png, fit_bytes
from ihc_quant.report.headline import ERROR_NOTE, Card, advice, headline_cards, problem_of
from ihc_quant.report.page_blocks import Picture
from ihc_quant.report.panel_picture import PanelFrame, draw_panel
from ihc_quant.report.slide_pictures import SlidePictures
from ihc_quant.scoring.intervals import outer_limits

FRAME_BYTES = 150_000
"""Room of one picture of the panel."""
SITES = {"skin": "skin", "lymph_node": "lymph node", "other": "other"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One place of the panel; ``problem`` stands in an empty frame, and is empty where there are pictures."""

    title: str
    slide_id: str
    problem: str
    pictures: tuple[Picture, ...] = ()
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """Everything above the chapters."""

    facts: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    frames: tuple[Frame, ...]
    bar: str
    scale_end: str
    cards: tuple[Card, ...]
    advice: str
    notes: tuple[str, ...]


def make_head(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> Head:
    """Return what stands above the chapters of a report."""
    scored = sum(isinstance(outcome, Scored) for outcome in report.outcomes)
    wanted = sum(not isinstance(outcome, Shown) for outcome in report.outcomes)
    facts = (
        ("Patient (pseudonym)", report.patient_id),
        ("Site", SITES.get(report.site, report.site)),
        ("Day of the biopsy", format_day(report.biopsy_day)),
        ("Sections scored", f"{scored} of {wanted}"),
    )
    frames, bar, end = _frames(report.outcomes, pictures)
    cards, notes = headline_cards(report)
    return Head(facts, report.missing, frames, bar, end, cards, advice(report), (ERROR_NOTE, *notes))


def format_day(day: int | None) -> str:
    """Return the day of a biopsy in words.

    Examples
    --------
    >>> format_day(-12), format_day(0), format_day(None)
    ('12 days before the first infusion', 'on the day of the first infusion', 'relative to treatment: not recorded')
    """
    if day is None:
        return "relative to treatment: not recorded"
    if day == 0:
        return "on the day of the first infusion"
    days = f"{abs(day):,d} day{'' if abs(day) == 1 else 's'}"
    return f"{days} {'before' if day < 0 else 'after'} the first infusion"


def _frames(
    outcomes: Sequence[SlideOutcome], pictures: Mapping[str, SlidePictures]
) -> tuple[tuple[Frame, ...], str, str]:
    """Return the frames in the order of the panel, H&E last, and the lengths of scale bar and colour scale."""
    chosen = [outcome for marker in (*PANEL_MARKERS, "H&E") for outcome in outcomes if outcome.stain.marker == marker]
    drawable = [
        (outcome.slide_id, pictures[outcome.slide_id])
        for outcome in chosen
        if isinstance(outcome, Scored | Shown) and outcome.slide_id in pictures
    ]
    shown = [(slide_id, each.thumbnail, each.density) for slide_id, each in drawable if each.thumbnail is not None]
    panel = draw_panel([(thumbnail, density) for _, thumbnail, density in shown]) if shown else None
    drawn = dict(zip((slide_id for slide_id, _, _ in shown), panel.frames if panel else (), strict=True))
    end = figures.format_count(round(panel.scale_end_per_mm2)) if panel else ""
    frames = []
    for marker in (*PANEL_MARKERS, "H&E"):
        sections = [outcome for outcome in chosen if outcome.stain.marker == marker]
        if not sections and marker in PANEL_MARKERS:
            frames.append(Frame(marker, "", f"the biopsy has no {marker} section"))
        for outcome in sections:
            frame = drawn.get(outcome.slide_id)
            shows = () if frame is None else _frame_pictures(outcome, frame, end)
            problem = problem_of(outcome) or ("" if shows else "no pictures were made of this slide")
            frames.append(Frame(marker, outcome.slide_id, problem, shows, _figure(outcome)))
    return tuple(frames), f"{panel.bar_mm:g} mm" if panel else "", end


def _frame_pictures(outcome: SlideOutcome, frame: PanelFrame, end: str) -> tuple[Picture, ...]:
    marker, cells = outcome.stain.marker, figures.positive_cells(outcome.stain.marker)
    outlined = "" if frame.heat_map is None else ", what was analysed outlined"
    made = [(frame.thumbnail, f"{marker} section {outcome.slide_id}: the slide{outlined}.", "slide")]
    if frame.heat_map is not None:
        text = f"Heat map of {outcome.slide_id}: density of {cells} from 0 to {end} per mm²."
        made.append((frame.heat_map, text, f"density of {cells}"))
    return tuple(Picture(fit_bytes(encode_png(rgb), FRAME_BYTES), alt, caption) for rgb, alt, caption in made)


def _figure(outcome: SlideOutcome) -> str:
    """Return the density of a section with the limits of all its intervals, in few words."""
    if not isinstance(outcome, Scored):
        return "not scored; shown only" if isinstance(outcome, Shown) else ""
    density = outcome.score.positive_density_per_mm2
    if density.value is None or not density.intervals:
        return figures.format_estimate(density)
    doubt = figures.doubt(density.intervals)
    limits = figures.format_limits(density, *outer_limits(density)) + (f", {doubt}" if doubt else "")
    return f"{figures.format_estimate(density)} ({limits})"
