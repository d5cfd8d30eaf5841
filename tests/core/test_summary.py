"""A summary says what the codes say: identities first, then what survives the file and hostile input."""

import json
import time

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.summary import MAX_CODES, MAX_SAMPLE, RepresentationSummary, position_pairs, summarise


@pytest.fixture
def grid() -> np.ndarray:
    return np.indices((4, 5, 6)).reshape(3, -1).T.repeat(25, axis=0)


def test_perfect_codes_have_a_diagonal_of_entropies(grid: np.ndarray) -> None:
    found = summarise(dm.Representation(grid * [1.0, -3.0, 10.0], grid))
    assert np.allclose(np.maximum(found.mutual_information, 0), np.diag(np.log([4, 5, 6])), atol=1e-4)
    assert np.allclose(found.factor_entropies, np.log([4, 5, 6]), atol=1e-4)
    assert np.array_equal(found.share, np.eye(3))
    assert found.best_codes.tolist() == [0, 1, 2]
    assert np.allclose(found.correlation, np.eye(3), atol=1e-9)
    assert np.allclose(found.mean, [1.5, -6.0, 25.0])
    assert found.active.all()


def test_a_card_carries_its_summary_through_json(grid: np.ndarray, rng: np.random.Generator) -> None:
    codes = rng.normal(size=(len(grid), 4)) + np.pad(grid, ((0, 0), (0, 1)))
    log_variance = np.full(codes.shape, -1.0)
    card = dm.score(dm.Representation(codes, grid, log_variance=log_variance), ["higgins"], interval=None, null=False)
    assert card.summary is not None
    again = dm.ScoreCard.from_json(card.to_json())
    assert again.summary is not None
    assert again.to_json() == card.to_json()
    for name, plain in card.summary.to_plain().items():
        assert again.summary.to_plain()[name] == plain, name
    assert card.summary.kl is not None
    assert len(card.summary.sample_codes) == MAX_SAMPLE


def test_a_card_without_a_summary_is_read(grid: np.ndarray) -> None:
    card = dm.score(dm.Representation(grid.astype(float), grid), ["higgins"], interval=None, null=False)
    content = json.loads(card.to_json())
    del content["summary"]
    old = dm.ScoreCard.from_json(json.dumps(content))
    assert old.summary is None
    assert "summary" not in json.loads(old.to_json())
