import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.compare import _holm
from disentmetrics.errors import InvalidInputError


def card(blur: float, *, rows: int = 800, seed: int = 0, noise_seed: int = 1) -> dm.ScoreCard:
    factors = np.random.default_rng(0).integers((4, 5), size=(rows, 2))
    codes = factors + blur * np.random.default_rng(noise_seed).normal(size=factors.shape)
    return dm.score(dm.Representation(codes, factors), ["mig", "factorvae"], seed=seed, null=False)


def test_a_clear_difference_is_found_and_has_the_right_sign() -> None:
    found = {d.metric: d for d in dm.compare(card(1.0), card(0.2)).differences}
    assert found["mig"].difference > 0.2
    assert found["mig"].interval.low > 0  # type: ignore[union-attr] # the cards hold replicates
    assert found["mig"].p_holm < 0.001  # type: ignore[operator] # idem


def test_a_card_does_not_differ_from_itself() -> None:
    for d in dm.compare(card(0.5), card(0.5)).differences:
        assert (d.difference, d.p_value) == (0.0, 1.0)


def test_the_paired_test_has_about_its_nominal_size() -> None:
    """Two encoders with equal blur and independent noise: 5 % of p-values below 0.05."""
    p_values = []
    for run in range(60):
        rng = np.random.default_rng(run)
        factors = rng.integers((4, 5), size=(500, 2))
        cards = [
            dm.score(dm.Representation(factors + 0.7 * rng.normal(size=factors.shape), factors), ["mig"], null=False)
            for _ in range(2)
        ]
        p_values.append(dm.compare(*cards).differences[0].p_value)
    assert sum(p < 0.05 for p in p_values if p is not None) <= 9  # probability 0.999 if it has


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: card(0.5, rows=700), r"card 1 and card 2 differ in rows \(800 and 700\), data \(table/"),
        (lambda: card(0.5, seed=1), r"card 1 and card 2 differ in seed \(0 and 1\);"),
    ],
)
def test_cards_of_other_rows_or_seeds_are_not_compared(other, message: str) -> None:  # type: ignore[no-untyped-def] # a maker of cards
    with pytest.raises(InvalidInputError, match=message):
        dm.compare(card(0.5), other())


def test_metrics_that_only_one_card_holds_are_named() -> None:
    first = card(0.5)
    second = dm.ScoreCard({"mig": first["mig"]}, first.about)
    comparison = dm.compare(first, second)
    assert comparison.skipped == ("factorvae: not in card 2",)
    with pytest.raises(InvalidInputError, match="share no metric"):
        dm.compare(second, dm.ScoreCard({"factorvae": first["factorvae"]}, first.about))


def test_holm_is_the_step_down_of_bonferroni() -> None:
    assert _holm([0.01, 0.04, 0.03, None]) == [0.03, 0.06, 0.06, None]


def test_two_ways_of_resampling_are_not_mixed() -> None:
    factors = np.random.default_rng(0).integers((4, 5), size=(300, 2))
    table = dm.Representation(factors + 0.5 * np.random.default_rng(1).normal(size=factors.shape), factors)
    cards = [dm.score(table, ["mig"], interval=way, null=False) for way in ("jackknife", "half-sampling")]
    assert dm.compare(*cards).skipped == (
        "mig: card 1 and card 2: no test: rows were resampled in two ways: jackknife and half-sampling",
    )
