"""Cells that a person marked on a slide, and how many of them the machine found with the same call."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import box

from ihc_quant.annotation.class_map import CELLS, ClassMap, Meaning
from ihc_quant.annotation.geojson import Drawing, DrawnObject, read_geojson
from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.domain.agreement import CellAgreement, DetectionFigures
from ihc_quant.domain.geometry import Mpp, Point, Size
from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.matching import MATCH_RADIUS_UM, Detection, detect, match_points
from ihc_quant.scoring.intervals import wilson_interval

KNOWN_CLASSES = ClassMap(
    Path("the classes known without --classes"),
    {
        "Positive": Meaning.POSITIVE,
        "Negative": Meaning.NEGATIVE,
        "Other": Meaning.UNKNOWN,
        "Region*": Meaning.VALID,
        "Ignore*": Meaning.IGNORE,
    },
)
"""QuPath's own classes with their plain meaning."""

LARGEST_CELL_UM2 = 10_000.0
"""A megakaryocyte of 100 µm covers 7,900 µm²; what is larger is a region whose class was mapped to a call."""

METHOD = "Wilson, cells taken as independent"


@dataclass(frozen=True, slots=True, eq=False)
class MarkedCells:
    """What a person marked on one slide.

    Attributes
    ----------
    centres_um : ndarray, shape (n, 2), float64
        Level-0 plane, µm.
    meanings : tuple of Meaning, length n
        Positive, negative or unknown.
    area_um : Polygon or MultiPolygon
        Where every cell was marked, in µm.
    """

    centres_um: NDArray[np.float64]
    meanings: tuple[Meaning, ...]
    area_um: Area

    def are(self, meaning: Meaning) -> NDArray[np.bool_]:
        """Return which cells have a meaning, shape (n,)."""
        return np.array([each == meaning for each in self.meanings], np.bool_)


def read_marked_cells(
    paths: Sequence[Path], class_map: ClassMap, size_l0: Size, mpp: Mpp, offset: Point, *, whole: bool = False
) -> MarkedCells:
    """Read what a person marked on a slide.

    Parameters
    ----------
    paths : sequence of Path
        GeoJSON files of one slide.
    class_map : ClassMap
        What their classes mean.
    size_l0 : Size
        Of the slide.
    mpp : Mpp
    offset : Point
        Corner of the slide's bounds, from which QuPath counts.
    whole : bool
        Whether every cell of the slide was marked where no valid area is drawn.

    Raises
    ------
    SettingsError
        Where a file cannot be used, a class has no meaning, a cell lies outside the slide, or no valid area is drawn.
    """
    cells: list[tuple[float, float, Meaning]] = []
    areas: dict[Meaning, list[Area]] = {Meaning.VALID: [], Meaning.IGNORE: []}
    for path in paths:
        drawing = read_geojson(path, offset)
        class_map.require((drawn.class_name for drawn in drawing.objects), path)
        found: list[tuple[float, float, Meaning]] = []
        for drawn in drawing.objects:
            meaning = class_map.meanings[drawn.class_name]
            if meaning in CELLS:
                found += [(x, y, meaning) for x, y in _centres_l0(drawing, drawn, mpp)]
            else:
                areas[meaning].append(drawing.area_of(drawn))
        outside = sum(not (0 <= x <= size_l0.width and 0 <= y <= size_l0.height) for x, y, _ in found)
        if outside:
            raise SettingsError(
                f"{path}: {outside} of {len(found)} cells lie outside the slide; "
                "check that the annotations belong to it and are in its pixels, not in µm."
            )
        cells += found
    slide = box(0, 0, size_l0.width, size_l0.height)
    if not areas[Meaning.VALID] and not whole:
        raise SettingsError(
            f"{paths[0]}: no area is drawn in which every cell was marked; draw one of the class "
            f"{_valid_class(class_map)!r}, or say with --whole that the whole slide was marked."
        )
    area_l0 = slide.intersection(shapely.union_all(areas[Meaning.VALID])) if areas[Meaning.VALID] else slide
    area_l0 = shapely.difference(area_l0, shapely.union_all(areas[Meaning.IGNORE]))
    if not area_l0.area > 0:
        raise SettingsError(f"{paths[0]}: nothing is left of the valid area on this slide; draw it on the tissue.")
    scale = np.array([mpp.x, mpp.y])
    area_um: Area = shapely.transform(area_l0, lambda xy: xy * scale)
    centres = np.array([cell[:2] for cell in cells], np.float64).reshape(-1, 2) * scale
    return MarkedCells(centres, tuple(meaning for _, _, meaning in cells), area_um)


