"""What spoils places of a slide: pen, folds, blur and the like, one cause a place; and what was found of the whole."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid


class Cause(IntEnum):
    """Why a place is not to be trusted. Where several hold, the one of the lowest number above 0 is kept."""

    CLEAN = 0
    PEN = 1
    FOLD = 2
    BLANK = 3
    SATURATED = 4
    BLUR = 5
    EDGE = 6


CAUSE_WORDS: dict[Cause, str] = {
    Cause.PEN: "pen",
    Cause.FOLD: "fold",
    Cause.BLANK: "air bubble or blank",
    Cause.SATURATED: "saturated stain",
    Cause.BLUR: "out of focus",
    Cause.EDGE: "edge of tissue",
}
"""Causes as a page prints them."""


@dataclass(frozen=True, slots=True)
class ControlProposal:
    """A fragment, or several side by side, that may be control tissue. Nothing is left out because of a proposal.

    Attributes
    ----------
    fragments : tuple of int
        Numbers of the fragments.
    distance_um : float
        To the rest of the tissue.
    reason : str
        A clause that says what sets it apart.
    """

    fragments: tuple[int, ...]
    distance_um: float
    reason: str


@dataclass(frozen=True, slots=True)
class QualityFindings:
    """What quality control says of a whole slide.

    Attributes
    ----------
    shares : dict of str to float
        Share of the tissue found that each cause takes, by the words of ``CAUSE_WORDS``.
    excluded_share : float
        Share of the tissue that excluded causes take.
    pen_on_glass_um2 : float
        Area of pen beside tissue; it costs no cells and is told.
    white_deviation : float or None
        Largest difference of a channel of empty glass from the expected white, as a share of it; None where the slide
        shows no glass.
    controls : tuple of ControlProposal
    flags : tuple of str
        A sentence for each thing that a reader of the figures must know.
    """

    shares: dict[str, float] = field(default_factory=dict)
    excluded_share: float = 0.0
    pen_on_glass_um2: float = 0.0
    white_deviation: float | None = None
    controls: tuple[ControlProposal, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class QualityMap:
    """The cause of each place of a slide.

    Attributes
    ----------
    causes : ndarray, shape (H, W), uint8
        Values of ``Cause``; 0 is clean. Pen is marked on glass as well, everything else on tissue only.
    grid : Grid
        That of the tissue map.
    """

    causes: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        if self.causes.ndim != 2 or self.causes.dtype != np.uint8 or 0 in self.causes.shape:
            raise ValueError(f"causes are uint8 of shape (H, W), got {self.causes.dtype} {self.causes.shape}")
        if int(self.causes.max()) > max(Cause):
            raise ValueError(f"causes run from 0 to {int(max(Cause))}, got {int(self.causes.max())}")

    def excluded(self, causes: Iterable[Cause]) -> NDArray[np.bool_]:
        """Return the places of these causes, bool (H, W)."""
        return np.isin(self.causes, [int(cause) for cause in causes])

    def excluded_at(
        self, x_l0: NDArray[np.float64], y_l0: NDArray[np.float64], causes: Iterable[Cause]
    ) -> NDArray[np.bool_]:
        """Return whether each place, in level-0 pixels, lies in one of these causes; False outside the map."""
        height, width = self.causes.shape
        column = np.floor(np.asarray(x_l0, np.float64) / self.grid.scale_x)
        row = np.floor(np.asarray(y_l0, np.float64) / self.grid.scale_y)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = np.zeros(inside.shape, np.bool_)
        found[inside] = self.excluded(causes)[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        return found

    def areas_um2(self, within: NDArray[np.bool_]) -> dict[Cause, float]:
        """Return the area of each cause, in µm², within a mask of the map's shape; causes that do not occur are absent.

        Raises
        ------
        ValueError
            Where the mask has another shape.
        """
        if within.shape != self.causes.shape:
            raise ValueError(f"the mask has the map's shape {self.causes.shape}, got {within.shape}")
        counts = np.bincount(self.causes[within], minlength=len(Cause))
        pixel_um2 = self.grid.pixel_um**2
        return {cause: float(counts[cause]) * pixel_um2 for cause in Cause if cause != Cause.CLEAN and counts[cause]}
