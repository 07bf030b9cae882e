"""Levels of one block taken together: ratios of sums, with intervals that do not take them as independent."""

from dataclasses import replace

import numpy as np
import pytest

from ihc_quant.domain.biopsy import PooledLevels, SectionRecord
from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.outcome import Failed, RegionScore, Scored, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.domain.sensitivity import ThresholdSensitivity, Variant
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain
from ihc_quant.scoring.blocks import BlockCounts, join_levels
from ihc_quant.scoring.bootstrap import block_intervals
from ihc_quant.scoring.levels import pool_levels
from ihc_quant.scoring.same_call import effective_number
from ihc_quant.scoring.score import score_marker

PROVENANCE = Provenance("s", {}, "p", "r", "w", "0" * 64, "none", {}, "0" * 64, "0" * 64, "file")
STAIN = SectionStain("CD4", "DAB", chromogen_assumed=False)
INFILTRATE = AnalysedRegion("infiltrate", "drawn")
COUNT_ERROR = LogCountError(24, 24, 10, 1200, 0.1, 0.1)
ERRORS = (
    MeasurementError(
        "s", "Ki-67", "breast", "by image", 26, 26, 3.0, 4.6, 900, 1100, 0.95, 0.97, COUNT_ERROR, COUNT_ERROR
    ),
)


def section_blocks(share: float, count: int = 30, seed: int = 3) -> BlockCounts:
    """Return a section of two fragments in which blocks differ by more than chance."""
    random = np.random.default_rng(seed)
    cells = random.integers(60, 140, count)
    positive = random.binomial(cells, random.beta(4 * share, 4 * (1 - share), count))
    grades = np.column_stack([cells - positive, positive, np.zeros((count, 2), np.int64)])
    row, col = np.divmod(np.arange(count), 5)
    return BlockCounts(1 + (row > 2).astype(np.int64), grades, np.full(count, 62_500.0), row, col)


def variant(counts: CellCounts) -> Variant:
    estimate = Estimate(0.1, "fraction")
    return Variant("OD cuts", 0.5, (0.1, 0.2, 0.3), counts, estimate, estimate, estimate)


def level(name: str, blocks: BlockCounts, *parts: BlockCounts) -> Scored:
    counts = blocks.total()
    strong = CellCounts(counts.negative, 0, counts.positive, 0, counts.area_um2)
    sensitivity = ThresholdSensitivity(variant(counts), (variant(strong), variant(counts)), ())
    compartments = tuple(RegionScore(INFILTRATE, score_marker("CD4", of.total(), of)) for of in parts)
    return Scored(
        name,
        STAIN,
        score_marker("CD4", counts, blocks),
        ((1, counts),),
        PROVENANCE,
        compartments=compartments,
        sensitivity=sensitivity,
    )


ONE, OTHER = section_blocks(0.3), section_blocks(0.2, 40, seed=4)
A, B = level("a", ONE), level("b", OTHER)
RECORDS = tuple(SectionRecord(name, f"level {number} of 2") for number, name in ((1, "a"), (2, "b")))
KEPT = {"a": (ONE,), "b": (OTHER,)}
KNOWN = {"a": ERRORS, "b": ERRORS}


def pooled(*outcomes: SlideOutcome) -> PooledLevels:
    found = pool_levels("CD4", outcomes, RECORDS, KEPT, KNOWN)
    assert found is not None
    return found


def test_figures_are_ratios_of_sums_and_each_has_all_its_intervals() -> None:
    (part,) = pooled(A, B).parts
    score, counts = part.score, ONE.total() + OTHER.total()
    assert score.counts == counts
    assert score.positive_fraction.value == counts.positive / counts.total
    assert score.positive_density_per_mm2.value == pytest.approx(counts.positive / (counts.area_um2 / 1e6))
    for estimate in (
        score.positive_fraction, score.positive_density_per_mm2, score.h_score, score.cell_density_per_mm2,
        score.grade_fractions[0],
    ):  # fmt: skip
        independent, blocks, both = estimate.intervals
        assert "cells taken as independent" in independent.method
        assert blocks.method.endswith("70 blocks of 2 levels taken as alike")
        assert blocks.reliable
        assert both.method.startswith("sampling + measurement")
        assert both.low <= blocks.low <= (estimate.value or 0.0) <= blocks.high <= both.high
    assert pooled(A, B) == pooled(A, B)


