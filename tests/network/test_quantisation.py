"""Integers: ranges hold what the network computes, sums cannot overflow, and integer arithmetic really runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ihc_quant.network.architecture import normalise
from ihc_quant.network.card import ARCHITECTURES, Architecture
from ihc_quant.network.inverted_residuals import LARGEST
from ihc_quant.network.openvino_graph import build_graph
from ihc_quant.network.quantisation import WEIGHT_STEPS, activation_ranges, lies_on_steps, on_steps, weight_limits
from ihc_quant.network.torch_predictor import network_of
from ihc_quant.network.weights import load_weights
from ihc_quant.synthetic.field import paint_training_field


def test_the_ranges_hold_nearly_all_that_the_shipped_network_computes() -> None:
    weights = load_weights("default")
    ranges = activation_ranges(weights.floats(), weights.card.architecture)
    network = network_of(weights.arrays, weights.card.architecture)
    beyond: dict[str, float] = {}

    def watch(name: str) -> Any:
        def hook(_module: Any, _taken: Any, given: torch.Tensor) -> None:
            low, high = ranges[name]
            beyond[name] = float(((given < low) | (given > high)).float().mean())

        return hook

    for name, module in network.named_modules():
        if name in ranges:
            module.register_forward_hook(watch(name))
    with torch.inference_mode():
        network(normalise(torch.from_numpy(paint_training_field(4, 128).rgb)[None]))
    assert len(beyond) >= 10
    assert max(beyond.values()) < 1e-3, beyond


@pytest.mark.parametrize("decoder_blocks", [(1, 1), (0, 0)])
def test_every_activation_that_a_convolution_takes_has_a_range(
    write_weights: Callable[[Architecture], Path], decoder_blocks: tuple[int, ...]
) -> None:
    architecture = Architecture(widths=(4, 4, 4), encoder_blocks=(1, 0, 1), decoder_blocks=decoder_blocks, fold=2)
    ranges = activation_ranges(load_weights(write_weights(architecture)).floats(), architecture)
    names = {"encoder.0.0", "encoder.0.1", "encoder.1.0", "encoder.2.0", "encoder.2.1", "sum.0", "sum.1"}
    names |= {"lateral.0", "lateral.1"}
    names |= {"decoder.0.0", "decoder.1.0"} if decoder_blocks[0] else set()
    assert set(ranges) == names
    assert all(low < high for low, high in ranges.values())


def test_every_activation_within_inverted_residuals_has_a_range(
    write_weights: Callable[[Architecture], Path],
) -> None:
    architecture = ARCHITECTURES["efficientnet_lite0"]
    ranges = activation_ranges(load_weights(write_weights(architecture)).floats(), architecture)
    parts = {name.rpartition(".")[2] for name in ranges if name.startswith("encoder.2.1.")}
    assert parts == {"widen", "each"}
    assert "encoder.0.1.widen" not in ranges  # it does not widen
    assert {"encoder.0.0", "encoder.0.1", "encoder.3.2", "sum.0", "sum.2", "decoder.2.0"} <= set(ranges)
    assert all(0 == low < high <= LARGEST for name, (low, high) in ranges.items() if name.endswith(("widen", "each")))
    assert ranges["encoder.3.2"][0] < 0 < ranges["encoder.3.2"][1]


@given(st.integers(0, 1000), st.floats(1e-6, 1e3))
def test_two_products_never_overflow_sixteen_bits(seed: int, size: float) -> None:
    weight = np.random.default_rng(seed).normal(0, size, (3, 4, 3, 3)).astype(np.float32)
    step = weight_limits(weight) / 127
    steps = np.round(weight / step)
    assert np.abs(steps).max() == WEIGHT_STEPS
    assert 2 * np.abs(steps).max() * 255 <= np.iinfo(np.int16).max


def test_all_convolutions_compute_in_integers() -> None:
    weights = load_weights("default")
    graph = build_graph(weights.floats(), weights.card.architecture, weights.card.calibration, int8=True)
    graph.reshape([1, 32, 32, 12])
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = [
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert len(kinds) > 10
    assert set(kinds) <= {"u8", "i8"}, kinds


WEIGHTS = arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 3]), st.sampled_from([1, 3, 5])),
    elements=st.floats(-2, 2, width=32),
)


@given(WEIGHTS)
def test_rounded_weights_lie_on_their_steps_and_each_kernel_keeps_its_sum(weight: NDArray[np.float32]) -> None:
    rounded = on_steps(weight)
    step = weight_limits(weight)[:, :, 0, 0] / 127
    assert lies_on_steps({"a.weight": rounded, "a.bias": np.array([0.3], np.float32)})
    np.testing.assert_allclose(on_steps(rounded), rounded, atol=1e-6)
    assert np.all(np.abs(rounded.sum((2, 3)) - weight.sum((2, 3))) <= 0.501 * step)
    assert np.all(np.abs(rounded - weight).max((2, 3)) <= 1.501 * step)
    assert np.all(np.abs(rounded).reshape(len(weight), -1).max(1) <= 64.001 * step[:, 0])


def test_weights_between_their_steps_are_told() -> None:
    weight = np.array([1, 0.5 / WEIGHT_STEPS], np.float32).reshape(1, 2, 1, 1)
    assert not lies_on_steps({"a.weight": weight})
