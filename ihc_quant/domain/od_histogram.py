"""How the optical density of the chromogen is spread over the cells of a section."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OdHistogram:
    """Cells by optical density, those called negative and those called positive apart.

    Attributes
    ----------
    step_od : float
        Width of a bin in optical density (log10). The first bin begins at 0 and also holds what lies below; the last
        one also holds what lies above.
    negative, positive : tuple of int
        Cells in each bin.
    cuts_od : tuple of float
        From which a cell is 1+, 2+ and 3+.
    measured_in : str
        Where the density was taken, as a page prints it: ``"mean of the cell"``.
    by_network : bool
        Whether the network called the cells; the first cut then calls none.
    """

    step_od: float
    negative: tuple[int, ...]
    positive: tuple[int, ...]
    cuts_od: tuple[float, float, float]
    measured_in: str
    by_network: bool

    def __post_init__(self) -> None:
        if not self.step_od > 0 or not self.negative or len(self.negative) != len(self.positive):
            raise ValueError("a histogram has bins of some width, the same for negative and positive cells")
        if min(*self.negative, *self.positive, 0) < 0:
            raise ValueError("no bin holds fewer than 0 cells")
