"""What the sections of a biopsy say together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ihc_quant.domain.ccr4 import SchemeVerdict
from ihc_quant.domain.outcome import Failed, NoTissue, RegionScore, Scored, SlideOutcome
from ihc_quant.domain.serial_sections import CoexpressionBounds, DensityRatio

PANEL_MARKERS: tuple[str, ...] = ("CD4", "CD8", "CCR4")
"""Markers of the panel, in the order in which it is shown."""


@dataclass(frozen=True, slots=True)
class PooledLevels:
    """Several sections of one marker taken together, or why they are not.

    Attributes
    ----------
    marker : str
    slide_ids : tuple of str
        The sections, in the order of the report.
    parts : tuple of RegionScore
        Ratios of sums over the sections: the whole first, then the compartments that every section has. No diameter
        of nuclei. Empty where the sections are not taken together.
    reason : str
        Why they are not, a clause; empty where they are.
    """

    marker: str
    slide_ids: tuple[str, ...]
    parts: tuple[RegionScore, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.slide_ids) < 2:
            raise ValueError(f"several sections are taken together, got {self.slide_ids}")
        if bool(self.parts) == bool(self.reason):
            raise ValueError("levels have either figures or a reason why there are none")

    @property
    def name(self) -> str:
        """Name for a page, as ``2 levels together``."""
        return f"{len(self.slide_ids)} levels together"


@dataclass(frozen=True, slots=True)
class BiopsyPanel:
    """Figures over several sections.

    Attributes
    ----------
    ratios : tuple of DensityRatio
        By kind of region, then ratio.
    bounds : tuple of CoexpressionBounds
    schemes : tuple of SchemeVerdict
        Of all published CCR4 schemes, none picked.
    levels : tuple of PooledLevels
        One for each marker of the panel that several sections show.
    """

    ratios: tuple[DensityRatio, ...] = ()
    bounds: tuple[CoexpressionBounds, ...] = ()
    schemes: tuple[SchemeVerdict, ...] = ()
    levels: tuple[PooledLevels, ...] = ()


@dataclass(frozen=True, slots=True)
class SectionRecord:
    """What the manifest records of a section.

    Attributes
    ----------
    slide_id : str
    replicate : str
        ``"level 2 of 3"``; empty where the section has no replicates.
    details : mapping of str to str
        Recorded columns of the manifest that a report repeats; what is absent is "not recorded".
    scan : mapping of str to str
        Scanner, objective, µm per pixel, stain vectors and white point, as a page prints them; empty where the slide
        could not be read.
    """

    slide_id: str
    replicate: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    scan: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BiopsyReport:
    """All that a biopsy's report shows.

    Attributes
    ----------
    biopsy_id, patient_id, site : str
        As the manifest states them.
    outcomes : tuple of SlideOutcome
        One a section, in the manifest's order.
    flags : tuple of str
        Sentences for the reader.
    panel : BiopsyPanel
    sections : tuple of SectionRecord
        One for each outcome, in their order; empty where nothing is recorded.
    biopsy_day : int or None
        Days from the first infusion; None where it is not recorded.
    """

    biopsy_id: str
    patient_id: str
    site: str
    outcomes: tuple[SlideOutcome, ...]
    flags: tuple[str, ...] = ()
    panel: BiopsyPanel = BiopsyPanel()
    sections: tuple[SectionRecord, ...] = ()
    biopsy_day: int | None = None

    def __post_init__(self) -> None:
        if self.sections and [record.slide_id for record in self.sections] != [one.slide_id for one in self.outcomes]:
            raise ValueError("records and outcomes are of the same sections, in the same order")

    @property
    def missing(self) -> tuple[str, ...]:
        """What makes the biopsy incomplete, a clause each; a failed section makes it incomplete, never smaller."""
        shown = {outcome.stain.marker for outcome in self.outcomes}
        absent = (f"it has no {marker} section" for marker in PANEL_MARKERS if marker not in shown)
        unscored = (clause for outcome in self.outcomes if (clause := _unscored(outcome)))
        return (*absent, *unscored)

    @property
    def complete(self) -> bool:
        """Whether the panel's sections are all there and every section was scored."""
        return not self.missing


def _unscored(outcome: SlideOutcome) -> str:
    match outcome:
        case Failed():
            return f"{outcome.slide_id} ({outcome.stain.marker}) failed: {outcome.reason}"
        case NoTissue():
            return f"{outcome.slide_id} ({outcome.stain.marker}) shows no tissue"
        case Scored() if outcome.score.counts.total == 0:
            return f"{outcome.slide_id} ({outcome.stain.marker}) shows no cells"
        case _:
            return ""
