"""What this machine offers to run the network on. Both libraries are imported only when asked, torch takes seconds."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ihc_quant.errors import SettingsError


@contextmanager
def importing(library: Literal["openvino", "torch"]) -> Iterator[None]:
    """Say plainly which library is missing or broken where that shows in this block, which imports it.

    Raises
    ------
    SettingsError
        Where it cannot be imported.
    """
    try:
        yield
    except (ImportError, OSError) as error:  # a library of C that torch needs and does not find is an OSError
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SettingsError(
            f"{library}: the library cannot be imported ({said}); install it again with make setup, or pip install "
            f"--force-reinstall {library}."
        ) from error


def gpu_names() -> list[str]:
    """Return the names of the GPUs that PyTorch sees."""
    with importing("torch"):
        import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def openvino_devices() -> list[str]:
    """Return the devices that OpenVINO sees."""
    with importing("openvino"):
        import openvino

    return list(openvino.Core().available_devices)


def cpu_has_bfloat16() -> bool:
    """Return whether the processor computes in bfloat16; without such instructions it would only be slower."""
    with importing("openvino"):
        import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def has_gpu_driver() -> bool:
    """Return whether an NVIDIA driver is installed; asked before torch, which takes seconds to import.

    A driver does not mean that there is a GPU that PyTorch can use: ``gpu_is_usable`` says that.
    """
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def gpu_is_usable() -> bool:
    """Return whether PyTorch would compute on a GPU here; it is imported only where a driver is found."""
    if not has_gpu_driver():
        return False
    with importing("torch"):
        from ihc_quant.network.torch_predictor import usable_device
    return usable_device("auto") != "cpu"
