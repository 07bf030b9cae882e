"""The state of a training run, how it begins, and how it is kept so that it goes on exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.card import read_card, resolve_card
from ihc_quant.network.quantisation import on_steps
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import load_arrays, load_weights, save_arrays

START = "start"
"""Name, in the run's folder, of the weights that it started from."""
CONVOLUTION = 4
"""Axes of a convolution's weight; whatever else a network learns has one."""
ENCODER, COUNTER = "encoder.", "num_batches_tracked"
"""How the names of an encoder's tensors begin, and how those of steps counted by batch normalisation end."""


@dataclass
class State:
    """All that changes while training.

    Attributes
    ----------
    network : CellNetwork
    average : dict of str to Tensor
        Running average of the network's state, which is what a part ends with.
    mean : dict of str to Tensor
        Mean of that average at the ends of the parts that restarts divide the run into, which is what is kept of them.
    optimiser : Optimizer
    step : int
        The next one; also the number of steps taken.
    best : float
        Highest validation score so far.
    best_step : int
        When ``best`` was written; 0 before.
    ended : int
        Parts that have ended.
    """

    network: CellNetwork
    average: dict[str, Tensor]
    mean: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0
    best_step: int = 0
    ended: int = 0


def save_last(state: State, path: Path) -> None:
    """Write all that is needed to go on exactly: weights, their average, the optimiser's moments, step and score."""
    tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    for kind, values in (("average", state.average), ("mean", state.mean)):
        tensors |= {f"{kind}.{name}": tensor for name, tensor in values.items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in moments.items()}
    tensors |= {"step": torch.tensor(state.step), "best": torch.tensor(state.best, dtype=torch.float64)}
    tensors |= {"best_step": torch.tensor(state.best_step), "ended": torch.tensor(state.ended)}
    save_arrays(arrays_of(tensors), path)


def load_last(state: State, path: Path) -> None:
    """Bring a first state to where ``save_last`` left one."""
    damaged = f"{path}: the checkpoint is damaged; put a copy in its place, or delete {path.parent} and train anew."
    try:
        tensors = {name: torch.from_numpy(array) for name, array in load_arrays(path).items()}
    except WeightsError as error:
        raise SettingsError(damaged) from error
    if "ended" not in tensors:
        raise SettingsError(f"{path}: an earlier release wrote it and none can go on from it; take another --name.")
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor
    state.optimiser.load_state_dict({"state": moments, "param_groups": state.optimiser.state_dict()["param_groups"]})
    state.network.load_state_dict({name: tensors[f"network.{name}"] for name in state.average})
    for kind, values in (("average", state.average), ("mean", state.mean)):
        for name, tensor in values.items():
            tensor.copy_(tensors[f"{kind}.{name}"].reshape(tensor.shape))
    state.step, state.best = int(tensors["step"]), float(tensors["best"])
    state.best_step, state.ended = int(tensors["best_step"]), int(tensors["ended"])
    best = path.with_name("best.safetensors")
    if state.best_step and not best.exists():
        raise SettingsError(
            f"{best} is missing, which this run wrote at step {state.best_step} and does not make again; put it back, "
            f"or delete {path.parent} and train anew."
        )


def keep_best(state: State, kept: Mapping[str, Tensor], score: float | None, path: Path) -> None:
    """Write an average of the state where it scores higher than before; without a score it is the best there is."""
    if score is None or score > state.best:
        state.best, state.best_step = state.best if score is None else score, state.step
        save_arrays(arrays_of(kept), path)


def out_of_patience(state: State, steps: int) -> bool:
    """Return whether the score has not risen for so many steps; patience of 0 never ends."""
    return 0 < steps <= state.step - state.best_step


def keep_start(weights: str, folder: Path) -> None:
    """Copy the weights that a run starts from beside it, with their card where they have one.

    The run then goes on exactly, and its card states what it started from, whatever becomes of the original.

    Parameters
    ----------
    weights : str
        Name of shipped weights, path of a card, or path of a safetensors file with or without a card.
    folder : Path
        Of the run.

    Raises
    ------
    WeightsError
        Where they cannot be used.
    """
    path = Path(weights)
    if has_card(path):
        path = load_weights(weights).path  # which checks that file and card belong together
        (folder / f"{START}.json").write_bytes(resolve_card(weights).read_bytes())
    load_arrays(path)
    (folder / f"{START}.safetensors").write_bytes(path.read_bytes())


def has_card(weights: Path) -> bool:
    """Return whether weights to start from have a card: shipped ones, a card itself, or tensors beside theirs."""
    return weights.suffix != ".safetensors" or weights.with_suffix(".json").exists()


def encoder_of(start: str) -> str:
    """Return the encoder of the network that can start from these weights, by their card or by their tensors.

    Raises
    ------
    WeightsError
        Where they cannot be used.
    """
    if not start:
        return "plain"
    path = Path(start)
    if has_card(path):
        return read_card(resolve_card(start)).architecture.encoder
    return "efficientnet_lite0" if any(".widen." in name for name in load_arrays(path)) else "plain"


def start_from(network: CellNetwork, weights: str, folder: Path) -> None:
    """Give a network the weights to start from, which are kept beside the run, see ``keep_start``.

    Of weights that are those of an encoder alone, what the network lacks is left out, and the rest of it begins by
    chance.

    Raises
    ------
    SettingsError
        Where they belong to a network of another shape.
    WeightsError
        Where they cannot be used.
    """
    path = folder / f"{START}.safetensors"
    if not path.exists():
        keep_start(weights, folder)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in load_arrays(path).items()}
    if all(name.startswith(ENCODER) for name in tensors):
        tensors = with_encoder(network.state_dict(), tensors)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise SettingsError(
            f"{path}: --start named weights of another architecture; start from others, or state their --encoder."
        ) from error


def with_encoder(state: Mapping[str, Tensor], encoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state with the tensors of an encoder in place of its own; those it has no place for are left out.

    What the encoder ought to hold and does not is missing, so that loading the state fails.
    """
    other = {name: tensor for name, tensor in state.items() if not name.startswith(ENCODER) or name.endswith(COUNTER)}
    return other | {name: tensor for name, tensor in encoder.items() if name in state}


def end_part(state: State) -> None:
    """Take the average into the mean of the parts' ends.

    Networks that begin alike and learn on from one another lie in one valley, and the middle of several ends there is
    better than any one: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """
    state.ended += 1
    for name, tensor in state.average.items():
        if tensor.is_floating_point():
            state.mean[name].lerp_(tensor, 1 / state.ended)
        else:
            state.mean[name].copy_(tensor)


def round_weights(state: State) -> None:
    """Go on from the mean of the parts' ends, with the weights of convolutions rounded to what integers hold."""
    for name, tensor in state.mean.items():
        if tensor.ndim == CONVOLUTION:
            rounded = on_steps(tensor.cpu().contiguous().numpy())
            tensor.copy_(torch.from_numpy(rounded))
        state.average[name].copy_(tensor)
    state.network.load_state_dict(state.mean)


def freeze_weights(network: nn.Module) -> None:
    """Let only normalisation and biases learn."""
    for tensor in network.parameters():
        tensor.requires_grad_(tensor.ndim != CONVOLUTION)


def follow(average: Mapping[str, Tensor], network: nn.Module, step: int, averaging: float) -> None:
    """Move a running average of weights, means and variances towards those of the network, after a step."""
    # The average follows faster at first, lest it remember the weights that had learned nothing.
    kept = min(averaging, (step + 1) / (step + 10))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - kept)
        else:
            average[name].copy_(tensor)
