"""The network in PyTorch, on a GPU where one is present."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.architecture import MAP_NAMES, BoundedBlock, CellNetwork, ConvBlock
from ihc_quant.network.card import Architecture, Calibration
from ihc_quant.network.folding import fold_pixels, unfold_maps
from ihc_quant.network.precision import Precision
from ihc_quant.network.predictor import cpu_name, usable_cores
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
    precision : {"float32", "bfloat16"}
    cores : int or None
        Cores to use on the CPU; all of this process where None.

    Raises
    ------
    WeightsError
        Where the tensors do not fit the architecture of their card.
    """

    def __init__(
        self,
        weights: Weights,
        device: str,
        workers: int,
        precision: Precision = "float32",
        cores: int | None = None,
    ) -> None:
        self.card = weights.card
        self._device = torch.device(device)
        try:
            network = network_of(weights.arrays, self.card.architecture)
        except RuntimeError as error:
            raise WeightsError(f"{weights.path}: the weights do not fit their card; fetch both again.") from error
        if precision == "int8":
            raise ValueError("PyTorch does not compute this network in int8")
        packed = PackedNetwork(network, self.card.calibration, getattr(torch, precision))
        self._model = packed.eval().to(self._device).to(memory_format=torch.channels_last)
        self.caution = ""
        threads = max(1, (cores or usable_cores()) // workers)
        if self._device.type == "cpu":
            torch.set_num_threads(threads)
        else:
            # By default convolutions would round to TF32 (10 bits) and choose their way anew, and figures would differ.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else cpu_name()
        self.description = f"torch {torch.__version__}, {precision}, {name}, {workers} × {threads} threads"

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """See ``MapPredictor``."""
        architecture = self.card.architecture
        pixels = torch.from_numpy(fold_pixels(rgb, architecture)).to(self._device)
        with torch.inference_mode():
            folded = self._model(pixels)[0].cpu().numpy()
        return unfold_maps(folded, rgb, architecture)


class PackedNetwork(nn.Module):
    """The network from folded pixels to folded probabilities, with all that is constant folded into its convolutions.

    Parameters
    ----------
    network : CellNetwork
        Trained network, in evaluation mode; changed in place.
    calibration : Calibration
    dtype : torch.dtype
        Of the weights and activations. The head stays in float32: it costs a hundredth of the time, and rounding its
        logits would double the error of bfloat16.
    """

    def __init__(self, network: CellNetwork, calibration: Calibration, dtype: torch.dtype) -> None:
        super().__init__()
        fused(network)
        first, head = next(module for module in network.modules() if isinstance(module, nn.Conv2d)), network.head
        assert head.bias is not None
        per_map = head.out_channels // len(MAP_NAMES)
        slope = torch.tensor([1.0, 1.0, calibration.slope]).repeat_interleave(per_map)
        intercept = torch.tensor([0.0, 0.0, calibration.intercept]).repeat_interleave(per_map)
        with torch.no_grad():
            first.weight.div_(255.0)
            head.weight.mul_(slope.reshape(-1, 1, 1, 1))
            head.bias.mul_(slope).add_(intercept)
        network.to(dtype)
        head.to(torch.float32).register_forward_pre_hook(lambda _head, features: (features[0].float(),))
        self.network = network
        self.dtype = dtype

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the maps as probabilities, float32, for uint8, both (N, h, w, 3 · fold²); see ``folding``."""
        logits = self.network.folded(pixels.permute(0, 3, 1, 2).to(self.dtype))
        return torch.sigmoid(logits).permute(0, 2, 3, 1)


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
        if isinstance(module, ConvBlock | BoundedBlock) and isinstance(module[1], nn.BatchNorm2d):
            convolution = module[0]
            assert isinstance(convolution, nn.Conv2d)
            module[0] = fuse_conv_bn_eval(convolution, module[1])
            module[1] = nn.Identity()
    return network
