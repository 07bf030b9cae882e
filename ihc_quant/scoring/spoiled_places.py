"""What quality control leaves out of the analysis: cells and tissue together, on top of what people drew.

Both are looked up in the same pixels of the same map. What a drawing or a fragment's name had already left out keeps
that cause, so nothing counts twice.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.region_places import Place, is_analysed
from ihc_quant.domain.outcome import LeftOut
from ihc_quant.domain.quality import CAUSE_WORDS, Cause, QualityMap
from ihc_quant.scoring.section_places import TissuePlaces


def exclude_cells(
    places: NDArray[np.int8],
    x_l0: NDArray[np.float64],
    y_l0: NDArray[np.float64],
    quality: QualityMap,
    causes: Sequence[Cause],
) -> NDArray[np.int8]:
    """Return the place of each cell, ``EXCLUDED`` where it was analysed and lies in one of the causes.

    Parameters
    ----------
    places : ndarray, shape (n,), int8
        From ``place_cells``.
    x_l0, y_l0 : ndarray, shape (n,), float64
        Level-0 pixels.
    quality : QualityMap
    causes : sequence of Cause
    """
    spoiled = is_analysed(places) & quality.excluded_at(x_l0, y_l0, causes)
    return np.where(spoiled, np.int8(Place.EXCLUDED), places)


def exclude_tissue(
    tissue: TissuePlaces, left_out: Sequence[LeftOut], quality: QualityMap, causes: Sequence[Cause]
) -> tuple[TissuePlaces, tuple[LeftOut, ...]]:
    """Return the place of all tissue without what the causes take, and everything that is left out, largest first.

    Parameters
    ----------
    tissue : TissuePlaces
    left_out : sequence of LeftOut
        Both from ``place_tissue``.
    quality : QualityMap
        On the pixels of ``tissue``.
    causes : sequence of Cause
    """
    taken = quality.areas_um2(tissue.analysed)
    spoiled = tissue.analysed & quality.excluded(causes)
    places = np.where(spoiled, np.int8(Place.EXCLUDED), tissue.places)
    more = [LeftOut(CAUSE_WORDS[cause], taken[cause]) for cause in Cause if cause in causes and cause in taken]
    ordered = sorted([*left_out, *more], key=lambda one: -one.area_um2)
    return TissuePlaces(places, tissue.fragments, tissue.pixel_um), tuple(ordered)
