"""Counts to the scores of one marker on one section."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate, Interval, MarkerScore, UncertainCalls
from ihc_quant.scoring.blocks import BLOCK_UM, BlockCounts
from ihc_quant.scoring.bootstrap import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    FEWEST_BLOCKS,
    MIN_BLOCKS,
    BlockIntervals,
    block_intervals,
)
from ihc_quant.scoring.counts import NO_CELLS
from ihc_quant.scoring.density_error import CountedDensity, carry_cell_density_error, carry_density_error
from ihc_quant.scoring.grade_error import (
    GRADE_WEIGHTS,
    H_SCORE_WEIGHTS,
    GradedCells,
    carry_grade_error,
    grade_error_statement,
)
from ihc_quant.scoring.intervals import garwood_interval, grade_interval, wilson_interval
from ihc_quant.scoring.network_error import MEASUREMENT_DRAWS, carry_error

NO_AREA = "no tissue was analysed"
NO_BLOCKS = "blocks of tissue were not counted"

INSUFFICIENT = "insufficient: "
LOW_COUNT = "low count: "
NO_SPATIAL = "no spatial interval "
"""How the cautions of a score begin."""


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How counts become scores.

    Attributes
    ----------
    level : float
        Confidence of every interval.
    insufficient_below, low_below : int
        Fewer cells than this are "insufficient" and "low count"; our judgement, not from the literature.
    block_um : float
        Side of the blocks of the bootstrap, µm.
    draws, seed : int
        Of the bootstrap; the seed also of the simulated measurement error.
    min_blocks : int
        Fewer blocks make the bootstrap unreliable.
    measurement_draws : int
        Of the simulated measurement error.
    """

    level: float = 0.95
    insufficient_below: int = 100
    low_below: int = 500
    block_um: float = BLOCK_UM
    draws: int = BOOTSTRAP_DRAWS
    seed: int = BOOTSTRAP_SEED
    min_blocks: int = MIN_BLOCKS
    measurement_draws: int = MEASUREMENT_DRAWS

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise ValueError(f"confidence lies between 0.5 and 1, got {self.level}")
        if not 0 <= self.insufficient_below <= self.low_below:
            raise ValueError(f"{self.insufficient_below} and {self.low_below} cells do not ascend")
        if not self.block_um > 0 or min(self.draws, self.measurement_draws) < 100 or self.min_blocks < 2:
            raise ValueError("blocks have a size, and there are at least 100 draws and 2 blocks")


def h_score(counts: CellCounts) -> float | None:
    """Return the H-score, 100 (n₁ + 2 n₂ + 3 n₃) / N, 0 to 300; N counts negative cells too. None without cells.

    Examples
    --------
    50 negative, 20 1+, 20 2+, 10 3+: 100 (20 + 40 + 30) / 100.

    >>> h_score(CellCounts(50, 20, 20, 10))
    90.0
    """
    if counts.total == 0:
        return None
    return 100 * (counts.one_plus + 2 * counts.two_plus + 3 * counts.three_plus) / counts.total


def positive_fraction(counts: CellCounts) -> float | None:
    """Return positive over all cells; None without cells.

    Examples
    --------
    >>> positive_fraction(CellCounts(50, 20, 20, 10))
    0.5
    """
    return counts.positive / counts.total if counts.total else None


def positive_density_per_mm2(counts: CellCounts) -> float | None:
    """Return positive cells over the area in mm²; None without area.

    Examples
    --------
    >>> positive_density_per_mm2(CellCounts(50, 20, 20, 10, area_um2=2e6))
    25.0
    """
    return counts.positive / (counts.area_um2 / 1e6) if counts.area_um2 > 0 else None


def cell_density_per_mm2(counts: CellCounts) -> float | None:
    """Return all nucleated cells over the area in mm²; None without area.

    Examples
    --------
    >>> cell_density_per_mm2(CellCounts(50, 20, 20, 10, area_um2=2e6))
    50.0
    """
    return counts.total / (counts.area_um2 / 1e6) if counts.area_um2 > 0 else None


