"""Precision: what is refused, and how far cells and calls move when the network rounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ihc_quant.batch.settings import MeasureSettings, settings_sha256
from ihc_quant.cells.find import find_cells
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.tile import Tile, TileImage
from ihc_quant.errors import SettingsError
from ihc_quant.network import precision
from ihc_quant.network.devices import cpu_has_bfloat16
from ihc_quant.network.openvino_predictor import OpenVinoPredictor
from ihc_quant.network.predictor import MapPredictor, load_predictor
from ihc_quant.network.torch_predictor import TorchPredictor
from ihc_quant.network.weights import load_weights
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.synthetic.field import paint_training_field

SAME_PLACE_UM = 2.0
"""A cell that moved farther counts as another one."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How the cells of one run differ from those of another, in percent of the latter."""

    count: float
    calls: float
    cells: float


def cells_of(predictor: MapPredictor, images: list[NDArray[np.uint8]]) -> list[CellTable]:
    tables, settings = [], MeasureSettings().cells_with(predictor.card)
    for rgb in images:
        box = GridBox(0, 0, rgb.shape[1], rgb.shape[0])
        image, grid = TileImage(Tile(0, box, box), rgb), Grid(0.5, Mpp.square(0.5))
        everywhere = lambda x, _y: np.ones(len(x), np.int16)  # noqa: E731
        tables.append(find_cells(predictor.predict(rgb), image, reference_stains(), grid, everywhere, settings))
    return tables


def moved(tables: list[CellTable], reference: list[CellTable], threshold: float) -> Moved:
    """Compare cell by cell; every cell has at most one partner."""
    count = changed = alone = total = 0
    for one, other in zip(tables, reference, strict=True):
        far = cdist(np.column_stack([one.x_um, one.y_um]), np.column_stack([other.x_um, other.y_um]))
        rows, columns = linear_sum_assignment(np.minimum(far, 2 * SAME_PLACE_UM))
        near = far[rows, columns] <= SAME_PLACE_UM
        calls = one.p_positive[rows[near]] >= threshold, other.p_positive[columns[near]] >= threshold
        changed += int((calls[0] != calls[1]).sum())
        alone += len(one) + len(other) - 2 * int(near.sum())
        count, total = count + len(one) - len(other), total + len(other)
    assert total > 50, "too few cells to say anything"
    return Moved(100 * abs(count) / total, 100 * changed / total, 100 * alone / 2 / total)


@pytest.fixture(scope="module")
def painted() -> list[NDArray[np.uint8]]:
    return [paint_training_field(seed, 256).rgb for seed in (4, 5)]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[NDArray[np.uint8]]:
    """A part of a real lymph node, CD3 in DAB; 0.5 µm per pixel by the size of its lymphocytes."""
    with open_slide(shared_data / "unlabelled" / "lymphnode_cd3" / "pair1_cd3.png", mpp=Mpp.square(0.5)) as reader:
        return [read_grid(reader, Grid(0.5, Mpp.square(0.5)), GridBox(256, 256, 1024, 1024))]


def assert_rounded_agreement(predictor: MapPredictor, images: list[NDArray[np.uint8]]) -> None:
    """Compare a network that rounds to bfloat16 with one that does not, on the same images."""
    weights = load_weights("default")
    reference = cells_of(OpenVinoPredictor(weights, 1), images)
    rounded = moved(cells_of(predictor, images), reference, weights.card.thresholds.positive)
    # Some hundred cells: one of them is nearly a percent.
    assert rounded.count <= 2, rounded
    assert rounded.calls <= 1, rounded
    assert rounded.cells <= 4, rounded


def assert_agreement(images: list[NDArray[np.uint8]], *, int8_count: float) -> None:
    weights = load_weights("default")
    threshold = weights.card.thresholds.positive
    reference = cells_of(TorchPredictor(weights, "cpu", 1), images)
    exact = moved(cells_of(OpenVinoPredictor(weights, 1), images), reference, threshold)
    assert max(exact.count, exact.calls, exact.cells) <= 0.1, exact
    integers = moved(cells_of(OpenVinoPredictor(weights, 1, "int8"), images), reference, threshold)
    assert integers.count <= int8_count, integers
    assert integers.calls <= 1, integers
    assert integers.cells <= 4, integers


def test_on_painted_fields_all_runtimes_agree_within_what_is_stated(painted: list[NDArray[np.uint8]]) -> None:
    assert_agreement(painted, int8_count=4)
    # Without instructions for it PyTorch takes seconds for a field, so one is enough.
    assert_rounded_agreement(TorchPredictor(load_weights("default"), "cpu", 1, "bfloat16"), painted[:1])


@pytest.mark.shared
def test_on_a_real_node_all_runtimes_agree_within_what_is_stated(real: list[NDArray[np.uint8]]) -> None:
    assert_agreement(real, int8_count=2)


FIELDS = ("painted", pytest.param("real", marks=pytest.mark.shared))


# OpenVINO computes in float32 without a word where it cannot round, which would compare it with itself.
@pytest.mark.skipif(not cpu_has_bfloat16(), reason="this processor has no bfloat16 instructions")
@pytest.mark.parametrize("fields", FIELDS)
def test_openvino_in_bfloat16_agrees_within_what_is_stated(fields: str, request: pytest.FixtureRequest) -> None:
    images: list[NDArray[np.uint8]] = request.getfixturevalue(fields)
    predictor = OpenVinoPredictor(load_weights("default"), 1, "bfloat16")
    exact = OpenVinoPredictor(load_weights("default"), 1).predict(images[0])
    assert not np.array_equal(predictor.predict(images[0]).centre, exact.centre), "it did not round"
    assert_rounded_agreement(predictor, images)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
