"""Scheme ``python``: any importable function or callable object."""

import inspect
import sys
from typing import Any, cast

from disentmetrics.encoders.protocol import Encoder
from disentmetrics.errors import EncoderError, InvalidInputError
from disentmetrics_adapters.encoders._code import named_object
from disentmetrics_adapters.encoders._options import yes_no


def load(target: str, *, call: str = "no") -> Encoder:
    """Import any Python callable from observations to codes.

    The target is ``package.module:name``, importable from the current folder or
    installed, or ``file.py:name``. The callable receives a batch (n, height, width,
    channels) of uint8 from the data set and returns codes (n, n_codes) or a
    ``disentmetrics.Posterior``.

    Options
    -------
    call : yes or no, default no
        Call the named function or class without arguments and use the result.

    Example
    -------
    python:my_package.encoders:mean_brightness
    python:my_encoder.py:MyEncoder?call=yes&fingerprint=mine-v2

    The state of a Python object cannot be determined, so its codes are cached only
    if you specify a ``fingerprint``.
    """
    calls = yes_no("call", call)
    with named_object(target) as named:
        value = named.value
        if calls:
            value = _result_of(value, target)
    _check_is_encoder(value, target, was_called=calls)
    return cast(Encoder, value)


def _result_of(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise InvalidInputError(f"call=yes requires a function or class; {target} is a {type(factory).__name__}")
    try:
        return factory()
    except Exception as error:
        raise EncoderError(f"{target} failed when called: {type(error).__name__}: {error}") from error


def _check_is_encoder(value: Any, target: str, *, was_called: bool) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        raise InvalidInputError(
            f"{target} is a torch module, which expects tensors: specify it as torch:{target}?weights=..."
        )
    if not callable(value):
        raise InvalidInputError(
            f"an encoder must be callable; {target} is a {type(value).__name__}"
            + ("; wrap it in disentmetrics_adapters.encoders.sklearn.SklearnEncoder" * hasattr(value, "transform"))
        )
    if not was_called and (inspect.isclass(value) or not _accepts_observations(value)):
        kind = "a class" if inspect.isclass(value) else "a function without arguments"
        raise InvalidInputError(f"{target} is {kind}, not an encoder; if calling it returns the encoder, add call=yes")


def _accepts_observations(value: Any) -> bool:
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature
        return True
    return True
