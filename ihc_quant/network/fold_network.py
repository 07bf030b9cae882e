"""The network that tells folds, run by OpenVINO once a slide's tiles are in.

An encoder of inverted residuals on pixels of 1 µm, and a decoder up to squares of 4 µm. ``benchmarks/train_folds.py``
holds the same network as it learns.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import openvino
import openvino.properties.hint as hint
from numpy.typing import NDArray
from openvino import opset13 as ops
from openvino import properties

from ihc_quant.errors import WeightsError
from ihc_quant.network.card import WEIGHTS_FOLDER, Architecture, FoldsNetwork, file_sha256
from ihc_quant.network.inverted_residuals import widths_of
from ihc_quant.network.openvino_graph import CHANNELS_FIRST, Floats, GraphBuilder, doubled
from ihc_quant.network.quantisation import encoder_ranges
from ihc_quant.network.weights import load_arrays
from ihc_quant.tissue.fold_chances import CERTAIN, FoldChances
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, FOLD_STEP_PX, PLANES, SQUARE, PlaneRaster

FOLDS_FOLDER = WEIGHTS_FOLDER / "folds"

RESIDUALS = (1, 2, 2, 6)
ENCODER = Architecture(
    widths=widths_of(RESIDUALS), encoder_blocks=RESIDUALS, decoder_blocks=(0, 0, 0), encoder="efficientnet_lite0"
)
"""Levels of 2, 4, 8 and 16 pixels; the decoder is another one than that of the cells' network."""

ROUNDED = ("mid.0", "mid.1", "up.0", "up.1")
"""Blocks of the decoder whose activations are rounded too."""

CORE, MARGIN = 256, 32
"""Squares of a window that are kept, and those around them (48 instead of 32 changed recall and precision by 0.001); a
slide is judged window by window, so memory does not grow with it."""


class FoldNetwork:
    """Tells how likely each square of 4 µm is part of a fold.

    Parameters
    ----------
    tensors : dict of str to ndarray
        As ``FoldTeacher`` names them, float32.
    cores : int
        Processor cores to use.
    int8 : bool
        Whether convolutions take integers; see ``quantisation``.
    """

    def __init__(self, tensors: dict[str, Floats], cores: int, *, int8: bool = True) -> None:
        side = (CORE + 2 * MARGIN) * SQUARE
        planes = ops.parameter([1, side, side, PLANES], np.uint8, name="planes")
        density = ops.convert(ops.transpose(planes, CHANNELS_FIRST), "f32")
        # As the cells' network sees pixels: 0 on glass, 255 on black.
        light = ops.exp(ops.multiply(density, ops.constant(np.float32(-np.log(10) * DENSITY_STEP_OD))))
        image = ops.multiply(ops.subtract(ops.constant(np.float32(1)), light), ops.constant(np.float32(255)))
        build = GraphBuilder(tensors, ENCODER, encoder_ranges(tensors, ENCODER, ROUNDED) if int8 else None)
        _, fine, middle, coarse = build.levels(ops.space_to_depth(image, "depth_first", ENCODER.fold))
        features = build.block(build.block(coarse, "mid.0"), "mid.1")
        features = build.block(ops.add(middle, doubled(build.plain(features, "side.0"))), "up.0")
        features = ops.add(build.plain(fine, "fine"), doubled(build.plain(features, "side.1")))
        chance = ops.sigmoid(build.plain(build.block(features, "up.1"), "head"))
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
        """Return the chance of each square of one window, uint8 (1280, 1280, 3) to float32 (320, 320)."""
        # A request of its own: slides side by side in one process share this network.
        return np.asarray(self._compiled.create_infer_request().infer([window[np.newaxis]])[0][0, 0], np.float32)


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