@pytest.mark.parametrize("fields", FIELDS)
def test_a_gpu_agrees_within_what_is_stated(fields: str, request: pytest.FixtureRequest) -> None:
    images: list[NDArray[np.uint8]] = request.getfixturevalue(fields)
    weights = load_weights("default")
    reference = cells_of(TorchPredictor(weights, "cpu", 1), images)
    exact = moved(cells_of(TorchPredictor(weights, "cuda:0", 1), images), reference, weights.card.thresholds.positive)
    assert max(exact.count, exact.calls, exact.cells) <= 0.1, exact
    assert_rounded_agreement(TorchPredictor(weights, "cuda:0", 1, "bfloat16"), images)


def test_bfloat16_and_int8_move_the_maps_a_little_and_not_at_all_from_run_to_run(
    painted: list[NDArray[np.uint8]],
) -> None:
    weights, rgb = load_weights("default"), painted[0][:96, :128]
    exact = OpenVinoPredictor(weights, 1).predict(rgb)
    for predictors in (
        [TorchPredictor(weights, "cpu", 1, "bfloat16") for _ in range(2)],
        [OpenVinoPredictor(weights, workers, "int8") for workers in (1, 2)],
    ):
        first, second = (predictor.predict(rgb) for predictor in predictors)
        for name in ("centre", "extent", "positivity"):
            maps = getattr(first, name), getattr(second, name), getattr(exact, name)
            assert maps[0].tobytes() == maps[1].tobytes()
            assert 0 < np.abs(maps[0] - maps[2]).mean() < 0.02, (predictors[0].description, name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int4"}, "--precision int4: unknown"),
        ({"precision": "int8", "runtime": "torch"}, "OpenVINO on the CPU only"),
        ({"precision": "bfloat16", "runtime": "torch"}, "no bfloat16 instructions"),
        ({"precision": "bfloat16", "runtime": "openvino"}, "no bfloat16 instructions"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused(
    card_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, words: str
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(SettingsError, match=words):
        load_predictor(card_path, device="cpu", **options)


def test_bfloat16_is_taken_where_the_processor_has_it(card_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    for runtime in ("torch", "openvino"):
        assert precision.chosen_precision("bfloat16", runtime=runtime, device="cpu") == "bfloat16"
    predictor = load_predictor(card_path, runtime="torch", device="cpu", precision="bfloat16")
    assert ", bfloat16, " in predictor.description


def test_int8_runs_in_openvino_on_the_cpu_even_where_a_gpu_is(card_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.network.predictor.has_gpu_driver", lambda: True)
    description = load_predictor(card_path, precision="int8").description
    assert description.startswith("openvino ")
    assert ", int8, " in description
    with pytest.raises(SettingsError, match="CPU only"):
        precision.chosen_precision("int8", runtime="torch", device="cuda:0")


def test_integers_that_weights_were_not_taught_for_have_a_caution(card_path: Path) -> None:
    assert "not taught to be held in integers" in load_predictor(card_path, precision="int8").caution
    assert load_predictor(card_path, device="cpu").caution == ""
    assert load_predictor("default", precision="int8").caution == ""
    assert load_predictor(card_path, device="cpu", runtime="torch").caution == ""


@pytest.mark.parametrize("runtime", ["auto", "torch", "openvino"])
def test_without_being_asked_nothing_is_rounded(card_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: Any) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    assert ", float32, " in load_predictor(card_path, runtime=runtime, device="cpu").description


@pytest.mark.parametrize(
    ("taught", "surroundings", "usable", "settled"),
    [
        (True, {}, False, "int8"),
        (False, {}, False, "float32"),
        (True, {"device": "cpu"}, True, "int8"),
        (True, {"runtime": "openvino"}, True, "int8"),
        (True, {}, True, "float32"),
        (True, {"device": "cuda:0"}, False, "float32"),
        (True, {"runtime": "torch"}, False, "float32"),
    ],
)
def test_unasked_integers_are_for_weights_that_were_taught_so_and_for_the_cpu(
    card_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    taught: bool,
    surroundings: dict[str, str],
    usable: bool,
    settled: str,
) -> None:
    monkeypatch.setattr(precision, "gpu_is_usable", lambda: usable)
    monkeypatch.setattr(precision, "lies_on_steps", lambda _tensors: taught)
    assert precision.settled_precision("auto", card_path, **surroundings) == settled
    assert precision.settled_precision("bfloat16", card_path, **surroundings) == "bfloat16"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a usable GPU here")
def test_a_driver_without_a_usable_gpu_settles_as_the_network_is_loaded(
    card_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("devices", "predictor"):
        monkeypatch.setattr(f"ihc_quant.network.{module}.has_gpu_driver", lambda: True)
    monkeypatch.setattr(precision, "lies_on_steps", lambda _tensors: True)
    settled = precision.settled_precision("auto", card_path)
    assert settled == "int8"
    for wanted in (settled, "float32"):
        assert load_predictor(card_path, precision=wanted).description.startswith("openvino ")


def test_the_precision_is_a_part_of_the_measurement() -> None:
    digests = {settings_sha256(MeasureSettings(precision=name).model_dump(mode="json")) for name in ("float32", "int8")}
    assert len(digests) == 2
