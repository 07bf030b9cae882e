"""A section's cells and tissue to its scores: over everything that is analysed, over its compartments, and apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.region_classes import COMPARTMENTS, RegionKind
from ihc_quant.annotation.region_places import PLACE_OF_COMPARTMENT, Place, is_analysed
from ihc_quant.annotation.regions import Region, Regions
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import WHOLE, RegionScore
from ihc_quant.domain.score import CellCounts, MarkerScore, UncertainCalls
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.blocks import BlockCounts, TissueBlocks, count_blocks, cut_blocks
from ihc_quant.scoring.calls import CallRule, call_values
from ihc_quant.scoring.counts import count_by_fragment, count_cells
from ihc_quant.scoring.proposed_infiltrate import Proposal, propose_infiltrate
from ihc_quant.scoring.score import ScoreSettings, score_marker
from ihc_quant.scoring.section_places import TissuePlaces
from ihc_quant.scoring.threshold_sensitivity import moved_rules
from ihc_quant.scoring.uncertain import count_uncertain

DRAWN_AREA = "analysed area"
"""Kind of the region that is everything within the areas that were drawn to be analysed."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How the parts of a section are scored.

    Attributes
    ----------
    marker : str
    settings : ScoreSettings
    errors : tuple of MeasurementError or None
        As ``score_marker`` takes them.
    band : tuple of float or None
        Band of uncertain calls; None where the network does not call.
    rule : CallRule
        As the cells are called and graded.
    """

    marker: str
    settings: ScoreSettings
    errors: tuple[MeasurementError, ...] | None
    band: tuple[float, float] | None
    rule: CallRule


@dataclass(frozen=True, slots=True, eq=False)
class SectionParts:
    """The scores of a section.

    Attributes
    ----------
    parts : tuple of RegionScore
        The whole first, then its compartments, a proposed one last.
    blocks : tuple of BlockCounts
        Of each part.
    fragments : tuple of (number, CellCounts)
        What was analysed of each named fragment.
    control : MarkerScore or None
        Of control tissue.
    proposed : Region or None
        The infiltrate that the software proposes.
    """

    parts: tuple[RegionScore, ...]
    blocks: tuple[BlockCounts, ...]
    fragments: tuple[tuple[int, CellCounts], ...]
    control: MarkerScore | None
    proposed: Region | None


def score_section(
    cells: Mapping[str, NDArray[Any]],
    places: NDArray[np.int8],
    tissue: TissuePlaces,
    grid: Grid,
    regions: Regions,
    named: Sequence[int],
    scoring: Scoring,
    *,
    propose: bool,
) -> SectionParts:
    """Score a section and its parts.

    Parameters
    ----------
    cells : mapping of str to ndarray, shape (n,)
        Columns of the cell table: ``x_um``, ``y_um``, ``x_l0``, ``y_l0``, ``area_um2``, ``p_positive``, ``fragment``,
        that of optical density which the rule names, and the derived ``grade``.
    places : ndarray, shape (n,), int8
        From ``place_cells``.
    tissue : TissuePlaces
        From ``place_tissue``.
    grid : Grid
        Of the tissue.
    regions : Regions
    named : sequence of int
        Fragments that are this section; empty for all.
    scoring : Scoring
    propose : bool
        Whether an infiltrate is proposed where none was drawn.
    """
    analysed = is_analysed(places)
    region = AnalysedRegion(DRAWN_AREA, "drawn") if regions.of_kind(RegionKind.ANALYSE) else WHOLE
    scored = [_score_part(cells, analysed, tissue, tissue.analysed, region, scoring)]
    for kind in COMPARTMENTS:
        if regions.of_kind(kind):
            place = PLACE_OF_COMPARTMENT[kind]
            drawn = AnalysedRegion(kind.value, "drawn")
            scored.append(_score_part(cells, places == place, tissue, tissue.places == place, drawn, scoring))
    proposed = None
    if propose and not regions.of_kind(RegionKind.INFILTRATE):
        proposed, score = _propose(cells, places, tissue, grid, scoring)
        scored += [score] if score else []
    control = None
    if regions.of_kind(RegionKind.CONTROL_TISSUE):
        mask = tissue.places == Place.CONTROL_TISSUE
        chosen = places == Place.CONTROL_TISSUE
        control = _score_part(cells, chosen, tissue, mask, WHOLE, scoring)[0].score
    return SectionParts(
        tuple(part for part, _ in scored),
        tuple(blocks for _, blocks in scored),
        _count_fragments(cells, analysed, tissue, named),
        control,
        proposed,
    )


def part_blocks(
    cells: Mapping[str, NDArray[Any]],
    chosen: NDArray[np.bool_],
    tissue: TissuePlaces,
    mask: NDArray[np.bool_],
    block_um: float,
) -> BlockCounts:
    """Return the blocks of a part of a section, cut from its own tissue, with its own cells.

    Parameters
    ----------
    cells : mapping of str to ndarray, shape (n,)
        As in ``score_section``.
    chosen : ndarray, shape (n,), bool
        The part's cells.
    tissue : TissuePlaces
    mask : ndarray, shape (H, W), bool
        The part's tissue.
    block_um : float
        Side of a block.

    Returns
    -------
    BlockCounts
        A fragment may have cells in the part and no pixel whose centre lies in it: its blocks then have no area.
    """
    x_um, y_um, fragment, grade = (cells[name][chosen] for name in ("x_um", "y_um", "fragment", "grade"))
    blocks = cut_blocks(np.where(mask, tissue.fragments, np.int16(0)), tissue.pixel_um, block_um)
    bare = ~np.isin(fragment, blocks.fragment)
    if bare.any():
        blocks = _with_bare_blocks(blocks, fragment[bare], x_um[bare], y_um[bare])
    return count_blocks(x_um, y_um, fragment, grade, blocks)


def median_nucleus_um(area_um2: NDArray[np.float32]) -> float | None:
    """Return the median diameter of nuclei, of circles of their areas; None without any.

    Examples
    --------
    >>> median_nucleus_um(np.float32([20.0, 28.274334, 70.0]))
    6.0
    """
    if len(area_um2) == 0:
        return None
    return round(float(np.median(np.sqrt(4 * area_um2.astype(np.float64) / np.pi))), 6)


def find_proposed(
    cells: Mapping[str, NDArray[Any]], places: NDArray[np.int8], tissue: TissuePlaces, grid: Grid
) -> Proposal | None:
    """Return the infiltrate that the software proposes; drawn epidermis is never part of it.

    Parameters
    ----------
    cells : mapping of str to ndarray, shape (n,)
        ``x_um``, ``y_um`` and ``area_um2`` as in ``score_section``.
    places : ndarray, shape (n,), int8
        From ``place_cells``.
    tissue : TissuePlaces
    grid : Grid
        Of the tissue.

    Returns
    -------
    Proposal or None
        None where there is none.
    """
    may_lie, may_be = _may_be_infiltrate(places, tissue)
    return propose_infiltrate(cells["x_um"][may_be], cells["y_um"][may_be], cells["area_um2"][may_be], may_lie, grid)


def _may_be_infiltrate(places: NDArray[np.int8], tissue: TissuePlaces) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the tissue and the cells that may be proposed."""
    return (
        tissue.analysed & (tissue.places != Place.EPIDERMIS),
        is_analysed(places) & (places != Place.EPIDERMIS),
    )


