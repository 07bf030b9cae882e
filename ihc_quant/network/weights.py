"""Weights on disk: safetensors beside a JSON card whose digest they must match. No pickle is ever read."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ihc_quant.errors import WeightsError
from ihc_quant.network.architecture import Architecture, CellNetwork
from ihc_quant.network.card import WeightsCard, file_sha256, read_card, resolve_card


def save_tensors(tensors: dict[str, Tensor], path: Path) -> str:
    """Write tensors as safetensors, whole or not at all, and return the file's SHA-256."""
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(path)
    return file_sha256(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors from a safetensors file.

    Raises
    ------
    WeightsError
        Where the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: the weights cannot be read; fetch them again.") from error


def load_weights(weights: str | Path) -> tuple[CellNetwork, WeightsCard]:
    """Build the network that a card describes and fill in its weights.

    Parameters
    ----------
    weights : str or Path
        Name of shipped weights, or path of a card or of its safetensors file.

    Returns
    -------
    network : CellNetwork
        In evaluation mode, on the CPU.
    card : WeightsCard

    Raises
    ------
    WeightsError
        Where something is missing, the digest differs from the card's, or the tensors do not fit the architecture.
    """
    card_path = resolve_card(weights)
    card = read_card(card_path)
    path = card_path.with_suffix(".safetensors")
    if not path.is_file():
        raise WeightsError(f"{path}: the weights that belong to {card_path.name} are missing; fetch them again.")
    if file_sha256(path) != card.sha256:
        raise WeightsError(f"{path}: the digest differs from the one in {card_path.name}; fetch the weights again.")
    shape = card.architecture
    try:
        network = CellNetwork(Architecture(shape.widths, shape.encoder_blocks, shape.decoder_blocks, shape.fold))
        network.load_state_dict(load_tensors(path))
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: the weights do not fit the network in {card_path.name}; fetch both again."
        ) from error
    network.eval()
    return network, card
