"""The network that tells folds: a small U-Net on squares of 4 µm, run by OpenVINO once a slide's tiles are in."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.properties.hint as hint
from numpy.typing import NDArray
from openvino import opset13 as ops
from openvino import properties

from ihc_quant.errors import WeightsError
from ihc_quant.network.card import WEIGHTS_FOLDER, FoldsNetwork, file_sha256
from ihc_quant.network.openvino_graph import Floats, convolution, doubled
from ihc_quant.network.weights import load_arrays
from ihc_quant.tissue.fold_chances import CERTAIN, FoldChances
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, FOLD_STEP_PX, PLANES, PlaneRaster

FOLDS_FOLDER = WEIGHTS_FOLDER / "folds"

CORE, MARGIN = 448, 64
"""Squares of a window that are kept, and those around them, farther than the network sees; a slide is judged window by
window, so memory does not grow with it."""


class FoldNetwork:
    """Networks that vote on each square; their logits are averaged.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Weight and bias of every convolution, batch normalisation folded in: ``{member}.{layer}.weight``.
    cores : int
        Processor cores to use.
    """

    def __init__(self, tensors: dict[str, Floats], cores: int) -> None:
        side = CORE + 2 * MARGIN
        planes = ops.parameter([1, side, side, PLANES], np.uint8, name="planes")
        density = ops.multiply(ops.convert(planes, "f32"), ops.constant(np.float32(DENSITY_STEP_OD)))
        features = ops.transpose(density, np.array([0, 3, 1, 2]))
        members = sorted({name.split(".")[0] for name in tensors})
        votes = [_member(features, _Layers(tensors, member)) for member in members]
        total = votes[0]
        for vote in votes[1:]:
            total = ops.add(total, vote)
        chance = ops.sigmoid(ops.divide(total, ops.constant(np.float32(len(votes)))))
        options = {
            properties.inference_num_threads(): cores,
            hint.enable_cpu_pinning(): False,
            hint.inference_precision(): openvino.Type.f32,
        }
        graph = openvino.Model([chance], [planes], "folds")
        self._compiled = openvino.Core().compile_model(graph, "CPU", options)

    def chances(self, planes: PlaneRaster, pixel_um: float) -> FoldChances:
        """Return the chance of a fold for each square of a slide; squares without tissue near have none."""
        values = np.zeros(planes.shape, np.uint8)
        for y0 in range(0, planes.shape[0], CORE):
            for x0 in range(0, planes.shape[1], CORE):
                window = planes.window(y0 - MARGIN, x0 - MARGIN, CORE + 2 * MARGIN)
                if window is not None:
                    chance = self.chance(window)[MARGIN:-MARGIN, MARGIN:-MARGIN]
                    place = values[y0 : y0 + CORE, x0 : x0 + CORE]
                    place[:] = np.rint(chance * CERTAIN)[: place.shape[0], : place.shape[1]]
        return FoldChances(values, pixel_um * FOLD_STEP_PX)

    def chance(self, window: NDArray[np.uint8]) -> Floats:
        """Return the chance of each square of one window, uint8 (576, 576, 9) to float32 (576, 576)."""
        # A request of its own: slides side by side in one process share this network.
        return np.asarray(self._compiled.create_infer_request().infer([window[np.newaxis]])[0][0, 0], np.float32)


class _Layers:
    """The convolutions of one member by name."""

    def __init__(self, tensors: dict[str, Floats], member: str) -> None:
        self._tensors, self._member = tensors, member

    def run(self, features: Any, name: str, stride: int = 1) -> Any:
        """Return a convolution."""
        weight, bias = (self._tensors[f"{self._member}.{name}.{part}"] for part in ("weight", "bias"))
        return convolution(features, ops.constant(weight), bias, stride)

    def __contains__(self, name: str) -> bool:
        return f"{self._member}.{name}.weight" in self._tensors


def _member(features: Any, layers: _Layers) -> Any:
    """Return the logits of one member."""
    levels = [ops.relu(layers.run(ops.relu(layers.run(features, "stem")), "first"))]
    while f"down.{len(levels) - 1}.0" in layers:
        name = f"down.{len(levels) - 1}"
        halved = ops.relu(layers.run(levels[-1], f"{name}.0", 2))
        levels.append(ops.relu(layers.run(halved, f"{name}.1")))
    features = ops.relu(layers.run(ops.relu(layers.run(levels.pop(), "mid.0")), "mid.1"))
    while levels:
        level = len(levels) - 1
        features = ops.add(levels.pop(), doubled(layers.run(features, f"side.{level}")))
        features = ops.relu(layers.run(features, f"up.{level}"))
    return layers.run(features, "head")


@lru_cache(maxsize=4)
def load_fold_network(stated: FoldsNetwork, cores: int, folder: Path = FOLDS_FOLDER) -> FoldNetwork:
    """Return the fold network that a card of weights names.

    Raises
    ------
    WeightsError
        Where it is missing, is another one, or does not fit.
    """
    path = folder / f"{stated.name}.safetensors"
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: the fold network that goes with the weights is missing; fetch it.") from error
    if digest != stated.sha256:
        raise WeightsError(f"{path}: the digest differs from the one in the weights' card; fetch both again.")
    try:
        return FoldNetwork({name: array.astype(np.float32) for name, array in load_arrays(path).items()}, cores)
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: this is no fold network; fetch it again.") from error
