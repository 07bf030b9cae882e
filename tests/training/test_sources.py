"""Sources: each set on disk becomes fields at the network's pixel size, or one plain sentence."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError
from ihc_quant.training.sources import (
    NUCLEUS_DIAMETER_UM,
    centroids,
    paint_fields,
    read_counted,
    read_dsb2018,
    read_he,
    read_point_set,
    read_rgb,
)


def write_picture(path: Path, picture: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)


def grey(side: int = 64) -> NDArray[np.uint8]:
    return np.full((side, side, 3), (200, 150, 100), np.uint8)


@pytest.fixture
def point_set(tmp_path: Path) -> Path:
    for name in ("CD138-003A_1.png", "CD138-003B_1.png", "CD138-006_1.png"):
        write_picture(tmp_path / "images" / name, grey())
    rows = ["image,x_px,y_px,label", "CD138-003A_1.png,20,30,positive", "CD138-003A_1.png,40,40,negative"]
    (tmp_path / "points.csv").write_text("\n".join([*rows, "CD138-003B_1.png,32,32,negative"]))
    return tmp_path


def test_points_come_to_the_pixel_size_of_the_network(point_set: Path) -> None:
    one, two, three = read_point_set(point_set, "cd138", 0.25, 0.5, 8)
    assert one.rgb.shape == (32, 32, 3)
    assert one.rgb[0, 0].tolist() == [200, 150, 100]
    assert one.points_px is not None
    assert one.points_px.tolist() == [[10, 15], [20, 20]]
    assert one.calls.tolist() == [1, 0]
    assert one.labels is None
    assert (one.group, two.group, three.group) == ("003", "003", "006")
    assert one.valid[4:-4, 4:-4].all()
    assert one.valid.sum() == 24 * 24
    assert three.points_px is not None  # marked, and nothing found
    assert len(three.points_px) == 0
    assert read_point_set(point_set, "bcdata", 0.5, 0.5, 0)[0].group == "CD138-003A_1"


def test_outlines_are_scaled_by_their_own_nuclei(tmp_path: Path) -> None:
    labels = np.zeros((160, 200), np.uint16)
    for number, (x, y) in enumerate([(40, 50), (120, 50), (40, 120)], start=1):
        cv2.circle(labels, (x, y), 16, number * 3, -1)
    write_picture(tmp_path / "images" / "a.png", np.full((160, 200, 3), 210, np.uint8))
    write_picture(tmp_path / "labels" / "a.png", labels)
    write_picture(tmp_path / "images" / "empty.png", grey())
    write_picture(tmp_path / "labels" / "empty.png", np.zeros((64, 64), np.uint16))
    (field,) = read_dsb2018(tmp_path, 0.5)
    assert field.labels is not None
    assert field.points_px is not None
    area = np.bincount(field.labels.ravel())[3]
    assert 2 * np.sqrt(area / np.pi) * 0.5 == pytest.approx(NUCLEUS_DIAMETER_UM, rel=0.05)
    factor = field.rgb.shape[1] / 200
    assert field.points_px == pytest.approx((np.array([[40, 50], [120, 50], [40, 120]]) + 0.5) * factor, abs=0.3)
    assert field.calls.tolist() == [0, 0, 0]


def test_centroids_are_those_of_pixel_centres() -> None:
    labels = np.zeros((6, 6), np.int32)
    labels[1:3, 2:4] = 7
    labels[5, 5] = 2
    assert centroids(labels).tolist() == [[5.5, 5.5], [3.0, 2.0]]
    assert centroids(np.zeros((3, 3), np.int32)).shape == (0, 2)


def test_he_says_that_nothing_is_positive(tmp_path: Path) -> None:
    write_picture(tmp_path / "pair1_he.png", grey())
    write_picture(tmp_path / "pair1_cd3.png", grey())
    (field,) = read_he(tmp_path, 0.25, 0.5)
    assert field.no_marker
    assert not field.valid.any()
    assert field.points_px is None
    assert field.rgb.shape == (32, 32, 3)


def test_counts_come_with_their_crops(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png", grey())
    (tmp_path / "counts.csv").write_text("image,lymphocytes,organ\na.png,30,colon\n")
    counted = read_counted(tmp_path, 0.25, 0.5)
    assert counted["a.png"][0].shape == (32, 32, 3)
    assert counted["a.png"][1] == 30
    (tmp_path / "counts.csv").write_text("image,lymphocytes\na.png,many\n")
    with pytest.raises(SettingsError, match=r"counts\.csv"):
        read_counted(tmp_path, 0.25, 0.5)


def test_painted_fields_are_known_everywhere() -> None:
    one, two = paint_fields(range(2), 64)
    assert (one.name, one.group) == ("painted-0", "painted-0")
    assert one.labels is not None
    assert one.points_px is not None
    assert len(one.points_px) == len(one.calls) == one.labels.max()
    assert one.valid.all()
    assert not np.array_equal(one.rgb, two.rgb)


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: read_point_set(folder, "cd138", 0.25, 0.5, 0),
        lambda folder: read_dsb2018(folder, 0.5),
        lambda folder: read_he(folder, 0.25, 0.5),
        lambda folder: read_counted(folder, 0.25, 0.5),
    ],
)
def test_a_missing_set_is_one_sentence(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_marks_on_an_image_that_is_not_there_are_refused(point_set: Path) -> None:
    (point_set / "images" / "CD138-003B_1.png").unlink()
    with pytest.raises(SettingsError, match=r"CD138-003B_1\.png"):
        read_point_set(point_set, "cd138", 0.25, 0.5, 0)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(SettingsError, match=r"bad\.png"):
        read_rgb(tmp_path / "bad.png")
