"""Fragments that may be control tissue: they lie apart and are stained otherwise. Only ever a proposal.

Pixels cannot tell a control that is stained like the biopsy, nor, of two lone unlike pieces, which one is the control.
"""

from collections.abc import Sequence
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

    Fragments closer than ``control_gap_um`` form a group, and groups whose densities of hematoxylin and chromogen are
    alike, in the mean, the median and the densest tenth, one kind of tissue: levels of a block lie apart but are alike.
    How alike is told by the slide: where most fragments have another that is nearly the same, less sets one apart. The
    kind of most fragments, then of most area, is taken for the biopsy, since levels repeat it; every group of another
    kind is proposed. A lone fragment never is a control.

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
    section = _Section(overview, tissue, stains)
    groups = [
        group
        for group in _groups(section, settings.control_gap_um / tissue.grid.pixel_um)
        if group.area_px * tissue.grid.pixel_um**2 >= settings.control_um2
    ]
    if len(groups) < 2:
        return ()
    least_px = _CRUMB * max(max(group.fragments_px) for group in groups)
    kinds = _kinds(groups, _limit(groups, section, least_px, settings), settings)
    if len(kinds) < 2:
        return ()
    counts = [sum(group.count(least_px) for group in kind) for kind in kinds]
    areas_px = [sum(group.area_px for group in kind) for kind in kinds]
    chosen = max(range(len(kinds)), key=lambda number: (counts[number], areas_px[number]))
    return tuple(
        _proposal(group, kinds[chosen], tissue, counts[number] == counts[chosen])
        for number, kind in enumerate(kinds)
        if number != chosen
        for group in kind
    )


_CRUMB = 0.2
"""Fragments of a smaller share of the largest one are crumbs: they say little of what tissue is like."""

_SPREADS = np.array([1 / 3, 1, 1 / 3, 1, 1, 2.5])
"""How much the figures of a group's stain vary within one tissue, over that of the mean chromogen. Parts of the two
nodes that thresholds were chosen on differ (95th percentile) by 0.014, 0.055, 0.013, 0.047, 0.046 and 0.118."""


@dataclass(frozen=True, slots=True, eq=False)
class _Section:
    """What fragments are compared on; densities are taken of one place at a time, as all would fill the memory."""

    overview: NDArray[np.uint8]
    tissue: TissueMap
    stains: StainMatrix

    def stain(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return mean, median and densest tenth, each of hematoxylin and chromogen, of a place."""
        stained = unmix(self.overview[mask][np.newaxis], self.stains)[0, :, :2]
        return np.concatenate([stained.mean(axis=0), *np.quantile(stained, (0.5, 0.9), axis=0)]).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Fragments side by side; ``stain`` is as ``_Section.stain`` returns it."""

    fragments: tuple[int, ...]
    fragments_px: tuple[int, ...]
    mask: NDArray[np.bool_]
    stain: NDArray[np.float64]

    @property
    def area_px(self) -> int:
        return sum(self.fragments_px)

    def count(self, least_px: float) -> int:
        """Return how many fragments are not mere crumbs."""
        return sum(area >= least_px for area in self.fragments_px)


def _groups(section: _Section, gap_px: float) -> list[_Group]:
    """Return fragments that lie close together, in the order of their places."""
    tissue = section.tissue
    near = cv2.distanceTransform((~tissue.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = (near <= (gap_px + 1) / 2).astype(np.uint8)  # four times less than the distances
    count, labels = cv2.connectedComponents(near, connectivity=8)
    groups = []
    for label in range(1, count):
        mask = np.asarray(tissue.mask & (labels == label), np.bool_)
        numbers, areas = np.unique(tissue.fragments[mask], return_counts=True)
        groups.append(_Group(tuple(map(int, numbers)), tuple(map(int, areas)), mask, section.stain(mask)))
    return groups


def _unlikeness(one: NDArray[np.float64], other: NDArray[np.float64], settings: QualitySettings) -> float:
    """Return how unlike two stains are; parts of one tissue reach about 1."""
    return float((np.abs(one - other) / (settings.control_od * _SPREADS)).max())


def _limit(groups: Sequence[_Group], section: _Section, least_px: float, settings: QualitySettings) -> float:
    """Return how unlike groups must be to be of two kinds: several times what fragments usually differ by."""
    stains = [
        section.stain(section.tissue.fragments == number)
        for group in groups
        for number, area in zip(group.fragments, group.fragments_px, strict=True)
        if area >= least_px
    ]
    nearest = [
        min(_unlikeness(one, other, settings) for other in stains if other is not one)
        for one in stains
        if len(stains) > 1
    ]
    usual = float(np.median(nearest)) if nearest else 1.0
    return min(1.0, max(settings.control_least, settings.control_times * usual))


def _kinds(groups: Sequence[_Group], limit: float, settings: QualitySettings) -> list[list[_Group]]:
    """Return groups that are alike, directly or by way of others."""
    kinds: list[list[_Group]] = []
    for group in groups:
        alike = [kind for kind in kinds if any(_unlikeness(group.stain, one.stain, settings) < limit for one in kind)]
        kinds = [kind for kind in kinds if not any(kind is one for one in alike)]
        kinds.append([*(one for kind in alike for one in kind), group])
    return kinds


def _proposal(group: _Group, biopsy: Sequence[_Group], tissue: TissueMap, tie: bool) -> ControlProposal:
    """Return the proposal with a clause that says what sets the group apart."""
    others = tissue.mask & ~group.mask
    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance_um = float(away[group.mask].min()) * tissue.grid.pixel_um
    usual = np.average([one.stain for one in biopsy], axis=0, weights=[one.area_px for one in biopsy])
    difference = (group.stain - usual) / _SPREADS
    largest = int(np.argmax(np.abs(difference)))
    more = "more" if difference[largest] > 0 else "less"
    stain = ("hematoxylin", "chromogen")[largest % 2]
    # Of two lone unlike pieces the larger one may as well be the control.
    doubt = ", unless the rest is" if tie else ""
    return ControlProposal(group.fragments, distance_um, f"{distance_um / 1000:.1f} mm apart, {more} {stain}{doubt}")
