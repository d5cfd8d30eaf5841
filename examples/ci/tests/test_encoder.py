"""Tests that the encoder remains disentangled."""

from collections.abc import Callable
from pathlib import Path

import pytest
from disentmetrics_adapters.integrations.pytest_plugin import assert_no_regression, assert_score

from disentmetrics import ScoreCard

ENCODER = f"python:{Path(__file__).parents[1] / 'encoder.py'}:encode"


@pytest.fixture(scope="session")
def card(disentmetrics_score: Callable[..., ScoreCard]) -> ScoreCard:
    return disentmetrics_score(ENCODER, ["mig", "sap"], data="mini-sprites", n_samples=1_000)


def test_each_factor_is_in_one_latent(card: ScoreCard) -> None:
    assert_score(card, "mig", at_least=0.55, certain=True)


def test_no_score_regressed(card: ScoreCard) -> None:
    assert_no_regression(card, "baselines/encoder.json")
