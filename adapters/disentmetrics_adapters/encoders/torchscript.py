"""Scheme ``torchscript``: a module saved by ``torch.jit.save``."""

import warnings

from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, UntrustedFileError, one_line
from disentmetrics_adapters._extras import optional
from disentmetrics_adapters.encoders._options import existing_file, fingerprint_of
from disentmetrics_adapters.encoders._torchscript_operators import refused_operators
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
    trust_pickle: bool = False,
) -> Encoder:
    """Load a TorchScript archive (.pt), which needs no module file.

    The target is a file written by ``torch.jit.save``. It is a program: an archive
    that uses operators other than tensor arithmetic, such as one that writes files,
    is loaded only with ``--trust-pickle``.

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
    if not trust_pickle and (refused := refused_operators(file)):
        raise UntrustedFileError(
            f"{file} is a program that does more than tensor arithmetic ({', '.join(refused[:8])}) and was not loaded; "
            "save it without these operators, or add --trust-pickle if you trust the file"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of TorchScript itself; existing archives are still supported
            module = torch.jit.load(str(file), map_location="cpu")
    except Exception as error:  # damaged archives raise errors of many kinds
        reason = one_line(error)[:200]
        raise CorruptFileError(f"{file} is damaged, or not a TorchScript archive: {reason}") from error
    encoder = TorchEncoder(module, **settings, device=device or best_device(torch))
    return Fingerprinted(encoder, fingerprint_of("torchscript", sha256_of(file), settings))
