"""The steps from maps to cells, each against a plain computation of the same."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.cells.instances import grow_nuclei
from ihc_quant.cells.measurement import measure_nuclei, measure_stain
from ihc_quant.cells.ownership import in_core
from ihc_quant.cells.peaks import find_peaks
from ihc_quant.cells.rings import add_rings
from ihc_quant.domain.geometry import GridBox
from ihc_quant.domain.tile import Tile

seeds = st.integers(0, 2**32 - 1)


def blobs(seed: int, shape: tuple[int, int] = (70, 80), sigma: float = 2.5) -> NDArray[np.float32]:
    """Return smooth noise from 0 to 1, rounded so that plateaus occur."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma)
    return np.asarray(np.round((noise - noise.min()) / np.ptp(noise), 2), np.float32)


def labelled(seed: int) -> tuple[NDArray[np.int32], int]:
    """Return nuclei grown on random maps, and their number."""
    peaks = find_peaks(blobs(seed), 0.4, 6.0, 1.0)
    labels = grow_nuclei(
        blobs(seed, sigma=1.5),
        peaks.row,
        peaks.col,
        peaks.sub_y,
        peaks.sub_x,
        threshold=0.5,
        radius_px=10.0,
        valley_px=8.0,
        least_px=12.0,
        small_radius_px=3.0,
    )
    return labels, len(peaks)


