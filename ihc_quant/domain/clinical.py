"""The clinical table: what was found in a patient's blood, on which day, and what its figures mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

DIAGNOSIS = "diagnosis"
TREATMENT_START = "treatment_start"
LAST_INFUSION = "last_infusion"

TIMEPOINTS: tuple[str, ...] = (DIAGNOSIS, TREATMENT_START, LAST_INFUSION, "other")
"""What a blood sample stands for. Diagnosis and start of treatment are months apart and never stand for each other."""

PERCENT = "cd3neg_cd4pos_pct"
NUMBER = "cd3neg_cd4pos_1e9_l"
LYMPHOCYTES = "lymphocytes_1e9_l"
EOSINOPHILS = "aec_1e9_l"

BLOOD_SERIES: tuple[tuple[str, str, str], ...] = (
    (PERCENT, "% of all lymphocytes", "CD3−CD4+ cells of all lymphocytes in blood"),
    (NUMBER, "10⁹/L", "CD3−CD4+ cells in blood"),
    (LYMPHOCYTES, "10⁹/L", "all lymphocytes in blood"),
    (EOSINOPHILS, "10⁹/L", "absolute eosinophil count in blood"),
)
"""Name, unit and meaning of the series that every clinical table may have; further ones bring their own name."""

SERIES_NAMES: tuple[str, ...] = tuple(name for name, _, _ in BLOOD_SERIES)


@dataclass(frozen=True, slots=True)
class ClinicalRecord:
    """What one row of a clinical table says.

    Attributes
    ----------
    patient_id : str
    day : int
        Days since the first infusion, which is day 0; negative before it.
    timepoint : str
        One of ``TIMEPOINTS``.
    figures : tuple of (series, value)
        What was measured, in the unit that the series' name states; a series that was not measured is not there.
    response_stated : str
        The response as somebody stated it, verbatim; empty where nobody did. Nothing is computed from it.
    line : int
        Line of the file, for messages.
    """

    patient_id: str
    day: int
    timepoint: str
    figures: tuple[tuple[str, float], ...] = ()
    response_stated: str = ""
    line: int = 0

    def __post_init__(self) -> None:
        if self.timepoint not in TIMEPOINTS:
            raise ValueError(f"unknown time point {self.timepoint!r}; one of {', '.join(TIMEPOINTS)}")
        names = [name for name, _ in self.figures]
        if len(set(names)) < len(names):
            raise ValueError(f"a row has one value a series, got {names}")
        for name, value in self.figures:
            if not math.isfinite(value) or (name in SERIES_NAMES and value < 0):
                raise ValueError(f"{name} is not {value}")
        percent, number, lymphocytes = map(self.value, (PERCENT, NUMBER, LYMPHOCYTES))
        if percent is not None and percent > 100:
            raise ValueError(f"a percentage ends at 100, got {percent}")
        if number is not None and lymphocytes is not None and number > lymphocytes:
            raise ValueError(f"{number} CD3−CD4+ cells are not among {lymphocytes} lymphocytes")

    def value(self, series: str) -> float | None:
        """Return the value of a series; None where it was not measured."""
        return dict(self.figures).get(series)


@dataclass(frozen=True, slots=True)
class ClinicalTable:
    """A clinical table that was validated as a whole.

    Attributes
    ----------
    records : tuple of ClinicalRecord
        In the file's order. A patient has each of the time points diagnosis, start of treatment and last infusion at
        most once, and no two records of one day give different values of one series.
    series : tuple of str
        ``SERIES_NAMES`` and after them the further series in the file's order.
    cautions : tuple of str
        What a reader should check although it is possible, for example a unit.
    """

    records: tuple[ClinicalRecord, ...]
    series: tuple[str, ...] = SERIES_NAMES
    cautions: tuple[str, ...] = ()

    def of_patient(self, patient_id: str) -> tuple[ClinicalRecord, ...]:
        """Return the records of a patient in the file's order."""
        return tuple(record for record in self.records if record.patient_id == patient_id)

    def unknown_patients(self, patient_ids: Sequence[str]) -> tuple[str, ...]:
        """Return the table's patients that are none of these, each once: often a misspelt identifier."""
        known = set(patient_ids)
        return tuple(dict.fromkeys(record.patient_id for record in self.records if record.patient_id not in known))


def implied_lymphocytes(number_1e9_l: float, percent: float) -> float | None:
    """Return all lymphocytes, 10⁹/L, that a number of CD3−CD4+ cells and their percentage imply; None for 0 %.

    Examples
    --------
    The four cases of the letter at diagnosis.

    >>> cases = ((4.624, 67.0), (0.336, 30.7), (0.231, 15.1), (1.921, 61.0))
    >>> [round(implied_lymphocytes(number, percent), 3) for number, percent in cases]
    [6.901, 1.094, 1.53, 3.149]
    """
    return number_1e9_l / percent * 100 if percent > 0 else None
