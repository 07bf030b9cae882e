"""The page of one biopsy: one file that carries its style and its pictures and asks for nothing from a network."""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY, Provenance
from ihc_quant.domain.score import Estimate, MarkerScore
from ihc_quant.report import figures
from ihc_quant.report.doubts import doubts, interval_methods
from ihc_quant.report.encoding import data_uri, fit_bytes, picture_size
from ihc_quant.report.slide_pictures import SlidePictures as SlidePictures

PICTURE_ROOM_BYTES = 3_300_000
"""All pictures of a page together; base64 adds a third, so a page stays under 5 MB."""
LARGEST_PICTURE_BYTES = 1_200_000
"""One picture; sharper serves no reader of a page."""

_SITES = {"skin": "skin", "lymph_node": "lymph node", "other": "other"}

_MPP_SOURCES = {"file": "the file", "override": "the user (override)"}


def _printable(value: object) -> object:
    """Return text from outside without signs that no page can carry, such as lone surrogates of odd file names."""
    return figures.one_line(value) if type(value) is str else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("ihc_quant.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printable,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class _Figure:
    """One estimate as the page prints it; ``value`` is empty where there is none and ``reason`` says why."""

    value: str
    unit: str
    intervals: tuple[tuple[str, str], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Picture:
    uri: str
    width: int
    height: int
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class _Section:
    """One section as the page prints it."""

    anchor: str
    slide_id: str
    marker: str
    cells: str
    chromogen: str
    problem: str
    counts: tuple[tuple[str, str], ...]
    positive_of_all: str
    area: str
    density: _Figure | None
    percent: _Figure | None
    h_score: _Figure | None
    cautions: tuple[str, ...]
    doubts: tuple[tuple[str, str], ...]
    fragments: tuple[tuple[str, ...], ...]
    pictures: tuple[_Picture, ...]
    provenance: tuple[tuple[str, str], ...]


def render_biopsy(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> str:
    """Return the page of a biopsy as one HTML document of less than 5 MB.

    Everything that comes from outside is escaped. The same report and pictures give the same text, byte for byte.

    Parameters
    ----------
    report : BiopsyReport
        What to show.
    pictures : mapping of slide_id to SlidePictures
        Slides without an entry are shown without pictures. Large pictures are embedded as JPEG.

    Raises
    ------
    ValueError
        Where a picture is neither PNG nor JPEG.
    """
    shown = sum(2 for outcome in report.outcomes if isinstance(outcome, Scored) and outcome.slide_id in pictures)
    room = min(LARGEST_PICTURE_BYTES, PICTURE_ROOM_BYTES // max(1, shown))
    sections = [
        _section(number, outcome, pictures.get(outcome.slide_id), room)
        for number, outcome in enumerate(report.outcomes, start=1)
    ]
    return _ENVIRONMENT.get_template("biopsy.html.j2").render(
        notice=RESEARCH_USE_ONLY,
        biopsy_id=report.biopsy_id,
        patient_id=report.patient_id,
        site=_SITES.get(report.site, report.site),
        in_skin=report.site == "skin",
        complete=report.complete,
        scored=sum(isinstance(outcome, Scored) for outcome in report.outcomes),
        flags=report.flags,
        sections=sections,
        settings=_settings(report.outcomes),
    )


def _section(number: int, outcome: SlideOutcome, pictures: SlidePictures | None, room: int) -> _Section:
    cells = figures.positive_cells(outcome.stain.marker)
    scored = outcome if isinstance(outcome, Scored) else None
    counts = scored.score.counts if scored else None
    return _Section(
        anchor=f"section-{number}",
        slide_id=outcome.slide_id,
        marker=figures.format_marker(outcome.stain.marker),
        cells=cells,
        chromogen=figures.format_chromogen(outcome.stain),
        problem=_problem(outcome),
        counts=_counts(scored) if scored else (),
        positive_of_all=(
            f"{figures.format_count(counts.positive)} of {figures.format_count(counts.total)}" if counts else ""
        ),
        area=figures.format_area(counts.area_um2) if counts else "",
        density=_figure(scored.score.positive_density_per_mm2) if scored else None,
        percent=_figure(scored.score.positive_fraction) if scored else None,
        h_score=_figure(scored.score.h_score) if scored else None,
        cautions=scored.score.cautions if scored else (),
        doubts=_doubts(scored.score) if scored else (),
        fragments=_fragments(scored) if scored and len(scored.fragments) > 1 else (),
        pictures=_pictures(outcome.slide_id, cells, pictures, room) if scored and pictures else (),
        provenance=() if isinstance(outcome, Failed) else _provenance(outcome.provenance),
    )


def _problem(outcome: SlideOutcome) -> str:
    match outcome:
        case Scored():
            return ""
        case Shown():
            return "shown only; a section without chromogen is not scored"
        case NoTissue():
            return "no tissue found; nothing was scored"
        case Failed():
            return f"not scored: {outcome.reason}"


def _figure(estimate: Estimate) -> _Figure:
    if estimate.value is None:
        return _Figure("", "", (), estimate.reason)
    value, _, unit = figures.format_estimate(estimate).partition(" ")
    intervals = tuple(
        (figures.format_bounds(estimate, interval), figures.format_short_method(interval))
        for interval in estimate.intervals
    )
    return _Figure(value, unit, intervals, "")


def _doubts(score: MarkerScore) -> tuple[tuple[str, str], ...]:
    entries = [*doubts(score), ("intervals", interval_methods(score) or "none")]
    return tuple((name[0].upper() + name[1:], words) for name, words in entries)


def _counts(outcome: Scored) -> tuple[tuple[str, str], ...]:
    counts = outcome.score.counts
    named = (
        ("negative", counts.negative),
        ("1+", counts.one_plus),
        ("2+", counts.two_plus),
        ("3+", counts.three_plus),
        ("all cells", counts.total),
    )
    return tuple((name, figures.format_count(count)) for name, count in named)


def _fragments(outcome: Scored) -> tuple[tuple[str, ...], ...]:
    rows = []
    for number, counts in outcome.fragments:
        cells = (counts.negative, counts.one_plus, counts.two_plus, counts.three_plus, counts.total)
        rows.append((str(number), *map(figures.format_count, cells), figures.format_area(counts.area_um2)))
    return tuple(rows)


def _pictures(slide_id: str, cells: str, pictures: SlidePictures, room: int) -> tuple[_Picture, ...]:
    described = (
        (
            pictures.overview_png,
            f"Overview of slide {slide_id}: the tissue that was found and the tiles that were read, beside a heat map "
            f"of the density of {cells}.",
            "Tissue and tiles; density of positive cells.",
        ),
        (
            pictures.gallery_png,
            f"Gallery of slide {slide_id}: example cells called negative, 1+, 2+ and 3+ and those closest to the "
            "threshold, each with its outline, probability and optical density.",
            "Example cells by call. Look here first: are these calls right?",
        ),
    )
    made = []
    for picture, alt, caption in described:
        fitted = fit_bytes(picture, room)
        made.append(_Picture(data_uri(fitted), *picture_size(fitted), alt, caption))
    return tuple(made)


def _provenance(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(provenance.libraries.items()))
    return (
        ("Software", provenance.software),
        ("Weights", provenance.weights_name),
        ("Weights SHA-256", provenance.weights_sha256),
        ("Weights licence", provenance.weights_licence),
        ("Settings SHA-256", provenance.settings_sha256),
        ("Runtime", provenance.runtime),
        ("Platform", provenance.platform),
        ("Libraries", libraries or "not recorded"),
        ("Slide hash", provenance.slide_hash),
        ("µm per pixel from", _MPP_SOURCES.get(provenance.mpp_source, provenance.mpp_source)),
    )


def _settings(outcomes: tuple[SlideOutcome, ...]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return each set of settings once: its digest, the slides it was used on, and its entries."""
    groups: dict[str, tuple[list[str], list[tuple[str, str]]]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            continue
        provenance = outcome.provenance
        slides, _ = groups.setdefault(provenance.settings_sha256, ([], _flat(provenance.settings)))
        slides.append(outcome.slide_id)
    return [(digest, ", ".join(slides), entries) for digest, (slides, entries) in groups.items()]


def _flat(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    for key in sorted(settings):
        value = settings[key]
        if isinstance(value, Mapping):
            entries.extend(_flat(value, f"{prefix}{key}."))
        else:
            entries.append((f"{prefix}{key}", _setting(value)))
    return entries


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(_setting(item) for item in value) or "none"
    return str(value)
