"""Holes, specks and the numbering of fragments."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ihc_quant.tissue.fragments import fill_holes, number_fragments

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 16)))


@given(masks, st.floats(0, 10))
@settings(deadline=None)
def test_without_a_minimum_every_tissue_pixel_has_one_fragment(mask: NDArray[np.bool_], gap: float) -> None:
    fragments = number_fragments(mask, gap_px=gap, min_px=0)
    assert np.array_equal(fragments > 0, mask)
    assert sorted(set(fragments[mask].tolist())) == list(range(1, int(fragments.max(initial=0)) + 1))


@given(masks, st.floats(0, 6))
@settings(deadline=None)
def test_a_larger_gap_never_makes_more_fragments(mask: NDArray[np.bool_], gap: float) -> None:
    narrow, wide = (number_fragments(mask, gap_px=g, min_px=0) for g in (gap, gap + 2))
    assert wide.max(initial=0) <= narrow.max(initial=0)


@given(masks)
@settings(deadline=None)
def test_filling_never_takes_tissue_away_and_leaves_open_background(mask: NDArray[np.bool_]) -> None:
    filled = fill_holes(mask, 1e9)
    assert (filled | mask).sum() == filled.sum()
    assert not (filled & ~mask)[[0, -1], :].any()
    assert not (filled & ~mask)[:, [0, -1]].any()
    assert np.array_equal(fill_holes(filled, 1e9), filled)


def test_holes_are_filled_up_to_their_size() -> None:
    mask = np.ones((12, 12), np.bool_)
    mask[2:4, 2:4] = False
    mask[6:9, 6:9] = False
    assert fill_holes(mask, 4).sum() == 144 - 9
    assert fill_holes(mask, 3).sum() == 144 - 13
    assert fill_holes(mask, 9).all()


def test_gaps_are_bridged_up_to_their_width() -> None:
    mask = np.zeros((5, 20), np.bool_)
    mask[:, :5] = True
    mask[:, 10:] = True  # five empty columns
    assert number_fragments(mask, gap_px=5, min_px=0).max() == 1
    assert number_fragments(mask, gap_px=3, min_px=0).max() == 2


def test_specks_go_and_the_numbers_close_up() -> None:
    mask = np.zeros((20, 60), np.bool_)
    mask[2:4, 2:4] = True
    mask[2:12, 20:30] = True
    mask[4:14, 45:55] = True
    fragments = number_fragments(mask, gap_px=2, min_px=10)
    assert fragments[3, 3] == 0
    assert (fragments[5, 25], fragments[5, 50]) == (1, 2)


def test_fragments_are_numbered_as_one_reads() -> None:
    """Two rows, the right one of each a little higher than the left."""
    mask = np.zeros((80, 80), np.bool_)
    places: list[tuple[int, int]] = [(6, 4), (2, 50), (46, 4), (42, 50)]
    for top, left in places:
        mask[top : top + 20, left : left + 20] = True
    fragments = number_fragments(mask, gap_px=2, min_px=0)
    assert [int(fragments[top, left]) for top, left in places] == [1, 2, 3, 4]


def test_an_empty_mask_has_no_fragment() -> None:
    empty: NDArray[np.bool_] = np.zeros((4, 4), np.bool_)
    assert not number_fragments(empty, 10, 0).any()
