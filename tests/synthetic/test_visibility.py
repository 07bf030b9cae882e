"""What a reader could mark: enough of a nucleus that stands out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.stain import REFERENCE_DAB, REFERENCE_HEMATOXYLIN
from ihc_quant.stain.density import from_optical_density
from ihc_quant.synthetic.visibility import (
    FAINTEST_CONTRAST_OD,
    VISIBLE_PROFILE_UM,
    ShownNuclei,
    can_be_seen,
    nuclear_contrast,
    owner_sums,
    shown_nuclei,
)

WHITE = (240.0, 240.0, 240.0)
HEMATOXYLIN, DAB = (np.array([one.red, one.green, one.blue]) for one in (REFERENCE_HEMATOXYLIN, REFERENCE_DAB))


def picture(pixel_um: float, amount: float, ground: float = 0.05, brown: float = 0.0) -> np.ndarray:
    """Return one nucleus of 6 µm in the middle of 40 µm, on a ground of hematoxylin under an even brown."""
    side = round(40 / pixel_um)
    rows, columns = (np.indices((side, side)) + 0.5) * pixel_um
    nucleus = np.hypot(rows - 20, columns - 20) <= 3
    od = (ground + amount * nucleus)[..., None] * HEMATOXYLIN + brown * DAB
    return from_optical_density(od.astype(np.float32), WHITE)


def contrast(rgb: np.ndarray, pixel_um: float, x_um: float = 20.0, y_um: float = 20.0) -> float:
    return float(nuclear_contrast(rgb, pixel_um, WHITE, np.array([x_um]), np.array([y_um]))[0])


@pytest.mark.parametrize("pixel_um", [0.25, 0.5])
@pytest.mark.parametrize("amount", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("brown", [0.0, 0.3])
def test_contrast_is_the_hematoxylin_that_the_nucleus_adds(pixel_um: float, amount: float, brown: float) -> None:
    assert contrast(picture(pixel_um, amount, brown=brown), pixel_um) == pytest.approx(amount, abs=0.012)


def test_contrast_forgives_marks_a_micrometre_off_and_sees_nothing_on_even_ground() -> None:
    rgb = picture(0.5, 0.2)
    assert contrast(rgb, 0.5, 20.9, 19.6) == pytest.approx(contrast(rgb, 0.5), abs=0.01)
    assert contrast(rgb, 0.5, 5.0, 34.0) == pytest.approx(0, abs=0.005)
    assert np.isfinite(contrast(rgb, 0.5, 0.1, 39.9)), "at the border of the picture"


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_sums_of_parts_are_those_of_the_whole(seed: int, cut: int) -> None:
    owner = np.random.default_rng(seed).integers(-1, 4, (31, 17)).astype(np.int32)
    whole = owner_sums(owner, 4)
    assert np.array_equal(whole, owner_sums(owner[:cut], 4) + owner_sums(owner[cut:], 4, cut))
    shown = shown_nuclei(whole, 0.5)
    rows, columns = np.nonzero(owner == 2)
    assert shown.area_um2[2] == len(rows) * 0.25
    assert shown.x_um[2] == pytest.approx((columns.mean() + 0.5) * 0.5)
    assert shown.y_um[2] == pytest.approx((rows.mean() + 0.5) * 0.5)


def test_a_nucleus_needs_size_and_either_contrast_or_chromogen() -> None:
    least_um2 = np.pi / 4 * VISIBLE_PROFILE_UM**2
    area = np.array([1.01, 1.01, 1.01, 0.99, 0.0]) * least_um2
    shown = ShownNuclei(area, np.zeros(5), np.zeros(5))
    contrasts = np.array([1.01, 0.99, 0.99, 9, 9], np.float32) * np.float32(FAINTEST_CONTRAST_OD)
    positive = np.array([False, False, True, True, False])
    assert can_be_seen(shown, contrasts, positive).tolist() == [True, False, True, False, False]
