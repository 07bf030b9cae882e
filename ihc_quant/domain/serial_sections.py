"""What two sections of one biopsy say together: a ratio of densities and bounds, never a fraction of single cells."""

from dataclasses import dataclass
from typing import Literal

from ihc_quant.domain.score import CellCounts, Estimate

ALL_TISSUE = "all tissue"
"""Kind of the region that is everything found on a section."""

SERIAL_SECTION_RATIO = "serial-section ratio, not a fraction of cells"
"""Stands beside every ratio of densities of two sections."""

MISSED_NUCLEI = (
    "Nuclei that were not found are missing from the denominators; they inflate both fractions and the bounds."
)
"""Stands beside every pair of bounds."""

DOUBLE_STAIN = (
    "Serial sections do not show the same cells; a double stain on one section, or stain, erase and restain, gives a "
    "true fraction."
)
"""What would give what these figures cannot."""


@dataclass(frozen=True, slots=True)
class AnalysedRegion:
    """What part of a section was counted.

    Attributes
    ----------
    kind : str
        ``ALL_TISSUE`` or the name of a compartment: ``"infiltrate"``, ``"dermis"`` …
    origin : {"tissue", "drawn", "proposed"}
        ``"drawn"``: a person drew or confirmed it. ``"proposed"``: the software found it and nobody reviewed it.
        ``"tissue"``: nothing was drawn and all tissue counts.
    """

    kind: str = ALL_TISSUE
    origin: Literal["tissue", "drawn", "proposed"] = "tissue"

    def __post_init__(self) -> None:
        if self.origin not in ("tissue", "drawn", "proposed"):
            raise ValueError(f"a region is drawn, proposed, or all tissue, got {self.origin!r}")
        if not self.kind or (self.kind == ALL_TISSUE) != (self.origin == "tissue"):
            raise ValueError(f"a region of kind {self.kind!r} cannot have the origin {self.origin!r}")

    @property
    def label(self) -> str:
        """The region as a page names it."""
        return f"{self.kind} (proposed, not reviewed)" if self.origin == "proposed" else self.kind


@dataclass(frozen=True, slots=True)
class CountedSection:
    """One side of a ratio or of a pair of bounds: whose cells were counted, and in how much tissue.

    Attributes
    ----------
    slide_id, marker : str
        ``slide_id`` is empty where the biopsy has no such section.
    region : AnalysedRegion or None
        None where nothing was counted.
    counts : CellCounts or None
    """

    slide_id: str
    marker: str
    region: AnalysedRegion | None = None
    counts: CellCounts | None = None

    @property
    def statement(self) -> str:
        """Positive cells, all cells and area in words, the denominators of every figure of this section.

        Examples
        --------
        >>> CountedSection("S1", "CD4", AnalysedRegion(), CellCounts(900, 60, 30, 10, 2.5e6)).statement
        'CD4+ 100 of 1,000 nucleated cells in 2.50 mm² of all tissue on S1'
        """
        if self.counts is None or self.region is None:
            return f"{self.marker}: nothing counted" + (f" on {self.slide_id}" if self.slide_id else "")
        counts = self.counts
        return (
            f"{self.marker}+ {counts.positive:,} of {counts.total:,} nucleated cells in "
            f"{counts.area_um2 / 1e6:.2f} mm² of {self.region.label} on {self.slide_id}"
        )


@dataclass(frozen=True, slots=True)
class DensityRatio:
    """Density of one marker's positive cells on its section over that of another marker on another section.

    Attributes
    ----------
    numerator, denominator : CountedSection
    ratio : Estimate
        Unit ``"ratio"``; may exceed 1. None with the reason where it cannot be given. Its intervals hold sampling
        alone, but for the last one where the network's own error of both densities is known: that holds both.
    warnings : tuple of str
        Sentences that must stand beside it.
    label : str
        ``SERIAL_SECTION_RATIO``.
    """

    numerator: CountedSection
    denominator: CountedSection
    ratio: Estimate
    warnings: tuple[str, ...] = ()
    label: str = SERIAL_SECTION_RATIO

    @property
    def name(self) -> str:
        """The ratio as pathologists write it: ``"CD4:CD8"``."""
        return f"{self.numerator.marker}:{self.denominator.marker}"


@dataclass(frozen=True, slots=True)
class FractionRange:
    """Two fractions between which something lies, 0 to 1."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"a range of fractions runs upwards within 0 to 1, got {self.low} to {self.high}")


@dataclass(frozen=True, slots=True)
class CoexpressionBounds:
    """Bounds on the fraction of nucleated cells that carry both markers, from each marker's fraction alone.

    Attributes
    ----------
    one, other : CountedSection
        Each fraction is over its own section's cells.
    bounds : FractionRange or None
        From the two fractions as they are. None with a reason.
    widened : FractionRange or None
        From the outer limits of all intervals of both fractions; what a page shows.
    reason : str
        Why there are none; empty otherwise.
    warnings : tuple of str
        Sentences that must stand beside them.
    """

    one: CountedSection
    other: CountedSection
    bounds: FractionRange | None
    widened: FractionRange | None
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.bounds is None) != bool(self.reason) or (self.bounds is None) != (self.widened is None):
            raise ValueError("there are bounds and widened bounds, or a reason")
        if self.bounds and self.widened and not self.widened.low <= self.bounds.low <= self.bounds.high:
            raise ValueError("widened bounds hold the bounds")
        if self.bounds and self.widened and not self.bounds.high <= self.widened.high:
            raise ValueError("widened bounds hold the bounds")
