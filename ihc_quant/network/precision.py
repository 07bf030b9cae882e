"""How exactly the network computes, and what that needs.

Rounding moves figures: page 0009 of ``docs/decisions`` has by how much. So the precision is a setting of the
measurement, stands in its digest and is never changed silently: what cannot be had is refused.
"""

from typing import Literal, get_args

from ihc_quant.errors import SettingsError
from ihc_quant.network.devices import cpu_has_bfloat16

Precision = Literal["float32", "bfloat16", "int8"]
"""How the network computes. Float32 is the default: only with it do results agree within the house's tolerance (0.1 %
of the count, 0.1 % changed calls) wherever they are computed."""


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
        raise SettingsError(f"--precision {wanted}: unknown; use {', '.join(get_args(Precision))}.")
    return wanted  # type: ignore[return-value]  # checked in the line above
