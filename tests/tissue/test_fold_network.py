"""The network that tells folds: its layers, what it sees, and what may and may not change its answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ihc_quant.domain.geometry import Grid, GridBox, Mpp, Size
from ihc_quant.stain.density import averaged
from ihc_quant.stain.estimate import estimate_white_point
from ihc_quant.tissue.fold_features import PLANES, seen
from ihc_quant.tissue.fold_network import FoldNetwork, fold_network, read_network
from ihc_quant.tissue.folds import FoldSigns, find_folds, fold_signs, folds_of
from ihc_quant.tissue.mask import find_tissue
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY
from ihc_quant.tissue.tile_measures import STEP_PX, MeasureRaster, measure_tile

WIDTH = 3


def network(seed: int = 0, dilations: tuple[int, ...] = (1, 2)) -> FoldNetwork:
    """Return a network with random weights."""
    rng = np.random.default_rng(seed)
    kernels = tuple(
        rng.normal(0, 0.3, (WIDTH, WIDTH if number else PLANES, 3, 3)).astype(np.float32)
        for number in range(len(dilations))
    )
    offsets = tuple(rng.normal(0, 0.3, WIDTH).astype(np.float32) for _ in dilations)
    return FoldNetwork(kernels, offsets, dilations, rng.normal(0, 1, WIDTH).astype(np.float32), 0.1)


def measures(side_px: int, seed: int) -> NDArray[np.float32]:
    """Return random measures of tissue, smooth enough to be some."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, (side_px, side_px, 6)), (2, 2, 0))
    return (np.array([0.2, 0.1, 1e-3, 1e-3, 0.2, 0.2]) * np.exp(3 * smooth)).astype(np.float32)


def test_layers_are_convolutions_that_add_up_and_see_nothing_outside_of_tissue() -> None:
    values, tissue, given_network = measures(24, 1), np.ones((24, 24), np.bool_), network()
    tissue[:, :5] = False
    layer = seen(values, tissue).astype(np.float64)
    for number, dilation in enumerate(given_network.dilations):
        wide = np.zeros((WIDTH, len(layer), 2 * dilation + 1, 2 * dilation + 1))
        wide[:, :, ::dilation, ::dilation] = given_network.kernels[number]
        change = np.stack(
            [
                sum(ndimage.correlate(plane, wide[out, at], mode="constant") for at, plane in enumerate(layer))
                + given_network.offsets[number][out]
                for out in range(WIDTH)
            ]
        )
        change = np.maximum(change, 0) * tissue
        layer = layer + change if number else change
    expected = tissue / (1 + np.exp(-(np.tensordot(given_network.last, layer, 1) + given_network.last_offset)))
    assert np.allclose(given_network.probability(seen(values, tissue)), expected, atol=1e-5)


@given(seed=st.integers(0, 1000), far=st.integers(0, 20))
def test_what_lies_outside_of_the_tissue_changes_nothing(seed: int, far: int) -> None:
    values, tissue = measures(40, seed), np.ones((40, 40), np.bool_)
    tissue[:, 25:] = False
    other = values.copy()
    other[:, 25 + far % 15 :] = np.nan if far % 2 else 0.7
    assert np.array_equal(
        fold_network().probability(seen(values, tissue)), fold_network().probability(seen(other, tissue))
    )


@pytest.mark.parametrize("part_px", [33, 64])
def test_folds_do_not_depend_on_the_parts_that_are_judged(part_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    raster = MeasureRaster((measures(150, 3) * np.array([1, 1, 1000, 1000, 1, 1])).astype(np.float16), 8.0)
    tissue = np.ones((150, 150), np.bool_)
    tissue[100:, 90:] = False
    whole = fold_signs(raster, tissue, fold_network())
    monkeypatch.setattr("ihc_quant.tissue.folds.PART_PX", part_px)
    parts = fold_signs(raster, tissue, fold_network())
    for name in ("probability", "least_rise", "spread"):
        assert np.allclose(getattr(parts, name)[tissue], getattr(whole, name)[tissue], rtol=1e-3, atol=1e-4)
    assert whole.probability.std() > 0


def test_a_place_is_a_fold_where_it_is_large_and_somewhere_sure_and_where_all_channels_rise_alike() -> None:
    settings = DEFAULT_QUALITY
    probability = np.zeros((30, 110), np.float32)
    rise, spread = np.full_like(probability, 2.0), np.full_like(probability, 1.1)
    for left in (2, 20, 40, 60):
        probability[2:12, left : left + 10] = settings.fold_probable
        probability[5, left + 5] = settings.fold_sure
    probability[5, 25] = settings.fold_probable  # nowhere sure
    rise[:, 40:50], spread[:, 60:70] = 0.9 * settings.fold_rise, 1.1 * settings.fold_spread
    probability[20:24, 2:6] = settings.fold_sure  # too small
    found = folds_of(FoldSigns(probability, rise, spread), 8.0, settings)
    assert found[2:12, 2:12].all()
    assert found.sum() == 100


@pytest.mark.parametrize("wrong", ["kernels", "offsets", "dilations"])
def test_weights_that_do_not_fit_together_are_refused(wrong: str) -> None:
    good = network()
    stated: dict[str, Any] = {
        "kernels": [kernels.tolist() for kernels in good.kernels],
        "offsets": [offsets.tolist() for offsets in good.offsets],
        "dilations": list(good.dilations),
        "last": good.last.tolist(),
        "last_offset": good.last_offset,
    }
    assert read_network(json.dumps(stated)).reach_px == 3
    stated[wrong] = stated[wrong][:1]
    with pytest.raises(ValueError, match="convolution"):
        read_network(json.dumps(stated))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["FLG", "HSPA2", "K10", "Ki67"])
def test_no_fold_is_told_in_real_epidermis_that_was_not_learned_from(shared_data: Path, name: str) -> None:
    with Image.open(shared_data / "artefacts" / "epidermis_dab" / f"{name}.jpg") as image:
        rgb = averaged(np.array(image.convert("RGB")), 2)
    rgb = np.ascontiguousarray(rgb[: rgb.shape[0] // STEP_PX * STEP_PX, : rgb.shape[1] // STEP_PX * STEP_PX])
    overview = averaged(rgb, STEP_PX)
    tissue = find_tissue(overview, Grid(8.0, Mpp.square(0.5))).mask
    height, width = rgb.shape[:2]
    raster, box = MeasureRaster.empty(Size(width, height), 0.5), GridBox(0, 0, width, height)
    raster.put(box, box, measure_tile(rgb, estimate_white_point(overview, 8.0).rgb))
    assert tissue.sum() > 300
    assert not find_folds(raster, tissue, DEFAULT_QUALITY).any()
