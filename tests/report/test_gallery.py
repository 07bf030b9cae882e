"""Examples by call."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.geometry import GridBox
from ihc_quant.report.gallery import (
    CALLS,
    NEAR_THRESHOLD,
    OUTLINE_COLOUR,
    Example,
    GalleryRow,
    choose_examples,
    draw_gallery,
    example_box,
    outline_in,
)


@given(st.integers(0, 300), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_each_row_holds_cells_of_its_call_once_and_as_many_as_there_are(count: int, seed: int, per_call: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, 1, count).astype(np.float32)
    grade = rng.integers(0, 4, count).astype(np.int8)
    x, y = rng.uniform(0, 5000, (2, count))
    rows = choose_examples(p, grade, x, y, threshold=0.5, per_call=per_call, seed=7)
    assert [row.call for row in rows] == [*CALLS, NEAR_THRESHOLD]
    for number, row in enumerate(rows[:4]):
        assert (grade[row.cells] == number).all()
        assert len(row.cells) == min(per_call, int((grade == number).sum()))
    for row in rows:
        assert len(set(row.cells.tolist())) == len(row.cells)
    again = choose_examples(p, grade, x, y, threshold=0.5, per_call=per_call, seed=7)
    assert all(np.array_equal(one.cells, other.cells) for one, other in zip(rows, again, strict=True))


def test_examples_come_from_all_over_the_slide() -> None:
    rng = np.random.default_rng(0)
    # Nine cells in ten lie in a strip at the left; the strip's whole height and the rest still give examples.
    x = np.concatenate([rng.uniform(0, 100, 900), rng.uniform(0, 4000, 100)])
    y = np.concatenate([rng.uniform(0, 4000, 900), rng.uniform(0, 4000, 100)])
    p, grade = np.zeros(1000, np.float32), np.zeros(1000, np.int8)
    cells = choose_examples(p, grade, x, y, threshold=0.5, per_call=9)[0].cells
    assert set(np.digitize(y[cells], [1333, 2666]).tolist()) == {0, 1, 2}
    assert (x[cells] > 100).any()


def test_the_row_at_the_threshold_is_close_to_it() -> None:
    p = np.linspace(0, 1, 1001).astype(np.float32)
    x = np.arange(1001.0)
    rows = choose_examples(p, (p > 0.3).astype(np.int8), x, x, threshold=0.3, per_call=8)
    assert np.abs(p[rows[-1].cells] - 0.3).max() <= 0.021


@given(st.floats(-10, 1e5), st.floats(-10, 1e5))
def test_an_example_has_its_cell_in_the_middle(x_um: float, y_um: float) -> None:
    box = example_box(x_um, y_um, 0.5)
    assert box.width == box.height == 50
    centre = outline_in(box, x_um, y_um, np.zeros((1, 2), np.int16), 0.5)
    assert centre == pytest.approx(np.array([[25.0, 25.0]]), abs=0.51)


def test_outline_offsets_are_eighths_of_a_pixel() -> None:
    offsets = np.array([[8, 0], [0, -16]], np.int16)
    outline = outline_in(GridBox(175, 75, 225, 125), 100.0, 50.0, offsets, 0.5)
    assert outline.tolist() == [[26.0, 25.0], [25.0, 23.0]]


def example(side: int = 50) -> Example:
    square = np.array([[20.0, 20.0], [30.0, 20.0], [30.0, 30.0], [20.0, 30.0]])
    return Example(np.full((side, side, 3), (150, 110, 90), np.uint8), square, 0.987, -0.001)


def test_the_outline_lies_on_the_enlarged_crop_where_it_belongs() -> None:
    picture = draw_gallery(
        [GalleryRow("2+", (example(),))], slide_id="s", marker="CD4", rule="positive from p 0.50", pixel_um=0.5
    )
    cyan = (np.abs(picture.astype(int) - OUTLINE_COLOUR).max(axis=2) < 130) & (picture[..., 0] < 80)
    rows, columns = np.nonzero(cyan)
    assert rows.max() - rows.min() == pytest.approx(40, abs=1)
    assert columns.max() - columns.min() == pytest.approx(40, abs=1)


def test_an_empty_row_is_drawn_with_words() -> None:
    keywords = {"slide_id": "s", "marker": "CD4", "rule": "positive from p 0.50"}
    full = draw_gallery([GalleryRow("3+", (example(),))], pixel_um=0.5, **keywords)
    empty = draw_gallery([GalleryRow("3+", ())], pixel_um=0.5, **keywords)
    assert empty.shape[1] == full.shape[1]
    assert empty.shape[0] < full.shape[0]
    assert (empty[72:120, 150:] < 200).any()


def test_crops_of_several_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        draw_gallery(
            [GalleryRow("1+", (example(), example(40)))], slide_id="s", marker="CD4", rule="p 0.5", pixel_um=0.5
        )
