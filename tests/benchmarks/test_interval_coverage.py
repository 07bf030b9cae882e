"""The simulated sections have the truth they claim, and coverage is counted as it says."""

import numpy as np
import pytest
from interval_coverage import bars_of, blocks_of, corner, coverage_rows, rare_bars, rare_rows, tissue_of_all
from point_patterns import CELLS_PER_MM2, CLUSTERINGS, Clustering, Section, simulate_sections, smooth_fields

from ihc_quant.scoring.blocks import BLOCK_UM

SIDE_UM = 10 * BLOCK_UM


@pytest.mark.parametrize("clustering", CLUSTERINGS, ids=lambda clustering: clustering.name)
def test_the_true_fraction_and_density_are_those_asked_for(clustering: Clustering) -> None:
    sections = list(simulate_sections(clustering, 0.3, 100, side_um=SIDE_UM, seed=5))
    cells = np.array([len(section.x_um) for section in sections])
    positive = np.array([int(section.positive.sum()) for section in sections])
    area_mm2 = (SIDE_UM / 1000) ** 2
    # Four standard errors over sections, which are independent.
    density_error = 4 * cells.std() / np.sqrt(len(sections)) / area_mm2
    assert cells.mean() / area_mm2 == pytest.approx(CELLS_PER_MM2, abs=density_error)
    fraction = positive.sum() / cells.sum()
    fraction_error = 4 * (positive - fraction * cells).std() / np.sqrt(len(sections)) / cells.mean()
    assert fraction == pytest.approx(0.3, abs=fraction_error)
    assert fraction_error < 0.05


def test_stronger_clustering_makes_sections_differ_more() -> None:
    spread = [
        np.std([section.positive.mean() for section in simulate_sections(kind, 0.3, 30, side_um=1000.0, seed=6)])
        for kind in CLUSTERINGS
    ]
    assert spread[0] < spread[1] < spread[2]


def test_a_seed_gives_the_same_sections() -> None:
    one, again = (next(simulate_sections(CLUSTERINGS[1], 0.1, 2, side_um=500.0, seed=7)) for _ in range(2))
    other = next(simulate_sections(CLUSTERINGS[1], 0.1, 2, side_um=500.0, seed=8))
    assert np.array_equal(one.x_um, again.x_um)
    assert np.array_equal(one.positive, again.positive)
    assert not np.array_equal(one.x_um[:10], other.x_um[:10])
    assert 0 <= min(one.x_um.min(), one.y_um.min()) <= max(one.x_um.max(), one.y_um.max()) <= 500


def test_fields_have_unit_variance_the_smoothing_asked_for_and_free_edges() -> None:
    fields = smooth_fields(np.random.default_rng(9), 200, 60, 3.0)
    assert fields.shape == (200, 60, 60)
    assert fields.std() == pytest.approx(1, abs=0.05)
    # Noise smoothed by a Gaussian of σ correlates as exp(−d² / 4σ²).
    assert np.mean(fields[..., :-6] * fields[..., 6:]) == pytest.approx(np.exp(-1), abs=0.05)
    assert np.mean(fields[..., 0] * fields[..., -1]) == pytest.approx(0, abs=0.05)


def test_a_corner_is_a_smaller_section() -> None:
    tissue = tissue_of_all()
    section = next(simulate_sections(CLUSTERINGS[0], 0.4, 1, side_um=SIDE_UM, seed=1))
    blocks = blocks_of(section, tissue)
    assert len(blocks) == 100
    assert blocks.total().positive == section.positive.sum()
    small = corner(blocks, 2, 5)
    inside = (section.y_um < 2 * BLOCK_UM) & (section.x_um < 5 * BLOCK_UM)
    assert (len(small), small.total().total) == (10, int(inside.sum()))


def test_coverage_is_the_share_of_intervals_that_hold_the_truth() -> None:
    rng = np.random.default_rng(3)

    def even(fraction: float) -> Section:
        x_um, y_um = rng.uniform(0, SIDE_UM, (2, 12_500))
        return Section(x_um, y_um, rng.random(12_500) < fraction)

    rows = coverage_rows(CLUSTERINGS[0], 0.4, [even(0.4), even(0.4), even(0.4), even(0.1)], draws=200)
    largest = rows[-1]
    assert (largest["blocks"], largest["percentage"], largest["Wilson"]) == (100, 75.0, 75.0)
    assert (rows[0]["blocks"], rows[0]["percentage"], rows[0]["no interval"]) == (4, None, 100.0)
    assert [bar.met for bar in bars_of([largest])] == [False, True, False]


def test_sections_without_a_positive_cell_are_held_against_their_limits() -> None:
    rng = np.random.default_rng(3)

    def section(positive: bool) -> Section:
        x_um, y_um = rng.uniform(0, SIDE_UM, (2, 12_500))
        return Section(x_um, y_um, np.full(12_500, positive))

    rows = rare_rows(CLUSTERINGS[0], 0.02, [section(False), section(False), section(True)], draws=200)
    largest = rows[-1]
    # Of 100 nearly equal blocks 3.6 %, of 12,500 independent cells 0.03 %.
    assert (largest["blocks"], largest["none positive"]) == (100, 66.7)
    assert (largest["blocks as units: limit"], largest["blocks as units: truth above"]) == (3.7, 0)
    assert (largest["Wilson: limit"], largest["Wilson: truth above"]) == (0.0, 66.7)
    assert (largest["few blocks"], largest["few blocks: held"], largest["held"]) == (66.7, 100.0, 66.7)
    assert [bar.met for bar in rare_bars(rows)] == [True, False]
    exceeded = rare_bars(rare_rows(CLUSTERINGS[0], 0.5, [section(False)], draws=200))
    assert [bar.met for bar in exceeded] == [False, False]