def score_marker(
    marker: str,
    counts: CellCounts,
    blocks: BlockCounts | None,
    settings: ScoreSettings | None = None,
    *,
    errors: Sequence[MeasurementError] | None = (),
    uncertain: UncertainCalls | None = None,
    moved: tuple[CellCounts, ...] = (),
) -> MarkerScore:
    """Score one marker on one section.

    Parameters
    ----------
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    counts : CellCounts
        Of the whole section.
    blocks : BlockCounts or None
        The same cells by block; None leaves the block bootstrap out.
    settings : ScoreSettings, optional
        Levels, limits and seed.
    errors : sequence of MeasurementError or None
        The network's own error, from the weights' card; None where these calls are not those it was measured with.
    uncertain : UncertainCalls, optional
        Of the same cells.
    moved : tuple of CellCounts
        The same cells with cuts of optical density moved either way, for the error of grades; none without ``errors``.

    Returns
    -------
    MarkerScore
        Each figure with the interval that takes cells as independent first and the one of blocks second, where there
        is one; last, where that is known, the one that holds the network's error too. Without
        cells (or area) a figure is None and states the reason. Of too few cells every interval is marked unreliable,
        and where there is none of blocks so is the one that takes cells as independent.

    Raises
    ------
    ValueError
        Where blocks, counts and uncertain calls are not of the same cells.
    """
    settings = settings or ScoreSettings()
    if blocks is not None:
        of_blocks = blocks.total()
        if (of_blocks.total, of_blocks.positive) != (counts.total, counts.positive):
            raise ValueError(f"blocks hold {of_blocks.total} cells, {of_blocks.positive} positive; counts are {counts}")
    if uncertain is not None and uncertain.total != counts.total:
        raise ValueError(f"uncertain calls are of {uncertain.total} cells, counts of {counts.total}")
    sampled = _sampled(counts, blocks, settings)
    drawing: _Drawing = {"level": settings.level, "draws": settings.measurement_draws, "seed": settings.seed}
    fraction, error = carry_error(sampled.fraction, marker, errors, **drawing)
    density, of_positive = carry_density_error(CountedDensity(marker, counts, sampled.density, errors), **drawing)
    cell_density, of_all = carry_cell_density_error(CountedDensity(marker, counts, sampled.cells, errors), **drawing)
    graded = GradedCells(marker, counts, moved, sampled.fraction, errors)
    error = replace(error, of_positive_cells=of_positive, of_all_cells=of_all, of_grades=grade_error_statement(graded))
    cautions = _cautions(counts, settings)
    if counts.total and blocks is not None and not sampled.spatial:
        cautions += (_no_spatial_interval(blocks),)
    return MarkerScore(
        marker,
        counts,
        fraction,
        density,
        carry_grade_error(sampled.h_score, 100.0, H_SCORE_WEIGHTS, graded, **drawing),
        cautions,
        uncertain,
        error,
        cell_density,
        tuple(
            carry_grade_error(share, 1.0, weights, graded, **drawing)
            for share, weights in zip(sampled.grades, GRADE_WEIGHTS, strict=True)
        ),
    )


class _Drawing(TypedDict):
    """How the network's error is drawn."""

    level: float
    draws: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Sampled:
    """Figures with their intervals of sampling alone; ``spatial`` where the fraction has one that takes blocks."""

    fraction: Estimate
    density: Estimate
    h_score: Estimate
    cells: Estimate
    grades: tuple[Estimate, ...]
    spatial: bool


