"""White point and stain vectors of a slide."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.domain.stain import StainVector
from ihc_quant.stain.density import from_optical_density
from ihc_quant.stain.estimate import angle_degrees, estimate_stains, estimate_white_point, reference_stains


def tissue_on_glass(white: tuple[float, float, float], share: float, seed: int = 0) -> NDArray[np.uint8]:
    """Return an overview whose upper part is noisy glass and whose lower part is textured purple."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(white, 0.7, (200, 200, 3))
    rows = round(200 * (1 - share))
    if rows:
        picture[-rows:] = rng.normal((150, 110, 170), 25, (rows, 200, 3))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


@given(st.floats(205, 250), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 1))
@settings(max_examples=25, deadline=None)
def test_the_white_point_of_glass_is_found(level: float, red: float, blue: float, share: float) -> None:
    white = (min(level + red, 253), level, min(level + blue, 253))
    estimate = estimate_white_point(tissue_on_glass(white, share))
    assert estimate.source == "estimated"
    assert estimate.rgb == pytest.approx(white, abs=1.0)
    assert estimate.background_share == pytest.approx(share, abs=0.05)


def test_without_background_the_white_point_is_assumed_and_says_why() -> None:
    estimate = estimate_white_point(tissue_on_glass((240.0, 240.0, 240.0), 0.0))
    assert (estimate.rgb, estimate.source) == ((255.0, 255.0, 255.0), "assumed")
    assert "empty glass" in estimate.reason


def test_places_that_were_not_scanned_are_not_taken_for_glass() -> None:
    overview = tissue_on_glass((232.0, 230.0, 234.0), 0.2)
    padded = np.full((400, 400, 3), 255, np.uint8)
    padded[:200, :200] = overview
    assert estimate_white_point(padded).rgb == pytest.approx((232, 230, 234), abs=1.0)


def test_saturated_glass_is_white_255() -> None:
    overview = tissue_on_glass((240.0, 240.0, 240.0), 0.0)
    overview[:100] = 255
    estimate = estimate_white_point(overview)
    assert (estimate.rgb, estimate.source) == ((255.0, 255.0, 255.0), "estimated")


def stained_pixels(
    hematoxylin: StainVector, dab: StainVector, dab_share: float, seed: int = 3, n: int = 40_000
) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    brown = rng.random(n) < dab_share
    amounts = np.stack([rng.uniform(0.3, 0.9, n), np.where(brown, rng.uniform(0.6, 1.2, n), 0)], axis=1)
    amounts[brown, 0] *= rng.uniform(0, 0.4, int(brown.sum()))
    rows = np.array([[v.red, v.green, v.blue] for v in (hematoxylin, dab)])
    od = amounts @ rows + rng.normal(0, 0.01, (n, 3))
    return from_optical_density(od.astype(np.float32))


@pytest.mark.parametrize("dab_share", [0.02, 0.3, 0.8])
def test_the_vectors_of_a_slide_are_found_whatever_the_share_of_positive_cells(dab_share: float) -> None:
    hematoxylin, dab = StainVector.of("hematoxylin", 0.70, 0.64, 0.32), StainVector.of("DAB", 0.33, 0.56, 0.76)
    estimate = estimate_stains(stained_pixels(hematoxylin, dab, dab_share))
    assert estimate.stains.source == "estimated"
    assert estimate.reason == ""
    assert angle_degrees(estimate.stains.hematoxylin, hematoxylin) < 3
    assert angle_degrees(estimate.stains.chromogens[0], dab) < 3
    assert estimate.stain_deviation_degrees == pytest.approx(
        max(
            angle_degrees(new, old)
            for new, old in zip(
                (estimate.stains.hematoxylin, *estimate.stains.chromogens),
                (reference_stains().hematoxylin, *reference_stains().chromogens),
                strict=True,
            )
        )
    )


@pytest.mark.parametrize(("dab_share", "missing"), [(0.0, "chromogen"), (1.0, "hematoxylin")])
def test_too_little_of_a_stain_gives_the_reference_and_the_reason(dab_share: float, missing: str) -> None:
    reference = reference_stains()
    pixels = stained_pixels(reference.hematoxylin, reference.chromogens[0], dab_share)
    estimate = estimate_stains(pixels)
    assert estimate.stains == reference
    assert missing in estimate.reason
    assert estimate.stain_deviation_degrees is None


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_colours_between_the_stains_fit_whatever_the_share_of_chromogen(share: float) -> None:
    hematoxylin, dab = StainVector.of("hematoxylin", 0.70, 0.64, 0.32), StainVector.of("DAB", 0.33, 0.56, 0.76)
    unfit = estimate_stains(stained_pixels(hematoxylin, dab, share)).unfit_share
    assert unfit is not None
    assert unfit < 0.001


def test_another_chromogen_fits_neither_stain_though_no_vectors_are_estimated() -> None:
    fast_red = StainVector.of("Fast Red", 0.21, 0.85, 0.48)
    magenta = StainVector.of("magenta", 0.19, 0.95, 0.25)
    hematoxylin = reference_stains().hematoxylin
    for other in (fast_red, magenta):
        unfit = estimate_stains(stained_pixels(hematoxylin, other, 0.3)).unfit_share
        assert unfit is not None
        assert unfit > 0.1, other.name


def test_pale_tissue_gives_no_share_of_unfit_colours() -> None:
    assert estimate_stains(np.full((1000, 3), 200, np.uint8)).unfit_share is None


def test_eosin_is_not_mistaken_for_dab() -> None:
    eosin = StainVector.of("eosin", 0.09, 0.95, 0.28)
    hematoxylin = reference_stains().hematoxylin
    estimate = estimate_stains(stained_pixels(hematoxylin, eosin, 0.5))
    assert estimate.stains.source == "reference"
    assert estimate.reason


def test_empty_glass_gives_the_reference() -> None:
    assert estimate_stains(np.full((1000, 3), 244, np.uint8)).stains.source == "reference"


@pytest.mark.shared
def test_real_membrane_stains_lie_near_the_reference(shared_data: Path) -> None:
    """CD138 on the membrane, five groups; DAB was estimated within 3 to 6° of the reference on all of them."""
    for name in ("001_0", "003A_0", "003B_0", "004B_0", "005_0"):
        path = shared_data / "labelled" / "cd138" / "images" / f"CD138-{name}.png"
        rgb = np.array(Image.open(path).convert("RGB"))
        coarse = cv2.resize(rgb, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
        white = estimate_white_point(np.asarray(coarse, np.uint8))
        assert white.source == "estimated", name
        estimate = estimate_stains(rgb[::2, ::2].reshape(-1, 3), white.rgb)
        assert estimate.stain_deviation_degrees is not None, name
        assert estimate.stain_deviation_degrees < 12, name
