"""Sections of a biopsy as they enter figures over two of them, and which of them must not be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import MarkerScore
from ihc_quant.domain.serial_sections import AnalysedRegion, CountedSection
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.density_error import CountedDensity


@dataclass(frozen=True, slots=True, eq=False)
class PanelSection:
    """A section that was scored over one region.

    Attributes
    ----------
    slide_id, biopsy_id, site : str
        As the manifest states them.
    region : AnalysedRegion
        Where ``score`` and ``blocks`` were counted.
    score : MarkerScore
    blocks : BlockCounts or None
        The same cells by block; None leaves the block bootstrap out.
    section_index : int or None
        Place in the block's series of sections; None where it is not recorded.
    thickness_um : float or None
        Of the section.
    nucleus_um : float or None
        Median diameter of the positive nuclei.
    errors : sequence of MeasurementError or None
        The network's own error, as ``score_marker`` took it.
    """

    slide_id: str
    biopsy_id: str
    site: str
    region: AnalysedRegion
    score: MarkerScore
    blocks: BlockCounts | None = None
    section_index: int | None = None
    thickness_um: float | None = None
    nucleus_um: float | None = None
    errors: Sequence[MeasurementError] | None = ()

    def __post_init__(self) -> None:
        if self.blocks is not None and self.blocks.total().positive != self.score.counts.positive:
            raise ValueError(f"{self.slide_id}: blocks and score are not of the same cells")
        sizes = (self.thickness_um, self.nucleus_um)
        if any(size is not None and not size > 0 for size in sizes):
            raise ValueError(f"{self.slide_id}: thickness and diameters are positive, got {sizes}")

    @property
    def marker(self) -> str:
        """What the section shows."""
        return self.score.marker

    @property
    def density(self) -> CountedDensity:
        """The density of positive cells with what is known of the error of their number."""
        return CountedDensity(self.marker, self.score.counts, self.score.positive_density_per_mm2, self.errors)

    @property
    def counted(self) -> CountedSection:
        """The section as results name it."""
        return CountedSection(self.slide_id, self.marker, self.region, self.score.counts)


@dataclass(frozen=True, slots=True)
class MissingSection:
    """A section that gives no figure: there is none, it failed, or it has no tissue or no such region.

    Attributes
    ----------
    marker : str
    reason : str
        A clause: ``"the biopsy has no CD8 section"``.
    slide_id : str
        Empty where there is no such section.
    """

    marker: str
    reason: str
    slide_id: str = ""

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("a missing section has a reason")

    @property
    def counted(self) -> CountedSection:
        """The section as results name it."""
        return CountedSection(self.slide_id, self.marker)


Side = PanelSection | MissingSection
"""One side of a pair."""


def refuse_pair(one: Side, other: Side) -> str:
    """Return why two sections must not be compared, or nothing.

    Raises
    ------
    ValueError
        Where both show the same marker: they are replicates, not a pair.
    """
    missing = [side for side in (one, other) if isinstance(side, MissingSection)]
    if missing:
        return "; ".join(dict.fromkeys(side.reason for side in missing))
    assert isinstance(one, PanelSection)
    assert isinstance(other, PanelSection)
    if one.marker == other.marker:
        raise ValueError(f"{one.slide_id} and {other.slide_id} both show {one.marker}; a pair shows two markers")
    if one.biopsy_id != other.biopsy_id:
        return f"{one.slide_id} and {other.slide_id} are of different biopsies ({one.biopsy_id}, {other.biopsy_id})"
    if one.site != other.site:
        return f"{one.slide_id} is of {one.site} and {other.slide_id} of {other.site}: the sites do not match"
    if one.region.kind != other.region.kind:
        return (
            f"{one.slide_id} was scored over {one.region.label} and {other.slide_id} over {other.region.label}: "
            "the regions do not match"
        )
    if one.region.origin != other.region.origin:
        proposed = one if one.region.origin == "proposed" else other
        return (
            f"the {proposed.region.kind} of {proposed.slide_id} was proposed by the software and that of the other "
            "section drawn: confirm or draw it on both"
        )
    return ""
