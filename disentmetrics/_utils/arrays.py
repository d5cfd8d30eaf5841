"""Conversion of the arrays and tensors of any framework to numpy."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return values as a numpy array.

    A torch tensor may require a gradient, be sparse or lie on any device. Floating-point types that numpy lacks, such
    as bfloat16, become float32, which represents their values exactly. No framework is imported.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array, tensor or nested sequence of numbers, or a sequence of tensors

    Raises
    ------
    InvalidInputError
        If the values cannot be converted.

    Examples
    --------
    >>> as_array("codes", [[0.5, 1.0]])
    array([[0.5, 1. ]])
    """
    try:
        array = _converted(values)
    except Exception as error:
        # any framework may raise anything while it converts its arrays
        raise InvalidInputError(
            f"{name} must be an array that can be converted to numpy; a {type(values).__name__} cannot: "
            f"{str(error).strip().partition(chr(10))[0] or type(error).__name__}"
        ) from error
    if array.dtype.kind == "V" and array.dtype.names is None and "float" in array.dtype.name:  # of ml_dtypes
        return array.astype(np.float32)
    return array


def _converted(values: Any) -> NDArray[Any]:
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is not None and isinstance(values, tensor):
        return _of_tensor(values)
    if tensor is not None and isinstance(values, list | tuple) and any(isinstance(value, tensor) for value in values):
        return np.asarray([_converted(value) for value in values])
    return np.asarray(values)


def _of_tensor(tensor: Any) -> NDArray[Any]:
    import torch

    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    try:
        return np.asarray(tensor.numpy())
    except TypeError:  # numpy has no such type
        return np.asarray(tensor.float().numpy())
