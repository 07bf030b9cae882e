"""What this machine offers to run the network on."""

import openvino
import torch


def gpu_names() -> list[str]:
    """Return the names of the GPUs that PyTorch sees."""
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def openvino_devices() -> list[str]:
    """Return the devices that OpenVINO sees."""
    return list(openvino.Core().available_devices)
