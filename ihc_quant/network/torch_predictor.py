"""The network in PyTorch, on a GPU where one is present."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.architecture import CalibratedNetwork, CellNetwork, ConvBlock
from ihc_quant.network.card import Architecture
from ihc_quant.network.predictor import cpu_name, cropped_maps, padded_to_stride, usable_cores
from ihc_quant.network.weights import Arrays, Weights


class TorchPredictor:
    """Runs the network in PyTorch.

    Parameters
    ----------
    weights : Weights
        From ``load_weights``.
    device : str
        From ``usable_device``.
    workers : int
        Threads that will call ``predict``; on the CPU they share its cores.

    Raises
    ------
    WeightsError
        Where the tensors do not fit the architecture of their card.
    """

    def __init__(self, weights: Weights, device: str, workers: int) -> None:
        self.card = weights.card
        self._stride_px = self.card.architecture.stride_px
        self._device = torch.device(device)
        try:
            network = network_of(weights.arrays, self.card.architecture)
        except RuntimeError as error:
            raise WeightsError(f"{weights.path}: the weights do not fit their card; fetch both again.") from error
        calibration = self.card.calibration
        model = CalibratedNetwork(fused(network), calibration.slope, calibration.intercept).eval()
        self._model = model.to(self._device).to(memory_format=torch.channels_last)
        threads = max(1, usable_cores() // workers)
        if self._device.type == "cpu":
            torch.set_num_threads(threads)
        else:
            # By default convolutions would round to TF32 (10 bits) and choose their way anew, and figures would differ.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else cpu_name()
        self.description = f"torch {torch.__version__}, float32, {name}, {workers} × {threads} threads"

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """See ``MapPredictor``."""
        padded = padded_to_stride(rgb, self._stride_px)
        with torch.inference_mode():
            maps = self._model(torch.from_numpy(padded)[None].to(self._device))[0].cpu().numpy()
        return cropped_maps(maps, rgb)


def usable_device(wanted: str) -> str:
    """Return the device to run on: ``wanted``, or the first GPU and else the CPU where it is ``"auto"``.

    Raises
    ------
    SettingsError
        Where a GPU is wanted that is not there.
    """
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (torch.device(wanted).index or 0) >= count:
            raise SettingsError(f"--device {wanted}: PyTorch sees {count or 'no'} GPU here; use --device cpu.")
    return wanted


def network_of(arrays: Arrays, architecture: Architecture) -> CellNetwork:
    """Return a network with these tensors, in evaluation mode; ``RuntimeError`` where they do not fit."""
    network = CellNetwork(architecture)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return network.eval()


def arrays_of(state: Mapping[str, Tensor]) -> Arrays:
    """Return tensors as arrays, for ``save_arrays``."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}


def fused(network: CellNetwork) -> CellNetwork:
    """Fold each batch normalisation into its convolution, in place; the network must be in evaluation mode."""
    for module in network.modules():
        if isinstance(module, ConvBlock) and isinstance(module[1], torch.nn.BatchNorm2d):
            convolution = module[0]
            assert isinstance(convolution, torch.nn.Conv2d)
            module[0] = fuse_conv_bn_eval(convolution, module[1])
            module[1] = torch.nn.Identity()
    return network
