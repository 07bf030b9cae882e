"""What one row of the cohort table is made of, and what defines one of its columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ihc_quant.domain.biopsy import PANEL_MARKERS, BiopsyReport
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.stain import SITES
from ihc_quant.report.cohort_marker import MarkerFigures, marker_figures
from ihc_quant.scoring.blood_response import BloodResponse
from ihc_quant.scoring.clinical_join import BloodFigure

COHORT_MARKERS: tuple[str, ...] = PANEL_MARKERS
"""Markers with columns of their own."""

COHORT_RATIOS: tuple[str, ...] = ("CD4:CD8", "CCR4:CD4")
"""Density ratios of serial sections with columns of their own."""

BETWEEN = " | "
"""Stands between the sentences of one cell."""

Kind = Literal["text", "integer", "number", "truth"]
Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class CohortEntry:
    """What one row of the cohort table is made of.

    Attributes
    ----------
    report : BiopsyReport
    ratios : mapping of name to Estimate
        Density ratios under the names of ``COHORT_RATIOS``.
    schemes : mapping of scheme id to text
        What each CCR4 scheme says of the biopsy, in words.
    blood : tuple of BloodFigure
        From ``join_blood``; empty where there is no clinical table.
    response : BloodResponse or None
        Of the patient; None where there is no clinical table.
    response_stated : str
        As the clinical table states it.
    markers : mapping of marker to MarkerFigures
        Follows from the report.
    """

    report: BiopsyReport
    ratios: Mapping[str, Estimate] = field(default_factory=dict)
    schemes: Mapping[str, str] = field(default_factory=dict)
    blood: tuple[BloodFigure, ...] = ()
    response: BloodResponse | None = None
    response_stated: str = ""
    markers: Mapping[str, MarkerFigures] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.report.site not in SITES:
            raise ValueError(f"{self.report.site!r} is no site of a biopsy (a lavage is none); one of {SITES}")
        unknown = set(self.ratios) - set(COHORT_RATIOS)
        if unknown:
            raise ValueError(f"the cohort has no column for the ratios {sorted(unknown)}")
        given = self.report.outcomes, self.report.panel.levels, self.report.site
        figures = {marker: marker_figures(marker, *given) for marker in COHORT_MARKERS}
        object.__setattr__(self, "markers", figures)


@dataclass(frozen=True, slots=True)
class CohortColumn:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "number", "truth"}
    unit : str
        Empty where it has none.
    meaning : str
    missing : str
        When the cell is empty; ``"never"`` where it always has a value.
    value : callable
        Entry to cell; None where missing, never 0 in its place.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    missing: str
    value: Callable[[CohortEntry], Cell]