@given(seeds, st.floats(0.2, 0.9), st.floats(1, 12))
@settings(max_examples=30, deadline=None)
def test_peaks_are_high_enough_far_enough_apart_and_none_is_missing(seed: int, least: float, distance: float) -> None:
    centre = blobs(seed)
    peaks = find_peaks(centre, least, distance, 1.0)
    assert (peaks.height >= least - 1e-6).all()
    places = np.stack([peaks.row, peaks.col], axis=1).astype(float)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(len(places))
    assert (apart >= distance).all()
    kernel = cv2.getGaussianKernel(7, 1.0).ravel()
    smooth = ndimage.correlate1d(
        ndimage.correlate1d(centre.astype(float), kernel, 0, mode="nearest"), kernel, 1, mode="nearest"
    )
    strict = (smooth >= least + 1e-3) & (
        smooth > 1e-4 + ndimage.maximum_filter(smooth, footprint=[[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    )
    for y, x in np.argwhere(strict):
        near = np.hypot(peaks.row - y, peaks.col - x) < distance
        here = (peaks.row == y) & (peaks.col == x)
        assert here.any() or peaks.height[near].max() >= smooth[y, x] - 1e-4, "a higher peak is near or it is one"
    assert (np.abs(peaks.sub_y) <= 0.5).all()
    assert (np.abs(peaks.sub_x) <= 0.5).all()


@given(seeds, st.integers(0, 20), st.integers(0, 20), st.floats(0.5, 4))
@settings(max_examples=20, deadline=None)
def test_a_part_of_the_map_has_the_same_peaks_as_the_whole(seed: int, top: int, left: int, smoothing: float) -> None:
    centre, margin = blobs(seed, (120, 120)), 24
    whole = find_peaks(centre, 0.3, 1.0, smoothing)
    part = find_peaks(centre[top : top + 90, left : left + 90], 0.3, 1.0, smoothing)

    def inside(row: NDArray[np.int32], col: NDArray[np.int32]) -> NDArray[np.bool_]:
        rows = (row >= top + margin) & (row < top + 90 - margin)
        return np.asarray(rows & (col >= left + margin) & (col < left + 90 - margin))

    seen, same = inside(whole.row, whole.col), inside(part.row + top, part.col + left)
    assert whole.row[seen].tolist() == (part.row[same] + top).tolist()
    assert whole.col[seen].tolist() == (part.col[same] + left).tolist()
    assert whole.height[seen].tobytes() == part.height[same].tobytes()


@given(st.floats(20, 30), st.floats(20, 30))
@settings(max_examples=30, deadline=None)
def test_the_fitted_peak_is_nearer_than_a_tenth_of_a_pixel(y: float, x: float) -> None:
    rows, cols = np.mgrid[:50, :50] + 0.5
    peaks = find_peaks(np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / 18).astype(np.float32), 0.4, 6.0, 2.8)
    assert len(peaks) == 1
    assert peaks.row[0] + 0.5 + peaks.sub_y[0] == pytest.approx(y, abs=0.1)
    assert peaks.col[0] + 0.5 + peaks.sub_x[0] == pytest.approx(x, abs=0.1)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_nuclei_are_connected_hold_their_seed_and_stay_within_the_radius(seed: int) -> None:
    peaks = find_peaks(blobs(seed), 0.4, 6.0, 1.0)
    labels, n = labelled(seed)
    extent = blobs(seed, sigma=1.5)
    assert set(np.unique(labels)) - {0} == set(range(1, n + 1))
    for i in range(n):
        own = labels == i + 1
        assert own[peaks.row[i], peaks.col[i]]
        assert ndimage.label(own)[1] == 1
        y, x = np.nonzero(own)
        away = np.hypot(y - peaks.row[i] - peaks.sub_y[i], x - peaks.col[i] - peaks.sub_x[i])
        assert away.max() <= 10.0
        seed_only = (y == peaks.row[i]) & (x == peaks.col[i])
        assert (extent[y, x][~seed_only] >= 0.5).all() or away.max() <= 3.0


def test_nuclei_meet_in_the_valley_of_the_extent_map() -> None:
    row, col = np.array([20, 20], np.int32), np.array([12, 32], np.int32)
    none = np.zeros(2)
    extent = np.ones((40, 45), np.float32)
    extent[:, 18] = 0.55
    labels = grow_nuclei(
        extent, row, col, none, none, threshold=0.5, radius_px=15.0, valley_px=16.0, least_px=1.0, small_radius_px=3.0
    )
    assert (labels[20, 5:18] == 1).all()
    assert (labels[20, 19:40] == 2).all(), "half-way would be column 22, the valley is at 18"


@given(seeds, st.sampled_from([1.0, 2.5, 4.0]))
@settings(max_examples=20, deadline=None)
def test_ring_pixels_belong_to_the_nearest_nucleus(seed: int, ring: float) -> None:
    labels, n = labelled(seed)
    territory = add_rings(labels, ring)
    np.testing.assert_array_equal(np.maximum(territory, 0), labels)
    away = np.stack(
        [np.full(labels.shape, np.inf)] + [ndimage.distance_transform_edt(labels != i + 1) for i in range(n)]
    )
    nearest = np.argmin(np.round(away**2), axis=0)
    expected = np.where((labels == 0) & (away.min(axis=0) <= ring), -nearest, labels)
    np.testing.assert_array_equal(territory, expected)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_measurements_agree_with_plain_numpy(seed: int) -> None:
    labels, n = labelled(seed)
    territory = add_rings(labels, 4.0)
    rng = np.random.default_rng(seed)
    density = np.round(rng.normal(0.3, 0.3, labels.shape), 1).astype(np.float32)
    positivity = rng.random(labels.shape, np.float32)
    nuclei = measure_nuclei(territory, n, 1000, 2000)
    owned = np.arange(1, n + 1, dtype=np.int32)
    peak_y, peak_x = nuclei.centroid_y - 1000, nuclei.centroid_x - 2000
    stain = measure_stain(
        territory, density, positivity, nuclei, owned, peak_y, peak_x,
        ring_px=4.0, inside_px=2.0, membrane_cut_od=0.3, positivity_radius_px=3.0,
    )  # fmt: skip
    for i in range(n):
        nucleus, ring = density[territory == i + 1], density[territory == -i - 1]
        y, x = np.nonzero(labels == i + 1)
        assert nuclei.area_px[i] == len(nucleus)
        assert nuclei.centroid_y[i] == pytest.approx(1000.5 + y.mean())
        assert (nuclei.left[i], nuclei.right[i], nuclei.top[i], nuclei.bottom[i]) == (
            x.min(),
            x.max(),
            y.min(),
            y.max(),
        )
        both = np.concatenate([nucleus, ring])
        for values, mean, p90 in (
            (nucleus, stain.od_nucleus, stain.od_nucleus_p90),
            (ring if len(ring) else both, stain.od_ring, stain.od_ring_p90),
            (both, stain.od_cell, stain.od_cell_p90),
        ):
            assert mean[i] == pytest.approx(float(values.mean(dtype=np.float64)), abs=1e-6)
            assert p90[i] == np.quantile(values, 0.9, method="inverted_cdf")
        near = np.hypot(y + 0.5 - peak_y[i], x + 0.5 - peak_x[i]) <= 3.0
        if near.any():
            assert stain.p_positive[i] == pytest.approx(float(positivity[y, x][near].mean()), abs=1e-6)
        band = (territory == -i - 1) | (
            (labels == i + 1) & (ndimage.distance_transform_edt(np.pad(labels, 3, "edge") == i + 1)[3:-3, 3:-3] <= 2)
        )
        by, bx = np.nonzero(band)
        angle = np.arctan2(by - y.mean(), bx - x.mean()) % (2 * np.pi)
        # Directions on the border of two sectors may go either way in floats; they are few.
        sector = np.minimum((angle / (np.pi / 8)).astype(int), 15)
        sums, counts = np.bincount(sector, density[by, bx], 16), np.bincount(sector, minlength=16)
        stained = float(((counts > 0) & (sums >= 0.3 * counts)).sum() / 16)
        assert stain.membrane_completeness[i] == pytest.approx(stained, abs=3 / 16)


def test_each_pixel_has_one_owner_among_the_tiles() -> None:
    y, x = (axis.ravel().astype(np.int32) for axis in np.mgrid[:40, :60])
    owners = np.zeros(len(y), int)
    for index, (x0, y0) in enumerate([(0, 0), (30, 0), (0, 20), (30, 20)]):
        core = GridBox(x0, y0, x0 + 30, y0 + 20)
        owners += in_core(Tile(index, core, core.grown(16)), y - (y0 - 16), x - (x0 - 16))
    assert (owners == 1).all()


def test_several_threads_at_once_give_the_same_labels() -> None:
    alone = [labelled(seed)[0] for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: labelled(seed)[0], range(12)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
