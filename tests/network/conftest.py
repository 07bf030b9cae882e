"""Small networks with random weights, written as shipped ones are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.card import Architecture, Calibration, DataSource, Thresholds, WeightsCard
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import Arrays, save_arrays

SMALL = Architecture(widths=(8, 12, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1), fold=2)


def random_arrays(architecture: Architecture, seed: int = 0) -> Arrays:
    """Return the state of a network as if it had learned: no tensor is left at 0 or 1."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}
    for name, array in arrays_of(CellNetwork(architecture).state_dict()).items():
        if array.dtype.kind != "f":
            arrays[name] = array
        elif name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            arrays[name] = rng.uniform(0.5, 2, array.shape).astype(np.float32)
        elif array.ndim == 4:
            spread = np.sqrt(2 / array[0].size)
            arrays[name] = rng.normal(0, spread, array.shape).astype(np.float32)
        else:
            arrays[name] = rng.normal(0, 0.2, array.shape).astype(np.float32)
    return arrays


def card_of(architecture: Architecture, sha256: str) -> WeightsCard:
    """Return a card that says of itself that it is made up."""
    return WeightsCard(
        name="random",
        created="2026-01-01",
        sha256=sha256,
        pixel_um=0.5,
        normalisation="1 - sRGB / 255",
        architecture=architecture,
        calibration=Calibration(slope=1.7, intercept=-0.4, fitted_on="nothing"),
        thresholds=Thresholds(centre=0.3, extent=0.5, positive=0.5, uncertain=(0.25, 0.75)),
        licence="none",
        validated_for="nothing",
        sources=(DataSource(name="chance", licence="none", role="none", images=0),),
        split={"training": [], "validation": [], "test": []},
        seed=0,
        metrics={},
        known_failures=("everything",),
        training={},
    )


WriteWeights = Callable[[Architecture], Path]
"""Writes random weights of an architecture; returns the path of their card."""


@pytest.fixture
def write_weights(tmp_path: Path) -> WriteWeights:
    """Write random weights of an architecture and return the path of their card."""

    def write(architecture: Architecture) -> Path:
        card = tmp_path / "random.json"
        digest = save_arrays(random_arrays(architecture), card.with_suffix(".safetensors"))
        card.write_text(card_of(architecture, digest).model_dump_json())
        return card

    return write


@pytest.fixture
def card_path(write_weights: WriteWeights) -> Path:
    """Card of small random weights."""
    return write_weights(SMALL)
