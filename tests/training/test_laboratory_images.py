"""What a laboratory lists is checked before it teaches: scale, patients, tables, marks; and what was read is told."""

from pathlib import Path

import numpy as np
import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import UNKNOWN
from ihc_quant.training.laboratory import laboratory_summary, read_laboratory
from tests.training.laboratory_folder import CELLS, WHERE, Folder, area, dots, drawn, outlines, painted, points_of


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_item_corrects_its_file_a_little_and_the_list_only_where_the_file_is_silent(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    image, marks = folder.slide(mpp=0.25), folder.geojson([WHERE, *dots()])
    (field,) = folder.read(image, marks, mpp=0.26)
    assert field.valid.sum() == 156 * 104
    with pytest.raises(
        SettingsError, match=r"item 1: mpp is 0\.5, but its file states 0\.25 .* mpp_of_file_is_wrong: true"
    ):
        folder.read(image, marks, mpp=0.5)
    (field,) = folder.read(image, marks, mpp=0.5, mpp_of_file_is_wrong=True)
    assert field.valid.sum() == 300 * 200
    item: dict[str, object] = {"image": image, "annotation": marks, "patient": "P1"}
    silent = item | {"image": folder.picture()}
    stated, picture = read_laboratory(folder.listed(item, silent, mpp=0.5), 0.5)
    assert stated.valid.sum() == 150 * 100
    assert picture.valid.sum() == 300 * 200
    assert "item 1: at the top mpp is 0.5, but its file states 0.25 µm per pixel, which is taken" in caplog.text
    assert "item 2: at the top" not in caplog.text


@pytest.mark.parametrize(("mpp", "told"), [(0.45, ""), (0.25, ""), (0.16, "outlines have a median diameter of 3.8 µm")])
def test_outlines_of_a_size_that_nuclei_do_not_have_are_told(
    folder: Folder, caplog: pytest.LogCaptureFixture, mpp: float, told: str
) -> None:
    cells = [(150 + 50 * number, 250, "Negative") for number in range(5)]
    marks, image = folder.geojson([WHERE, *outlines(cells)]), folder.picture()
    folder.read(image, marks, mpp=mpp)
    assert (told in caplog.text) if told else not caplog.text
    with pytest.raises(SettingsError, match=r"item 1: at 0\.1 µm per pixel its 5 outlines .* 2\.4 µm.*; check mpp"):
        folder.read(image, marks, mpp=0.1)


def test_one_place_belongs_to_one_patient(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    image = folder.slide()
    (folder.path / "copy.tif").write_bytes((folder.path / image).read_bytes())
    near = folder.geojson([area(390, 200, 800, 600), *dots()], "near.geojson")
    items: list[dict[str, object]] = [
        {"image": image, "annotation": folder.geojson([WHERE, *dots()]), "patient": "P1"},
        {"image": "copy.tif", "annotation": near, "patient": "P2"},
    ]
    with pytest.raises(
        SettingsError, match=r"items 1 and 2 show the same .* of one image as of patients P1 and P2; correct"
    ):
        read_laboratory(folder.listed(*items), 0.5)
    assert len(read_laboratory(folder.listed(*(item | {"patient": "P1"} for item in items)), 0.5)) == 2
    assert "items 1 and 2 show the same 0.000125 mm² of one image; its cells count twice" in caplog.text
    other = painted()
    other[0, 0] = 0
    folder.slide("copy.tif", other)
    assert len(read_laboratory(folder.listed(*items), 0.5)) == 2, "another image of the same size is another place"


def test_a_table_serves_one_image_of_a_name(folder: Folder) -> None:
    (folder.path / "second").mkdir()
    for name in ("tile.png", "second/tile.png"):
        folder.picture(name)
    (folder.path / "points.csv").write_text("image,x_px,y_px,label\ntile.png,200,300,positive\n")
    right: dict[str, object] = {"image": "tile.png", "annotation": "points.csv", "patient": "P1", "mpp": 0.25}
    for wrong in (right | {"image": "second/tile.png"}, right | {"series": 0}):
        with pytest.raises(
            SettingsError, match=r"item 2, annotation: 'points\.csv' cannot tell this image from .* item 1"
        ):
            read_laboratory(folder.listed(right, wrong), 0.5)


def test_rows_of_images_that_are_not_listed_are_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    rows = ["image,x_px,y_px,label", "tile.png,200,300,Unknown", "tiles/b.png,1,1,positive", "tiles/b.png,1,2,positive"]
    (folder.path / "points.csv").write_text("\n".join(rows))
    (field,) = folder.read(folder.picture(), "points.csv", mpp=0.25)
    assert field.calls.tolist() == [UNKNOWN]
    assert (
        "points.csv: 2 rows are not used, as no item lists their 1 images with this table: tiles/b.png;" in caplog.text
    )


def test_places_in_micrometres_are_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    image, path = folder.picture(), folder.path / "points.csv"

    def written(factor: float) -> str:
        rows = [f"tile.png,{x * factor},{y * factor},negative" for x, y, _ in CELLS]
        path.write_text("\n".join(["image,x_px,y_px,label", *rows]))
        return "points.csv"

    folder.read(image, written(1), mpp=0.25)
    assert "µm" not in caplog.text
    folder.read(image, written(0.25), mpp=0.25)
    assert "look like µm; if they are, divide x_px and y_px by 0.25." in caplog.text
    caplog.clear()
    drawn_too = folder.geojson([area(150, 250, 1000, 800)])
    with pytest.raises(SettingsError, match="none of its 4 cells"):
        folder.read(image, [written(0.25), drawn_too], mpp=0.25)
    assert "look like µm" in caplog.text
    caplog.clear()
    corner = folder.geojson([area(0, 0, 250, 200)])
    path.write_text("image,x_px,y_px,label\n" + "tile.png,40,50,negative\ntile.png,90,60,negative\n")
    folder.read(image, ["points.csv", corner], mpp=0.25)
    assert "look like µm" not in caplog.text, "they lie where they were said to be marked"


def test_what_holds_no_cell_must_say_so(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    image, empty = folder.slide(), folder.geojson([WHERE])
    with pytest.raises(SettingsError, match=r"item 1: no cell is marked, .* add no_cells: true"):
        folder.read(image, empty)
    (field,) = folder.read(image, empty, no_cells=True)
    assert not len(points_of(field))
    assert field.valid.sum() == 150 * 100
    with pytest.raises(SettingsError, match="no_cells is true, but 4 cells are marked"):
        folder.read(image, folder.geojson([WHERE, *dots()]), no_cells=True)
    assert not caplog.text
    folder.read(image, folder.geojson([WHERE, area(400, 500, 500, 600), *dots()]))
    assert "item 1: 1 of 2 valid areas hold no marked cell" in caplog.text
    (folder.path / "points.csv").write_text("image,x_px,y_px,label\n")
    (field,) = folder.read(folder.picture(), "points.csv", mpp=0.25, no_cells=True)
    assert field.valid.all()


def test_each_item_is_summed_up(folder: Folder) -> None:
    features = [area(100, 200, 400, 400), area(600, 400, 800, 600), *dots(CELLS[:2]), *outlines(CELLS[2:3])]
    item: dict[str, object] = {"image": folder.slide(), "annotation": folder.geojson(features), "patient": "P1"}
    empty = {"image": folder.picture(), "annotation": folder.geojson([], "none.geojson"), "patient": "P2"}
    listed = folder.listed(item, empty | {"marker": "cd4", "mpp": 0.25, "no_cells": True}, tissue="skin")
    assert laboratory_summary(read_laboratory(listed, 0.5), 0.5) == [
        "item 001 (P1; CCR4, skin): 3 cells, 1 positive, 1 negative, 1 unknown, as outlines and points, in 0.00625 mm²",
        "item 002 (P2; CD4, skin): 0 cells, 0 positive, 0 negative, 0 unknown, in 0.05 mm²",
    ]


def test_an_export_of_all_objects_is_read(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    laid_out = [
        area(0, 0, 500, 500, "Unclassified") | {"properties": {"objectType": kind}} for kind in ("tile", "tmaCore")
    ]
    tissue = area(0, 0, 999, 799, "Tissue")
    image, marks = folder.slide(), [WHERE, *dots()]
    (plain,) = folder.read(image, folder.geojson(marks))
    caplog.clear()
    (field,) = folder.read(
        image, folder.geojson([tissue, *laid_out, *marks, drawn("LineString", [[1, 1], [9, 9]], "Tissue")])
    )
    assert np.array_equal(points_of(field), points_of(plain))
    assert np.array_equal(field.valid, plain.valid)
    assert "skipped" not in caplog.text
    folder.read(image, folder.geojson([*marks, *outlines([(300, 350, "Tissue")], objectType="detection")]))
    assert "1 points or detected cells have a class that is skipped" in caplog.text


def test_faults_of_all_items_are_told_together(folder: Folder) -> None:
    line = drawn("LineString", [[1, 1], [9, 9]], "Ignore*")
    (folder.path / "points.csv").write_text("image,x_px,y_px,label\ntile.png,1,1,maybe\n")
    (folder.path / "bad.svs").write_bytes(b"II*\0 and no more")
    image, right = folder.slide(), folder.geojson([WHERE, *dots()])
    items: list[dict[str, object]] = [
        {"image": image, "annotation": folder.geojson([line, line, *dots([(1, 1, "Positive")])], "lines.geojson")},
        {"image": folder.picture(), "annotation": "points.csv"},
        {"image": "bad.svs", "annotation": right},
        {"image": image, "annotation": folder.geojson(dots([(1, 1, "Stroma")]), "stroma.geojson")},
        {"image": "tile.png", "annotation": right},
    ]
    with pytest.raises(SettingsError) as caught:
        read_laboratory(folder.listed(*({"patient": "P1", **item} for item in items)), 0.5)
    words = ["points.csv: line 2", "feature 1 (Ignore*) is a line", "feature 2 (Ignore*) is a line", "bad.svs: "]
    words += ["stroma.geojson: these classes have no meaning", "item 5: a PNG or JPEG picture states no"]
    lines = str(caught.value).splitlines()
    assert len(lines) == len(words)
    assert all(word in told for word, told in zip(words, lines, strict=True))
    # Of many the first are told.
    many = folder.geojson([line] * 30, "many.geojson")
    with pytest.raises(SettingsError, match=r"many\.geojson: and 25 faults more\."):
        folder.read(image, many)


def test_an_outline_in_parts_is_one_nucleus_or_none(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    def square(x: int, y: int, side: int) -> list[list[list[int]]]:
        return [[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]]

    def in_parts(*parts: list[list[list[int]]]) -> str:
        return folder.geojson([WHERE, drawn("MultiPolygon", list(parts), "Positive")])

    image = folder.slide()
    with pytest.raises(SettingsError, match=r"feature 2 \(Positive\) has 2 parts that lie apart"):
        folder.read(image, in_parts(square(180, 280, 40), square(300, 280, 30)))
    (field,) = folder.read(image, in_parts(square(180, 280, 40), square(300, 280, 4)))
    assert points_of(field).tolist() == [[82, 82]]
    assert field.labels is not None
    assert (field.labels > 0).sum() == 20 * 20
    assert "1 specks beside its outline were left out" in caplog.text
    (field,) = folder.read(image, in_parts(square(180, 280, 20), square(202, 280, 20)))
    assert len(points_of(field)) == 1


def test_outlines_that_a_point_makes_useless_are_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    features = [area(100, 200, 800, 600), *dots(CELLS[:1]), *outlines(CELLS[1:3])]
    folder.read(folder.slide(), folder.geojson(features))
    assert "2 outlines are not used, as 1 cells in their areas are known by a point alone" in caplog.text


def test_a_slip_of_the_drawing_tool_is_no_valid_area(folder: Folder) -> None:
    with pytest.raises(
        SettingsError, match=r"feature 2 \(Annotated area\) covers 1 µm², less than a nucleus; delete it"
    ):
        folder.read(folder.slide(), folder.geojson([WHERE, area(10, 10, 14, 14), *dots()]))
