"""What a clinical record may hold."""

import pytest

from ihc_quant.domain.clinical import (
    LYMPHOCYTES,
    NUMBER,
    PERCENT,
    ClinicalRecord,
    ClinicalTable,
    implied_lymphocytes,
)


@pytest.mark.parametrize(
    ("number", "percent", "lymphocytes"),
    [(4.624, 67.0, 6.901), (0.336, 30.7, 1.094), (0.231, 15.1, 1.530), (1.921, 61.0, 3.149)],
)
def test_letter_implies_lymphocytes(number: float, percent: float, lymphocytes: float) -> None:
    implied = implied_lymphocytes(number, percent)
    assert implied is not None
    assert round(implied, 3) == lymphocytes


def test_nothing_is_implied_by_no_percent() -> None:
    assert implied_lymphocytes(0.0, 0.0) is None


@pytest.mark.parametrize(
    ("timepoint", "figures"),
    [("before", ()), ("other", ((NUMBER, -1.0),)), ("other", ((NUMBER, float("nan")),)), ("other", ((PERCENT, 100.1),)),
     ("other", ((NUMBER, 2.0), (LYMPHOCYTES, 1.9))), ("other", ((NUMBER, 2.0), (NUMBER, 2.0)))],
)  # fmt: skip
def test_impossible_records(timepoint: str, figures: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"unknown|is not|ends at|not among|one value"):
        ClinicalRecord("P", 0, timepoint, figures)


def test_a_further_series_may_be_below_zero() -> None:
    record = ClinicalRecord("P", 0, "other", (("log10_proviral_load", -1.5),))
    assert record.value("log10_proviral_load") == -1.5
    assert record.value(NUMBER) is None


def test_patients_that_no_biopsy_names() -> None:
    table = ClinicalTable(tuple(ClinicalRecord(name, 0, "other") for name in ("P1", "P2", "01", "P2")))
    assert table.unknown_patients(["P1", "1"]) == ("P2", "01")
    assert len(table.of_patient("P2")) == 2
