from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_a_latent_equal_to_its_prior_has_no_weight_and_a_copy_no_unshared_information(
    gaussian: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    codes, log_variance = gaussian(0.0, 0.01)
    dead = score("wsepin", np.c_[codes, np.zeros(1_500)], log_variance=np.c_[log_variance, np.zeros(1_500)])
    assert dead.details["weights"][2] == pytest.approx(0.0, abs=1e-9)
    assert dead.details["sepin"][2] == pytest.approx(0.0, abs=1e-9)
    assert score("wsepin", np.zeros((50, 2)), log_variance=np.zeros((50, 2))).value == 0.0


def test_separate_posteriors_identify_the_row_and_no_more() -> None:
    """Either of two narrow posteriors carries the maximal information, the logarithm of the number of rows."""
    codes = np.c_[np.arange(64.0), np.arange(64.0)[::-1]]
    narrow = np.full((64, 2), -12.0)
    both = score("wsepin", codes, log_variance=narrow)
    assert both.details["information"] == pytest.approx(np.full(2, np.log(64)), abs=1e-9)
    assert both.value == pytest.approx(0.0, abs=1e-9)
    alone = score("windin", codes[:, :1], log_variance=narrow[:, :1])
    assert alone.value == pytest.approx(np.log(64), abs=1e-9)


def test_a_subset_of_the_rows_is_named_in_the_signature_and_decided_by_the_seed(
    gaussian: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    codes, log_variance = gaussian(0.3, 0.5)
    scores = [
        score("wsepin", codes, log_variance=log_variance, n_rows=200, n_samples=300, seed=seed) for seed in (1, 1, 2)
    ]
    assert "mixture:200" in scores[0].signature
    assert scores[0].value == scores[1].value != scores[2].value
