"""Blood figures beside a biopsy: by patient and signed day offset, one sample a series, never a mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from ihc_quant.domain.clinical import ClinicalTable

JOIN_WINDOW_DAYS = 30
"""Farthest that a blood sample may lie from a biopsy, days; our judgement, not from the literature."""

NO_DAY = "the biopsy's day is not recorded"


@dataclass(frozen=True, slots=True)
class BloodFigure:
    """The sample of one series that lies nearest to a biopsy.

    Attributes
    ----------
    series : str
    value : float or None
        In the unit that the series' name states; None where ``note`` says why there is none.
    offset_days : int or None
        Day of the sample less day of the biopsy: negative where blood was taken first.
    note : str
        Empty, or what a reader must know: why there is no value, which other sample was as near, or that only one of
        blood and biopsy was taken after the first infusion.
    """

    series: str
    value: float | None
    offset_days: int | None
    note: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != (self.offset_days is None) or (self.value is None and not self.note):
            raise ValueError("a joined figure has a value and an offset, or the reason why it has neither")


def join_blood(
    table: ClinicalTable, patient_id: str, biopsy_day: int | None, window_days: int = JOIN_WINDOW_DAYS
) -> tuple[BloodFigure, ...]:
    """Return for each series of a clinical table the sample nearest to a biopsy.

    Each series is joined on its own, because cells are not counted on every day. Of two samples as near before and
    after the biopsy the one on the biopsy's own side of the first infusion is taken, otherwise the earlier one, and the
    other is named.

    Parameters
    ----------
    table : ClinicalTable
    patient_id : str
    biopsy_day : int or None
        Days since the first infusion; None where not recorded.
    window_days : int
        A sample on a day that is farther away is not taken.

    Returns
    -------
    tuple of BloodFigure
        In the order of ``table.series``.

    Raises
    ------
    ValueError
        Where the window is negative, or two samples of one day differ (such a table is not valid).

    Examples
    --------
    >>> from ihc_quant.domain.clinical import ClinicalRecord
    >>> days = [ClinicalRecord("P1", day, "other", (("aec_1e9_l", value),)) for day, value in ((-9, 3.0), (-3, 2.0))]
    >>> join_blood(ClinicalTable(tuple(days), ("aec_1e9_l",)), "P1", -6)
    (BloodFigure(series='aec_1e9_l', value=3.0, offset_days=-3, note='day -3 is as near as day -9 and was not taken'),)
    """
    if window_days < 0:
        raise ValueError(f"a window has 0 days or more, got {window_days}")
    records = table.of_patient(patient_id)
    if not records:
        return _absent(table.series, "the patient is not in the clinical table")
    if biopsy_day is None:
        return _absent(table.series, NO_DAY)
    figures = []
    for series in table.series:
        samples: dict[int, float] = {}
        for record in records:
            value = record.value(series)
            if value is not None and samples.setdefault(record.day, value) != value:
                raise ValueError(f"{series} of {patient_id} has two values on day {record.day}")
        figures.append(_nearest(series, samples, biopsy_day, window_days))
    return tuple(figures)


def _absent(names: Sequence[str], reason: str) -> tuple[BloodFigure, ...]:
    return tuple(BloodFigure(series, None, None, reason) for series in names)


def _nearest(series: str, samples: dict[int, float], biopsy_day: int, window_days: int) -> BloodFigure:
    if not samples:
        return BloodFigure(series, None, None, "not measured in this patient")
    day, *others = sorted(
        samples, key=lambda each: (abs(each - biopsy_day), _treated(each) != _treated(biopsy_day), each)
    )
    offset = day - biopsy_day
    if abs(offset) > window_days:
        return BloodFigure(
            series, None, None, f"nearest on day {day}, {abs(offset)} days away, beyond {window_days} days"
        )
    notes = [
        f"day {other} is as near as day {day} and was not taken"
        for other in others
        if abs(other - biopsy_day) == abs(offset)
    ]
    if _treated(day) != _treated(biopsy_day):
        notes.append("one of blood and biopsy was taken after the first infusion, the other before it or on its day")
    return BloodFigure(series, samples[day], offset, ", ".join(notes))


def _treated(day: int) -> bool:
    """Return whether a day lies after the first infusion; blood of its day is drawn before it."""
    return day > 0
