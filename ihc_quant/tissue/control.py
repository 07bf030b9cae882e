"""Fragments that may be control tissue: they lie apart and are stained otherwise. Only ever a proposal."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.quality import ControlProposal
from ihc_quant.domain.stain import StainMatrix
from ihc_quant.stain.unmixing import unmix
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY, QualitySettings


def propose_control(
    overview: NDArray[np.uint8], tissue: TissueMap, stains: StainMatrix, settings: QualitySettings = DEFAULT_QUALITY
) -> tuple[ControlProposal, ...]:
    """Return groups of fragments that may be control tissue.

    Fragments closer than ``control_gap_um`` form a group, and the largest group is taken for the biopsy. Another one is
    proposed where its mean density of chromogen or hematoxylin differs: levels of one block lie apart too, but are
    alike.

    Parameters
    ----------
    overview : ndarray, shape (H, W, 3), uint8
        On the tissue map's grid.
    tissue : TissueMap
    stains : StainMatrix
    settings : QualitySettings
    """
    if tissue.fragment_count < 2:
        return ()
    groups = _groups(tissue, settings.control_gap_um / tissue.grid.pixel_um)
    if len(groups) < 2:
        return ()
    density = unmix(overview, stains)[..., :2]
    biopsy = groups[0]
    usual = density[biopsy.mask].mean(axis=0)
    proposals = []
    for group in groups[1:]:
        difference = density[group.mask].mean(axis=0) - usual
        stain = int(np.argmax(np.abs(difference)))
        if abs(float(difference[stain])) < settings.control_od:
            continue
        others = tissue.mask & ~group.mask
        away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distance_um = float(away[group.mask].min()) * tissue.grid.pixel_um
        more = "more" if difference[stain] > 0 else "less"
        reason = f"{distance_um / 1000:.1f} mm apart, {more} {('hematoxylin', 'chromogen')[stain]}"
        proposals.append(ControlProposal(group.fragments, distance_um, reason))
    return tuple(proposals)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    fragments: tuple[int, ...]
    mask: NDArray[np.bool_]


def _groups(tissue: TissueMap, gap_px: float) -> list[_Group]:
    """Return fragments that lie close together, the group of most tissue first."""
    distance = cv2.distanceTransform((~tissue.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    count, labels = cv2.connectedComponents((distance <= (gap_px + 1) / 2).astype(np.uint8), connectivity=8)
    groups = []
    for label in range(1, count):
        mask = np.asarray(tissue.mask & (labels == label), np.bool_)
        numbers = np.unique(tissue.fragments[mask])
        groups.append(_Group(tuple(int(number) for number in numbers), mask))
    return sorted(groups, key=lambda group: -int(np.count_nonzero(group.mask)))