def compare_cells(
    found_um: NDArray[np.float64],
    found_positive: NDArray[np.bool_],
    marked: MarkedCells,
    radius_um: float = MATCH_RADIUS_UM,
) -> CellAgreement:
    """Compare found with marked cells inside the area in which every cell was marked.

    A cell outside the area may be the partner of one inside, but left alone it is no error. The same holds for cells
    marked without a call where calls are compared.

    Parameters
    ----------
    found_um : ndarray, shape (m, 2), float64
        Found cells, level-0 plane, µm.
    found_positive : ndarray, shape (m,), bool
        Their calls.
    marked : MarkedCells
    radius_um : float
        Greatest distance of a pair.
    """
    shapely.prepare(marked.area_um)
    near = shapely.contains_xy(marked.area_um.buffer(radius_um), found_um)
    found_um, found_positive = found_um[near], found_positive[near]
    found_in = shapely.contains_xy(marked.area_um, found_um)
    marked_in = shapely.contains_xy(marked.area_um, marked.centres_um)
    unknown = marked.are(Meaning.UNKNOWN)

    def figures(name: str, of_found: NDArray[np.bool_], of_marked: NDArray[np.bool_]) -> DetectionFigures:
        chosen = of_marked | unknown
        counts = marked_in & of_marked
        return _figures(
            name,
            detect(
                found_um[of_found], marked.centres_um[chosen], radius_um,
                found_counts=found_in[of_found], true_counts=counts[chosen],
            ),
        )  # fmt: skip

    pairs = match_points(found_um, marked.centres_um, radius_um)
    known = (marked_in & ~unknown)[pairs.true]
    marked_positive = marked.are(Meaning.POSITIVE)[pairs.true][known]
    called_positive = found_positive[pairs.found][known]
    rows = (~marked_positive, marked_positive)
    calls = tuple((int((row & ~called_positive).sum()), int((row & called_positive).sum())) for row in rows)
    return CellAgreement(
        area_mm2=float(marked.area_um.area) / 1e6,
        radius_um=radius_um,
        marked=int(marked_in.sum()),
        found=int(found_in.sum()),
        figures=(
            figures("positive", found_positive, marked.are(Meaning.POSITIVE)),
            figures("negative", ~found_positive, marked.are(Meaning.NEGATIVE)),
            figures("either call", np.ones(len(found_um), np.bool_), np.ones(len(unknown), np.bool_)),
        ),
        calls=(calls[0], calls[1]),
    )


def _figures(name: str, detection: Detection) -> DetectionFigures:
    tp, fp, fn = detection.tp, detection.fp, detection.fn
    overlap = _fraction(tp, tp + fp + fn, "no cell was found or marked")
    if overlap.value is None:
        f1 = overlap
    else:
        wilson = overlap.intervals[0]
        low, high = (2 * share / (1 + share) for share in (wilson.low, wilson.high))
        f1 = Estimate(detection.f1, "fraction", (Interval(low, high, wilson.level, METHOD),))
    precision = _fraction(tp, tp + fp, "no cell was found")
    return DetectionFigures(name, tp, fp, fn, precision, _fraction(tp, tp + fn, "no cell was marked"), f1)


def _fraction(part: int, whole: int, reason: str) -> Estimate:
    if not whole:
        return Estimate(None, "fraction", reason=reason)
    wilson = wilson_interval(part, whole)
    return Estimate(part / whole, "fraction", (Interval(wilson.low, wilson.high, wilson.level, METHOD),))


def _centres_l0(drawing: Drawing, drawn: DrawnObject, mpp: Mpp) -> list[tuple[float, float]]:
    """Return the places of one object's cells: several of a set of points, one of an outline."""
    if len(drawn.points_l0):
        return [(x, y) for x, y in drawn.points_l0.tolist()]
    area = drawn.nucleus_l0 or drawing.area_of(drawn)
    area_um2 = float(area.area) * mpp.x * mpp.y
    if area_um2 > LARGEST_CELL_UM2:
        raise SettingsError(
            f"{drawing.named(drawn)} covers {area_um2:,.0f} µm², too much for one cell; "
            "map its class to valid or ignore."
        )
    return [(float(area.centroid.x), float(area.centroid.y))]


def _valid_class(class_map: ClassMap) -> str:
    return next((name for name, meaning in class_map.meanings.items() if meaning is Meaning.VALID), "valid")
