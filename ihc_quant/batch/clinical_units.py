"""Whether the figures of a clinical table can be in the units that its columns name.

A count in cells/µL is a thousand times too large and a percentage written as a fraction a hundred times too small, and
both are numbers like any other. They give themselves away against a second figure of the row: number over percentage
is the number of all lymphocytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ihc_quant.domain.clinical import DIAGNOSIS, EOSINOPHILS, LYMPHOCYTES, NUMBER, PERCENT, TREATMENT_START

MOST_CELLS_1E9_L = 200
"""No count of one kind of white cell is larger in this disease; the letter's largest is 55.586. Our judgement."""

MOST_IMPLIED_1E9_L = 100
"""Most lymphocytes that are believed without being stated; the letter implies at most 6.901. Our judgement."""

SLACK = Fraction(1, 10)
"""Share by which percentage and counts may disagree beyond rounding: two machines may have counted. Our judgement."""

WHOLE_FROM_1E9_L = 20
"""A column of whole numbers that reaches this is looked at again: cells/µL are whole. Our judgement."""

COUNTS = (NUMBER, LYMPHOCYTES, EOSINOPHILS)

CELLS_PER_UL = "if these are cells/µL divide by 1000"


@dataclass(frozen=True, slots=True)
class Figure:
    """A decimal as it was written.

    Attributes
    ----------
    text : str
    value : Fraction
        Exactly what the text says.
    half : Fraction
        Half a unit of the last digit: how far rounding may have moved it.
    """

    text: str
    value: Fraction
    half: Fraction

    @property
    def low(self) -> Fraction:
        """Least value that rounds to it."""
        return max(Fraction(0), self.value - self.half)

    @property
    def high(self) -> Fraction:
        """Largest value that rounds to it."""
        return self.value + self.half


def row_unit_faults(figures: Mapping[str, Figure]) -> list[str]:
    """Return what is impossible within one row, as ``column: what; cure``.

    Parameters
    ----------
    figures : mapping of series to Figure
        Those that the row gives, none below 0.
    """
    faults = [
        f"{series}: {figures[series].text} × 10⁹/L is beyond any patient; {CELLS_PER_UL}, else correct it"
        for series in COUNTS
        if series in figures and figures[series].value > MOST_CELLS_1E9_L
    ]
    percent, number, lymphocytes = (figures.get(series) for series in (PERCENT, NUMBER, LYMPHOCYTES))
    if percent and percent.value > 100:
        faults.append(f"{PERCENT}: {percent.text} is over 100 %; correct it")
    if faults:
        return faults
    if number and lymphocytes and number.value > lymphocytes.value:
        return [
            f"{NUMBER}: {number.text} is more than all lymphocytes ({lymphocytes.text}); {CELLS_PER_UL}, else correct "
            "one of them"
        ]
    if percent and number and lymphocytes:
        return _disagreement(percent, number, lymphocytes)
    if percent and number:
        return _implausible_lymphocytes(percent, number)
    return []


def table_unit_faults(rows: Sequence[tuple[int, str, Mapping[str, Figure]]]) -> list[tuple[int, str]]:
    """Return the percentages that are fractions by the look of the whole table, as (line, ``column: what; cure``).

    Where every percentage is at most 1, those of diagnosis or start of treatment, which were high enough for somebody
    to find them, are doubted unless number and lymphocytes of the row bear them out.

    Parameters
    ----------
    rows : sequence of (line, timepoint, figures)
        Without faults of their own.
    """
    percents = [(line, timepoint, figures) for line, timepoint, figures in rows if PERCENT in figures]
    if any(figures[PERCENT].value > 1 for _, _, figures in percents):
        return []
    return [
        (
            line,
            f"{PERCENT}: {figures[PERCENT].text} and every other percentage is at most 1; if these are fractions "
            f"multiply by 100, else give {NUMBER} and {LYMPHOCYTES} of this row too",
        )
        for line, timepoint, figures in percents
        if timepoint in (DIAGNOSIS, TREATMENT_START)
        and figures[PERCENT].value > 0
        and not (NUMBER in figures and LYMPHOCYTES in figures)
    ]


def unit_cautions(rows: Sequence[Mapping[str, Figure]]) -> tuple[str, ...]:
    """Return columns that look like cells/µL although every value is possible."""
    cautions = []
    for series in COUNTS:
        values = [figures[series].value for figures in rows if series in figures]
        whole = all(value.denominator == 1 for value in values)
        if whole and sum(value > 0 for value in values) > 1 and max(values) >= WHOLE_FROM_1E9_L:
            cautions.append(f"{series}: all values are whole numbers; check that they are 10⁹/L and not cells/µL.")
    return tuple(cautions)


def _disagreement(percent: Figure, number: Figure, lymphocytes: Figure) -> list[str]:
    """Return the fault of a percentage that number and lymphocytes do not give, with the likeliest cause."""
    if lymphocytes.low == 0:
        return []
    # The percentage that follows, at the ends of what rounding leaves open, and slack on both sides.
    low = 100 * number.low / lymphocytes.high * (1 - SLACK)
    high = 100 * number.high / lymphocytes.low * (1 + SLACK)

    def agrees(times: Fraction) -> bool:
        return percent.high * times >= low and percent.low * times <= high

    if agrees(Fraction(1)):
        return []
    cure = "correct one of the three"
    if agrees(Fraction(100)):
        cure = "if the percentage is a fraction multiply it by 100"
    elif agrees(Fraction(1000)):
        cure = f"{NUMBER}: {CELLS_PER_UL}"
    elif agrees(Fraction(1, 1000)):
        cure = f"{LYMPHOCYTES}: {CELLS_PER_UL}"
    implied = f"imply {float(100 * number.value / percent.value):.3f}" if percent.value else "do not fit to"
    return [
        f"{LYMPHOCYTES}: {number.text} × 10⁹/L at {percent.text} % {implied} × 10⁹/L lymphocytes and "
        f"{lymphocytes.text} are given; {cure}"
    ]


def _implausible_lymphocytes(percent: Figure, number: Figure) -> list[str]:
    """Return the fault of a number and a percentage that imply more lymphocytes than anybody has."""
    if number.low <= MOST_IMPLIED_1E9_L * percent.high / 100:
        return []
    implied = f"imply {float(100 * number.value / percent.value):.3f}" if percent.value else "imply countless"
    return [
        f"{PERCENT}: {number.text} × 10⁹/L at {percent.text} % {implied} × 10⁹/L lymphocytes; if the percentage is a "
        f"fraction multiply it by 100, if the number is cells/µL divide it by 1000, else give {LYMPHOCYTES}"
    ]
