"""To which region a place belongs: to exactly one, by stated rules, however the drawings overlap.

The rules, the first that applies decides:

1. *Exclude* wins over everything.
2. *Control tissue* wins over the rest: it is not the patient's, also where a compartment or the analysed area reaches
   over it.
3. Where areas to *analyse* are drawn, what lies outside all of them is outside the analysis, compartments too. Where
   none is drawn, everything is analysed.
4. Of *compartments* that overlap, the smaller drawing wins (its whole area, in pixels): a drawing within a drawing is
   the closer description. An infiltrate inside the dermis is infiltrate, and the dermis is what remains of it. Of
   drawings of one size the one that comes first in the file wins.
5. What is analysed and lies in no compartment is *unassigned*.

A drawing owns its border, so a place on a common border goes where the rules send a place in both. Holes are outside.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon

from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.region_classes import COMPARTMENTS, RegionKind
from ihc_quant.annotation.regions import Region, Regions
from ihc_quant.domain.geometry import Grid


class Place(IntEnum):
    """What a place belongs to. From ``UNASSIGNED`` on, it is analysed as the patient's tissue."""

    OUTSIDE = 0
    EXCLUDED = 1
    CONTROL_TISSUE = 2
    UNASSIGNED = 3
    EPIDERMIS = 4
    DERMIS = 5
    INTERFOLLICULAR = 6
    INFILTRATE = 7
    TUMOUR = 8


PLACE_OF_COMPARTMENT: Mapping[RegionKind, Place] = MappingProxyType({kind: Place[kind.name] for kind in COMPARTMENTS})


