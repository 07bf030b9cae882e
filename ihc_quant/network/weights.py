"""Weights on disk: safetensors beside a JSON card whose digest they must match. No pickle is ever read.

Imports no torch: OpenVINO builds its graph from the arrays.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ihc_quant.errors import WeightsError
from ihc_quant.network.card import WeightsCard, file_sha256, read_card, resolve_card

Arrays = dict[str, NDArray[np.generic]]
"""Tensors by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Tensors of a network and the card that describes them.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The state of ``CellNetwork``.
    card : WeightsCard
    path : Path
        The safetensors file.
    """

    arrays: Arrays
    card: WeightsCard
    path: Path

    def floats(self) -> dict[str, NDArray[np.float32]]:
        """Return the tensors that compute, as float32; batch normalisation's step counters are left out."""
        return {name: array.astype(np.float32) for name, array in self.arrays.items() if array.dtype.kind == "f"}


def save_arrays(arrays: Arrays, path: Path) -> str:
    """Write tensors as safetensors, whole or not at all, and return the file's SHA-256."""
    partial = path.with_name(path.name + ".partial")
    # Not by the library's save_file, whose files nobody but their owner may read.
    partial.write_bytes(save({name: np.asarray(array, order="C") for name, array in arrays.items()}))
    partial.replace(path)
    return file_sha256(path)


def load_arrays(path: Path) -> Arrays:
    """Read tensors from a safetensors file.

    Raises
    ------
    WeightsError
        Where the file is missing or damaged.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: the weights cannot be read; fetch them again.") from error


def load_weights(weights: str | Path) -> Weights:
    """Read weights and card, and check that they belong together.

    Parameters
    ----------
    weights : str or Path
        Name of shipped weights, or path of a card or of its safetensors file.

    Raises
    ------
    WeightsError
        Where something is missing or the digest differs from the card's.
    """
    card_path = resolve_card(weights)
    card = read_card(card_path)
    path = card_path.with_suffix(".safetensors")
    try:
        digest = file_sha256(path)
    except FileNotFoundError as error:
        message = f"{path}: the weights that belong to {card_path.name} are missing; fetch them again."
        raise WeightsError(message) from error
    except OSError as error:
        raise WeightsError(f"{path}: the weights cannot be read; check the file and its permissions.") from error
    if digest != card.sha256:
        raise WeightsError(f"{path}: the digest differs from the one in {card_path.name}; fetch the weights again.")
    return Weights(load_arrays(path), card, path)
