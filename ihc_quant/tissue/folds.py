"""Where tissue lies double: a small network judges each square, and what it tells must be as two layers are.

Two layers add up in every channel and fill each other's gaps, so red, green, blue and the floor of density all rise
alike. A T zone has more chromogen and no more hematoxylin, ink raises one colour, and a strip of epidermis has glass
beside it, over which nothing is known to rise.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.tissue.fold_features import FEATURE_REACH_PX, Plane, least_rise, rise_spread, seen
from ihc_quant.tissue.fold_network import FoldNetwork, fold_network
from ihc_quant.tissue.quality_settings import QualitySettings
from ihc_quant.tissue.tile_measures import MeasureRaster

Mask = NDArray[np.bool_]

PART_PX = 512
"""Side in squares, 4 mm, of the parts that are judged one by one, so that memory does not grow with the slide."""


def find_folds(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where folds lie, on the raster's squares; bool (H, W)."""
    return folds_of(fold_signs(measures, tissue, fold_network()), measures.step_um, settings)


@dataclass(frozen=True, slots=True, eq=False)
class FoldSigns:
    """What tells a fold, on squares.

    Attributes
    ----------
    probability : ndarray, shape (H, W), float32
    least_rise : ndarray, shape (H, W), float32
        Of floor and channels over the denser side, see ``fold_features``.
    spread : ndarray, shape (H, W), float32
        Largest rise of a channel over the smallest.
    """

    probability: Plane
    least_rise: Plane
    spread: Plane


def signs_of(planes: Plane, network: FoldNetwork) -> FoldSigns:
    """Return what tells a fold, of what is ``seen``."""
    return FoldSigns(network.probability(planes), least_rise(planes), rise_spread(planes))


def folds_of(signs: FoldSigns, step_um: float, settings: QualitySettings) -> Mask:
    """Return the connected places of probable squares that are large enough, hold one that is sure, and rise evenly."""
    probable = signs.probability >= settings.fold_probable
    count, labels, stats, _ = cv2.connectedComponentsWithStats(probable.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, np.bool_)
    for number in range(1, count):
        left, top, width, height, size = (int(value) for value in stats[number])
        if size * step_um**2 < settings.fold_least_um2:
            continue
        place = (slice(top, top + height), slice(left, left + width))
        piece = labels[place] == number
        kept[number] = (
            signs.probability[place][piece].max() >= settings.fold_sure
            and np.median(signs.least_rise[place][piece]) >= settings.fold_rise
            and np.median(signs.spread[place][piece]) <= settings.fold_spread
        )
    return np.asarray(kept[labels], np.bool_)


def fold_signs(measures: MeasureRaster, tissue: Mask, network: FoldNetwork) -> FoldSigns:
    """Return what tells a fold, part by part, each with all that can matter around it."""
    reach = network.reach_px + FEATURE_REACH_PX
    whole = FoldSigns(*(np.zeros(tissue.shape, np.float32) for _ in range(3)))
    for y in range(0, tissue.shape[0], PART_PX):
        for x in range(0, tissue.shape[1], PART_PX):
            core = (slice(y, y + PART_PX), slice(x, x + PART_PX))
            if not tissue[core].any():
                continue
            top, left = max(0, y - reach), max(0, x - reach)
            around = (slice(top, y + PART_PX + reach), slice(left, x + PART_PX + reach))
            part = signs_of(seen(measures.read(around), tissue[around]), network)
            inner = (slice(y - top, y - top + PART_PX), slice(x - left, x - left + PART_PX))
            whole.probability[core] = part.probability[inner]
            whole.least_rise[core] = part.least_rise[inner]
            whole.spread[core] = part.spread[inner]
    return whole
