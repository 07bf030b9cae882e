"""How far the scores of a section move with their cuts, and where its positive cells are densest."""

from dataclasses import dataclass

from ihc_quant.domain.score import CellCounts, Estimate


@dataclass(frozen=True, slots=True)
class Variant:
    """The scores of a section under one choice of threshold and cuts.

    Attributes
    ----------
    name : str
        As a page prints it: ``"OD cuts × 0.75"``.
    p_threshold : float or None
        None where cells are called by optical density.
    cuts_od : tuple of float
    counts : CellCounts
    positive_fraction, positive_density_per_mm2, h_score : Estimate
        Without intervals: how much they move is what they are for.
    """

    name: str
    p_threshold: float | None
    cuts_od: tuple[float, float, float]
    counts: CellCounts
    positive_fraction: Estimate
    positive_density_per_mm2: Estimate
    h_score: Estimate


@dataclass(frozen=True, slots=True)
class ThresholdSensitivity:
    """The scores of a section under other thresholds and cuts.

    Attributes
    ----------
    chosen : Variant
        The run's own settings.
    others : tuple of Variant
    notes : tuple of str
        What does not move, and why.
    """

    chosen: Variant
    others: tuple[Variant, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HotSpot:
    """The window with the highest density of positive cells.

    Attributes
    ----------
    density_per_mm2 : Estimate
        Positive cells over the tissue in the window. Its interval of sampling allows for the choice of the highest of
        many windows; the last one holds the network's own error too, where that is known. None with a reason.
    side_um, step_um : float
        Windows are squares with sides along the slide's; they were tried at every step.
    min_tissue_share : float
        Of a window that may be chosen.
    x_um, y_um : float or None
        Upper left corner of the window in the level-0 plane; None where no window stands out.
    positive, cells : int
        Positive cells and all nucleated cells in the window; of all windows together where none stands out.
    tissue_um2 : float
        Tissue in the window, or under all of them.
    """

    density_per_mm2: Estimate
    side_um: float
    step_um: float
    min_tissue_share: float
    x_um: float | None = None
    y_um: float | None = None
    positive: int = 0
    cells: int = 0
    tissue_um2: float = 0.0

    def __post_init__(self) -> None:
        if (self.x_um is None) != (self.y_um is None) or (self.x_um is not None and not self.tissue_um2 > 0):
            raise ValueError("a place has two coordinates and tissue")
        if not 0 <= self.positive <= self.cells:
            raise ValueError(f"{self.positive} of {self.cells} cells cannot be positive")
