"""Agreement of readers with one another and with the machine, and of found with marked cells: values only."""

from dataclasses import dataclass
from enum import StrEnum

from ihc_quant.domain.score import Estimate


class Measure(StrEnum):
    """What readers gave figures of; ``OTHER`` is a scale of the laboratory's own."""

    PERCENT = "percent"
    DENSITY = "density"
    H_SCORE = "h-score"
    OTHER = "other"

    @property
    def unit(self) -> str:
        """How a figure's unit is printed; empty where there is none."""
        return {Measure.PERCENT: "%", Measure.DENSITY: "cells/mm²"}.get(self, "")

    @property
    def allowed(self) -> tuple[float, float]:
        """Least and greatest possible figure."""
        infinite = float("inf")
        return {
            Measure.PERCENT: (0.0, 100.0),
            Measure.DENSITY: (0.0, infinite),
            Measure.H_SCORE: (0.0, 300.0),
            Measure.OTHER: (-infinite, infinite),
        }[self]


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Mean squares of an analysis of variance of targets × readers, one figure each.

    Attributes
    ----------
    targets, readers : int
        At least 2 each.
    between_targets, between_readers, residual : float
        Of the two-way analysis.
    within : float
        Within targets, of the one-way analysis.
    """

    targets: int
    readers: int
    between_targets: float
    between_readers: float
    residual: float
    within: float


@dataclass(frozen=True, slots=True)
class GroupReliability:
    """Intraclass correlation of a group of readers.

    Attributes
    ----------
    name : str
        For example ``"people"``.
    readers : tuple of str
    targets : int
        Those that every reader of the group judged.
    left_out : int
        Targets that somebody in the group did not judge.
    squares : MeanSquares or None
        None where there are too few targets.
    forms : tuple of Estimate
        ICC(1,1), (2,1), (3,1), (1,k), (2,k), (3,k); the form stands in ``unit``.
    """

    name: str
    readers: tuple[str, ...]
    targets: int
    left_out: int
    squares: MeanSquares | None
    forms: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class DifferenceLimits:
    """Bland and Altman's figures of the differences one − other.

    Attributes
    ----------
    bias : Estimate
        Mean difference.
    low, high : Estimate
        95 % limits of agreement.
    slope : Estimate
        Change of the difference with the mean of both; away from 0, one pair of limits does not serve the whole range.
    """

    bias: Estimate
    low: Estimate
    high: Estimate
    slope: Estimate


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two readers and the targets that both judged.

    Attributes
    ----------
    one, other : str
        Readers; the machine is always ``one``.
    with_machine : bool
    targets : tuple of str
    of_one, of_other : tuple of float
        Their figures, in the order of ``targets``.
    left_out : int
        Targets that are not compared.
    concordance : Estimate
        Lin's coefficient.
    limits : DifferenceLimits
    mean_absolute_difference : float or None
    """

    one: str
    other: str
    with_machine: bool
    targets: tuple[str, ...]
    of_one: tuple[float, ...]
    of_other: tuple[float, ...]
    left_out: int
    concordance: Estimate
    limits: DifferenceLimits
    mean_absolute_difference: float | None


@dataclass(frozen=True, slots=True)
class CategoryPair:
    """Two readers' categories.

    Attributes
    ----------
    one, other : str
    with_machine : bool
    left_out : int
    table : tuple of tuple of int
        Targets by category of ``one`` (rows) and of ``other`` (columns).
    same : Estimate
        Share of targets in the same category, a fraction.
    kappa : Estimate
        Cohen's, unweighted.
    linear, quadratic : Estimate or None
        Weighted; None where categories have no order or there are only two.
    """

    one: str
    other: str
    with_machine: bool
    left_out: int
    table: tuple[tuple[int, ...], ...]
    same: Estimate
    kappa: Estimate
    linear: Estimate | None
    quadratic: Estimate | None

    @property
    def targets(self) -> int:
        """Targets that both put in a category."""
        return sum(map(sum, self.table))


@dataclass(frozen=True, slots=True)
class CategoryAgreement:
    """Agreement in the categories of one scheme.

    Attributes
    ----------
    scheme : str
        Its name, or ``"categories"`` for those that readers wrote.
    categories : tuple of str
        From lowest to highest where ``ordered``.
    ordered : bool
    pairs : tuple of CategoryPair
    """

    scheme: str
    categories: tuple[str, ...]
    ordered: bool
    pairs: tuple[CategoryPair, ...]


@dataclass(frozen=True, slots=True)
class MachineAgainstPeople:
    """One figure of agreement: between the machine and people, among people, and the difference.

    Attributes
    ----------
    figure : str
        What is compared.
    machine, people : float
        Means over machine–reader and over reader–reader pairs.
    difference : Estimate
        ``machine − people``.
    larger_is_better : bool
    targets : int
        Judged by everybody.
    """

    figure: str
    machine: float
    people: float
    difference: Estimate
    larger_is_better: bool
    targets: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """All that a table of readers gives.

    Attributes
    ----------
    target_kind : str
        ``"slide_id"`` or ``"biopsy_id"``.
    measure : Measure
    readers : tuple of str
        People first, then the machine.
    machine : str or None
    targets : int
        In the table.
    missing : tuple of str
        A sentence on what is missing and how that was treated.
    groups : tuple of GroupReliability
    pairs : tuple of PairAgreement
        Machine–reader pairs first.
    schemes : tuple of CategoryAgreement
    comparison : tuple of MachineAgainstPeople
    """

    target_kind: str
    measure: Measure
    readers: tuple[str, ...]
    machine: str | None
    targets: int
    missing: tuple[str, ...]
    groups: tuple[GroupReliability, ...]
    pairs: tuple[PairAgreement, ...]
    schemes: tuple[CategoryAgreement, ...]
    comparison: tuple[MachineAgainstPeople, ...]


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """Precision, recall and F1 of cells of one call.

    Attributes
    ----------
    name : str
        ``"positive"``, ``"negative"`` or ``"either call"``.
    tp, fp, fn : int
        Found, wrongly found and missed cells.
    precision, recall, f1 : Estimate
        Fractions with Wilson intervals. That of F1 = 2 J / (1 + J) follows from the one of J = tp / (tp + fp + fn).
    """

    name: str
    tp: int
    fp: int
    fn: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class CellAgreement:
    """Found cells of a slide against marked ones.

    Attributes
    ----------
    area_mm2 : float
        In which every cell was marked.
    radius_um : float
        Greatest distance of a pair.
    marked, found : int
        Cells inside the area.
    figures : tuple of DetectionFigures
        Positive, negative, either.
    calls : tuple of tuple of int
        Of the pairs with a known call: rows marked negative, positive; columns called negative, positive.
    """

    area_mm2: float
    radius_um: float
    marked: int
    found: int
    figures: tuple[DetectionFigures, ...]
    calls: tuple[tuple[int, int], tuple[int, int]]
