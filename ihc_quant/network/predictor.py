"""Running the network: one interface, several runtimes that agree."""

import os
import platform
import threading
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import SettingsError
from ihc_quant.network.architecture import CalibratedNetwork, CellNetwork, ConvBlock
from ihc_quant.network.card import WeightsCard
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

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """Return the maps of an image, sRGB uint8 of shape (H, W, 3) at the network's pixel size."""
        ...


class TorchPredictor:
    """Runs the network in PyTorch, on a GPU where one is present.

    Parameters
    ----------
    network, card
        From ``load_weights``.
    device : str
        ``"cpu"`` or a CUDA device.
    workers : int
        Threads that will call ``predict``; on the CPU they share its cores.
    """

    def __init__(self, network: CellNetwork, card: WeightsCard, device: str, workers: int) -> None:
        self.card = card
        self._stride_px = network.architecture.stride_px
        self._device = torch.device(device)
        model = CalibratedNetwork(fused(network), card.calibration.slope, card.calibration.intercept)
        self._model = model.eval().to(self._device).to(memory_format=torch.channels_last)
        threads = max(1, (os.cpu_count() or 1) // workers)
        if self._device.type == "cpu":
            torch.set_num_threads(threads)
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else cpu_name()
        self.description = f"torch {torch.__version__}, float32, {name}, {workers} × {threads} threads"

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """See ``MapPredictor``."""
        padded = padded_to_stride(rgb, self._stride_px)
        with torch.inference_mode():
            maps = self._model(torch.from_numpy(padded)[None].to(self._device))[0].cpu().numpy()
        return cropped_maps(maps, rgb)


class OpenVinoPredictor:
    """Runs the network in OpenVINO on the CPU, one single-threaded stream for each worker.

    Parameters
    ----------
    network, card
        From ``load_weights``.
    workers : int
        Threads that will call ``predict``.
    """

    def __init__(self, network: CellNetwork, card: WeightsCard, workers: int) -> None:
        # openvino is imported here so that the other runtime works where it is not installed.
        import openvino
        from openvino import properties
        from openvino.properties import hint

        self.card = card
        self._stride_px = network.architecture.stride_px
        model = CalibratedNetwork(network, card.calibration.slope, card.calibration.intercept).eval()
        side = 4 * self._stride_px
        graph = openvino.convert_model(model, example_input=torch.zeros((1, side, side, 3), dtype=torch.uint8))
        graph.reshape([1, -1, -1, 3])
        self._graph = graph
        self._core = openvino.Core()
        threads = os.cpu_count() or 1
        self._options = {
            properties.inference_num_threads(): max(threads, workers),
            properties.num_streams(): workers,
            hint.inference_precision(): openvino.Type.f32,
        }
        self._compiled: dict[tuple[int, int], Any] = {}
        self._requests = threading.local()
        self._lock = threading.Lock()
        self.description = f"openvino {openvino.__version__.split('-')[0]}, float32, {cpu_name()}, {workers} streams"

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """See ``MapPredictor``."""
        padded = padded_to_stride(rgb, self._stride_px)
        maps = self._request(padded.shape[:2]).infer([padded[None]])[0]
        return cropped_maps(np.array(maps[0]), rgb)

    def _request(self, shape: tuple[int, int]) -> Any:
        """Return this thread's own request for an image of that shape; fixed shapes run faster than open ones."""
        own: dict[tuple[int, int], Any] = self._requests.__dict__.setdefault("by_shape", {})
        if shape not in own:
            with self._lock:
                if shape not in self._compiled:
                    fixed = self._graph.clone()
                    fixed.reshape([1, *shape, 3])
                    self._compiled[shape] = self._core.compile_model(fixed, "CPU", self._options)
            own[shape] = self._compiled[shape].create_infer_request()
        return own[shape]


def load_predictor(
    weights: str | Path, *, runtime: RuntimeName = "auto", device: str = "auto", workers: int = 1
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

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    SettingsError
        Where runtime and device do not exist or do not fit together.
    """
    if workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    cuda = torch.cuda.is_available()
    chosen = ("cuda:0" if cuda and runtime != "openvino" else "cpu") if device == "auto" else device
    if chosen.startswith("cuda") and not cuda:
        raise SettingsError(f"--device {chosen}: PyTorch sees no GPU here; use --device cpu.")
    if not chosen.startswith(("cpu", "cuda")):
        raise SettingsError(f"--device {chosen}: unknown; use cpu or cuda:0.")
    if runtime == "openvino" and chosen != "cpu":
        raise SettingsError(f"--runtime openvino runs on the CPU only, not on {chosen}; use --runtime torch.")
    network, card = load_weights(weights)
    if runtime == "torch" or chosen != "cpu":
        return TorchPredictor(network, card, chosen, workers)
    return OpenVinoPredictor(network, card, workers)


def fused(network: CellNetwork) -> CellNetwork:
    """Fold each batch normalisation into its convolution, in place; the network must be in evaluation mode."""
    for module in network.modules():
        if isinstance(module, ConvBlock) and isinstance(module[1], torch.nn.BatchNorm2d):
            convolution = module[0]
            assert isinstance(convolution, torch.nn.Conv2d)
            module[0] = fuse_conv_bn_eval(convolution, module[1])
            module[1] = torch.nn.Identity()
    return network


def padded_to_stride(rgb: NDArray[np.uint8], stride_px: int) -> NDArray[np.uint8]:
    """Return the image with white added on the right and below up to a multiple of the stride."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"the network takes uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
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