def test_a_second_level_that_shows_the_same_tells_no_more_than_the_first() -> None:
    alone, twice = block_intervals(ONE), block_intervals(join_levels([ONE, ONE]))
    for one, two in ((alone.fraction, twice.fraction), (alone.density_per_mm2, twice.density_per_mm2)):
        assert one is not None
        assert two is not None
        assert (two.high - two.low) / (one.high - one.low) == pytest.approx(1, abs=0.15)
    assert effective_number(join_levels([ONE, ONE])) == pytest.approx(effective_number(ONE))


def test_fragments_of_levels_stay_apart() -> None:
    # Each level is even in itself: drawn across levels, the sum would vary.
    even = [BlockCounts(np.ones(30, np.int64), np.tile([90 - p, p, 0, 0], (30, 1)), np.ones(30)) for p in (10, 60)]
    assert block_intervals(join_levels(even)).fraction is None
    joined = join_levels([ONE, OTHER])
    assert sorted(set(joined.fragment.tolist())) == [1, 2, 4, 5]
    assert joined.row is not None
    assert join_levels([ONE, replace(OTHER, row=None)]).row is None


def test_there_are_enough_blocks_where_one_level_has_enough() -> None:
    few = section_blocks(0.3, 12)
    interval = block_intervals(join_levels([few, few])).fraction
    assert interval is not None
    assert (interval.reliable, interval.note) == (False, "12 blocks on a level; at least 20 are wanted")
    tiny = join_levels([section_blocks(0.3, 4), section_blocks(0.3, 4)])
    assert block_intervals(tiny).fraction is None
    score = score_marker("CD4", tiny.total(), tiny)
    assert any("4 blocks of tissue on a level, fewer than 5" in caution for caution in score.cautions)


def test_a_compartment_of_every_level_is_taken_together_too() -> None:
    inner = section_blocks(0.6, 24)
    blocks = {"a": (ONE, inner), "b": (OTHER, inner)}
    both = pool_levels("CD4", (level("a", ONE, inner), level("b", OTHER, inner)), RECORDS, blocks, KNOWN)
    assert both is not None
    whole, part = both.parts
    assert part.region == INFILTRATE
    assert part.score.counts == inner.total() + inner.total()
    assert [len(each.score.h_score.intervals) for each in (whole, part)] == [3, 2]
    assert "not graded with moved cuts" in part.score.network_error.of_grades
    assert len(pooled(level("a", ONE, inner), B).parts) == 1


def test_without_blocks_or_a_known_error_the_intervals_say_so() -> None:
    found = pool_levels("CD4", (A, B), RECORDS, {"a": (ONE,)}, {})
    assert found is not None
    (interval,) = found.parts[0].score.positive_fraction.intervals
    assert (interval.reliable, interval.note) == (False, "no spatial interval (blocks of tissue were not counted)")


def test_sections_that_are_not_taken_together_say_why() -> None:
    assert pool_levels("CD4", (A,), RECORDS, KEPT, KNOWN) is None
    nothing = score_marker("CD4", CellCounts(area_um2=1e5), None)
    rule = {"calls": {"rule": {"p_threshold": 0.9}}}
    for other, reason in (
        (Failed("b", STAIN, "it is torn"), "of which one or more were not scored"),
        (replace(B, score=nothing), "of which b shows no cells"),
        (replace(B, stain=replace(STAIN, chromogen="AEC")), "which differ in clone, epitope or chromogen"),
        (replace(B, region=AnalysedRegion("analysed area", "drawn")), "which were analysed over different regions"),
        (replace(B, provenance=replace(PROVENANCE, settings=rule)), "which were called by different weights or"),
        (replace(B, provenance=replace(PROVENANCE, weights_sha256="1" * 64)), "which were called by different"),
        (replace(B, slide_id="c"), "which are not named as replicates"),
    ):
        found = pooled(A, other)
        assert found.reason.startswith(reason)
        assert found.parts == ()
