"""The points table: what is in it comes out, and what is wrong is named with its line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihc_quant.annotation.points_csv import POINT_COLUMNS, read_points_csv
from ihc_quant.errors import SettingsError

HEAD = ",".join(POINT_COLUMNS)
points = st.lists(
    st.tuples(st.sampled_from(["a.png", "b, c.png"]), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans()), max_size=20
)


@given(points)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_points_come_back_by_image_and_in_order(tmp_path: Path, cells: list[tuple[str, float, float, bool]]) -> None:
    path = tmp_path / "points.csv"
    lines = [f'"{image}",{x!r},{y!r},{"positive" if call else "negative"}' for image, x, y, call in cells]
    path.write_text("\n".join([HEAD, *lines]))
    read = read_points_csv(path)
    assert set(read) == {cell[0] for cell in cells}
    for image, marks in read.items():
        own = [cell for cell in cells if cell[0] == image]
        assert marks.xy_px.tolist() == [[x, y] for _, x, y, _ in own]
        assert marks.positive.tolist() == [call for *_, call in own]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.png,1,2,maybe", "label must be positive, negative or unknown, not 'maybe'"),
        ("a.png,1,2", "label"),
        ("a.png,one,2,positive", "must be numbers"),
        ("a.png,,2,positive", "must be numbers"),
        ("a.png,nan,2,positive", "must be numbers"),
        ("a.png,1,inf,positive", "must be numbers"),
        (",1,2,positive", "must be a name"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(f"{HEAD}\na.png,1,2,positive\n{row}\n")
    with pytest.raises(SettingsError, match=words) as caught:
        read_points_csv(path)
    assert f"{path}: line 3: " in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"image,x,y\n", b"\xff\xfe\x00", HEAD.encode() + b"\n\xe4,1,2,positive\n"])
def test_what_is_no_points_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"points\.csv"):
        read_points_csv(path)


def test_a_field_too_long_for_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(f"{HEAD}\n{'a' * 200_000},1,2,positive\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_points_csv(path)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv"):
        read_points_csv(tmp_path / "none.csv")


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEAD},reader\r\na.png,1,2,positive,me\r\n".encode())
    assert read_points_csv(path)["a.png"].xy_px.tolist() == [[1, 2]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_case_blanks_order_and_delimiter_do_not_matter(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "points.csv"
    rows = [
        ["Label ", " Reader", "Y_px", "X_PX", "image"],
        ["Positive", "me", "2", " 1.5", "a.png"],
        [" negative ", "", "4", "3", " a.png "],
        ["UNKNOWN", "", "6", "5", "a.png"],
        ["", "", "", "", ""],
    ]
    path.write_text("\n".join(map(delimiter.join, rows)))
    (read,) = read_points_csv(path).values()
    assert read.xy_px.tolist() == [[1.5, 2], [3, 4], [5, 6]]
    assert read.positive.tolist() == [True, False, False]
    assert read.judged.tolist() == [True, True, False]


def test_columns_that_are_missing_or_twice_are_named_with_those_that_were_found(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("Image;Centroid X µm;y_px;Class\n")
    with pytest.raises(
        SettingsError,
        match=r"found were 'Image', 'Centroid X µm', 'y_px', 'Class', so rename columns to x_px, label or",
    ):
        read_points_csv(path)
    path.write_text("image,x_px,y_px,label,Label\na.png,1,2,positive,negative\n")
    with pytest.raises(SettingsError, match="the column label stands there twice"):
        read_points_csv(path)


def test_all_faulty_lines_are_told_up_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("\n".join([HEAD, "a.png,1,2,maybe", "a.png,1,2,positive", *['a.png,"1,5",2,positive'] * 6]))
    with pytest.raises(SettingsError) as caught:
        read_points_csv(path)
    message = str(caught.value)
    assert "line 2: the label must be" in message
    assert (
        "line 4: image must be a name, x_px and y_px must be numbers with a decimal point, not 'a.png', '1,5'"
        in message
    )
    assert message.endswith("; and 2 more.")
    assert "\n" not in message
