"""In which numbers training computes."""

from functools import cache

import torch

from ihc_quant.errors import SettingsError
from ihc_quant.network.devices import cpu_has_bfloat16

PRECISIONS = ("auto", "float32", "bfloat16")
"""``auto`` is bfloat16 where the device has instructions for it, and float32 elsewhere."""


@cache
def usable_precision(wanted: str, device: torch.device) -> str:
    """Return ``"float32"`` or ``"bfloat16"``.

    On a CPU without instructions for it bfloat16 is emulated: it works and is slow.

    Raises
    ------
    SettingsError
        Where there is no such precision.
    """
    if wanted not in PRECISIONS:
        raise SettingsError(f"--precision must be {', '.join(PRECISIONS)}, not {wanted}.")
    if wanted != "auto":
        return wanted
    has_bfloat16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bfloat16()
    return "bfloat16" if has_bfloat16 else "float32"


def mixed(precision: str, device: torch.device) -> torch.autocast:
    """Return a context in which convolutions compute in ``precision``; weights and sums stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
