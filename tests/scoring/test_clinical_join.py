"""Blood beside a biopsy: the nearest sample of each series with its signed offset, ties named, never a mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.clinical import EOSINOPHILS, NUMBER, ClinicalRecord, ClinicalTable
from ihc_quant.scoring.clinical_join import BloodFigure, join_blood

SERIES = (NUMBER, EOSINOPHILS)


def table(*samples: tuple[int, dict[str, float]], patient: str = "P") -> ClinicalTable:
    records = (ClinicalRecord(patient, day, "other", tuple(figures.items())) for day, figures in samples)
    return ClinicalTable(tuple(records), SERIES)


def test_each_series_has_its_own_nearest_day() -> None:
    blood = table((-20, {NUMBER: 4.0, EOSINOPHILS: 9.0}), (-7, {EOSINOPHILS: 8.0}), (-5, {}))
    assert join_blood(blood, "P", -5) == (BloodFigure(NUMBER, 4.0, -15), BloodFigure(EOSINOPHILS, 8.0, -2))


def test_offset_is_negative_where_blood_came_first() -> None:
    assert [join_blood(table((day, {NUMBER: 1.0})), "P", 10)[0].offset_days for day in (8, 10, 13)] == [-2, 0, 3]


def test_the_earlier_of_two_as_near_is_taken_and_the_other_named() -> None:
    first, _ = join_blood(table((13, {NUMBER: 1.0}), (7, {NUMBER: 3.0})), "P", 10)
    assert first == BloodFigure(NUMBER, 3.0, -3, "day 13 is as near as day 7 and was not taken")


@pytest.mark.parametrize(
    ("biopsy", "earlier", "later", "taken"),
    [(5, -2, 12, 12), (-2, -9, 5, -9), (4, 0, 8, 8), (0, -3, 3, -3), (9, 7, 11, 7)],
)
def test_of_two_as_near_the_one_of_the_same_side_of_treatment_is_taken(
    biopsy: int, earlier: int, later: int, taken: int
) -> None:
    figure = join_blood(table((earlier, {NUMBER: 1.0}), (later, {NUMBER: 2.0})), "P", biopsy)[0]
    assert figure.offset_days == taken - biopsy
    assert f"day {earlier + later - taken} is as near" in figure.note
    assert "after the first infusion" not in figure.note


def test_window_includes_its_ends() -> None:
    blood = table((0, {NUMBER: 1.0}))
    assert join_blood(blood, "P", -30)[0].value == 1.0
    beyond = join_blood(blood, "P", -31)[0]
    assert (beyond.value, beyond.note) == (None, "nearest on day 0, 31 days away, beyond 30 days")


@pytest.mark.parametrize(("biopsy", "blood", "told"), [(-3, 4, True), (4, 0, True), (-3, 0, False), (3, 4, False)])
def test_first_infusion_between_is_told(biopsy: int, blood: int, told: bool) -> None:
    note = join_blood(table((blood, {NUMBER: 1.0})), "P", biopsy)[0].note
    assert ("after the first infusion" in note) == told


@pytest.mark.parametrize(
    ("patient", "day", "reason"),
    [("Q", 0, "the patient is not in the clinical table"), ("P", None, "the biopsy's day is not recorded")],
)
def test_absence_has_a_reason(patient: str, day: int | None, reason: str) -> None:
    figures = join_blood(table((0, {NUMBER: 1.0})), patient, day)
    assert [(figure.value, figure.offset_days, figure.note) for figure in figures] == [(None, None, reason)] * 2


def test_two_values_of_one_day_are_refused() -> None:
    assert join_blood(table((0, {NUMBER: 1.0}), (0, {NUMBER: 1.0})), "P", 0)[0].note == ""
    with pytest.raises(ValueError, match="two values on day 0"):
        join_blood(table((0, {NUMBER: 1.0}), (0, {NUMBER: 2.0})), "P", 0)


@given(samples=st.dictionaries(st.integers(-50, 50), st.floats(0, 9), min_size=1), day=st.integers(-50, 50))
def test_a_joined_value_is_one_that_was_measured_on_that_day(samples: dict[int, float], day: int) -> None:
    blood = table(*((when, {NUMBER: value}) for when, value in samples.items()))
    figure = join_blood(blood, "P", day, window_days=100)[0]
    assert figure.value is not None
    assert figure.offset_days is not None
    assert samples[day + figure.offset_days] == figure.value
    assert abs(figure.offset_days) == min(abs(when - day) for when in samples)
