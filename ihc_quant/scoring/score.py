"""Counts to the scores of one marker on one section."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from ihc_quant.scoring.density_error import CountedDensity, carry_density_error
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


def score_marker(
    marker: str,
    counts: CellCounts,
    blocks: BlockCounts | None,
    settings: ScoreSettings | None = None,
    *,
    errors: Sequence[MeasurementError] | None = (),
    uncertain: UncertainCalls | None = None,
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

    Returns
    -------
    MarkerScore
        Each figure with the interval that takes cells as independent first and the one of blocks second, where there
        is one; fraction and density with the one that holds the network's error too last, where that is known. Without
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
    boot = BlockIntervals(None, None, None)
    if blocks is not None and counts.total:
        boot = block_intervals(
            blocks, level=settings.level, draws=settings.draws, seed=settings.seed, min_blocks=settings.min_blocks
        )

    def both(independent: Interval, block: Interval | None) -> tuple[Interval, ...]:
        lacking = "" if block is not None else f"{NO_SPATIAL}({_why_not_spatial(blocks)})"
        given = (_marked(independent, lacking),) if block is None else (independent, block)
        return tuple(_marked(interval, _few_cells(counts, settings)) for interval in given)

    fraction, density, h = positive_fraction(counts), positive_density_per_mm2(counts), h_score(counts)
    fraction_estimate = Estimate(None, "fraction", reason=NO_CELLS)
    h_estimate = Estimate(None, "H-score", reason=NO_CELLS)
    density_estimate = Estimate(None, "cells/mm²", reason=NO_CELLS if counts.area_um2 > 0 else NO_AREA)
    if fraction is not None and h is not None:
        wilson = wilson_interval(counts.positive, counts.total, settings.level)
        fraction_estimate = Estimate(fraction, "fraction", both(wilson, boot.fraction))
        grades = (counts.negative, counts.one_plus, counts.two_plus, counts.three_plus)
        h_estimate = Estimate(h, "H-score", both(grade_interval(grades, settings.level), boot.h_score))
    # An area without a single cell says that cells were missed rather than that none is positive.
    if density is not None and counts.total:
        garwood = garwood_interval(counts.positive, counts.area_um2 / 1e6, settings.level)
        density_estimate = Estimate(density, "cells/mm²", both(garwood, boot.density_per_mm2))
    fraction_estimate, network_error = carry_error(
        fraction_estimate,
        marker,
        errors,
        level=settings.level,
        draws=settings.measurement_draws,
        seed=settings.seed,
    )
    density_estimate, of_counts = carry_density_error(
        CountedDensity(marker, counts, density_estimate, errors),
        level=settings.level,
        draws=settings.measurement_draws,
        seed=settings.seed,
    )
    if of_counts:
        network_error = replace(network_error, statement=f"{network_error.statement}; {of_counts}")
    cautions = _cautions(counts, settings)
    if counts.total and blocks is not None and boot.fraction is None:
        cautions += (_no_spatial_interval(blocks),)
    return MarkerScore(
        marker, counts, fraction_estimate, density_estimate, h_estimate, cautions, uncertain, network_error
    )


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
    if len(blocks) < FEWEST_BLOCKS:
        return f"{len(blocks)} blocks of tissue, fewer than {FEWEST_BLOCKS}"
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
