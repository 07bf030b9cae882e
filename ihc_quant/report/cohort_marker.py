"""The figures of one marker of a biopsy, as the cohort table gives them: of its section, or of its levels together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.domain.biopsy import PooledLevels
from ihc_quant.domain.outcome import RegionScore, Scored, SlideOutcome
from ihc_quant.domain.score import Estimate, Interval, MarkerScore
from ihc_quant.scoring.levels import NOT_TOGETHER
from ihc_quant.scoring.network_error import by_what_they_hold

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

SEVERAL = "{} levels together: figures are ratios of sums; intervals of blocks take the levels as wholly alike"

ORIGINS_DIFFER = "infiltrate: not every section has one of the same origin, so that none is given"


@dataclass(frozen=True, slots=True)
class MarkerFigures:
    """The cells of one marker's columns by the columns' names without the marker; what is missing is not there."""

    cells: Mapping[str, str | int | float | bool]


def marker_figures(
    marker: str, outcomes: Sequence[SlideOutcome], levels: Sequence[PooledLevels] = (), site: str = ""
) -> MarkerFigures:
    """Return the figures of one marker.

    Parameters
    ----------
    marker : str
    outcomes : sequence of SlideOutcome
        Of the whole biopsy.
    levels : sequence of PooledLevels
        Those of the biopsy's panel.
    site : str
        Of the biopsy.

    Returns
    -------
    MarkerFigures
        Without figures where one of the marker's sections was not scored: the rest would be a smaller biopsy. Without
        figures, too, where several sections are not taken together: two antibodies or two regions make no sum. Figures
        of the infiltrate begin with ``"infiltrate_"`` and are there where every section has one of the same origin.
    """
    sections = [outcome for outcome in outcomes if outcome.stain.marker == marker]
    scored = [outcome for outcome in sections if isinstance(outcome, Scored)]
    complete = len(scored) == len(sections)
    status = NO_SECTION if not sections else SCORED if complete else INCOMPLETE
    cells: dict[str, str | int | float | bool] = {"sections": len(sections), "status": status}
    if not scored or not complete:
        return MarkerFigures(cells)
    together = next((each for each in levels if each.marker == marker), None)
    parts = scored[0].parts
    if len(scored) > 1:
        if together is None or not together.parts:
            why = "which were not taken together" if together is None else together.reason
            cells["notes"] = f"{len(scored)} sections, {why}: {NOT_TOGETHER}"
            return MarkerFigures(cells)
        parts = together.parts
    score = parts[0].score
    figures, intervals, notes = _figures(score)
    notes = [*score.cautions, *notes]
    of_infiltrate, more_intervals, more_notes = _infiltrate(scored, parts[1:])
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
    notes += [f"error of {figure}: {said}" for figure, said in score.network_error.by_figure]
    if notes:
        cells["notes"] = " | ".join(dict.fromkeys(notes))
    return MarkerFigures(cells)


def _reliable(intervals: Sequence[Interval], prefix: str) -> dict[str, bool]:
    """Return whether the intervals of sampling, and those of the network's error too, can be trusted."""
    sampling, both = by_what_they_hold(intervals)
    kinds = (("sampling", sampling), ("measurement", both))
    return {f"{prefix}{kind}_reliable": all(each.reliable for each in given) for kind, given in kinds if given}


def _figures(score: MarkerScore) -> tuple[dict[str, int | float], list[Interval], list[str]]:
    """Return the figures of a score, the intervals whose reliability is told, and what to note."""
    counts = score.counts
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
    shares = zip(("one_plus_fraction", "two_plus_fraction", "three_plus_fraction"), score.grade_fractions, strict=False)
    for name, estimate in (
        ("positive_fraction", score.positive_fraction),
        ("density_per_mm2", score.positive_density_per_mm2),
        ("h_score", score.h_score),
        ("cell_density_per_mm2", score.cell_density_per_mm2),
        *shares,
    ):
        notes += [f"{name}: {estimate.reason}"] if estimate.reason else []
        cells |= _with_limits(name, estimate)
        sampling, both = by_what_they_hold(estimate.intervals)
        # That of figures over grades is never reliable, which would hide whether the others are.
        intervals += sampling if name in OVER_GRADES else (*sampling, *both)
    return cells, intervals, notes


def _infiltrate(
    scored: Sequence[Scored], parts: Sequence[RegionScore]
) -> tuple[dict[str, str | int | float | bool], list[Interval], list[str]]:
    """Return the figures of the infiltrate, their intervals, and what to note."""
    having = [part for part in parts if part.region.kind == INFILTRATE]
    if len(having) != 1:
        some = any(part.region.kind == INFILTRATE for outcome in scored for part in outcome.compartments)
        several = len(scored) > 1 and some
        return {}, [], [ORIGINS_DIFFER] if several else []
    (part,) = having
    figures, intervals, notes = _figures(part.score)
    cells: dict[str, str | int | float | bool] = {f"infiltrate_{name}": value for name, value in figures.items()}
    cells["infiltrate_origin"] = "drawn" if part.region.origin == "drawn" else "proposed, not reviewed"
    cells |= _reliable(intervals, "infiltrate_")
    return cells, intervals, [f"infiltrate: {note}" for note in (*part.score.cautions, *notes)]


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
