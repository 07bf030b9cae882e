"""Facts of a slide: calibration, levels, bounds."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.geometry import Box, Mpp, Size
from ihc_quant.errors import CalibrationMissing
from ihc_quant.slide import facts
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.openslide_reader import OpenSlideReader


@given(width=st.integers(2000, 200_000), height=st.integers(2000, 200_000), factor=st.sampled_from([2, 4, 8, 16, 64]))
def test_a_level_made_with_a_whole_factor_keeps_it(width: int, height: int, factor: int) -> None:
    for rounded in [(width // factor, height // factor), (-(-width // factor), -(-height // factor))]:
        level = facts.pyramid([(width, height), rounded])[1]
        assert (level.downsample_x, level.downsample_y) == (factor, factor)


def test_any_other_level_is_stretched_to_the_slide() -> None:
    level = facts.pyramid([(1000, 800), (300, 200)])[1]
    assert (level.downsample_x, level.downsample_y) == (1000 / 300, 4.0)


@pytest.mark.parametrize("stated", [(352.8, 352.8), (0.01, 0.01), (0.25, 16.78)])
def test_an_implausible_calibration_is_none_and_says_why(stated: tuple[float, float]) -> None:
    mpp, source, problem = facts.calibration(*stated, None)
    assert (mpp, source) == (None, "missing")
    assert "not plausible" in problem
    assert facts.calibration(*stated, Mpp.square(0.3)) == (Mpp.square(0.3), "override", "")


@pytest.mark.parametrize("text", ["", "zero", "nan", "inf", "-0.25", "0", None])
def test_what_is_no_positive_number_is_none(text: str | None) -> None:
    assert facts.number(text) is None


def test_bounds_are_kept_inside_the_slide() -> None:
    size = Size(1000, 800)
    names = ("x", "y", "width", "height")

    def read(*values: str) -> Box:
        properties = {f"openslide.bounds-{name}": value for name, value in zip(names, values, strict=False)}
        return facts.bounds(properties, size)

    assert read("100", "50", "300", "200") == Box(100, 50, 400, 250)
    assert read("900", "50", "300", "200") == Box(900, 50, 1000, 250)
    for odd in [(), ("1", "2"), ("a", "0", "1", "1"), ("-5", "0", "10", "10"), ("0", "0", "0", "10")]:
        assert read(*odd) == Box(0, 0, 1000, 800)


def test_background_colour() -> None:
    assert facts.background({"openslide.background-color": "F0E1D2"}) == (240, 225, 210)
    assert facts.background({}) == facts.background({"openslide.background-color": "snow"}) == (255, 255, 255)


@pytest.mark.parametrize(("unit", "size"), [("µm", 0.25), ("nm", 250.0), ("mm", 0.00025), ("cm", 0.000025)])
def test_ome_units_are_converted(make_ome: Any, unit: str, size: float) -> None:
    with open_slide(make_ome(unit=unit, size=size)) as slide:
        assert slide.info.require_mpp().x == pytest.approx(0.25)
        assert slide.info.mpp_source == "file"


def test_an_ome_unit_that_is_no_length_states_nothing(make_ome: Any) -> None:
    with open_slide(make_ome(unit="pixel", size=1.0)) as slide, pytest.raises(CalibrationMissing, match="--mpp"):
        slide.info.require_mpp()


def test_resolution_tags_give_the_calibration(make_tiff: Any) -> None:
    with open_slide(make_tiff()) as slide:
        assert slide.info.require_mpp() == Mpp.square(0.25)
    inch = make_tiff("inch.tif", resolutionunit="INCH", resolution=(25_400 / 0.5, 25_400 / 0.4), tile=None)
    with open_slide(inch) as slide:
        assert slide.info.vendor == "tiff"
        assert (slide.info.require_mpp().x, slide.info.require_mpp().y) == pytest.approx((0.5, 0.4), rel=1e-5)


@pytest.mark.parametrize("um", [352.8, 0.001])
def test_a_slide_without_calibration_opens_all_the_same(make_tiff: Any, um: float) -> None:
    path: Path = make_tiff(um=um)
    with open_slide(path, slide_id="S1") as slide:
        assert slide.info.mpp is None
        with pytest.raises(CalibrationMissing, match=r"^S1: .*--mpp") as caught:
            slide.info.require_mpp()
        assert str(caught.value).count(".\n") == 0
    with open_slide(path, mpp=Mpp.square(0.3)) as slide:
        assert slide.info.mpp_source == "override"


def test_the_facts_of_tiles_are_those_of_openslide(make_tiff: Any) -> None:
    path = make_tiff()
    plain = OpenSlideReader(path, slide_id="slide", name="slide", mpp=None)
    with open_slide(path) as tiles, plain:
        assert tiles.info.reader == "tifffile"
        for name in ("vendor", "size", "levels", "mpp", "bounds_l0", "quick_hash"):
            assert getattr(tiles.info, name) == getattr(plain.info, name)
