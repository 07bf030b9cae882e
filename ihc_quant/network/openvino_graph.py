"""The network as an OpenVINO graph, built straight from its tensors.

Tracing the PyTorch module would import torch and take seconds at every start; the graph below takes a tenth of one.
``tests/network/test_predictor.py`` holds both to the same maps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from ihc_quant.network.card import Architecture, Calibration

NORMALISATION_EPSILON = 1e-5
"""Added to the variance by batch normalisation; PyTorch's default."""

Tensors = Mapping[str, NDArray[np.float32]]


def build_graph(tensors: Tensors, architecture: Architecture, calibration: Calibration) -> openvino.Model:
    """Return the graph from sRGB to calibrated maps.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        The state of ``CellNetwork``.
    architecture : Architecture
    calibration : Calibration
        Folded into the positivity map.

    Returns
    -------
    openvino.Model
        uint8 (1, H, W, 3) to float32 (1, 3, H, W), H and W open.
    """
    rgb = ops.parameter([1, -1, -1, 3], np.uint8, name="rgb")
    image = ops.transpose(ops.convert(rgb, "f32"), np.array([0, 3, 1, 2]))
    image = ops.subtract(ops.constant(np.float32(1)), ops.divide(image, ops.constant(np.float32(255))))
    features = ops.space_to_depth(image, "depth_first", architecture.fold)
    skips = []
    for level, blocks in enumerate(architecture.encoder_blocks):
        for block in range(blocks + 1):
            stride = 2 if level > 0 and block == 0 else 1
            features = _block(features, tensors, f"encoder.{level}.{block}", stride)
        skips.append(features)
    skips.pop()
    for step, level in enumerate(reversed(range(len(architecture.widths) - 1))):
        lateral = _convolution(features, tensors[f"lateral.{step}.weight"], tensors[f"lateral.{step}.bias"], 1)
        features = ops.add(_doubled(lateral), skips.pop())
        for block in range(architecture.decoder_blocks[level]):
            features = _block(features, tensors, f"decoder.{step}.{block}", 1)
    logits = ops.depth_to_space(
        _convolution(features, tensors["head.weight"], tensors["head.bias"], 1), "depth_first", architecture.fold
    )
    slope = np.array([1, 1, calibration.slope], np.float32).reshape(1, 3, 1, 1)
    intercept = np.array([0, 0, calibration.intercept], np.float32).reshape(1, 3, 1, 1)
    maps = ops.sigmoid(ops.add(ops.multiply(logits, ops.constant(slope)), ops.constant(intercept)))
    return openvino.Model([maps], [rgb], "cells")


def _block(features: Any, tensors: Tensors, name: str, stride: int) -> Any:
    """Return convolution, batch normalisation (folded into the convolution) and rectifier."""
    scale = tensors[f"{name}.1.weight"] / np.sqrt(tensors[f"{name}.1.running_var"] + NORMALISATION_EPSILON)
    weight = tensors[f"{name}.0.weight"] * scale[:, None, None, None]
    bias = tensors[f"{name}.1.bias"] - tensors[f"{name}.1.running_mean"] * scale
    return ops.relu(_convolution(features, weight, bias, stride))


def _convolution(features: Any, weight: NDArray[np.float32], bias: NDArray[np.float32], stride: int) -> Any:
    padding = [weight.shape[2] // 2] * 2
    convolved = ops.convolution(
        features, ops.constant(weight.astype(np.float32)), [stride, stride], padding, padding, [1, 1]
    )
    return ops.add(convolved, ops.constant(bias.astype(np.float32).reshape(1, -1, 1, 1)))


def _doubled(features: Any) -> Any:
    """Return the features with each pixel repeated two by two."""
    return ops.interpolate(
        features,
        ops.constant(np.array([2, 2], np.float32)),
        "nearest",
        "scales",
        axes=ops.constant(np.array([2, 3])),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
