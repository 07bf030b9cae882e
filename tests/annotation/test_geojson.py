"""GeoJSON as QuPath writes it comes in as it was drawn; anything else is one sentence."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from ihc_quant.annotation import geojson_file
from ihc_quant.annotation.cells_geojson import cells_to_geojson
from ihc_quant.annotation.geojson import UNCLASSIFIED, Drawing, read_geojson
from ihc_quant.domain.cell_table import CellTable, scalar_columns
from ihc_quant.domain.geometry import Mpp, Point
from ihc_quant.errors import SettingsError

ORIGIN = Point(0, 0)
SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
BOW_TIE = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]


def feature(kind: str, coordinates: object, name: str | None = "Tumor", **more: Any) -> dict[str, Any]:
    classification = {"classification": {"name": name, "color": [200, 0, 0]}} if name else {}
    properties = {"objectType": "annotation", "isLocked": True, "measurements": {"Area": float("nan")}}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "id": "8f2c", "geometry": geometry, "properties": properties | classification} | more


def collection(*features: object) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": list(features)}


def read(tmp_path: Path, document: object, offset: Point = ORIGIN) -> Drawing:
    path = tmp_path / "drawn.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return read_geojson(path, offset)


coordinate = st.floats(-1e5, 1e5)
place = st.tuples(coordinate, coordinate)


@given(
    points=st.lists(place, min_size=1, max_size=9),
    corner=st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)),
    sides=st.tuples(st.floats(0.5, 1e4), st.floats(0.5, 1e4)),
    offset=place,
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_points_and_polygons_come_back_moved_by_the_offset(
    tmp_path: Path,
    points: list[tuple[float, float]],
    corner: tuple[int, int],
    sides: tuple[float, float],
    offset: tuple[float, float],
) -> None:
    x, y = corner
    outer = box(x, y, x + sides[0], y + sides[1])
    inner = box(x + sides[0] / 4, y + sides[1] / 4, x + sides[0] / 2, y + sides[1] / 2)
    rings = [list(outer.exterior.coords), list(inner.exterior.coords)]
    document = collection(feature("MultiPoint", points), feature("Point", points[0]), feature("Polygon", rings))
    many, one, area = read(tmp_path, document, Point(*offset)).objects
    np.testing.assert_allclose(many.points_l0, np.add(points, offset))
    np.testing.assert_allclose(one.points_l0, np.add(points[:1], offset))
    assert area.area_l0 is not None
    assert area.repairs == ()
    assert isinstance(area.area_l0, Polygon)
    assert area.area_l0.area == pytest.approx(outer.area - inner.area, rel=1e-6)
    moved = np.add(area.area_l0.exterior.coords, np.negative(offset))
    np.testing.assert_allclose(moved, rings[0], atol=1e-6)
    assert len(area.area_l0.interiors) == 1


def test_our_own_export_comes_back_where_the_cells_are(tmp_path: Path) -> None:
    mpp, offset, outline = Mpp(0.25, 0.2), Point(1500, 700), [[-40, -40], [40, -40], [40, 40], [-40, 40]]
    places = np.array([[2000.0, 900.0], [2100.5, 940.25]])
    columns: dict[str, Any] = {column.name: np.full(2, 0.5).astype(column.dtype) for column in scalar_columns()}
    columns |= {"x_l0": places[:, 0], "y_l0": places[:, 1]}
    columns |= {"outline_xy": np.tile(np.array(outline, np.int16), (2, 1)), "outline_start": np.array([0, 4, 8])}
    grade = np.array([0, 2], np.int8)
    text = "".join(cells_to_geojson([(CellTable(**columns), grade > 0, grade)], 0.5, mpp, offset, "CCR4"))
    cells = read(tmp_path, text, offset).objects
    assert [cell.class_name for cell in cells] == ["CCR4: Negative", "CCR4: 2+"]
    assert {cell.object_type for cell in cells} == {"detection"}
    for cell, (x, y) in zip(cells, places, strict=True):
        assert cell.area_l0 is not None
        assert cell.area_l0.centroid.coords[0] == pytest.approx((x, y), abs=0.02)
        assert cell.area_l0.area == pytest.approx(20 * 25, rel=1e-3)


@pytest.mark.parametrize("wrap", [collection, lambda *features: list(features)])
def test_collections_and_bare_arrays_hold_the_same(tmp_path: Path, wrap: Any) -> None:
    document = wrap(feature("Polygon", SQUARE), feature("Point", [1, 2], "Positive"))
    assert [drawn.class_name for drawn in read(tmp_path, document).objects] == ["Tumor", "Positive"]
    assert [drawn.number for drawn in read(tmp_path, document).objects] == [1, 2]


def test_one_feature_alone_is_a_file(tmp_path: Path) -> None:
    (drawn,) = read(tmp_path, feature("Polygon", SQUARE)).objects
    assert drawn.area_l0 is not None
    assert drawn.area_l0.equals(box(0, 0, 10, 10))


@pytest.mark.parametrize("name", ["a.geojson.gz", "a.json"])
def test_packed_files_and_byte_order_marks_are_read(tmp_path: Path, name: str) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(collection(feature("Point", [3, 4], "Zelle: positiv, µ"))).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (drawn,) = read_geojson(path, ORIGIN).objects
    assert drawn.class_name == "Zelle: positiv, µ"
    assert drawn.points_l0.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"classification": {"name": "Tumor: Positive", "colorRGB": -377282}}, "Tumor: Positive"),
        ({"classification": {"names": ["Tumor", "Positive"], "color": [1, 2, 3]}}, "Tumor: Positive"),
        (
            {
                "classification": {
                    "parentClass": {"parentClass": {"name": "Tumor", "colorRGB": -1}, "name": "Deep"},
                    "name": "Positive",
                    "colorRGB": -377282,
                }
            },
            "Tumor: Deep: Positive",
        ),
        ({"classification": {"parentClass": {"name": "Tumor", "colorRGB": -1}}}, UNCLASSIFIED),
        ({"classification": {"name": "Ignore*"}, "name": "fold"}, "Ignore*"),
        ({"name": "region 1"}, "region 1"),
        ({"classification": {}, "name": None}, UNCLASSIFIED),
        ({}, UNCLASSIFIED),
        (None, UNCLASSIFIED),
    ],
)
def test_the_class_is_found_wherever_a_version_put_it(tmp_path: Path, properties: Any, name: str) -> None:
    (drawn,) = read(tmp_path, feature("Point", [1, 2], properties=properties)).objects
    assert drawn.class_name == name


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"properties": {"objectType": "detection"}}, "detection"),
        ({"properties": {"object_type": "cell"}}, "cell"),
        ({"id": "PathDetectionObject", "properties": {}}, "detection"),
        ({"id": "PathTileObject", "properties": {"measurements": [{"name": "p", "value": 0.5}]}}, "tile"),
        ({"properties": {"objectType": "tmaCore", "isMissing": False}}, "tma_core"),
        ({"id": "TMACoreObject", "properties": {}}, "tma_core"),
        ({"properties": {"type": "cell"}}, "cell"),
        ({"properties": {"type": "whatever"}}, "annotation"),
        ({"properties": {}}, "annotation"),
    ],
)
def test_the_object_type_is_found_wherever_a_version_put_it(tmp_path: Path, more: dict[str, Any], kind: str) -> None:
    assert read(tmp_path, feature("Polygon", SQUARE, **more)).objects[0].object_type == kind


def test_a_cell_keeps_its_nucleus_apart(tmp_path: Path) -> None:
    nucleus = {"type": "Polygon", "coordinates": [[[3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]]}
    cell = feature("Polygon", SQUARE, properties={"objectType": "cell"}, nucleusGeometry=nucleus)
    (drawn,) = read(tmp_path, cell, Point(100, 50)).objects
    assert drawn.nucleus_l0 is not None
    assert drawn.area_l0 is not None
    assert drawn.nucleus_l0.equals(box(103, 53, 106, 56))
    assert drawn.area_l0.area == 100


def test_objects_inside_objects_are_read_and_the_root_is_nobodys(tmp_path: Path) -> None:
    inner = feature("Polygon", SQUARE, "inner", childObjects=[feature("Point", [1, 1], "innermost")])
    root = {"type": "Feature", "properties": {"objectType": "root"}, "childObjects": [inner]}
    drawing = read(tmp_path, collection(root, feature("Point", [2, 2], "last")))
    assert [drawn.class_name for drawn in drawing.objects] == ["inner", "innermost", "last"]


@pytest.mark.parametrize("name", ["childObjects", "children"])
def test_a_hierarchy_as_qupath_writes_it_has_its_objects_in_the_properties(tmp_path: Path, name: str) -> None:
    """Since 0.4 the root and every object hold what lies inside them among their properties."""
    cell = feature("Polygon", SQUARE, properties={"objectType": "cell", "classification": {"names": ["CD4", "1+"]}})
    dermis = feature("Polygon", SQUARE, "Dermis")
    dermis["properties"][name] = [cell]
    root = {"type": "Feature", "id": "r", "geometry": None, "properties": {"objectType": "root", name: [dermis]}}
    for document in (root, [root], collection(root)):
        objects = read(tmp_path, document).objects
        assert [(drawn.class_name, drawn.object_type) for drawn in objects] == [
            ("Dermis", "annotation"), ("CD4: 1+", "cell"),
        ]  # fmt: skip


def test_what_each_version_of_qupath_adds_changes_no_object(tmp_path: Path) -> None:
    """0.2 and 0.3 list measurements and number colours; later ones map and triple them, and add planes and ellipses."""
    polygon = {"type": "Polygon", "coordinates": SQUARE}
    old: dict[str, Any] = {
        "type": "Feature", "id": "PathAnnotationObject", "geometry": polygon,
        "properties": {
            "classification": {"name": "Dermis", "colorRGB": -8245726}, "isLocked": False,
            "measurements": [{"name": "Area", "value": 100.0}],
        },
    }  # fmt: skip
    middle = old | {"id": None, "properties": old["properties"] | {"object_type": "annotation"}}
    new = {
        "type": "Feature", "id": "7dbf3b1c-5c3e-4b2f-9a52-0d4d5a6d3f10",
        "geometry": polygon | {"isEllipse": True, "plane": {"c": -1, "z": 0, "t": 0}},
        "properties": {
            "objectType": "annotation", "name": "1", "color": [1, 2, 3], "isLocked": True,
            "classification": {"name": "Dermis", "color": [130, 45, 162]},
            "measurements": {"Area": 100.0, "Ratio": float("nan")}, "metadata": {"ANNOTATION_DESCRIPTION": "x"},
        },
    }  # fmt: skip
    for document in ([old], [middle], [new], collection(new), new):
        (drawn,) = read(tmp_path, document).objects
        assert (drawn.object_type, drawn.class_name) == ("annotation", "Dermis")
        assert drawn.area_l0 is not None
        assert drawn.area_l0.equals(box(0, 0, 10, 10))


def test_what_crosses_itself_or_is_open_is_mended_and_says_so(tmp_path: Path) -> None:
    overlapping = [SQUARE, [[[5, 5], [15, 5], [15, 15], [5, 15], [5, 5]]]]
    drawing = read(
        tmp_path,
        collection(
            feature("Polygon", BOW_TIE), feature("Polygon", [SQUARE[0][:-1]]), feature("MultiPolygon", overlapping)
        ),
    )
    tie, open_ring, both = drawing.objects
    for drawn, area in ((tie, 50), (open_ring, 100), (both, 175)):
        assert drawn.area_l0 is not None
        assert drawn.area_l0.is_valid
        assert drawn.area_l0.area == pytest.approx(area)
    first, second, third = drawing.repairs()
    assert "feature 1 (Tumor): an outline that crosses itself was mended." in first
    assert "a ring that was not closed was closed" in second
    assert "feature 3" in third


def test_a_line_is_read_and_refused_where_an_area_is_needed(tmp_path: Path) -> None:
    drawing = read(tmp_path, collection(feature("LineString", [[0, 0], [5, 5]]), feature("Point", [1, 1])))
    for drawn, what in zip(drawing.objects, ("a line", "a point"), strict=True):
        assert drawn.area_l0 is None
        with pytest.raises(SettingsError, match=f"feature {drawn.number} .*{what}, where an area is needed; draw"):
            drawing.area_of(drawn)


@pytest.mark.parametrize(
    ("kind", "coordinates", "words"),
    [
        ("Polygon", [[[0, 0], [1e308, 0], [1e308, 1e308], [0, 0]]], "pixels of the slide"),
        ("Polygon", [[[0, 0], [float("nan"), 0], [1, 1], [0, 0]]], "pixels of the slide"),
        ("Point", [float("inf"), 0], "pixels of the slide"),
        ("Point", [10**400, 0], "pixels of the slide"),
        ("Point", ["1", "2"], "no pairs of numbers"),
        ("Point", [True, False], "no pairs of numbers"),
        ("Point", [1], "no pairs of numbers"),
        ("Point", [[1, 2]], "no pairs of numbers"),
        ("Point", [], "no pairs of numbers"),
        ("Point", {"x": 1}, "no coordinates"),
        ("Point", None, "no coordinates"),
        ("MultiPoint", [], "no coordinates"),
        ("MultiPoint", [[1, 2], 3], "no pairs of numbers"),
        ("Polygon", [], "empty outline"),
        ("Polygon", [[]], "no coordinates"),
        ("Polygon", [[[0, 0], [1, 1]]], "fewer than three corners"),
        ("Polygon", [[[0, 0], [5, 5], [10, 10], [0, 0]]], "encloses no area"),
        ("Polygon", [SQUARE[0][:2] * 3], "encloses no area"),
        ("MultiPolygon", [[]], "empty outline"),
        ("MultiPolygon", [], "encloses no area"),
        ("GeometryCollection", [], "'GeometryCollection', which is not read"),
        (["Polygon"], SQUARE, "which is not read"),
        (None, SQUARE, "which is not read"),
    ],
)
def test_a_bad_geometry_is_named_with_its_feature(tmp_path: Path, kind: Any, coordinates: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        read(tmp_path, collection(feature("Point", [1, 1]), feature(kind, coordinates)))
    assert "drawn.geojson: feature 2 " in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"geometry": None}, "no geometry"),
        ({"geometry": [1, 2]}, "no geometry"),
        ({"properties": ["Tumor"]}, "properties"),
        ({"properties": {"classification": {"name": 3}}}, "class that is no text"),
        ({"nucleusGeometry": {"type": "Point", "coordinates": [1, 1]}}, "nucleus without area"),
        ({"type": "Polygon"}, "no GeoJSON feature"),
    ],
)
def test_a_bad_feature_is_named(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=f"feature 1 .*{words}"):
        read(tmp_path, collection(feature("Polygon", SQUARE, **more)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no complete JSON"),
        (b'{"type": "FeatureCollection", "features": [', "no complete JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": ' + b"[" * 5000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "number that cannot be one"),
        (b"\xff\xfe\x00[", "not UTF-8"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        (b'{"a": 1}', "no GeoJSON features"),
        (b'"text"', "no GeoJSON features"),
        (b'{"type": "FeatureCollection", "features": {}}', "no GeoJSON features"),
        (b"[1, 2]", "feature 1 is no GeoJSON feature"),
    ],
)
def test_what_is_no_geojson_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "drawn.geojson"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=words) as caught:
        read_geojson(path, ORIGIN)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such annotation file"):
        read_geojson(tmp_path / "none.geojson", ORIGIN)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_geojson(tmp_path, ORIGIN)


def test_a_packed_file_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson_file, "MAX_TEXT_BYTES", 1024 * 1024)
    path = tmp_path / "bomb.geojson.gz"
    path.write_bytes(gzip.compress(b" " * (1024 * 1024 + 1)))
    with pytest.raises(SettingsError, match="more than 1 MB"):
        read_geojson(path, ORIGIN)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "Circle"])
near_places = st.lists(st.lists(st.integers(-3, 3) | st.floats(-3, 3), min_size=1, max_size=3), max_size=6)
nested = near_places | st.lists(near_places, max_size=3) | st.lists(st.lists(near_places, max_size=3), max_size=2)
hostile = st.fixed_dictionaries(
    {"type": st.just("Feature") | anything, "geometry": st.fixed_dictionaries({"type": kinds, "coordinates": nested})},
    optional={
        "properties": anything | st.fixed_dictionaries({"classification": anything, "objectType": anything}),
        "nucleusGeometry": anything,
        "childObjects": anything,
        "id": anything,
    },
)


@given(anything | st.lists(hostile, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_is_read_or_refused_in_a_sentence(tmp_path: Path, document: object) -> None:
    drawing, refusal = Drawing(tmp_path, ()), str(tmp_path)
    try:
        drawing = read(tmp_path, document)
    except SettingsError as error:
        refusal = str(error)
    assert refusal.startswith(str(tmp_path))
    for drawn in drawing.objects:
        if drawn.area_l0 is not None:
            assert drawn.area_l0.is_valid
            assert drawn.area_l0.area > 0
        else:
            assert np.isfinite(drawn.points_l0).all()


def test_an_empty_collection_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, collection()).objects == ()
