"""The state of a training run, and how it is kept so that it goes on exactly."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ihc_quant.network.architecture import CellNetwork
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import load_arrays, save_arrays


@dataclass
class State:
    """All that changes while training.

    Attributes
    ----------
    network : CellNetwork
    average : dict of str to Tensor
        Running average of the network's state, which is what is kept.
    optimiser : Optimizer
    step : int
        The next one; also the number of steps taken.
    best : float
        Highest validation score so far.
    """

    network: CellNetwork
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0


def save_last(state: State, path: Path) -> None:
    """Write all that is needed to go on exactly: weights, their average, the optimiser's moments, step and score."""
    tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in moments.items()}
    tensors |= {"step": torch.tensor(state.step), "best": torch.tensor(state.best, dtype=torch.float64)}
    save_arrays(arrays_of(tensors), path)


def load_last(state: State, path: Path) -> None:
    """Bring a first state to where ``save_last`` left one."""
    tensors = {name: torch.from_numpy(array) for name, array in load_arrays(path).items()}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor
    state.optimiser.load_state_dict({"state": moments, "param_groups": state.optimiser.state_dict()["param_groups"]})
    state.network.load_state_dict({name: tensors[f"network.{name}"] for name in state.average})
    for name, tensor in state.average.items():
        tensor.copy_(tensors[f"average.{name}"].reshape(tensor.shape))
    state.step, state.best = int(tensors["step"]), float(tensors["best"])
