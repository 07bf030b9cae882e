"""The figures of one marker of a biopsy, as the cohort table gives them: sums of its sections, ratios of the sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.domain.biopsy import SectionRecord
from ihc_quant.domain.outcome import Scored, SlideOutcome
from ihc_quant.domain.score import CellCounts, Estimate, Interval, MarkerScore
from ihc_quant.scoring.network_error import by_what_they_hold
from ihc_quant.scoring.score import cell_density_per_mm2, h_score, positive_density_per_mm2, positive_fraction

INFILTRATE = "infiltrate"
"""Kind of the region that has columns of its own."""

NO_SECTION = "no section"
INCOMPLETE = "incomplete"
SCORED = "scored"

IN_SKIN = (
    "skin, and not every section has a drawn infiltrate: positive_fraction is of all nucleated cells, keratinocytes "
    "and stroma among them, and says nearly nothing; read the density"
)

OVER_GRADES = ("h_score", "one_plus_fraction", "two_plus_fraction", "three_plus_fraction")
"""Figures whose interval of measurement rests on moved cuts, because the error of grades was not measured."""

SEVERAL = "{} sections: figures are ratios of sums, intervals stand in the report"


@dataclass(frozen=True, slots=True)
class MarkerFigures:
    """The cells of one marker's columns by the columns' names without the marker; what is missing is not there."""

    cells: Mapping[str, str | int | float | bool]


def marker_figures(
    marker: str, outcomes: Sequence[SlideOutcome], records: Sequence[SectionRecord] = (), site: str = ""
) -> MarkerFigures:
    """Return the figures of one marker.

    Parameters
    ----------
    marker : str
    outcomes : sequence of SlideOutcome
        Of the whole biopsy.
    records : sequence of SectionRecord
        What the manifest says of these sections; which are replicates stands there.
    site : str
        Of the biopsy.

    Returns
    -------
    MarkerFigures
        Without figures where one of the marker's sections was not scored: the rest would be a smaller biopsy. Without
        figures, too, where several sections are not replicates that were analysed over regions of one kind: two
        antibodies or two regions make no sum. Figures of the infiltrate begin with ``"infiltrate_"`` and are there
        where every section has one of the same origin.
    """
    sections = [outcome for outcome in outcomes if outcome.stain.marker == marker]
    scored = [outcome for outcome in sections if isinstance(outcome, Scored)]
    complete = len(scored) == len(sections)
    status = NO_SECTION if not sections else SCORED if complete else INCOMPLETE
    cells: dict[str, str | int | float | bool] = {"sections": len(sections), "status": status}
    if not scored or not complete:
        return MarkerFigures(cells)
    if apart := _why_apart(scored, records):
        cells["notes"] = f"{len(scored)} sections, {apart}: they are not summed; the report gives each"
        return MarkerFigures(cells)
    figures, intervals, notes = _figures([outcome.score for outcome in scored])
    notes = [caution for outcome in scored for caution in outcome.score.cautions] + notes
    of_infiltrate, more_intervals, more_notes = _infiltrate(scored)
    cells |= figures | of_infiltrate
    if len(scored) > 1:
        notes.append(SEVERAL.format(len(scored)))
    if site == "skin" and of_infiltrate.get("infiltrate_origin") != "drawn":
        notes.append(IN_SKIN)
    cells |= _reliable(intervals, "")
    notes += [f"{interval.method}: {interval.note}" for interval in intervals if interval.note]
    notes += more_notes
    notes += [f"infiltrate: {each.method}: {each.note}" for each in more_intervals if each.note]
    cells["left_out_mm2"] = sum(left.area_um2 for outcome in scored for left in outcome.left_out) / 1e6
    notes += _hot_spot(scored, cells)
    notes += [
        f"error of {figure}: {said}" for outcome in scored for figure, said in outcome.score.network_error.by_figure
    ]
    if notes:
        cells["notes"] = " | ".join(dict.fromkeys(notes))
    return MarkerFigures(cells)


def _why_apart(scored: Sequence[Scored], records: Sequence[SectionRecord]) -> str:
    """Return why sections of one marker make no sum; nothing where they do, and of a single one."""
    if len(scored) == 1:
        return ""
    of_section = {record.slide_id: record for record in records}
    known = [of_section.get(outcome.slide_id) for outcome in scored]
    stains = {
        (outcome.stain.chromogen, *(record.details.get(name) for name in ("clone", "epitope")))
        for outcome, record in zip(scored, known, strict=True)
        if record is not None
    }
    if len(stains) > 1:
        return "which differ in clone, epitope or chromogen"
    if not all(record is not None and record.replicate for record in known):
        return "which are not named as replicates"
    regions = dict.fromkeys(outcome.region.label for outcome in scored)
    return f"which were analysed over different regions ({', '.join(regions)})" if len(regions) > 1 else ""


def _reliable(intervals: Sequence[Interval], prefix: str) -> dict[str, bool]:
    """Return whether the intervals of sampling, and those of the network's error too, can be trusted."""
    sampling, both = by_what_they_hold(intervals)
    kinds = (("sampling", sampling), ("measurement", both))
    return {f"{prefix}{kind}_reliable": all(each.reliable for each in given) for kind, given in kinds if given}


