"""Found cells against cells drawn in GeoJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ihc_quant.domain.geometry import Mpp, Point, Size
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.marked_cells import KNOWN_CLASSES, MarkedCells, compare_cells, read_marked_cells

MPP = Mpp(0.5, 0.25)
SLIDE = Size(1000, 1000)
CORNER = Point(0, 0)


def feature(kind: str, coordinates: Any, name: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"classification": {"name": name}},
    }


def rectangle(x0: float, y0: float, x1: float, y1: float, name: str) -> dict[str, Any]:
    return feature("Polygon", [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]], name)


def drawn(path: Path, *features: dict[str, Any], offset: Point = CORNER, whole: bool = False) -> MarkedCells:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return read_marked_cells([path], KNOWN_CLASSES, SLIDE, MPP, offset, whole=whole)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.geojson"


VALID = rectangle(0, 0, 400, 800, "Region*")


def test_points_and_outlines_in_um_with_the_bounds_corner_added(path: Path) -> None:
    marked = drawn(
        path, VALID, feature("MultiPoint", [[10, 20], [30, 40]], "Positive"),
        rectangle(100, 100, 120, 140, "Negative"), offset=Point(2, 4),
    )  # fmt: skip
    np.testing.assert_allclose(marked.centres_um, [[6, 6], [16, 11], [56, 31]])
    assert [str(meaning) for meaning in marked.meanings] == ["positive", "positive", "negative"]
    assert marked.area_um.area == pytest.approx(400 * 0.5 * 800 * 0.25)


def test_counts_by_hand(path: Path) -> None:
    # Marked: positive at x = 50 and 100, negative at 150, unjudged at 200; one positive beyond the area at 450.
    marked = drawn(
        path, VALID,
        feature("MultiPoint", [[50, 400], [100, 400], [450, 400]], "Positive"),
        feature("Point", [150, 400], "Negative"), feature("Point", [200, 400], "Other"),
    )  # fmt: skip
    # Found (µm): right place and call; right place, wrong call; right; the unjudged; a false one; one out of the area.
    found = np.array([[25.0, 101], [50, 100], [76, 100], [100, 100], [150, 20], [240, 100]])
    positive = np.array([True, False, False, True, True, True])
    result = compare_cells(found, positive, marked)
    counts = {each.name: (each.tp, each.fp, each.fn) for each in result.figures}
    assert counts == {"positive": (1, 1, 1), "negative": (1, 1, 0), "either call": (4, 1, 0)}
    assert (result.marked, result.found) == (4, 5)
    assert result.calls == ((1, 0), (1, 1))
    first = result.figures[0]
    assert (first.precision.value, first.recall.value, first.f1.value) == (0.5, 0.5, 0.5)
    assert result.area_mm2 == pytest.approx(0.04)


def test_interval_of_f1_encloses_it_and_narrows(path: Path) -> None:
    widths = []
    for n in (5, 50):
        places = [[10 + 7 * number, 400] for number in range(n)]
        marked = drawn(path, VALID, feature("MultiPoint", places, "Positive"))
        kept = marked.centres_um[: n * 4 // 5]
        f1 = compare_cells(kept, np.ones(len(kept), np.bool_), marked).figures[0].f1
        interval = f1.intervals[0]
        assert f1.value == pytest.approx(8 / 9)
        assert interval.low < 8 / 9 < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_ignored_areas_and_whole_slides(path: Path) -> None:
    ignored = drawn(path, VALID, rectangle(0, 0, 400, 400, "Ignore*"), feature("Point", [50, 100], "Positive"))
    result = compare_cells(np.array([[25.0, 90]]), np.array([True]), ignored)
    assert result.marked == result.found == 0
    assert result.figures[0].f1.value is None
    assert drawn(path, feature("Point", [5, 5], "Positive"), whole=True).area_um.area == pytest.approx(500 * 250)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([feature("Point", [5, 5], "Positive")], "no area is drawn.*'Region\\*'.*--whole"),
        ([VALID, feature("Point", [5, 5], "Tumor")], "'Tumor' \\(1\\)"),
        ([VALID, feature("Point", [5, 5000], "Positive")], "1 of 1 cells lie outside the slide"),
        ([VALID, rectangle(0, 0, 500, 500, "Positive")], "too much for one cell"),
        ([VALID, rectangle(0, 0, 400, 800, "Ignore*")], "nothing is left"),
        ([feature("Point", [5, 5], "Region*")], "is a point, where an area is needed"),
    ],
)
def test_drawings_that_do_not_do(path: Path, features: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as told:
        drawn(path, *features)
    assert str(path) in str(told.value)
