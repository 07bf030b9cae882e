"""The network's own error of figures over grades: the percentage's error, moved cuts, and what is never claimed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import CellCounts, Interval, MarkerScore
from ihc_quant.scoring.grade_error import NOT_MEASURED, GradedCells
from ihc_quant.scoring.score import ScoreSettings, score_marker

KI67 = MeasurementError("bcdata", "Ki-67", "breast", "by image", 26, 26, 0.0, 4.6, 900, 1100, 0.95, 0.97)
SURE = MeasurementError("sure", "CCR4", "skin", "by image", 900, 900, 0.0, 0.0, 10**7, 10**7, 1.0, 1.0)
COUNTS = CellCounts(600, 250, 100, 50, 1e6)
LOOSER, STRICTER = CellCounts(600, 150, 150, 100, 1e6), CellCounts(600, 350, 40, 10, 1e6)
QUICK = ScoreSettings(measurement_draws=500)


def scored(error: MeasurementError, *moved: CellCounts, counts: CellCounts = COUNTS) -> MarkerScore:
    return score_marker("CCR4", counts, None, errors=(error,), moved=moved)


def widest(figure: MarkerScore) -> Interval:
    interval = figure.h_score.intervals[-1]
    assert interval.method.startswith("sampling + measurement")
    return interval


grades = st.tuples(*3 * [st.integers(0, 60)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), grades, st.randoms())
def test_it_holds_sampling_and_every_cut_and_stays_in_range(
    negative: int, positive: tuple[int, int, int], random: st.DataObject
) -> None:
    shuffled = list(positive)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    counts, moved = CellCounts(negative, *positive), CellCounts(negative, *shuffled)
    if not counts.total:
        return
    score = score_marker("CCR4", counts, None, QUICK, errors=(KI67,), moved=(moved,))
    for figure, most, at_cut in (
        (score.h_score, 300, 100 * (moved.one_plus + 2 * moved.two_plus + 3 * moved.three_plus) / counts.total),
        (score.grade_fractions[2], 1, moved.three_plus / counts.total),
    ):
        sampling, interval = figure.intervals
        assert 0 <= interval.low <= sampling.low <= sampling.high <= interval.high <= most
        assert interval.low <= at_cut + 1e-9
        assert at_cut - 1e-9 <= interval.high
        assert not interval.reliable
        assert NOT_MEASURED in interval.note


def test_a_sure_network_leaves_the_cuts_alone() -> None:
    # Mean grades of 1.5, 1.875 and 1.15 of 400 positive cells of 1,000.
    interval = widest(scored(SURE, LOOSER, STRICTER))
    assert interval.low == pytest.approx(46, abs=8)
    assert interval.high == pytest.approx(75, abs=8)
    assert interval.low < 46 < 75 < interval.high
    still = widest(scored(SURE, COUNTS))
    assert still.high - still.low == pytest.approx(13, abs=4)
    assert not still.reliable


def test_the_error_of_the_percentage_moves_the_h_score_in_proportion() -> None:
    over = replace(SURE, bias_points=10.0, positive_cells=0, negative_cells=0, sensitivity=None, specificity=None)
    interval = widest(scored(over, COUNTS))
    # 40 % of which 10 points are too many: 30 % of a mean grade of 1.5.
    assert interval.low < 45 < interval.high
    assert interval.low == pytest.approx(45 * 0.36 / 0.4, abs=4)


def test_without_positive_cells_unseen_ones_may_be_of_any_grade() -> None:
    none = CellCounts(1000, area_um2=1e6)
    score = scored(KI67, none, none, counts=none)
    low, high = widest(score).low, widest(score).high
    assert low == 0
    assert high == pytest.approx(300 * score.positive_fraction.intervals[-1].high, rel=0.05)


def test_what_is_not_known_is_said_and_has_no_interval() -> None:
    unmoved = scored(KI67)
    assert len(unmoved.h_score.intervals) == 1
    assert "not graded with moved cuts" in unmoved.network_error.of_grades
    otherwise = score_marker("CCR4", COUNTS, None, errors=None)
    assert len(otherwise.h_score.intervals) == 1
    assert "called otherwise here" in otherwise.network_error.of_grades
    assert "called otherwise here" in otherwise.network_error.of_all_cells
    alone = scored(replace(KI67, patients=1), LOOSER)
    assert len(alone.h_score.intervals) == 1
    assert alone.network_error.of_grades == "measurement error unknown, as that of the percentage"
    unstated = score_marker("CCR4", COUNTS, None, errors=())
    assert unstated.network_error.of_grades == "measurement error unknown, as that of the percentage"
    assert scored(KI67, LOOSER).network_error.of_grades.startswith("not measured; H-scores")


def test_moved_cuts_change_no_calls() -> None:
    with pytest.raises(ValueError, match="not which cells are positive"):
        GradedCells("CCR4", COUNTS, (CellCounts(599, 251, 100, 50),), scored(KI67).positive_fraction, ())


def test_every_number_of_cells_has_a_share_or_a_density_with_an_interval() -> None:
    score = scored(KI67, LOOSER, STRICTER)
    assert [round(1000 * (share.value or 0)) for share in score.grade_fractions] == [250, 100, 50]
    assert score.cell_density_per_mm2.value == 1000
    for figure in (*score.grade_fractions, score.cell_density_per_mm2):
        assert figure.intervals
    assert score.cell_density_per_mm2.intervals[0].low == pytest.approx(939, abs=1)