def _figures(scores: Sequence[MarkerScore]) -> tuple[dict[str, int | float], list[Interval], list[str]]:
    """Return the figures of the sections together, their intervals where there is one section, and what to note."""
    counts = sum((score.counts for score in scores), CellCounts())
    cells: dict[str, int | float] = {
        "cells": counts.total,
        "positive_cells": counts.positive,
        "one_plus": counts.one_plus,
        "two_plus": counts.two_plus,
        "three_plus": counts.three_plus,
        "area_mm2": counts.area_um2 / 1e6,
    }
    notes: list[str] = []
    intervals: list[Interval] = []
    shares = [
        (f"{name}_fraction", [score.grade_fractions[grade] for score in scores], counted / max(1, counts.total))
        for grade, (name, counted) in enumerate(
            (("one_plus", counts.one_plus), ("two_plus", counts.two_plus), ("three_plus", counts.three_plus))
        )
        if all(score.grade_fractions for score in scores)
    ]
    for name, of_scores, of_counts in (
        ("positive_fraction", [score.positive_fraction for score in scores], positive_fraction(counts)),
        ("density_per_mm2", [score.positive_density_per_mm2 for score in scores], positive_density_per_mm2(counts)),
        ("h_score", [score.h_score for score in scores], h_score(counts)),
        ("cell_density_per_mm2", [score.cell_density_per_mm2 for score in scores], cell_density_per_mm2(counts)),
        *shares,
    ):
        notes += [f"{name}: {estimate.reason}" for estimate in of_scores if estimate.reason]
        if len(scores) == 1:
            cells |= _with_limits(name, of_scores[0])
            sampling, both = by_what_they_hold(of_scores[0].intervals)
            # That of figures over grades is never reliable, which would hide whether the others are.
            intervals += sampling if name in OVER_GRADES else (*sampling, *both)
        elif of_counts is not None and any(estimate.value is not None for estimate in of_scores):
            cells[name] = of_counts
    return cells, intervals, notes


def _infiltrate(scored: Sequence[Scored]) -> tuple[dict[str, str | int | float | bool], list[Interval], list[str]]:
    """Return the figures of the infiltrate, their intervals, and what to note."""
    parts = [[part for part in outcome.compartments if part.region.kind == INFILTRATE] for outcome in scored]
    having = [found[0] for found in parts if len(found) == 1]
    origins = list(dict.fromkeys(part.region.origin for part in having))
    if not having:
        return {}, [], []
    if len(having) < len(scored) or len(origins) > 1:
        return {}, [], ["infiltrate: not every section has one of the same origin, so that none is given"]
    figures, intervals, notes = _figures([part.score for part in having])
    cells: dict[str, str | int | float | bool] = {f"infiltrate_{name}": value for name, value in figures.items()}
    cells["infiltrate_origin"] = "drawn" if origins[0] == "drawn" else "proposed, not reviewed"
    cells |= _reliable(intervals, "infiltrate_")
    cautions = [caution for part in having for caution in part.score.cautions]
    return cells, intervals, [f"infiltrate: {note}" for note in (*cautions, *notes)]


def _hot_spot(scored: Sequence[Scored], cells: dict[str, str | int | float | bool]) -> list[str]:
    """Add the hot spot's density and its limits where there is one section, and return what to note."""
    spots = [outcome.hot_spot.density_per_mm2 for outcome in scored if outcome.hot_spot is not None]
    if not spots:
        return []
    if len(scored) > 1:
        return ["hot spot: several sections, which are not averaged; their report gives each"]
    if spots[0].value is None:
        return [f"hot spot: {spots[0].reason}"]
    cells |= _with_limits("hot_spot_density_per_mm2", spots[0])
    return [f"hot spot: {each.method}: {each.note}" for each in spots[0].intervals if each.note]


def _with_limits(name: str, estimate: Estimate) -> dict[str, float]:
    """Return an estimate's value and the outer limits of its intervals."""
    if estimate.value is None:
        return {}
    cells = {name: estimate.value}
    sampling, both = by_what_they_hold(estimate.intervals)
    for kind, intervals in (("sampling", sampling), ("measurement", both)):
        if intervals:
            cells[f"{name}_{kind}_low"] = min(each.low for each in intervals)
            cells[f"{name}_{kind}_high"] = max(each.high for each in intervals)
    return cells
