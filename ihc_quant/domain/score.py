"""Counts that add, and the scores derived from them once, at the end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CellCounts:
    """Cells of each grade and the area they were counted in. A monoid: counts add over tiles, slides and biopsies.

    Examples
    --------
    >>> CellCounts(8, 1, 1, 0, 100.0) + CellCounts(2, 0, 0, 1, 50.0)
    CellCounts(negative=10, one_plus=1, two_plus=1, three_plus=1, area_um2=150.0)
    """

    negative: int = 0
    one_plus: int = 0
    two_plus: int = 0
    three_plus: int = 0
    area_um2: float = 0.0

    def __post_init__(self) -> None:
        if min(self.negative, self.one_plus, self.two_plus, self.three_plus) < 0 or not self.area_um2 >= 0:
            raise ValueError(f"counts and areas are not negative, got {self}")

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(
            self.negative + other.negative,
            self.one_plus + other.one_plus,
            self.two_plus + other.two_plus,
            self.three_plus + other.three_plus,
            self.area_um2 + other.area_um2,
        )

    @property
    def positive(self) -> int:
        """Cells of any positive grade."""
        return self.one_plus + self.two_plus + self.three_plus

    @property
    def total(self) -> int:
        """All cells, the denominator of every fraction."""
        return self.negative + self.positive


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        In the unit of the estimate.
    level : float
        Confidence, for example 0.95.
    method : str
        How it was made, as a page prints it.
    reliable : bool
        False where the method's own conditions are not met; ``note`` then says why.
    note : str
        Empty, or the reason.
    """

    low: float
    high: float
    level: float
    method: str
    reliable: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval runs upwards, got {self.low} to {self.high}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its intervals, or the reason why there is none.

    Attributes
    ----------
    value : float or None
        None where it cannot be evaluated; never 0 and never NaN in its place.
    unit : str
        ``"fraction"``, ``"cells/mm²"`` or ``"H-score"``.
    intervals : tuple of Interval
        Empty where there is no value.
    reason : str
        Why there is no value; empty otherwise.
    """

    value: float | None
    unit: str
    intervals: tuple[Interval, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError("an estimate has either a value or a reason")


@dataclass(frozen=True, slots=True)
class UncertainCalls:
    """Cells whose probability lies in the band within which the weights' card takes a call as uncertain.

    Attributes
    ----------
    low, high : float
        The band of ``p_positive``; the upper end is no longer in it.
    cells, total : int
        Cells in the band, of all cells.
    share : Estimate
        ``cells`` over ``total``; none, with the reason, where the calls were made with a threshold outside of the band.
    fraction_if_negative, fraction_if_positive : Estimate
        The positive fraction if all of them were called negative, or positive; cells below the band are negative and
        cells above it positive.
    """

    low: float
    high: float
    cells: int
    total: int
    share: Estimate
    fraction_if_negative: Estimate
    fraction_if_positive: Estimate

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1 or not 0 <= self.cells <= self.total:
            raise ValueError(f"no band holds {self.cells} of {self.total} cells from {self.low} to {self.high}")


NO_ERROR_STATED = "measurement error unknown: the card of the weights states none"
"""What a page says where nobody measured how far the network is off."""


@dataclass(frozen=True, slots=True)
class CorrectedFraction:
    """The positive fraction corrected for the network's miscalls, if these were as frequent as on one image set.

    Attributes
    ----------
    measured_on : str
        Marker and tissue of that set, as a page prints it.
    fraction : Estimate
        A sensitivity figure, not a result; its interval is the one of sampling with the uncertainty of the correction.
    """

    measured_on: str
    fraction: Estimate


@dataclass(frozen=True, slots=True)
class NetworkError:
    """What is known of the network's own error: on what it was measured and for what it was not, or that it is unknown.

    Attributes
    ----------
    of_percentage : str
        Of the positive fraction; as a page prints it, as are the others.
    of_positive_cells : str
        Of the number of positive cells, and so of their density and its ratios.
    of_all_cells : str
        Of the number of all nucleated cells.
    of_grades : str
        Of 1+, 2+ and 3+, and so of the H-score.
    corrected : tuple of CorrectedFraction
        The percentage, one for each set that its error was measured on.
    """

    of_percentage: str
    of_positive_cells: str = NO_ERROR_STATED
    of_all_cells: str = NO_ERROR_STATED
    of_grades: str = NO_ERROR_STATED
    corrected: tuple[CorrectedFraction, ...] = ()

    @property
    def by_figure(self) -> tuple[tuple[str, str], ...]:
        """What is known of each error, after the name of what errs."""
        return (
            ("percentage", self.of_percentage),
            ("number of positive cells", self.of_positive_cells),
            ("number of all cells", self.of_all_cells),
            ("grades", self.of_grades),
        )


UNKNOWN_ERROR = NetworkError(NO_ERROR_STATED)


@dataclass(frozen=True, slots=True)
class MarkerScore:
    """Scores of one marker on one section.

    Attributes
    ----------
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    counts : CellCounts
        What everything below is derived from; ``counts.total`` is the printed denominator.
    positive_fraction : Estimate
        Positive cells over all nucleated cells, 0 to 1. Its intervals hold sampling alone, but for the last one where
        the network's own error is known: that holds both.
    positive_density_per_mm2 : Estimate
        Positive cells over the analysed area; its intervals as those of the fraction, where the error of the number of
        positive cells is known.
    h_score : Estimate
        0 to 300. Its last interval holds the network's error where that of the fraction is known; that of grades is
        not, and moved cuts stand in its place.
    cautions : tuple of str
        Sentences that must stand beside the figures, for example "low count".
    uncertain : UncertainCalls or None
        None where cells were not called by the network's probability.
    network_error : NetworkError
    cell_density_per_mm2 : Estimate
        All nucleated cells over the analysed area: the interval of ``counts.total``, area taken as it is.
    grade_fractions : tuple of Estimate
        Cells of 1+, of 2+ and of 3+ over all nucleated cells; intervals as those of the H-score. Empty where nobody
        derived them.
    """

    marker: str
    counts: CellCounts
    positive_fraction: Estimate
    positive_density_per_mm2: Estimate
    h_score: Estimate
    cautions: tuple[str, ...] = ()
    uncertain: UncertainCalls | None = None
    network_error: NetworkError = UNKNOWN_ERROR
    cell_density_per_mm2: Estimate = Estimate(None, "cells/mm²", reason="it was not derived")
    grade_fractions: tuple[Estimate, ...] = ()

    def __post_init__(self) -> None:
        if len(self.grade_fractions) not in (0, 3):
            raise ValueError(f"there are three positive grades, got {len(self.grade_fractions)} fractions")
