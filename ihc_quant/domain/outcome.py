"""What became of a slide. Failure is a value."""

from dataclasses import dataclass

from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts, MarkerScore
from ihc_quant.domain.sensitivity import HotSpot, ThresholdSensitivity
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain

WHOLE = AnalysedRegion()
"""Everything found on a section, where nobody drew what to analyse."""


@dataclass(frozen=True, slots=True)
class RegionScore:
    """Scores over one part of a section.

    Attributes
    ----------
    region : AnalysedRegion
    score : MarkerScore
    nucleus_um : float or None
        Median diameter of the positive nuclei, of circles of their areas; None without any.
    """

    region: AnalysedRegion
    score: MarkerScore
    nucleus_um: float | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tissue that was found and not analysed.

    Attributes
    ----------
    cause : str
        As a page prints it: ``"drawn exclusion"``, ``"outside the drawn area"``, ``"control tissue"``, ``"fragments
        that are not named"``, ``"pen"``, ``"fold"``, ``"out of focus"`` …
    area_um2 : float
        Each place counts for one cause.
    """

    cause: str
    area_um2: float


@dataclass(frozen=True, slots=True)
class DrawnBy:
    """The annotations that were applied.

    Attributes
    ----------
    file_sha256 : str
        Of the annotation file.
    regions : int
        Drawn areas in it.
    notes : tuple of str
        A sentence for each outline that was mended and for objects that were left aside.
    excluded : tuple of str
        Classes of the areas that were taken out of the analysis, as the person wrote them, each once.
    """

    file_sha256: str
    regions: int
    notes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A slide that was scored.

    Attributes
    ----------
    slide_id : str
    stain : SectionStain
    score : MarkerScore
        Over everything that was analysed, compartments included.
    fragments : tuple of (number, CellCounts)
        Counts of what was analysed of each tissue fragment.
    provenance : Provenance
    region : AnalysedRegion
        What ``score`` is over.
    nucleus_um : float or None
        Median diameter of the positive nuclei in it.
    compartments : tuple of RegionScore
        Named parts of the analysed tissue, drawn or proposed.
    control : MarkerScore or None
        Of control tissue on the same glass, which is not the patient's; None where there is none.
    left_out : tuple of LeftOut
        Largest first.
    annotations : DrawnBy or None
        None where nobody drew anything.
    sensitivity : ThresholdSensitivity or None
    hot_spot : HotSpot or None
    notes : tuple of str
        Sentences about the whole section that must stand beside its figures.
    """

    slide_id: str
    stain: SectionStain
    score: MarkerScore
    fragments: tuple[tuple[int, CellCounts], ...]
    provenance: Provenance
    region: AnalysedRegion = WHOLE
    nucleus_um: float | None = None
    compartments: tuple[RegionScore, ...] = ()
    control: MarkerScore | None = None
    left_out: tuple[LeftOut, ...] = ()
    annotations: DrawnBy | None = None
    sensitivity: ThresholdSensitivity | None = None
    hot_spot: HotSpot | None = None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[RegionScore, ...]:
        """The whole first, then its compartments."""
        return (RegionScore(self.region, self.score, self.nucleus_um), *self.compartments)


@dataclass(frozen=True, slots=True)
class Shown:
    """A section that is shown and not scored, because it carries no chromogen, as H&E."""

    slide_id: str
    stain: SectionStain
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class NoTissue:
    """A slide on which no tissue was found."""

    slide_id: str
    stain: SectionStain
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Failed:
    """A slide that could not be scored; ``reason`` names the cure."""

    slide_id: str
    stain: SectionStain
    reason: str


SlideOutcome = Scored | Shown | NoTissue | Failed
