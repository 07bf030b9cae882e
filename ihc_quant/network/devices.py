"""What this machine offers to run the network on. Both libraries are imported only when asked, torch takes seconds."""


def gpu_names() -> list[str]:
    """Return the names of the GPUs that PyTorch sees."""
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def openvino_devices() -> list[str]:
    """Return the devices that OpenVINO sees."""
    import openvino

    return list(openvino.Core().available_devices)
