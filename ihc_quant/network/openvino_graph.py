"""The network as an OpenVINO graph, built straight from its tensors.

Tracing the PyTorch module would import torch and take seconds at every start; the graph below takes a tenth of one.
``tests/network/test_predictor.py`` holds both to the same maps. Whatever is constant is folded into a convolution:
batch normalisation, the 1 / 255 of the input, the calibration of the positivity map.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from ihc_quant.network.card import Architecture, Calibration
from ihc_quant.network.inverted_residuals import LARGEST, Residual, levels_of
from ihc_quant.network.quantisation import Range, activation_ranges, weight_limits

NORMALISATION_EPSILON = 1e-5
"""Added to the variance by batch normalisation; PyTorch's default."""

CHANNELS_FIRST, CHANNELS_LAST = np.array([0, 3, 1, 2]), np.array([0, 2, 3, 1])
"""Orders of axes. OpenVINO keeps channels last in memory, so neither costs anything."""

Floats = NDArray[np.float32]
Tensors = Mapping[str, Floats]


def build_graph(
    tensors: Tensors, architecture: Architecture, calibration: Calibration, *, int8: bool = False
) -> openvino.Model:
    """Return the graph from folded pixels to calibrated maps, folded; see ``folding``.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        The state of ``CellNetwork``.
    architecture : Architecture
    calibration : Calibration
        Folded into the positivity map.
    int8 : bool
        Whether all convolutions take integers; see ``quantisation``.

    Returns
    -------
    openvino.Model
        uint8 (1, h, w, 3 · fold²) to float32 of the same shape, h and w open.
    """
    per_map = architecture.fold**2
    pixels = ops.parameter([1, -1, -1, 3 * per_map], np.uint8, name="pixels")
    network = GraphBuilder(tensors, architecture, activation_ranges(tensors, architecture) if int8 else None)
    features = network.features(ops.convert(ops.transpose(pixels, CHANNELS_FIRST), "f32"))
    slope = np.repeat(np.array([1, 1, calibration.slope], np.float32), per_map)
    intercept = np.repeat(np.array([0, 0, calibration.intercept], np.float32), per_map)
    weight = network.weight(tensors["head.weight"] * slope[:, None, None, None])
    probabilities = ops.sigmoid(convolution(features, weight, tensors["head.bias"] * slope + intercept))
    return openvino.Model([ops.transpose(probabilities, CHANNELS_LAST)], [pixels], "cells")