def assign(points_l0: NDArray[np.float64], regions: Regions) -> NDArray[np.int8]:
    """Return the place of each point.

    Parameters
    ----------
    points_l0 : ndarray, shape (n, 2), float64
        x, y in level-0 pixels, finite.
    regions : Regions

    Returns
    -------
    ndarray, shape (n,), int8
        Values of ``Place``.

    Raises
    ------
    ValueError
        Where points have another shape or are not finite.
    """
    points = np.asarray(points_l0, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points have shape (n, 2), got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("points must be finite")
    # Sorted along x once, each drawing looks only at the points of its own strip.
    order = np.argsort(points[:, 0], kind="stable")
    x, y = points[order, 0], points[order, 1]
    within = _within(x, y, regions.of_kind(RegionKind.ANALYSE))
    places = np.full(len(points), Place.UNASSIGNED, np.int8)
    # From the weakest rule to the strongest, each writing over what the earlier ones said.
    for region in _largest_first(regions):
        places[_within(x, y, (region,))] = PLACE_OF_COMPARTMENT[region.kind]
    if regions.of_kind(RegionKind.ANALYSE):
        places[~within] = Place.OUTSIDE
    places[_within(x, y, regions.of_kind(RegionKind.CONTROL_TISSUE))] = Place.CONTROL_TISSUE
    places[_within(x, y, regions.of_kind(RegionKind.EXCLUDE))] = Place.EXCLUDED
    assigned = np.empty(len(points), np.int8)
    assigned[order] = places
    return assigned


def is_analysed(places: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return whether each place is analysed as the patient's tissue, in a compartment or not."""
    return np.asarray(places >= Place.UNASSIGNED, np.bool_)


def places_on_grid(regions: Regions, grid: Grid, mask: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return the place of the centre of each grid pixel of a mask.

    Parameters
    ----------
    regions : Regions
    grid : Grid
        Whose pixel (0, 0) is the first of the mask.
    mask : ndarray, shape (H, W), bool
        Tissue; only its pixels are looked at.

    Returns
    -------
    ndarray, shape (H, W), int8
        Values of ``Place``; ``OUTSIDE`` off the mask.
    """
    if not regions.drawn:  # nothing is looked up
        return np.where(mask, Place.UNASSIGNED, Place.OUTSIDE).astype(np.int8)
    rows, columns = np.nonzero(mask)
    centres = np.stack([(columns + 0.5) * grid.scale_x, (rows + 0.5) * grid.scale_y], axis=1)
    places = np.full(mask.shape, Place.OUTSIDE, np.int8)
    places[rows, columns] = assign(centres, regions)
    return places


def tissue_areas_um2(places: NDArray[np.int8], fragments: NDArray[np.int16], pixel_um: float) -> NDArray[np.float64]:
    """Return how much tissue of each fragment lies in each place.

    A pixel counts whole for the place of its centre, as the tissue map counts it whole for tissue: the areas of a
    fragment add up to that fragment's.

    Parameters
    ----------
    places : ndarray, shape (H, W), int8
        From ``places_on_grid``.
    fragments : ndarray, shape (H, W), int16
        Number of the tissue fragment from 1; 0 is no tissue.
    pixel_um : float
        Side of a grid pixel, µm.

    Returns
    -------
    ndarray, shape (fragments, places), float64
        µm²; row 0 is fragment 1, columns by the value of ``Place``.

    Raises
    ------
    ValueError
        Where the two differ in shape.
    """
    if places.shape != fragments.shape:
        raise ValueError(f"places and fragments share a shape, got {places.shape} and {fragments.shape}")
    count = int(fragments.max(initial=0))
    tissue = fragments > 0
    index = (fragments[tissue].astype(np.int64) - 1) * len(Place) + places[tissue]
    pixels = np.bincount(index, minlength=count * len(Place)).reshape(count, len(Place))
    return np.asarray(pixels * pixel_um**2, np.float64)


def partition(regions: Regions) -> dict[Place, Area]:
    """Return the drawn areas without overlap, by the same rules: for pictures, and for areas regardless of tissue.

    Returns
    -------
    dict of Place to Polygon or MultiPolygon
        In level-0 pixels. ``OUTSIDE`` is not bounded and left out, and so is ``UNASSIGNED`` where no area to analyse
        was drawn. Places without area are left out.
    """
    excluded = _united(regions.of_kind(RegionKind.EXCLUDE))
    control = shapely.difference(_united(regions.of_kind(RegionKind.CONTROL_TISSUE)), excluded)
    taken = shapely.union(excluded, control)
    limits = regions.of_kind(RegionKind.ANALYSE)
    analysed = _united(limits)
    pieces: dict[Place, list[Area]] = {Place.EXCLUDED: [excluded], Place.CONTROL_TISSUE: [control]}
    for region in reversed(_largest_first(regions)):
        # Areas that only touch meet in a line, which is no area and which unions refuse.
        area = _polygons(shapely.intersection(region.area_l0, analysed)) if limits else region.area_l0
        pieces.setdefault(PLACE_OF_COMPARTMENT[region.kind], []).append(shapely.difference(area, taken))
        taken = shapely.union(taken, area)
    if limits:
        pieces[Place.UNASSIGNED] = [shapely.difference(analysed, taken)]
    whole = {place: _polygons(shapely.union_all(parts)) for place, parts in pieces.items()}
    return {place: area for place, area in sorted(whole.items()) if area.area > 0}


def _largest_first(regions: Regions) -> list[Region]:
    """Return the compartments so that each wins over those before it."""
    last_first = [region for region in regions.drawn[::-1] if region.kind in COMPARTMENTS]
    return sorted(last_first, key=lambda region: -region.area_l0.area)


def _within(x: NDArray[np.float64], y: NDArray[np.float64], regions: tuple[Region, ...]) -> NDArray[np.bool_]:
    """Return which points lie in or on any of the regions; x ascends."""
    found = np.zeros(len(x), np.bool_)
    # Part by part: the parts of a brushed area may lie far apart, and their common box would be empty for the most.
    for part in shapely.get_parts([region.area_l0 for region in regions]):
        left, lower, right, upper = part.bounds
        first, last = np.searchsorted(x, left, "left"), np.searchsorted(x, right, "right")
        inside = np.flatnonzero((y[first:last] >= lower) & (y[first:last] <= upper)) + first
        shapely.prepare(part)
        found[inside] |= shapely.intersects_xy(part, x[inside], y[inside])
    return found


def _united(regions: tuple[Region, ...]) -> Area:
    return _polygons(shapely.union_all([region.area_l0 for region in regions]))


def _polygons(geometry: object) -> Area:
    """Return the polygons of a geometry; what two areas share may hold points and lines as well."""
    return MultiPolygon([part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and part.area > 0])
