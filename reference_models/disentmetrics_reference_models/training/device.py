"""The device that computes a model."""

import torch

from disentmetrics.errors import InvalidInputError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of this name; ``auto`` selects the first available one of cuda, mps and cpu."""
    if name != "auto":
        try:
            device = torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise InvalidInputError(f"device {name!r} is not available; use auto or cpu") from error
        if device.type == "meta":
            raise InvalidInputError("device 'meta' holds no numbers; use auto or cpu")
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