class GraphBuilder:
    """Builds the layers that tensors name; with ``ranges`` in integers."""

    def __init__(self, tensors: Tensors, architecture: Architecture, ranges: Mapping[str, Range] | None = None) -> None:
        self._tensors = tensors
        self._architecture = architecture
        self._ranges = ranges

    def features(self, image: Any) -> Any:
        """Return the features that the head takes, for folded pixels of 0 (white) to 255."""
        architecture = self._architecture
        *skips, features = self.levels(image)
        for step, level in enumerate(reversed(range(len(architecture.widths) - 1))):
            # Rounded before it is doubled: four times as many integers are still as few bytes.
            lateral = self._rounded(self.plain(features, f"lateral.{step}"), f"lateral.{step}")
            features = self._rounded(ops.add(doubled(lateral), skips.pop()), f"sum.{step}")
            for block in range(architecture.decoder_blocks[level]):
                features = self.block(features, f"decoder.{step}.{block}")
        return features

    def levels(self, image: Any) -> Iterator[Any]:
        """Return what each level of the encoder makes, finest first, for folded pixels of 0 (white) to 255."""
        image = image if self._ranges is None else _quantised(image, (0.0, 255.0))
        return self._plain_levels(image) if self._architecture.encoder == "plain" else self._residual_levels(image)

    def _plain_levels(self, features: Any) -> Iterator[Any]:
        """Yield what each level of convolutions makes."""
        for level, blocks in enumerate(self._architecture.encoder_blocks):
            for block in range(blocks + 1):
                stride = 2 if level > 0 and block == 0 else 1
                features = self.block(features, f"encoder.{level}.{block}", stride)
            yield features

    def _residual_levels(self, features: Any) -> Iterator[Any]:
        """Yield what each level of inverted residuals makes."""
        features = self._bounded(features, "encoder.0.0")
        for level, residuals in enumerate(levels_of(self._architecture.encoder_blocks)):
            for number, shape in enumerate(residuals, start=level == 0):
                features = self._residual(features, f"encoder.{level}.{number}", shape)
            yield features

    def _residual(self, given: Any, name: str, shape: Residual) -> Any:
        features = given if shape.times == 1 else self._bounded(given, f"{name}.widen")
        weight, bias = self._folded(f"{name}.each")
        features = convolution(features, self.weight(weight), bias, shape.stride, groups=shape.between)
        features = self._rounded(ops.clamp(features, 0.0, LARGEST), f"{name}.each")
        weight, bias = self._folded(f"{name}.narrow")
        features = convolution(features, self.weight(weight), bias)
        return self._rounded(ops.add(features, given) if shape.adds else features, name)

    def _bounded(self, features: Any, name: str) -> Any:
        """Return convolution, batch normalisation and a rectifier that ends."""
        weight, bias = self._folded(name)
        return self._rounded(ops.clamp(convolution(features, self.weight(weight), bias), 0.0, LARGEST), name)

    def plain(self, features: Any, name: str) -> Any:
        """Return a convolution with its bias alone."""
        return convolution(features, self.weight(self._tensors[f"{name}.weight"]), self._tensors[f"{name}.bias"])

    def block(self, features: Any, name: str, stride: int = 1) -> Any:
        """Return convolution, batch normalisation and rectifier."""
        weight, bias = self._folded(name)
        return self._rounded(ops.relu(convolution(features, self.weight(weight), bias, stride)), name)

    def _folded(self, name: str) -> tuple[Floats, Floats]:
        """Return weight and bias of a convolution, with its batch normalisation folded in."""
        tensors = self._tensors
        scale = tensors[f"{name}.1.weight"] / np.sqrt(tensors[f"{name}.1.running_var"] + NORMALISATION_EPSILON)
        weight = tensors[f"{name}.0.weight"] * scale[:, None, None, None]
        bias = tensors[f"{name}.1.bias"] - tensors[f"{name}.1.running_mean"] * scale
        return (weight / np.float32(255) if name == "encoder.0.0" else weight), bias

    def weight(self, weight: Floats) -> Any:
        """Return a weight, rounded to integer steps for each output channel where the network is in integers."""
        node = ops.constant(weight.astype(np.float32))
        if self._ranges is None:
            return node
        limits = weight_limits(weight)
        low, high = ops.constant(-limits), ops.constant(limits)
        return ops.fake_quantize(node, low, high, low, high, 255)

    def _rounded(self, features: Any, name: str) -> Any:
        """Return an activation, rounded where it has a range."""
        if self._ranges is None or name not in self._ranges:
            return features
        return _quantised(features, self._ranges[name])


def _quantised(features: Any, limits: Range) -> Any:
    """Return an activation rounded to 256 steps; OpenVINO turns what follows into arithmetic of integers."""
    low, high = limits
    if low < 0:  # steps on both sides of an exact 0, of equal size
        high = max(-low, high * 128 / 127)
        low, high = -high, high * 127 / 128
    ends = [ops.constant(np.full((1, 1, 1, 1), value, np.float32)) for value in (low, high)]
    return ops.fake_quantize(features, *ends, *ends, 256)


def convolution(features: Any, weight: Any, bias: Floats, stride: int = 1, groups: int = 1) -> Any:
    """Return a convolution that keeps the size, halves it, and so on by its stride; with its bias."""
    shape = weight.get_output_shape(0)
    padding = [int(shape[2]) // 2] * 2
    if groups == 1:
        convolved = ops.convolution(features, weight, [stride, stride], padding, padding, [1, 1])
    else:
        by_group = ops.reshape(weight, np.array([groups, shape[0] // groups, *shape[1:]]), special_zero=False)
        convolved = ops.group_convolution(features, by_group, [stride, stride], padding, padding, [1, 1])
    return ops.add(convolved, ops.constant(bias.astype(np.float32).reshape(1, -1, 1, 1)))


def doubled(features: Any) -> Any:
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