def _score_part(
    cells: Mapping[str, NDArray[Any]],
    chosen: NDArray[np.bool_],
    tissue: TissuePlaces,
    mask: NDArray[np.bool_],
    region: AnalysedRegion,
    scoring: Scoring,
) -> tuple[RegionScore, BlockCounts]:
    grade = cells["grade"][chosen]
    area_um2 = float(np.count_nonzero(mask)) * tissue.pixel_um**2
    blocks = part_blocks(cells, chosen, tissue, mask, scoring.settings.block_um)
    score = score_marker(
        scoring.marker,
        count_cells(grade, area_um2),
        blocks if area_um2 else None,
        scoring.settings,
        errors=scoring.errors,
        uncertain=_uncertain(cells["p_positive"][chosen], scoring),
        moved=_moved(cells, chosen, area_um2, scoring) if scoring.errors else (),
    )
    return RegionScore(region, score, median_nucleus_um(cells["area_um2"][chosen][grade > 0])), blocks


def _uncertain(p_positive: NDArray[np.float32], scoring: Scoring) -> UncertainCalls | None:
    return None if scoring.band is None else count_uncertain(p_positive, scoring.band, scoring.rule.p_threshold)


def _moved(
    cells: Mapping[str, NDArray[Any]], chosen: NDArray[np.bool_], area_um2: float, scoring: Scoring
) -> tuple[CellCounts, ...]:
    """Return the counts of a part's cells with the cuts of optical density moved either way."""
    p_positive, od = cells["p_positive"][chosen], cells[scoring.rule.od_column][chosen]
    return tuple(count_cells(call_values(p_positive, od, rule)[1], area_um2) for rule in moved_rules(scoring.rule))


def _propose(
    cells: Mapping[str, NDArray[Any]],
    places: NDArray[np.int8],
    tissue: TissuePlaces,
    grid: Grid,
    scoring: Scoring,
) -> tuple[Region | None, tuple[RegionScore, BlockCounts] | None]:
    """Return the proposed infiltrate and its score; other compartments keep what they have."""
    proposed = find_proposed(cells, places, tissue, grid)
    if proposed is None:
        return None, None
    _, may_be = _may_be_infiltrate(places, tissue)
    within = may_be & proposed.holds(cells["x_l0"], cells["y_l0"])
    region = AnalysedRegion(RegionKind.INFILTRATE.value, "proposed")
    return proposed.region, _score_part(cells, within, tissue, proposed.mask, region, scoring)


def _count_fragments(
    cells: Mapping[str, NDArray[Any]], analysed: NDArray[np.bool_], tissue: TissuePlaces, named: Sequence[int]
) -> tuple[tuple[int, CellCounts], ...]:
    count = int(tissue.fragments.max(initial=0))
    pixels = np.bincount(tissue.fragments[tissue.analysed], minlength=count + 1)
    areas = {number: float(pixels[number]) * tissue.pixel_um**2 for number in named or range(1, count + 1)}
    return count_by_fragment(cells["grade"][analysed], cells["fragment"][analysed], areas)


def _with_bare_blocks(
    blocks: TissueBlocks, fragment: NDArray[np.int16], x_um: NDArray[np.float64], y_um: NDArray[np.float64]
) -> TissueBlocks:
    """Return the blocks and, without area, those in which cells of fragments lie that have none."""
    places = np.stack([fragment.astype(np.float64), y_um // blocks.block_um, x_um // blocks.block_um], axis=1)
    bare = np.unique(places.astype(np.int64), axis=0)
    every = np.concatenate([np.stack([blocks.fragment, blocks.row, blocks.col], axis=1), bare])
    area_um2 = np.concatenate([blocks.area_um2, np.zeros(len(bare))])
    order = np.lexsort((every[:, 2], every[:, 1], every[:, 0]))
    number, row, col = every[order].T
    return TissueBlocks(blocks.block_um, number, row, col, area_um2[order])
