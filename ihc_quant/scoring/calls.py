"""Calls and grades: which cells are positive, and how strongly.

Calls are derived from the cell table and from nothing else, so a new threshold needs neither slide nor network.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.cell_table import CellTable

QUPATH_CUTS_OD: tuple[float, float, float] = (0.2, 0.4, 0.6)
"""Default cuts of QuPath 0.5 for 1+, 2+ and 3+ DAB optical density (log10), compared with ≥."""

VALIDATION = "not validated"
"""Stands beside every cut: none was validated against readers for CD4, CD8 or CCR4."""

Compartment = Literal["cell", "nucleus", "ring"]
Statistic = Literal["mean", "p90"]


@dataclass(frozen=True, slots=True)
class CallRule:
    """How a cell is called and graded.

    Attributes
    ----------
    mode : {"network", "od"}
        ``"network"``: positive where ``p_positive`` reaches ``p_threshold``; the grade then comes from optical density,
        and a positive cell below the 2+ cut is 1+. ``"od"``: QuPath's rule, the grade is the number of cuts reached and
        a cell that reaches the first is positive.
    p_threshold : float
        Probability, 0 to 1. The weights' card states the calibrated one.
    cuts_od : tuple of float
        Optical densities (log10) from which a cell is 1+, 2+ and 3+, compared with ≥. They belong to the compartment.
    compartment : {"cell", "nucleus", "ring"}
        Where the density is taken: the whole cell for membrane markers.
    statistic : {"mean", "p90"}
        Mean or 90th percentile over the compartment.
    """

    mode: Literal["network", "od"] = "network"
    p_threshold: float = 0.5
    cuts_od: tuple[float, float, float] = QUPATH_CUTS_OD
    compartment: Compartment = "cell"
    statistic: Statistic = "mean"

    def __post_init__(self) -> None:
        if self.mode not in ("network", "od"):
            raise ValueError(f"a call is made by network or by od, got {self.mode!r}")
        if self.compartment not in ("cell", "nucleus", "ring") or self.statistic not in ("mean", "p90"):
            raise ValueError(f"no column holds the {self.statistic!r} of the {self.compartment!r}")
        if not 0 <= self.p_threshold <= 1:
            raise ValueError(f"the threshold of a probability lies between 0 and 1, got {self.p_threshold}")
        one, two, three = self.cuts_od
        if not (0 < one < two < three):
            raise ValueError(f"the cuts of 1+, 2+ and 3+ are positive and ascend, got {self.cuts_od}")

    @property
    def od_column(self) -> str:
        """Column of the cell table that the grade is taken from."""
        return f"od_{self.compartment}" + ("_p90" if self.statistic == "p90" else "")

    @property
    def label(self) -> str:
        """What stands beside the figures made with this rule."""
        return VALIDATION


def call_cells(table: CellTable, rule: CallRule) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Call and grade the cells of a table.

    Parameters
    ----------
    table : CellTable
        Measured cells.
    rule : CallRule
        Threshold and cuts.

    Returns
    -------
    positive : ndarray, shape (n,), bool
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3; above 0 exactly where the cell is positive.
    """
    return call_values(table.p_positive, getattr(table, rule.od_column), rule)


def call_values(
    p_positive: NDArray[np.float32], od: NDArray[np.float32], rule: CallRule
) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Call and grade cells whose columns are at hand, as ``call_cells`` does.

    Parameters
    ----------
    p_positive : ndarray, shape (n,), float32
        The network's probability.
    od : ndarray, shape (n,), float32
        Optical density (log10) from the column ``rule.od_column``.
    rule : CallRule
        Threshold and cuts.

    Examples
    --------
    >>> p, od = np.float32([0.1, 0.9, 0.9, 0.9]), np.float32([0.7, 0.1, 0.4, 0.7])
    >>> call_values(p, od, CallRule())[1].tolist()
    [0, 1, 2, 3]
    >>> call_values(p, od, CallRule(mode="od"))[1].tolist()
    [3, 0, 2, 3]
    """
    # The table is float32, and a cut is compared as float32 too: a density stored as 0.4 reaches the cut 0.4.
    one, two, three = (od >= np.float32(cut) for cut in rule.cuts_od)
    if rule.mode == "od":
        grade = one.astype(np.int8) + two.astype(np.int8) + three.astype(np.int8)
        return one, grade
    positive = p_positive >= np.float32(rule.p_threshold)
    grade = np.where(positive, 1 + two.astype(np.int8) + three.astype(np.int8), 0).astype(np.int8)
    return positive, grade
