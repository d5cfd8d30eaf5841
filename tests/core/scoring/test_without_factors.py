"""Rows without known factors, or with a constant one: only metrics of codes are scored, others report why not."""

from pathlib import Path

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import Metric

CODES = np.random.default_rng(0).normal(size=(120, 4))
SYMBOLS = np.random.default_rng(0).integers(3, size=(120, 2))
CONSTANT = FactorSpace((Factor("colour", 1, "categorical"),))
SUPERVISED = "compares codes with known factors; there are none here"

REPRESENTATIONS = {
    "no factors": dm.Representation(CODES, None),
    "no factors, posterior": dm.Representation(CODES, None, log_variance=-np.ones_like(CODES)),
    "no factors, symbols": dm.Representation(SYMBOLS, None),
    "no factors, groups": dm.Representation(CODES, None, groups=np.arange(120) // 5, sequential=True),
    "one constant": dm.Representation(CODES, [[0]] * 120, space=CONSTANT, log_variance=-np.ones_like(CODES)),
    "no label": dm.Representation(CODES, np.full((120, 1), -1), space=CONSTANT),
}


@pytest.mark.parametrize("metric", registered_metrics().values(), ids=lambda metric: metric.name)
def test_every_metric_has_a_value_or_a_reason(metric: Metric) -> None:
    for what, representation in REPRESENTATIONS.items():
        for protocol in metric.protocols:
            found = metric.score(representation, protocol)
            needs = metric.protocol(protocol).needs
            if needs.factors:
                reason = SUPERVISED if what.startswith("no factors") else "that take two values; got 0"
                assert found.undefined is not None
                assert found.undefined.endswith(reason)
            elif not (needs.log_variance or needs.symbols):
                assert np.isfinite(found.value)


def test_unsupervised_metrics_do_not_require_factors() -> None:
    unsupervised = {name for name, metric in registered_metrics().items() if metric.needs.factors == 0}
    assert {"active_units", "gaussian_total_correlation", "mean_pairwise_mi", "hoyer_sparsity"} <= unsupervised


@pytest.mark.parametrize("what", ["no factors", "no factors, groups", "one constant", "no label"])
def test_a_card_is_made_saved_and_compared(what: str, tmp_path: Path) -> None:
    representation = REPRESENTATIONS[what]
    representation.save(tmp_path / "codes.h5")
    loaded = dm.Representation.load(tmp_path / "codes.h5")
    assert loaded.space == representation.space
    assert loaded.factors.shape == representation.factors.shape
    assert loaded.row_key == representation.row_key
    card = dm.score(loaded, ["mig", "dci", "active_units", "mean_pairwise_mi"])
    assert card["mig"].undefined
    assert card["active_units"].value == 4
    card.to_json(tmp_path / "card.json")
    again = dm.ScoreCard.from_json(tmp_path / "card.json")
    assert str(again) == str(card)
    assert "undefined" in again._repr_html_()
    assert "mean_pairwise_mi" in str(dm.compare(card, again))
    if what.startswith("no factors"):
        assert repr(loaded).endswith("factors: none)")
        assert "no factors are known: metrics that compare codes with factors are undefined" in card.notes


def test_models_are_ranked_without_factors() -> None:
    mixed = CODES @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    representations = [dm.Representation(codes, None) for codes in (CODES, CODES[:, ::-1], mixed)]
    ranked = dm.udr(representations)
    assert ranked.scores[0] == pytest.approx(ranked.scores[1])
    assert ranked.scores[2] < ranked.scores[0]


def test_a_single_metric_reports_why_it_is_undefined() -> None:
    assert dm.metrics.mig(dm.Representation(CODES, None)).undefined == f"mig {SUPERVISED}"


def test_codes_without_factors_are_refused_where_a_metric_compares_them_with_factors() -> None:
    with pytest.raises(InvalidInputError, match=r"^mig compares codes with known factors: call mig\(codes, factors\)"):
        dm.metrics.mig(CODES)
    assert dm.metrics.active_units(CODES).value == 4


def test_an_encoder_that_reads_factors_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="this encoder reads factors, but custom has none"):
        dm.encode("baseline:factors", dm.CustomDataSet(CODES), full_grid=True)


def test_factors_that_are_named_must_be_given() -> None:
    with pytest.raises(InvalidInputError, match="must contain labels of the named factors; got None"):
        dm.Representation(CODES, None, space=CONSTANT)
    with pytest.raises(InvalidInputError, match="must have at least one column; pass None"):
        dm.Representation(CODES, {})
