"""Running the network: runtimes agree, threads agree, and nothing needless is imported."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.card import ARCHITECTURES, Architecture, file_sha256
from ihc_quant.network.devices import has_gpu_driver
from ihc_quant.network.predictor import load_predictor, padded_to_stride
from ihc_quant.network.weights import load_arrays, save_arrays

WriteWeights = Callable[[Architecture], Path]
Runtime = Literal["torch", "openvino"]
RUNTIMES: list[Runtime] = ["torch", "openvino"]


def pixels(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stacked(maps: CellMaps) -> NDArray[np.float32]:
    return np.stack([maps.centre, maps.extent, maps.positivity])


@pytest.mark.parametrize(
    "architecture",
    [
        *ARCHITECTURES.values(),
        Architecture(widths=(8, 8), encoder_blocks=(0, 1), decoder_blocks=(2,), fold=1),
        Architecture(widths=(6, 8, 10), encoder_blocks=(1, 0, 2), decoder_blocks=(0, 1), fold=4),
    ],
    ids=[*ARCHITECTURES, "fold1", "fold4"],
)
def test_openvino_and_torch_give_the_same_maps(write_weights: WriteWeights, architecture: Architecture) -> None:
    card = write_weights(architecture)
    rgb = pixels(96, 128)
    one, other = (stacked(load_predictor(card, runtime=runtime, device="cpu").predict(rgb)) for runtime in RUNTIMES)
    # Of random weights on noise, where logits reach into the hundreds, and farther through three times as many layers.
    assert np.abs(one - other).max() < (2e-4 if architecture.encoder == "plain" else 2e-3)
    assert all(plane.std() > 0.01 for plane in one), "the maps say nothing, so their agreement says nothing"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_same_image_gives_the_same_bytes_from_any_thread(card_path: Path, runtime: Runtime) -> None:
    predictor = load_predictor(card_path, runtime=runtime, device="cpu", workers=2)
    images = [pixels(64, 64, seed) for seed in range(4)]
    alone = [stacked(predictor.predict(image)) for image in images]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda image: stacked(predictor.predict(image)), images * 5))
    for number, maps in enumerate(together):
        assert maps.tobytes() == alone[number % 4].tobytes()
    assert len({maps.tobytes() for maps in alone}) == 4


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_of_any_size_is_padded_with_white_and_cut_back(card_path: Path, runtime: Runtime) -> None:
    predictor = load_predictor(card_path, runtime=runtime, device="cpu")
    rgb = pixels(45, 50)
    padded = np.full((48, 56, 3), 255, np.uint8)
    padded[:45, :50] = rgb
    maps = stacked(predictor.predict(rgb))
    assert maps.shape == (3, 45, 50)
    assert maps.dtype == np.float32
    assert ((maps >= 0) & (maps <= 1)).all()
    assert np.array_equal(maps, stacked(predictor.predict(padded))[:, :45, :50])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_network_made_ready_for_a_size_gives_the_same_maps_of_any_size(card_path: Path, runtime: Runtime) -> None:
    ready = load_predictor(card_path, runtime=runtime, device="cpu", image_px=40)
    other = load_predictor(card_path, runtime=runtime, device="cpu")
    for side in (40, 56):
        image = pixels(side, side, side)
        assert np.array_equal(stacked(ready.predict(image)), stacked(other.predict(image)))


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)
def test_no_thread_is_bound_to_a_core_that_other_workers_would_take_as_well(card_path: Path) -> None:
    predictor = load_predictor(card_path, runtime="openvino", device="cpu", workers=1, cores=1)
    image, done, held = pixels(768, 768), threading.Event(), set()
    predictor.predict(image)  # while it compiles, OpenVINO visits each core for a moment to learn what it is

    def watch() -> None:
        while not done.wait(0.001):
            for thread in Path("/proc/self/task").iterdir():
                with suppress(OSError):  # it has ended
                    held.add(frozenset(os.sched_getaffinity(int(thread.name))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        predictor.predict(image)
    done.set()
    watcher.join()
    assert held == {frozenset(os.sched_getaffinity(0))}


def test_maps_outlive_the_next_prediction(card_path: Path) -> None:
    predictor = load_predictor(card_path, device="cpu")
    first = predictor.predict(pixels(32, 32, 1))
    before = stacked(first).copy()
    predictor.predict(pixels(32, 32, 2))
    assert np.array_equal(stacked(first), before)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 4))])
def test_only_eight_bit_colour_is_taken(wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        padded_to_stride(wrong, 8)


def test_provenance_tells_the_runtimes_apart(card_path: Path) -> None:
    torch, openvino = (load_predictor(card_path, runtime=runtime, device="cpu").description for runtime in RUNTIMES)
    assert torch.startswith("torch ")
    assert openvino.startswith("openvino ")
    assert load_predictor(card_path, device="cpu").description == openvino


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runtime": "tensorrt"}, "--runtime tensorrt"),
        ({"device": "mps"}, "--device mps"),
        ({"device": "cpuu"}, "--device cpuu"),
        ({"device": "cuda:x"}, "--device cuda:x"),
        ({"device": "cuda:0", "runtime": "openvino"}, "CPU only"),
        ({"device": "cuda:97", "runtime": "torch"}, "use --device cpu"),
    ],
)
def test_a_runtime_or_device_that_is_not_there_is_refused(card_path: Path, options: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_predictor(card_path, **options)


def test_no_worker_is_a_mistake_of_the_caller(card_path: Path) -> None:
    with pytest.raises(ValueError, match="worker"):
        load_predictor(card_path, workers=0)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tensors_that_do_not_fit_their_card_are_refused(card_path: Path, runtime: Runtime) -> None:
    path = card_path.with_suffix(".safetensors")
    arrays = load_arrays(path)
    arrays["head.weight"] = arrays["head.weight"][:, :-1]
    before = file_sha256(path)
    card_path.write_text(card_path.read_text().replace(before, save_arrays(arrays, path)))
    with pytest.raises(WeightsError, match="do not fit their card"):
        load_predictor(card_path, runtime=runtime, device="cpu")
    del arrays["head.weight"]
    digest = file_sha256(path)
    card_path.write_text(card_path.read_text().replace(digest, save_arrays(arrays, path)))
    with pytest.raises(WeightsError, match="do not fit their card"):
        load_predictor(card_path, runtime=runtime, device="cpu")


@pytest.mark.skipif(has_gpu_driver(), reason="with a GPU torch is wanted")
def test_without_a_gpu_torch_is_not_imported(card_path: Path) -> None:
    program = (
        "import sys, numpy; from ihc_quant.network.predictor import load_predictor; "
        f"load_predictor({str(card_path)!r}).predict(numpy.zeros((16, 16, 3), numpy.uint8)); "
        "print('torch' in sys.modules, 'openvino' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert ran.stdout.split() == ["False", "True"]
