"""A laboratory's annotations become fields that supervise what was marked and nothing else."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import Polygon, box

from ihc_quant.annotation.class_map import Meaning, read_class_map
from ihc_quant.domain.geometry import Box, GridBox
from ihc_quant.errors import SettingsError, SlideUnreadable
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.training import laboratory, laboratory_images
from ihc_quant.training.augmentation import AugmentationRanges, augmented_crop
from ihc_quant.training.field import UNKNOWN
from ihc_quant.training.laboratory import (
    MARGIN_PX,
    PIECE_PX,
    cores_of,
    covered,
    read_laboratory,
)
from ihc_quant.training.laboratory_file import read_laboratory_file
from ihc_quant.training.sources import CD138_MPP, read_point_set
from ihc_quant.training.targets import NUCLEUS_RADIUS_UM, OUTSIDE_RADIUS_UM, targets_of
from tests.training.laboratory_folder import (
    CELLS,
    RADIUS_L0,
    WHERE,
    Folder,
    area,
    dots,
    drawn,
    outlines,
    painted,
    points_of,
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_points_on_a_slide_supervise_centres_and_calls_in_the_drawn_area_only(folder: Folder) -> None:
    (field,) = folder.read(folder.slide(), folder.geojson([area(100, 200, 400, 400), *dots()]))
    # The area is 150 × 100 network pixels, and its margin is read with it.
    assert field.rgb.shape == (100 + 2 * MARGIN_PX, 150 + 2 * MARGIN_PX, 3)
    assert field.valid.sum() == 150 * 100
    assert field.valid[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].all()
    assert (field.source, field.group) == ("laboratory", "P1")
    assert "slide" not in field.name  # file names may be accession numbers
    assert field.labels is None
    assert points_of(field).tolist() == [[82, 82], [112, 82]]
    assert field.calls.tolist() == [1, 0]
    brown, blue = (field.rgb[int(y), int(x)].astype(int) for x, y in points_of(field))
    assert brown[0] > brown[2] + 40
    assert blue[2] > blue[0] + 40
    targets = targets_of(field, 0.5)
    assert np.count_nonzero(targets.weights[0]) == 150 * 100
    assert not targets.weights[1][~field.valid].any()
    rows, columns = np.mgrid[: field.rgb.shape[0], : field.rgb.shape[1]] + 0.5
    away_um = 0.5 * np.min([np.hypot(columns - x, rows - y) for x, y in points_of(field)], axis=0)
    outline = (away_um > NUCLEUS_RADIUS_UM) & (away_um <= OUTSIDE_RADIUS_UM)
    assert not targets.weights[1][outline].any(), "a point says nothing of the outline"
    assert targets.weights[1][field.valid & ~outline].all()


def test_outlines_also_supervise_extents(folder: Folder) -> None:
    (field,) = folder.read(folder.slide(), folder.geojson([area(100, 200, 800, 600), *outlines()]))
    assert field.labels is not None
    assert field.calls.tolist() == [1, 0, UNKNOWN]
    for number, (x, y) in enumerate(points_of(field), start=1):
        rows, columns = np.nonzero(field.labels == number)
        assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((x, y), abs=0.3)
        assert len(rows) == pytest.approx(np.pi * (RADIUS_L0 / 2) ** 2, rel=0.1)
    dark = field.rgb.min(axis=2) < 150
    assert (dark == (field.labels > 0))[field.valid].mean() > 0.995


def test_one_point_among_outlines_makes_its_area_one_of_points(folder: Folder) -> None:
    features = [area(100, 200, 400, 400), area(600, 400, 800, 600), *dots(CELLS[:1]), *outlines(CELLS[1:])]
    mixed, outlined = folder.read(folder.slide(), folder.geojson(features))
    assert mixed.labels is None
    assert mixed.calls.tolist() == [1, 0]
    assert outlined.labels is not None
    assert outlined.calls.tolist() == [UNKNOWN]


def test_a_whole_cell_is_known_by_its_nucleus_or_else_by_its_place(folder: Folder) -> None:
    region, image = area(100, 200, 400, 400), folder.slide()
    whole = outlines(CELLS[:2], objectType="cell")
    (field,) = folder.read(image, folder.geojson([region, *whole]))
    assert field.labels is None
    assert points_of(field) == pytest.approx(np.array([[82, 82], [112, 82]]))
    nuclei = [
        cell | {"nucleusGeometry": area(x - 6, y - 6, x + 4, y + 4)["geometry"]}
        for cell, (x, y, _) in zip(whole, CELLS, strict=False)
    ]
    (field,) = folder.read(image, folder.geojson([region, *nuclei]))
    assert field.labels is not None
    assert np.bincount(field.labels.ravel())[1:].tolist() == [25, 25]
    assert points_of(field) == pytest.approx(np.array([[81.5, 81.5], [111.5, 81.5]]))


def test_holes_and_ignored_areas_supervise_nothing(folder: Folder) -> None:
    ring = area(100, 200, 400, 400)
    ring["geometry"]["coordinates"].append([[300, 210], [380, 210], [380, 390], [300, 390], [300, 210]])
    features = [ring, area(100, 200, 150, 400, "Ignore*"), *dots()]
    (field,) = folder.read(folder.slide(), folder.geojson(features))
    assert field.valid.sum() == (250 * 200 - 80 * 180) / 4
    left = 75 - MARGIN_PX  # the area begins at 150 level-0 pixels now
    assert not field.valid[:, 150 - left : 190 - left][MARGIN_PX + 5 : -MARGIN_PX - 5].any()
    assert points_of(field)[0].tolist() == [100 - left, 150 - (100 - MARGIN_PX)]


def test_a_picture_without_a_drawn_area_was_marked_throughout(folder: Folder) -> None:
    rgb = painted()
    (field,) = folder.read(folder.picture(rgb=rgb), folder.geojson(dots()), mpp=0.25)
    assert field.rgb.shape == (400, 500, 3)
    assert field.valid.all()
    assert points_of(field) == pytest.approx(np.array([(x / 2, y / 2) for x, y, _ in CELLS]))
    assert field.rgb[10, 10].tolist() == rgb[20, 20].tolist()
    (part,) = folder.read("tile.png", folder.geojson([area(100, 200, 400, 400), *dots()]), mpp=0.25)
    assert part.valid.sum() == 150 * 100


def test_a_points_table_joins_an_area_drawn_in_geojson(folder: Folder) -> None:
    image = folder.slide()
    labelled = [(x, y, "positive" if name == "Positive" else "negative") for x, y, name in CELLS]
    rows = [f"slide.tif,{x},{y},{label}" for x, y, label in labelled]
    (folder.path / "points.csv").write_text("\n".join(["image,x_px,y_px,label", *rows, "other.tif,1,1,positive"]))
    (field,) = folder.read(image, ["points.csv", folder.geojson([area(100, 200, 400, 400)])])
    assert points_of(field).tolist() == [[82, 82], [112, 82]]
    assert field.calls.tolist() == [1, 0]
    with pytest.raises(SettingsError, match="item 1: nothing tells where on the slide every cell was marked; draw"):
        folder.read(image, "points.csv")
    with pytest.raises(
        SettingsError, match=r"no row belongs to the image 'tile\.png'; its column image names 'other.tif'"
    ):
        folder.read(folder.picture(), "points.csv", mpp=0.25)


def test_areas_at_opposite_corners_are_read_apart_and_large_ones_in_pieces(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_boxes: list[GridBox] = []

    def noted(reader: Any, grid: Any, box: GridBox) -> NDArray[np.uint8]:
        read_boxes.append(box)
        return read_grid(reader, grid, box)

    monkeypatch.setattr(laboratory, "read_grid", noted)
    monkeypatch.setattr(laboratory, "PIECE_PX", 164)
    corners = [area(0, 0, 120, 100), area(880, 700, 1000, 800)]
    fields = folder.read(folder.slide(), folder.geojson([*corners, area(200, 200, 700, 400)]), no_cells=True)
    assert [box.width * box.height for box in (read_boxes[0], read_boxes[-1])] == [(60 + 32) * (50 + 32)] * 2
    assert len(fields) == 2 + 3
    assert max(max(box.width, box.height) for box in read_boxes) <= 164
    seen = np.zeros((400, 500), int)
    for field, at in zip(fields, read_boxes, strict=True):
        seen[at.y0 : at.y1, at.x0 : at.x1] += field.valid
    wanted = np.zeros_like(seen)
    for x0, y0, x1, y1 in ((0, 0, 60, 50), (440, 350, 500, 400), (100, 100, 350, 200)):
        wanted[y0:y1, x0:x1] = 1
    assert np.array_equal(seen, wanted)


@given(x=st.floats(0, 4000), y=st.floats(0, 4000), width=st.floats(0.01, 4000), height=st.floats(0.01, 4000))
@settings(max_examples=100, deadline=None)
def test_cores_partition_the_box_of_an_area(x: float, y: float, width: float, height: float) -> None:
    image = GridBox(0, 0, 5000, 5000)
    shape = box(x, y, min(x + width, 5000), min(y + height, 5000))
    cores = cores_of(shape, image)
    assert all(max(core.width, core.height) <= PIECE_PX - 2 * MARGIN_PX for core in cores)
    x0, y0, x1, y1 = shape.bounds
    assert sum(core.width * core.height for core in cores) == (np.ceil(x1) - np.floor(x0)) * (
        np.ceil(y1) - np.floor(y0)
    )
    assert len({(core.x0, core.y0) for core in cores}) == len(cores)


def test_a_pixel_is_covered_where_its_centre_is() -> None:
    triangle = Polygon([(10, 20), (14, 20), (10, 24)])
    rows = ["1110", "1100", "1000", "0000"]
    # The centres on the slope itself, such as (13.5, 20.5), lie on the border, which counts as outside.
    assert covered(triangle, GridBox(10, 20, 14, 24)).tolist() == [[digit == "1" for digit in row] for row in rows]


def test_qupaths_bounds_move_its_marks_but_not_a_tables(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def bounded(path: Path, **options: Any) -> Any:
        reader = open_slide(path, **options)
        reader.info = replace(reader.info, bounds_l0=Box(60, 80, 1000, 800))
        return reader

    image = folder.slide()
    in_bounds = [(x - 60, y - 80, name) for x, y, name in CELLS]
    features = [area(100 - 60, 200 - 80, 400 - 60, 400 - 80), *dots(in_bounds[:1])]
    (folder.path / "points.csv").write_text("image,x_px,y_px,label\nslide.tif,260,300,negative\n")
    monkeypatch.setattr(laboratory_images, "open_slide", bounded)
    (field,) = folder.read(image, [folder.geojson(features), "points.csv"])
    assert points_of(field).tolist() == [[82, 82], [112, 82]]
    assert field.rgb[82, 82, 0] > field.rgb[82, 82, 2] + 40


@pytest.mark.parametrize("mpp", [0.2, 0.3, 0.46])
def test_every_slide_comes_to_the_networks_pixel_size(folder: Folder, mpp: float) -> None:
    (field,) = folder.read(folder.slide(mpp=mpp), folder.geojson([area(100, 200, 400, 400), *outlines()]))
    assert field.valid.sum() == pytest.approx(300 * 200 * (mpp / 0.5) ** 2, rel=0.03)
    assert field.labels is not None
    assert ((field.rgb.min(axis=2) < 160) == (field.labels > 0))[field.valid].mean() > 0.98


def test_fields_serve_augmentation(folder: Folder) -> None:
    (field,) = folder.read(folder.slide(), folder.geojson([area(100, 200, 800, 600), *outlines()]))
    crop = augmented_crop(field, 96, AugmentationRanges(), np.random.default_rng(0), on_positive=1.0)
    assert crop.rgb.shape == (96, 96, 3)
    assert crop.labels is not None
    assert (crop.calls == 1).any()


def test_patients_stay_together_whatever_the_item(folder: Folder) -> None:
    image = folder.slide()
    areas = [area(100, 200, 240, 400), area(240, 200, 400, 400), area(600, 400, 800, 600)]
    items: list[dict[str, object]] = [
        {"image": image, "annotation": folder.geojson([one, *dots()], f"{number}.geojson"), "patient": patient}
        for number, (one, patient) in enumerate(zip(areas, ("P1", "P2", "P1"), strict=True))
    ]
    fields = read_laboratory(folder.listed(*items, licence="ours, no release", tissue="skin"), 0.5)
    assert [field.group for field in fields] == ["P1", "P2", "P1"]
    assert len({field.name for field in fields}) == 3
    assert {(field.marker, field.tissue, field.licence) for field in fields} == {("CCR4", "skin", "ours, no release")}


def test_what_is_mended_or_left_out_is_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    bow_tie = drawn("Polygon", [[[100, 200], [400, 400], [400, 200], [100, 400], [100, 200]]], "Annotated area")
    with caplog.at_level(logging.WARNING):
        folder.read(folder.slide(), folder.geojson([bow_tie, *dots(), *outlines(CELLS[:1])]))
    assert "feature 1 (Annotated area): an outline that crosses itself was mended." in caplog.text
    assert "of 5 cells lie outside the valid areas." in caplog.text
    assert "1 cells are marked twice, less than 1 µm apart, the first at 50, 75 µm" in caplog.text


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([WHERE, *dots([(200, 300, "Stroma"), (1, 1, "Stroma"), (2, 2, "CD4+")])], r"'CD4\+' \(1\), 'Stroma' \(2\)"),
        ([WHERE, drawn("LineString", [[1, 1], [9, 9]], "Ignore*")], r"feature 2 \(Ignore\*\) is a line"),
        ([drawn("Point", [1, 1], "Annotated area")], "is a point, where an area is needed"),
        ([WHERE, area(0, 0, 900, 700, "Positive")], "covers 39,375 µm², too much for one cell"),
        (dots(), "nothing tells where on the slide"),
        ([], "nothing tells where on the slide"),
        ([WHERE, *dots([(5000, 300, "Positive")])], "1 of 1 cells lie outside the image"),
        ([WHERE, *dots([(900, 100, "Negative")])], "none of its 1 cells lies in an area drawn as valid"),
        ([area(5000, 200, 6000, 400)], "nothing is left of the areas"),
        ([WHERE, area(0, 0, 999, 799, "Ignore*")], "nothing is left of the areas"),
    ],
)
def test_marks_of_which_nothing_or_wrong_would_be_learned_are_refused(
    folder: Folder, features: list[object], words: str
) -> None:
    image, marks = folder.slide(), folder.geojson(features)
    with pytest.raises(SettingsError, match=words) as caught:
        folder.read(image, marks)
    assert str(folder.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_and_coarse_pixels_are_refused_with_the_cure(folder: Folder) -> None:
    marks = folder.geojson(dots())
    with pytest.raises(SettingsError, match=r"item 1: .*states no µm per pixel; add mpp to the item"):
        folder.read(folder.picture(), marks)
    with pytest.raises(SettingsError, match=r"item 1: 0\.6 µm per pixel are too coarse"):
        folder.read("tile.png", marks, mpp=0.6)


def test_a_damaged_slide_is_named(folder: Folder) -> None:
    (folder.path / "bad.svs").write_bytes(b"II*\0 and no more")
    with pytest.raises(SlideUnreadable, match=r"bad\.svs"):
        folder.read("bad.svs", folder.geojson([WHERE]))


def test_all_faults_of_a_list_are_named_at_once(folder: Folder) -> None:
    image, marks = folder.picture(), folder.geojson([])
    right: dict[str, object] = {"image": image, "annotation": marks, "patient": "P1"}
    (folder.path / "notes.txt").touch()
    wrong: list[dict[str, object]] = [
        {"image": image, "annotation": marks},
        right | {"patient": 7},
        right | {"patient": "P1,P2"},
        right | {"patient": " "},
        right | {"mmp": 0.25},
        right | {"mpp": 352.8},
        right | {"mpp": True},
        right | {"series": "0"},
        right | {"image": "none.svs"},
        right | {"annotation": []},
        right | {"annotation": "notes.txt"},
        right | {"classes": None},
        right | {"mpp_of_file_is_wrong": True},
        right | {"no_cells": "yes"},
    ]
    with pytest.raises(SettingsError) as caught:
        read_laboratory(folder.listed(right, *wrong), 0.5)
    lines = str(caught.value).splitlines()
    words = [
        "patient: it is missing",
        "patient: it is read as no text; write it in quotes",
        "patient: 'P1,P2' has a comma",
        "patient: it is empty",
        "mmp: there is no such entry",
        "mpp: 352.8 is not possible",
        "mpp: True is not possible",
        "series: '0' is not possible",
        "image: there is no file 'none.svs'",
        "annotation: it is empty",
        "annotation: 'notes.txt' is neither",
        "classes: GeoJSON needs a class map",
        "mpp_of_file_is_wrong: the right value is missing; add mpp",
        "no_cells: 'yes' is not possible",
    ]
    assert len(lines) == len(words)
    for number, (line, word) in enumerate(zip(lines, words, strict=True), start=2):
        assert f"laboratory.yaml: item {number}, {word}" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are no items"),
        ("items: []", "there are no items"),
        ("items: {a: 1}", "there are no items"),
        ("item: [a]", "the entry 'item' is unknown"),
        ("items: [a.svs]", "item 1: it has no entries"),
        ("items: [{}]\nlicence: 3", "licence must be text"),
        ("items: [{}]\nmpp: 352.8", r"yaml: mpp: 352\.8 is not possible"),
    ],
)
def test_what_is_no_list_is_refused(folder: Folder, text: str, words: str) -> None:
    path = folder.path / "laboratory.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_laboratory(path, 0.5)


@pytest.mark.shared
def test_real_tiles_come_in_as_from_their_own_reader(folder: Folder, shared_data: Path) -> None:
    source = shared_data / "labelled" / "cd138"
    (own, *_) = read_point_set(source, "cd138", CD138_MPP, 0.5, 0)
    item: dict[str, object] = {"image": str(source / "images" / own.name), "annotation": str(source / "points.csv")}
    (field,) = read_laboratory(folder.listed(item | {"patient": own.group, "mpp": CD138_MPP}), 0.5)
    assert points_of(field) == pytest.approx(points_of(own))
    assert np.array_equal(field.calls, own.calls)
    assert np.abs(field.rgb.astype(int) - own.rgb).max() <= 1
    assert field.valid.all()


def test_the_examples_of_the_manual_are_read(folder: Folder) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text(encoding="utf-8")
    class_map, listed, _ = (part.split("```")[0] for part in manual.split("```yaml\n")[1:])
    (folder.path / "classes.yaml").write_text(class_map, encoding="utf-8")
    assert set(read_class_map(folder.path / "classes.yaml").meanings.values()) == set(Meaning)
    for name in ("slides/a.svs", "a.geojson", "tiles/b7.png", "points.csv", "slides/c.ome.tif", "areas.geojson"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).touch()
    (folder.path / "laboratory.yaml").write_text(listed, encoding="utf-8")
    laboratory_read = read_laboratory_file(folder.path / "laboratory.yaml")
    assert [item.patient for item in laboratory_read.items] == ["P01", "P02", "P03"]
    assert laboratory_read.items[1].mpp == 0.25