def _sampled(counts: CellCounts, blocks: BlockCounts | None, settings: ScoreSettings) -> _Sampled:
    """Return every figure with the interval that takes cells as independent and the one of blocks."""
    boot = BlockIntervals(None, None, None)
    if blocks is not None and counts.total:
        boot = block_intervals(
            blocks, level=settings.level, draws=settings.draws, seed=settings.seed, min_blocks=settings.min_blocks
        )

    def both(independent: Interval, block: Interval | None) -> tuple[Interval, ...]:
        lacking = "" if block is not None else f"{NO_SPATIAL}({_why_not_spatial(blocks)})"
        given = (_marked(independent, lacking),) if block is None else (independent, block)
        return marked_where_few(given, counts, settings)

    h = h_score(counts)
    # An area without a single cell says that cells were missed rather than that none is positive.
    no_density = Estimate(None, "cells/mm²", reason=NO_CELLS if counts.area_um2 > 0 else NO_AREA)
    if h is None:
        none = Estimate(None, "fraction", reason=NO_CELLS)
        no_score = Estimate(None, "H-score", reason=NO_CELLS)
        return _Sampled(none, no_density, no_score, no_density, (none, none, none), spatial=False)
    grades = (counts.negative, counts.one_plus, counts.two_plus, counts.three_plus)

    def share(cells: int, block: Interval | None) -> Estimate:
        wilson = wilson_interval(cells, counts.total, settings.level)
        return Estimate(cells / counts.total, "fraction", both(wilson, block))

    def per_mm2(cells: int, block: Interval | None) -> Estimate:
        if counts.area_um2 <= 0:
            return no_density
        area_mm2 = counts.area_um2 / 1e6
        return Estimate(cells / area_mm2, "cells/mm²", both(garwood_interval(cells, area_mm2, settings.level), block))

    return _Sampled(
        share(counts.positive, boot.fraction),
        per_mm2(counts.positive, boot.density_per_mm2),
        Estimate(h, "H-score", both(grade_interval(grades, settings.level), boot.h_score)),
        per_mm2(counts.total, boot.cell_density_per_mm2),
        tuple(share(cells, block) for cells, block in zip(grades[1:], boot.grades, strict=True)),
        boot.fraction is not None,
    )


def marked_where_few(
    intervals: tuple[Interval, ...], counts: CellCounts, settings: ScoreSettings
) -> tuple[Interval, ...]:
    """Return intervals as unreliable where the section has too few cells, and as they are where it has enough."""
    return tuple(_marked(interval, _few_cells(counts, settings)) for interval in intervals)


def _marked(interval: Interval, why: str) -> Interval:
    """Return an interval as unreliable for a further reason; as it is where there is none."""
    if not why:
        return interval
    return replace(interval, reliable=False, note=f"{interval.note}; {why}" if interval.note else why)


def _no_spatial_interval(blocks: BlockCounts) -> str:
    """Say that only the interval that takes cells as independent, which is too narrow, could be given."""
    reason = _why_not_spatial(blocks)
    return f"{NO_SPATIAL}({reason}); the intervals given are too narrow where staining clusters"


def _why_not_spatial(blocks: BlockCounts | None) -> str:
    if blocks is None:
        return NO_BLOCKS
    if (counting := blocks.counting()) < FEWEST_BLOCKS:
        on_a_level = " on a level" if blocks.level is not None else ""
        return f"{counting} blocks of tissue{on_a_level}, fewer than {FEWEST_BLOCKS}"
    return "the blocks do not differ"


def _few_cells(counts: CellCounts, settings: ScoreSettings) -> str:
    """Return how many cells too few there are; nothing where there are enough."""
    below = settings.insufficient_below
    return f"{counts.total} cells, fewer than {below}" if counts.total < below else ""


def _cautions(counts: CellCounts, settings: ScoreSettings) -> tuple[str, ...]:
    """Return the sentences that must stand beside the figures."""
    if few := _few_cells(counts, settings):
        return (f"{INSUFFICIENT}{few}",)
    if counts.total < settings.low_below:
        return (f"{LOW_COUNT}{counts.total} cells, fewer than {settings.low_below}",)
    return ()
