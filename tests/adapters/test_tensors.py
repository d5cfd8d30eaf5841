"""Tensors are taken wherever arrays are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="tensors of torch")

import disentmetrics as dm  # noqa: E402
from disentmetrics._utils.arrays import as_array  # noqa: E402
from disentmetrics.errors import InvalidInputError  # noqa: E402

KINDS: dict[str, Callable[[Any], Any]] = {
    "gradient": lambda x: x.clone().requires_grad_(),
    "bfloat16": lambda x: x.bfloat16(),
    "half": lambda x: x.half(),
    "sparse": lambda x: x.to_sparse(),
    "negated view": lambda x: torch._neg_view(-x),
    "parameter": torch.nn.Parameter,
    "list": lambda x: [row.clone().requires_grad_() for row in x],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_is_converted(kind: str) -> None:
    plain = torch.arange(12.0).reshape(6, 2)
    array = as_array("codes", KINDS[kind](plain))
    np.testing.assert_array_equal(array, plain.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_codes_variances_weights_factors_and_groups_may_be_tensors(kind: str) -> None:
    labels = torch.arange(60).reshape(60, 1) % 4
    codes = torch.hstack([labels, labels]) + 0.0
    given = KINDS[kind]
    representation = dm.Representation(
        given(codes),
        given(labels.float()),
        log_variance=given(-codes),
        weights=given(torch.ones(60)) if kind != "list" else torch.ones(60, requires_grad=True),
        groups=labels[:, 0],
    )
    np.testing.assert_array_equal(representation.codes, codes)
    assert dm.metrics.mcc(given(codes), {"a": labels[:, 0]}).value == pytest.approx(1)
    assert dm.screen(given(codes), {"a": labels[:, 0].float().requires_grad_()}, n_codes=1).n_codes == 1


def test_what_cannot_be_converted_is_one_sentence() -> None:
    with pytest.raises(InvalidInputError, match="codes must be an array that can be converted to numpy"):
        dm.Representation(torch.zeros(3, 2, device="meta"), None)


def test_a_module_is_refused_with_the_wrapper_to_use() -> None:
    with pytest.raises(InvalidInputError, match=r"encode\(disentmetrics_adapters\.encoders\.torch\.TorchEncoder"):
        dm.encode(torch.nn.Flatten(), dm.load_dataset("blobs"))
