"""Running the network: one interface, several runtimes that agree.

Which runtime runs is decided here; torch is imported only where it runs, because that takes seconds.
"""

import os
import platform
import re
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard
from ihc_quant.network.devices import has_gpu_driver, importing
from ihc_quant.network.precision import Precision, chosen_precision, known_precision
from ihc_quant.network.weights import load_weights

RuntimeName = Literal["auto", "torch", "openvino"]
"""How the network may be run."""

WHITE = 255
"""Padding of an image whose size is no multiple of the network's stride."""


class MapPredictor(Protocol):
    """A network ready to run; ``predict`` may be called from several threads at once."""

    @property
    def card(self) -> WeightsCard:
        """Card of the weights."""
        ...

    @property
    def description(self) -> str:
        """Runtime, device and streams, for provenance."""
        ...

    @property
    def caution(self) -> str:
        """Sentence that must stand beside figures computed so; empty where there is none."""
        ...

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """Return the maps of an image, sRGB uint8 of shape (H, W, 3) at the network's pixel size."""
        ...


def load_predictor(
    weights: str | Path,
    *,
    runtime: RuntimeName = "auto",
    device: str = "auto",
    workers: int = 1,
    precision: Precision = "float32",
    cores: int | None = None,
    image_px: int | None = None,
) -> MapPredictor:
    """Load weights and make them ready to run.

    Parameters
    ----------
    weights : str or Path
        Name of shipped weights or path of a card.
    runtime : {"auto", "torch", "openvino"}
        ``"auto"`` takes torch on a GPU and OpenVINO on a CPU.
    device : str
        ``"auto"``, ``"cpu"`` or a CUDA device such as ``"cuda:0"``.
    workers : int
        Threads that will call ``predict`` at once.
    precision : {"float32", "bfloat16", "int8"}
        How exactly the network computes; what is less than float32 changes figures. See ``precision``.
    cores : int or None
        Cores that it may use of those of this process; None for all, where no other process shares them.
    image_px : int or None
        Side of the images that will come, where it is known: a runtime that compiles for a size then does it now, and
        not with the first image.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    SettingsError
        Where runtime, device and precision do not exist or do not fit together, or the library cannot be imported.
    """
    if workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    known_runtime(runtime)
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise SettingsError(f"--device {device}: unknown; use cpu or cuda:0.")
    if runtime == "openvino" and device not in ("auto", "cpu"):
        raise SettingsError(f"--runtime openvino runs on the CPU only, not on {device}; use --runtime torch.")
    known_precision(precision)
    if precision == "int8" and runtime == "auto" and device in ("auto", "cpu"):
        runtime = "openvino"
    loaded = load_weights(weights)
    on_gpu = device.startswith("cuda") or (device == "auto" and runtime != "openvino" and has_gpu_driver())
    if runtime == "torch" or on_gpu:
        with importing("torch"):
            from ihc_quant.network.torch_predictor import TorchPredictor, usable_device

        chosen = usable_device(device)
        if runtime == "torch" or chosen != "cpu":
            rounded = chosen_precision(precision, runtime="torch", device=chosen)
            return TorchPredictor(loaded, chosen, workers, rounded, cores)
    with importing("openvino"):
        from ihc_quant.network.openvino_predictor import OpenVinoPredictor

    rounded = chosen_precision(precision, runtime="openvino", device="cpu")
    predictor = OpenVinoPredictor(loaded, workers, rounded, cores)
    if image_px is not None:
        predictor.compile_for(image_px)
    return predictor


def known_runtime(wanted: str) -> RuntimeName:
    """Return what is wanted, or raise a ``SettingsError`` where it is no ``RuntimeName``."""
    if wanted not in get_args(RuntimeName):
        raise SettingsError(f"--runtime {wanted}: unknown; use {', '.join(get_args(RuntimeName))}.")
    return wanted  # type: ignore[return-value]  # checked in the line above


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_colour(rgb: NDArray[np.uint8]) -> None:
    """Raise ``ValueError`` where an image is no 8-bit colour."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"the network takes uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")


def padded_to_stride(rgb: NDArray[np.uint8], stride_px: int) -> NDArray[np.uint8]:
    """Return the image with white added on the right and below up to a multiple of the stride."""
    check_colour(rgb)
    height, width = (-rgb.shape[0]) % stride_px, (-rgb.shape[1]) % stride_px
    if height or width:
        rgb = np.pad(rgb, ((0, height), (0, width), (0, 0)), constant_values=WHITE)
    return np.ascontiguousarray(rgb)


def cropped_maps(maps: NDArray[np.float32], rgb: NDArray[np.uint8]) -> CellMaps:
    """Return the maps without the padding; ``maps`` is (3, H, W)."""
    height, width = rgb.shape[:2]
    centre, extent, positivity = (np.ascontiguousarray(plane[:height, :width]) for plane in maps)
    return CellMaps(centre, extent, positivity)


def cpu_name() -> str:
    """Return the processor's name as far as the system tells it."""
    return platform.processor() or platform.machine()
