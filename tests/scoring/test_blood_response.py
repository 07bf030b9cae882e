"""Blood response: the letter's cases, both limits, every combination, and what must not take part."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.clinical import (
    DIAGNOSIS,
    EOSINOPHILS,
    LAST_INFUSION,
    LYMPHOCYTES,
    NUMBER,
    PERCENT,
    TREATMENT_START,
    ClinicalRecord,
)
from ihc_quant.scoring.blood_response import CATEGORIES, BloodResponse, blood_response

AT_LEAST_PARTIAL = "at least partial; complete not evaluable"

LETTER = {
    # number at diagnosis, percentage at diagnosis, AEC, number at treatment start, at the last infusion, the label
    "1": (4.624, 67.0, 30.0, 4.624, 0.003, "complete"),
    "2": (0.336, 30.7, 2.0, 0.336, 0.050, "partial"),
    "3": (0.231, 15.1, 18.0, 1.824, 0.006, "complete"),
    "4": (1.921, 61.0, 1.5, 55.586, 9.035, "partial"),
}


def at(timepoint: str, day: int = 0, stated: str = "", **figures: float) -> ClinicalRecord:
    names = {"pct": PERCENT, "number": NUMBER, "lymphocytes": LYMPHOCYTES, "aec": EOSINOPHILS}
    return ClinicalRecord("P", day, timepoint, tuple((names[name], value) for name, value in figures.items()), stated)


def response(start: ClinicalRecord | None, last: ClinicalRecord | None) -> BloodResponse:
    return blood_response([record for record in (start, last) if record])


def letter(case: str, **last: float) -> list[ClinicalRecord]:
    at_diagnosis, percent, aec, before, after, label = LETTER[case]
    return [
        at(DIAGNOSIS, -200, number=at_diagnosis, pct=percent, aec=aec),
        at(TREATMENT_START, 0, number=before),
        at(LAST_INFUSION, 90, label, number=after, **last),
    ]


@pytest.mark.parametrize("case", LETTER)
def test_letter_prints_no_percentage_at_the_last_infusion(case: str) -> None:
    found = blood_response(letter(case))
    assert found.category == AT_LEAST_PARTIAL
    assert found.reason.startswith("neither a percentage nor number and lymphocytes at the last infusion; ")


@pytest.mark.parametrize(
    ("case", "lymphocytes", "category"),
    [("1", 0.601, "complete"), ("1", 0.6, "partial"), ("1", 0.599, "partial"), ("2", 1.094, "partial"),
     ("3", 1.201, "complete"), ("3", 1.2, "partial"), ("4", 20.0, "partial")],
)  # fmt: skip
def test_letter_with_lymphocytes_has_the_exact_category(case: str, lymphocytes: float, category: str) -> None:
    assert blood_response(letter(case, lymphocytes=lymphocytes)).category == category


@pytest.mark.parametrize(("pct", "category"), [(0.499, "complete"), (0.5, "partial"), (0.501, "partial")])
@pytest.mark.parametrize("case", LETTER)
def test_letter_with_a_percentage_has_the_exact_category(case: str, pct: float, category: str) -> None:
    assert blood_response(letter(case, pct=pct)).category == category


@pytest.mark.parametrize(
    ("after", "category"),
    [(0.167, "partial"), (0.168, "neither complete nor partial"), (0.169, "neither complete nor partial")],
)
def test_fall_of_half_is_no_partial_response(after: float, category: str) -> None:
    start, last = at(TREATMENT_START, number=0.336), at(LAST_INFUSION, number=after, pct=12.0)
    assert response(start, last).category == category


@pytest.mark.parametrize(
    ("after", "category"), [(0.167, AT_LEAST_PARTIAL), (0.168, "not partial; complete not evaluable")]
)
def test_without_percentage_a_small_fall_excludes_partial_only(after: float, category: str) -> None:
    assert response(at(TREATMENT_START, number=0.336), at(LAST_INFUSION, number=after)).category == category


def test_complete_response_asks_for_no_fall() -> None:
    start = at(TREATMENT_START, number=0.004)
    assert response(start, at(LAST_INFUSION, number=0.004, pct=0.4)).category == "complete"
    assert response(None, at(LAST_INFUSION, pct=0.4)).category == "complete"
    assert response(at(TREATMENT_START, pct=40.0), at(LAST_INFUSION, number=0.002, lymphocytes=1.0)).fell is None


def test_without_a_number_partial_is_not_evaluable() -> None:
    start = at(TREATMENT_START, number=1.0)
    assert response(start, at(LAST_INFUSION, pct=3.0)).category == "not complete; partial not evaluable"
    assert response(start, at(LAST_INFUSION)).category == "not evaluable"
    assert response(start, None).category == "not evaluable"
    assert blood_response([]).category == "not evaluable"


def test_diagnosis_does_not_stand_for_the_start_of_treatment() -> None:
    """Case 3 fell to a tenth of its number at treatment start and could have doubled that of its diagnosis."""
    diagnosis, last = at(DIAGNOSIS, -200, number=0.231), at(LAST_INFUSION, 90, number=0.2, pct=9.0)
    alone = blood_response([diagnosis, last])
    assert alone.category == "not complete; partial not evaluable"
    assert alone.reason.endswith(
        "no number of CD3−CD4+ cells at the start of treatment; diagnosis does not stand for it"
    )
    assert blood_response([diagnosis, at(TREATMENT_START, number=1.824), last]).category == "partial"


def test_number_follows_from_percentage_and_lymphocytes_of_one_row() -> None:
    start = at(TREATMENT_START, pct=50.0, lymphocytes=2.0)
    assert response(start, at(LAST_INFUSION, pct=25.0, lymphocytes=2.0)).category == "neither complete nor partial"
    assert response(start, at(LAST_INFUSION, pct=24.9, lymphocytes=2.0)).category == "partial"


def test_percentages_on_two_sides_of_the_limit_are_not_decided() -> None:
    last = at(LAST_INFUSION, pct=0.5, number=0.0049, lymphocytes=1.0)
    found = response(at(TREATMENT_START, number=1.0), last)
    assert found.category == AT_LEAST_PARTIAL
    assert "0.5 % is given and 0.49 % follows" in found.reason


def test_no_cells_say_nothing_without_lymphocytes() -> None:
    start = at(TREATMENT_START, number=1.0)
    assert response(start, at(LAST_INFUSION, number=0.0)).category == AT_LEAST_PARTIAL
    assert response(start, at(LAST_INFUSION, number=0.0, lymphocytes=0.0)).category == AT_LEAST_PARTIAL
    assert response(start, at(LAST_INFUSION, number=0.0, lymphocytes=0.3)).category == "complete"
    none = at(TREATMENT_START, number=0.0)
    assert response(none, at(LAST_INFUSION, number=0.0, pct=9.0)).category == "neither complete nor partial"


@given(thousandths=st.integers(1, 10**6))
def test_limits_are_decimals_not_binary_fractions(thousandths: int) -> None:
    """A number of exactly 0.5 % of the lymphocytes, and exactly half of that before, however large."""
    lymphocytes, number = thousandths / 5, thousandths / 1000
    last = at(LAST_INFUSION, number=number, lymphocytes=lymphocytes)
    found = response(at(TREATMENT_START, number=float(f"{2 * thousandths / 1000:.3f}")), last)
    assert (found.under_limit, found.fell) == (False, False)


numbers = st.integers(0, 2000).map(lambda thousandths: thousandths / 1000)


@given(before=numbers, after=numbers, aec=numbers, of_diagnosis=numbers, label=st.text(max_size=9))
def test_stated_response_eosinophils_and_diagnosis_take_no_part(
    before: float, after: float, aec: float, of_diagnosis: float, label: str
) -> None:
    plain = [at(TREATMENT_START, number=before), at(LAST_INFUSION, number=after, lymphocytes=2.0)]
    more = [
        at(LAST_INFUSION, 90, label, number=after, lymphocytes=2.0, aec=aec),
        at(DIAGNOSIS, -90, "complete", number=of_diagnosis, pct=0.1),
        at("other", 30, "partial", number=0.0, pct=0.0),
        at(TREATMENT_START, 0, "complete", number=before, aec=2 * aec),
    ]
    assert blood_response(more) == blood_response(plain)


def test_every_combination_has_words_of_its_own_meaning() -> None:
    assert set(CATEGORIES) == set(itertools.product((True, False, None), repeat=2))
    # Nothing beyond the letter's two definitions is named.
    assert not any(word in text for text in CATEGORIES.values() for word in ("stable", "relapse", "progress", "eosino"))


def test_several_patients_or_the_same_time_point_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="one patient"):
        blood_response([at(LAST_INFUSION), ClinicalRecord("Q", 0, LAST_INFUSION)])
    with pytest.raises(ValueError, match="one last_infusion, not 2"):
        blood_response([at(LAST_INFUSION), at(LAST_INFUSION, 3)])
