"""The device that an option names."""

import torch

from sise.errors import SiseError


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU if there is one.

    Raises SiseError for a name that PyTorch does not know, and for a device that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device="cpu" if device.type == "cuda" else device)
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise SiseError(f"--device {name}: not on this machine; give auto, cpu or cuda") from error
    if device.type == "meta":
        raise SiseError(f"--device {name}: computes nothing; give auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SiseError(f"--device {name}: PyTorch finds no CUDA device here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise SiseError(f"--device {name}: there are {count} GPUs here, counted from cuda:0")
    return device
