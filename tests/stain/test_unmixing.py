"""Optical density to stain densities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ihc_quant.domain.stain import REFERENCE_DAB, REFERENCE_HEMATOXYLIN, StainMatrix, StainVector
from ihc_quant.stain.density import from_optical_density, optical_density
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.stain.unmixing import chromogen_density, unmix, unmixing_matrix

WHITE = (245.0, 243.0, 240.0)
REFERENCE = reference_stains(WHITE)
MAGENTA = StainVector.of("magenta", 0.21, 0.91, 0.35)
TWO_CHROMOGENS = StainMatrix(REFERENCE_HEMATOXYLIN, (REFERENCE_DAB, MAGENTA), WHITE, "reference")

pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))
amounts = st.floats(0, 0.6)


def painted(stains: StainMatrix, *density: float) -> NDArray[np.uint8]:
    vectors = (stains.hematoxylin, *stains.chromogens)
    od = sum(
        amount * np.array([vector.red, vector.green, vector.blue])
        for amount, vector in zip(density, vectors, strict=True)
    )
    return from_optical_density(np.asarray(od, np.float32).reshape(1, 1, 3), stains.white)


@given(amounts, amounts)
@settings(deadline=None)
def test_painted_stains_are_found_again(hematoxylin: float, dab: float) -> None:
    found = unmix(painted(REFERENCE, hematoxylin, dab), REFERENCE)[0, 0]
    assert found == pytest.approx([hematoxylin, dab], abs=0.03)  # half a grey value in each channel


@given(amounts, amounts, amounts)
@settings(deadline=None)
def test_two_chromogens_are_told_apart(hematoxylin: float, dab: float, magenta: float) -> None:
    found = unmix(painted(TWO_CHROMOGENS, hematoxylin, dab, magenta), TWO_CHROMOGENS)[0, 0]
    assert found == pytest.approx([hematoxylin, dab, magenta], abs=0.08)


@given(pictures, st.sampled_from([REFERENCE, TWO_CHROMOGENS]))
@settings(deadline=None)
def test_the_kernels_agree_with_the_matrix(rgb: NDArray[np.uint8], stains: StainMatrix) -> None:
    wanted = optical_density(rgb, stains.white) @ unmixing_matrix(stains)[:, : 1 + len(stains.chromogens)]
    found = unmix(rgb, stains)
    assert found.dtype == np.float32
    assert np.allclose(found, wanted, atol=2e-6)
    for slot in range(len(stains.chromogens)):
        assert np.array_equal(chromogen_density(rgb, stains, slot), found[..., 1 + slot])


def test_the_residual_is_perpendicular_to_both_stains() -> None:
    rows = np.linalg.inv(unmixing_matrix(REFERENCE))
    assert rows[2] @ rows[0] == pytest.approx(0, abs=1e-9)
    assert rows[2] @ rows[1] == pytest.approx(0, abs=1e-9)
    assert np.linalg.norm(rows[2]) == pytest.approx(1)


def test_noise_around_the_white_point_keeps_both_signs() -> None:
    noise = np.random.default_rng(1).integers(238, 250, (64, 64, 3)).astype(np.uint8)
    density = chromogen_density(noise, REFERENCE)
    assert density.min() < 0 < density.max()


def test_a_view_that_is_not_contiguous_gives_the_same() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(unmix(rgb[::2, ::3], REFERENCE), unmix(rgb[::2, ::3].copy(), REFERENCE))


def test_stains_of_one_colour_are_refused() -> None:
    twins = StainMatrix(REFERENCE_DAB, (StainVector.of("AEC", 0.27, 0.57, 0.78),), WHITE, "reference")
    with pytest.raises(ValueError, match="cannot be told apart"):
        unmix(np.zeros((1, 1, 3), np.uint8), twins)


def test_a_slot_without_chromogen_is_refused() -> None:
    with pytest.raises(IndexError, match="no slot 1"):
        chromogen_density(np.zeros((1, 1, 3), np.uint8), REFERENCE, slot=1)


def test_grey_reads_as_dab_as_the_field_knows() -> None:
    """Grey of OD 0.3 gives DAB near 0.25: pen and folds look 1+ and must be excluded by other means."""
    grey = painted(StainMatrix(StainVector.of("grey", 1, 1, 1), (REFERENCE_DAB,), WHITE, "reference"), 0.52, 0.0)
    assert chromogen_density(grey, reference_stains(WHITE))[0, 0] == pytest.approx(0.25, abs=0.03)
