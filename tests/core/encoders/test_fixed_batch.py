"""Encoders of one batch size."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.encoders.fixed_batch import FixedBatch
from disentmetrics.encoders.protocol import Posterior


def of_four(observations: NDArray[Any]) -> NDArray[Any]:
    assert len(observations) == 4
    return observations.reshape(4, -1).astype(float)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11])
def test_batches_of_any_size_are_encoded_in_batches_of_one_size(n: int) -> None:
    observations = np.arange(2 * n).reshape(n, 2)
    np.testing.assert_array_equal(FixedBatch(of_four, 4)(observations), observations)
    posterior = FixedBatch(lambda batch: Posterior(of_four(batch), -of_four(batch)), 4)(observations)
    np.testing.assert_array_equal(posterior.mean, observations)
    np.testing.assert_array_equal(posterior.log_variance, -observations)


def test_what_is_no_array_of_codes_is_left_to_the_caller_to_report() -> None:
    wrapped: Any = lambda batch: {"mu": batch}  # noqa: E731 - an encoder that is none
    assert FixedBatch(wrapped, 4)(np.zeros((9, 1))).keys() == {"mu"}
    nothing: Any = lambda _: None  # noqa: E731 - idem
    assert FixedBatch(nothing, 4)(np.zeros((2, 1))) is None
    assert FixedBatch(lambda _: np.zeros((7, 2)), 4)(np.zeros((2, 1))).shape == (7, 2)


def test_attributes_of_the_encoder_are_kept() -> None:
    class ReadsFactors:
        reads_factors = True

        def __call__(self, indices: NDArray[Any], /) -> NDArray[Any]:
            return indices

    assert FixedBatch(ReadsFactors(), 4).reads_factors
