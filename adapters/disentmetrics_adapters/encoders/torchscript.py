"""Scheme ``torchscript``: a module saved by ``torch.jit.save``."""

import warnings

from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError
from disentmetrics_adapters._extras import optional
from disentmetrics_adapters.encoders._options import existing_file, fingerprint_of
from disentmetrics_adapters.encoders.torch import TorchEncoder, best_device, network_settings


def load(
    target: str,
    *,
    method: str = "",
    layout: str = "auto",
    range: str = "auto",  # noqa: A002 - the name of the option in a spec
    select: str = "",
    spread: str = "",
    flatten: str = "no",
    batch_size: str = "",
    device: str = "",
) -> Encoder:
    """Load a TorchScript archive (.pt), which needs no module file.

    The target is a file written by ``torch.jit.save``.

    Options
    -------
    method, layout, range, select, spread, flatten, batch_size, device
        As in the scheme ``torch``: see ``disentmetrics adapters info torch``.

    Example
    -------
    torchscript:encoder.pt?layout=NCHW&select=0,1
    """
    with optional("torch", extra="torch"):
        import torch
    settings = network_settings(method, layout, range, select, spread, flatten, batch_size)
    file = existing_file(target, "the TorchScript archive")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of TorchScript itself; existing archives are still supported
            module = torch.jit.load(str(file), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(f"{file} is damaged, or not a TorchScript archive: {reason}") from error
    encoder = TorchEncoder(module, **settings, device=device or best_device(torch))
    return Fingerprinted(encoder, fingerprint_of("torchscript", sha256_of(file), settings))
