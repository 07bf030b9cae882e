"""Blood response at the last infusion, by the letter's two definitions and by nothing else.

complete
    CD3−CD4+ cells are less than 0.5 % of all lymphocytes at the last infusion.
partial
    Their number fell by more than 50 % from the start of treatment to the last infusion, without complete response.

Both limits are strict. Each of the two conditions holds, does not hold, or cannot be evaluated, and all nine
combinations have words of their own:

=================  ======================================  =================================  =======================
under 0.5 %        number fell by more than 50 %: yes      no                                 not evaluable
=================  ======================================  =================================  =======================
yes                complete                                complete                           complete
no                 partial                                 neither complete nor partial       not complete; partial …
not evaluable      at least partial; complete …            not partial; complete …            not evaluable
=================  ======================================  =================================  =======================

Complete response does not ask for a fall, so it does not wait for one. Without the percentage, a fall excludes nothing
but "neither", and a missing fall excludes partial response whatever the percentage is. The letter defines no stable
disease, no relapse and no response of eosinophils, so there is none here; nor do diagnosis, eosinophils or a response
that somebody stated take part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ihc_quant.domain.clinical import (
    DIAGNOSIS,
    LAST_INFUSION,
    LYMPHOCYTES,
    NUMBER,
    PERCENT,
    TREATMENT_START,
    ClinicalRecord,
)

COMPLETE_BELOW_PCT = Fraction(1, 2)
"""Percent of all lymphocytes; complete response lies strictly below (the letter on CD3−CD4+ L-HES)."""

PARTIAL_FALL_ABOVE = Fraction(1, 2)
"""Share of the number at the start of treatment; partial response is a fall by strictly more (the same letter)."""

CATEGORIES: dict[tuple[bool | None, bool | None], str] = {
    (True, True): "complete",
    (True, False): "complete",
    (True, None): "complete",
    (False, True): "partial",
    (False, False): "neither complete nor partial",
    (False, None): "not complete; partial not evaluable",
    (None, True): "at least partial; complete not evaluable",
    (None, False): "not partial; complete not evaluable",
    (None, None): "not evaluable",
}
"""Words for (under 0.5 % of all lymphocytes, number fell by more than 50 %); None is "not evaluable"."""


@dataclass(frozen=True, slots=True)
class BloodResponse:
    """Blood response of one patient.

    Attributes
    ----------
    under_limit : bool or None
        Whether CD3−CD4+ cells are under 0.5 % of all lymphocytes at the last infusion; None where not evaluable.
    fell : bool or None
        Whether their number fell by more than 50 %; None where not evaluable.
    reason : str
        What both rest on, or why they cannot be evaluated.
    """

    under_limit: bool | None
    fell: bool | None
    reason: str

    @property
    def category(self) -> str:
        """One of the values of ``CATEGORIES``."""
        return CATEGORIES[self.under_limit, self.fell]


def blood_response(records: Sequence[ClinicalRecord]) -> BloodResponse:
    """Return the blood response of a patient.

    Parameters
    ----------
    records : sequence of ClinicalRecord
        All of one patient, in any order. Only the start of treatment and the last infusion are used, and of these only
        the CD3−CD4+ cells and all lymphocytes. A percentage that is not given follows from number and lymphocytes, a
        number from percentage and lymphocytes, each within one row.

    Raises
    ------
    ValueError
        Where the records are of several patients, or a time point stands there twice.

    Examples
    --------
    Case 1 of the letter, which prints no percentage at the last infusion, and the same with 1.1 × 10⁹/L lymphocytes.

    >>> start = ClinicalRecord("1", 0, "treatment_start", (("cd3neg_cd4pos_1e9_l", 4.624),))
    >>> number = ("cd3neg_cd4pos_1e9_l", 0.003)
    >>> blood_response([start, ClinicalRecord("1", 99, "last_infusion", (number,))]).category
    'at least partial; complete not evaluable'
    >>> last = ClinicalRecord("1", 99, "last_infusion", (number, ("lymphocytes_1e9_l", 1.1)))
    >>> blood_response([start, last]).category
    'complete'
    """
    if len({record.patient_id for record in records}) > 1:
        raise ValueError("the blood response is that of one patient")
    start, last = (_at(records, timepoint) for timepoint in (TREATMENT_START, LAST_INFUSION))
    under_limit, of_limit = _under_limit(last)
    fell, of_fall = _fell(start, last, diagnosed=_at(records, DIAGNOSIS) is not None)
    return BloodResponse(under_limit, fell, of_limit if last is None else f"{of_limit}; {of_fall}")


def _at(records: Sequence[ClinicalRecord], timepoint: str) -> ClinicalRecord | None:
    found = [record for record in records if record.timepoint == timepoint]
    if len(found) > 1:
        raise ValueError(f"a patient has one {timepoint}, not {len(found)}")
    return found[0] if found else None


def _under_limit(last: ClinicalRecord | None) -> tuple[bool | None, str]:
    """Return whether the cells are under the limit at the last infusion, and from what that is known."""
    if last is None:
        return None, "no row is the last infusion"
    given, follows = _exact(last, PERCENT), _percent_that_follows(last)
    if given is None and follows is None:
        return None, "neither a percentage nor number and lymphocytes at the last infusion"
    sides = {percent < COMPLETE_BELOW_PCT for percent in (given, follows) if percent is not None}
    if len(sides) > 1:
        # Within rounding of each other, or the table had been refused: then the side is not known.
        return None, (
            f"at the last infusion {_number(given)} % is given and {_number(follows)} % follows from number and "
            "lymphocytes, on two sides of 0.5 %"
        )
    percent, source = (follows, "from number and lymphocytes") if given is None else (given, "given")
    return sides.pop(), f"{_number(percent)} % of all lymphocytes at the last infusion ({source})"


def _fell(start: ClinicalRecord | None, last: ClinicalRecord | None, *, diagnosed: bool) -> tuple[bool | None, str]:
    """Return whether the number fell by more than the limit, and from what that is known."""
    before, after = _number_of_cells(start), _number_of_cells(last)
    if before is None:
        instead = "; diagnosis does not stand for it" if diagnosed and start is None else ""
        return None, f"no number of CD3−CD4+ cells at the start of treatment{instead}"
    if after is None:
        return None, "no number of CD3−CD4+ cells at the last infusion"
    fell = before - after > PARTIAL_FALL_ABOVE * before
    return fell, f"{_number(before)} to {_number(after)} × 10⁹/L from the start of treatment to the last infusion"


def _percent_that_follows(record: ClinicalRecord) -> Fraction | None:
    """Return the percentage from number and all lymphocytes; None without them, and without any lymphocyte.

    A number of 0 alone says nothing: it is rounded, and few lymphocytes make it a large share.
    """
    number, lymphocytes = _exact(record, NUMBER), _exact(record, LYMPHOCYTES)
    return None if number is None or not lymphocytes else 100 * number / lymphocytes


def _number_of_cells(record: ClinicalRecord | None) -> Fraction | None:
    """Return the number of cells, given or from percentage and lymphocytes."""
    if record is None:
        return None
    number, percent, lymphocytes = (_exact(record, series) for series in (NUMBER, PERCENT, LYMPHOCYTES))
    if number is None and percent is not None and lymphocytes is not None:
        return percent * lymphocytes / 100
    return number


def _exact(record: ClinicalRecord, series: str) -> Fraction | None:
    """Return the decimal that a person wrote: in binary, 100 · 0.0035 / 0.7 could fall on the wrong side of 0.5."""
    value = record.value(series)
    return None if value is None else Fraction(repr(float(value)))


def _number(value: Fraction | None) -> str:
    return "" if value is None else f"{float(value):.6g}"
