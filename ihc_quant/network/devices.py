"""What this machine offers to run the network on. Both libraries are imported only when asked, torch takes seconds."""

import ctypes


def gpu_names() -> list[str]:
    """Return the names of the GPUs that PyTorch sees."""
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def openvino_devices() -> list[str]:
    """Return the devices that OpenVINO sees."""
    import openvino

    return list(openvino.Core().available_devices)


def cpu_has_bfloat16() -> bool:
    """Return whether the processor computes in bfloat16; without such instructions it would only be slower."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def has_gpu_driver() -> bool:
    """Return whether an NVIDIA driver is installed; asked before torch, which takes seconds to import."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
