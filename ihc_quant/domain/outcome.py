"""What became of a slide and of a biopsy. Failure is a value."""

from dataclasses import dataclass

from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts, MarkerScore
from ihc_quant.domain.stain import SectionStain


@dataclass(frozen=True, slots=True)
class Scored:
    """A slide that was scored.

    Attributes
    ----------
    slide_id : str
    stain : SectionStain
    score : MarkerScore
        Over all fragments.
    fragments : tuple of (number, CellCounts)
        Counts of each tissue fragment.
    provenance : Provenance
    """

    slide_id: str
    stain: SectionStain
    score: MarkerScore
    fragments: tuple[tuple[int, CellCounts], ...]
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


SlideOutcome = Scored | NoTissue | Failed


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
    """

    biopsy_id: str
    patient_id: str
    site: str
    outcomes: tuple[SlideOutcome, ...]
    flags: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every section was scored; a failed one makes the biopsy incomplete, never smaller."""
        return all(isinstance(outcome, Scored) for outcome in self.outcomes)
