"""Quality control on painted arrays: what is found, what is not, and that the image's border is no edge."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox, Mpp, Size
from ihc_quant.domain.quality import Cause, QualityMap
from ihc_quant.stain.density import White, from_optical_density
from ihc_quant.stain.estimate import SlideColours, reference_stains
from ihc_quant.tissue.artefacts import edge_band, find_blank, find_blur, find_pen, find_saturated
from ihc_quant.tissue.control import propose_control
from ihc_quant.tissue.folds import find_folds
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.quality import find_causes, summarise
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY, QualitySettings
from ihc_quant.tissue.tile_measures import STEP_PX, MeasureRaster, measure_tile

WHITE = (240.0, 240.0, 240.0)
HEMATOXYLIN, DAB = np.array((0.65, 0.70, 0.29)), np.array((0.27, 0.57, 0.78))
GRID = Grid(8.0, Mpp.square(0.5))


def tissue_od(side_px: int, strength: float = 0.5, seed: int = 0) -> NDArray[np.float32]:
    """Return densities of round nuclei on pale ground at 0.5 µm per pixel, a third of them brown."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((side_px, side_px, 3), np.float32)
    canvas += (0.06 * HEMATOXYLIN + 0.02 * DAB).astype(np.float32)
    for x, y in rng.uniform(0, side_px, (side_px * side_px // 500, 2)):
        colour = DAB if rng.random() < 0.33 else HEMATOXYLIN
        nucleus = tuple(float(value) for value in strength * colour)
        cv2.circle(canvas, (round(x), round(y)), int(rng.integers(5, 8)), nucleus, -1, cv2.LINE_AA)
    return canvas + rng.normal(0, 0.004, canvas.shape).astype(np.float32)


def picture(od: NDArray[np.float32]) -> NDArray[np.uint8]:
    return from_optical_density(od, WHITE)


def raster(rgb: NDArray[np.uint8]) -> MeasureRaster:
    """Return the measures of a whole picture read as one tile."""
    height, width = rgb.shape[:2]
    measures = MeasureRaster.empty(Size(width, height), 0.5)
    box = GridBox(0, 0, width, height)
    measures.put(box, box, measure_tile(rgb, WHITE))
    return measures


def everywhere(measures: MeasureRaster) -> NDArray[np.bool_]:
    return np.ones(measures.values.shape[:2], np.bool_)


INKS = {"blue": (0.8, 0.45, 0.1), "green": (0.7, 0.2, 0.35), "red": (0.06, 0.8, 0.65), "black": (0.8, 0.8, 0.8)}


@pytest.mark.parametrize("colour", INKS)
@pytest.mark.parametrize("pixel_um", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("on_tissue", [True, False])
def test_pen_is_found_on_tissue_and_on_glass(colour: str, pixel_um: float, on_tissue: bool) -> None:
    fine = tissue_od(1600, 0.5) if on_tissue else np.zeros((1600, 1600, 3), np.float32)
    stroke = np.zeros((1600, 1600), np.float32)
    cv2.line(stroke, (0, 400), (1600, 1000), (1.0,), 400)  # 200 µm wide
    factor = round(pixel_um / 0.5)
    od = fine + stroke[..., np.newaxis] * np.array(INKS[colour], np.float32)
    overview = np.asarray(
        cv2.resize(picture(od), (1600 // factor, 1600 // factor), interpolation=cv2.INTER_AREA), np.uint8
    )
    truth = cv2.resize(stroke, overview.shape[1::-1], interpolation=cv2.INTER_AREA) >= 0.5
    found = find_pen(overview, pixel_um, WHITE, DEFAULT_QUALITY)
    assert (found & truth).sum() >= 0.9 * truth.sum()
    assert (found & truth).sum() >= 0.9 * found.sum()


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_stained_tissue_is_no_pen(strength: float) -> None:
    overview = np.asarray(cv2.resize(picture(tissue_od(1600, strength)), (200, 200), interpolation=cv2.INTER_AREA))
    assert not find_pen(overview.astype(np.uint8), 4.0, WHITE, DEFAULT_QUALITY).any()


@pytest.mark.parametrize("sigma_um", [2.0, 3.0, 4.0])
def test_a_blurred_half_is_found_and_the_sharp_half_is_not(sigma_um: float) -> None:
    rgb = picture(tissue_od(960))
    blurred = np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigmaX=sigma_um / 0.5), np.uint8)
    rgb[:, 480:] = blurred[:, 480:]
    measures = raster(rgb)
    found = find_blur(measures, everywhere(measures), DEFAULT_QUALITY)
    assert found[:, 33:].mean() >= 0.95
    assert found[:, :27].mean() <= 0.02


@pytest.mark.parametrize("strength", [0.1, 0.25, 1.0])
def test_pale_tissue_is_not_blurred(strength: float) -> None:
    measures = raster(picture(tissue_od(640, strength)))
    assert find_blur(measures, everywhere(measures), DEFAULT_QUALITY).mean() <= 0.02


def smooth_nuclei(sigma_um: float) -> NDArray[np.uint8]:
    """Return smooth nuclei of 8 to 10 µm on clear ground, as a lens of this blur shows them."""
    rng, od = np.random.default_rng(3), np.zeros((640, 640, 3), np.float32)
    for x, y in rng.uniform(0, 640, (300, 2)):
        cv2.circle(od, (round(x), round(y)), int(rng.integers(8, 11)), tuple(map(float, 0.4 * HEMATOXYLIN)), -1)
    return picture(np.asarray(cv2.GaussianBlur(od, (0, 0), sigmaX=sigma_um / 0.5), np.float32))


@pytest.mark.parametrize(("sigma_um", "blurred"), [(0.5, False), (2.0, True)])
def test_smooth_nuclei_on_clear_ground_are_blurred_only_out_of_focus(sigma_um: float, blurred: bool) -> None:
    measures = raster(smooth_nuclei(sigma_um))
    found = find_blur(measures, everywhere(measures), DEFAULT_QUALITY)
    assert found.mean() >= 0.95 if blurred else not found.any()


def test_a_soft_scan_is_not_blurred() -> None:
    soft = np.asarray(cv2.GaussianBlur(picture(tissue_od(640)), (0, 0), sigmaX=1.0 / 0.5), np.uint8)
    measures = raster(soft)
    assert not find_blur(measures, everywhere(measures), DEFAULT_QUALITY).any()


@pytest.mark.parametrize("mpp_um", [0.51, 0.6, 0.7])
def test_a_coarse_scan_in_focus_is_not_blurred(mpp_um: float) -> None:
    for sharp in (picture(tissue_od(640)), smooth_nuclei(0.5)):
        side = round(640 * 0.5 / mpp_um)
        coarse = cv2.resize(sharp, (side, side), interpolation=cv2.INTER_AREA)
        enlarged = np.asarray(cv2.resize(coarse, (640, 640), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        measures = raster(enlarged)
        assert not find_blur(measures, everywhere(measures), DEFAULT_QUALITY).any()


def banded(added: NDArray[np.float32] | None, side_px: int = 1280) -> NDArray[np.float32]:
    """Return tissue with a second layer, or something else, on a band of 100 µm across its middle."""
    od = tissue_od(side_px)
    middle = slice(side_px // 2 - 100, side_px // 2 + 100)
    od[middle] += tissue_od(side_px, seed=1)[middle] if added is None else added
    return od


def test_a_fold_with_tissue_on_both_sides_is_found_along_its_band() -> None:
    measures = raster(picture(banded(None)))
    found = find_folds(measures, everywhere(measures), DEFAULT_QUALITY)
    assert found[35:45].mean() >= 0.9
    assert not found[:31].any()
    assert not found[49:].any()


def test_a_fold_beside_a_fading_follicle_is_told_without_it() -> None:
    od = tissue_od(1280)
    rows, columns = np.indices(od.shape[:2])
    # Some 200 µm wide, denser by four fifths in its middle, and without an edge.
    follicle = np.exp(-((rows - 480) ** 2 + (columns - 400) ** 2) / (2 * 90**2)).astype(np.float32)
    od *= (1 + 0.8 * follicle)[..., np.newaxis]
    plain = raster(picture(od))
    assert not find_folds(plain, everywhere(plain), DEFAULT_QUALITY).any()
    od[540:740] += np.roll(od, 100, axis=(0, 1))[540:740]
    measures = raster(picture(od))
    found = find_folds(measures, everywhere(measures), DEFAULT_QUALITY)
    assert found[35:45].mean() >= 0.9
    assert not found[:31].any()
    assert not found[49:].any()


@pytest.mark.parametrize("added", [0.35 * DAB, np.array((0.02, 0.4, 0.3)), np.array((0.3, 0.06, 0.12))])
def test_a_band_of_more_chromogen_or_of_ink_is_no_fold(added: NDArray[np.float64]) -> None:
    measures = raster(picture(banded(added.astype(np.float32))))
    assert not find_folds(measures, everywhere(measures), DEFAULT_QUALITY).any()


@pytest.mark.parametrize("empty", [slice(0, 540), slice(740, None)])
def test_a_dense_band_with_glass_on_one_side_is_no_fold(empty: slice) -> None:
    od = banded(None)
    od[empty] = 0
    rgb = picture(od)
    measures = raster(rgb)
    tissue = everywhere(measures)
    tissue[empty.start // STEP_PX : None if empty.stop is None else empty.stop // STEP_PX] = False
    assert not find_folds(measures, tissue, DEFAULT_QUALITY).any()


@pytest.mark.parametrize("across_px", [96, 160])
def test_a_strip_of_sharp_tissue_on_glass_is_not_blurred(across_px: int) -> None:
    od = tissue_od(1280)
    od[: 640 - across_px // 2] = 0
    od[640 + across_px // 2 :] = 0
    measures = raster(np.asarray(cv2.GaussianBlur(picture(od), (0, 0), sigmaX=1), np.uint8))
    tissue = everywhere(measures)
    tissue[: 38 - across_px // 32] = False
    tissue[42 + across_px // 32 :] = False
    assert not find_blur(measures, tissue, DEFAULT_QUALITY).any()


def test_empty_and_saturated_places_are_told_apart() -> None:
    od = tissue_od(960)
    od[:320] = 0
    od[640:] = 1.6 * DAB.astype(np.float32)
    measures = raster(picture(od))
    blank = find_blank(measures, everywhere(measures), DEFAULT_QUALITY)
    saturated = find_saturated(measures, everywhere(measures), DEFAULT_QUALITY)
    assert blank[1:18].all()
    assert not blank[22:].any()
    assert saturated[42:].all()
    assert not saturated[:38].any()


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.5, 8))
@settings(deadline=None, max_examples=30)
def test_the_border_of_the_image_is_no_edge(height: int, width: int, band: float) -> None:
    assert not edge_band(np.ones((height, width), np.bool_), band).any()


def test_the_edge_band_follows_the_edge_alone() -> None:
    tissue = np.zeros((40, 60), np.bool_)
    tissue[:, 20:] = True
    band = edge_band(tissue, 3)
    assert band[:, 20:23].all()
    assert not band[:, 23:].any()
    assert not band[:, :20].any()


def test_glass_without_tissue_has_no_cause_and_no_flag() -> None:
    overview = np.full((60, 80, 3), 240, np.uint8)
    tissue = TissueMap(np.zeros((60, 80), np.int16), GRID)
    measures = MeasureRaster.empty(Size(80 * STEP_PX, 60 * STEP_PX), 0.5)
    quality = find_causes(overview, tissue, measures, WHITE)
    findings = summarise(quality, tissue, measures.mean_density(), SlideColours())
    assert not quality.causes.any()
    assert findings.excluded_share == 0
    assert findings.flags == ()


def test_glass_with_pen_alone_is_told_and_costs_nothing() -> None:
    overview = np.full((60, 80, 3), 240, np.uint8)
    overview[20:40] = picture(np.full((20, 80, 3), INKS["blue"], np.float32))
    tissue = TissueMap(np.zeros((60, 80), np.int16), GRID)
    measures = MeasureRaster.empty(Size(80 * STEP_PX, 60 * STEP_PX), 0.5)
    findings = summarise(
        find_causes(overview, tissue, measures, WHITE), tissue, measures.mean_density(), SlideColours()
    )
    assert findings.pen_on_glass_um2 == pytest.approx(20 * 80 * 64, rel=0.1)
    assert findings.excluded_share == 0


def spoiled() -> tuple[NDArray[np.uint8], TissueMap, MeasureRaster]:
    """Return a slide of which the right half is out of focus and the upper quarter under blue ink."""
    od = tissue_od(1280)
    od[:320] += np.array(INKS["blue"], np.float32)
    rgb = picture(od)
    rgb[:, 640:] = cv2.GaussianBlur(rgb, (0, 0), sigmaX=6)[:, 640:]
    overview = np.asarray(cv2.resize(rgb, (80, 80), interpolation=cv2.INTER_AREA), np.uint8)
    return overview, TissueMap(np.ones((80, 80), np.int16), GRID), raster(rgb)


def test_one_cause_a_place_pen_before_blur_and_the_same_each_time() -> None:
    overview, tissue, measures = spoiled()
    quality = find_causes(overview, tissue, measures, WHITE)
    assert np.array_equal(quality.causes, find_causes(overview, tissue, measures, WHITE).causes)
    assert (quality.causes[:18] == Cause.PEN).mean() >= 0.95
    assert (quality.causes[24:, 44:] == Cause.BLUR).mean() >= 0.95
    areas = quality.areas_um2(tissue.mask)
    clean = float((quality.causes == Cause.CLEAN).sum()) * 64
    assert sum(areas.values()) + clean == pytest.approx(tissue.area_um2())


def test_a_spoiled_slide_is_flagged_by_its_share_and_by_its_colours() -> None:
    overview, tissue, measures = spoiled()
    quality = find_causes(overview, tissue, measures, WHITE)
    findings = summarise(quality, tissue, measures.mean_density(), SlideColours(WHITE, 19.0))
    assert findings.excluded_share == pytest.approx(0.625, abs=0.08)
    assert len(findings.flags) == 2
    assert (
        summarise(
            quality,
            tissue,
            measures.mean_density(),
            SlideColours(WHITE, 5.0),
            settings=QualitySettings(flagged_share=0.9),
        ).flags
        == ()
    )


def flags_of_colours(colours: SlideColours, thresholds: QualitySettings = DEFAULT_QUALITY) -> tuple[str, ...]:
    """Return the flags of a slide of nothing but glass."""
    tissue = TissueMap(np.zeros((2, 2), np.int16), GRID)
    density = MeasureRaster.empty(Size(2 * STEP_PX, 2 * STEP_PX), 0.5).mean_density()
    return summarise(QualityMap(np.zeros((2, 2), np.uint8), GRID), tissue, density, colours, settings=thresholds).flags


LIMIT = DEFAULT_QUALITY.flagged_degrees


@pytest.mark.parametrize(("degrees", "flagged"), [(None, False), (LIMIT, False), (LIMIT + 0.1, True), (26.0, True)])
def test_unusual_stain_vectors_are_flagged(degrees: float | None, flagged: bool) -> None:
    flags = flags_of_colours(SlideColours(stain_degrees=degrees))
    assert any("Unusual stain vectors" in flag for flag in flags) is flagged


@pytest.mark.parametrize(
    ("share", "degrees", "flagged"), [(None, None, 0), (0.1, None, 0), (0.15, 5.0, 1), (0.9, 19, 1)]
)
def test_colours_that_fit_neither_stain_are_flagged_once(
    share: float | None, degrees: float | None, flagged: int
) -> None:
    flags = flags_of_colours(SlideColours(stain_degrees=degrees, unfit_share=share))
    assert len(flags) == flagged
    assert all("Unusual stain vectors" in flag for flag in flags)


@pytest.mark.parametrize(
    ("white", "flagged"),
    [
        (None, False),
        ((244.0, 243.0, 241.0), False),
        ((226.0, 224.0, 235.0), False),
        ((254.0, 252.0, 253.0), False),
        ((216.0, 216.0, 216.0), True),
        ((243.0, 241.0, 205.0), True),
    ],
)
def test_a_dim_or_tinted_white_point_is_flagged(white: White | None, flagged: bool) -> None:
    flags = flags_of_colours(SlideColours(white))
    assert any("Unusual white point" in flag for flag in flags) is flagged
    assert flags_of_colours(SlideColours(white), QualitySettings(flagged_white=0.5)) == ()


def test_the_deviation_of_the_white_point_is_kept() -> None:
    tissue = TissueMap(np.zeros((2, 2), np.int16), GRID)
    density = MeasureRaster.empty(Size(2 * STEP_PX, 2 * STEP_PX), 0.5).mean_density()
    clean = QualityMap(np.zeros((2, 2), np.uint8), GRID)
    assert summarise(clean, tissue, density, SlideColours((240.0, 240.0, 216.0))).white_deviation == pytest.approx(0.1)
    assert summarise(clean, tissue, density, SlideColours()).white_deviation is None


def test_places_are_excluded_by_the_causes_that_are_asked_for() -> None:
    causes = np.array([[0, 1], [5, 6]], np.uint8)
    quality = QualityMap(causes, GRID)
    x, y = np.array([8.0, 24.0, 8.0, 24.0, -1.0, 40.0]), np.array([8.0, 8.0, 24.0, 24.0, 8.0, 8.0])
    assert quality.excluded_at(x, y, [Cause.PEN, Cause.BLUR]).tolist() == [False, True, True, False, False, False]
    assert quality.areas_um2(np.ones((2, 2), np.bool_)) == {Cause.PEN: 64.0, Cause.BLUR: 64.0, Cause.EDGE: 64.0}


def fragments_apart(strengths: list[float], gap_px: int) -> tuple[NDArray[np.uint8], TissueMap]:
    """Return blocks of even brown tissue side by side on glass, on a grid of 8 µm."""
    width = 100 * len(strengths) + gap_px * (len(strengths) - 1)
    numbers, od = np.zeros((100, width), np.int16), np.zeros((100, width, 3), np.float32)
    for index, strength in enumerate(strengths):
        place = slice(index * (100 + gap_px), index * (100 + gap_px) + 100)
        numbers[:, place], od[:, place] = index + 1, strength * DAB.astype(np.float32)
    return picture(od), TissueMap(numbers, GRID)


def test_a_fragment_apart_that_is_stained_otherwise_may_be_control() -> None:
    overview, tissue = fragments_apart([0.2, 0.2, 0.6], 200)
    proposals = propose_control(overview, tissue, reference_stains(WHITE))
    assert [proposal.fragments for proposal in proposals] == [(3,)]
    assert proposals[0].distance_um == pytest.approx(1600, abs=20)
    assert "more chromogen" in proposals[0].reason


def test_the_kind_of_most_fragments_is_the_biopsy_even_where_the_control_is_larger() -> None:
    overview, tissue = fragments_apart([0.2, 0.2, 0.6], 200)
    numbers = tissue.fragments.copy()
    numbers[40:, :400] = 0
    proposals = propose_control(overview, TissueMap(numbers, GRID), reference_stains(WHITE))
    assert [proposal.fragments for proposal in proposals] == [(3,)]
    assert "unless" not in proposals[0].reason


def test_less_sets_a_fragment_apart_where_the_others_repeat_one_another() -> None:
    usual = DEFAULT_QUALITY.control_od
    overview, tissue = fragments_apart([0.2, 0.2, 0.2, 0.2 + 1.35 * usual], 200)
    assert [one.fragments for one in propose_control(overview, tissue, reference_stains(WHITE))] == [(4,)]
    overview, tissue = fragments_apart([0.2, 0.2 + 0.6 * usual, 0.2 + 1.2 * usual, 0.2 + 1.8 * usual], 200)
    assert propose_control(overview, tissue, reference_stains(WHITE)) == ()


def test_of_two_unlike_pieces_it_is_said_that_either_may_be_the_control() -> None:
    overview, tissue = fragments_apart([0.2, 0.6], 200)
    (proposal,) = propose_control(overview, tissue, reference_stains(WHITE))
    assert "unless the rest is" in proposal.reason


@pytest.mark.parametrize(("strengths", "gap_px"), [([0.2, 0.2, 0.2], 200), ([0.2, 0.6], 60), ([0.2], 0)])
def test_levels_that_are_alike_and_fragments_side_by_side_are_no_control(strengths: list[float], gap_px: int) -> None:
    overview, tissue = fragments_apart(strengths, gap_px)
    assert propose_control(overview, tissue, reference_stains(WHITE)) == ()


def test_tiles_give_the_same_measures_as_the_whole() -> None:
    rgb = picture(tissue_od(640))
    whole, tiled = raster(rgb), MeasureRaster.empty(Size(640, 640), 0.5)
    padded = cv2.copyMakeBorder(rgb, 48, 48, 48, 48, cv2.BORDER_REFLECT)
    for y in (0, 320):
        for x in (0, 320):
            core = GridBox(x, y, x + 320, y + 320)
            part = np.ascontiguousarray(padded[y : y + 416, x : x + 416], np.uint8)
            tiled.put(core, core.grown(48), measure_tile(part, WHITE))
    inner = slice(4, 36)
    assert np.allclose(tiled.values[inner, inner], whole.values[inner, inner], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"pen_od": 0.0}, {"fold_sharp": 1.0}, {"blur_strong": 0.9}, {"excluded": (Cause.CLEAN,)}, {"flagged_share": 2.0}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|below|clean|within"):
        QualitySettings(**wrong)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples"):
        measure_tile(np.zeros((20, 32, 3), np.uint8), WHITE)
    with pytest.raises(ValueError, match="causes"):
        QualityMap(np.full((2, 2), 9, np.uint8), GRID)


@pytest.mark.parametrize("strip_px", [7, 32])
def test_ink_does_not_depend_on_the_strips_in_which_it_is_sought(
    strip_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    od = np.zeros((90, 70, 3), np.float32)
    od[::6, ::5] = 0.4
    od[20:65, 15:40] += np.array(INKS["blue"], np.float32)
    od[50:70, 35:60] += np.array(INKS["green"], np.float32)
    whole = find_pen(picture(od), 8.0, WHITE, DEFAULT_QUALITY)
    monkeypatch.setattr("ihc_quant.tissue.artefacts.STRIP_PX", strip_px)
    assert np.array_equal(find_pen(picture(od), 8.0, WHITE, DEFAULT_QUALITY), whole)
    assert whole[25:60, 20:35].all()


def test_pieces_of_tissue_far_apart_are_judged_as_if_alone() -> None:
    _, _, piece = spoiled()
    side = 80
    overview = np.full((side, 3 * side, 3), 240, np.uint8)
    fragments = np.zeros((side, 3 * side), np.int16)
    measures = MeasureRaster.empty(Size(3 * side * STEP_PX, side * STEP_PX), 0.5)
    for number, left in enumerate((0, 2 * side), start=1):
        fragments[:, left : left + side] = number
        measures.values[:, left : left + side] = piece.values
    both = find_causes(overview, TissueMap(fragments, GRID), measures, WHITE).excluded([Cause.BLUR])
    alone = find_causes(overview[:, :side], TissueMap(np.ones((side, side), np.int16), GRID), piece, WHITE)
    assert both[:, : side - 4].any()
    assert np.array_equal(both[:, : side - 4], alone.excluded([Cause.BLUR])[:, : side - 4])
    assert not both[:, side : 2 * side].any()
