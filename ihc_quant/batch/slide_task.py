"""What is asked for of one slide: the file, what it shows, and which of it is the section."""

from dataclasses import dataclass
from pathlib import Path

from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import SectionStain


@dataclass(frozen=True, slots=True)
class SlideTask:
    """One slide to score.

    Attributes
    ----------
    path : Path
    stain : SectionStain
        What the section shows.
    slide_id : str or None
        Name under which results are kept; made from the quick hash where None, so that a file name, which may be an
        accession number, goes into no result.
    mpp : Mpp or None
        Override of the file's calibration.
    series : int or None
        Image of a file with several.
    fragments : tuple of int
        Tissue fragments that are this section, ascending, from 1; empty for all.
    annotations : Path or None
        GeoJSON of drawn regions.
    propose_infiltrate : bool
        Whether the software proposes an infiltrate where none was drawn.
    """

    path: Path
    stain: SectionStain
    slide_id: str | None = None
    mpp: Mpp | None = None
    series: int | None = None
    fragments: tuple[int, ...] = ()
    annotations: Path | None = None
    propose_infiltrate: bool = True
