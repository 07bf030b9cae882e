"""How exactly the network computes, and what that needs.

Rounding moves figures: page 0009 of ``docs/decisions`` has by how much. So the precision is a setting of the
measurement, stands in its digest and is never changed silently: what cannot be had is refused. ``auto`` is
settled once, before the measurement, by the machine that starts it.
"""

from pathlib import Path
from typing import Literal, get_args

from ihc_quant.errors import SettingsError
from ihc_quant.network.devices import cpu_has_bfloat16, gpu_is_usable
from ihc_quant.network.quantisation import lies_on_steps
from ihc_quant.network.weights import Weights, load_weights

Precision = Literal["float32", "bfloat16", "int8"]
"""How the network computes."""
UNTAUGHT = (
    "The network computed in int8 with weights that were not taught to be held in integers: cells and calls differ "
    "from those that the weights were tested with, by how much was not measured; use --precision auto."
)
"""Stands beside the figures of such weights."""
AUTO = "auto"
"""Asks for the fastest that is as good as float32; see ``settled_precision``."""


def settled_precision(wanted: str, weights: str | Path, *, runtime: str = "auto", device: str = "auto") -> Precision:
    """Return the precision that the measurement states: what is wanted, or what ``"auto"`` stands for.

    That is int8 for weights that were taught to be held in integers (``train.py --rounded-steps``), as long as the CPU
    computes; float32 for all others, and on a GPU.

    Parameters
    ----------
    wanted : str
        A ``Precision`` or ``"auto"``.
    weights : str or Path
        Name of shipped weights or path of a card.
    runtime, device : str
        As ``load_predictor`` takes them.

    Raises
    ------
    SettingsError
        Where it is unknown, or PyTorch cannot be imported where a GPU may be.
    WeightsError
        Where the weights cannot be used.
    """
    if wanted != AUTO:
        return known_precision(wanted)
    if runtime == "torch" or device.startswith("cuda"):
        return "float32"
    # A driver alone is no GPU: without a usable one ``load_predictor`` computes on the CPU.
    if device == "auto" and runtime == "auto" and gpu_is_usable():
        return "float32"
    return "int8" if lies_on_steps(load_weights(weights).floats()) else "float32"


def caution_of(precision: Precision, weights: Weights) -> str:
    """Return what must stand beside figures of weights that compute so; empty where nothing must."""
    return UNTAUGHT if precision == "int8" and not lies_on_steps(weights.floats()) else ""


def chosen_precision(wanted: str, *, runtime: str, device: str) -> Precision:
    """Return the precision to compute with: the one that is wanted, where it can be had.

    Parameters
    ----------
    wanted : str
        A ``Precision``.
    runtime : {"torch", "openvino"}
    device : str
        ``"cpu"`` or a CUDA device.

    Raises
    ------
    SettingsError
        Where it is unknown, or where runtime or device cannot compute so.
    """
    precision = known_precision(wanted)
    if precision == "int8" and runtime != "openvino":
        raise SettingsError("--precision int8 runs in OpenVINO on the CPU only; leave out --runtime and --device.")
    if precision == "bfloat16" and device == "cpu" and not cpu_has_bfloat16():
        raise SettingsError(
            "--precision bfloat16: this processor has no bfloat16 instructions, so it would only be slower; "
            "use float32 or int8."
        )
    return precision


def known_precision(wanted: str) -> Precision:
    """Return what is wanted, or raise a ``SettingsError`` where it is no ``Precision``."""
    if wanted not in get_args(Precision):
        raise SettingsError(f"--precision {wanted}: unknown; use {', '.join((AUTO, *get_args(Precision)))}.")
    return wanted  # type: ignore[return-value]  # checked in the line above
