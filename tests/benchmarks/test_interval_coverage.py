"""The simulated sections have the truth they claim, and coverage is counted as it says."""

import numpy as np
import pytest
from hot_spot_coverage import hot_spot_bars, hot_spot_rows
from interval_coverage import bars_of, coverage_rows, rare_bars, rare_rows
from numpy.typing import NDArray
from point_patterns import CELLS_PER_MM2, CLUSTERINGS, Clustering, Section, simulate_sections, smooth_fields
from ratio_coverage import ratio_rows
from simulated_blocks import GRIDS, blocks_of, corner, tissue_of_all

from ihc_quant.scoring.blocks import BLOCK_UM

SIDE_UM = 10 * BLOCK_UM


def section_of(x_um: NDArray[np.float64], y_um: NDArray[np.float64], grade: NDArray[np.int8]) -> Section:
    """Return a section of such cells; what its pixels were to hold does not matter."""
    return Section(x_um, y_um, grade, np.zeros((100, 100), np.float32))


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
        return section_of(x_um, y_um, (rng.random(12_500) < fraction).astype(np.int8))

    rows = coverage_rows(CLUSTERINGS[0], 0.4, [even(0.4), even(0.4), even(0.4), even(0.1)], draws=200)
    largest = rows[-1]
    assert (largest["blocks"], largest["percentage"], largest["Wilson"]) == (100, 75.0, 75.0)
    assert (rows[0]["blocks"], rows[0]["percentage"], rows[0]["no interval"]) == (4, None, 100.0)
    assert [bar.met for bar in bars_of([{name: largest[name] for name in ("blocks", "percentage", "density")}])] == [
        False,
        True,
        False,
    ]


def test_sections_without_a_positive_cell_are_held_against_their_limits() -> None:
    rng = np.random.default_rng(3)

    def section(positive: bool) -> Section:
        x_um, y_um = rng.uniform(0, SIDE_UM, (2, 12_500))
        return section_of(x_um, y_um, np.full(12_500, positive, np.int8))

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


@pytest.mark.parametrize("clustering", CLUSTERINGS, ids=lambda clustering: clustering.name)
def test_the_true_shares_of_grades_are_those_asked_for(clustering: Clustering) -> None:
    sections = list(simulate_sections(clustering, 0.4, 60, side_um=SIDE_UM, seed=11))
    cells = np.array([len(section.grade) for section in sections])
    for grade, share in ((2, 0.2), (3, 0.08)):
        reached = np.array([int((section.grade >= grade).sum()) for section in sections])
        found = reached.sum() / cells.sum()
        error = 4 * (reached - found * cells).std() / np.sqrt(len(sections)) / cells.mean()
        assert found == pytest.approx(share, abs=error)
        assert error < share


def test_what_pixels_were_to_hold_is_what_they_hold_on_average() -> None:
    section = next(simulate_sections(CLUSTERINGS[2], 0.4, 1, side_um=SIDE_UM, seed=12))
    expected = float(section.expected.sum())
    assert int(section.positive.sum()) == pytest.approx(expected, abs=4 * expected**0.5)


def test_pairs_of_sections_hold_the_ratio_of_their_densities() -> None:
    rows = ratio_rows(CLUSTERINGS[0], (0.4, 0.1), 6, 200, seed=2)
    assert [row["blocks"] for row in rows] == [rows_of * cols for rows_of, cols in GRIDS]
    assert (rows[0]["ratio"], rows[0]["no interval"]) == (None, 100.0)
    assert all(row["ratio"] >= 50 for row in rows[1:])


def test_a_hot_spot_is_judged_against_the_densest_expected_window() -> None:
    row = hot_spot_rows(CLUSTERINGS[1], 0.4, 6, seed=2)
    assert row["held"] + row["truth above"] + row["truth below"] == pytest.approx(100, abs=0.2)
    assert row["found"] > 1
    assert row["lower limit"] < 1 < row["upper limit"]
    assert hot_spot_bars([row | {"held": 91.9}])[0].met is False
