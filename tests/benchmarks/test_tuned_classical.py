"""The tuned classical pipeline finds painted nuclei, and tuning makes it better."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tuned_classical
from agreement import ImageResult
from labelled_images import LabelledImage
from PIL import Image
from tuned_classical import (
    GRID,
    ClassicalKnobs,
    candidates,
    classical_cells,
    evenly,
    find_nuclei,
    neighbours,
    on_edge,
    tune,
)

from ihc_quant.evaluation.matching import Detection


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> LabelledImage:
    """Return a picture at 0.25 µm with nuclei of 6 µm, a quarter of them pale brown, and their outlines."""
    rng = np.random.default_rng(3)
    rgb, labels = np.full((320, 320, 3), 235.0), np.zeros((320, 320), np.int32)
    y, x = np.mgrid[:320, :320]
    centres: list[tuple[float, float]] = []
    positive: list[bool] = []
    for row in range(20, 320, 40):
        for column in range(20, 320, 40):
            disc = (y - row) ** 2 + (x - column) ** 2 < 144
            brown = len(centres) % 4 == 0
            rgb[disc] = (176, 140, 110) if brown else (125, 125, 190)
            centres.append((column + 0.5, row + 0.5))
            labels[disc] = len(centres)
            positive.append(brown)
    path = tmp_path_factory.mktemp("painted") / "painted.png"
    Image.fromarray(np.clip(rgb + rng.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)).save(path)
    places = np.array(centres) * 0.25
    return LabelledImage("cd138", path.name, "001", path, 0.25, (320, 320), places, np.array(positive), labels=labels)


def test_a_pipeline_finds_and_outlines_nuclei(painted: LabelledImage) -> None:
    result = ImageResult(painted, classical_cells(painted, ClassicalKnobs(dab_weight=1.0)))
    assert result.detection().either == Detection(64, 0, 0)
    quality = result.panoptic()["nuclei"]
    assert quality.detection == Detection(64, 0, 0)
    assert (quality.segmentation_quality or 0) > 0.8


def test_a_higher_cut_never_calls_more_positive(painted: LabelledImage) -> None:
    pixels = tuned_classical.network_pixels(painted)
    assert pixels.shape == (160, 160, 3)
    called = [find_nuclei(pixels, ClassicalKnobs(dab_cut=cut))[1].positive.sum() for cut in (0.0, 0.1, 0.2, 0.4, 2.0)]
    assert called == sorted(called, reverse=True)
    assert called[-1] == 0


def test_tuning_finds_the_cut_that_tells_the_calls_apart(
    painted: LabelledImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_classical, "CANDIDATES", 6)
    monkeypatch.setattr(tuned_classical, "STEPS", 4)
    monkeypatch.setattr(tuned_classical, "FINALISTS", 2)
    knobs, score = tune({"cd138": [painted]})
    untuned = ImageResult(painted, classical_cells(painted, replace(knobs, dab_cut=0.6))).detection()
    assert untuned.positive.f1 == 0
    assert score > 0.95
    tuned = ImageResult(painted, classical_cells(painted, knobs)).detection()
    assert ((tuned.positive.f1 or 0) + (tuned.negative.f1 or 0)) / 2 == pytest.approx(score)


def test_tuning_needs_images() -> None:
    with pytest.raises(ValueError, match="no training images"):
        tune({"cd138": []})


def test_the_search_is_the_same_each_time_and_tries_every_kind_of_threshold() -> None:
    assert candidates() == candidates()
    assert {knobs.threshold for knobs in candidates()} == {"otsu", "fixed", "local"}


def test_steps_go_on_from_the_best_and_end_where_no_neighbour_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_classical, "CANDIDATES", 3)
    wanted = ClassicalKnobs(dab_weight=0.25, smooth_um=0.25, least_area_um2=3.0, peak_distance_um=1.0)

    def score(knobs: ClassicalKnobs) -> float:
        return -sum(abs(GRID[name].index(getattr(knobs, name)) - GRID[name].index(getattr(wanted, name))) for name in (
            "dab_weight", "smooth_um", "least_area_um2", "peak_distance_um"
        ))  # fmt: skip

    tried = tuned_classical._searched(score)
    assert tried[0][0] == 0
    assert len(tried) <= 3 + tuned_classical.STEPS
    assert [each for each, _ in tried] == sorted((each for each, _ in tried), reverse=True)


def test_neighbours_differ_in_one_step_of_a_knob_that_matters() -> None:
    start = ClassicalKnobs(threshold="otsu", level=1.2, least_area_um2=3.0)
    for each in neighbours(start):
        assert sum(getattr(each, name) != getattr(start, name) for name in start.__slots__) == 1
        assert each.background_um == start.background_um
    assert {each.level for each in neighbours(start)} == {1.2, 1.15}
    assert {each.least_area_um2 for each in neighbours(start)} == {3.0, 5.0}


def test_an_optimum_on_the_edge_of_the_search_is_told() -> None:
    assert on_edge(ClassicalKnobs()) == on_edge(ClassicalKnobs(dab_weight=0.0)) == ()
    assert on_edge(ClassicalKnobs(least_area_um2=25.0, dab_cut=0.06, level=0.6)) == (
        "least_area_um2", "level", "dab_cut"
    )  # fmt: skip


def test_images_are_drawn_evenly(painted: LabelledImage) -> None:
    images = [replace(painted, name=str(number)) for number in range(9)]
    assert [image.name for image in evenly(images, 3)] == ["0", "4", "8"]
    assert evenly(images, 20) == images
    assert evenly([], 3) == []


def test_a_picture_without_nuclei_has_no_cells(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (240, 240, 240)).save(tmp_path / "empty.png")
    none = LabelledImage(
        "dsb2018", "empty.png", "e", tmp_path / "empty.png", 0.5, (64, 64), np.empty((0, 2)), np.empty(0, bool)
    )
    assert len(classical_cells(none, ClassicalKnobs(threshold="fixed", level=0.2)).places_um) == 0
