"""Which places are tissue: painted pictures first, real ones after."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.stain.density import from_optical_density
from ihc_quant.tissue.mask import TissueSettings, find_tissue

HEMATOXYLIN = (0.65, 0.70, 0.29)
DAB = (0.27, 0.57, 0.78)


def grid(pixel_um: float) -> Grid:
    return Grid(pixel_um, Mpp.square(0.25))


def painted(
    inside: NDArray[np.bool_],
    pixel_um: float,
    colour: tuple[float, float, float],
    strength: float,
    white: float = 240.0,
) -> NDArray[np.uint8]:
    """Return cells of 8 µm on a paler ground inside the mask, on noisy glass; ``strength`` is the cells' density.

    Painted at 2 µm at most and averaged down, as a scanner's overview is.
    """
    rng = np.random.default_rng(5)
    factor = max(1, round(pixel_um / 2))
    fine_um, fine = pixel_um / factor, inside.repeat(factor, axis=0).repeat(factor, axis=1)
    cells = cv2.GaussianBlur(rng.normal(0, 1, fine.shape).astype(np.float32), (0, 0), sigmaX=2.5 / fine_um)
    cells = np.clip(cells / cells.std(), 0, 2)
    amount = np.where(fine, strength * (0.25 + 0.5 * cells), 0)
    od = amount[..., np.newaxis] * np.array(colour) + rng.normal(0, 0.002, (*fine.shape, 3))
    rgb = from_optical_density(od.astype(np.float32), (white, white, white))
    return np.asarray(cv2.resize(rgb, inside.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape) + 0.5
    return np.asarray((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2, np.bool_)


@given(st.integers(0, 255), st.floats(0, 3), st.floats(0.25, 8), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_blank_pictures_of_any_grey_hold_no_tissue(level: int, noise: float, pixel_um: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sensor = rng.normal(0, noise, (120, 130, 1))
    blank = np.clip(np.rint(level + sensor + np.zeros(3)), 0, 255).astype(np.uint8)
    assert not find_tissue(blank, grid(pixel_um)).mask.any()


@pytest.mark.parametrize("colour", [HEMATOXYLIN, DAB])
@pytest.mark.parametrize("strength", [0.15, 0.4, 1.2])
@pytest.mark.parametrize("pixel_um", [0.5, 4.0, 8.0])
def test_a_picture_without_background_is_tissue_from_edge_to_edge(
    colour: tuple[float, float, float], strength: float, pixel_um: float
) -> None:
    everything = np.ones((160, 200), np.bool_)
    tissue = find_tissue(painted(everything, pixel_um, colour, strength), grid(pixel_um))
    # At 0.15 the ground between the cells has a density of 0.02, half of what separates white 240 from white 255.
    assert tissue.mask.mean() >= (0.97 if strength < 0.4 else 1.0)
    assert tissue.fragment_count == 1


@pytest.mark.parametrize("colour", [HEMATOXYLIN, DAB])
@pytest.mark.parametrize("strength", [0.15, 0.4, 1.2])
@pytest.mark.parametrize("pixel_um", [4.0, 8.0])
def test_pale_and_dark_tissue_is_found_with_its_outline(
    colour: tuple[float, float, float], strength: float, pixel_um: float
) -> None:
    shape = (round(2400 / pixel_um), round(2400 / pixel_um))
    inside = disc(shape, (shape[0] / 2, shape[1] / 2), 800 / pixel_um)
    mask = find_tissue(painted(inside, pixel_um, colour, strength), grid(pixel_um)).mask
    assert (mask & inside).sum() >= 0.99 * inside.sum()
    halo = disc(shape, (shape[0] / 2, shape[1] / 2), (800 + 20) / pixel_um)
    assert not (mask & ~halo).any()


@pytest.mark.parametrize("colour", [HEMATOXYLIN, DAB])
def test_the_area_hardly_depends_on_the_grid(colour: tuple[float, float, float]) -> None:
    fine = painted(disc((1680, 1680), (840, 840), 600), 1.0, colour, 0.6)
    areas = []
    for factor in (1, 4, 6, 8):
        overview = np.asarray(
            cv2.resize(fine, (1680 // factor, 1680 // factor), interpolation=cv2.INTER_AREA), np.uint8
        )
        areas.append(find_tissue(overview, grid(float(factor))).area_um2())
    assert max(areas) <= 1.02 * min(areas)
    assert areas == pytest.approx([np.pi * 600**2] * 4, rel=0.02)


@pytest.mark.parametrize("strength", [0.15, 0.4, 1.2])
@pytest.mark.parametrize("pixel_um", [1.0, 4.0, 8.0])
def test_the_border_does_not_depend_on_how_dark_the_tissue_is(strength: float, pixel_um: float) -> None:
    shape = (round(1600 / pixel_um), round(1600 / pixel_um))
    inside = disc(shape, (shape[0] / 2, shape[1] / 2), 500 / pixel_um)
    tissue = find_tissue(painted(inside, pixel_um, HEMATOXYLIN, strength), grid(pixel_um))
    radius_um = float(np.sqrt(tissue.area_um2() / np.pi))
    assert radius_um == pytest.approx(float(np.sqrt(inside.sum() / np.pi)) * pixel_um, abs=0.5 * max(4.0, pixel_um))


def test_cells_that_lie_loose_along_the_border_are_tissue() -> None:
    inside = disc((800, 800), (400, 400), 250)
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    places = [(400 + 257 * np.sin(angle), 400 + 257 * np.cos(angle)) for angle in angles]
    overview = painted(inside, 1.0, DAB, 0.5)
    for row, column in places:  # nuclei of 6 µm beyond a gap of 4 µm
        overview[disc((800, 800), (row, column), 3)] = (120, 120, 170)
    found = find_tissue(overview, grid(1.0)).fragment_at(
        *(np.array([place[axis] for place in places]) * 4 for axis in (1, 0))
    )
    assert (found == 1).all()


def test_fat_cells_stay_holes_and_lumens_do_not() -> None:
    wanted = disc((1600, 1600), (800, 800), 600)
    fat = disc((1600, 1600), (800, 500), 35) | disc((1600, 1600), (800, 1100), 45)
    lumens = disc((1600, 1600), (500, 800), 8) | disc((1600, 1600), (1100, 800), 15)
    mask = find_tissue(painted(wanted & ~fat & ~lumens, 1.0, DAB, 0.5), grid(1.0)).mask
    assert mask[lumens].all()
    assert (~mask)[fat].sum() >= 0.85 * fat.sum()


def test_the_border_of_an_image_is_not_an_edge_of_tissue() -> None:
    inside = np.zeros((300, 300), np.bool_)
    inside[:, :150] = True
    mask = find_tissue(painted(inside, 4.0, HEMATOXYLIN, 0.5), grid(4.0)).mask
    assert mask[[0, -1], :140].all()
    assert mask[:, 0].all()


def test_haze_dust_and_shading_are_dropped() -> None:
    rows, columns = np.indices((300, 300))
    od = 0.05 * columns[..., np.newaxis] / 300 * np.ones(3)  # shading of the lamp
    haze = np.exp(-((rows - 150) ** 2 + (columns - 100) ** 2) / (2 * 60**2))
    od = od + 0.06 * haze[..., np.newaxis] * np.array(DAB)  # a smooth brown haze
    od[disc((300, 300), (80, 220), 4)] = 0.8  # dust of 32 µm
    od[disc((300, 300), (220, 220), 4)] = 0.8 * np.array(DAB)
    od += np.random.default_rng(0).normal(0, 0.002, od.shape)
    assert not find_tissue(from_optical_density(od.astype(np.float32), (240.0,) * 3), grid(4.0)).mask.any()


def test_a_black_line_is_not_tissue() -> None:
    picture = np.full((400, 400, 3), 240, np.uint8)
    cv2.line(picture, (20, 0), (380, 399), (25, 25, 25), 6)
    assert not find_tissue(picture, grid(4.0)).mask.any()


def test_two_fragments_far_apart_are_two() -> None:
    inside = disc((400, 800), (200, 200), 120) | disc((400, 800), (190, 600), 120)
    tissue = find_tissue(painted(inside, 8.0, DAB, 0.5), grid(8.0))
    assert tissue.fragment_count == 2
    assert tissue.fragments[200, 200] == 1
    assert sum(tissue.fragment_areas_um2()) == pytest.approx(tissue.area_um2())


def test_the_result_is_the_same_each_time_and_the_input_is_left_alone() -> None:
    overview = painted(disc((200, 200), (90, 80), 60), 4.0, HEMATOXYLIN, 0.4)
    before = overview.copy()
    first, second = (find_tissue(overview, grid(4.0)) for _ in range(2))
    assert np.array_equal(first.fragments, second.fragments)
    assert np.array_equal(overview, before)


@pytest.mark.parametrize(
    "wrong", [{"working_um": 0.0}, {"border_od": 0.0}, {"strong_od": 0.001}, {"speck_um2": -1.0}, {"speck_share": 1.5}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|below|not negative"):
        TissueSettings(**wrong)


def test_an_overview_is_8_bit_colour() -> None:
    with pytest.raises(TypeError, match="uint8"):
        find_tissue(np.zeros((4, 4, 3), np.float32), grid(4.0))
    with pytest.raises(ValueError, match="shape"):
        find_tissue(np.zeros((0, 4, 3), np.uint8), grid(4.0))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("path", "pixel_um", "low", "high"),
    [
        ("unlabelled/lymphnode_cd3/pair1_cd3.png", 0.25, 0.46, 0.52),
        ("unlabelled/lymphnode_cd3/ihc_b.png", 0.25, 0.55, 0.62),
        ("unlabelled/pd1_tma/PD1(NAT105)-CellMarque_A12_v3_b3_000.jpg", 0.5, 0.0, 0.0),  # blank glass
        ("unlabelled/pd1_tma/PD1(NAT105)-CellMarque_A12_v3_b3_003.jpg", 0.5, 0.18, 0.23),
        ("unlabelled/pd1_tma/PD1(NAT105)-CellMarque_A12_v3_b3_007.jpg", 0.5, 0.33, 0.41),  # very pale
        ("unlabelled/cd3cd8/test_10080.png", 0.25, 1.0, 1.0),  # no background
        ("labelled/lysto/images/training_10034.png", 0.25, 1.0, 1.0),
        ("artefacts/epidermis_dab/HSPA2.jpg", 0.5, 0.12, 0.17),  # a thin strip on dusty glass
        ("artefacts/no-tissue-line.png", 1.0, 0.0, 0.0),
    ],
)
def test_real_pictures_keep_the_share_of_tissue_that_people_see(
    shared_data: Path, path: str, pixel_um: float, low: float, high: float
) -> None:
    rgb = np.array(Image.open(shared_data / path).convert("RGB"))
    assert low <= find_tissue(rgb, grid(pixel_um)).mask.mean() <= high
