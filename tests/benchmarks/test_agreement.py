"""The figures of one source: the border costs nothing, pooled counts add up, intervals follow the images."""

from pathlib import Path

import numpy as np
import pytest
from accuracy_report import tables
from agreement import ImageResult, bootstrap_interval, count_figures, percent_figures, source_figures
from labelled_images import LabelledImage
from scored_pictures import FoundCells
from tables import shown


def image(name: str = "a", group: str = "a", **values: object) -> LabelledImage:
    """Return a picture of 100 × 100 px of 0.5 µm, in whose rim of 5 µm nobody marked, with four cells."""
    marked = {
        "places_um": np.array([[10.0, 10], [20, 10], [30, 10], [40, 10]]),
        "positive": np.array([True, False, False, False]),
        "border_um": 5.0,
    }
    return LabelledImage("cd138", name, group, Path(name), 0.5, (100, 100), **(marked | values))  # type: ignore[arg-type]


def found(*cells: tuple[float, float, bool], p: list[float] | None = None) -> FoundCells:
    places = np.array([cell[:2] for cell in cells], float).reshape(-1, 2)
    return FoundCells(places, np.array([cell[2] for cell in cells], bool), None if p is None else np.array(p))


PERFECT = found((10, 10, True), (20, 10, False), (30, 10, False), (40, 10, False), p=[0.9, 0.1, 0.1, 0.1])


def test_the_border_is_ignored_on_both_sides() -> None:
    rim = found((10, 10, True), (20, 10, False), (30, 10, False), (40, 10, False), (2, 25, True), (48, 48, False))
    detection = ImageResult(image(), rim).detection()
    assert (detection.positive.fp, detection.negative.fp, detection.either.f1) == (0, 0, 1.0)
    assert ImageResult(image(), rim).percent_error() == pytest.approx(0)
    marked_in_rim = image(places_um=np.array([[10.0, 10], [2, 2]]), positive=np.array([True, True]))
    assert ImageResult(marked_in_rim, found((10, 10, True))).detection().positive.fn == 0
    assert image().marked_at(np.array([[5.0, 5], [4.99, 20], [44.9, 20], [45, 20]])).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_a_perfect_machine_has_perfect_figures() -> None:
    figures = source_figures([ImageResult(image(name, group), PERFECT) for name, group in (("a", "x"), ("b", "x"))])
    assert figures["images"] == 2
    assert figures["detection"]["positive"]["f1"] == 1.0
    assert figures["detection"]["negative"]["f1_interval"] == [1.0, 1.0]
    assert figures["groups"]["x"]["negative"]["tp"] == 6
    assert figures["percent_error"]["bias"] == 0
    assert figures["cell_count"] == {"found": 8, "true": 8, "error_percent": 0.0}
    # All matched cells are told apart, and each probability is off by a tenth.
    assert figures["calibration"]["cells"] == 8
    assert figures["calibration"]["error"] == pytest.approx(0.1)


def test_wrong_calls_count_in_both_classes_and_move_the_percentage() -> None:
    result = ImageResult(image(), found((10, 10, False), (20, 10, False), (30, 10, False), (40, 10, False)))
    detection = result.detection()
    assert (detection.positive.fn, detection.negative.fp, detection.either.f1) == (1, 1, 1.0)
    assert result.percent_error() == pytest.approx(-25)


def test_a_call_of_which_nobody_marked_a_cell_has_no_f1() -> None:
    none = image(positive=np.zeros(4, bool))
    figures = source_figures([ImageResult(none, PERFECT), ImageResult(image("b", positive=np.zeros(4, bool)), PERFECT)])
    positive = figures["detection"]["positive"]
    assert (positive["f1"], positive["precision"], positive["recall"]) == (None, None, None)
    assert (positive["fp"], "f1_interval" in positive) == (2, False)
    both = {"network": figures, "classical": figures}
    (row, *_) = next(iter(tables({"sources": {"dsb2018": both}}))).rows
    assert shown(row["pos F1"]) == "–"


def test_an_image_that_occurs_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="judged once"):
        source_figures([ImageResult(image(), PERFECT), ImageResult(image(), PERFECT)])


def test_images_without_cells_have_no_percentage() -> None:
    assert ImageResult(image(), found()).percent_error() is None
    assert percent_figures([None, 1.0])["bias"] is None
    figures = percent_figures([1.0, 3.0, None])
    assert (figures["images"], figures["bias"]) == (2, 2.0)
    assert figures["limits"] == pytest.approx([2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5])


def test_counted_crops_are_judged_apart() -> None:
    results = []
    for name, true, seen in (("a", 1, 1), ("b", 1, 3), ("c", 30, 27), ("d", 30, 36)):
        crop = image(name, name, places_um=np.empty((0, 2)), positive=np.empty(0, bool), count=true)
        results.append(ImageResult(crop, found(*((10.0, 10.0, True) for _ in range(seen)), (20, 20, False))))
    one, many = count_figures(results).values()
    assert one["mean_absolute_error"] == 1.0
    assert many["median_error_percent"] == pytest.approx(15.0)
    assert many["bias_percent"] == pytest.approx(5.0)
    low, high = many["bias_percent_interval"]
    assert low == pytest.approx(-10)
    assert high == pytest.approx(20)


def test_rows_of_one_image_are_drawn_together() -> None:
    values = np.array([[0.0], [10.0], [0.0], [10.0]])
    together = bootstrap_interval(values, ["a", "a", "b", "b"], lambda rows: float(rows.mean()))
    apart = bootstrap_interval(values, ["a", "b", "c", "d"], lambda rows: float(rows.mean()))
    assert together == [5.0, 5.0]
    assert apart == [0.0, 10.0]
    assert bootstrap_interval(values[:2], ["a", "a"], lambda rows: float(rows.mean())) is None


def test_outlines_are_compared_where_people_drew_some() -> None:
    labels = np.zeros((100, 100), np.int32)
    labels[10:30, 10:30] = 1
    labels[50:70, 50:70] = 2
    square = np.array([[5.0, 5], [15, 5], [15, 15], [5, 15]])
    cells = FoundCells(np.array([[10.0, 10]]), np.array([False]), outlines_um=(square,))
    drawn = image(places_um=np.array([[10.0, 10], [30, 30]]), positive=np.array([False, False]), labels=labels)
    figures = source_figures([ImageResult(drawn, cells)])["panoptic"]["nuclei"]
    assert figures["sq"] == 1.0
    assert figures["rq"] == pytest.approx(2 / 3)
    assert figures["pq"] == pytest.approx(2 / 3)
