import math

import pytest

from disentmetrics.metrics import registered_metrics
from disentmetrics.report.tables import explain, factor_panels, origin, score_rows
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score


@pytest.mark.parametrize("name", sorted(registered_metrics()))
def test_every_metric_is_explained_with_its_known_failure(name: str) -> None:
    found = explain(name)
    assert found.meaning
    assert found.meaning[-1] in ".:!)"
    assert "``" not in found.meaning + found.failure
    assert found.failure


def test_a_metric_of_another_package_is_not_made_up() -> None:
    assert "is not installed" in explain("unheard-of").meaning
    assert explain("unheard-of").higher_is_better is None


def test_each_score_is_followed_by_its_parts() -> None:
    part = Score("dci.completeness", 0.5, "dci", bounds=(0.0, 1.0))
    whole = Score("dci", 0.25, "dci", parts={"completeness": part}, bounds=(0.0, 1.0))
    rows = score_rows(ScoreCard({"dci": whole}))
    assert [(row.score.name, row.is_part, row.mark.point) for row in rows] == [
        ("dci", False, 25.0),
        ("dci.completeness", True, 50.0),
    ]
    assert "Completeness" in rows[1].explanation.meaning


def test_the_protocol_is_that_of_the_name() -> None:
    (row,) = score_rows(ScoreCard({"mig@chen2018": Score("mig@chen2018", 0.25, "mig")}))
    assert (row.metric, row.protocol) == ("mig", "chen2018")
    assert "Chen" in row.explanation.source


def test_a_bar_is_the_score_of_a_factor_on_the_range_of_the_metric() -> None:
    score = Score("mig", 0.25, "mig", per_factor={"x": 0.5, "y": math.nan}, bounds=(0.0, 1.0))
    (panel,) = factor_panels(ScoreCard({"mig": score}))
    assert panel.bars == (("x", 50.0, "0.50"), ("y", None, "–"))
    assert panel.mean == 25.0


def test_the_origin_agrees_with_the_card_and_lists_signatures_once() -> None:
    signature = "mig|protocol:default|draw:uniform/0|seed:0"
    card = ScoreCard(
        {"mig": Score("mig", 0.5, signature), "a": Score("a", 0.5, signature), "b": Score("b", 0.5, "|broken")},
        {"data": "toy-1", "factors": ["x", "y"], "rows": 5000, "seconds": 12.34, "extra": 7},
    )
    found = origin(card, "card.json")
    facts = dict(found.facts)
    assert facts == {
        "File": "card.json",
        "Data set": "toy-1",
        "Factors": "x, y",
        "Rows": "5,000",
        "Duration": "12.3 s",
        "extra": "7",
        "Rows drawn": "uniform/0",
    }
    assert found.signatures == (signature, "|broken")


def test_kinds_of_factors_are_among_the_facts() -> None:
    card = ScoreCard({}, {"factors": ["a", "hour"], "kinds": {"a": "ordinal", "hour": "circular:24"}})
    assert ("Factors", "a (ordinal), hour (circular:24)") in origin(card).facts
    assert not any(name == "kinds" for name, _ in origin(card).facts)
    assert ("Factors", "a, hour") in origin(ScoreCard({}, {"factors": ["a", "hour"]})).facts
