"""Score cards as JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError

DECLARED = ("bounds", "higher_is_better", "randomised", "question")


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(200, 2))
    codes = factors + 0.3 * rng.normal(size=factors.shape)
    metrics = ["dci", "factorvae", "gaussian_total_correlation"]
    loaded: dict[str, Any] = json.loads(dm.score(dm.Representation(codes, factors), metrics, null=False).to_json())
    return loaded


def test_scores_carry_what_their_metric_declares(content: dict[str, Any]) -> None:
    scores = content["scores"]
    assert scores["dci"]["bounds"] == [0.0, 1.0]
    assert scores["gaussian_total_correlation"]["bounds"] == [0.0, None]  # JSON has no infinity
    assert not scores["gaussian_total_correlation"]["higher_is_better"]
    assert [scores[name]["randomised"] for name in ("dci", "factorvae")] == [True, True]
    assert scores["dci"]["parts"]["completeness"]["higher_is_better"]
    card = dm.ScoreCard.from_json(json.dumps(content))
    assert card["gaussian_total_correlation"].bounds == (0.0, math.inf)
    assert not card["gaussian_total_correlation"].higher_is_better


def without_declarations(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a score as in cards of older versions."""
    parts = {name: without_declarations(part) for name, part in plain["parts"].items()}
    return {key: value for key, value in plain.items() if key not in (*DECLARED, "n_permutations")} | {"parts": parts}


def test_cards_of_older_versions_are_completed_when_they_are_read(content: dict[str, Any]) -> None:
    older = {**content, "scores": {name: without_declarations(plain) for name, plain in content["scores"].items()}}
    card, expected = (dm.ScoreCard.from_json(json.dumps(one)) for one in (older, content))
    for read, score in zip(card.every_score(), expected.every_score(), strict=True):
        assert [getattr(read, name) for name in DECLARED] == [getattr(score, name) for name in DECLARED]


def test_scores_of_metrics_that_are_not_installed_are_read(content: dict[str, Any]) -> None:
    unknown = without_declarations({**content["scores"]["dci"], "name": "house_metric", "parts": {}})
    card = dm.ScoreCard.from_json(json.dumps({**content, "scores": {"house_metric": unknown}}))
    read = card["house_metric"]
    assert (read.bounds, read.higher_is_better, read.question) == ((-math.inf, math.inf), None, "")
    assert "house_metric" in str(card)


@pytest.mark.parametrize(
    ("key", "value"), [("higher_is_better", "yes"), ("bounds", 1), ("bounds", ["a", 1]), ("n_permutations", "many")]
)
def test_altered_declarations_are_refused(content: dict[str, Any], key: str, value: object) -> None:
    altered = {**content["scores"]["dci"], key: value}
    with pytest.raises(CorruptFileError, match="must be a complete score card in JSON"):
        dm.ScoreCard.from_json(json.dumps({**content, "scores": {"dci": altered}}))


def test_another_format_is_named() -> None:
    with pytest.raises(CorruptFileError, match="must be a score card of format .*; its format is 'other-1'"):
        dm.ScoreCard.from_json('{"format": "other-1"}')
