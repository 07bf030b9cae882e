"""Which cells and tissue of a slide are analysed: drawn regions, named fragments and quality control together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.region_places import Place
from ihc_quant.annotation.regions import Regions
from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.pixel_store import load_quality
from ihc_quant.batch.region_store import KeptRegions
from ihc_quant.domain.outcome import LeftOut
from ihc_quant.report.spoiled_outlines import SpoiledPlaces
from ihc_quant.scoring.section_places import TissuePlaces, place_cells, place_tissue
from ihc_quant.scoring.spoiled_places import exclude_cells, exclude_tissue
from ihc_quant.tissue.map import TissueMap


@dataclass(frozen=True, slots=True, eq=False)
class SectionPlaces:
    """Which cells and which tissue of a section are analysed, and as what.

    Attributes
    ----------
    cells : ndarray, shape (n,), int8
        Place of each cell.
    tissue : TissuePlaces
    left_out : tuple of LeftOut
    spoiled : SpoiledPlaces or None
        What quality control found; None where it was off.
    """

    cells: NDArray[np.int8]
    tissue: TissuePlaces
    left_out: tuple[LeftOut, ...]
    spoiled: SpoiledPlaces | None


def place_section(
    folder: Path, measurement: Measurement, tissue: TissueMap, kept: KeptRegions, cells: Mapping[str, NDArray[Any]]
) -> SectionPlaces:
    """Apply drawn regions, named fragments and quality control to the cells and the tissue of a slide.

    Parameters
    ----------
    folder : Path
    measurement : Measurement
    tissue : TissueMap
        Everything that was found.
    kept : KeptRegions
    cells : mapping of str to ndarray, shape (n,)
        Columns ``x_l0``, ``y_l0`` and ``fragment`` of the cell table.

    Raises
    ------
    OutputError
        Where what quality control found cannot be read back.
    """
    places = place_cells(cells["x_l0"], cells["y_l0"], cells["fragment"], kept.regions, measurement.fragments)
    placed, left_out = place_tissue(tissue.fragments, tissue.grid, kept.regions, measurement.fragments)
    spoiled = None
    if measurement.quality is not None:
        spoiled = SpoiledPlaces(load_quality(folder, tissue), measurement.quality.excluded)
        places = exclude_cells(places, cells["x_l0"], cells["y_l0"], spoiled.quality, spoiled.excluded)
        placed, left_out = exclude_tissue(placed, left_out, spoiled.quality, spoiled.excluded)
    return SectionPlaces(places, placed, left_out, spoiled)


def fragments_to_read(tissue: TissueMap, regions: Regions, named: Sequence[int]) -> tuple[int, ...]:
    """Return the fragments of which tiles are read, ascending: those named, and those that hold control tissue.

    Parameters
    ----------
    tissue : TissueMap
        Everything that was found.
    regions : Regions
    named : sequence of int
        Fragments that are this section; empty for all.
    """
    if not named:
        return tuple(range(1, tissue.fragment_count + 1))
    placed, _ = place_tissue(tissue.fragments, tissue.grid, regions, named)
    control = np.unique(tissue.fragments[placed.places == Place.CONTROL_TISSUE])
    return tuple(sorted({number for number in named if number <= tissue.fragment_count} | set(control.tolist())))
